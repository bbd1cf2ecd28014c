"""A run-time loop.

In: a `merge.Repeat` and the writer of the method. Out: a `plan.ScanLoop`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlc.emit.merge import Repeat
from dlc.emit.operands import Slot, Token, repeat_results
from dlc.emit.plan import (
    Code,
    ScanLoop,
    ScanSource,
    Variable,
)
from dlc.emit.trace import Edit, Read, Rounds, Split, Steps, Trace, Write
from dlc.emit.writer import Draft, Place

if TYPE_CHECKING:
    from dlc.emit.body import BodyWriter


def write_scan(body: BodyWriter, item: Repeat) -> None:
    writer, terms, first = body.writer, body.writer.terms, item.first
    pairs = [(n, s) for n, s in zip(item.nodes, writer.block.strands, strict=True) if n is not None]
    draft = Draft()
    sources: list[ScanSource] = []
    for place, source in enumerate(first.inputs):
        operands = [n.inputs[place].operand if n else None for n in item.nodes]
        sources.append(ScanSource(inside=writer.local(source.name), value=body.reader.read(operands, draft)))
    initials: list[Code] = []
    for place in range(len(first.carries)):
        code = body.reader.read([n.carries[place].initial if n else None for n in item.nodes], draft)
        assert code is not None
        initials.append(code)
    writer.flush_all()
    writer.trace.events += draft.events
    length = terms.express([n.length for n, _ in pairs], [s for _, s in pairs], "steps")
    carried = [writer.local(carry.name) for carry in first.carries]
    inside_names = [source.inside for source in sources] + carried
    outer, writer.outer = writer.outer, writer.outer | (set(writer.holds) - set(inside_names))
    holds = {name: set(slots) for name, slots in writer.holds.items()}
    for name, slots in writer.analysis.loop_binds[item].items():
        local = writer.local(name.partition(".")[0])
        writer.holds[local] = writer.holds.get(local, set()) | slots
    for name, slot in zip(inside_names, _own_slots(body, item), strict=True):
        writer.holds[name] = {slot}
    trace = Trace()
    statements, saved = body.inside(item.body, trace)
    starts = _starts(body, item, inside_names)
    body.block(item.body)
    writer.position = item.end
    finals, emitted = _finish(body, item, carried)
    writer.flush_all()
    body.outside(saved)
    writer.outer = outer
    own = _written(trace) | set(inside_names)
    writer.trace.events.append(Steps(item.children, starts, finals, trace, frozenset(own)))
    writer.holds = holds
    _after(body, item, carried, [name for name, _ in emitted])
    flags = body.reader.registry.flags._region(first.body)
    for node, _ in pairs:
        flags |= body.reader.registry.flags._region(node.body)
    read = _read_names(trace)
    sources = [source for source in sources if source.value is not None or source.inside in read]
    reads = tuple(sorted(read - own | _read_first(trace, own - set(inside_names))))
    writer.statements.append(
        ScanLoop(
            sources=tuple(sources),
            axis=first.axis,
            length=length,
            carried=tuple(zip(carried, initials, strict=True)),
            body=tuple(statements),
            emitted=tuple(emitted),
            reads=reads,
            training=flags.training,
            random=flags.random,
            stateful=flags.stateful,
            origin=first.origin,
            at=first.at,
        )
    )


def _starts(body: BodyWriter, item: Repeat, names: list[str]) -> list[Write]:
    """The values of a step's own names when it starts."""
    first = item.first
    nodes = [n for n in item.nodes if n is not None]
    starts: list[Write] = []
    for place, name in enumerate(names):
        if place < len(first.inputs):
            tokens = [n.inputs[place].inside.id for n in nodes]
        else:
            tokens = [n.carries[place - len(first.inputs)].inside.id for n in nodes]
        starts.append(Write(name, tokens))
    return starts


def _own_slots(body: BodyWriter, item: Repeat) -> list[Slot]:
    """The values that a step's own names hold when it starts: needed until they are last read."""
    strands = body.writer.block.strands
    node, strand = next((n, s) for n, s in zip(item.nodes, strands, strict=True) if n is not None)
    produced = body.writer.analysis.producers[strand.definition.id]
    inside = [*(source.inside for source in node.inputs), *(carry.inside for carry in node.carries)]
    return [produced[tensor.id][0] for tensor in inside]


def _finish(body: BodyWriter, item: Repeat, carried: list[str]) -> tuple[list[Read], list[tuple[str, Code]]]:
    """The end of a step: carried variables hold their new values, emissions are computed."""
    writer, count = body.writer, len(carried)
    emitted: list[tuple[str, Code]] = []
    finals: list[Read] = []
    results = list(repeat_results(item))
    for place, operands in enumerate(results[count:]):
        draft = Draft()
        code = body.reader.read(operands, draft)
        assert code is not None
        writer.trace.events += draft.events
        emitted.append((writer.local(item.first.emissions[place].name), code))
    for name, operands in zip(carried, results[:count], strict=True):
        draft = Draft()
        code = body.reader.read(operands, draft)
        assert code is not None
        tokens = writer.tokens(operands)
        if code != Variable(name=name):
            slot = writer.analysis.common(writer.block.strands, operands)
            if draft.at is None:
                draft.done(code, item.first)
            writer.assign([name], draft, [tokens], [slot])
        else:
            writer.trace.events += draft.events
        finals.append(Read(name, tokens))
    return finals, emitted


def _after(body: BodyWriter, item: Repeat, carried: list[str], emitted: list[str]) -> None:
    """After the loop, carried variables hold the last values, and emissions the stacked ones."""
    writer = body.writer
    for slot, name in zip(writer.analysis.slots.get(item, []), [*carried, *emitted], strict=True):
        tensors: list[Token | None] = []
        for node in item.nodes:
            if node is None:
                tensors.append(None)
            elif slot.place < len(node.carries):
                tensors.append(node.carries[slot.place].output.id)
            else:
                tensors.append(node.emissions[slot.place - len(node.carries)].output.id)
        writer.trace.events.append(Write(name, tensors))
        writer.hold(name, {slot})
        writer.home[slot] = Place(name)


def _written(trace: Trace) -> set[str]:
    found: set[str] = set()
    for event in trace.events:
        match event:
            case Write(name=name) | Edit(name=name):
                found.add(name)
            case Rounds(body=body) | Steps(body=body):
                found |= _written(body)
            case Split(then=then, orelse=orelse):
                found |= _written(then) | _written(orelse)
    return found


def _read_names(trace: Trace) -> set[str]:
    found: set[str] = set()
    for event in trace.events:
        match event:
            case Read(name=name):
                found.add(name)
            case Rounds(body=body) | Steps(body=body):
                found |= _read_names(body)
            case Split(then=then, orelse=orelse):
                found |= _read_names(then) | _read_names(orelse)
    return found


def _read_first(trace: Trace, names: set[str]) -> set[str]:
    """Names that a step reads before it writes them: a value from outside."""
    found: set[str] = set()
    written: set[str] = set()
    for event in trace.events:
        if isinstance(event, Read) and event.name in names - written:
            found.add(event.name)
        elif isinstance(event, Write):
            written.add(event.name)
    return found
