"""Rebuilds `docs/mutation.md`: `python -m mutation.matrix` in `tests/`.

In: nothing. Out: the page, with one row for each planted bug and a column for each target.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
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
    size = "infinite" if kill.deviation == float("inf") else f"{kill.deviation:.0e}"
    return f"{' '.join(found)}, {size}{line}"


def row(mutant: Mutant, kills: Mapping[str, Kill]) -> str:
    """One bug."""
    line = mutant.place.path.read_text(encoding="utf-8").splitlines()[mutant.place.line_of(mutant.line) - 1]
    shown = line.strip().replace("|", "\\|")
    others = "".join(f" ({target}: `{snippet}`)" for target, snippet in mutant.lines.items())
    cells = " | ".join(cell(kills.get(target)) for target in TARGETS)
    return f"| {mutant.name}: {mutant.bug} | `{shown}`{others} | {mutant.quantity} | {cells} |"


def tables(found: Mapping[str, Mapping[str, Kill]]) -> Iterator[str]:
    """A table for each topic."""
    for topic, heading in HEADINGS.items():
        members = [mutant for mutant in MUTANTS if topic_of(mutant) == topic]
        yield f"## {heading}\n"
        yield f"| bug | line that is named | shows in | {' | '.join(TARGETS)} |"
        yield f"| --- | --- | --- | {' | '.join('---' for _ in TARGETS)} |"
        yield from (row(mutant, found[mutant.name]) for mutant in members)
        yield ""


def topic_of(mutant: Mutant) -> str:
    """The file of specs that a bug is planted in; those of the repository's specs are with their like."""
    name = mutant.place.text.partition(":")[0]
    return {"vision/lenet5": "convolution", "language/gpt2": "attention"}.get(name, name)


def summary(kills: Sequence[Kill]) -> str:
    """The score, in one paragraph."""
    killed = sum(kill.failed("float64") for kill in kills)
    single = sum(kill.failed("float32") for kill in kills)
    right = sum(kill.right_line and kill.quantity == kill.mutant.quantity for kill in kills)
    bugs = len({kill.mutant.name for kill in kills})
    return (
        f"**{bugs} bugs, planted {len(kills)} times: {killed} found in float64 ({single} in float32 too), "
        f"{right} with the right quantity and the right line.**"
    )


def build() -> tuple[str, bool]:
    """The page, and whether every bug was found."""
    found: dict[str, dict[str, Kill]] = {mutant.name: {} for mutant in MUTANTS}
    with harvest(("float64", "float32")) as planted:
        for (name, target), future in planted.items():
            found[name][target] = future.result()
            print(f"{name}, {target}", file=sys.stderr)
    kills = [kill for row_kills in found.values() for kill in row_kills.values()]
    page = TEXT.format(summary=summary(kills), gate="1e-10") + "\n" + "\n".join(tables(found))
    return page, all(kill.failed("float64") and kill.right_line for kill in kills)


def main(page: Path = PAGE) -> int:
    """Writes the page; 1 where a bug was missed."""
    text, complete = build()
    page.write_text(text.rstrip() + "\n", encoding="utf-8")
    return 0 if complete else 1


if __name__ == "__main__":
    raise SystemExit(main())
