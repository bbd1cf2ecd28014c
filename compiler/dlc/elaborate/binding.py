"""Names get values; tensors and lists of them leave a node that keeps the name."""

from __future__ import annotations

from typing import Literal

from dlc import ir
from dlc.elaborate import layers
from dlc.elaborate.failure import fail
from dlc.elaborate.frame import Frame
from dlc.values import STATIC, AnyValue, BuiltBlock, LayerValue, ListValue, RecordValue, TensorValue
from dlc_grammar import syntax


def bind(frame: Frame, target: syntax.Ident, value: AnyValue, node: syntax.Node) -> None:
    """Give a name a value; tensors leave a `Bind` node."""
    may_bind(frame, target)
    name = target.id
    frame.optional.discard(name)
    frame.maybe.pop(name, None)
    frame.gone.pop(name, None)
    match value:
        case TensorValue():
            frame.names[name] = bind_tensor(frame, name, value, node)
        case RecordValue():
            fields = [field or str(i) for i, field in enumerate(value.names)]
            bound = tuple(
                bind_tensor(frame, f"{name}.{field}", v, node)
                for field, v in zip(fields, value.values, strict=True)
            )
            frame.names[name] = RecordValue(value.names, bound)
        case ListValue():
            frame.names[name] = _bind_list(frame, name, value, node)
            if any(isinstance(item, LayerValue) for item in value.items):
                frame.fixed[name] = "layer"
        case BuiltBlock():
            frame.names[name] = layers.name_layer(frame, value, None, node, name)
            frame.fixed[name] = "layer"
        case LayerValue():
            frame.names[name] = value
            frame.fixed[name] = "layer"
        case _:
            frame.names[name] = value


def bind_tensor(frame: Frame, name: str, value: TensorValue, node: syntax.Node) -> TensorValue:
    """The tensor as the name reads it, with a `Bind` node."""
    frame.builder.add(
        ir.Bind(
            origin=frame.session.origin(node, f"bind:{name}"),
            at=frame.location(node),
            name=name,
            value=value.operand,
        ),
        node.span,
    )
    if isinstance(value.operand, ir.Static):
        return value
    return TensorValue(ir.Use(id=value.operand.id, name=name), value.type, value.constant)


def _bind_list(frame: Frame, name: str, value: ListValue, node: syntax.Node) -> ListValue:
    if not all(isinstance(item, TensorValue) for item in value.items):
        return ListValue(value.items, None)
    old = frame.names.get(name)
    edit: Literal["new", "append", "pop"] = "new"
    if isinstance(old, ListValue):
        if value.items[:-1] == old.items and len(value.items) == len(old.items) + 1:
            edit = "append"
        elif value.items == old.items[:-1]:
            edit = "pop"
    elif isinstance(old, STATIC) and old.value == () and len(value.items) == 1:
        edit = "append"
    operands = tuple(item.operand for item in value.items if isinstance(item, TensorValue))
    frame.builder.add(
        ir.List(
            origin=frame.session.origin(node, f"list:{name}"),
            at=frame.location(node),
            name=name,
            items=operands,
            edit=edit,
        ),
        node.span,
    )
    return ListValue(value.items, name)


def may_bind(frame: Frame, target: syntax.Ident) -> None:
    """Raises E0111 where a name is taken for good, E0108 where it is one of a block or a size."""
    name = target.id
    kind = frame.fixed.get(name)
    if kind is not None:
        raise fail(
            "E0111",
            f"`{name}` is a {kind} and cannot be assigned again",
            target.span,
            "assigned here",
            help="choose another name",
        )
    if name[:1].isupper():
        raise fail(
            "E0108",
            "a value has a lower-case name",
            target.span,
            "capitals are for blocks and sizes",
            help=f"write `{name[:1].lower() + name[1:]}`",
        )
