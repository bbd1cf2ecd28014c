"""The zoo page: docs/zoo.md, its pictures and its figures, from the specs; and the table of README.md.

    python benchmarks/zoo.py                 # proves what is new or changed, and writes the page
    python benchmarks/zoo.py specs/vision/resnet.dl ...
    python benchmarks/zoo.py --all           # proves every spec again
    python benchmarks/zoo.py --page          # only writes the page and the pictures

Proving a spec takes about a minute: all targets, all seeds and sizes of its `parity` section, as
`dlc parity` does it. What was found is kept in docs/zoo.json after each spec, so a run that was broken
off goes on where it was. Exit code 1: a spec is not proved.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlc import api, dims
from dlc.api import Module, Net
from dlc.drawing.draw import draw
from dlc.size_text import short
from dlc_grammar import syntax

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "docs" / "zoo.json"
PAGE = ROOT / "docs" / "zoo.md"
README = ROOT / "README.md"
FIGURES = ROOT / "docs" / "figures"
TARGETS = ("torch", "jax", "keras")
SECONDS = 3600
FIELDS = {
    "basics": "Basics and tabular data",
    "vision": "Vision",
    "sequence": "Sequences",
    "language": "Language",
    "multimodal": "Images, speech and text",
    "generative": "Generative models",
    "graph": "Graphs",
    "reinforcement": "Reinforcement learning",
}
DRAWN = {"specs/vision/resnet.dl": "ResNet.r50"}
"""The network of a file that its picture shows; otherwise the first one with a known count."""

NO_MODEL = """basics/autoencoder basics/dlrm basics/mlp basics/perceptron basics/two_tower generative/dcgan
    generative/ddpm generative/vae generative/vqvae graph/gcn graph/mpnn reinforcement/actor_critic
    reinforcement/dqn sequence/seq2seq vision/face vision/lenet5 vision/style_transfer vision/unet
    vision/yolo"""
NO_REFERENCE = {
    f"specs/{name}.dl": "nobody: transformers, torch, torchvision and keras have no such model; the layers"
    " are compared with theirs one by one (`tests/backends`)"
    for name in NO_MODEL.split()
} | {
    "specs/vision/alexnet.dl": "nobody: torchvision's AlexNet is a later one, without groups and without"
    " normalisation over channels; the layers are compared one by one (`tests/backends`)",
}
"""Why a spec has nobody to be compared with."""

SHOWN = [
    *("specs/basics/mlp.dl", "specs/vision/lenet5.dl", "specs/vision/resnet.dl", "specs/vision/unet.dl"),
    *("specs/language/gpt2.dl", "specs/language/llama.dl", "specs/language/transformer.dl"),
    *("specs/sequence/bilstm_tagger.dl", "specs/generative/vae.dl"),
]
TABLE = re.compile(r"(<!-- figures: benchmarks/zoo.py -->\n)(.*?)(\n<!-- end -->)", re.DOTALL)

CITATION = re.compile(
    r"((?:van den |de )?[A-Z][\w'-]+(?:(?:, | & )[A-Z][\w'-]+)*(?: et al\.)?),? \(?((?:19|20)\d\d)"
    r'(?:, (arXiv:[\d.]+\d|"[^"]+"))?'
)


# ---------------------------------------------------------------- what a spec says


def specs() -> list[str]:
    """All specs, by field."""
    paths = [path.relative_to(ROOT).as_posix() for path in (ROOT / "specs").rglob("*.dl")]
    order = list(FIELDS)
    return sorted(paths, key=lambda path: (order.index(field_of(path)), path))


def field_of(spec: str) -> str:
    return spec.split("/")[1]


def header(text: str) -> str:
    """The comment at the top of a spec, as one line."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("##"):
            break
        lines.append(line.removeprefix("##").strip())
    return " ".join(line for line in lines if line)


def title(head: str) -> str:
    """What the network is: the first words of the header."""
    found = re.split(r" \(|: |, |\. |\.$| after | with | for | on ", head, maxsplit=1)[0]
    return (
        found.removeprefix("A ").removeprefix("An ").removeprefix("The ")[:1].upper()
        + (found.removeprefix("A ").removeprefix("An ").removeprefix("The ")[1:])
    )


def papers(head: str) -> str:
    """The citations of a header, with links where there is an arXiv number."""
    found = []
    for authors, year, where in CITATION.findall(head):
        text = f"{authors}, {year}"
        if where.startswith("arXiv:"):
            text = f"[{text}](https://arxiv.org/abs/{where.removeprefix('arXiv:')})"
        found.append(text)
    return "; ".join(dict.fromkeys(found)) or "textbook"


def digest(text: str) -> str:
    """Equal for two texts that differ in comments and white space only."""
    code = re.sub(r'("(?:\\.|[^"\\\n])*")|#[^\n]*', lambda m: m[1] or "", text)
    return hashlib.sha256("".join(code.split()).encode()).hexdigest()[:16]


def expected_counts(module: Module) -> dict[str, str]:
    """`expect param_count(Net.preset()) == 123`: the source of the number, by the name of the network."""
    found = {}
    for item in module.items(syntax.Expect):
        assert isinstance(item, syntax.Expect)
        value = item.value
        if not isinstance(value, syntax.Binary) or value.op != "==":
            continue
        call = re.fullmatch(r"param_count\(([\w.]+)\(\)\)", source(value.left))
        if call:
            found[call[1]] = source(value.right)
    return found


def source(node: syntax.Expr) -> str:
    span = node.span
    return "".join(span.source.text[span.start : span.stop].split())


def counts(module: Module) -> dict[str, int]:
    """The number of parameters of every network of a file."""
    return {label: net.param_count for label, net in module.nets.items()}


# ---------------------------------------------------------------- proofs


@dataclass
class Failed(Exception):
    """A spec that is not proved."""

    spec: str
    text: str

    def __str__(self) -> str:
        return f"{self.spec}: {self.text}"


def prove(spec: str) -> dict[str, Any]:
    """The figures of a spec, from `dlc parity --json`. Raises Failed."""
    command = [sys.executable, "-m", "dlc", "parity", spec, "--json", "-t", ",".join(TARGETS)]
    try:
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(spec, f"not done after {SECONDS} seconds") from None
    try:
        report = json.loads(run.stdout)
    except json.JSONDecodeError:
        raise Failed(spec, run.stderr.strip()[-2000:] or f"exit code {run.returncode}") from None
    if not report.get("ok"):
        raise Failed(spec, json.dumps(report.get("failures") or report.get("errors") or report)[:2000])
    return figures(report)


def figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """The worst figures of each target: deviation of gradients in float64, multiple of noise in float32."""
    targets = {}
    for target in TARGETS:
        name = f"{target}/cpu"
        exact = [
            row["cells"][name]["error"]
            for row in report["rows"]
            if row["dtype"] == "float64" and row["quantity"] == "gradient" and name in row["cells"]
        ]
        noise = [
            row["cells"][name]["noise_rms"] or 0.0
            for row in report["rows"]
            if row["dtype"] == "float32" and name in row["cells"]
        ]
        targets[target] = {"gradient": float(f"{max(exact):.1e}"), "noise": float(f"{max(noise):.2g}")}
    return {
        "programs": report["programs"],
        "comparisons": report["comparisons"],
        "targets": targets,
    }


def measure(chosen: Iterable[str], record: dict[str, Any], again: bool) -> list[Failed]:
    """Proves the specs whose figures are missing or old; the record is written after each."""
    failed = []
    for spec in chosen:
        text = (ROOT / spec).read_text(encoding="utf-8")
        known = record.get(spec)
        if known is not None and known["digest"] == digest(text) and not again:
            continue
        print(f"{spec} ...", flush=True)
        try:
            proof = prove(spec)
        except Failed as problem:
            print(f"  {problem}", flush=True)
            failed.append(problem)
            continue
        record[spec] = {"digest": digest(text), "parameters": counts(api.load(ROOT / spec)), "proof": proof}
        save(record)
        print(f"  {json.dumps(proof['targets'])}", flush=True)
    return failed


def read() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    return found


def save(record: Mapping[str, Any]) -> None:
    """Writes the record at once or not at all."""
    known = specs()
    text = json.dumps({spec: record[spec] for spec in known if spec in record}, indent=1) + "\n"
    part = RECORD.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, RECORD)


# ---------------------------------------------------------------- references


def references() -> dict[str, list[str]]:
    """The libraries that each spec is compared with, from the catalog of the reference tests."""
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        from reference.harness import catalog
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("reference"):
            raise
        return {}
    finally:
        sys.path.remove(str(ROOT / "tests"))
    found: dict[str, list[str]] = {}
    for _, each in catalog():
        found.setdefault(each.spec, []).append(f"{each.library}: {each.name}")
    return {spec: list(dict.fromkeys(names)) for spec, names in found.items()}


# ---------------------------------------------------------------- pictures


def drawn(spec: str, module: Module) -> Net:
    """The network that the picture of a spec shows."""
    label = DRAWN.get(spec) or next(iter(expected_counts(module)), next(iter(module.nets)))
    return module.nets[label]


def known_sizes(module: Module, net: Net) -> dict[str, int]:
    """The sizes of images in `expect shape(Net.preset(), image=[2, 3, 224, 224]) == ...`."""
    call = re.compile(rf"shape\({re.escape(net.label)}\(\),(.*)\)")
    definition = net.program.definitions[net.program.methods[0].eval]
    found: dict[str, int] = {}
    for item in module.items(syntax.Expect):
        assert isinstance(item, syntax.Expect)
        value = item.value
        match = call.fullmatch(source(value.left)) if isinstance(value, syntax.Binary) else None
        for name, numbers in re.findall(r"(\w+)=\[([\d,]+)\]", match[1]) if match else ():
            for given in definition.inputs:
                if given.name == name and given.tensor is not None and given.tensor.type.rank == 4:
                    axes = zip(given.tensor.type.sizes, map(int, numbers.split(",")), strict=True)
                    found |= {str(size): n for size, n in list(axes)[1:] if is_variable(size)}
    first = [item.tensor.type.sizes[0] for item in definition.inputs if item.tensor and item.tensor.type.rank]
    return {name: number for name, number in found.items() if name not in map(str, first)}


def is_variable(size: object) -> bool:
    return isinstance(size, dims.Dim) and str(size).isidentifier()


def picture(spec: str) -> str:
    """The SVG of a spec's network at its published size."""
    module = api.load(ROOT / spec)
    net = drawn(spec, module)
    return draw(net.program, net.program.methods[0].name, known_sizes(module, net))


def picture_path(spec: str) -> Path:
    return FIGURES / f"{Path(spec).stem}.svg"


def write_pictures(chosen: Iterable[str]) -> None:
    FIGURES.mkdir(exist_ok=True)
    for spec in chosen:
        picture_path(spec).write_text(picture(spec), encoding="utf-8")


# ---------------------------------------------------------------- the page


INTRODUCTION = """\
# The zoo

Every network of `specs/`, each compiled to PyTorch, JAX and Keras and proved. This page is written by
`python benchmarks/zoo.py` from the specs and [zoo.json](zoo.json), and a test keeps it up to date.

* **Parameters**: of each preset, and of the network with its defaults. A count that is published stands in
  the spec as an `expect`, which `dlc check` runs; it is **bold** here. Presets for proofs are left out.
* **torch, jax, keras**: the worst figures of `dlc parity` over all seeds and sizes of the spec, in evaluation
  and training mode: the largest deviation of a gradient from the float64 reference, run in float64 (limit
  1e-10), and the largest multiple of the predicted rounding noise, run in float32 (limit 6 for large
  tensors). See [how agreement is proved](parity.md).
* **Checked against**: implementations written by others, at the same weights (`tests/reference`).
"""


def page(record: Mapping[str, Any]) -> str:
    """The text of the page."""
    others = references()
    known = specs()
    parts = [INTRODUCTION]
    for field, name in FIELDS.items():
        mine = [spec for spec in known if field_of(spec) == field]
        if not mine:
            continue
        heads = ["network", "paper", "parameters", *TARGETS, "checked against", "picture"]
        lines = [f"## {name}\n", row(heads), row(["---"] * len(heads))]
        lines += [row(cells(spec, record.get(spec), others.get(spec, []))) for spec in mine]
        parts.append("\n".join(lines) + "\n")
    proved = [record[spec]["proof"] for spec in known if spec in record]
    total = sum(proof["comparisons"] for proof in proved)
    networks = sum(len(record[spec]["parameters"]) for spec in known if spec in record)
    parts.append(
        f"{len(proved)} of {len(known)} specs are proved, with {networks} networks and presets; "
        f"{total:,} tensors were compared.\n"
    )
    return "\n".join(parts)


def agreement(record: Mapping[str, Any]) -> str:
    """The table in README.md: the figures of a few specs that everybody knows."""
    heads = ["network", *(f"{target} f64" for target in TARGETS), *(f"{target} f32" for target in TARGETS)]
    lines = [row(heads), row(["---"] * len(heads))]
    for spec in SHOWN:
        figures = [record[spec]["proof"]["targets"][target] for target in TARGETS]
        name = title(header((ROOT / spec).read_text(encoding="utf-8")))
        exact, noise = zip(*(deviations(each) for each in figures), strict=True)
        lines.append(row([f"[{name}]({spec})", *exact, *noise]))
    return "\n".join(lines)


def with_agreement(text: str, record: Mapping[str, Any]) -> str:
    """The text of README.md with the table as it is now."""
    return TABLE.sub(lambda found: f"{found[1]}{agreement(record)}{found[3]}", text)


def deviations(figure: Mapping[str, float]) -> tuple[str, str]:
    return f"{figure['gradient']:.1e}", f"{figure['noise']:.2g}x"


def row(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def cells(spec: str, known: Mapping[str, Any] | None, others: list[str]) -> Iterator[str]:
    text = (ROOT / spec).read_text(encoding="utf-8")
    head = header(text)
    yield f"[{title(head)}](../{spec})"
    yield papers(head)
    if known is None:
        yield "not measured yet"
        yield from ["not measured yet"] * len(TARGETS)
    else:
        yield parameters(spec, known["parameters"])
        for target in TARGETS:
            yield ", ".join(deviations(known["proof"]["targets"][target]))
    yield ", ".join(others) or NO_REFERENCE.get(spec, "no reference yet")
    yield f"[svg](figures/{picture_path(spec).name})"


def parameters(spec: str, found: Mapping[str, int]) -> str:
    """`r18 **11.7M**, r34 **21.8M**`: what is expected in the file is bold."""
    module = api.load(ROOT / spec)
    expected = expected_counts(module)
    names = {label.partition(".")[0] for label in found}
    shown = []
    for label, count in found.items():
        net, _, preset = label.partition(".")
        if preset.startswith("tiny") and label not in expected and len(found) > 1:
            continue
        if not preset and label not in expected and any(other.startswith(f"{net}.") for other in expected):
            continue  # the defaults are one of the presets
        name = preset if len(names) == 1 else label
        number = short(count) if count >= 10**6 else f"{count:,}"
        number = f"**{number}**" if label in expected else number
        shown.append(f"{name} {number}" if name and len(found) > 1 else number)
    return ", ".join(shown)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("specs", nargs="*", help="only these")
    parser.add_argument("--all", action="store_true", help="prove again what is proved")
    parser.add_argument("--page", action="store_true", help="prove nothing")
    given = parser.parse_args()
    chosen = given.specs or specs()
    unknown = [spec for spec in chosen if spec not in specs()]
    if unknown:
        parser.error(f"no such spec: {', '.join(unknown)}")
    record = read()
    failed = [] if given.page else measure(chosen, record, given.all)
    save(record)
    write_pictures(chosen)
    PAGE.write_text(page(record), encoding="utf-8")
    README.write_text(with_agreement(README.read_text(encoding="utf-8"), record), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}; {len(failed)} not proved", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
