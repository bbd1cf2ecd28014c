"""Hashable pictures of expressions and operands: equal keys mean the same computation.

In: an expression. Out: a key by structure, so that `4 * dim` and `4 * width` differ even where both numbers
are the same in this elaboration: a generated file may be given others.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Set

from dlc import ir

NONE: frozenset[str] = frozenset()


def value_key(value: ir.Value) -> Hashable:
    """A value with its type: 1, 1.0 and True are three values, and so are 0.0 and -0.0."""
    if isinstance(value, (tuple, list)):
        return tuple([value_key(item) for item in value])
    if isinstance(value, float):
        return (float, repr(value))
    return (type(value), value)


def expression_key(expr: ir.Expr, scopes: Set[str] = NONE) -> Hashable:
    """An expression by structure; the variables of the loop rounds `scopes` count by their values."""
    if type(expr) is ir.Const:
        return value_key(expr.value)
    if type(expr) is ir.Ref:
        if expr.scope in scopes:
            return ("round", expr.name, value_key(expr.value))
        return ("ref", expr.name, expr.scope)
    assert isinstance(expr, ir.Operation)
    return (expr.op, tuple([expression_key(argument, scopes) for argument in expr.args]))


def table_key(table: Mapping[str, ir.Expr], scopes: Set[str] = NONE) -> Hashable:
    """Named expressions, in any order."""
    if not table:
        return ()
    return tuple(sorted([(name, expression_key(expr, scopes)) for name, expr in table.items()], key=_name))


def _name(item: tuple[str, Hashable]) -> str:
    return item[0]
