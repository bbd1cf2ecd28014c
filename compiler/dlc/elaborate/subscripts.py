"""Subscripts: parts of a tensor, and elements of a list."""

from __future__ import annotations

from typing import Any

from dlc import ir, statics
from dlc.dims import Dim
from dlc.elaborate import primitives
from dlc.elaborate.coerce import elements, expect_tensor, sequence, static
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import fail
from dlc.elaborate.frame import Frame
from dlc.ir import Const, Expr
from dlc.values import STATIC, AnyValue, ListValue, RecordValue, TensorValue
from dlc_grammar import syntax


def index(frame: Frame, node: syntax.Index) -> AnyValue:
    value = evaluate(frame, node.value)
    if isinstance(value, (ListValue, RecordValue)) or (
        isinstance(value, STATIC) and isinstance(value.value, tuple)
    ):
        return _list_index(frame, node, value)
    operand = expect_tensor(value, node.value.span)
    subscripts = statics.tuple_of([_subscript(frame, s) for s in node.subscripts])
    return primitives.apply(frame, "index", [operand], {"subscripts": subscripts}, node)


def _subscript(frame: Frame, node: Any) -> Expr:
    if isinstance(node, syntax.Ellipsis_):
        return Const(value="...")
    if isinstance(node, syntax.Slice):
        bounds = (_bound(frame, part) for part in (node.start, node.stop, node.step))
        return statics.tuple_of([Const(value="slice"), *bounds])
    found = static(frame, node, "a position")
    if not isinstance(found.value, int) or isinstance(found.value, bool):
        raise fail(
            "E0305",
            "a position is an integer",
            node.span,
            f"this is {statics.describe(found.value)}",
            help="pick by a tensor of positions with take(x, ids) or gather(x, ids)",
        )
    return found


def _bound(frame: Frame, node: syntax.Expr | None) -> Expr:
    if node is None:
        return Const(value=None)
    found = static(frame, node, "a slice bound")
    if not isinstance(found.value, (int, Dim)):
        raise fail(
            "E0305",
            "a slice bound is an integer",
            node.span,
            f"this is {statics.describe(found.value)}",
            help="write for example x[1:3]",
        )
    return found


def _positions(count: int) -> str:
    return f"positions run from 0 to {count - 1}" if count else "the list is empty"


def _list_index(frame: Frame, node: syntax.Index, value: AnyValue) -> AnyValue:
    if len(node.subscripts) != 1:
        raise fail(
            "E0305",
            "a list has one axis",
            node.span,
            f"{len(node.subscripts)} subscripts",
            help="write x[0][1] for a list in a list",
        )
    subscript = node.subscripts[0]
    items = elements(value, node.value.span)
    if isinstance(subscript, syntax.Slice):
        bounds: list[Any] = [
            _bound(frame, part).value for part in (subscript.start, subscript.stop, subscript.step)
        ]
        if bounds[2] == 0 or any(isinstance(bound, Dim) for bound in bounds):
            raise fail(
                "E0305",
                "a list is cut at numbers, in steps that are not 0",
                node.span,
                "in this slice",
                help="write for example x[1:3]",
            )
        return sequence(items[slice(*bounds)])
    if isinstance(subscript, syntax.Ellipsis_):
        raise fail(
            "E0305",
            "a list has one axis",
            node.span,
            "`...` selects axes of a tensor",
            help="stack a list of tensors first: stack(x)[...]",
        )
    position = static(frame, subscript, "a position")
    if isinstance(value, STATIC):
        try:
            return statics.item(value, position)
        except statics.Wrong as wrong:
            raise fail(
                "E0305", str(wrong), node.span, "no such element", help=_positions(len(items))
            ) from None
    where = position.value
    if not isinstance(where, int) or isinstance(where, bool) or not -len(items) <= where < len(items):
        raise fail(
            "E0305",
            f"position {statics.show(where)} is outside a list of {len(items)}",
            node.span,
            "no such element",
            help=_positions(len(items)),
        )
    found = items[where]
    if isinstance(value, ListValue) and value.name is not None and isinstance(found, TensorValue):
        output = frame.builder.tensor(found.type)
        frame.builder.add(
            ir.Item(
                origin=frame.session.origin(node),
                at=frame.location(node),
                name=value.name,
                position=position,
                value=found.operand,
                output=output,
            ),
            node.span,
        )
        return TensorValue(ir.Use(id=output.id), found.type, found.constant)
    return found
