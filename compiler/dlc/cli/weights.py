"""`dlc import weights` and `dlc export weights`: checkpoints of other libraries to ours and back."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import click

from dlc.api import Net
from dlc.cli.console import Stopwatch, align, plural, say, say_json, tell
from dlc.cli.verb import Function, json_option, set_option, verb
from dlc.modules import listed
from dlc.selecting import Argument, load_argument, select
from dlc.trouble import stop
from dlc.weights.checkpoint import NAMES, open_checkpoints
from dlc.weights.convert import Converted, export_weights, import_weights
from dlc.weights.maps import find_map
from dlc.weights.matching import match_checkpoint
from dlc.weights.name_map import NameMap
from dlc.weights.rules import Pattern
from dlc_grammar.diagnostics import DiagnosticError

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@click.group("import")
def import_group() -> None:
    """Turn what another library wrote into ours."""


@click.group("export")
def export_group() -> None:
    """Turn ours into what another library reads."""


def common_options(function: Function) -> Function:
    """What both directions take."""
    options = (
        click.option("--map", "name", metavar="NAME",
                     help="The map of names: a `load` section of the file, or FILE.dl:NAME of another."),
        click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="PATH",
                     help="The file to write."),
        click.option("--dtype", type=click.Choice(list(NAMES)), help="Convert all tensors; else kept as is."),
        click.option("--ignore", multiple=True, metavar="PATTERN", help="Tensors of theirs to leave out."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@import_group.command("weights")
@click.argument("file", metavar="FILE[:NET]")
@click.argument("checkpoint", nargs=-1, required=True, type=click.Path(path_type=Path))
@common_options
@click.option(
    "--missing", multiple=True, metavar="PATTERN", help="Weights of ours that may get initial values."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="The seed of initial values.")
@set_option
@json_option
@verb
def import_command(
    file: str,
    checkpoint: tuple[Path, ...],
    name: str | None,
    output: Path,
    dtype: str | None,
    ignore: tuple[str, ...],
    missing: tuple[str, ...],
    seed: int,
    settings: tuple[str, ...],
    as_json: bool,
) -> int:
    """Make our file of weights from a checkpoint of another library.

    CHECKPOINT is a safetensors file, several that are one together, an index of shards, or a folder that
    holds one.
    """
    watch = Stopwatch()
    net = select(file, settings)
    map = widened(chosen_map(net, name), ignore, missing)
    try:
        made = import_weights(map, checkpoint, output, dtype=NAMES.get(dtype or ""), seed=seed)
    except DiagnosticError as error:
        raise with_fitting_preset(error, net, map, checkpoint) from None
    show(net, map, made, as_json)
    tell(f"Imported {net.label} in {watch}")
    return 0


@export_group.command("weights")
@click.argument("file", metavar="FILE[:NET]")
@click.argument("weights", type=click.Path(path_type=Path))
@common_options
@click.option(
    "--shard-size", metavar="SIZE", help="Several files of at most this, such as 5GB; PATH is a folder."
)
@set_option
@json_option
@verb
def export_command(
    file: str,
    weights: Path,
    name: str | None,
    output: Path,
    dtype: str | None,
    ignore: tuple[str, ...],
    shard_size: str | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> int:
    """Make a checkpoint of another library from our file of weights."""
    watch = Stopwatch()
    most = None if shard_size is None else size(shard_size)
    net = select(file, settings)
    map = widened(chosen_map(net, name), ignore, ())
    made = export_weights(map, weights, output, dtype=NAMES.get(dtype or ""), shard=most)
    show(net, map, made, as_json)
    tell(f"Exported {net.label} in {watch}")
    return 0


def size(text: str) -> int:
    """`5GB` in bytes."""
    found = re.fullmatch(r"(\d{1,12}) ?([A-Za-z]*)", text)
    if found is None or found[2].upper() not in UNITS or not int(found[1]):
        raise stop("E0122", f"`{text}` is not a size", "write for example --shard-size 5GB")
    return int(found[1]) * UNITS[found[2].upper()]


def chosen_map(net: Net, name: str | None) -> NameMap:
    """The map that `--map` names. Raises DiagnosticError."""
    if name is None or not name.partition(":")[0].endswith(".dl"):
        return find_map(net, name)
    path, _, label = name.partition(":")
    return find_map(net, label or None, load_argument(Argument(path)))


def widened(map: NameMap, ignore: tuple[str, ...], missing: tuple[str, ...]) -> NameMap:
    """With the patterns of the command line."""
    more = tuple(Pattern.of(text) for text in ignore), tuple(Pattern.of(text) for text in missing)
    return replace(map, dropped=map.dropped + more[0], missing=map.missing + more[1])


def with_fitting_preset(
    error: DiagnosticError, net: Net, map: NameMap, checkpoint: tuple[Path, ...]
) -> DiagnosticError:
    """The same error; where the checkpoint is one of another preset, the help says which."""
    first, *rest = error.diagnostics
    if first.code not in ("E0812", "E0813"):
        return error
    for other in net.module.nets.values():
        if other.block.declaration is not net.block.declaration or other.label == net.label:
            continue
        try:
            made = replace(find_map(other, map.name), dropped=map.dropped, missing=map.missing)
            match_checkpoint(made, open_checkpoints(checkpoint))
        except DiagnosticError:
            continue
        help = f"it fits `{other.label}`: write {net.module.loaded.name}:{other.label}"
        return DiagnosticError([replace(first, help=help), *rest])
    return error


def show(net: Net, map: NameMap, made: Converted, as_json: bool) -> None:
    if as_json:
        say_json(
            {
                "ok": True,
                "net": net.label,
                "map": map.name,
                "files": [str(path) for path in made.files],
                "tensors": made.tensors,
                "numbers": made.numbers,
                "ignored": list(made.ignored),
                "initial": list(made.initial),
                "tied": list(made.tied),
            }
        )
        return
    counts = f"{plural(made.tensors, 'tensor')}, {plural(made.numbers, 'number')}"
    rows = [(str(path), counts if not number else "") for number, path in enumerate(made.files)]
    for line in align(rows):
        say(line)
    for title, names in (("ignored", made.ignored), ("initial values", made.initial), ("tied", made.tied)):
        if names:
            say(f"  {title}: {listed(names)}")
