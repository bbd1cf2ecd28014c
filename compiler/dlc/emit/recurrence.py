"""Sizes that each round of a loop computes from the round before, as a function of the file.

In: the expression of one size at every visit of one place of the text; each loop variable in it says of
which round it is. Out: how the size starts and what every round makes of it:

    def stage_channels(width: int, depths: tuple[int, ...]) -> list[list[int]]:
        channels = width
        ...
        for i, depth in enumerate(depths):
            for _ in range(depth):
                row.append(channels)
                channels = width * 2**i
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from dlc import statics
from dlc.emit.evaluation import evaluated
from dlc.emit.forms import ARITHMETIC, named_values, same, same_form, simplified, skeleton
from dlc.emit.formulas import remainder
from dlc.emit.merge import Strand
from dlc.ir import Const, Expr, Operation, Ref, Value

RUNNING = "running"
"""The scope of the reference to the size itself."""
RawKey: TypeAlias = tuple[object, ...]
Chain: TypeAlias = tuple[tuple[int, int], ...]
Express: TypeAlias = Callable[[Expr, Strand, Mapping[RawKey, tuple[Expr, Expr]]], Expr | None]
"""An expression in the names that a strand sees, with replacements; None where it sees too little."""
Look: TypeAlias = Literal["whole", "part", "step"]
ValueOf: TypeAlias = Callable[[tuple[str, str], Strand], Value]


@dataclass(frozen=True, slots=True)
class Visit:
    """The size at one place in one strand."""

    strand: Strand
    size: Expr


@dataclass(frozen=True, slots=True)
class Recurrence:
    """`start`, and for each loop from the outermost inwards what the end of its round makes of the size."""

    start: Expr
    updates: tuple[Expr | None, ...]


def raw_key(expr: Expr) -> RawKey:
    """Equal for equal expressions over the same rounds."""
    match expr:
        case Operation(op=op, args=args):
            return (op, *map(raw_key, args))
        case Ref(name=name, scope=scope):
            return ("ref", name, scope)
    return skeleton(expr)


@dataclass(slots=True)
class Finder:
    """Finds the recurrence of a size in `depth` loops."""

    depth: int
    express: Express
    value_of: ValueOf
    running: str
    updates: list[list[tuple[Expr, Strand, Value, Value]]] = field(default_factory=list)
    """For each loop: what a round made of the size, in its strand, from which value to which."""
    look: Look = "whole"
    """Whether the size before is looked for as all of the new one, or inside of it; of plain numbers, each
    may be the one before and a step."""

    def find(self, visits: Sequence[Visit]) -> Recurrence | None:
        """None where the rounds do not all do the same.

        A size that follows from the round alone (`width * 2**i`) is said so, even where it has the size
        before as a part by chance.
        """
        numbers = all(isinstance(visit.size, Const) for visit in visits)
        looks: tuple[Look, ...] = ("step",) if numbers else ("whole", "part")
        for self.look in looks:
            found = self._find(visits)
            if found is not None:
                return found
        return None

    def _find(self, visits: Sequence[Visit]) -> Recurrence | None:
        self.updates = [[] for _ in range(self.depth)]
        starts: list[Expr] = []
        for group in by_definition(visits):
            first = group[0]
            start = self.express(first.size, first.strand.ancestor(0), {})
            if start is None or self._segment(group, 0) is None:
                return None
            starts.append(start)
        start = same_form(starts)
        if start is None:
            return None
        chosen: list[Expr | None] = []
        for updates in self.updates:
            update = self._agreed(updates)
            if update is None and updates:
                return None
            chosen.append(None if update is not None and update == self._running(update.value) else update)
        if not any(chosen):
            return None
        return Recurrence(start, tuple(chosen))

    def _running(self, value: Value) -> Ref:
        return Ref(name=self.running, value=value, scope=RUNNING)

    def _segment(self, visits: Sequence[Visit], level: int) -> tuple[Visit, Expr | None] | None:
        """The rounds of one loop: notes what they do. None on failure, else the size before the last round
        ends, and the pattern of what a round's end makes of it, if two rounds show that.
        """
        rounds = by_round(visits, level)
        if [number for number, _ in rounds] != list(range(len(rounds))):
            return None
        ends = self._ends([inside for _, inside in rounds], level)
        if ends is None:
            return None
        pattern: Expr | None = None
        for (_, following), end in zip(rounds[1:], ends, strict=False):
            target = following[0].size
            made, pattern = self._step(target, end)
            if made is None:
                if not same(target.value, end.size.value):
                    return None
                made = self._running(end.size.value)
            self.updates[level].append((made, end.strand, end.size.value, target.value))
        return ends[-1], pattern

    def _ends(self, rounds: Sequence[Sequence[Visit]], level: int) -> list[Visit] | None:
        """The size at the end of each round, after the loops inside of it."""
        if level == self.depth - 1:
            return [inside[-1] for inside in rounds] if all(len(inside) == 1 for inside in rounds) else None
        inner = [self._segment(inside, level + 1) for inside in rounds]
        found = [segment for segment in inner if segment is not None]
        if len(found) < len(inner):
            return None
        pattern = next((pattern for _, pattern in found if pattern is not None), None)
        sizes = [last.size if pattern is None else self._filled(pattern, last) for last, _ in found]
        return [
            Visit(last.strand.ancestor(level + 1), size) for (last, _), size in zip(found, sizes, strict=True)
        ]

    def _step(self, target: Expr, end: Visit) -> tuple[Expr | None, Expr]:
        """What a round makes of its size: in the names that it sees, and as a pattern for other rounds."""
        running, hole = self._running(end.size.value), raw_key(end.size)
        grown = remainder(target, end.size)
        match self.look:
            case "step":
                step = Const(value=target.value - end.size.value)
                made = simplified("+", (running, step), target.value)
                return made, made
            case "whole" if raw_key(target) == hole:
                return running, with_hole(target, end, None)
            case "whole" if grown is not None:
                return None, target
            case "whole":
                return self.express(target, end.strand, {}), with_hole(target, end, None)
            case "part":
                if grown is not None:
                    target = Operation(op="+", args=(end.size, grown), value=target.value)
                return self.express(target, end.strand, {hole: (end.size, running)}), with_hole(
                    target, end, running
                )

    def _filled(self, pattern: Expr, end: Visit) -> Expr:
        """What another round makes of its size."""

        def rewrite(expr: Expr) -> Expr:
            match expr:
                case Ref(scope="running"):
                    return end.size
                case Ref(name=name, scope="round") if name in end.strand.variables:
                    return end.strand.variables[name]
                case Operation(op=op, args=(left, right)) if op in ARITHMETIC:
                    return statics.binary(op, rewrite(left), rewrite(right))
                case Operation(op=op):
                    args = tuple(map(rewrite, expr.args))
                    plain = Operation(op=op, args=tuple(Const(value=arg.value) for arg in args), value=None)
                    functions = {key: self.value_of(key, end.strand) for key in named_values(plain)}
                    value = evaluated(plain, functions)
                    return Operation(op=op, args=args, value=expr.value if value is ... else value)
            return expr

        return rewrite(pattern)

    def _agreed(self, updates: Sequence[tuple[Expr, Strand, Value, Value]]) -> Expr | None:
        """One expression that is right after every round."""
        for candidate in {skeleton(made): made for made, *_ in updates}.values():
            names = named_values(candidate)
            for _, strand, before, after in updates:
                values = {
                    key: before if key == (self.running, RUNNING) else self.value_of(key, strand)
                    for key in names
                }
                if not same(evaluated(candidate, values), after):
                    break
            else:
                return candidate
        return None


def by_definition(visits: Sequence[Visit]) -> list[list[Visit]]:
    groups: dict[str, list[Visit]] = {}
    for visit in visits:
        groups.setdefault(visit.strand.definition.id, []).append(visit)
    return [sorted(group, key=lambda visit: visit.strand.chain) for group in groups.values()]


def by_round(visits: Sequence[Visit], level: int) -> list[tuple[int, list[Visit]]]:
    rounds: dict[int, list[Visit]] = {}
    for visit in visits:
        rounds.setdefault(visit.strand.chain[level][1], []).append(visit)
    return list(rounds.items())


def with_hole(target: Expr, end: Visit, running: Ref | None) -> Expr:
    """What a round made, over the round's own variables (scope "round") and the size before it, if `running`
    stands for that."""
    key = raw_key(end.size)
    scopes = {ref.scope: name for name, ref in end.strand.variables.items()}

    def rewrite(expr: Expr) -> Expr:
        if running is not None and raw_key(expr) == key:
            return running
        match expr:
            case Operation():
                return Operation(op=expr.op, args=tuple(map(rewrite, expr.args)), value=expr.value)
            case Ref(name=name, scope=scope) if scope in scopes:
                return Ref(name=name, value=expr.value, scope="round")
        return expr

    return rewrite(target)
