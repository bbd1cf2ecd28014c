"""Where the rounds of a definition's compile-time loops are.

In: a definition. Out: for each round, by the scope of its variables, its loop and what is around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dlc.ir import Branch, Const, Definition, Expr, For, Operation, Ref, Region


@dataclass(frozen=True, slots=True)
class Place:
    """One round: its loop, whether it is the last one, and the scopes of the rounds around."""

    loop: For
    last: bool
    around: frozenset[str]


def rounds_of(definition: Definition) -> dict[str, Place]:
    """The rounds of a definition by scope."""
    return _found(_Same(definition))[0]


def loop_lengths(definition: Definition) -> frozenset[str]:
    """The parameters that say how many rounds a loop has: `depth` of `range(depth)`."""
    return _found(_Same(definition))[1]


def walked_names(loops: Sequence[For]) -> tuple[str, ...]:
    """The loop variables that a loop's iterable binds, in order: those that are tensors or layers are not."""
    known = {name for loop in loops for step in loop.rounds for name in step.variables}
    return tuple(name for name in loops[0].targets if name in known or name == "_") or ("_",)


@dataclass(frozen=True, slots=True)
class _Same:
    """A definition as a key: itself, not an equal one (which would be expensive to compare)."""

    definition: Definition

    def __hash__(self) -> int:
        return id(self.definition)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.definition is self.definition


@lru_cache(maxsize=4096)
def _found(key: _Same) -> tuple[dict[str, Place], frozenset[str]]:
    places: dict[str, Place] = {}
    lengths: set[str] = set()
    for loop, around in _loops(key.definition.body, frozenset()):
        lengths |= _lengths(loop.iterable)
        for number, step in enumerate(loop.rounds):
            last = number == len(loop.rounds) - 1
            for variable in step.variables.values():
                places[variable.scope] = Place(loop, last, around)
    return places, frozenset(lengths)


def _loops(region: Region, around: frozenset[str]) -> Iterator[tuple[For, frozenset[str]]]:
    for node in region:
        match node:
            case Branch():
                yield from _loops(node.body, around)
            case For():
                yield node, around
                for step in node.rounds:
                    inside = around | {variable.scope for variable in step.variables.values()}
                    yield from _loops(step.body, inside)


def _lengths(iterable: Expr) -> set[str]:
    match iterable:
        case Operation(op="range", args=args):
            return {arg.name for arg in args if isinstance(arg, Ref) and arg.scope == ""}
        case Operation(op="enumerate" | "reversed" | "zip", args=args):
            return {name for arg in args if not isinstance(arg, Const) for name in _lengths(arg)}
    return set()
