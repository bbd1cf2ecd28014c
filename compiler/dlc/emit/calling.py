"""Calls of functions, layers and own methods as run-time expressions.

In: a call of the merged text. Out: `plan.FunctionCall` or `plan.LayerCall`, with arguments in the caller's
terms.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dlc.emit.callees import Callee, native_arguments, unit_arguments
from dlc.emit.merge import CannotMerge, Step, Strand
from dlc.emit.naming import element_name, plural
from dlc.emit.operands import argument_names, item_operands
from dlc.emit.plan import Code, FunctionCall, LayerCall, LoopLayer
from dlc.emit.writer import Draft
from dlc.ir import Call, Const, Expr, Ref, TensorType

if TYPE_CHECKING:
    from dlc.emit.reading import Reader


def write_call(reader: Reader, step: Step, draft: Draft) -> Code:
    nodes, strands = reader.nodes(step)
    calls = [node for node in nodes if isinstance(node, Call)]
    first = calls[0]
    args: dict[str, Code | None] = {}
    for name, operands in zip(argument_names(step), item_operands(step), strict=True):
        args[name] = reader.read(operands, draft)
    draft.depth += 1
    callee_keys = [call.callee for call in calls]
    definition = reader.registry.definitions[first.callee]
    result = reader.type([c.outputs[0].type for c in calls], strands) if len(first.outputs) == 1 else None
    if first.layer is None and definition.kind != "fn":
        return _own_call(reader, first, callee_keys, args, draft, result)
    callee = reader.registry.callee(callee_keys)
    statics = _statics(reader, callee, calls, strands, definition.method)
    draft.effect |= callee.flags.random or (callee.flags.stateful and callee.flags.training)
    if first.layer is None:
        return FunctionCall(
            name=callee.name,
            native=callee.native,
            args=args,
            statics=statics,
            values=len(first.outputs),
            fields=callee.fields,
            training=callee.flags.training,
            random=callee.flags.random,
            constant=first.constant,
            type=result,
        )
    layer, local, index = _layer(reader, calls, strands, callee)
    return LayerCall(
        layer=layer,
        local=local,
        unit=callee.name,
        native=callee.native,
        method=first.method,
        args=args,
        statics=statics,
        values=len(first.outputs),
        fields=callee.fields,
        training=callee.flags.training,
        random=callee.flags.random,
        stateful=callee.flags.stateful,
        index=index,
        type=result,
    )


def _statics(
    reader: Reader, callee: Callee, calls: list[Call], strands: list[Strand], method: str
) -> dict[str, Expr]:
    layer = calls[0].layer is not None
    if callee.built is None:
        return native_arguments(reader.registry, calls, strands, reader.terms, sizes=False, layer=layer)
    sources = callee.built.methods.get(method, ()) if layer else callee.built.sources
    return unit_arguments(reader.registry, sources, calls, strands, reader.terms, static_only=layer)


def _own_call(
    reader: Reader,
    first: Call,
    keys: list[str],
    args: dict[str, Code | None],
    draft: Draft,
    result: TensorType | None,
) -> Code:
    """Another method of the same instance."""
    if not set(keys) <= reader.own:
        raise CannotMerge("a method of another unit")
    flags = reader.registry.flags.of_all(
        key for key in reader.own if reader.registry.definitions[key].method == first.method
    )
    draft.effect |= flags.random or (flags.stateful and flags.training)
    fields = tuple(output.name for output in reader.registry.definitions[keys[0]].outputs)
    statics: dict[str, Expr] = {}
    for source in reader.methods.get(first.method, ()):
        value = next(iter(source.values.values()), None)
        statics[source.name] = Ref(name=source.name, value=value, scope=reader.terms.unit.scope)
        reader.terms.used.add(source.name)
    return LayerCall(
        layer="self",
        local=True,
        unit=reader.registry.definitions[keys[0]].name,
        native=False,
        method=first.method,
        args=args,
        statics=statics,
        values=len(first.outputs),
        fields=fields,
        training=flags.training,
        random=flags.random,
        stateful=flags.stateful,
        type=result,
    )


def _layer(
    reader: Reader, calls: list[Call], strands: list[Strand], callee: Callee
) -> tuple[str, bool, tuple[Expr, ...]]:
    """The attribute or loop variable that holds the layer, and positions where no loop walks it."""
    label = calls[0].layer
    assert label is not None
    attribute = reader.attributes.get(label, label)
    if {call.layer for call in calls} != {label} or len({len(c.index) for c in calls}) > 1:
        raise CannotMerge(f"layer {label} in different loops")
    depth = len(calls[0].index)
    if depth == 0:
        return attribute, False, ()
    if (
        depth <= len(reader.writer.loops)
        and all(
            call.index == tuple(number for _, number in strand.chain[:depth])
            for call, strand in zip(calls, strands, strict=True)
        )
        and _aligned(reader, label, depth)
    ):
        return _element(reader, label, depth, callee), True, ()
    index = tuple(
        reader.terms.express([Const(value=call.index[i]) for call in calls], strands, "position")
        for i in range(depth)
    )
    return attribute, False, index


def _aligned(reader: Reader, label: str, depth: int) -> bool:
    """Whether the list of layers has an element for each round of the loops around."""
    opened = reader.writer.loops[depth - 1]
    rounds: dict[tuple[str, tuple[int, ...]], int] = {}
    for (key, chain), count in opened.frame.rounds.items():
        rounds[key, tuple(number for _, number in chain)] = count
    for strand in {s.definition.id: s for s in reader.block.strands}.values():
        for layer in strand.definition.layers:
            if layer.name == label and len(layer.index) >= depth:
                count = rounds.get((strand.definition.id, layer.index[: depth - 1]), 0)
                if layer.index[depth - 1] >= count:
                    return False
    return True


def _element(reader: Reader, label: str, depth: int, callee: Callee) -> str:
    attribute = reader.attributes.get(label, label)
    element = _element_name(reader, label, callee.name)
    names = [element]
    for _ in range(depth - 1):
        wanted = plural(names[0])
        names.insert(0, _unclashed(reader, f"{names[0]}_list" if _clashes(reader, wanted) else wanted))
    source, local = attribute, False
    for level in range(depth):
        layers = reader.writer.loops[level].layers
        if label not in layers:
            layers[label] = LoopLayer(
                source=source,
                local=local,
                element=names[level],
                unit=callee.name,
                native=callee.native,
            )
        source, local = layers[label].element, True
    return source


def _clashes(reader: Reader, name: str) -> bool:
    writer = reader.writer
    locals_ = {writer.local(known) for known in reader.analysis.names} | writer.fresh | writer.reserved
    elements = {k.element for opened in writer.loops for k in opened.layers.values()}
    frames = {n for opened in writer.loops for n in opened.frame.names()}
    return name in locals_ | elements | frames | set(reader.terms.taken) or writer.local(name) != name


def _element_name(reader: Reader, label: str, unit: str) -> str:
    return element_name(label, unit, partial(_clashes, reader))


def _unclashed(reader: Reader, name: str) -> str:
    while _clashes(reader, name):
        name += "_"
    return name
