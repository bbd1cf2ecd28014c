"""Compile-time expressions in the terms of the unit that is generated.

In: for one place of the text, the expression of every strand (`ir.Expr`, over the definition's own
parameters, sizes and loop rounds). Out: one expression that has the right value in all of them, whose
`Ref.scope` says where the name lives in the generated file. Where the text has no such expression, the
values become a condition, a table beside the loop, or a new argument of the unit.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from dlc.dims import Dim, to_tree
from dlc.emit.arguments import UnitTerms
from dlc.emit.carried import Carried
from dlc.emit.evaluation import evaluated
from dlc.emit.forms import (
    FUNCTION,
    agreed,
    differing,
    has_dim,
    has_symbolic,
    named_values,
    pruned,
    rounds,
    same,
    same_form,
    simplified,
    size_expression,
    skeleton,
)
from dlc.emit.frames import Frame, Sides
from dlc.emit.merge import CannotMerge, Strand
from dlc.emit.naming import SIZE_WORDS, unused
from dlc.emit.plan import Column
from dlc.ir import Const, Definition, Expr, Operation, Ref, Value

LAZY = frozenset(("range", "enumerate", "zip", "reversed"))
"""Iterables stay as written, even over numbers: `range(3)`, not `(0, 1, 2)`."""


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
    carried: Carried = field(init=False)

    def __post_init__(self) -> None:
        self.carried = Carried(self)

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

    def start(self, exprs: Sequence[Expr], strands: Sequence[Strand], hint: str) -> Expr:
        """Like `express`, for a number that a weight starts with.

        A table of such numbers would fix how many rounds a loop has: where the parameters say that, all
        rounds have the first number, and only the file of initial weights is right.
        """
        counted = any(named_values(frame.iterable) for frame in self.frames)
        if counted and any(not same(expr.value, exprs[0].value) for expr in exprs):
            return Const(value=exprs[0].value)
        result = self.express(exprs, strands, hint)
        for name, _ in named_values(result):
            self.unit.mark_start(name)
        return result

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
        held = self.carried.held(expr, strand)
        if held is not None:
            return held
        match expr:
            case Const():
                return expr
            case Ref():
                return self.reference(expr, strand)
            case Operation():
                args = tuple(self.localise(argument, strand) for argument in expr.args)
                if expr.op not in LAZY and all(isinstance(argument, Const) for argument in args):
                    return Const(value=expr.value)
                return simplified(expr.op, args, expr.value)

    def reference(self, ref: Ref, strand: Strand) -> Expr:
        if ref.scope == "":
            return self._own(ref, strand)
        if ref.scope == "training":
            return ref if self.axes is not None else Const(value=ref.value)
        if ref.scope == "given":
            known = any(i.name == ref.name for i in strand.definition.inputs)
            return ref if self.axes is not None and known else Const(value=ref.value)
        if ref.scope in strand.scopes:
            return Ref(name=ref.name, value=ref.value, scope="local")
        return self.carried.closing(ref, strand) or Const(value=ref.value)

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
        if not literal and (agreed(local) is not None or any(map(rounds, local))):
            chosen = self.carried.forgotten(local, raw, strands, hint)
            if chosen is not None:
                return chosen
        chosen = self._by_value(local, strands) or self._by_condition(local, strands)
        if chosen is None and not literal:
            chosen = self.carried.formula(local, raw, strands)
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
            and (first.op != "call" or len({e.args[0] for e in local if isinstance(e, Operation)}) == 1)
        ):
            columns = zip(*(e.args for e in local if isinstance(e, Operation)), strict=True)
            before = zip(*(_aligned(r, e) for r, e in zip(raw, local, strict=True)), strict=True)
            args = [self._any(list(c), list(b), strands, hint) for c, b in zip(columns, before, strict=True)]
            return Operation(op=first.op, args=tuple(args), value=first.value)
        table = None
        if not literal or self.carried.counts(raw, strands):
            table = self.carried.table(raw, strands, hint)
        return table or self._vary([expr.value for expr in local], strands, hint)

    def _by_value(self, local: list[Expr], strands: Sequence[Strand]) -> Expr | None:
        """The expression of some strands that also gives the values of all others: `ratio * channels`
        where the rest, in which `ratio` is 1, says `channels`. What rounds numbers may fit by chance."""
        shapes = {skeleton(expr): expr for expr in local if not isinstance(expr, Const) and not rounds(expr)}
        if len(shapes) > 4:
            return None
        for candidate in shapes.values():
            if self.fits(candidate, [expr.value for expr in local], strands):
                return candidate
        return None

    def fits(self, candidate: Expr, values: Sequence[Value], strands: Sequence[Strand]) -> bool:
        """Whether an expression gives these values."""
        names = named_values(candidate)
        return all(
            same(evaluated(candidate, {key: self.value_of(key, strand) for key in names}), value)
            for value, strand in zip(values, strands, strict=True)
        )

    def value_of(self, key: tuple[str, str], strand: Strand) -> Value:
        """The value of a name of the unit in another strand, `...` where it has none."""
        name, scope = key
        if scope == FUNCTION:
            return self.unit.callables.get(name, ...)
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
                    frame.targets = (unused(["index", "number"], self.names()),)
                place = Ref(name=frame.position, value=0, scope="local")
                return Operation(op="index", args=(source, place), value=value)
        inner = [f"in_{hint}"] if hint in SIZE_WORDS else []
        name = unused([hint, *inner, f"{hint}_value"], self.names())
        values = tuple(Const(value=item) for item in rows[0])
        column = Column(name=name, values=values if source is None else (), table=source)
        frame.columns.append(column)
        frame.tables.append((tuple(rows), name))
        return Ref(name=name, value=value, scope="local")

    def close(self, frame: Frame) -> None:
        """Mark what the tables of a loop use, once it is known how the loop uses them."""
        assert self.frames[-1] is frame
        self.frames.pop()
        self.carried.close()
        for column in frame.columns:
            if column.table is not None and column.name in frame.used | frame.used_static:
                self.mark(column.table, column.name not in frame.used)

    def names(self) -> set[str]:
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
