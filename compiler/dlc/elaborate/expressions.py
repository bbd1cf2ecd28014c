"""Expressions: which part evaluates which kind; literals, lists, attributes and pipes are evaluated here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dlc import values
from dlc.elaborate import branches, calls, layers, loops, names, operators, subscripts
from dlc.elaborate.coerce import elements, sequence
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame
from dlc.ir import Const
from dlc.modules import suggest
from dlc.values import (
    AnyValue,
    BlockValue,
    LayerPath,
    LayerValue,
    ListValue,
    Poison,
    RecordValue,
    TensorValue,
)
from dlc_grammar import syntax


def _name(frame: Frame, node: syntax.Name) -> AnyValue:
    return names.lookup(frame, node.id, node.span)


def _literal(frame: Frame, node: syntax.Literal_) -> AnyValue:
    return Const(value=node.value)


def _items(frame: Frame, items: tuple[Any, ...]) -> list[AnyValue]:
    found: list[AnyValue] = []
    for item in items:
        if isinstance(item, syntax.Spread):
            found.extend(elements(evaluate(frame, item.value), item.span))
        else:
            found.append(evaluate(frame, item))
    return found


def _list(frame: Frame, node: syntax.List_ | syntax.Tuple_) -> AnyValue:
    return sequence(_items(frame, node.items))


def _attribute(frame: Frame, node: syntax.Attribute) -> AnyValue:
    value = evaluate(frame, node.value)
    name = node.name.id
    match value:
        case RecordValue():
            return _record_field(value, node)
        case BlockValue():
            return names.preset(frame, value, node)
        case LayerValue() | LayerPath():
            return layers.layer_attribute(frame, value, node)
        case ListValue() | TensorValue():
            raise fail(
                "E0225",
                f"{values.describe(value)} has no `{name}`",
                node.name.span,
                "not found",
                help="sizes are named in the signature (x: float[B, T]); others are functions: transpose(x)",
            )
        case Poison():
            raise Failed(None)
        case _:
            raise fail(
                "E0225",
                f"{values.describe(value)} has no `{name}`",
                node.name.span,
                "not found",
                help="results, layers and nets with presets have parts; this has none",
            )


def _record_field(record: RecordValue, node: syntax.Attribute) -> AnyValue:
    for name, value in zip(record.names, record.values, strict=True):
        if name == node.name.id:
            return value
    names = [name for name in record.names if name]
    raise fail(
        "E0225",
        f"there is no result `{node.name.id}`",
        node.name.span,
        "not found",
        help=suggest(node.name.id, names) or f"the results are {', '.join(names)}",
    )


def _pipe(frame: Frame, node: syntax.Pipe) -> AnyValue:
    chain = []
    head: syntax.Expr = node
    while isinstance(head, syntax.Pipe):
        chain.append(head)
        head = head.value
    value = evaluate(frame, head)
    for stage in reversed(chain):
        value = calls.pipe_stage(frame, value, stage)
    return value


EXPRESSIONS: Mapping[type, Callable[[Frame, Any], AnyValue]] = {
    syntax.Name: _name,
    syntax.Literal_: _literal,
    syntax.List_: _list,
    syntax.Tuple_: _list,
    syntax.Comprehension: loops.comprehension,
    syntax.Unary: operators.unary,
    syntax.Binary: operators.binary,
    syntax.IfExpr: branches.if_expression,
    syntax.Attribute: _attribute,
    syntax.Index: subscripts.index,
    syntax.Pipe: _pipe,
    syntax.Call: calls.call,
}
