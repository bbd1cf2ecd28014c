"""A compile-time loop of the text, kept as a loop.

In: a `merge.Loop` and the writer of the method. Out: a `plan.Loop`, with lists of layers, tables and tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlc.emit.forks import joined
from dlc.emit.frames import Frame
from dlc.emit.merge import CannotMerge, Loop, Step
from dlc.emit.plan import (
    Code,
    NewList,
    Statement,
)
from dlc.emit.plan import Loop as LoopPlan
from dlc.emit.plan import Sequence as SequenceCode
from dlc.emit.rounds import walked_names
from dlc.emit.trace import Edit, Rounds, Trace, Write
from dlc.emit.writer import Draft, OpenLoop
from dlc.ir import Bind, Expr, Operand

if TYPE_CHECKING:
    from dlc.emit.body import BodyWriter


def write_loop(body: BodyWriter, loop: Loop) -> None:
    writer, terms = body.writer, body.writer.terms
    writer.flush_all()
    pairs = [(n, s) for n, s in zip(loop.nodes, writer.block.strands, strict=True) if n is not None]
    tensors = _tensor_targets(loop)
    names = walked_names([node for node in loop.nodes if node])
    iterable = terms.plain([n.iterable for n, _ in pairs], [s for _, s in pairs], "items")
    rounds = {(s.definition.id, s.chain): len(n.rounds) for n, s in pairs}
    frame = Frame(loop.body.strands[0].chain[-1][0], names, rounds, iterable)
    opened = OpenLoop(loop, frame)
    before = {name: set(slots) for name, slots in writer.holds.items()}
    for name, slots in writer.analysis.loop_binds[loop].items():
        local = writer.local(name.partition(".")[0])
        writer.holds[local] = writer.holds.get(local, set()) | slots
    lists = {name: _tensor_list(body, loop, name) for name in tensors}
    terms.frames.append(frame)
    writer.loops.append(opened)
    trace = Trace()
    for name in tensors:
        _tensor_target(body, loop, name, lists[name], opened, trace)
    statements, saved = body.inside(loop.body, trace)
    body.block(loop.body)
    writer.position = loop.end
    writer.flush_all()
    body.outside(saved)
    terms.close(frame)
    writer.loops.pop()
    writer.position = loop.end
    writer.holds = joined([before, writer.holds])
    _close(body, loop, opened, iterable, statements, trace)


def _tensor_list(body: BodyWriter, loop: Loop, name: str) -> Code:
    """The tensors that a loop variable walks, as a list."""
    binds = _target_bind(loop, name)
    counts = {len(children) for node, children in zip(loop.nodes, loop.children, strict=True) if node}
    if len(counts) != 1:
        raise CannotMerge(f"the loop over {name} has different numbers of rounds")
    draft = Draft()
    items: list[Code] = []
    for number in range(counts.pop()):
        operands: list[Operand | None] = []
        for children in loop.children:
            bind = binds.nodes[children[number]] if children else None
            operands.append(bind.value if isinstance(bind, Bind) else None)
        code = body.reader.read(operands, draft)
        assert code is not None
        items.append(code)
    body.writer.trace.events += draft.events
    return SequenceCode(items=tuple(items))


def _tensor_target(
    body: BodyWriter, loop: Loop, name: str, items: Code, opened: OpenLoop, trace: Trace
) -> None:
    """Each round starts with the loop variable bound to its tensor."""
    writer = body.writer
    bind = _target_bind(loop, name)
    local = writer.local(name)
    opened.tensors[local] = items
    saved, writer.block = writer.block, loop.body
    values = [n.value if isinstance(n, Bind) else None for n in bind.nodes]
    trace.events.append(Write(local, writer.tokens(values)))
    writer.block = saved
    slots = {writer.analysis.slot_of(s, v) for s, v in zip(loop.body.strands, values, strict=True)}
    writer.hold(local, {slot for slot in slots if slot is not None})
    writer.targets.add(bind)


def _close(
    body: BodyWriter, loop: Loop, opened: OpenLoop, iterable: Expr, statements: list[Statement], trace: Trace
) -> None:
    writer, frame = body.writer, opened.frame
    for name in opened.collected:
        writer.trace.events.append(Edit(name, "new", [()] * len(loop.nodes)))
        first = loop.first
        writer.statements.append(NewList(name=name, items=(), origin=first.origin, at=first.at))
    writer.statements += opened.initials.values()
    writer.trace.events += opened.initial_events
    writer.trace.events.append(Rounds(loop.children, trace))
    if not statements:
        return
    used = frame.used | frame.used_static
    columns = tuple(column for column in frame.columns if column.name in used)
    first = loop.first
    walked = bool(opened.layers or opened.tensors)
    if walked and not used & set(frame.targets):
        writer.terms.mark_construction(iterable)
    else:
        writer.terms.mark(iterable, walked and not frame.used & set(frame.targets))
    writer.statements.append(
        LoopPlan(
            targets=frame.targets,
            unused=frozenset(frame.targets) - used,
            static_only=frozenset(frame.used_static - frame.used),
            iterable=iterable,
            layers=tuple(opened.layers.values()),
            columns=columns,
            body=tuple(statements),
            rounds=len(first.rounds),
            tensors=tuple(opened.tensors.items()),
            origin=first.origin,
            at=first.at,
        )
    )


def _tensor_targets(loop: Loop) -> set[str]:
    """Loop variables that are tensors: they are bound in the rounds, not by the iterable."""
    steps = [item.first for item in loop.body.items if isinstance(item, Step)]
    bound = {node.name for node in steps if isinstance(node, Bind)}
    return {name for name in loop.first.targets if name in bound}.difference(
        walked_names([node for node in loop.nodes if node])
    )


def _target_bind(loop: Loop, name: str) -> Step:
    """The node that binds a loop variable to a tensor."""
    for item in loop.body.items:
        if isinstance(item, Step) and isinstance(item.first, Bind) and item.first.name == name:
            return item
    raise CannotMerge(f"the loop variable {name} is not a tensor in all rounds")
