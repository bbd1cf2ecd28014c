"""The merged body of a method as statements.

In: a merged body with its analysis. Out: `plan.Statement`s, checked in every elaboration: each name that is
printed holds the value that the text means there. A value whose name is taken over too early gets a variable
of its own, and the body is written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.emit.analysis import Analysis
from dlc.emit.arguments import Source
from dlc.emit.callees import Registry
from dlc.emit.effects import write_check, write_list, write_sample, write_update
from dlc.emit.forks import write_fork
from dlc.emit.loops import write_loop
from dlc.emit.merge import Block, CannotMerge, Fork, Item, Loop, Repeat, Step
from dlc.emit.naming import plural
from dlc.emit.operands import ABSENT, Slot, returned
from dlc.emit.plan import (
    Append,
    Assertion,
    AssignStatic,
    Code,
    FunctionCall,
    LayerCall,
    Primitive,
    Result,
    Return,
    Statement,
    Variable,
)
from dlc.emit.reading import INFIX, Reader
from dlc.emit.scans import write_scan
from dlc.emit.terms import Terms
from dlc.emit.trace import (
    Grow,
    Misread,
    Names,
    Read,
    Stop,
    Trace,
    Write,
    check,
)
from dlc.emit.writer import DEEPEST, Draft, Place, Writer
from dlc.ir import Apply, Bind, Call, Check, Sample, Static, Update, Use
from dlc.ir import Item as ItemNode
from dlc.ir import List as ListNode

ATTEMPTS = 12


@dataclass(slots=True)
class BodyWriter:
    """Writes one method. `assertions` are conditions found in it, for its entry."""

    writer: Writer
    reader: Reader
    assertions: list[Assertion]

    # ------------------------------------------------------------ blocks

    def block(self, block: Block) -> None:
        """Write all items of a block into the current statements."""
        writer = self.writer
        items = block.items
        position = 0
        while position < len(items):
            item = items[position]
            writer.position = item.position
            position += 1
            match item:
                case Step():
                    position += self._step(item, items, position)
                case Loop():
                    write_loop(self, item)
                case Fork():
                    position += write_fork(self, item, items, position)
                case Repeat():
                    write_scan(self, item)
        if block.returning:
            self._return(block)

    def inside(self, block: Block, trace: Trace) -> tuple[list[Statement], tuple[object, ...]]:
        """Start writing a nested block; the result restores the block around."""
        writer = self.writer
        saved = (writer.block, writer.statements, writer.trace)
        writer.block, writer.statements, writer.trace = block, [], trace
        return writer.statements, saved

    def outside(self, saved: tuple[object, ...]) -> None:
        writer = self.writer
        writer.block, writer.statements, writer.trace = saved  # type: ignore[assignment]

    def _return(self, block: Block) -> None:
        writer = self.writer
        draft = Draft()
        codes: list[Code] = []
        writer.position = writer.analysis.counter
        for operands in returned(block):
            code = self.reader.read(operands, draft)
            if code is None:
                raise CannotMerge("a missing result")
            codes.append(code)
        writer.flush_all()
        writer.trace.events += draft.events
        writer.trace.events.append(Stop())
        definition = block.strands[block.returning[0]].definition
        names = tuple(output.name for output in definition.outputs)
        last = block.items[-1].first if block.items else None
        node = draft if draft.at is not None else None
        writer.statements.append(
            Return(
                values=tuple(codes),
                names=names,
                origin=node.origin if node else (last.origin if last else 0),
                at=last.at if last else definition.at,
            )
        )

    # ------------------------------------------------------------ steps

    def _step(self, step: Step, items: list[Item], following: int) -> int:
        """Write one node; how many of the following items were written with it."""
        match step.first:
            case Apply() | Call() | ItemNode():
                slots = self.writer.analysis.slots[step]
                if len(slots) > 1:
                    return self._several(step, slots, items, following)
                self._single(step, slots[0], items, following)
            case Bind():
                self._bind(step)
            case Sample():
                write_sample(self, step)
            case Update():
                write_update(self, step)
            case ListNode():
                write_list(self, step)
            case Check():
                write_check(self, step)
        return 0

    def _single(self, step: Step, slot: Slot, items: list[Item], following: int) -> None:
        draft = self.reader.node(step)
        self.keep(slot, draft, step, items, following)

    def keep(self, slot: Slot, draft: Draft, item: Item, items: list[Item], following: int) -> None:
        """Decide where a value goes: into its reader, into the name bound next, or into a temporary."""
        writer = self.writer
        if draft.effect:
            writer.flush_effects()
        if slot.collected:
            self._collect(slot, draft)
        elif slot in writer.protected:
            writer.store(slot, draft)
        elif self.bound_next(slot, items, following):
            writer.pending[slot] = draft
        elif slot.uses == 0 and slot not in writer.analysis.bound_slots:
            if draft.effect:
                writer.store(slot, draft)
        elif self._nestable(slot, draft, item):
            writer.pending[slot] = draft
        else:
            writer.store(slot, draft)

    def _collect(self, slot: Slot, draft: Draft) -> None:
        fields = _fields(draft)
        hint = fields[slot.place] if slot.place < len(fields) else None
        self._collect_as(slot, draft, hint or self.writer.final_name(slot) or "item")

    def _collect_as(self, slot: Slot, draft: Draft, hint: str) -> None:
        """Append a value to the list from which it is read after the loop."""
        writer = self.writer
        if slot.list_name is not None:
            name = writer.local(slot.list_name)
        else:
            name = writer.unique(f"{hint}_list" if hint.endswith("s") else plural(hint))
        writer.lists[slot] = name
        writer.solid.add(name)
        writer.loops[-1].collected.append(name)
        writer.flush_all()
        writer.trace.events += draft.events
        writer.trace.events.append(Grow(name, writer.slot_values(slot)))
        writer.statements.append(Append(name=name, item=draft.value, origin=draft.origin, at=draft.location))

    def bound_next(self, slot: Slot, items: list[Item], following: int) -> bool:
        if following >= len(items):
            return False
        following_item = items[following]
        if not isinstance(following_item, Step) or not isinstance(following_item.first, Bind):
            return False
        if not self.writer.analysis.is_live(self.writer.block.strands, following_item):
            return False
        return self._bind_slot(following_item) is slot

    def _bind_slot(self, step: Step) -> Slot | None:
        values = [node.value if isinstance(node, Bind) else None for node in step.nodes]
        return self.writer.analysis.common(self.writer.block.strands, values)

    def _nestable(self, slot: Slot, draft: Draft, item: Item) -> bool:
        """Whether the only reader can hold the expression."""
        if slot.uses != 1 or slot in self.writer.analysis.bound_slots:
            return False
        if slot.user_block is not self.writer.block:
            return False
        user = slot.user
        if user is None:
            return draft.depth <= DEEPEST
        if isinstance(user, Loop | Repeat):
            return draft.depth <= 1
        if user.first.at.line != item.first.at.line:
            return False
        infix = isinstance(user.first, Apply) and user.first.op in INFIX
        return draft.depth < DEEPEST or (infix and draft.depth <= DEEPEST) or isinstance(user, Fork)

    def _several(self, step: Step, slots: list[Slot], items: list[Item], following: int) -> int:
        """A call with several results: a tuple of names, a record, or one result picked out."""
        writer = self.writer
        draft = self.reader.node(step)
        names: dict[int, str] = {}
        used = 0
        for item in items[following:]:
            slot = self._bind_slot(item) if isinstance(item, Step) and isinstance(item.first, Bind) else None
            if slot not in slots or slots.index(slot) in names:
                break
            assert isinstance(item.first, Bind)
            names[slots.index(slot)] = item.first.name
            used += 1
        fields = _fields(draft)
        live = [slot for slot in slots if slot.uses or slot in writer.analysis.bound_slots]
        picked = live[0] if len(live) == 1 else None
        if picked is not None and (not names or (len(names) == 1 and "." not in next(iter(names.values())))):
            place = slots.index(picked)
            if place in names or picked.uses == 1:
                draft.code = Result(call=draft.value, field=fields[place], position=place)
                self.keep(picked, draft, step, items, following)
                return 0
        if names and all("." in name for name in names.values()) and None not in fields:
            self._record(draft, slots, next(iter(names.values())).partition(".")[0], fields)
            return used
        if names:
            self._targets(step, draft, slots, names, fields)
            return used
        base = writer.unique(_record_hint(draft.value))
        self._record(draft, slots, base, fields)
        for place, slot in enumerate(slots):
            if slot.collected:
                own = Draft(variables={base}).done(writer.home[slot].code, step.first)
                own.events.append(Read(base, writer.slot_values(slot), place, slot))
                hint = fields[place] or f"{base}_{place}"
                self._collect_as(slot, own, hint)
        return 0

    def _record(self, draft: Draft, slots: list[Slot], text: str, fields: tuple[str | None, ...]) -> None:
        writer = self.writer
        base = writer.local(text)
        columns = [writer.slot_values(slot) for slot in slots]
        tokens = [("record", *row) for row in zip(*columns, strict=True)]
        writer.assign([base], draft, [tokens], [None])
        writer.hold(base, set(slots))
        writer.records[base] = {field or str(i): i for i, field in enumerate(fields)}
        for place, slot in enumerate(slots):
            writer.home[slot] = Place(base, fields[place], place)

    def _targets(
        self,
        step: Step,
        draft: Draft,
        slots: list[Slot],
        names: dict[int, str],
        fields: tuple[str | None, ...],
    ) -> None:
        writer = self.writer
        targets: list[str] = []
        for place in range(len(slots)):
            if "." in names.get(place, "") and names[place] not in writer.analysis.read_names:
                targets.append("_")
            elif place in names:
                targets.append(writer.local(names[place].replace(".", "_")))
            else:
                targets.append(writer.unique(fields[place] or "rest"))
        tokens = [writer.slot_values(slot) for slot in slots]
        writer.assign(targets, draft, tokens, list(slots))
        for slot, target in zip(slots, targets, strict=True):
            if slot in writer.protected:
                own = Draft(variables={target}).done(Variable(name=target), step.first)
                own.events.append(Read(target, writer.slot_values(slot), None, slot))
                writer.store(slot, own)

    def _bind(self, step: Step) -> None:
        writer, node = self.writer, step.first
        assert isinstance(node, Bind)
        if step in writer.targets or not writer.analysis.is_live(writer.block.strands, step):
            return
        name = writer.local(node.name.replace(".", "_"))
        values = [n.value if isinstance(n, Bind) else None for n in step.nodes]
        slot = writer.analysis.common(writer.block.strands, values)
        tokens = writer.tokens(values)
        if all(isinstance(value, Static) for value in values if value is not None):
            self._bind_static(step, name, tokens)
            return
        if slot is not None and slot in writer.pending:
            draft = writer.pending.pop(slot)
        else:
            draft = Draft()
            code = self.reader.read(values, draft)
            assert code is not None
            if isinstance(code, Variable) and code.field is None:
                if code.name == name:
                    return
                if self._is_alias(step, code.name):
                    writer.renamed[node.name] = code.name
                    return
            draft.done(code, node)
        writer.assign([name], draft, [tokens], [slot])
        if slot is None:
            slots = {writer.analysis.slot_of(s, v) for s, v in zip(writer.block.strands, values, strict=True)}
            writer.hold(name, {found for found in slots if found is not None})

    def _is_alias(self, step: Step, source: str) -> bool:
        """Whether the name only stands for another variable, by an `if` that vanished.

        Both are bound once, so that the other variable can be read instead.
        """
        analysis = self.writer.analysis
        operands = [n.value for n in step.nodes if isinstance(n, Bind)]
        chosen = all(
            isinstance(o, Use) and o.id in analysis.aliases.get(s.definition.id, {})
            for s, o in zip(self.writer.block.strands, operands, strict=False)
        )
        assert isinstance(step.first, Bind)
        counts = analysis.bind_counts
        return chosen and counts[step.first.name] == 1 and counts[source] == 1

    def _bind_static(self, step: Step, name: str, tokens: Sequence[object]) -> None:
        writer = self.writer
        pairs = [
            (n.value.expr, s)
            for n, s in zip(step.nodes, writer.block.strands, strict=True)
            if isinstance(n, Bind) and isinstance(n.value, Static)
        ]
        value = writer.terms.express([e for e, _ in pairs], [s for _, s in pairs], name)
        writer.flush_readers([name])
        first = step.first
        writer.statements.append(AssignStatic(target=name, value=value, origin=first.origin, at=first.at))
        writer.trace.events.append(Write(name, list(tokens)))
        writer.hold(name, set())


# ---------------------------------------------------------------- the whole method


def write_body(
    block: Block,
    analysis: Analysis,
    terms: Terms,
    registry: Registry,
    reserved: frozenset[str],
    attributes: dict[str, str],
    own: frozenset[str],
    methods: dict[str, tuple[Source, ...]],
) -> tuple[tuple[Statement, ...], tuple[Assertion, ...]]:
    """The statements of a method, checked in every elaboration. Raises CannotMerge."""
    protected: set[Slot] = set()
    for _ in range(ATTEMPTS):
        terms.frames, terms.forks, terms.used, terms.used_sizes = [], [], set(), set()
        writer = Writer(analysis, terms, reserved, protected, block)
        for name, slot in analysis.inputs.items():
            local = writer.local(name)
            writer.holds[local] = {slot}
            writer.home[slot] = Place(local)
        body = BodyWriter(writer, Reader(writer, registry, attributes, own, methods), [])
        try:
            body.block(block)
            _verify(block, writer)
        except Misread as misread:
            if misread.slot is None or misread.slot in protected:
                raise CannotMerge(str(misread)) from misread
            protected.add(misread.slot)
            continue
        return tuple(writer.statements), tuple(body.assertions)
    raise CannotMerge("too many values lose their names")


def _verify(block: Block, writer: Writer) -> None:
    for number, strand in enumerate(block.strands):
        names: Names = {}
        for item in strand.definition.inputs:
            token = item.tensor.id if item.tensor is not None else ABSENT
            names[writer.local(item.name)] = token
        check(writer.trace, number, names)


def _fields(draft: Draft) -> tuple[str | None, ...]:
    match draft.code:
        case FunctionCall(fields=fields) | LayerCall(fields=fields):
            return fields
        case Result(call=FunctionCall(fields=fields) | LayerCall(fields=fields)):
            return fields
    return (None,) * 8


def _record_hint(code: Code) -> str:
    match code:
        case LayerCall(layer=layer):
            return f"{layer}_result"
        case FunctionCall(name=name):
            return f"{name}_result"
        case Primitive(op=op):
            return f"{op}_result"
    return "result"
