"""Simplifies a plan before it is written: options that a file never varies, and last lines.

In: a `FilePlan`. Out: one that means the same. A compile-time argument of a std unit that has one
value at every use (`dilation=1`) becomes that value; conditions that are then decided vanish.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, TypeAlias

from dlc.emit.forms import simplified
from dlc.emit.plan import (
    Assign,
    Choice,
    Code,
    Conditional,
    ConfigField,
    FilePlan,
    FunctionCall,
    LayerCall,
    Loop,
    MakeConditional,
    MakeLayer,
    Piece,
    Primitive,
    Return,
    ScanLoop,
    Statement,
    Unit,
    Variable,
)
from dlc.ir import (
    Const,
    Distribution,
    Each,
    Expr,
    Let,
    Operation,
    Ref,
    Result,
    StaticFunction,
    TensorType,
    When,
)
from dlc.statics import operation
from dlc_grammar.record import as_dict, replace

Change = Callable[[Expr], Expr]
TREES = (Piece, StaticFunction, Let, When, Each, Result)
"""What has expressions in its fields."""


def specialised(plan: FilePlan) -> FilePlan:
    """The plan without arguments of std units that never vary, callers first: constants reach callees.

    What the user wrote keeps its arguments and its variables. What is optional and never given vanishes
    everywhere: the body was elaborated without it, and would ignore it silently.
    """
    units = list(plan.units)
    uses = Uses()
    units[-1] = without_arguments(units[-1], absent(plan.config))
    for position in reversed(range(len(units) - 1)):
        unit = units[position]
        unused = never_given(unit, uses.of(unit, units))
        if any(unused.values()):
            units[position] = unit = without_inputs(unit, unused)
            units = [without_absent(u, unit.name, unused) if uses.of(unit, [u]) else u for u in units]
            unit = units[position]
        fixed = unvarying(unit, uses.of(unit, units))
        if not unit.at.file.startswith("std/"):
            fixed = {name: value for name, value in fixed.items() if value.value is None}
        if not fixed:
            continue
        units[position] = without_arguments(unit, fixed)
        for other in range(len(units)):
            if uses.of(unit, [units[other]]):
                units[other] = without_given(units[other], unit.name, frozenset(fixed))
    units = [tidied(unit) if unit.at.file.startswith("std/") else unit for unit in units]
    return replace(plan, units=tuple(map(with_read_results, units)))


def absent(config: Iterable[ConfigField]) -> dict[str, Const]:
    """The settings that are `none`."""
    return {field.name: Const(value=None) for field in config if field.value is None}


def nodes_of(value: Any) -> Iterator[Any]:
    """Every piece of a plan inside a value, outermost first."""
    stack = [value]
    while stack:
        current = stack.pop()
        if isinstance(current, Piece):
            yield current
            stack += [getattr(current, field) for field in reversed(current.FIELDS)]
        elif isinstance(current, tuple):
            stack += reversed(current)
        elif isinstance(current, dict):
            stack += reversed(current.values())


Use: TypeAlias = MakeLayer | LayerCall | FunctionCall


class Uses:
    """Where the units of a file make and call each other. Each unit is looked through once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Unit, dict[str, list[Use]]]] = {}

    def of(self, callee: Unit, units: Iterable[Unit]) -> list[Use]:
        """The uses of a unit in some units, in order."""
        return [use for unit in units for use in self._in(unit).get(callee.name, ())]

    def _in(self, unit: Unit) -> dict[str, list[Use]]:
        if id(unit) not in self._known:
            found: dict[str, list[Use]] = defaultdict(list)
            for node in nodes_of((unit.construction, unit.methods)):
                match node:
                    case MakeLayer(unit=name, native=False) | LayerCall(unit=name, native=False):
                        found[name].append(node)
                    case FunctionCall(name=name, native=False):
                        found[name].append(node)
            self._known[id(unit)] = unit, found
        return self._known[id(unit)][1]


# ---------------------------------------------------------------- optional tensors


def never_given(unit: Unit, uses: Iterable[Use]) -> dict[str, frozenset[str]]:
    """The optional inputs of each method that every call leaves out."""
    calls: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for use in uses:
        match use:
            case LayerCall():
                calls[use.method].append(use.args)
            case FunctionCall():
                calls[unit.methods[0].name].append(use.args)
    return {
        method.name: frozenset(
            tensor.name
            for tensor in method.inputs
            if tensor.optional
            and calls[method.name]
            and all(args.get(tensor.name, args) is None for args in calls[method.name])
        )
        for method in unit.methods
    }


def without_inputs(unit: Unit, unused: Mapping[str, frozenset[str]]) -> Unit:
    """The unit whose methods no longer have some of their inputs."""
    methods = tuple(
        replace(method, inputs=tuple(i for i in method.inputs if i.name not in unused[method.name]))
        for method in unit.methods
    )
    return replace(unit, methods=methods)


def without_absent(unit: Unit, callee: str, unused: Mapping[str, frozenset[str]]) -> Unit:
    """The unit whose calls of `callee` no longer mention inputs that it does not have."""
    only = next(iter(unused.values()))

    def visit(value: Any) -> Any:
        match value:
            case tuple():
                return tuple(map(visit, value))
            case Mapping():
                return {key: visit(item) for key, item in value.items()}
        if not isinstance(value, Piece):
            return value
        value = replace(value, **{field: visit(getattr(value, field)) for field in value.FIELDS})
        match value:
            case LayerCall(unit=name, native=False) if name == callee:
                gone = unused.get(value.method, frozenset())
            case FunctionCall(name=name, native=False) if name == callee:
                gone = only
            case _:
                return value
        return replace(value, args={k: v for k, v in value.args.items() if k not in gone})

    return replace(unit, methods=visit(unit.methods))


def unvarying(unit: Unit, uses: Iterable[Use]) -> dict[str, Const]:
    """The arguments of a unit that are the same constant wherever it is made or called."""
    found: dict[str, list[Expr]] = defaultdict(list)
    for use in uses:
        for argument, expr in (use.arguments if isinstance(use, MakeLayer) else use.statics).items():
            found[argument].append(expr)
    sizes = {argument.name for argument in unit.arguments if argument.size}
    return {
        name: exprs[0]
        for name, exprs in found.items()
        if name not in sizes
        and isinstance(exprs[0], Const)
        and all(isinstance(e, Const) and same(e.value, exprs[0].value) for e in exprs)
    }


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


# ---------------------------------------------------------------- rewriting


def mapped(value: Any, change: Change) -> Any:
    """A value with every expression in it changed."""
    match value:
        case Const() | Ref() | Operation():
            return change(value)
        case Distribution(name=name, args=args):
            return Distribution(name=name, args={k: change(v) for k, v in args.items()})
        case TensorType(dtype=dtype, shape=shape):
            return TensorType(dtype=dtype, shape=tuple(map(change, shape)))
        case tuple():
            return tuple([mapped(item, change) for item in value])
        case dict():
            return {key: mapped(item, change) for key, item in value.items()}
    if not isinstance(value, TREES):
        return value
    new = {field: mapped(getattr(value, field), change) for field in value.FIELDS}
    same = all(new[field] is getattr(value, field) for field in new)
    return decided(value if same else replace(value, **new))


def decided(node: Any) -> Any:
    """A choice between two codes whose condition is known is the chosen one."""
    match node:
        case Choice(condition=Const(value=value)):
            return node.then if value else node.orelse
    return node


def substitution(fixed: Mapping[str, Const], scope: str) -> Change:
    def change(expr: Expr) -> Expr:
        match expr:
            case Ref(name=name) if name in fixed and expr.scope == scope:
                return fixed[name]
            case Operation(op=op, args=args, value=value):
                made = operation(op, tuple(map(change, args)), value)
                return simplified(made.op, made.args, made.value) if isinstance(made, Operation) else made
        return expr

    return change


def without_arguments(unit: Unit, fixed: Mapping[str, Const]) -> Unit:
    """The unit with constants for some of its arguments."""
    change = substitution(fixed, {"fn": "local", "block": "self", "net": "config"}[unit.kind])
    return replace(
        unit,
        arguments=tuple(a for a in unit.arguments if a.name not in fixed),
        construction=flattened(mapped(unit.construction, change)),
        methods=tuple(
            replace(
                method,
                statics=tuple(a for a in method.statics if a.name not in fixed),
                body=flattened(mapped(method.body, change)),
            )
            for method in unit.methods
        ),
    )


def flattened(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Statements or constructions without conditions that are decided."""
    found: list[Any] = []
    for item in items:
        match item:
            case Conditional(condition=Const(value=value)) | MakeConditional(condition=Const(value=value)):
                found += flattened(item.body if value else item.orelse)
                if value and any(isinstance(inner, Return) for inner in item.body):
                    break
            case Conditional() | MakeConditional():
                kept: Any = item
                sides = {"body": flattened(item.body), "orelse": flattened(item.orelse)}
                found.append(replace(kept, **sides))
            case _:
                body = getattr(item, "body", None)
                found.append(item if body is None else replace(item, body=flattened(body)))
    return tuple(found)


def without_given(unit: Unit, callee: str, fixed: frozenset[str]) -> Unit:
    """The unit whose calls of `callee` no longer give the fixed arguments."""

    def rest(given: Mapping[str, Expr]) -> dict[str, Expr]:
        return {name: expr for name, expr in given.items() if name not in fixed}

    def visit(value: Any) -> Any:
        match value:
            case tuple():
                return tuple(map(visit, value))
            case Mapping():
                return {key: visit(item) for key, item in value.items()}
        if not isinstance(value, Piece):
            return value
        value = replace(value, **{field: visit(getattr(value, field)) for field in value.FIELDS})
        match value:
            case MakeLayer(unit=name, native=False, arguments=given) if name == callee:
                return replace(value, arguments=rest(given))
            case LayerCall(unit=name, native=False, statics=given) if name == callee:
                return replace(value, statics=rest(given))
            case FunctionCall(name=name, native=False, statics=given) if name == callee:
                return replace(value, statics=rest(given))
        return value

    return replace(unit, construction=visit(unit.construction), methods=visit(unit.methods))


# ---------------------------------------------------------------- last lines


def reads(code: Any, name: str) -> bool:
    """Whether a code reads a variable."""
    return any(isinstance(inner, Variable) and inner.name == name for inner in nodes_of(code))


def tidied(unit: Unit) -> Unit:
    """`y = a; y = y + b; return y` is `return a + b`."""
    return replace(
        unit, methods=tuple(replace(method, body=shortened(method.body)) for method in unit.methods)
    )


def with_read_results(unit: Unit) -> Unit:
    """Of several results of a call, those that nothing reads are `_`."""
    return replace(
        unit,
        methods=tuple(
            replace(method, body=kept_targets(method.body, cache(partial(mentioned, method.body))))
            for method in unit.methods
        ),
    )


def mentioned(value: Any) -> frozenset[str]:
    """Every text in a body but the targets of assignments: the variables that are read are among them."""
    match value:
        case str():
            return frozenset((value,))
        case tuple():
            return frozenset().union(*map(mentioned, value))
        case dict():
            return mentioned(tuple(value.values()))
    if not isinstance(value, Piece):
        return frozenset()
    skipped = ("fields", "field", "targets") if isinstance(value, Assign) else ("fields", "field")
    return mentioned(tuple(item for name, item in as_dict(value).items() if name not in skipped))


def kept_targets(body: tuple[Statement, ...], read: Callable[[], frozenset[str]]) -> tuple[Statement, ...]:
    """Calls with several results, in which `_` stands for what nothing reads."""
    found: list[Statement] = []
    for statement in body:
        match statement:
            case Assign(targets=targets) if len(targets) > 1 and not set(targets) <= read():
                targets = tuple(name if name in read() else "_" for name in targets)
                found.append(replace(statement, targets=targets))
            case Conditional(body=inner, orelse=orelse):
                sides = {"body": kept_targets(inner, read), "orelse": kept_targets(orelse, read)}
                found.append(replace(statement, **sides))
            case Loop(body=inner) | ScanLoop(body=inner):
                found.append(replace(statement, body=kept_targets(inner, read)))
            case _:
                found.append(statement)
    return tuple(found)


def is_one(value: Code) -> bool:
    """Whether a code has a single tensor as its value: no type is also that of one whose rank varies."""
    return value.type is not None or (isinstance(value, Primitive) and value.op not in ("split", "top_k"))


def shortened(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """Returns what the last statement assigns, without the variable."""
    while len(body) >= 2:
        before, last = body[-2:]
        match before, last:
            case (
                Assign(targets=(target,), value=value),
                Return(values=(Variable(name=name, field=None),)),
            ) if name == target and is_one(value):
                last = replace(last, values=(value,), origin=before.origin, at=before.at)
                body = (*body[:-2], last)
                continue
            case (
                Assign(targets=(target,), value=Primitive(op="matmul") as inner),
                Return(values=(Primitive(op="add", args=(Variable(name=name), other)) as outer,)),
            ) if name == target and not reads(other, target):
                value = replace(outer, args=(inner, other))
                body = (*body[:-2], replace(last, values=(value,)))
                continue
        break
    return body
