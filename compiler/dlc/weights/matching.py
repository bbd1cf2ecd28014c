"""A map of names matched with a checkpoint of theirs.

In: a `NameMap` and the header of a checkpoint. Out: which tensor gives which entry, and our tensors made of
theirs; or a DiagnosticError with everything that does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from dlc.modules import listed, plural
from dlc.weights import layout as layouts
from dlc.weights.checkpoint import BITS, SIZES, Checkpoint, Stored, numbers, to_bits
from dlc.weights.coverage import given_once, in_parts
from dlc.weights.layout import Array
from dlc.weights.name_map import Entry, NameMap
from dlc_grammar.diagnostics import Diagnostic, DiagnosticError, Note

SHOWN = 3
"""Findings of a kind that are printed; the last one says how many there are."""


@dataclass(frozen=True)
class Matched:
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

    def tensor(self, path: str) -> Array:
        """The bits of one tensor of ours; theirs themselves where they are the same."""
        sources = self.sources(path)
        if len(sources) == 1 and isinstance(sources[0].layout, layouts.Leaf) and sources[0].kind == "one":
            return self.checkpoint.read(self.found[sources[0]])
        shape = self.map.weights[path].shape
        dtype = self.dtype(path)
        if any(entry.kind == "sum" for entry in sources):
            wide = np.float64 if dtype == "F64" else np.float32
            total = np.zeros(shape, wide)
            for entry in sources:
                values = numbers(np.ascontiguousarray(self.checkpoint.read(self.found[entry])), dtype)
                entry.layout.scatter(values, {path: total}, add=True)
            return to_bits(total, dtype)
        bits = np.empty(shape, BITS[SIZES[dtype]])
        for entry in sources:
            entry.layout.scatter(self.checkpoint.read(self.found[entry]), {path: bits})
        return bits


def match_checkpoint(map: NameMap, checkpoint: Checkpoint) -> Matched:
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
    made = Matched(map, checkpoint, found, ignored, initial)
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


def check_dtypes(made: Matched, findings: Findings) -> None:
    """What is given in parts has one dtype."""
    for path in made.map.weights:
        dtypes = {made.stored(entry).dtype: entry for entry in made.sources(path)}
        if len(dtypes) > 1:
            text = f"`{path}` is given in parts of {' and '.join(dtypes)}"
            findings.add("E0814", text, next(iter(dtypes.values())), "convert one of them")


def check_parts(made: Matched, findings: Findings) -> None:
    """Tensors that are given in parts are given whole, and once."""
    for path, entries in in_parts(made.map).items():
        there = [entry for entry in entries if entry in made.found]
        if there and len(there) == len(entries) and not given_once(made.map, path, entries):
            findings.add("E0611", f"two rules give the same elements of `{path}`", entries[-1])
        elif there and len(there) < len(entries):
            lost = next(entry for entry in entries if entry not in made.found)
            text = f"{made.checkpoint.shown} gives only a part of `{path}`: it has no `{lost.names[0]}`"
            findings.add("E0812", text, lost)


def check_ties(made: Matched, findings: Findings) -> None:
    """Copies must be equal to what they are copies of."""
    for entry in made.map.tied:
        if entry not in made.found:
            continue
        stored = made.stored(entry)
        if not all(made.sources(path) for path in entry.paths):
            continue
        ours = {path: np.asarray(made.tensor(path)) for path in entry.paths}
        whole = entry.layout.gather(ours.__getitem__)
        if any(made.dtype(path) != stored.dtype for path in entry.paths) or not np.array_equal(
            whole, made.checkpoint.read(stored.name)
        ):
            names = ", ".join(f"`{path}`" for path in entry.paths)
            text = f"their `{stored.name}` is not equal to {names}, to which it is tied"
            help = f'this checkpoint was not tied; ignore = ["{stored.name}"] drops it, and changes the model'
            findings.add("E0815", text, entry, help)


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
