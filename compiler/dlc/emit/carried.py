"""Sizes that loops carry from round to round, in terms of the loops.

In: what a size is in every round, over loop variables that each say of which round they are. Out: a formula
over counters of the loops, or a table beside them that a function of the file computes, or what a size is
after the last round. Such code fits every number of rounds and every width, not only those at hand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from dlc.emit.arguments import annotate
from dlc.emit.forms import named_values, same, same_form, simplified, skeleton
from dlc.emit.formulas import Counter, last_binding, remainder, repeated, straight
from dlc.emit.frames import Frame
from dlc.emit.merge import Strand
from dlc.emit.naming import SIZE_WORDS, unused
from dlc.emit.plan import Argument, Column, SizeLoop, SizeTable
from dlc.emit.recurrence import (
    RUNNING,
    Chain,
    Finder,
    RawKey,
    Recurrence,
    Visit,
    by_definition,
    by_round,
    raw_key,
)
from dlc.emit.rounds import loop_lengths, rounds_of
from dlc.ir import Const, Expr, Operation, Ref, Value

if TYPE_CHECKING:
    from dlc.emit.terms import Terms


@dataclass(slots=True)
class Carried:
    """The sizes that the loops of one constructor or method carry."""

    terms: Terms
    known: dict[tuple[str, Chain], dict[RawKey, tuple[Expr, Expr]]] = field(default_factory=dict)
    """For a strand: sizes that a table holds, each with the element of the table."""
    grown: set[RawKey] = field(default_factory=set)
    """Those of them that every round makes from the size before: unrolled, they fit one number of rounds."""

    def held(self, expr: Expr, strand: Strand) -> Expr | None:
        """A size after all loops that a table held in its last round. Numbers say nothing of where they are
        from: one that is in a table, too, is that by chance."""
        if strand.chain or (strand.definition.id, ()) not in self.known:
            return None
        tables = {k: pair for k, pair in self._tables(strand).items() if not isinstance(pair[0], Const)}
        if not self._lossy(expr, strand):
            tables = {key: pair for key, pair in tables.items() if key in self.grown}
        return self._seen(expr, strand, tables) if tables else None

    def close(self) -> None:
        """Forget what belongs to loops that are over."""
        depth = len(self.terms.frames)
        self.known = {key: found for key, found in self.known.items() if len(key[1]) <= depth}

    def counts(self, raw: Sequence[Expr], strands: Sequence[Strand]) -> bool:
        """Whether plain numbers go up evenly from visit to visit, as a counter of the text does."""
        if not all(type(expr.value) is int for expr in raw):
            return False
        groups = by_definition([Visit(strand, expr) for expr, strand in zip(raw, strands, strict=True)])
        steps = {b.size.value - a.size.value for group in groups for a, b in pairwise(group)}
        return len(steps) == 1 and all(len(group) > 2 for group in groups)

    def formula(self, local: list[Expr], raw: list[Expr], strands: Sequence[Strand]) -> Expr | None:
        """A formula over the loops' counters, or over tables that the loops have already."""
        tables = [self._tables(strand) for strand in strands]
        if all(tables):
            over = [self._seen(e, s, t) for e, s, t in zip(raw, strands, tables, strict=True)]
            found = same_form([e for e in over if e is not None]) if None not in over else None
            if found is not None:
                return found
        found = repeated(local, self._counters(strands)) or self._shifted(raw, strands)
        if found is not None:
            self._name_rounds(found)
        return found

    def _tables(self, strand: Strand) -> dict[RawKey, tuple[Expr, Expr]]:
        return self.known.get((strand.definition.id, strand.chain), {})

    def _counters(self, strands: Sequence[Strand]) -> Iterator[Counter]:
        """What counts rounds: of the loops around, from the innermost outwards; how many a loop has."""
        if all(len(strand.chain) == len(self.terms.frames) for strand in strands):
            for level in reversed(range(len(self.terms.frames))):
                position = self._position(self.terms.frames[level])
                if position is not None:
                    places = [strand.chain[level][1] for strand in strands]
                    yield Ref(name=position, value=0, scope="local"), places
        lengths = {name for s in strands for name in loop_lengths(s.definition)}
        for source, name in self.terms.unit.parameters.items():
            key = (name, self.terms.unit.scope)
            values = [self.terms.value_of(key, strand) for strand in strands]
            if source in lengths and all(type(value) is int for value in values):
                yield Ref(name=name, value=values[0], scope=self.terms.unit.scope), values

    def _position(self, frame: Frame) -> str | None:
        """The loop variable that counts the rounds from 0; the name it gets where the text has none."""
        return unused(["index", "number"], self.terms.names()) if frame.position == "_" else frame.position

    def _name_rounds(self, expr: Expr) -> None:
        """Name the loop variables that were not needed before."""
        names = {name for name, _ in named_values(expr)}
        for frame in self.terms.frames:
            position = self._position(frame)
            if frame.position == "_" and position is not None and position in names:
                frame.targets = (position, *frame.targets[1:])

    def _shifted(self, raw: Sequence[Expr], strands: Sequence[Strand]) -> Expr | None:
        """`width * 2 ** (i - 1)` where the text means the `i` of the round before."""
        if not self.terms.frames or any(len(strand.chain) != len(self.terms.frames) for strand in strands):
            return None
        counting = {frame.counter for frame in self.terms.frames if frame.counter is not None}
        candidate = self._with_shifts(raw[-1], strands[-1], counting)
        if candidate is None or same_form([candidate, self.terms.localise(raw[-1], strands[-1])]):
            return None
        if self.terms.fits(candidate, [e.value for e in raw], strands):
            return candidate
        return self._after_first(candidate, raw, strands) if len(self.terms.frames) == 1 else None

    def _with_shifts(self, expr: Expr, strand: Strand, counting: Collection[str]) -> Expr | None:
        if isinstance(expr, Operation):
            args = [self._with_shifts(argument, strand, counting) for argument in expr.args]
            if None in args:
                return None
            return simplified(expr.op, tuple(a for a in args if a is not None), expr.value)
        if not self._forgets(expr, strand):
            return self.terms.localise(expr, strand)
        if isinstance(expr, Ref) and expr.name in counting and expr.name in strand.variables:
            now = strand.variables[expr.name].value
            return straight(Ref(name=expr.name, value=now, scope="local"), expr.value - now, 1)
        return None

    def _after_first(self, candidate: Expr, raw: Sequence[Expr], strands: Sequence[Strand]) -> Expr | None:
        """`3 if i == 0 else width * 2 ** (i - 1)`."""
        position = self._position(self.terms.frames[0])
        firsts = [(e, s) for e, s in zip(raw, strands, strict=True) if s.chain[0][1] == 0]
        rest = [(e, s) for e, s in zip(raw, strands, strict=True) if s.chain[0][1] != 0]
        if position is None or not firsts or not rest:
            return None
        starts = [self._seen(e, s.ancestor(0), {}) for e, s in firsts]
        start = same_form([e for e in starts if e is not None]) if None not in starts else None
        if start is None or not self.terms.fits(candidate, [e.value for e, _ in rest], [s for _, s in rest]):
            return None
        counter = Ref(name=position, value=0, scope="local")
        first = Operation(op="==", args=(counter, Const(value=0)), value=True)
        return Operation(op="if", args=(first, start, candidate), value=raw[0].value)

    def table(self, raw: Sequence[Expr], strands: Sequence[Strand], hint: str) -> Expr | None:
        """A table of the loops around that a function of the file computes."""
        depth = len(self.terms.frames)
        if not depth or any(len(strand.chain) != depth for strand in strands):
            return None
        size = unused([hint, f"in_{hint}"], {*self.terms.unit.parameters.values(), *self._targets()})
        visits = [Visit(strand, expr) for expr, strand in zip(raw, strands, strict=True)]
        found = Finder(depth, self._seen, self.terms.value_of, size).find(visits)
        if found is None:
            return None
        function = self._function(found, size, hint, values_of(by_definition(visits)[0], 0))
        if isinstance(function, Operation) and all(isinstance(a, Const) for a in function.args):
            return None  # it fits these numbers only: they are shorter
        found_here, elements = function, [function]
        for level, frame in enumerate(self.terms.frames):
            position = self._position(frame) if level else None
            if position is not None:
                args = (found_here, Ref(name=position, value=0, scope="local"))
                found_here = Operation(op="index", args=args, value=raw[0].value)
                self._name_rounds(found_here)
                elements.append(found_here)
                continue
            inner = [f"in_{hint}"] if hint in SIZE_WORDS else []
            wanted = [hint, *inner, f"{hint}_value"] if level == depth - 1 else [f"{hint}_table"]
            name = unused(wanted, self.terms.names())
            frame.columns.append(Column(name=name, values=(), table=found_here))
            found_here = Ref(name=name, value=raw[0].value, scope="local")
            elements.append(found_here)
        if any((size, RUNNING) in named_values(update) for update in found.updates if update is not None):
            self.grown |= {raw_key(visit.size) for visit in visits}
        self._remember(visits, elements)
        return found_here

    def _remember(self, visits: Sequence[Visit], elements: Sequence[Expr]) -> None:
        """Which sizes the elements of a table are: of the round that is running, and of the last one inside.

        `elements` are the table, its row in the outermost loop, and so on to the size itself.
        """
        depth = len(elements) - 1
        for level, element in enumerate(elements):
            for _ in range(level, depth):
                element = Operation(op="index", args=(element, Const(value=-1)), value=0)
            for visit in visits:  # in order: the last one inside of a round stays
                strand, size = visit.strand.ancestor(level), visit.size
                mine = replaced_value(element, size.value)
                key = (strand.definition.id, strand.chain)
                known = self.known.setdefault(key, {})
                known = {k: v for k, v in known.items() if skeleton(v[1]) != skeleton(mine)}
                self.known[key] = {**known, raw_key(size): (size, mine)}

    def _function(self, found: Recurrence, size: str, hint: str, values: Value) -> Expr:
        """The call of the function that computes a table: a new function, or one that says the same."""
        bound = {*self._targets(), size}
        given: dict[str, Ref] = {}

        def plain(expr: Expr) -> Expr:
            match expr:
                case Ref(name=name, scope="running"):
                    return Ref(name=name, value=expr.value, scope="local")
                case Ref(name=name):
                    if expr.scope != "local" or name not in bound:
                        given.setdefault(name, expr)
                    return Ref(name=name, value=expr.value, scope="local")
                case Operation():
                    return Operation(op=expr.op, args=tuple(map(plain, expr.args)), value=expr.value)
            return expr

        shifted = self._shifted_items(found, values)
        if shifted is not None:
            return shifted
        start = plain(found.start)
        loops = [
            SizeLoop(targets=f.targets, iterable=plain(f.iterable), update=None if u is None else plain(u))
            for f, u in zip(self.terms.frames, found.updates, strict=True)
        ]
        name = self.terms.unit.table(
            SizeTable(
                name=f"{self.terms.context}_{hint}" if self.terms.context else f"{hint}_by_round",
                size=size,
                parameters=tuple(
                    Argument(name=n, annotation=annotate([r.value]), source=n, size=False)
                    for n, r in given.items()
                ),
                start=start,
                loops=tuple(loops),
            )
        )
        return Operation(op="call", args=(Const(value=name), *given.values()), value=values)

    def _shifted_items(self, found: Recurrence, values: Value) -> Expr | None:
        """`(784, *hidden[:-1])` where each round passes on its item of a list."""
        frame, update = self.terms.frames[0], found.updates[0]
        if len(self.terms.frames) > 1 or not isinstance(frame.iterable, Ref) or not isinstance(update, Ref):
            return None
        if len(frame.targets) > 1 or (update.name, update.scope) != (frame.targets[0], "local"):
            return None
        return Operation(op="shifted", args=(found.start, frame.iterable), value=values)

    def _seen(self, expr: Expr, strand: Strand, known: Mapping[RawKey, tuple[Expr, Expr]]) -> Expr | None:
        """The expression in the names that a strand sees, None where one is out of its sight.

        `known` are sizes that it sees by another name, each with that name.
        """
        if known:
            found = known.get(raw_key(expr))
            if found is not None:
                return found[1]
            for size, name in known.values():
                more = remainder(expr, size)
                rest = None if more is None else self._seen(more, strand, {})
                if rest is not None:
                    return simplified("+", (name, rest), expr.value)
        match expr:
            case Operation():
                args = [self._seen(argument, strand, known) for argument in expr.args]
                if None in args:
                    return None
                return simplified(expr.op, tuple(a for a in args if a is not None), expr.value)
            case Ref(scope="running" | "local"):
                return expr
            case Ref():
                return None if self._forgets(expr, strand) else self.terms.reference(expr, strand)
        return expr

    def _forgets(self, expr: Expr, strand: Strand) -> bool:
        """Whether a name is a loop variable of a round that the strand does not see."""
        return (
            isinstance(expr, Ref)
            and expr.scope.isdigit()
            and expr.scope not in strand.scopes
            and self.closing(expr, strand) is None
        )

    def forgotten(
        self, local: list[Expr], raw: list[Expr], strands: Sequence[Strand], hint: str
    ) -> Expr | None:
        """A formula or table for a size that says a loop variable of another round. That its values agree, or
        fit a formula that rounds, is chance."""
        if not any(map(self._lossy, raw, strands)):
            return None
        return self.formula(local, raw, strands) or self.table(raw, strands, hint)

    def _lossy(self, expr: Expr, strand: Strand) -> bool:
        """Whether a name of the expression is out of the strand's sight."""
        if isinstance(expr, Operation):
            return any(self._lossy(argument, strand) for argument in expr.args)
        return self._forgets(expr, strand)

    def closing(self, ref: Ref, strand: Strand) -> Expr | None:
        """What a loop variable held in the last round of a loop that the strand comes after."""
        place = rounds_of(strand.definition).get(ref.scope)
        if place is None or not place.last or not place.around <= strand.scopes:
            return None
        if isinstance(place.loop.iterable, Const):
            return Const(value=ref.value)
        found = last_binding(self.terms.localise(place.loop.iterable, strand), place.loop.targets, ref.name)
        return found if found is not None and same(found.value, ref.value) else None

    def _targets(self) -> set[str]:
        return {name for frame in self.terms.frames for name in frame.targets}


def values_of(visits: Sequence[Visit], level: int) -> Value:
    """The table of one definition: the sizes of the rounds, nested as the loops are."""
    if len(visits[0].strand.chain) == level:
        return visits[0].size.value
    return tuple(values_of(inside, level + 1) for _, inside in by_round(visits, level))


def replaced_value(expr: Expr, value: Value) -> Expr:
    """The expression, said to have this value."""
    if isinstance(expr, Ref):
        return Ref(name=expr.name, value=value, scope=expr.scope)
    return Operation(op=expr.op, args=expr.args, value=value) if isinstance(expr, Operation) else expr
