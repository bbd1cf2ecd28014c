"""`require`: decided while compiling, or assumed about sizes and checked when the model runs."""

from __future__ import annotations

import math

from dlc import dims, ir
from dlc.dims import Dim
from dlc.elaborate.coerce import decision
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame
from dlc.ir import Const, Expr, Operation
from dlc.text import print_expression
from dlc.values import STATIC
from dlc_grammar import syntax


def require(frame: Frame, node: syntax.Require) -> None:
    """Each part of the condition by itself. Raises E0310."""
    for condition in _conjuncts(node.condition):
        _require_one(frame, node, condition)


def _conjuncts(node: syntax.Expr) -> list[syntax.Expr]:
    if isinstance(node, syntax.Binary) and node.op == "and":
        return [*_conjuncts(node.left), *_conjuncts(node.right)]
    return [node]


def _require_one(frame: Frame, node: syntax.Require, condition: syntax.Expr) -> None:
    session = frame.session
    frame.requiring = True
    try:
        decided: bool | None = bool(decision(frame, condition).value)
        expr = None
    except Failed as failed:
        if failed.diagnostic is None or failed.diagnostic.code != "E0224":
            raise
        decided, expr = None, _undecided(frame, condition)
        if expr is None:
            raise
    finally:
        frame.requiring = False
    if decided is True:
        return
    message = format_message(frame, node)
    if decided is False:
        raise fail(
            "E0310",
            message,
            node.span,
            f"`{condition.span.text}` does not hold{_shown_values(frame, condition)}",
            help="change the numbers that enter it",
        )
    assert expr is not None
    _learn_fact(frame, condition)
    assumed = print_expression(Operation(op=expr.op, args=tuple(map(_valued, expr.args)), value=True))
    session.requirements.append(
        ir.Requirement(condition=assumed, message=message, expr=expr, at=frame.location(node))
    )
    frame.builder.add(
        ir.Check(
            origin=session.origin(condition, "check"),
            at=frame.location(node),
            condition=expr,
            message=format_message(frame, node, keep_sizes=True),
        ),
        node.span,
    )


def _shown_values(frame: Frame, condition: syntax.Expr) -> str:
    if not isinstance(condition, syntax.Binary):
        return ""
    try:
        left, right = (evaluate(frame, side) for side in (condition.left, condition.right))
    except Failed:
        return ""
    if isinstance(left, STATIC) and isinstance(right, STATIC):
        return f": {left.value} {condition.op} {right.value}"
    return ""


def _valued(expr: Expr) -> Expr:
    """The expression in sizes of the network and numbers, whatever the block calls them."""
    if isinstance(expr, Operation) and isinstance(expr.value, Dim):
        return Operation(op=expr.op, args=tuple(map(_valued, expr.args)), value=expr.value)
    return Const(value=expr.value)


def _undecided(frame: Frame, condition: syntax.Expr) -> Operation | None:
    """A condition on symbolic sizes as an expression, for the check when the model runs."""
    if not isinstance(condition, syntax.Binary):
        return None
    sides = [evaluate(frame, side) for side in (condition.left, condition.right)]
    known = tuple(side for side in sides if isinstance(side, STATIC))
    return Operation(op=condition.op, args=known, value=True) if len(known) == len(sides) else None


def _learn_fact(frame: Frame, condition: syntax.Expr) -> None:
    """`H % 8 == 0` makes H a multiple of 8 from here on; `T <= ctx` is kept as a bound."""
    _learn_bound(frame, condition)
    if not (isinstance(condition, syntax.Binary) and condition.op == "=="):
        return
    side = condition.left
    if not (isinstance(side, syntax.Binary) and side.op == "%"):
        return
    left, right = evaluate(frame, side.left), evaluate(frame, side.right)
    if not (isinstance(left, STATIC) and isinstance(right, STATIC)):
        return
    if isinstance(left.value, Dim) and isinstance(right.value, int):
        names = dims.variables(left.value)
        name = next(iter(names))
        if len(names) == 1 and left.value == dims.variable(name):
            facts = frame.session.facts
            facts[name] = math.lcm(facts.get(name, 1), right.value)


def _learn_bound(frame: Frame, condition: syntax.Expr) -> None:
    if not (isinstance(condition, syntax.Binary) and condition.op in ("<", "<=", ">", ">=")):
        return
    left, right = evaluate(frame, condition.left), evaluate(frame, condition.right)
    if not (isinstance(left, STATIC) and isinstance(right, STATIC)):
        return
    high, low = (left.value, right.value) if condition.op[0] == ">" else (right.value, left.value)
    bound = high - low - (1 if len(condition.op) == 1 else 0)
    if isinstance(bound, Dim):
        frame.session.bounds.append(bound)


def format_message(frame: Frame, node: syntax.Require, keep_sizes: bool = False) -> str:
    """The message of a `require` with its `{expressions}` filled in.

    `keep_sizes` leaves the names of sizes that are only known when the model runs: `{T}`.
    """
    from dlc_grammar.parse import parse_expression

    if node.message is None:
        return f"`{node.condition.span.text}` is required"
    text, out, at = str(node.message.value), "", 0
    while True:
        start = text.find("{", at)
        stop = text.find("}", start)
        if start < 0 or stop < 0:
            return out + text[at:]
        out += text[at:start]
        tree, _ = parse_expression(text[start + 1 : stop], "message")
        shown = text[start : stop + 1]
        if tree is not None:
            try:
                value = evaluate(frame, tree)
                later = keep_sizes and isinstance(tree, syntax.Name)
                if isinstance(value, STATIC) and not (later and isinstance(value.value, Dim)):
                    shown = str(value.value)
            except Failed:
                pass
        out += shown
        at = stop + 1
