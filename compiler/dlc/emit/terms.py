"""Compile-time expressions in the terms of the unit that is generated.

In: for one place of the text, the expression of every strand (`ir.Expr`, over the definition's own
parameters, sizes and loop rounds). Out: one expression that has the right value in all of them, whose
`Ref.scope` says where the name lives in the generated file. Where the text has no such expression, the
values become a condition, a table beside the loop, or a new argument of the unit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from dlc.dims import Dim, to_tree
from dlc.emit.arguments import UnitTerms, annotate
from dlc.emit.forms import (
    agreed,
    differing,
    evaluated,
    has_dim,
    has_symbolic,
    named_values,
    pruned,
    same,
    same_form,
    simplified,
    size_expression,
    skeleton,
)
from dlc.emit.formulas import Counter, last_binding, remainder, repeated, straight
from dlc.emit.merge import CannotMerge, Strand
from dlc.emit.naming import SIZE_WORDS, unused
from dlc.emit.plan import Argument, Column, SizeLoop, SizeTable
from dlc.emit.recurrence import RUNNING, Chain, Finder, RawKey, Recurrence, Visit, by_definition, raw_key
from dlc.emit.rounds import loop_lengths, rounds_of
from dlc.ir import Const, Definition, Expr, Operation, Ref, Value

LAZY = frozenset(("range", "enumerate", "zip", "reversed"))
"""Iterables stay as written, even over numbers: `range(3)`, not `(0, 1, 2)`."""


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


@dataclass(slots=True)
class Terms:
    """Expresses values in one constructor (`axes` None) or one method of a unit.

    `axes` gives, for each local name of a size, the input and axis to read it from.
    """

    unit: UnitTerms
    axes: dict[str, tuple[str, int]] | None
    taken: Collection[str]
    frames: list[Frame] = field(default_factory=list)
    forks: list[Sides] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    used_sizes: set[str] = field(default_factory=set)
    context: str = ""
    known: dict[tuple[str, Chain], dict[RawKey, tuple[Expr, Expr]]] = field(default_factory=dict)
    """For a strand: sizes that a table holds, each with the element of the table."""
    grown: set[RawKey] = field(default_factory=set)
    """Those of them that every round makes from the size before: unrolled, they fit one number of rounds."""

    # ------------------------------------------------------------ entry points

    def express(
        self,
        exprs: Sequence[Expr],
        strands: Sequence[Strand],
        hint: str = "value",
        static_only: bool = False,
    ) -> Expr:
        """One expression for all strands; marks what it uses."""
        result = self.plain(exprs, strands, hint)
        self.mark(result, static_only)
        return result

    def plain(self, exprs: Sequence[Expr], strands: Sequence[Strand], hint: str = "value") -> Expr:
        """Like `express`, without marking what it uses."""
        local = pruned([self.localise(e, s) for e, s in zip(exprs, strands, strict=True)])
        return self._symbolic(self._any(local, list(exprs), strands, hint), strands)

    def describe(self, exprs: Sequence[Expr], strands: Sequence[Strand]) -> Expr:
        """Like `express`, for documentation: uses nothing, and may stay unknown (None)."""
        local = [self.localise(expr, strand) for expr, strand in zip(exprs, strands, strict=True)]
        result = same_form(local)
        if result is not None and not has_symbolic(result):
            return result
        return Const(value=None)

    def agrees(self, exprs: Sequence[Expr], strands: Sequence[Strand]) -> bool:
        """Whether all strands have the same expression or the same value."""
        local = [self.localise(expr, strand) for expr, strand in zip(exprs, strands, strict=True)]
        return agreed(local) is not None

    # ------------------------------------------------------------ names

    def localise(self, expr: Expr, strand: Strand) -> Expr:
        """References in the unit's names; those that are out of scope become their values."""
        if not strand.chain and (strand.definition.id, ()) in self.known:
            tables = self._tables(strand)
            if not self._lossy(expr, strand):
                tables = {key: pair for key, pair in tables.items() if key in self.grown}
            found = self._seen(expr, strand, tables) if tables else None
            if found is not None:
                return found
        match expr:
            case Const():
                return expr
            case Ref():
                return self._reference(expr, strand)
            case Operation():
                args = tuple(self.localise(argument, strand) for argument in expr.args)
                if expr.op not in LAZY and all(isinstance(argument, Const) for argument in args):
                    return Const(value=expr.value)
                return simplified(expr.op, args, expr.value)

    def _reference(self, ref: Ref, strand: Strand) -> Expr:
        if ref.scope == "":
            return self._own(ref, strand)
        if ref.scope == "training":
            return ref if self.axes is not None else Const(value=ref.value)
        if ref.scope == "given":
            known = any(i.name == ref.name for i in strand.definition.inputs)
            return ref if self.axes is not None and known else Const(value=ref.value)
        if ref.scope in strand.scopes:
            return Ref(name=ref.name, value=ref.value, scope="local")
        return self._closing(ref, strand) or Const(value=ref.value)

    def _own(self, ref: Ref, strand: Strand) -> Expr:
        if ref.name in strand.definition.statics:
            name = self.unit.parameters[ref.name]
            return Ref(name=name, value=ref.value, scope=self.unit.scope)
        name = self.unit.sizes.get(ref.name, "")
        if ref.name not in strand.definition.sizes or not name:
            return Const(value=ref.value)
        constant = isinstance(ref.value, int)
        if self.unit.kind == "block" and constant and (self.axes is None or name in self.unit.arguments):
            return Ref(name=name, value=ref.value, scope="self")
        if self.axes is not None and name in self.axes:
            return Ref(name=name, value=ref.value, scope="local")
        if self.unit.kind != "net" and constant:
            return Ref(name=name, value=ref.value, scope=self.unit.scope)
        return Const(value=ref.value)

    def mark(self, expr: Expr, static_only: bool) -> None:
        match expr:
            case Operation():
                if expr.op == "call" and isinstance(expr.args[0], Const):
                    self.unit.called.add(expr.args[0].value)
                for argument in expr.args:
                    self.mark(argument, static_only)
            case Ref(scope="local"):
                for frame in reversed(self.frames):
                    if expr.name in frame.names():
                        (frame.used_static if static_only else frame.used).add(expr.name)
                        return
                if expr.name in (self.axes or {}):
                    self.used_sizes.add(expr.name)
                elif self.unit.kind == "fn":
                    self.used.add(expr.name)
                    self.unit.need(expr.name)
            case Ref(scope="self" | "config"):
                self.used.add(expr.name)
                self.unit.need(expr.name)

    def mark_construction(self, expr: Expr) -> None:
        """An expression that only the constructor shows, such as the rounds of a loop over layers."""
        used = set(self.used)
        self.mark(expr, True)
        self.used = used

    # ------------------------------------------------------------ differing values

    def _any(self, local: list[Expr], raw: list[Expr], strands: Sequence[Strand], hint: str) -> Expr:
        """One expression for `local`; `raw` are the same sizes before they were localised."""
        found = same_form(local)
        if found is not None:
            return found
        literal = all(isinstance(expr, Const) for expr in raw)
        if literal and agreed(local) is not None:
            return local[0]
        if any(isinstance(expr.value, Dim) for expr in local):
            found = self._axis([expr.value for expr in local], strands)
            if found is not None:
                return found
        chosen = self._by_value(local, strands) or self._by_condition(local, strands)
        if chosen is None and not literal:
            chosen = self._by_rounds(local, raw, strands)
        chosen = chosen or agreed(local)
        if chosen is not None:
            return chosen
        first = local[0]
        if (
            isinstance(first, Operation)
            and all(
                isinstance(e, Operation) and e.op == first.op and len(e.args) == len(first.args)
                for e in local
            )
            and differing(local) == 1
        ):
            columns = zip(*(e.args for e in local if isinstance(e, Operation)), strict=True)
            before = zip(*(_aligned(r, e) for r, e in zip(raw, local, strict=True)), strict=True)
            args = [self._any(list(c), list(b), strands, hint) for c, b in zip(columns, before, strict=True)]
            return Operation(op=first.op, args=tuple(args), value=first.value)
        running = self._running(raw, strands, hint) if not literal or self._counts(raw, strands) else None
        return running or self._vary([expr.value for expr in local], strands, hint)

    # ------------------------------------------------------------ sizes that change from round to round

    def _counts(self, raw: Sequence[Expr], strands: Sequence[Strand]) -> bool:
        """Whether plain numbers go up evenly from visit to visit, as a counter of the text does."""
        if not all(type(expr.value) is int for expr in raw):
            return False
        groups = by_definition([Visit(strand, expr) for expr, strand in zip(raw, strands, strict=True)])
        steps = {b.size.value - a.size.value for group in groups for a, b in pairwise(group)}
        return len(steps) == 1 and all(len(group) > 2 for group in groups)

    def _by_rounds(self, local: list[Expr], raw: list[Expr], strands: Sequence[Strand]) -> Expr | None:
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
        if all(len(strand.chain) == len(self.frames) for strand in strands):
            for level in reversed(range(len(self.frames))):
                position = self._position(self.frames[level])
                if position is not None:
                    places = [strand.chain[level][1] for strand in strands]
                    yield Ref(name=position, value=0, scope="local"), places
        lengths = {name for s in strands for name in loop_lengths(s.definition)}
        for source, name in self.unit.parameters.items():
            key = (name, self.unit.scope)
            values = [self._value_of(key, strand) for strand in strands]
            if source in lengths and all(type(value) is int for value in values):
                yield Ref(name=name, value=values[0], scope=self.unit.scope), values

    def _position(self, frame: Frame) -> str | None:
        """The loop variable that counts the rounds from 0; the name it gets where the text has none."""
        return unused(["index", "number"], self._names()) if frame.position == "_" else frame.position

    def _name_rounds(self, expr: Expr) -> None:
        """Name the loop variables that were not needed before."""
        names = {name for name, _ in named_values(expr)}
        for frame in self.frames:
            position = self._position(frame)
            if frame.position == "_" and position is not None and position in names:
                frame.targets = (position, *frame.targets[1:])

    def _shifted(self, raw: Sequence[Expr], strands: Sequence[Strand]) -> Expr | None:
        """`width * 2 ** (i - 1)` where the text means the `i` of the round before."""
        if not self.frames or any(len(strand.chain) != len(self.frames) for strand in strands):
            return None
        counting = {frame.counter for frame in self.frames if frame.counter is not None}
        candidate = self._with_shifts(raw[-1], strands[-1], counting)
        if candidate is None or same_form([candidate, self.localise(raw[-1], strands[-1])]):
            return None
        if self._fits(candidate, [e.value for e in raw], strands):
            return candidate
        return self._after_first(candidate, raw, strands) if len(self.frames) == 1 else None

    def _with_shifts(self, expr: Expr, strand: Strand, counting: Collection[str]) -> Expr | None:
        if isinstance(expr, Operation):
            args = [self._with_shifts(argument, strand, counting) for argument in expr.args]
            if None in args:
                return None
            return simplified(expr.op, tuple(a for a in args if a is not None), expr.value)
        if not self._forgets(expr, strand):
            return self.localise(expr, strand)
        if isinstance(expr, Ref) and expr.name in counting and expr.name in strand.variables:
            now = strand.variables[expr.name].value
            return straight(Ref(name=expr.name, value=now, scope="local"), expr.value - now, 1)
        return None

    def _after_first(self, candidate: Expr, raw: Sequence[Expr], strands: Sequence[Strand]) -> Expr | None:
        """`3 if i == 0 else width * 2 ** (i - 1)`."""
        position = self._position(self.frames[0])
        firsts = [(e, s) for e, s in zip(raw, strands, strict=True) if s.chain[0][1] == 0]
        rest = [(e, s) for e, s in zip(raw, strands, strict=True) if s.chain[0][1] != 0]
        if position is None or not firsts or not rest:
            return None
        starts = [self._seen(e, s.ancestor(0), {}) for e, s in firsts]
        start = same_form([e for e in starts if e is not None]) if None not in starts else None
        if start is None or not self._fits(candidate, [e.value for e, _ in rest], [s for _, s in rest]):
            return None
        counter = Ref(name=position, value=0, scope="local")
        first = Operation(op="==", args=(counter, Const(value=0)), value=True)
        return Operation(op="if", args=(first, start, candidate), value=raw[0].value)

    def _fits(self, candidate: Expr, values: Sequence[Value], strands: Sequence[Strand]) -> bool:
        """Whether an expression gives these values."""
        names = named_values(candidate)
        return all(
            same(evaluated(candidate, {key: self._value_of(key, strand) for key in names}), value)
            for value, strand in zip(values, strands, strict=True)
        )

    def _running(self, raw: Sequence[Expr], strands: Sequence[Strand], hint: str) -> Expr | None:
        """A table of the loops around that a function of the file computes."""
        depth = len(self.frames)
        if not depth or any(len(strand.chain) != depth for strand in strands):
            return None
        size = unused([hint, f"in_{hint}"], {*self.unit.parameters.values(), *self._targets()})
        visits = [Visit(strand, expr) for expr, strand in zip(raw, strands, strict=True)]
        found = Finder(depth, self._seen, self._value_of, size).find(visits)
        if found is None:
            return None
        table = self._table(found, size, hint)
        found_here, elements = table, [table]
        for level, frame in enumerate(self.frames):
            position = self._position(frame) if level else None
            if position is not None:
                args = (found_here, Ref(name=position, value=0, scope="local"))
                found_here = Operation(op="index", args=args, value=raw[0].value)
                self._name_rounds(found_here)
                elements.append(found_here)
                continue
            inner = [f"in_{hint}"] if hint in SIZE_WORDS else []
            wanted = [hint, *inner, f"{hint}_value"] if level == depth - 1 else [f"{hint}_table"]
            name = unused(wanted, self._names())
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

    def _table(self, found: Recurrence, size: str, hint: str) -> Expr:
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

        shifted = self._shifted_items(found)
        if shifted is not None:
            return shifted
        start = plain(found.start)
        loops = [
            SizeLoop(targets=f.targets, iterable=plain(f.iterable), update=None if u is None else plain(u))
            for f, u in zip(self.frames, found.updates, strict=True)
        ]
        name = self.unit.table(
            SizeTable(
                name=f"{self.context}_{hint}" if self.context else f"{hint}_by_round",
                size=size,
                parameters=tuple(
                    Argument(name=n, annotation=annotate([r.value]), source=n, size=False)
                    for n, r in given.items()
                ),
                start=start,
                loops=tuple(loops),
            )
        )
        return Operation(op="call", args=(Const(value=name), *given.values()), value=())

    def _shifted_items(self, found: Recurrence) -> Expr | None:
        """`(784, *hidden[:-1])` where each round passes on its item of a list."""
        frame, update = self.frames[0], found.updates[0]
        if len(self.frames) > 1 or not isinstance(frame.iterable, Ref) or not isinstance(update, Ref):
            return None
        if len(frame.targets) > 1 or (update.name, update.scope) != (frame.targets[0], "local"):
            return None
        return Operation(op="shifted", args=(found.start, frame.iterable), value=())

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
                return None if self._forgets(expr, strand) else self._reference(expr, strand)
        return expr

    def _forgets(self, expr: Expr, strand: Strand) -> bool:
        """Whether a name is a loop variable of a round that the strand does not see."""
        return (
            isinstance(expr, Ref)
            and expr.scope.isdigit()
            and expr.scope not in strand.scopes
            and self._closing(expr, strand) is None
        )

    def _lossy(self, expr: Expr, strand: Strand) -> bool:
        """Whether a name of the expression is out of the strand's sight."""
        if isinstance(expr, Operation):
            return any(self._lossy(argument, strand) for argument in expr.args)
        return self._forgets(expr, strand)

    def _closing(self, ref: Ref, strand: Strand) -> Expr | None:
        """What a loop variable held in the last round of a loop that the strand comes after."""
        place = rounds_of(strand.definition).get(ref.scope)
        if place is None or not place.last or not place.around <= strand.scopes:
            return None
        if isinstance(place.loop.iterable, Const):
            return Const(value=ref.value)
        found = last_binding(self.localise(place.loop.iterable, strand), place.loop.targets, ref.name)
        return found if found is not None and same(found.value, ref.value) else None

    def _targets(self) -> set[str]:
        return {name for frame in self.frames for name in frame.targets}

    def _by_value(self, local: list[Expr], strands: Sequence[Strand]) -> Expr | None:
        """The expression of some strands that also gives the values of all others: `ratio * channels`
        where the rest, in which `ratio` is 1, says `channels`."""
        shapes = {skeleton(expr): expr for expr in local if not isinstance(expr, Const)}
        if len(shapes) > 4:
            return None
        for candidate in shapes.values():
            names = named_values(candidate)
            if all(
                same(evaluated(candidate, {key: self._value_of(key, strand) for key in names}), expr.value)
                for expr, strand in zip(local, strands, strict=True)
            ):
                return candidate
        return None

    def _value_of(self, key: tuple[str, str], strand: Strand) -> Value:
        """The value of a name of the unit in another strand, `...` where it has none."""
        name, scope = key
        if scope == "local" and name in strand.variables:
            return strand.variables[name].value
        for names, table in (
            (self.unit.parameters, strand.definition.statics),
            (self.unit.sizes, strand.definition.sizes),
        ):
            for source, python in names.items():
                if python == name and source in table:
                    return table[source].value
        return ...

    def _by_condition(self, local: list[Expr], strands: Sequence[Strand]) -> Expr | None:
        """`a if condition else b`, with a condition that an `if` around or before has decided."""
        forks = list(self.forks)
        if self.axes is not None:
            modes = {strand: strand.definition.training for strand in strands}
            forks.insert(0, Sides(Ref(name="training", value=False, scope="training"), modes))
        for fork in reversed(forks):
            taken = [fork.of(strand) for strand in strands]
            if None in taken or len(set(taken)) < 2:
                continue
            then = agreed([e for e, side in zip(local, taken, strict=True) if side])
            orelse = agreed([e for e, side in zip(local, taken, strict=True) if not side])
            if then is not None and orelse is not None:
                args = (fork.condition, then, orelse)
                return Operation(op="if", args=args, value=local[0].value)
        return None

    def _vary(self, values: list[Value], strands: Sequence[Strand], hint: str) -> Expr:
        if any(has_dim(value) for value in values):
            raise CannotMerge(f"`{hint}` is a size that differs between elaborations")
        for level in range(len(self.frames) + 1):
            table: dict[tuple[str, tuple[tuple[int, int], ...]], Value] = {}
            for value, strand in zip(values, strands, strict=True):
                key = (strand.definition.id, strand.chain[:level])
                if not same(table.setdefault(key, value), value):
                    break
            else:
                break
        else:
            raise CannotMerge(f"`{hint}` differs within one round")
        if level == 0:
            by_definition = {key[0]: value for key, value in table.items()}
            name = self.unit.extra(hint, by_definition, self.context)
            return Ref(name=name, value=values[0], scope=self.unit.scope)
        return self._column(level, table, strands, hint, values[0])

    def _column(
        self,
        level: int,
        table: dict[tuple[str, tuple[tuple[int, int], ...]], Value],
        strands: Sequence[Strand],
        hint: str,
        value: Value,
    ) -> Expr:
        frame = self.frames[level - 1]
        parents: dict[tuple[str, tuple[tuple[int, int], ...]], Strand] = {}
        for strand in strands:
            parents.setdefault((strand.definition.id, strand.chain[: level - 1]), strand.ancestor(level - 1))
        rows: list[tuple[Value, ...]] = []
        for (definition, chain), _ in parents.items():
            count = frame.rounds[definition, chain]
            row = (table.get((definition, (*chain, (frame.number, i)))) for i in range(count))
            rows.append(tuple(row))
        for known, name in frame.tables:
            if known == tuple(rows):
                return Ref(name=name, value=value, scope="local")
        source: Expr | None = None
        if any(not same(row, rows[0]) for row in rows[1:]):
            frames, self.frames = self.frames, self.frames[: level - 1]
            exprs: list[Expr] = [Const(value=row) for row in rows]
            source = self._any(exprs, exprs, list(parents.values()), f"{hint}_table")
            self.frames = frames
            if frame.position is not None:
                if frame.position == "_":
                    frame.targets = (unused(["index", "number"], self._names()),)
                place = Ref(name=frame.position, value=0, scope="local")
                return Operation(op="index", args=(source, place), value=value)
        inner = [f"in_{hint}"] if hint in SIZE_WORDS else []
        name = unused([hint, *inner, f"{hint}_value"], self._names())
        values = tuple(Const(value=item) for item in rows[0])
        column = Column(name=name, values=values if source is None else (), table=source)
        frame.columns.append(column)
        frame.tables.append((tuple(rows), name))
        return Ref(name=name, value=value, scope="local")

    def close(self, frame: Frame) -> None:
        """Mark what the tables of a loop use, once it is known how the loop uses them."""
        assert self.frames[-1] is frame
        self.frames.pop()
        self.known = {key: found for key, found in self.known.items() if len(key[1]) <= len(self.frames)}
        for column in frame.columns:
            if column.table is not None and column.name in frame.used | frame.used_static:
                self.mark(column.table, column.name not in frame.used)

    def _names(self) -> set[str]:
        names = {*self.taken, *self.unit.taken}
        for frame in self.frames:
            names |= frame.names()
        return names

    # ------------------------------------------------------------ symbolic sizes

    def _symbolic(self, expr: Expr, strands: Sequence[Strand]) -> Expr:
        """Replace sizes that are only known when the model runs by what reads them."""
        if isinstance(expr, Operation):
            if not has_symbolic(expr):
                return expr
            args = tuple(self._symbolic(argument, strands) for argument in expr.args)
            return Operation(op=expr.op, args=args, value=expr.value)
        if isinstance(expr, Const) and has_dim(expr.value):
            return self._symbolic_value(expr.value, strands)
        return expr

    def _symbolic_value(self, value: Value, strands: Sequence[Strand]) -> Expr:
        if isinstance(value, tuple):
            items = tuple(self._symbolic_value(item, strands) for item in value)
            return Operation(op="tuple", args=items, value=value)
        if not isinstance(value, Dim):
            return Const(value=value)
        found = self._axis([value] * len(strands), strands) or self._polynomial(value, strands)
        if found is None:
            raise CannotMerge(f"the size {value} cannot be read from an input")
        return found

    def _axis(self, values: list[Value], strands: Sequence[Strand]) -> Expr | None:
        """A size that is an axis of an input in every strand."""
        for name, (source, axis) in (self.axes or {}).items():
            if all(
                same(axis_value(strand.definition, source, axis), value)
                for value, strand in zip(values, strands, strict=True)
            ):
                return Ref(name=name, value=values[0], scope="local")
        return None

    def _polynomial(self, value: Dim, strands: Sequence[Strand]) -> Expr | None:
        names: dict[str, Ref] = {}
        for name, (source, axis) in (self.axes or {}).items():
            size = axis_value(strands[0].definition, source, axis)
            tree = to_tree(size) if isinstance(size, Dim) else None
            if (
                isinstance(tree, tuple)
                and tree[0] == "var"
                and all(same(axis_value(strand.definition, source, axis), size) for strand in strands)
            ):
                names.setdefault(str(tree[1]), Ref(name=name, value=size, scope="local"))
        return size_expression(to_tree(value), names, value)


# ---------------------------------------------------------------- helpers


def replaced_value(expr: Expr, value: Value) -> Expr:
    """The expression, said to have this value."""
    if isinstance(expr, Ref):
        return Ref(name=expr.name, value=value, scope=expr.scope)
    return Operation(op=expr.op, args=expr.args, value=value) if isinstance(expr, Operation) else expr


def _aligned(raw: Expr, local: Expr) -> tuple[Expr, ...]:
    """The arguments of an operation before they were localised, or themselves."""
    assert isinstance(local, Operation)
    if isinstance(raw, Operation) and raw.op == local.op and len(raw.args) == len(local.args):
        return raw.args
    return local.args


def axis_value(definition: Definition, source: str, axis: int) -> Value:
    """The size of one axis of an input, None where there is none."""
    for item in definition.inputs:
        if item.name == source and item.tensor is not None and axis < item.tensor.type.rank:
            return item.tensor.type.shape[axis].value
    return None
