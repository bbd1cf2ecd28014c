"""Compile-time expressions in the terms of the unit that is generated.

In: for one place of the text, the expression of every strand (`ir.Expr`, over the definition's own
parameters, sizes and loop rounds). Out: one expression that has the right value in all of them, whose
`Ref.scope` says where the name lives in the generated file. Where the text has no such expression, the
values become a condition, a table beside the loop, or a new argument of the unit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dlc.dims import Dim, to_tree
from dlc.emit.merge import CannotMerge, Strand
from dlc.emit.naming import SIZE_WORDS, unused
from dlc.emit.plan import Argument, Column
from dlc.ir import Const, Definition, Expr, Operation, Ref, Value

Skeleton = tuple[object, ...]
ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
LAZY = frozenset(("range", "enumerate", "zip", "reversed"))
"""Iterables stay as written, even over numbers: `range(3)`, not `(0, 1, 2)`."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the value of a unit's argument comes from: a parameter or size of the text, or `values`
    (by definition) for what the text has no name for."""

    name: str
    kind: Literal["static", "size", "extra"]
    source: str
    annotation: str
    values: dict[str, Value] = field(default_factory=dict)

    @property
    def argument(self) -> Argument:
        return Argument(
            name=self.name, annotation=self.annotation, source=self.source, size=self.kind == "size"
        )


@dataclass(slots=True)
class UnitTerms:
    """The names of a unit's parameters and sizes, and which of them are arguments so far."""

    kind: Literal["block", "net", "fn"]
    definitions: Sequence[Definition]
    parameters: dict[str, str]
    sizes: dict[str, str]
    taken: set[str]
    arguments: dict[str, Source] = field(default_factory=dict)

    @property
    def scope(self) -> str:
        return {"net": "config", "block": "self", "fn": "local"}[self.kind]

    def need(self, name: str) -> None:
        """Make the parameter or size with this Python name an argument."""
        if name in self.arguments:
            return
        for kind, names in (("static", self.parameters), ("size", self.sizes)):
            for source, python in names.items():
                if python == name:
                    values = {d.id: _given_value(d, kind, source) for d in self.definitions}
                    annotation = annotate(values.values())
                    self.arguments[name] = Source(name, kind, source, annotation, values)  # type: ignore[arg-type]
                    return

    def extra(self, hint: str, values: dict[str, Value], context: str = "") -> str:
        """An argument for values that differ between definitions and have no expression."""
        for name, source in self.arguments.items():
            if source.kind == "extra" and all(
                same(source.values.get(key, value), value) for key, value in values.items()
            ):
                source.values.update(values)
                return name
        if self.kind == "net":
            raise CannotMerge(f"`{hint}` has no expression in terms of the parameters")
        longer = f"{context}_{hint}" if context else f"{hint}_value"
        name = unused([hint, longer], self.taken)
        self.taken.add(name)
        self.arguments[name] = Source(name, "extra", hint, annotate(values.values()), dict(values))
        return name

    def ordered(self) -> tuple[Source, ...]:
        """Sizes first, then parameters, each in the order of the text, then the rest."""
        places = {name: i for i, name in enumerate((*self.sizes.values(), *self.parameters.values()))}
        return tuple(sorted(self.arguments.values(), key=lambda s: places.get(s.name, len(places))))


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
        counts = isinstance(self.iterable, Operation) and self.iterable.op == "range"
        plain = counts and isinstance(self.iterable, Operation) and len(self.iterable.args) == 1
        return self.targets[0] if plain else None

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
        return self._symbolic(self._any(local, strands, hint), strands)

    def describe(self, exprs: Sequence[Expr], strands: Sequence[Strand]) -> Expr:
        """Like `express`, for documentation: uses nothing, and may stay unknown (None)."""
        local = [self.localise(expr, strand) for expr, strand in zip(exprs, strands, strict=True)]
        result = _same(local)
        if result is not None and not _symbolic_parts(result):
            return result
        return Const(value=None)

    def agrees(self, exprs: Sequence[Expr], strands: Sequence[Strand]) -> bool:
        """Whether all strands have the same expression or the same value."""
        local = [self.localise(expr, strand) for expr, strand in zip(exprs, strands, strict=True)]
        return _agreed(local) is not None

    # ------------------------------------------------------------ names

    def localise(self, expr: Expr, strand: Strand) -> Expr:
        """References in the unit's names; those that are out of scope become their values."""
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
        return Const(value=ref.value)

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

    # ------------------------------------------------------------ differing values

    def _any(self, local: list[Expr], strands: Sequence[Strand], hint: str) -> Expr:
        agreed = _agreed(local)
        if agreed is not None:
            return agreed
        if any(isinstance(expr.value, Dim) for expr in local):
            found = self._axis([expr.value for expr in local], strands)
            if found is not None:
                return found
        chosen = self._by_value(local, strands) or self._by_condition(local, strands)
        if chosen is not None:
            return chosen
        first = local[0]
        if isinstance(first, Operation) and all(
            isinstance(e, Operation) and e.op == first.op and len(e.args) == len(first.args) for e in local
        ) and _differing(local) == 1:
            columns = zip(*(e.args for e in local if isinstance(e, Operation)), strict=True)
            args = [self._any(list(column), strands, hint) for column in columns]
            return Operation(op=first.op, args=tuple(args), value=first.value)
        return self._vary([expr.value for expr in local], strands, hint)

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
            then = _agreed([e for e, side in zip(local, taken, strict=True) if side])
            orelse = _agreed([e for e, side in zip(local, taken, strict=True) if not side])
            if then is not None and orelse is not None:
                args = (fork.condition, then, orelse)
                return Operation(op="if", args=args, value=local[0].value)
        return None

    def _vary(self, values: list[Value], strands: Sequence[Strand], hint: str) -> Expr:
        if any(_has_dim(value) for value in values):
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
            parents.setdefault((strand.definition.id, strand.chain[: level - 1]), ancestor(strand, level - 1))
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
            source = self._any(exprs, list(parents.values()), f"{hint}_table")
            self.frames = frames
            if frame.position is not None:
                if frame.position == "_":
                    frame.targets = (unused(["index", "number"], {*self.taken, *self._locals()}),)
                place = Ref(name=frame.position, value=0, scope="local")
                return Operation(op="index", args=(source, place), value=value)
        inner = [f"in_{hint}"] if hint in SIZE_WORDS else []
        name = unused([hint, *inner, f"{hint}_value"], {*self.taken, *self._locals()})
        values = tuple(Const(value=item) for item in rows[0])
        column = Column(name=name, values=values if source is None else (), table=source)
        frame.columns.append(column)
        frame.tables.append((tuple(rows), name))
        return Ref(name=name, value=value, scope="local")

    def close(self, frame: Frame) -> None:
        """Mark what the tables of a loop use, once it is known how the loop uses them."""
        assert self.frames[-1] is frame
        self.frames.pop()
        for column in frame.columns:
            if column.table is not None and column.name in frame.used | frame.used_static:
                self.mark(column.table, column.name not in frame.used)

    def _locals(self) -> set[str]:
        names = set(self.unit.taken)
        for frame in self.frames:
            names |= frame.names()
        return names

    # ------------------------------------------------------------ symbolic sizes

    def _symbolic(self, expr: Expr, strands: Sequence[Strand]) -> Expr:
        """Replace sizes that are only known when the model runs by what reads them."""
        if isinstance(expr, Operation):
            if not _symbolic_parts(expr):
                return expr
            args = tuple(self._symbolic(argument, strands) for argument in expr.args)
            return Operation(op=expr.op, args=args, value=expr.value)
        if isinstance(expr, Const) and _has_dim(expr.value):
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
            if isinstance(tree, tuple) and tree[0] == "var" and all(
                same(axis_value(strand.definition, source, axis), size) for strand in strands
            ):
                names.setdefault(str(tree[1]), Ref(name=name, value=size, scope="local"))
        return _tree(to_tree(value), names, value)


# ---------------------------------------------------------------- helpers


def same(a: Value, b: Value) -> bool:
    """Equal, and of the same types: 1, 1.0 and true differ."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)


def skeleton(expr: Expr) -> Skeleton:
    """What an expression says, without the values that its names have."""
    match expr:
        case Const(value=value):
            return ("const", _typed(value))
        case Ref():
            return ("ref", expr.name, expr.scope)
        case Operation():
            return (expr.op, *(skeleton(argument) for argument in expr.args))


def _typed(value: Value) -> object:
    if isinstance(value, tuple):
        return tuple(_typed(item) for item in value)
    return (type(value), value)


def _same(local: list[Expr]) -> Expr | None:
    first = local[0]
    if all(expr is first for expr in local):
        return first
    shape = skeleton(first)
    return first if all(skeleton(expr) == shape for expr in local[1:]) else None


def _agreed(local: list[Expr]) -> Expr | None:
    if not local:
        return None
    found = _same(local)
    if found is not None:
        return found
    value = local[0].value
    return Const(value=value) if all(same(expr.value, value) for expr in local) else None


def _differing(local: list[Expr]) -> int:
    """In how many places expressions of one form differ."""
    if _agreed(local) is not None:
        return 0
    first = local[0]
    others = [e for e in local if isinstance(e, Operation) and isinstance(first, Operation)
              and e.op == first.op and len(e.args) == len(first.args)]
    if len(others) < len(local):
        return 1
    return sum(_differing(list(column)) for column in zip(*(e.args for e in others), strict=True))


def pruned(local: list[Expr]) -> list[Expr]:
    """Without compile-time `if`s that turn out the same way in all strands."""
    first = local[0]
    if not isinstance(first, Operation):
        return local
    others = [e for e in local if isinstance(e, Operation) and e.op == first.op and len(e.args) == len(first.args)]
    if len(others) < len(local):
        return local
    if first.op == "if" and len({bool(e.args[0].value) for e in others}) == 1:
        return pruned([e.args[1 if first.args[0].value else 2] for e in others])
    columns = [pruned(list(column)) for column in zip(*(e.args for e in others), strict=True)]
    rows = list(zip(*columns, strict=True))
    if all(new is old for e, row in zip(others, rows, strict=True) for new, old in zip(row, e.args, strict=True)):
        return local
    return [simplified(e.op, row, e.value) for e, row in zip(others, rows, strict=True)]


def named_values(expr: Expr) -> dict[tuple[str, str], Value]:
    """The values of an expression's references, by name and scope."""
    match expr:
        case Ref():
            return {(expr.name, expr.scope): expr.value}
        case Operation():
            found: dict[tuple[str, str], Value] = {}
            for argument in expr.args:
                found.update(named_values(argument))
            return found
    return {}


def evaluated(expr: Expr, values: dict[tuple[str, str], Value]) -> Value:
    """The value of an expression under other values of its names; `...` where it has none."""
    match expr:
        case Const(value=value):
            return value
        case Ref():
            return values.get((expr.name, expr.scope), ...)
        case Operation(op=op, args=(left, right)) if op in ARITHMETIC:
            pair = evaluated(left, values), evaluated(right, values)
            if not all(isinstance(side, int | float) and not isinstance(side, bool) for side in pair):
                return ...
            try:
                return ARITHMETIC[op](*pair)
            except (ArithmeticError, ValueError):
                return ...
    return ...


def simplified(op: str, args: tuple[Expr, ...], value: Value) -> Expr:
    """The operation, without a factor 1 and without an exponent 1 (of integers)."""
    if op == "*" and isinstance(value, int | Dim):
        for one, other in ((args[0], args[1]), (args[1], args[0])):
            if isinstance(one, Const) and same(one.value, 1):
                return other
    if op in ("+", "-") and len(args) == 2 and isinstance(value, int | Dim) and same(args[1].value, 0):
        if isinstance(args[1], Const):
            return args[0]
    return Operation(op=op, args=args, value=value)


def ancestor(strand: Strand, level: int) -> Strand:
    """The strand around, `level` loops deep."""
    while len(strand.chain) > level and strand.parent is not None:
        strand = strand.parent
    return strand


def axis_value(definition: Definition, source: str, axis: int) -> Value:
    """The size of one axis of an input, None where there is none."""
    for item in definition.inputs:
        if item.name == source and item.tensor is not None and axis < item.tensor.type.rank:
            return item.tensor.type.shape[axis].value
    return None


def _given_value(definition: Definition, kind: str, source: str) -> Value:
    table = definition.statics if kind == "static" else definition.sizes
    return table[source].value if source in table else None


def _has_dim(value: Value) -> bool:
    return isinstance(value, Dim) or (isinstance(value, tuple) and any(_has_dim(v) for v in value))


def _symbolic_parts(expr: Expr) -> bool:
    if isinstance(expr, Operation):
        return any(_symbolic_parts(argument) for argument in expr.args)
    return isinstance(expr, Const) and _has_dim(expr.value)


def _tree(tree: object, names: dict[str, Ref], value: Value) -> Expr | None:
    match tree:
        case int():
            return Const(value=tree)
        case ("var", str(name)):
            return names.get(name)
        case (str(op), *parts):
            args = [_tree(part, names, value) for part in parts]
            result = args[0]
            for argument in args[1:]:
                if result is None or argument is None:
                    return None
                result = Operation(op=op, args=(result, argument), value=value)
            return result
    return None


def annotate(values: object) -> str:
    """The Python annotation of an argument that takes these values."""
    kinds = {_kind(value) for value in values}  # type: ignore[attr-defined]
    optional = "None" in kinds
    kinds.discard("None")
    if kinds == {"int", "float"}:
        kinds = {"float"}
    if len(kinds) > 1 and all(kind.startswith("tuple") for kind in kinds):
        kinds = {max(kinds - {"tuple[int, ...]"}, default="tuple[int, ...]")}
    return " | ".join(sorted(kinds) + (["None"] if optional else [])) or "None"


def _kind(value: Value) -> str:
    match value:
        case None:
            return "None"
        case bool():
            return "bool"
        case int() | Dim():
            return "int"
        case float():
            return "float"
        case str():
            return "str"
        case tuple():
            kinds = sorted({_kind(item) for item in value}) or ["int"]
            mixed = "float" if kinds == ["float", "int"] else " | ".join(kinds)
            if any(isinstance(item, tuple) for item in value) and len(kinds) > 1:
                mixed = max(kinds)
            return f"tuple[{mixed}, ...]"
    return "object"
