"""`if` as a statement and as an expression: only the side that is chosen is elaborated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dlc import ir, statics
from dlc.elaborate.coerce import decision
from dlc.elaborate.dispatch import assigned, evaluate, orelse, run
from dlc.elaborate.failure import Failed
from dlc.elaborate.frame import Builder, Frame, Returned
from dlc.ir import Expr
from dlc.values import STATIC, AnyValue, TensorValue
from dlc_grammar import syntax


def branch(frame: Frame, node: syntax.If) -> None:
    """Run the side that is chosen; names that one side alone assigns are unknown afterwards."""
    condition = decision(frame, node.condition)
    taken = bool(condition.value)
    before = set(frame.names)
    chosen = node.body.statements if taken else orelse(node)
    returned = False
    with frame.builder.region() as nodes:
        try:
            run(frame, chosen)
        except Returned:
            returned = True
    frame.builder.add(
        ir.Branch(
            origin=frame.session.origin(node),
            at=frame.location(node),
            condition=condition,
            taken=taken,
            body=tuple(nodes),
        ),
        node.span,
    )
    if returned:
        raise Returned
    other = orelse(node) if taken else node.body.statements
    if any(isinstance(statement, syntax.Return) for statement in other):
        return
    one, two = assigned(node.body.statements), assigned(orelse(node))
    for name in [*one, *two]:
        in_one_only = (name in one) != (name in two)
        if in_one_only and name not in before and frame.fixed.get(name) not in ("param", "state"):
            frame.names.pop(name, None)
            frame.maybe[name] = node.span


def if_expression(frame: Frame, node: syntax.IfExpr) -> AnyValue:
    """`if c then a else b`: only the chosen side is elaborated."""
    condition = decision(frame, node.condition)
    taken = bool(condition.value)
    with frame.builder.region() as nodes:
        value = evaluate(frame, node.then if taken else node.orelse)
    if isinstance(value, STATIC):
        return _static_choice(frame, node, condition, value, taken)
    parts: dict[str, Any] = {
        "origin": frame.session.origin(node),
        "at": frame.location(node),
        "condition": condition,
        "taken": taken,
        "body": tuple(nodes),
    }
    if not isinstance(value, TensorValue):
        if nodes:
            frame.builder.add(ir.Branch(**parts), node.span)
        return value
    output = frame.builder.tensor(value.type)
    frame.builder.add(ir.Branch(**parts, result=(value.operand,), outputs=(output,)), node.span)
    return TensorValue(ir.Use(id=output.id), value.type, value.constant)


def _static_choice(frame: Frame, node: syntax.IfExpr, condition: Expr, value: Expr, taken: bool) -> Expr:
    """Keeps both sides in the expression where the other one has a value too."""
    scratch = replace(frame, builder=Builder(frame.session), names=dict(frame.names))
    try:
        other = evaluate(scratch, node.orelse if taken else node.then)
    except Failed:
        return value
    if not isinstance(other, STATIC):
        return value
    sides = (value, other) if taken else (other, value)
    return statics.operation("if", (condition, *sides), value.value)
