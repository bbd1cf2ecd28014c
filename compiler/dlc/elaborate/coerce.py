"""Values as what a place needs: a tensor, a list, a compile-time value, a decision; or a diagnostic."""

from __future__ import annotations

from dlc import ir, statics, values
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame
from dlc.elaborate.shapes.application import number_dtype, size_error
from dlc.ir import Const, Expr, TensorType
from dlc.size_equations import Refuted, decide_equal
from dlc.values import (
    STATIC,
    AnyValue,
    BuiltBlock,
    DistributionValue,
    LayerValue,
    ListValue,
    Poison,
    RecordValue,
    TensorValue,
)
from dlc_grammar import syntax
from dlc_grammar.source import Span


def static(frame: Frame, node: syntax.Expr, what: str) -> Expr:
    """The compile-time value of an expression, E0222 where it is a tensor."""
    value = folded(evaluate(frame, node))
    if isinstance(value, STATIC):
        return value
    if isinstance(value, Poison):
        raise Failed(None)
    raise fail(
        "E0222",
        f"{what} is decided at compile time, but this is {values.describe(value)}",
        node.span,
        f"this is {values.describe(value)}",
        help="use a number, a parameter or a size here",
    )


def folded(value: AnyValue) -> AnyValue:
    """A list of compile-time values as one compile-time value; anything else as it is."""
    if isinstance(value, ListValue) and all(isinstance(item, STATIC) for item in value.items):
        return statics.tuple_of([item for item in value.items if isinstance(item, STATIC)])
    return value


def sequence(items: list[AnyValue]) -> AnyValue:
    """A list value: a compile-time one where everything in it is."""
    return folded(ListValue(tuple(items)))


def elements(value: AnyValue, span: Span) -> list[AnyValue]:
    """The elements of a list. Raises E0221 for anything else."""
    if isinstance(value, ListValue):
        return list(value.items)
    if isinstance(value, STATIC) and isinstance(value.value, tuple):
        return [statics.item(value, Const(value=i)) for i in range(len(value.value))]
    if isinstance(value, RecordValue):
        return list(value.values)
    if isinstance(value, Poison):
        raise Failed(None)
    raise fail(
        "E0221",
        f"{values.describe(value)} is not a list",
        span,
        "a list is needed here",
        help="loop over range(n), a list, or enumerate/zip of lists",
    )


def expect_tensor(value: AnyValue, span: Span) -> TensorValue:
    """A tensor, or E0220. A compile-time number becomes a scalar tensor."""
    if isinstance(value, TensorValue):
        return value
    if isinstance(value, Poison):
        raise Failed(None)
    if isinstance(value, STATIC) and (statics.is_number(value.value) or isinstance(value.value, bool)):
        dtype = number_dtype(value)
        return TensorValue(ir.Static(expr=value), TensorType(dtype=dtype, shape=()))
    if isinstance(value, RecordValue):
        names = [name for name in value.names if name]
        raise fail(
            "E0220",
            f"this has {len(value.values)} results, one tensor is needed",
            span,
            "which of the results is meant",
            help=f"select one: .{names[0]}" if names else "unpack it first",
        )
    if isinstance(value, (BuiltBlock, LayerValue)):
        raise fail(
            "E0227",
            "this layer is built but not applied",
            span,
            "a tensor is needed here",
            help=f"apply it: {span.text}(x), or x -> {span.text}",
        )
    if isinstance(value, DistributionValue):
        raise fail(
            "E0220",
            f"a tensor is needed, not {values.describe(value)}",
            span,
            "nothing is drawn yet",
            help=f"draw from it first: sample noise: float[B, 8] ~ {span.text}",
        )
    if isinstance(value, STATIC) and value.value is None:
        raise fail(
            "E0220",
            "a tensor is needed, not `none`",
            span,
            "this may be absent",
            help=f"test it first: if {span.text} != none {{ ... }}",
        )
    raise fail(
        "E0220",
        f"a tensor is needed, not {values.describe(value)}",
        span,
        "this is no tensor",
        help="pass a tensor of the shape in the signature",
    )


def expect_operand(value: AnyValue, span: Span) -> TensorValue | Expr:
    """A tensor, or a compile-time number as it is."""
    if isinstance(value, STATIC) and (statics.is_number(value.value) or isinstance(value.value, bool)):
        return value
    return expect_tensor(value, span)


def decision(frame: Frame, node: syntax.Expr) -> Expr:
    """A condition, which is true or false while compiling. Raises E0222, E0223."""
    value = evaluate(frame, node)
    if isinstance(value, TensorValue):
        raise fail(
            "E0222",
            "`if` is decided at compile time, but this condition is a tensor",
            node.span,
            f"this is {value.type}",
            help="select element-wise with where(condition, a, b)",
        )
    if isinstance(value, Poison):
        raise Failed(None)
    if not isinstance(value, STATIC) or not isinstance(value.value, bool):
        raise fail(
            "E0223",
            "a condition is true or false",
            node.span,
            f"this is {values.describe(value)}",
            help=f"compare it, for example: {node.span.text} != none"
            if isinstance(value, STATIC) and value.value is None
            else f"compare it, for example: {node.span.text} > 0",
        )
    return value


def same_type(
    frame: Frame, expected: TensorType, actual: TensorType, span: Span, what: str, verb: str = "this is"
) -> None:
    """Raises E0303 where two types differ, or may not be the same for any size."""
    if expected.dtype != actual.dtype or expected.rank != actual.rank:
        raise fail("E0303", f"{what} is {expected}", span, f"{verb} {actual}", help="make the types agree")
    session = frame.session
    for a, b in zip(actual.sizes, expected.sizes, strict=True):
        verdict = decide_equal(session.known(a), session.known(b))
        if isinstance(verdict, Refuted):
            raise Failed(size_error(verdict, a, b, span, f"{what} is {expected}, not {actual}", ""))
