"""The rules of a section applied to one network.

In: `Rules` and a network. Out: a `NameMap`, with one `Entry` for each tensor of theirs; or diagnostics.
Everything that does not depend on a checkpoint is decided here, so `dlc check` knows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from dlc.api import Module, Net
from dlc.elaborate.failure import Failed
from dlc.weights.coverage import check_whole
from dlc.weights.layout_expressions import LayoutReader
from dlc.weights.name_map import Entry, NameMap
from dlc.weights.names import Value, captures, fill, match
from dlc.weights.rules import Rule, Rules, bad_layout, subscripted
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic

MOST_ENTRIES = 200_000


@dataclass(frozen=True)
class Applied:
    """What rules say about a network. `used`: the rules and patterns that select something of it."""

    map: NameMap
    used: set[object]
    diagnostics: list[Diagnostic]
    """What is wrong with the rules in this network; `Rules` has what is wrong with them in any."""


def apply_rules(rules: Rules, net: Net, module: Module) -> Applied:
    """The map that rules of a module are for a network; what is wrong with a rule is reported."""
    reader = LayoutReader(net, module, rules.templates)
    numbers = count(1)
    entries: list[Entry] = []
    used = set[object]()
    diagnostics: list[Diagnostic] = []
    for rule in rules.rules:
        try:
            found = list(_entries(rule, reader, numbers))
        except Failed as failed:
            diagnostics += [failed.diagnostic] if failed.diagnostic else []
            used.add(rule)
            continue
        if found:
            used.add(rule)
        entries += found
    used.update(pattern for pattern in rules.missing if any(map(pattern.matches, reader.weights)))
    made = _assembled(entries, rules, reader)
    if not diagnostics and not rules.diagnostics:
        diagnostics = check_whole(made, rules.section)
    return Applied(made, used, diagnostics)


def _assembled(entries: list[Entry], rules: Rules, reader: LayoutReader) -> NameMap:
    sums: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.kind == "sum":
            sums.setdefault(repr(entry.layout), []).append(entry)
    return NameMap(
        name=rules.name,
        net=reader.net.label,
        weights=reader.weights,
        entries=tuple(entry for entry in entries if entry.kind == "one"),
        tied=tuple(entry for entry in entries if entry.kind == "tied"),
        sums=tuple(map(tuple, sums.values())),
        ignore=rules.ignore,
        missing=rules.missing,
    )


def _entries(rule: Rule, reader: LayoutReader, numbers: Iterator[int]) -> Iterator[Entry]:
    """One for each binding of a rule's captures. Raises Failed."""
    for scope in _bindings(rule, reader):
        names = fill(rule.theirs, scope, reader.fill_hole)
        if next(numbers) > MOST_ENTRIES:
            raise bad_layout(rule.theirs.span, f"the map has more than {MOST_ENTRIES:,} tensors")
        yield Entry(names, reader.read(rule.ours, scope), rule)


def _bindings(rule: Rule, reader: LayoutReader) -> list[dict[str, Value]]:
    """The captures of a rule: its names of ours are matched from left to right."""
    found: list[dict[str, Value]] = [{}]
    for number, (template, local) in enumerate(reader.occurrences(rule.ours, {})):
        extended: list[dict[str, Value]] = []
        for scope in found:
            known = {**scope, **local}
            matches = list(match(template, known, reader.weights, reader.fill_hole))
            if not matches and number and not captures(template, known):
                raise reader.not_there(template, known)
            extended += [{**scope, **more} for _, more in matches]
        found = extended
    for node in subscripted(rule.ours):
        found = [more for scope in found for more in _along_axes(node, scope, reader)]
    return found


def _along_axes(
    node: syntax.Index, scope: dict[str, Value], reader: LayoutReader
) -> Iterator[dict[str, Value]]:
    """A subscript that is a new name runs over its axis."""
    free = [
        (axis, subscript.id)
        for axis, subscript in enumerate(node.subscripts)
        if isinstance(subscript, syntax.Name) and not reader.is_known(subscript.id, scope)
    ]
    if not free:
        yield scope
        return
    shape = reader.read(node.value, scope).shape
    found = [scope]
    for axis, name in free:
        if axis >= len(shape) or any(isinstance(s, syntax.Ellipsis_) for s in node.subscripts[:axis]):
            raise bad_layout(node.span, f"`{name}` is not the subscript of an axis of {list(shape)}")
        found = [{**each, name: number} for each in found for number in range(shape[axis])]
    yield from found
