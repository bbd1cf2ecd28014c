"""Computes what is known while compiling, and drops operations that change nothing.

In: a program. Out: the same, where an element-wise operation on numbers only is a number, and `x * 1.0`,
`x / 1.0`, `x - 0.0` (and `x + 0`, `x - 0`, `x * 1` of integers) is `x`: exact for every x, NaN and -0.0
included. `x + 0.0` stays: it turns -0.0 into 0.0. A neutral number counts only if it is written as itself:
one that comes from a parameter may differ in the generated file. Nodes of `const` tensors stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from dlc import ir
from dlc.passes.nodes import results, walk
from dlc.passes.rewriting import Finding, rewrite_families

ARITHMETIC: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "add": ("+", lambda a, b: a + b),
    "subtract": ("-", lambda a, b: a - b),
    "multiply": ("*", lambda a, b: a * b),
    "divide": ("/", lambda a, b: a / b),
    "negative": ("neg", lambda a: -a),
    "sqrt": ("sqrt", math.sqrt),
    "maximum": ("max", max),
    "minimum": ("min", min),
}
"""Primitives with the compile-time operation that is the same in every bit."""

NEUTRAL: Mapping[str, tuple[tuple[int, ...], float, bool]] = {
    "add": ((0, 1), 0, False),
    "subtract": ((1,), 0, True),
    "multiply": ((0, 1), 1, True),
    "divide": ((1,), 1, True),
}
"""Where the neutral number may stand, which it is, and whether it is neutral for floats too."""

FLOATING = ("float", "wide", "f64", "f32", "bf16", "f16")


def fold_constants(program: ir.Program) -> ir.Program:
    """Fold until nothing more folds."""
    while True:
        made = rewrite_families(program, _find)
        if made is program:
            return program
        program = made


def _find(definition: ir.Definition) -> list[tuple[ir.Node, Finding | None]]:
    types = {item.tensor.id: item.tensor.type for item in definition.inputs if item.tensor is not None}
    found: list[tuple[ir.Node, Finding | None]] = []
    for node in walk(definition.body):
        if isinstance(node, ir.Apply):
            found.append((node, _fold(node, types)))
        types.update((tensor.id, tensor.type) for tensor in results(node))
    return found


def _fold(node: ir.Apply, types: Mapping[int, ir.TensorType]) -> Finding | None:
    if node.constant or not (node.op in ARITHMETIC or node.op in NEUTRAL):
        return None
    if all(type(operand) is ir.Static for operand in node.inputs):
        return _number(node)
    return _neutral(node, types)


def _number(node: ir.Apply) -> Finding | None:
    """The operation as a number, with its expression kept."""
    op, compute = ARITHMETIC[node.op]
    args = tuple(operand.expr for operand in node.inputs if isinstance(operand, ir.Static))
    kinds = {type(expr.value) for expr in args}
    if kinds not in ({int}, {float}):
        return None
    try:
        value = compute(*(expr.value for expr in args))
    except (ArithmeticError, ValueError):
        return None
    dtype = "float" if type(value) is float else "int"
    if node.outputs[0].type.dtype != dtype or (dtype == "float" and not math.isfinite(value)):
        return None
    return Finding(node, "number", (ir.Static(expr=ir.Operation(op=op, args=args, value=value)),))


def _neutral(node: ir.Apply, types: Mapping[int, ir.TensorType]) -> Finding | None:
    """The operand that the operation leaves as it is."""
    places, number, floats = NEUTRAL.get(node.op, ((), 0, False))
    for place in places:
        given, kept = node.inputs[place], node.inputs[1 - place]
        if type(given) is not ir.Static or type(kept) is not ir.Use or kept.id not in types:
            continue
        expr, made, own = given.expr, node.outputs[0].type, types[kept.id]
        if not isinstance(expr, ir.Const) or type(expr.value) not in (int, float) or expr.value != number:
            continue
        if own.dtype != made.dtype or own.sizes != made.sizes:
            continue
        if (floats and own.dtype in FLOATING) or (own.dtype == "int" and type(expr.value) is int):
            if number == 0 and math.copysign(1.0, expr.value) < 0:
                continue
            return Finding(node, ("operand", 1 - place), (kept,))
    return None
