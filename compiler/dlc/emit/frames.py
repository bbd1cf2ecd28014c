"""The loops and `if`s around a place of the code that is being planned."""

from __future__ import annotations

from dataclasses import dataclass, field

from dlc.emit.forms import same
from dlc.emit.merge import Strand
from dlc.emit.plan import Column
from dlc.ir import Const, Expr, Operation, Value


@dataclass(slots=True)
class Frame:
    """An open loop: what of it the body uses."""

    number: int
    targets: tuple[str, ...]
    rounds: dict[tuple[str, tuple[tuple[int, int], ...]], int]
    iterable: Expr = field(default_factory=lambda: Const(value=()))
    columns: list[Column] = field(default_factory=list)
    tables: list[tuple[tuple[tuple[Value, ...], ...], str]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    used_static: set[str] = field(default_factory=set)

    @property
    def position(self) -> str | None:
        """The loop variable that counts the rounds from 0, if there is one."""
        match self.iterable:
            case Operation(op="range", args=(_,)) | Operation(op="enumerate", args=(_,)):
                return self.targets[0]
            case Const(value=tuple(rounds)) if rounds and same(rounds, tuple(range(len(rounds)))):
                return self.targets[0]
        return None

    @property
    def counter(self) -> str | None:
        """The loop variable that goes up or down by one each round, if there is one."""
        iterable = self.iterable
        if isinstance(iterable, Operation) and iterable.op == "reversed":
            iterable = iterable.args[0]
        if (
            isinstance(iterable, Operation)
            and iterable.op in ("range", "enumerate")
            and self.targets[0] != "_"
        ):
            return self.targets[0]
        return None

    def names(self) -> set[str]:
        return {*self.targets, *(column.name for column in self.columns)}


@dataclass(slots=True)
class Sides:
    """An open `if`: which strands took it."""

    condition: Expr
    taken: dict[Strand, bool]

    def of(self, strand: Strand | None) -> bool | None:
        while strand is not None:
            if strand in self.taken:
                return self.taken[strand]
            strand = strand.parent
        return None
