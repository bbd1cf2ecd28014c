"""What a definition needs at run time: the mode, random numbers, states.

In: the definitions of a program. Out: `Flags`, transitive over calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from dlc.ir import (
    Branch,
    Call,
    Const,
    Definition,
    Expr,
    For,
    Node,
    Operation,
    Ref,
    Region,
    Sample,
    Scan,
    Update,
)


@dataclass(frozen=True, slots=True)
class Flags:
    """`training`: what it computes depends on the mode. `stateful`: it reads or updates states."""

    training: bool = False
    random: bool = False
    stateful: bool = False

    def __or__(self, other: Flags) -> Flags:
        return Flags(
            self.training or other.training,
            self.random or other.random,
            self.stateful or other.stateful,
        )


@dataclass(slots=True)
class FlagTable:
    """Flags by definition, computed once."""

    definitions: Mapping[str, Definition]
    known: dict[str, Flags] = field(default_factory=dict)

    def of(self, key: str) -> Flags:
        """The flags of one definition and everything it calls."""
        if key not in self.known:
            definition = self.definitions[key]
            states = any(weight.kind == "state" for weight in definition.weights)
            self.known[key] = Flags(stateful=states) | self._region(definition.body)
        return self.known[key]

    def of_all(self, keys: Iterable[str]) -> Flags:
        flags = Flags()
        for key in keys:
            flags |= self.of(key)
        return flags

    def _region(self, region: Region) -> Flags:
        flags = Flags()
        for node in nodes(region):
            match node:
                case Sample():
                    flags |= Flags(random=True)
                case Update():
                    flags |= Flags(training=True, stateful=True)
                case Branch(condition=condition) if by_mode(condition):
                    flags |= Flags(training=True)
                case Call(callee=callee):
                    flags |= self.of(callee)
        return flags


def nodes(region: Region) -> Iterator[Node]:
    """All nodes, those inside loops, branches and scans too."""
    for node in region:
        yield node
        match node:
            case For():
                for step in node.rounds:
                    yield from nodes(step.body)
            case Branch() | Scan():
                yield from nodes(node.body)


def by_mode(condition: Expr) -> bool:
    """Whether a condition turns out differently in training, all else being equal."""
    return _decided(condition) is None


def _decided(condition: Expr) -> object:
    """The value of a condition whatever the mode is; None where the mode decides."""
    match condition:
        case Ref(scope="training"):
            return None
        case Ref() | Const():
            return condition.value
        case Operation(op="not", args=(operand,)):
            inner = _decided(operand)
            return None if inner is None else not inner
        case Operation(op="and" | "or" as op, args=(left, right)):
            sides = (_decided(left), _decided(right))
            absorbing = op == "or"
            if absorbing in sides:
                return absorbing
            return None if None in sides else not absorbing
        case Operation(args=args, value=value):
            return None if any(_mentions_mode(argument) for argument in args) else value
    return None


def _mentions_mode(expr: Expr) -> bool:
    if isinstance(expr, Operation):
        return any(_mentions_mode(argument) for argument in expr.args)
    return isinstance(expr, Ref) and expr.scope == "training"
