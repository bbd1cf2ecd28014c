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
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dlc.modules import listed, plural
from dlc.trouble import stop
from dlc.weights import layout as layouts
from dlc.weights.checkpoint import (
    BITS,
    INDEX,
    SINGLE,
    SIZES,
    Checkpoint,
    Planned,
    Stored,
    convert,
    in_order,
    misfits,
    numbers,
    open_checkpoint,
    open_checkpoints,
    read_header,
    shards,
    to_bits,
    write_tensors,
)
from dlc.weights.coverage import given_once, in_parts
from dlc.weights.layout import Array
from dlc.weights.name_map import Entry, NameMap
from dlc.writing import refuse, told, write_text, write_whole
from dlc_grammar.diagnostics import Diagnostic, DiagnosticError, Note

SHOWN = 3
"""Findings of a kind that are printed; the last one says how many there are."""


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


class Findings:
    """Diagnostics: one for each rule and kind, and not more of a kind than anyone reads."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, object], list[Diagnostic]] = {}

    def add(self, code: str, message: str, entry: Entry | None = None, help: str = "") -> None:
        span = entry.rule.theirs.span if entry else None
        made = Diagnostic(code, message, span, "this rule" if span else "", (), help)
        self.found.setdefault((code, entry.rule if entry else message), []).append(made)

    def stop(self) -> None:
        """Raises DiagnosticError if there are any."""
        by_code: dict[str, list[Diagnostic]] = {}
        for (code, _), (first, *rest) in self.found.items():
            note = Note(f"the same holds for {plural(len(rest), 'more tensor')} of this rule")
            by_code.setdefault(code, []).append(replace(first, notes=(note,)) if rest else first)
        shown: list[Diagnostic] = []
        for found in by_code.values():
            shown += found[:SHOWN]
            if len(found) > SHOWN:
                note = Note(f"there are {len(found) - SHOWN:,} more of this kind")
                shown[-1] = replace(shown[-1], notes=(*shown[-1].notes, note))
        if shown:
            raise DiagnosticError(shown)


def nearest(name: str, candidates: Iterable[str]) -> str:
    """The name most like another one, "" where none is."""
    import difflib

    return next(iter(difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.6)), "")


# ---------------------------------------------------------------- import


@dataclass(frozen=True)
class Import:
    """A checkpoint matched with a map: which tensor gives which entry."""

    map: NameMap
    checkpoint: Checkpoint
    found: Mapping[Entry, str]
    """The name in the checkpoint of each entry that is there."""
    ignored: tuple[str, ...]
    initial: tuple[str, ...]

    @cached_property
    def by_path(self) -> Mapping[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        for entry in self.map.written:
            if entry in self.found:
                for path in entry.paths:
                    found.setdefault(path, []).append(entry)
        return found

    def sources(self, path: str) -> Sequence[Entry]:
        """The entries that give one tensor of ours."""
        return self.by_path.get(path, ())

    def stored(self, entry: Entry) -> Stored:
        return self.checkpoint.tensors[self.found[entry]]

    def dtype(self, path: str) -> str:
        """The dtype in which their tensors give ours."""
        return next(self.stored(entry).dtype for entry in self.sources(path))


def match_checkpoint(map: NameMap, checkpoint: Checkpoint) -> Import:
    """Finds every tensor on both sides, or raises DiagnosticError with all that do not fit."""
    findings = Findings()
    here = {name for name in checkpoint.tensors if not map.is_dropped(name)}
    found = dict[Entry, str]()
    used = set[str]()
    absent: list[Entry] = []
    for entry in (*map.written, *map.tied):
        names = [name for name in entry.names if name in here]
        used.update(names)
        if len(names) > 1:
            both = " and ".join(f"`{name}`" for name in names)
            findings.add(
                "E0817", f"{checkpoint.shown} holds both {both}", entry, 'ignore one: ignore = ["..."]'
            )
        if names:
            found[entry] = names[0]
        elif entry.kind != "tied":
            absent.append(entry)
    left = [name for name in checkpoint.tensors if name not in used]
    unknown = [name for name in left if name in here and not map.is_ignored(name)]
    report_absent(map, checkpoint, absent, unknown, findings)
    report_unknown(map, checkpoint, absent, unknown, findings)
    for entry, name in found.items():
        check_tensor(map, checkpoint.tensors[name], entry, findings)
    findings.stop()
    ignored = tuple(left)
    given = {path for entry in found for path in entry.paths if entry.kind != "tied"}
    initial = tuple(path for path in map.weights if path not in given)
    made = Import(map, checkpoint, found, ignored, initial)
    check_dtypes(made, findings)
    check_parts(made, findings)
    findings.stop()
    check_ties(made, findings)
    findings.stop()
    return made


def report_absent(
    map: NameMap, checkpoint: Checkpoint, absent: list[Entry], unknown: list[str], findings: Findings
) -> None:
    for entry in absent:
        lost = [path for path in entry.paths if not map.may_be_missing(path)]
        if not lost:
            continue
        ours = "`" + "`, `".join(entry.paths) + "`"
        near = nearest(entry.names[0], unknown)
        help = f"did you mean their `{near}`?" if near else f'if they do not have it: missing = ["{lost[0]}"]'
        names = " or ".join(f"`{name}`" for name in entry.names)
        text = f"{checkpoint.shown} has no {names}, which holds {ours} of `{map.net}`"
        findings.add("E0812", text, entry, help)


def report_unknown(
    map: NameMap, checkpoint: Checkpoint, absent: list[Entry], unknown: list[str], findings: Findings
) -> None:
    wanted = [name for entry in absent for name in entry.names]
    for name in unknown:
        near = nearest(name, wanted)
        every = near or nearest(name, [n for entry in map.written for n in entry.names])
        help = f"did you mean `{every}`?" if every else f'if it is not needed: ignore = ["{name}"]'
        shown = checkpoint.tensors[name]
        text = f"no rule of `{map.name}` is about `{name}` ({shown}) of {checkpoint.shown}"
        findings.add("E0811", text, None, help)


def check_tensor(map: NameMap, stored: Stored, entry: Entry, findings: Findings) -> None:
    """The shape and dtype of one of theirs."""
    if stored.shape != entry.layout.shape:
        text = f"their `{stored.name}` is {list(stored.shape)}, but {made_of(map, entry)}"
        if list(stored.shape) == list(reversed(entry.layout.shape)) and len(stored.shape) == 2:
            help = "it looks transposed: write -> transpose, or remove it"
        else:
            help = "choose the preset of their size, or give parameters with --set"
        findings.add("E0813", text, entry, help)
    if not stored.is_float:
        text = f"their `{stored.name}` is {stored}, not a tensor of floating-point numbers"
        findings.add(
            "E0814", text, entry, "dlc reads F64, F32, F16 and BF16; quantized weights need another tool"
        )


def made_of(map: NameMap, entry: Entry) -> str:
    """What the network has in place of one tensor of theirs."""
    shape = list(entry.layout.shape)
    if isinstance(entry.layout, layouts.Leaf):
        return f"`{entry.layout.path}` of `{map.net}` is {shape}"
    ours = [f"`{path}` {list(map.weights[path].shape)}" for path in entry.paths]
    return f"`{map.net}` makes {shape} of {listed(ours, 4)}"


def check_dtypes(made: Import, findings: Findings) -> None:
    """What is given in parts has one dtype."""
    for path in made.map.weights:
        dtypes = {made.stored(entry).dtype: entry for entry in made.sources(path)}
        if len(dtypes) > 1:
            text = f"`{path}` is given in parts of {' and '.join(dtypes)}"
            findings.add("E0814", text, next(iter(dtypes.values())), "convert one of them")


def check_parts(made: Import, findings: Findings) -> None:
    """Tensors that are given in parts are given whole, and once."""
    for path, entries in in_parts(made.map).items():
        there = [entry for entry in entries if entry in made.found]
        if there and len(there) == len(entries) and not given_once(made.map, path, entries):
            findings.add("E0611", f"two rules give the same elements of `{path}`", entries[-1])
        elif there and len(there) < len(entries):
            lost = next(entry for entry in entries if entry not in made.found)
            text = f"{made.checkpoint.shown} gives only a part of `{path}`: it has no `{lost.names[0]}`"
            findings.add("E0812", text, lost)


def check_ties(made: Import, findings: Findings) -> None:
    """Copies must be equal to what they are copies of."""
    for entry in made.map.tied:
        if entry not in made.found:
            continue
        stored = made.stored(entry)
        if not all(made.sources(path) for path in entry.paths):
            continue
        ours = {path: np.asarray(tensor_of(made, path)) for path in entry.paths}
        whole = entry.layout.gather(ours.__getitem__)
        if any(made.dtype(path) != stored.dtype for path in entry.paths) or not np.array_equal(
            whole, made.checkpoint.read(stored.name)
        ):
            names = ", ".join(f"`{path}`" for path in entry.paths)
            text = f"their `{stored.name}` is not equal to {names}, to which it is tied"
            help = f'this checkpoint was not tied; ignore = ["{stored.name}"] drops it, and changes the model'
            findings.add("E0815", text, entry, help)


def tensor_of(made: Import, path: str) -> Array:
    """The bits of one tensor of ours; theirs themselves where they are the same."""
    sources = made.sources(path)
    if len(sources) == 1 and isinstance(sources[0].layout, layouts.Leaf) and sources[0].kind == "one":
        return made.checkpoint.read(made.found[sources[0]])
    shape = made.map.weights[path].shape
    dtype = made.dtype(path)
    if any(entry.kind == "sum" for entry in sources):
        wide = np.float64 if dtype == "F64" else np.float32
        total = np.zeros(shape, wide)
        for entry in sources:
            values = numbers(np.ascontiguousarray(made.checkpoint.read(made.found[entry])), dtype)
            entry.layout.scatter(values, {path: total}, add=True)
        return to_bits(total, dtype)
    bits = np.empty(shape, BITS[SIZES[dtype]])
    for entry in sources:
        entry.layout.scatter(made.checkpoint.read(made.found[entry]), {path: bits})
    return bits


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
        return convert(tensor_of(made, path), own[path], dtype or own[path])

    write_whole(output.resolve(), lambda file: write_tensors(file, planned, make))
    ties = tuple(made.found[entry] for entry in map.tied if entry in made.found)
    return Converted(
        (output,), len(planned), sum(math.prod(p.shape) for p in planned), made.ignored, made.initial, ties
    )


def draw_initial(map: NameMap, path: str, seed: int) -> np.ndarray[Any, Any]:
    from dlc.reference.sampling import draw, generator

    spec = map.weights[path]
    return np.asarray(draw(generator(seed, path), spec.init, spec.init_args, spec.shape))


# ---------------------------------------------------------------- export


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


# ---------------------------------------------------------------- arrays in memory


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
