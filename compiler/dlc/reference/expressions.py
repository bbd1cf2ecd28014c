"""Compile-time expressions of the IR, with the sizes of one run.

In: an `ir.Expr` and a number for every size variable. Out: its value, without symbolic sizes.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from dlc import dims, ir

Sizes: TypeAlias = Mapping[str, int]

OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "neg": operator.neg,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": operator.not_,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
    "if": lambda condition, then, orelse: then if condition else orelse,
    "index": lambda values, position: values[position],
    "tuple": lambda *values: values,
    "list": lambda *values: values,
    "len": len,
    "range": lambda *bounds: tuple(range(*bounds)),
    "enumerate": lambda values: tuple(enumerate(values)),
    "reversed": lambda values: tuple(reversed(values)),
    "zip": lambda *values: tuple(zip(*values, strict=False)),
    "sum": sum,
    "prod": math.prod,
    "max": max,
    "min": min,
    "abs": abs,
    "int": int,
    "float": float,
    "ceil": math.ceil,
    "floor": math.floor,
    "round": round,
    "sqrt": math.sqrt,
    "log": math.log,
    "exp": math.exp,
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
}


def concrete(value: ir.Value, sizes: Sizes) -> Any:
    """A value with every symbolic size replaced by its number."""
    if isinstance(value, dims.Dim):
        return dims.evaluate(value, sizes)
    if isinstance(value, (tuple, list)):
        return tuple(concrete(item, sizes) for item in value)
    return value


def evaluate(expr: ir.Expr, sizes: Sizes) -> Any:
    """The value of an expression; an operation left open while compiling is computed now."""
    if isinstance(expr, ir.Operation) and expr.value is None:
        return compute(expr, sizes)
    return concrete(expr.value, sizes)


def compute(expr: ir.Expr, sizes: Sizes) -> Any:
    """The value of an expression from its parts, whatever was decided while compiling."""
    if not isinstance(expr, ir.Operation):
        return concrete(expr.value, sizes)
    return OPERATIONS[expr.op](*(compute(argument, sizes) for argument in expr.args))


def bind_sizes(
    shapes: Iterable[tuple[str, tuple[int | dims.Dim, ...], tuple[int, ...]]],
) -> dict[str, int]:
    """Size variables from `(name, declared shape, actual shape)` of every input.

    An axis that is a linear function of one unknown variable binds it; the others must then agree.
    """
    known: dict[str, int] = {}
    pairs: list[tuple[str, dims.Dim | int, int]] = []
    for name, declared, actual in shapes:
        if len(declared) != len(actual):
            raise ValueError(f"input {name!r} has {len(actual)} axes, not {len(declared)}")
        pairs += [(name, d, n) for d, n in zip(declared, actual, strict=True)]
    for _, size, actual_size in sorted(pairs, key=lambda pair: len(str(pair[1]))):
        unknown = dims.variables(size) - known.keys()
        if len(unknown) == 1:
            (variable,) = unknown
            zero, one = (dims.evaluate(size, {**known, variable: n}) for n in (0, 1))
            if one != zero:
                known[variable] = (actual_size - zero) // (one - zero)
    for name, size, actual_size in pairs:
        if dims.evaluate(size, known) != actual_size:
            raise ValueError(f"input {name!r}: {size} is not {actual_size} (sizes: {known})")
    return known
