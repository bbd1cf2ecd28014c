"""Compile-time expressions compared, evaluated and simplified.

In: `ir.Expr`s of several elaborations. Out: what they agree on. All functions are pure.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from dlc.dims import Dim
from dlc.ir import Const, Expr, Operation, Ref, Value

Skeleton = tuple[object, ...]
ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
ROUNDING = frozenset(("call", "max", "min", "ceil", "floor", "round", "int", "abs"))
FUNCTION = "function"
"""The scope of the name of a function that an expression calls."""


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


def same_form(local: list[Expr]) -> Expr | None:
    first = local[0]
    if all(expr is first for expr in local):
        return first
    shape = skeleton(first)
    return first if all(skeleton(expr) == shape for expr in local[1:]) else None


def agreed(local: list[Expr]) -> Expr | None:
    if not local:
        return None
    found = same_form(local)
    if found is not None:
        return found
    value = local[0].value
    return Const(value=value) if all(same(expr.value, value) for expr in local) else None


def differing(local: list[Expr]) -> int:
    """In how many places expressions of one form differ."""
    if agreed(local) is not None:
        return 0
    first = local[0]
    others = [
        e
        for e in local
        if isinstance(e, Operation)
        and isinstance(first, Operation)
        and e.op == first.op
        and len(e.args) == len(first.args)
    ]
    if len(others) < len(local):
        return 1
    return sum(differing(list(column)) for column in zip(*(e.args for e in others), strict=True))


def pruned(local: list[Expr]) -> list[Expr]:
    """Without compile-time `if`s that turn out the same way in all strands."""
    first = local[0]
    if not isinstance(first, Operation):
        return local
    others = [
        e for e in local if isinstance(e, Operation) and e.op == first.op and len(e.args) == len(first.args)
    ]
    if len(others) < len(local):
        return local
    if first.op == "if" and len({bool(e.args[0].value) for e in others}) == 1:
        return pruned([e.args[1 if first.args[0].value else 2] for e in others])
    columns = [pruned(list(column)) for column in zip(*(e.args for e in others), strict=True)]
    rows = list(zip(*columns, strict=True))
    if all(
        new is old for e, row in zip(others, rows, strict=True) for new, old in zip(row, e.args, strict=True)
    ):
        return local
    return [simplified(e.op, row, e.value) for e, row in zip(others, rows, strict=True)]


def named_values(expr: Expr) -> dict[tuple[str, str], Value]:
    """The values of an expression's references, by name and scope; the functions that it calls are among
    them, without a value."""
    match expr:
        case Ref():
            return {(expr.name, expr.scope): expr.value}
        case Operation():
            found: dict[tuple[str, str], Value] = {}
            if expr.op == "call" and isinstance(expr.args[0], Const):
                found[expr.args[0].value, FUNCTION] = ...
            for argument in expr.args:
                found.update(named_values(argument))
            return found
    return {}


def rounds(expr: Expr) -> bool:
    """Whether an expression has an operation that gives many arguments the same value."""
    return isinstance(expr, Operation) and (expr.op in ROUNDING or any(map(rounds, expr.args)))


def simplified(op: str, args: tuple[Expr, ...], value: Value) -> Expr:
    """The operation, without a factor or divisor 1 or a term 0 (of integers)."""
    if op == "*" and isinstance(value, int | Dim):
        for one, other in ((args[0], args[1]), (args[1], args[0])):
            if isinstance(one, Const) and same(one.value, 1):
                return other
    if op == "//" and args[1] == Const(value=1) and isinstance(value, int | Dim):
        return args[0]
    if op in ("+", "-") and len(args) == 2 and isinstance(value, int | Dim) and args[1] == Const(value=0):
        return args[0]
    return Operation(op=op, args=args, value=value)


def has_dim(value: Value) -> bool:
    return isinstance(value, Dim) or (isinstance(value, tuple) and any(has_dim(v) for v in value))


def has_symbolic(expr: Expr) -> bool:
    if isinstance(expr, Operation):
        return any(has_symbolic(argument) for argument in expr.args)
    return isinstance(expr, Const) and has_dim(expr.value)


def size_expression(tree: object, names: dict[str, Ref], value: Value) -> Expr | None:
    match tree:
        case int():
            return Const(value=tree)
        case ("var", str(name)):
            return names.get(name)
        case (str(op), *parts):
            args = [size_expression(part, names, value) for part in parts]
            result = args[0]
            for argument in args[1:]:
                if result is None or argument is None:
                    return None
                result = Operation(op=op, args=(result, argument), value=value)
            return result
    return None
