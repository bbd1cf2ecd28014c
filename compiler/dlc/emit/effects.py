"""Nodes that are statements of their own: random draws, updates of states, lists, conditions on sizes.

In: a `merge.Step` and the writer of the method. Out: one statement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlc.emit.merge import CannotMerge, Step, Strand
from dlc.emit.plan import (
    Append,
    Assertion,
    Draw,
    NewList,
    Pop,
    UpdateState,
)
from dlc.emit.trace import (
    Edit,
    ReadList,
)
from dlc.emit.writer import Draft
from dlc.ir import Check, Sample, TensorType, Update
from dlc.ir import List as ListNode

if TYPE_CHECKING:
    from dlc.emit.body import BodyWriter


def write_sample(body: BodyWriter, step: Step) -> None:
    writer = body.writer
    pairs = [(n, s) for n, s in zip(step.nodes, writer.block.strands, strict=True) if isinstance(n, Sample)]
    nodes, strands = [n for n, _ in pairs], [s for _, s in pairs]
    slot = writer.analysis.slots[step][0]
    distribution = body.reader.distribution([n.distribution for n in nodes], strands)
    types = [n.output.type for n in nodes]
    like: str | None = None
    try:
        columns = zip(*(t.shape for t in types), strict=True)
        shape = tuple(writer.terms.express(list(column), strands, "size") for column in columns)
        type_: TensorType | None = TensorType(dtype=types[0].dtype, shape=shape)
    except CannotMerge:
        like = _like(body, types, strands)
        type_ = body.reader.type(types, strands)
    draft = Draft(effect=True)
    draw = Draw(name=nodes[0].name, distribution=distribution, like=like, type=type_)
    draft.done(draw, nodes[0])
    writer.assign([writer.local(nodes[0].name)], draft, [writer.slot_values(slot)], [slot])


def _like(body: BodyWriter, types: list[TensorType], strands: list[Strand]) -> str:
    """An input that has the shape of a draw in all strands."""
    for name in body.writer.analysis.inputs:
        found = [next((i.tensor for i in s.definition.inputs if i.name == name), None) for s in strands]
        if all(t is not None and t.type.sizes == d.sizes for t, d in zip(found, types, strict=True)):
            return body.writer.local(name)
    raise CannotMerge("a draw whose shape is not that of an input")


def write_update(body: BodyWriter, step: Step) -> None:
    writer, node = body.writer, step.first
    assert isinstance(node, Update)
    draft = Draft()
    values = [n.value if isinstance(n, Update) else None for n in step.nodes]
    code = body.reader.read(values, draft)
    assert code is not None
    writer.flush_all()
    writer.trace.events += draft.events
    name = body.reader.attributes.get(node.name, node.name)
    writer.statements.append(UpdateState(name=name, value=code, origin=node.origin, at=node.at))


def write_list(body: BodyWriter, step: Step) -> None:
    writer, node = body.writer, step.first
    assert isinstance(node, ListNode)
    name = writer.local(node.name)
    draft = Draft()
    edits = {n.edit for n in step.nodes if isinstance(n, ListNode)}
    emptied = {n.edit for n in step.nodes if isinstance(n, ListNode) and (n.items or n.edit != "new")}
    edit = emptied.pop() if len(emptied) == 1 else node.edit
    if len(edits) > 1 and edit != "pop":
        raise CannotMerge(f"the list {name} is made in different ways")
    if edit == "new" and body.reader.collected(step) == name:
        writer.trace.events.append(ReadList(name, body.reader.contents(step)))
        return
    codes = [] if edit == "pop" else body.reader.arguments(step, draft)
    writer.flush_readers([name])
    writer.trace.events += draft.events
    tokens = [
        tuple(writer.analysis.token(s, item) for item in n.items) if isinstance(n, ListNode) else None
        for n, s in zip(step.nodes, writer.block.strands, strict=True)
    ]
    writer.trace.events.append(Edit(name, edit, tokens))
    writer.solid.add(name)
    place = {"origin": node.origin, "at": node.at}
    match edit:
        case "new":
            if len({len(n.items) for n in step.nodes if isinstance(n, ListNode)}) > 1:
                raise CannotMerge(f"the list {name} has different lengths")
            writer.statements.append(NewList(name=name, items=tuple(codes), **place))  # type: ignore[arg-type]
        case "append":
            writer.statements.append(Append(name=name, item=codes[-1], **place))  # type: ignore[arg-type]
        case "pop":
            writer.statements.append(Pop(name=name, **place))  # type: ignore[arg-type]


def write_check(body: BodyWriter, step: Step) -> None:
    writer = body.writer
    pairs = [(n, s) for n, s in zip(step.nodes, writer.block.strands, strict=True) if isinstance(n, Check)]
    condition = writer.terms.express([n.condition for n, _ in pairs], [s for _, s in pairs], "condition")
    first = pairs[0][0]
    body.assertions.append(
        Assertion(condition=condition, message=first.message, origin=first.origin, at=first.at)
    )
