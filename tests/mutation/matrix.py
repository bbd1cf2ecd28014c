"""Rebuilds `docs/mutation.md`: `python -m mutation.matrix` in `tests/`, or the tables of named topics only.

In: topics like `graph`. Out: the page, with one row for each planted bug and a column for each target; tables
of other topics stay as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mutation.mutants import MUTANTS, Mutant
from mutation.planting import Kill, harvest
from mutation.proving import ROOT, TARGETS

PAGE = ROOT / "docs" / "mutation.md"
HEADINGS = {
    "convolution": "Convolutions, pooling, resizing, order of elements",
    "normalisation": "Normalisation",
    "activation": "Activations and reductions",
    "attention": "Attention, masks, positions, embeddings",
    "recurrent": "Recurrent layers",
    "loss": "Losses, routing, samples",
    "graph": "Sums by index, codebooks, draws, slices",
    "sequence": "Selective state, relative positions, branches left out",
    "boxes": "Boxes",
}
TEXT = """# Planted bugs

The proof is only worth what it would catch. So the tests plant bugs in generated code, one at a time:
the mistakes that are made when a network is ported by hand (another epsilon, the other GELU, padding on
the other side, a gradient that stops). Each is planted in each target where it applies, in the file that
`dlc build` writes, and `dlc parity` then has to

1. fail for this target,
2. for the quantity that the bug is about: what is computed *forward*, the *state* that is stored, or
   only the *gradient*,
3. and name the line of the `.dl` file that the wrong code comes from; for code of the standard library
   the line that calls it.

{summary}

How to read a cell: **64** means that the float64 runs fail (limit {gate}), **32** that the float32 runs
fail too (they are judged against the noise that float32 must have, so a deviation that a float32 run
cannot show is not found there, and need not be). Then comes the largest relative deviation in float64.
Every cell is one run on the smallest sizes, with one seed, in the mode where the bug shows.

The bugs are in `tests/mutation/mutants/`, the networks that they are planted in in
`tests/mutation/specs/` and `specs/`. `python -m pytest tests/mutation` plants all of them, `-m sweep`
runs the right code over 20 seeds, and `cd tests && python -m mutation.matrix` rebuilds this page.
"""


def cell(kill: Kill | None) -> str:
    """What one target made of one bug."""
    if kill is None:
        return "does not apply"
    found = [name for name, dtype in (("64", "float64"), ("32", "float32")) if kill.failed(dtype)]
    if not found:
        return "**missed**" if not kill.errors else "**could not run**"
    line = "" if kill.right_line else f", **blames line {kill.line}**"
    kind = "" if kill.quantity == kill.mutant.quantity else f", **shows in {kill.quantity}**"
    size = "infinite" if kill.deviation == float("inf") else f"{kill.deviation:.0e}"
    return f"{' '.join(found)}, {size}{line}{kind}"


def row(mutant: Mutant, kills: Mapping[str, Kill]) -> str:
    """One bug."""
    line = mutant.place.path.read_text(encoding="utf-8").splitlines()[mutant.place.line_of(mutant.line) - 1]
    shown = line.strip().replace("|", "\\|")
    others = "".join(f" ({target}: `{snippet}`)" for target, snippet in mutant.lines.items())
    cells = " | ".join(cell(kills.get(target)) for target in TARGETS)
    return f"| {mutant.name}: {mutant.bug} | `{shown}`{others} | {mutant.quantity} | {cells} |"


def table(topic: str, found: Mapping[str, Mapping[str, Kill]]) -> str:
    """The table of a topic."""
    members = [mutant for mutant in MUTANTS if topic_of(mutant) == topic]
    lines = [
        f"## {HEADINGS[topic]}\n",
        f"| bug | line that is named | shows in | {' | '.join(TARGETS)} |",
        f"| --- | --- | --- | {' | '.join('---' for _ in TARGETS)} |",
        *(row(mutant, found[mutant.name]) for mutant in members),
    ]
    return "\n".join(lines)


def known_tables(page: str) -> dict[str, str]:
    """The tables of a page by topic."""
    parts = [f"## {part}".strip() for part in page.split("\n## ")[1:]]
    return {
        topic: part
        for topic, heading in HEADINGS.items()
        for part in parts
        if part.partition("\n")[0] == f"## {heading}"
    }


def topic_of(mutant: Mutant) -> str:
    """The file of specs that a bug is planted in; those of the repository's specs are with their like."""
    name = mutant.place.text.partition(":")[0]
    return {"vision/lenet5": "convolution", "language/gpt2": "attention"}.get(name, name)


def summary(made: Sequence[str]) -> str:
    """The score of all tables, in one paragraph."""
    rows = [line for text in made for line in text.splitlines()[4:]]
    cells = [cell for line in rows for cell in line.rstrip(" |").split(" | ")[-len(TARGETS) :]]
    planted = [cell for cell in cells if cell != "does not apply"]
    killed = sum(cell.startswith("64") for cell in planted)
    single = sum("32," in cell for cell in planted)
    right = sum(cell.startswith("64") and "**" not in cell for cell in planted)
    return (
        f"**{len(rows)} bugs, planted {len(planted)} times: {killed} found in float64 "
        f"({single} in float32 too), {right} with the right quantity and the right line.**"
    )


def build(topics: Sequence[str], page: str) -> tuple[str, bool]:
    """The page with new tables of some topics, and whether every bug of theirs was found."""
    chosen = [mutant for mutant in MUTANTS if topic_of(mutant) in topics]
    found: dict[str, dict[str, Kill]] = {mutant.name: {} for mutant in chosen}
    with harvest(("float64", "float32"), chosen) as planted:
        for (name, target), future in planted.items():
            found[name][target] = future.result()
            print(f"{name}, {target}", file=sys.stderr)
    kills = [kill for row_kills in found.values() for kill in row_kills.values()]
    tables = known_tables(page) | {topic: table(topic, found) for topic in topics}
    made = [tables[topic] for topic in HEADINGS]
    text = TEXT.format(summary=summary(made), gate="1e-10") + "\n" + "\n\n".join(made)
    return text, all(kill.failed("float64") and kill.right_line for kill in kills)


def main(topics: Sequence[str], page: Path = PAGE) -> int:
    """Writes the page; 1 where a bug was missed."""
    text, complete = build(topics or tuple(HEADINGS), page.read_text(encoding="utf-8"))
    page.write_text(text.rstrip() + "\n", encoding="utf-8")
    return 0 if complete else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
