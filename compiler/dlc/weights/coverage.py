"""Whether a map is whole: every tensor of theirs has a name of its own, and every one of ours is given once.

In: a `NameMap`. Out: what is wrong with it as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from dlc.modules import listed
from dlc.weights import layout as layouts
from dlc.weights.name_map import Entry, NameMap
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic, Note

COUNTED = 1 << 20
"""Tensors up to this size are checked element by element while reading the map."""


def check_whole(map: NameMap, section: syntax.Section) -> list[Diagnostic]:
    """What is wrong with a map that a section says; elements are only looked at where all else is right."""
    found = (_named_twice(map), _given_wrongly(map, section))
    wrong = [diagnostic for diagnostic in found if diagnostic is not None]
    overlap = None if wrong else _overlap(map)
    return wrong if overlap is None else [overlap]


def _named_twice(map: NameMap) -> Diagnostic | None:
    """Two tensors of theirs have one name."""
    seen: dict[str, Entry] = {}
    for entry in (*map.written, *map.tied):
        for name in entry.names:
            if name in seen:
                return _one_name(map, entry, seen[name], name)
            seen[name] = entry
    return None


def _one_name(map: NameMap, entry: Entry, first: Entry, name: str) -> Diagnostic:
    span = entry.rule.theirs.span
    if first.rule is entry.rule:
        both = " and ".join(f"`{each.paths[0]}`" for each in (first, entry))
        text = f"{both} have one name, `{name}`"
        help = "use every capture of the right side on the left"
        return Diagnostic("E0611", text, span, "in this rule", (), help)
    text = f"two rules of `{map.name}` are about their `{name}`"
    note = Note("and here", first.rule.theirs.span)
    return Diagnostic("E0611", text, span, "named again", (note,), "remove one of the two")


def _given_wrongly(map: NameMap, section: syntax.Section) -> Diagnostic | None:
    """A tensor of ours is given more than once, or not at all, counted in elements."""
    given = dict.fromkeys(map.weights, 0)
    source: dict[str, Entry] = {}
    for entry in map.given:
        for path, size in layouts.volumes(entry.layout).items():
            given[path] += size
            if given[path] > math.prod(map.weights[path].shape):
                return _twice(map, entry, source.get(path, entry), path)
            source[path] = entry
    lost = [
        path
        for path, spec in map.weights.items()
        if given[path] < math.prod(spec.shape) and not (map.may_be_missing(path) and not given[path])
    ]
    if not lost:
        return None
    path, *others = lost
    part = "only a part of" if given[path] else "nothing of"
    text = f"the map `{map.name}` gives {part} `{path}` of `{map.net}`"
    notes = (Note(f"the same holds for {listed(others)}"),) if others else ()
    help = f'add "their.name" = "{path}", or missing = ["{path}"] where they do not have it'
    return Diagnostic("E0610", text, section.name.span, "in this section", notes, help)


def _overlap(map: NameMap) -> Diagnostic | None:
    """A small tensor is given in parts that are not its elements, each once."""
    for path, parts in in_parts(map).items():
        if math.prod(map.weights[path].shape) <= COUNTED and not given_once(map, path, parts):
            return _twice(map, parts[-1], parts[0], path)
    return None


def _twice(map: NameMap, entry: Entry, first: Entry, path: str) -> Diagnostic:
    text = f"two rules of `{map.name}` give `{path}`"
    notes = (Note("and here", first.rule.theirs.span),) if first.rule is not entry.rule else ()
    help = "give each weight once; a copy of theirs belongs into tied { }"
    return Diagnostic("E0611", text, entry.rule.theirs.span, "given again", notes, help)


def in_parts(map: NameMap) -> dict[str, list[Entry]]:
    """The tensors of ours that are given in several pieces, with the entries that give them."""
    found: dict[str, list[Entry]] = {}
    for entry in map.given:
        for path, size in layouts.volumes(entry.layout).items():
            if size < math.prod(map.weights[path].shape):
                found.setdefault(path, []).append(entry)
    return found


def given_once(map: NameMap, path: str, parts: Iterable[Entry]) -> bool:
    """Whether entries give every element of a tensor exactly once."""
    import numpy as np

    counts = {path: np.zeros(map.weights[path].shape, np.uint8)}
    one = np.ones((), np.uint8)
    for entry in parts:
        entry.layout.scatter(np.broadcast_to(one, entry.layout.shape), counts, add=True)
    return bool((counts[path] == 1).all())
