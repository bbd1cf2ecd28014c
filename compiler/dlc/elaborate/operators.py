"""Operators: of compile-time values, of tensors, and of lists."""

from __future__ import annotations

from dlc import statics, values
from dlc.elaborate import primitives
from dlc.elaborate.coerce import elements, expect_operand, expect_tensor
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame
from dlc.ir import Const, Expr
from dlc.values import STATIC, AnyValue, ListValue, TensorValue
from dlc_grammar import syntax

OPERATORS = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "//": "floor_divide",
    "%": "remainder",
    "**": "power",
    "@": "matmul",
    "==": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "and": "logical_and",
    "or": "logical_or",
}


MOST_LAYERS = 100_000


def unary(frame: Frame, node: syntax.Unary) -> AnyValue:
    value = evaluate(frame, node.operand)
    if isinstance(value, STATIC):
        try:
            return statics.negative(value) if node.op == "-" else statics.invert(value)
        except statics.Wrong as wrong:
            raise fail("E0223", str(wrong), node.span, "this has no value", help=wrong.help) from None
    operand = expect_tensor(value, node.operand.span)
    return primitives.apply(frame, "negative" if node.op == "-" else "logical_not", [operand], {}, node)


def _is_none(node: syntax.Expr) -> bool:
    return isinstance(node, syntax.Literal_) and node.value is None


def _given(frame: Frame, node: syntax.Binary) -> Expr | None:
    """`mask != none` for an optional input: decided at compile time per call."""
    if node.op not in ("==", "!=") or not (_is_none(node.left) or _is_none(node.right)):
        return None
    other = node.right if _is_none(node.left) else node.left
    value = evaluate(frame, other)
    if isinstance(value, STATIC) and not (isinstance(other, syntax.Name) and other.id in frame.optional):
        return None
    present = not (isinstance(value, STATIC) and value.value is None)
    if isinstance(other, syntax.Name) and other.id in frame.optional:
        reference: Expr = statics.ref(other.id, present, "given")
    else:
        reference = Const(value=present)
    return reference if node.op == "!=" else statics.invert(reference)


def binary(frame: Frame, node: syntax.Binary) -> AnyValue:
    given = _given(frame, node)
    if given is not None:
        return given
    left = evaluate(frame, node.left)
    if node.op in ("and", "or") and isinstance(left, STATIC):
        return _logic(frame, node, left)
    right = evaluate(frame, node.right)
    if isinstance(left, STATIC) and isinstance(right, STATIC) and node.op != "@":
        return _static_binary(frame, node, left, right)
    if node.op in ("+", "*") and (isinstance(left, ListValue) or isinstance(right, ListValue)):
        return _list_sum(frame, node, left, right)
    if node.op not in OPERATORS:
        raise fail(
            "E0222",
            f"`{node.op}` is decided at compile time",
            node.span,
            f"this is {values.describe(left)}",
            help="compare tensors element-wise instead",
        )
    operands = [
        expect_operand(left, node.left.span),
        expect_operand(right, node.right.span),
    ]
    return primitives.apply(frame, OPERATORS[node.op], operands, {}, node)


def _logic(frame: Frame, node: syntax.Binary, left: Expr) -> AnyValue:
    if not isinstance(left.value, bool):
        raise fail(
            "E0223",
            f"`{node.op}` needs true or false",
            node.left.span,
            f"this is {statics.describe(left.value)}",
            help="compare it, for example: x > 0",
        )
    if left.value == (node.op == "or"):
        return _skipped(frame, node, left)
    right = evaluate(frame, node.right)
    if isinstance(right, STATIC):
        if not isinstance(right.value, bool):
            raise fail(
                "E0223",
                f"`{node.op}` needs true or false",
                node.right.span,
                f"this is {statics.describe(right.value)}",
                help="compare it, for example: x > 0",
            )
        return statics.operation(node.op, (left, right), right.value)
    operands = [expect_operand(v, node.span) for v in (left, right)]
    return primitives.apply(frame, OPERATORS[node.op], operands, {}, node)


def _skipped(frame: Frame, node: syntax.Binary, left: Expr) -> Expr:
    """`false and ...`: the right side is kept in the expression where it has a value."""
    try:
        right = evaluate(frame, node.right)
    except Failed:
        return left
    if isinstance(right, STATIC):
        return statics.operation(node.op, (left, right), left.value)
    return left


def _static_binary(frame: Frame, node: syntax.Binary, left: Expr, right: Expr) -> AnyValue:
    try:
        return statics.binary(node.op, left, right, frame.session.known)
    except statics.Wrong as wrong:
        code = "E0106" if "million" in str(wrong) else "E0223"
        raise fail(code, str(wrong), node.span, _computed(node.op, left, right), help=wrong.help) from None
    except statics.Undecided:
        settled = None if frame.requiring else frame.session.settled(node.op, left.value, right.value)
        if settled is not None:
            return statics.operation(node.op, (left, right), settled)
        raise fail(
            "E0224",
            f"`{node.span.text}` depends on a size that is only known when the model runs",
            node.span,
            f"{left.value} {node.op} {right.value} holds for some sizes only",
            help="use `require` to settle it, or give the size a number",
        ) from None
    except statics.Symbolic:
        operands: list[TensorValue | Expr] = [left, right]
        return primitives.apply(frame, OPERATORS[node.op], operands, {}, node)


def _computed(op: str, left: Expr, right: Expr) -> str:
    text = f"{statics.show(left.value)} {op} {statics.show(right.value)}"
    return f"this is {text}" if len(text) <= 60 else "this has no value"


def _list_sum(frame: Frame, node: syntax.Binary, left: AnyValue, right: AnyValue) -> AnyValue:
    if node.op != "+":
        raise fail(
            "E0223",
            f"`{node.op}` of a list of tensors",
            node.span,
            "this is a list",
            help="work on each: [relu(y) for y in ys]",
        )
    items = (*elements(left, node.left.span), *elements(right, node.right.span))
    if len(items) > MOST_LAYERS:
        raise fail(
            "E0106",
            f"this list has more than {MOST_LAYERS:_} tensors or layers",
            node.span,
            "it grows here",
            help="use a shorter list",
        )
    return ListValue(items)
