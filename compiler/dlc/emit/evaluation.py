"""Compile-time expressions under other values of their names.

In: an expression or a compile-time function of the user, and values. Out: its value as the elaborator has
it and the printed code will; `...` where it has none.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from dlc.emit.forms import ARITHMETIC, FUNCTION
from dlc.ir import Const, Each, Expr, Let, Operation, Ref, Result, StaticFunction, Step, Value, When

Names: TypeAlias = Mapping[tuple[str, str], Value]
"""Values by name and scope; those of functions are Python functions."""
Function: TypeAlias = Callable[..., Value]


def _number(function: Function) -> Function:
    """A function of numbers, which true and false are not."""

    def apply(*args: Value) -> Value:
        if any(isinstance(arg, bool) or not isinstance(arg, int | float) for arg in args):
            return ...
        return function(*args)

    return apply


def _extreme(choose: Function) -> Function:
    return lambda *args: _number(choose)(*(args[0] if len(args) == 1 else args))


def _joined(a: Value, b: Value) -> Value:
    """Sums of numbers, of lists and of texts."""
    alike = type(a) is type(b) and isinstance(a, tuple | str)
    return a + b if alike else _number(operator.add)(a, b)


def _times(a: Value, b: Value) -> Value:
    listed = isinstance(a, tuple) and type(b) is int
    return a * b if listed else _number(operator.mul)(a, b)


_OPERATIONS: Mapping[str, Function] = {
    **{op: _number(function) for op, function in ARITHMETIC.items()},
    "+": _joined,
    "*": _times,
    "/": _number(operator.truediv),
    "neg": _number(operator.neg),
    "not": lambda value: not value if isinstance(value, bool) else ...,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda item, items: item in items,
    "not in": lambda item, items: item not in items,
    "index": lambda items, place: items[place],
    "slice": lambda *bounds: slice(*bounds),
    "tuple": lambda *items: items,
    "len": len,
    "sum": sum,
    "prod": math.prod,
    "max": _extreme(max),
    "min": _extreme(min),
    **{name: _number(getattr(math, name)) for name in ("ceil", "floor", "sqrt", "log", "exp", "sin", "cos")},
    **{function.__name__: _number(function) for function in (round, abs, int, float)},
    "range": lambda *bounds: tuple(range(*bounds)),
    "enumerate": lambda items: tuple(enumerate(items)),
    "reversed": lambda items: tuple(reversed(items)),
}


def evaluated(expr: Expr, values: Names) -> Value:
    """The value of an expression under other values of its names; `...` where it has none."""
    match expr:
        case Const(value=value):
            return value
        case Ref(name=name, scope=scope):
            return values.get((name, scope), ...)
        case Operation(op="if", args=(condition, then, orelse)):
            decided = evaluated(condition, values)
            return evaluated(then if decided else orelse, values) if isinstance(decided, bool) else ...
        case Operation(op="and" | "or" as op, args=(left, right)):
            first = evaluated(left, values)
            return evaluated(right, values) if first is (op == "and") else first
        case Operation(op="comprehension", args=(element, Const(value=targets), iterable, *conditions)):
            return _comprehension(element, targets, iterable, conditions, values)
        case Operation(op="call", args=(Const(value=name), *rest)):
            function = values.get((name, FUNCTION), ...)
            args: Sequence[Expr] = rest
        case Operation(op=op):
            function, args = _OPERATIONS.get(op, ...), expr.args
    given = [evaluated(argument, values) for argument in args]
    if function is ... or any(value is ... for value in given):
        return ...
    try:
        return function(*given)
    except (ArithmeticError, ValueError, TypeError, LookupError):
        return ...


def _comprehension(
    element: Expr, targets: Sequence[str], iterable: Expr, conditions: Sequence[Expr], values: Names
) -> Value:
    items = evaluated(iterable, values)
    if not isinstance(items, tuple):
        return ...
    found = []
    for item in items:
        inside = {**values, **_bound(targets, item)}
        wanted = [evaluated(condition, inside) for condition in conditions]
        if not all(isinstance(decided, bool) for decided in wanted):
            return ...
        if all(wanted):
            found.append(evaluated(element, inside))
    return ... if any(value is ... for value in found) else tuple(found)


def _bound(names: Sequence[str], item: Value) -> dict[tuple[str, str], Value]:
    parts = (item,) if len(names) == 1 else item
    return {(name, "local"): part for name, part in zip(names, parts, strict=True)}


# ---------------------------------------------------------------- functions


def callables(functions: Mapping[str, StaticFunction]) -> Mapping[str, Function]:
    """Compile-time functions as Python functions."""
    made: dict[str, Function] = {}
    for name, function in functions.items():
        made[name] = _callable(function, {(known, FUNCTION): made[known] for known in made})
    return made


def _callable(function: StaticFunction, known: Names) -> Function:
    def run(*args: Value) -> Value:
        given = {parameter.name: value for parameter, value in zip(function.parameters, args, strict=False)}
        missing = {name: default.value for name, default in function.defaults.items() if name not in given}
        values = {**known, **{(name, "local"): value for name, value in {**given, **missing}.items()}}
        return _run(function.body, values)

    return run


def _run(steps: Sequence[Step], values: dict[tuple[str, str], Value]) -> Value:
    """What the steps return; None where they come to their end. A function of the user returns no None."""
    for step in steps:
        result: Value = None
        match step:
            case Result(value=value):
                return evaluated(value, values)
            case Let(names=names, value=value):
                values.update(_bound(names, evaluated(value, values)))
            case When(condition=condition, body=body, orelse=orelse):
                decided = evaluated(condition, values)
                if not isinstance(decided, bool):
                    return ...
                result = _run(body if decided else orelse, values)
            case Each(targets=targets, iterable=iterable, body=body):
                items = evaluated(iterable, values)
                if not isinstance(items, tuple):
                    return ...
                for item in items:
                    values.update(_bound(targets, item))
                    result = _run(body, values)
                    if result is not None:
                        break
        if result is not None:
            return result
    return None
