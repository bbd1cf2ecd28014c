"""Checkpoints of another library to our weights and back, tensor by tensor.

In: a `NameMap` and files. Out: files; or a DiagnosticError with everything that does not fit. Nothing is
written before all names, shapes, dtypes and ties are known to be right. The memory that is needed is that of
the largest tensor.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlc.modules import listed
from dlc.trouble import stop
from dlc.weights import layout as layouts
from dlc.weights.checkpoint import (
    BITS,
    INDEX,
    SINGLE,
    SIZES,
    Checkpoint,
    Planned,
    convert,
    in_order,
    misfits,
    open_checkpoint,
    open_checkpoints,
    read_header,
    shards,
    to_bits,
    write_tensors,
)
from dlc.weights.layout import Array
from dlc.weights.matching import Findings, match_checkpoint
from dlc.weights.name_map import NameMap
from dlc.writing import refuse, told, write_text, write_whole
from dlc_grammar.diagnostics import DiagnosticError


@dataclass(frozen=True)
class Converted:
    """What was written. `ignored`: tensors of theirs that were not read; `initial`: ours that got initial
    values; `tied`: copies of theirs that were found equal."""

    files: tuple[Path, ...]
    tensors: int
    numbers: int
    ignored: tuple[str, ...] = ()
    initial: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()


def import_weights(
    map: NameMap,
    checkpoint: Path | Sequence[Path],
    output: Path,
    *,
    dtype: str | None = None,
    seed: int = 0,
) -> Converted:
    """Writes our file of weights from a checkpoint of theirs. Raises DiagnosticError.

    `dtype`: F64, F32, F16 or BF16 for all tensors; without it each keeps its own. `seed` is for the initial
    values of what the checkpoint does not have.
    """
    paths = [checkpoint] if isinstance(checkpoint, Path) else checkpoint
    made = match_checkpoint(map, open_checkpoints(paths))
    check_output(output)
    common = dtype or next((made.stored(entry).dtype for entry in made.found), "F32")
    initial = set(made.initial)
    own = {path: common if path in initial else made.dtype(path) for path in map.weights}
    planned = [Planned(path, dtype or own[path], spec.shape) for path, spec in map.weights.items()]

    check_space(output, planned)

    def make(path: str) -> Array:
        if path in initial:
            return to_bits(draw_initial(map, path, seed), dtype or own[path])
        return convert(made.tensor(path), own[path], dtype or own[path])

    write_whole(output.resolve(), lambda file: write_tensors(file, planned, make))
    ties = tuple(made.found[entry] for entry in map.tied if entry in made.found)
    return Converted(
        (output,), len(planned), sum(math.prod(p.shape) for p in planned), made.ignored, made.initial, ties
    )


def draw_initial(map: NameMap, path: str, seed: int) -> np.ndarray[Any, Any]:
    from dlc.reference.sampling import draw, generator

    spec = map.weights[path]
    return np.asarray(draw(generator(seed, path), spec.init, spec.init_args, spec.shape))


def check_ours(map: NameMap, checkpoint: Checkpoint) -> None:
    """Our file holds our tensors. Raises DiagnosticError (E0801)."""
    problems = misfits(map.weights.values(), checkpoint)
    if problems:
        help = "`dlc view` shows the network; --set gives it other parameters"
        raise stop("E0801", f"{checkpoint.shown} does not fit `{map.net}`: {listed(problems, 3)}", help)


def export_weights(
    map: NameMap, weights: Path, output: Path, *, dtype: str | None = None, shard: int | None = None
) -> Converted:
    """Writes their checkpoint from our file of weights. Raises DiagnosticError.

    `shard`: the most bytes of a file; `output` is then a folder, as it may be without.
    """
    ours = open_checkpoint(weights)
    check_ours(map, ours)
    entries = {entry.names[0]: entry for entry in map.written if not map.is_dropped(entry.names[0])}
    zeros = {entry.names[0] for group in map.sums for entry in group[1:]}
    own, planned = dict[str, str](), []
    findings = Findings()
    for name, entry in entries.items():
        dtypes = list(dict.fromkeys(ours.tensors[path].dtype for path in entry.paths))
        if len(dtypes) > 1:
            text = f"their `{name}` is made of tensors of {' and '.join(dtypes)}"
            findings.add("E0814", text, entry, "give --dtype, or convert them")
        own[name] = dtypes[0]
        planned.append(Planned(name, dtype or dtypes[0], entry.layout.shape))
    if dtype is None:
        findings.stop()

    def make(name: str) -> Array:
        wanted = dtype or own[name]
        if name in zeros:
            return np.zeros(entries[name].layout.shape, BITS[SIZES[wanted]])
        return entries[name].layout.gather(
            lambda path: convert(ours.read(path), ours.tensors[path].dtype, wanted)
        )

    if shard is None:
        output = output / SINGLE if output.is_dir() else output
        check_output(output)
        check_space(output, planned)
        write_whole(output.resolve(), lambda file: write_tensors(file, planned, make))
        files: tuple[Path, ...] = (output,)
    else:
        files = write_shards(output, in_order(planned), make, shard)
    return Converted(files, len(planned), sum(math.prod(p.shape) for p in planned))


def write_shards(
    folder: Path, planned: list[Planned], make: Callable[[str], Array], most: int
) -> tuple[Path, ...]:
    """Writes shards, and last the index that makes them one checkpoint."""
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    groups = shards(planned, most)
    check_space(folder / INDEX, planned)
    if len(groups) <= 1:
        path = folder / SINGLE
        write_whole(path, lambda file: write_tensors(file, planned, make))
        return (path,)
    places: dict[str, str] = {}
    files = []
    try:
        for number, group in enumerate(groups, 1):
            path = folder / f"model-{number:05}-of-{len(groups):05}.safetensors"
            write_whole(path, lambda file, group=group: write_tensors(file, group, make))  # type: ignore[misc]
            places |= {tensor.name: path.name for tensor in group}
            files.append(path)
    except BaseException:
        for path in files:
            path.unlink(missing_ok=True)
        raise
    index = {
        "metadata": {"total_size": sum(tensor.size for tensor in planned)},
        "weight_map": dict(sorted(places.items())),
    }
    write_text(folder / INDEX, json.dumps(index, indent=2) + "\n")
    return (*files, folder / INDEX)


def check_output(path: Path) -> None:
    """Raises where something else than weights would be replaced."""
    if path.is_dir():
        raise refuse(f"`{path}` is a folder", "name a file in it")
    if path.exists():
        try:
            read_header(path)
        except DiagnosticError:
            text = f"`{path}` is not a file of weights and would be overwritten"
            raise refuse(text, "choose another name") from None


def check_space(output: Path, planned: Iterable[Planned]) -> None:
    """Raises where the output is larger than what is left of the disk."""
    folder = next(p for p in (output.absolute().parent, *output.absolute().parents) if p.is_dir())
    needed = sum(tensor.size for tensor in planned)
    if needed > shutil.disk_usage(folder).free:
        raise refuse(f"`{output}` would take {needed / 2**30:,.0f} GiB, more than the disk has left")


def to_theirs(map: NameMap, ours: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays by path of ours as arrays by name of theirs: gradients follow the layout of the weights.

    Every tensor of a sum gets the whole: that is its gradient.
    """
    return {
        entry.names[0]: np.ascontiguousarray(entry.layout.gather(ours.__getitem__))
        for entry in map.written
        if all(path in ours for path in entry.paths)
    }


def to_ours(map: NameMap, theirs: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """The inverse for arrays whose entries are all there; of a sum, the first is taken."""
    found: dict[str, np.ndarray[Any, Any]] = {}
    for entry in map.given:
        name = next((name for name in entry.names if name in theirs), None)
        if name is None:
            continue
        for leaf in entry.layout.leaves():
            found.setdefault(leaf.path, np.empty(leaf.shape, theirs[name].dtype))
        entry.layout.scatter(theirs[name], {path: found[path] for path in layouts.paths(entry.layout)})
    return found
