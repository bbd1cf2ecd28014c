"""`dlc build`: standalone code for one or several targets, and initial weights."""

from __future__ import annotations

import math
import shutil
from pathlib import Path, PurePath
from typing import Any

import click

from dlc import ir
from dlc.api import Net, paused_collector
from dlc.build import find_targets, generate_each, write_initial_weights
from dlc.cli.console import Stopwatch, align, plural, say, say_json, tell
from dlc.cli.verb import json_option, set_option, split_names, target_option, verb
from dlc.selecting import select
from dlc.writing import check_replaceable, inside, refuse, write_all, write_whole

WEIGHTS_SUFFIX = ".safetensors"


@click.command("build")
@click.argument("file", metavar="FILE[:NET]")
@target_option
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("."), metavar="DIR",
              help="The folder to write to.")  # fmt: skip
@click.option("--emit", type=click.Choice(["code", "ir"]), default="code", help="Code, or the typed program.")
@click.option(
    "--weights", metavar="NAME", help="Also write initial weights to NAME.safetensors in the folder."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="The seed of the initial weights.")
@click.option("--force", is_flag=True, help="Replace files that dlc did not generate.")
@set_option
@json_option
@verb
@paused_collector()
def command(
    file: str,
    targets: tuple[str, ...],
    output: Path,
    emit: str,
    weights: str | None,
    seed: int,
    force: bool,
    settings: tuple[str, ...],
    as_json: bool,
) -> int:
    """Generate standalone code for PyTorch, JAX and Keras."""
    watch = Stopwatch()
    if emit == "ir":
        return print_program(select(file, settings), as_json)
    backends = find_targets(split_names(targets))
    net = select(file, settings)
    texts: dict[PurePath, str] = {}
    made: dict[PurePath, str] = {}
    for backend, emitted in generate_each(net.program, backends):
        for name, text in emitted.files.items():
            texts[PurePath(name)], made[PurePath(name)] = text, backend.name
    place = weights_place(output, weights) if weights is not None else None
    if place is not None:
        check_space(place, net.program)
    paths = write_all(output, texts, force=force)
    rows = [
        {"path": str(path), "target": made[name], "lines": text.count("\n")}
        for path, (name, text) in zip(paths, texts.items(), strict=True)
    ]
    count = 0
    if place is not None:

        def fill(stream: Any) -> None:
            nonlocal count
            count = write_initial_weights(stream, net.program, seed)

        write_whole(place, fill)
    show(net, rows, str(place) if place else None, count, as_json)
    tell(f"Built {net.label} for {', '.join(b.name for b in backends)} in {watch}")
    return 0


def weights_place(output: Path, name: str) -> Path:
    """Where the weights go; a file of weights is replaced, another file is not."""
    pure = PurePath(name if name.endswith(WEIGHTS_SUFFIX) else name + WEIGHTS_SUFFIX)
    if output.is_dir():
        path = inside(output, pure)
    elif pure.is_absolute() or ".." in pure.parts:
        raise refuse(f"`{pure}` is outside of `{output}`", "name a file in the output folder")
    else:
        path = output / pure
    if path.is_dir():
        check_replaceable(path)
    return path


def check_space(place: Path, program: ir.Program) -> None:
    """Raises where the weights are larger than what is left of the disk."""
    folder = next(p for p in (place.absolute(), *place.absolute().parents) if p.is_dir())
    needed = 4 * sum(math.prod(spec.shape) for spec in program.weights)
    if needed > shutil.disk_usage(folder).free:
        raise refuse(f"`{place}` would take {needed / 2**30:,.0f} GiB, more than the disk has left")


def show(net: Net, rows: list[dict[str, Any]], weights: str | None, count: int, as_json: bool) -> None:
    if as_json:
        stored = None if weights is None else {"path": weights, "numbers": count}
        say_json({"ok": True, "net": net.label, "files": rows, "weights": stored})
        return
    lines = [(row["path"], plural(row["lines"], "line")) for row in rows]
    if weights is not None:
        lines.append((weights, plural(count, "number")))
    for line in align(lines, right=[1]):
        say(line)


def print_program(net: Net, as_json: bool) -> int:
    """The typed program, as text or as JSON."""
    program = net.program
    if as_json:
        from dlc.ir_json import to_json

        say(to_json(program, indent=2))
    else:
        say(str(program))
    return 0
