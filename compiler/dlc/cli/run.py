"""`dlc run`: one forward pass, in one target or in the float64 reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dlc.build import find_target
from dlc.cli.console import Stopwatch, align, say, say_json, tell
from dlc.cli.verb import json_option, set_option, verb
from dlc.forward import (
    Array,
    Request,
    check_inputs,
    check_sizes,
    first_numbers,
    fresh_weights,
    read_array,
    read_weights,
    run_reference,
    run_target,
    summarise,
)
from dlc.selecting import select
from dlc.trouble import stop
from dlc.writing import write_whole

REFERENCE = "reference"


@click.command("run")
@click.argument("file", metavar="FILE[:NET]")
@click.option(
    "-t", "--target", default=REFERENCE, show_default=True, help="A target, or the float64 reference."
)
@click.option(
    "--input", "inputs", multiple=True, metavar="NAME=FILE.npy", help="An input; needed for each one."
)
@click.option("--weights", type=click.Path(path_type=Path), help="A safetensors file; else initial weights.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, help="The seed of initial weights and samples."
)
@click.option("--method", default=None, help="The method to run, forward by default.")
@click.option(
    "--dtype", type=click.Choice(["float32", "float64"]), default="float32", help="The dtype of a target."
)
@click.option("--device", default="cpu", help="cpu or cuda.")
@click.option(
    "--keras-backend", type=click.Choice(["tensorflow", "jax", "torch"]), help="What Keras runs on."
)
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="DIR", help="Save the outputs as .npy files."
)
@set_option
@json_option
@verb
def command(
    file: str,
    target: str,
    inputs: tuple[str, ...],
    weights: Path | None,
    seed: int,
    method: str | None,
    dtype: str,
    device: str,
    keras_backend: str | None,
    output: Path | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> int:
    """Run one forward pass in one target."""
    watch = Stopwatch()
    backend = None if target == REFERENCE else find_target(target)
    net = select(file, settings)
    program = net.program
    names = [m.name for m in program.methods]
    chosen = method or names[0]
    if chosen not in names:
        raise stop("E0101", f"`{net.label}` has no method `{chosen}`", f"its methods are {', '.join(names)}")
    definition = program.definition(chosen)
    arrays = check_inputs(definition, {n: read_array(p) for n, p in split_inputs(inputs).items()})
    check_sizes(program, definition, arrays)
    stored = read_weights(program, weights) if weights is not None else fresh_weights(program, seed)
    request = Request(program, chosen, arrays, stored, seed)
    if backend is None:
        results = run_reference(request)
    else:
        results = run_target(request, backend, device, dtype, keras_backend)
    found = dict(zip(request.output_names, results, strict=True))
    saved = save(found, output) if output is not None else {}
    show(net.label, target, found, saved, as_json)
    tell(f"Ran {net.label} in {target} in {watch}")
    return 0


def split_inputs(texts: tuple[str, ...]) -> dict[str, Path]:
    """`x=a.npy` as names and paths."""
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise stop("E0802", f"`{text}` is not an input", "write for example --input x=x.npy")
        if name in found:
            raise stop("E0802", f"input `{name}` is given twice", "remove one")
        found[name] = Path(path)
    return found


def save(found: dict[str, Array], folder: Path) -> dict[str, str]:
    """Writes every output as `NAME.npy`; gives the paths."""
    import numpy as np

    paths = {}
    for name, array in found.items():
        path = folder / f"{name}.npy"
        write_whole(path, lambda file, array=array: np.save(file, array, allow_pickle=False))  # type: ignore[misc]
        paths[name] = str(path)
    return paths


def show(label: str, target: str, found: dict[str, Array], saved: dict[str, str], as_json: bool) -> None:
    if as_json:
        outputs = [
            {"name": name, **summarise(a), "first": first_numbers(a), "path": saved.get(name)}
            for name, a in found.items()
        ]
        say_json({"ok": True, "net": label, "target": target, "outputs": outputs})
        return
    rows = []
    for name, array in found.items():
        facts = summarise(array)
        shape = f"{facts['dtype']}[{', '.join(map(str, facts['shape']))}]"
        rows.append((name, shape, _range(facts), _few(array), saved.get(name, "")))
    for line in align(rows):
        say(line)


def _range(facts: dict[str, Any]) -> str:
    if "true" in facts:
        return f"{facts['true']} true"
    if "mean" not in facts:
        return "no finite number" if facts.get("not_finite") else "empty"
    text = f"{facts['min']:.4g} to {facts['max']:.4g}, mean {facts['mean']:.4g}, std {facts['std']:.4g}"
    return text + (f", {facts['not_finite']} not finite" if facts["not_finite"] else "")


def _few(array: Array) -> str:
    shown = [f"{v:.5g}" if isinstance(v, float) else str(v) for v in first_numbers(array)]
    return f"[{' '.join(shown)}{' ...' if array.size > len(shown) else ''}]"
