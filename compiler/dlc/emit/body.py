"""The merged body of a method as statements.

In: a merged body with its analysis. Out: `plan.Statement`s, checked in every elaboration: each name that is
printed holds the value that the text means there. A value whose name is taken over too early gets a variable
of its own, and the body is written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.emit.analysis import ABSENT, Analysis, Slot, Token, fork_results, repeat_results, returned
from dlc.emit.callees import Registry
from dlc.emit.naming import plural
from dlc.emit.merge import Block, CannotMerge, Fork, Item, Loop, Repeat, Step, Strand
from dlc.emit.plan import (
    Append,
    AssignStatic,
    Assertion,
    Choice,
    Code,
    Conditional,
    Draw,
    LayerCall,
    FunctionCall,
    NewList,
    Pop,
    Primitive,
    Result,
    Return,
    ScanLoop,
    ScanSource,
    Statement,
    UpdateState,
    Variable,
)
from dlc.emit.plan import Loop as LoopPlan
from dlc.emit.plan import Sequence as SequenceCode
from dlc.emit.reading import INFIX, Reader
from dlc.emit.terms import Frame, Sides, Source, Terms
from dlc.emit.trace import Edit, Grow, Misread, Names, Read, ReadList, Rounds, Split, Steps, Stop, Trace, Write, check
from dlc.emit.writer import DEEPEST, Draft, OpenLoop, Place, Writer
from dlc.ir import Apply, Bind, Call, Check, Expr, Operand, Operation, Sample, Static, TensorType, Update, Use
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
                    self._loop(item)
                case Fork():
                    position += self._fork(item, items, position)
                case Repeat():
                    self._repeat(item)
        if block.returning:
            self._return(block)

    def _inside(self, block: Block, trace: Trace) -> tuple[list[Statement], tuple[object, ...]]:
        """Start writing a nested block; the result restores the block around."""
        writer = self.writer
        saved = (writer.block, writer.statements, writer.trace)
        writer.block, writer.statements, writer.trace = block, [], trace
        return writer.statements, saved

    def _outside(self, saved: tuple[object, ...]) -> None:
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
                self._sample(step)
            case Update():
                self._update(step)
            case ListNode():
                self._list(step)
            case Check():
                self._check(step)
        return 0

    def _single(self, step: Step, slot: Slot, items: list[Item], following: int) -> None:
        draft = self.reader.node(step)
        self._keep(slot, draft, step, items, following)

    def _keep(self, slot: Slot, draft: Draft, item: Item, items: list[Item], following: int) -> None:
        """Decide where a value goes: into its reader, into the name bound next, or into a temporary."""
        writer = self.writer
        if draft.effect:
            writer.flush_effects()
        if slot.collected:
            self._collect(slot, draft)
        elif slot in writer.protected:
            writer.store(slot, draft)
        elif self._bound_next(slot, items, following):
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
        writer.statements.append(
            Append(name=name, item=draft.value, origin=draft.origin, at=draft.location)
        )

    def _bound_next(self, slot: Slot, items: list[Item], following: int) -> bool:
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
        if names and all("." in name for name in names.values()):
            self._record(draft, slots, next(iter(names.values())).partition(".")[0], fields)
            return used
        if names:
            self._targets(step, draft, slots, names, fields)
            return used
        live = [slot for slot in slots if slot.uses or slot in writer.analysis.bound_slots]
        if len(live) == 1 and live[0].uses == 1:
            place = slots.index(live[0])
            picked = Result(call=draft.value, field=fields[place], position=place)
            draft.code = picked
            self._keep(live[0], draft, step, items, following)
            return 0
        base = writer.unique(_record_hint(draft.value))
        self._record(draft, slots, base, fields)
        for place, slot in enumerate(slots):
            if slot.collected:
                own = Draft(variables={base}).done(writer.home[slot].code, step.first)
                own.events.append(Read(base, writer.slot_values(slot), place, slot))
                hint = fields[place] or f"{base}_{place}"
                self._collect_as(slot, own, hint)
        return 0

    def _record(
        self, draft: Draft, slots: list[Slot], text: str, fields: tuple[str | None, ...]
    ) -> None:
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
            if place in names:
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

    def _sample(self, step: Step) -> None:
        writer = self.writer
        pairs = [
            (n, s) for n, s in zip(step.nodes, writer.block.strands, strict=True) if isinstance(n, Sample)
        ]
        nodes, strands = [n for n, _ in pairs], [s for _, s in pairs]
        slot = writer.analysis.slots[step][0]
        distribution = self.reader.distribution([n.distribution for n in nodes], strands)
        types = [n.output.type for n in nodes]
        like: str | None = None
        try:
            columns = zip(*(t.shape for t in types), strict=True)
            shape = tuple(writer.terms.express(list(column), strands, "size") for column in columns)
            type_: TensorType | None = TensorType(dtype=types[0].dtype, shape=shape)
        except CannotMerge:
            like = self._like(types, strands)
            type_ = self.reader.type(types, strands)
        draft = Draft(effect=True)
        draw = Draw(name=nodes[0].name, distribution=distribution, like=like, type=type_)
        draft.done(draw, nodes[0])
        writer.assign([writer.local(nodes[0].name)], draft, [writer.slot_values(slot)], [slot])

    def _like(self, types: list[TensorType], strands: list[Strand]) -> str:
        """An input that has the shape of a draw in all strands."""
        for name in self.writer.analysis.inputs:
            found = [next((i.tensor for i in s.definition.inputs if i.name == name), None) for s in strands]
            if all(t is not None and t.type.sizes == d.sizes for t, d in zip(found, types, strict=True)):
                return self.writer.local(name)
        raise CannotMerge("a draw whose shape is not that of an input")

    def _update(self, step: Step) -> None:
        writer, node = self.writer, step.first
        assert isinstance(node, Update)
        draft = Draft()
        values = [n.value if isinstance(n, Update) else None for n in step.nodes]
        code = self.reader.read(values, draft)
        assert code is not None
        writer.flush_all()
        writer.trace.events += draft.events
        name = self.reader.attributes.get(node.name, node.name)
        writer.statements.append(UpdateState(name=name, value=code, origin=node.origin, at=node.at))

    def _list(self, step: Step) -> None:
        writer, node = self.writer, step.first
        assert isinstance(node, ListNode)
        name = writer.local(node.name)
        draft = Draft()
        edits = {n.edit for n in step.nodes if isinstance(n, ListNode)}
        emptied = {n.edit for n in step.nodes if isinstance(n, ListNode) and (n.items or n.edit != "new")}
        edit = emptied.pop() if len(emptied) == 1 else node.edit
        if len(edits) > 1 and edit != "pop":
            raise CannotMerge(f"the list {name} is made in different ways")
        if edit == "new" and self.reader.collected(step) == name:
            writer.trace.events.append(ReadList(name, self.reader.contents(step)))
            return
        codes = [] if edit == "pop" else self.reader.arguments(step, draft)
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

    def _check(self, step: Step) -> None:
        writer = self.writer
        pairs = [
            (n, s) for n, s in zip(step.nodes, writer.block.strands, strict=True) if isinstance(n, Check)
        ]
        condition = writer.terms.express([n.condition for n, _ in pairs], [s for _, s in pairs], "condition")
        first = pairs[0][0]
        self.assertions.append(
            Assertion(condition=condition, message=first.message, origin=first.origin, at=first.at)
        )

    # ------------------------------------------------------------ if

    def _fork(self, fork: Fork, items: list[Item], following: int) -> int:
        writer = self.writer
        writer.flush_all()
        pairs = [(n, s) for n, s in zip(fork.nodes, writer.block.strands, strict=True) if n is not None]
        condition = writer.terms.express([n.condition for n, _ in pairs], [s for _, s in pairs], "condition")
        writer.terms.forks.append(Sides(condition, {s: n.taken for n, s in pairs}))
        before = dict(writer.holds)
        records = dict(writer.records)
        sides: dict[bool, tuple[list[Statement], Trace, list[Draft]]] = {}
        after: list[dict[str, set[Slot]]] = []
        for side, block in ((True, fork.then), (False, fork.orelse)):
            trace = Trace()
            if fork.returns is not None and side != fork.returns:
                sides[side] = ([], trace, [])
                continue
            writer.holds, writer.records = dict(before), dict(records)
            statements, saved = self._inside(block, trace)
            self.block(block)
            drafts: list[Draft] = []
            writer.position = fork.end
            for operands in fork_results(fork, side, block):
                draft = Draft()
                code = self.reader.read(operands, draft)
                assert code is not None
                if draft.at is None:
                    draft.done(code, fork.first)
                draft.code = code
                drafts.append(draft)
            writer.flush_all()
            self._outside(saved)
            sides[side] = (statements, trace, drafts)
            after.append(writer.holds)
        writer.position = fork.position
        writer.holds = before if fork.returns is not None else _joined(after)
        writer.records = {k: v for k, v in records.items() if writer.holds.get(k) == before.get(k)}
        taken = self._join(fork, condition, sides, items, following)
        return taken

    def _join(
        self,
        fork: Fork,
        condition: Expr,
        sides: dict[bool, tuple[list[Statement], Trace, list[Draft]]],
        items: list[Item],
        following: int,
    ) -> int:
        """The `if` itself, with its results: an expression where both sides are one."""
        writer = self.writer
        slots = writer.analysis.slots.get(fork, [])
        then, orelse = sides[True], sides[False]
        single = len(slots) == 1 and not then[0] and not orelse[0]
        if single:
            split = Split(fork.side, then[1], orelse[1])
            draft = Draft(events=[split])
            for statements, trace, drafts in (then, orelse):
                trace.events += drafts[0].events
                draft.variables |= drafts[0].variables
                draft.effect |= drafts[0].effect
                draft.depth = max(draft.depth, drafts[0].depth)
            value = Choice(
                condition=condition,
                then=then[2][0].value,
                orelse=orelse[2][0].value,
                type=then[2][0].value.type,
            )
            draft.done(value, fork.first)
            self._keep(slots[0], draft, fork, items, following)
            return 0
        self._assign_results(fork, slots, sides, items, following)
        writer.trace.events.append(Split(fork.side, then[1], orelse[1]))
        body, other = tuple(then[0]), tuple(orelse[0])
        place = {"origin": fork.first.origin, "at": fork.first.at}
        if body:
            statement = Conditional(condition=condition, body=body, orelse=other, **place)  # type: ignore[arg-type]
            writer.statements.append(statement)
        elif other:
            statement = Conditional(condition=negated(condition), body=other, **place)  # type: ignore[arg-type]
            writer.statements.append(statement)
        return 0

    def _assign_results(
        self,
        fork: Fork,
        slots: list[Slot],
        sides: dict[bool, tuple[list[Statement], Trace, list[Draft]]],
        items: list[Item],
        following: int,
    ) -> None:
        """Both sides end by assigning the results to the same names."""
        from dlc.emit.plan import Assign

        writer = self.writer
        for place, slot in enumerate(slots):
            if self._bound_next(slot, items, following):
                bind = items[following].first
                assert isinstance(bind, Bind)
                name = writer.local(bind.name.replace(".", "_"))
            elif slot in writer.protected:
                name = writer.unique(f"{writer.final_name(slot) or 'value'}_kept")
            else:
                name = writer.temporary(slot, Draft())
            for side, block in ((True, fork.then), (False, fork.orelse)):
                statements, trace, drafts = sides[side]
                draft = drafts[place]
                trace.events += draft.events
                operands = list(fork_results(fork, side, block))[place]
                tokens = [
                    None if o is None else writer.analysis.token(s, o)
                    for s, o in zip(block.strands, operands, strict=True)
                ]
                trace.events.append(Write(name, tokens))
                if isinstance(draft.code, Variable) and draft.code == Variable(name=name):
                    continue
                statements.append(
                    Assign(targets=(name,), value=draft.value, origin=draft.origin, at=draft.location)
                )
            writer.hold(name, {slot})
            writer.home[slot] = Place(name)

    # ------------------------------------------------------------ loops

    def _loop(self, loop: Loop) -> None:
        writer, terms = self.writer, self.writer.terms
        writer.flush_all()
        pairs = [(n, s) for n, s in zip(loop.nodes, writer.block.strands, strict=True) if n is not None]
        tensors = _tensor_targets(loop)
        names = tuple(t for t in loop.first.targets if t not in tensors) or ("_",)
        iterable = terms.plain([n.iterable for n, _ in pairs], [s for _, s in pairs], "items")
        rounds = {(s.definition.id, s.chain): len(n.rounds) for n, s in pairs}
        frame = Frame(loop.body.strands[0].chain[-1][0], names, rounds, iterable)
        opened = OpenLoop(loop, frame)
        before = {name: set(slots) for name, slots in writer.holds.items()}
        for name, slots in writer.analysis.loop_binds[loop].items():
            local = writer.local(name.partition(".")[0])
            writer.holds[local] = writer.holds.get(local, set()) | slots
        lists = {name: self._tensor_list(loop, name) for name in tensors}
        terms.frames.append(frame)
        writer.loops.append(opened)
        trace = Trace()
        for name in tensors:
            self._tensor_target(loop, name, lists[name], opened, trace)
        statements, saved = self._inside(loop.body, trace)
        self.block(loop.body)
        writer.position = loop.end
        writer.flush_all()
        self._outside(saved)
        terms.close(frame)
        writer.loops.pop()
        writer.position = loop.end
        writer.holds = _joined([before, writer.holds])
        self._close(loop, opened, iterable, statements, trace)

    def _tensor_list(self, loop: Loop, name: str) -> Code:
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
            code = self.reader.read(operands, draft)
            assert code is not None
            items.append(code)
        self.writer.trace.events += draft.events
        return SequenceCode(items=tuple(items))

    def _tensor_target(self, loop: Loop, name: str, items: Code, opened: OpenLoop, trace: Trace) -> None:
        """Each round starts with the loop variable bound to its tensor."""
        writer = self.writer
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
        self, loop: Loop, opened: OpenLoop, iterable: Expr, statements: list[Statement], trace: Trace
    ) -> None:
        writer, frame = self.writer, opened.frame
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

    # ------------------------------------------------------------ scan

    def _repeat(self, item: Repeat) -> None:
        writer, terms, first = self.writer, self.writer.terms, item.first
        pairs = [(n, s) for n, s in zip(item.nodes, writer.block.strands, strict=True) if n is not None]
        draft = Draft()
        sources: list[ScanSource] = []
        for place, source in enumerate(first.inputs):
            operands = [n.inputs[place].operand if n else None for n in item.nodes]
            sources.append(ScanSource(inside=writer.local(source.name), value=self.reader.read(operands, draft)))
        initials: list[Code] = []
        for place in range(len(first.carries)):
            code = self.reader.read([n.carries[place].initial if n else None for n in item.nodes], draft)
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
        for name in inside_names:
            writer.holds[name] = set()
        trace = Trace()
        statements, saved = self._inside(item.body, trace)
        starts = self._starts(item, inside_names)
        self.block(item.body)
        writer.position = item.end
        finals, emitted = self._finish(item, carried)
        writer.flush_all()
        self._outside(saved)
        writer.outer = outer
        own = _written(trace) | set(inside_names)
        writer.trace.events.append(
            Steps(item.children, starts, finals, trace, frozenset(own))
        )
        writer.holds = holds
        self._after(item, carried, [name for name, _ in emitted])
        flags = self.reader.registry.flags._region(first.body)
        for node, _ in pairs:
            flags |= self.reader.registry.flags._region(node.body)
        reads = tuple(sorted(_read_names(trace) - own | _read_first(trace, own - set(inside_names))))
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

    def _starts(self, item: Repeat, names: list[str]) -> list[Write]:
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

    def _finish(
        self, item: Repeat, carried: list[str]
    ) -> tuple[list[Read], list[tuple[str, Code]]]:
        """The end of a step: carried variables hold their new values, emissions are computed."""
        writer, count = self.writer, len(carried)
        emitted: list[tuple[str, Code]] = []
        finals: list[Read] = []
        results = list(repeat_results(item))
        for place, operands in enumerate(results[count:]):
            draft = Draft()
            code = self.reader.read(operands, draft)
            assert code is not None
            writer.trace.events += draft.events
            emitted.append((writer.local(item.first.emissions[place].name), code))
        for name, operands in zip(carried, results[:count], strict=True):
            draft = Draft()
            code = self.reader.read(operands, draft)
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

    def _after(self, item: Repeat, carried: list[str], emitted: list[str]) -> None:
        """After the loop, carried variables hold the last values, and emissions the stacked ones."""
        writer = self.writer
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


def negated(condition: Expr) -> Expr:
    """`not condition`, without a double negation."""
    match condition:
        case Operation(op="not", args=(inner,)):
            return inner
        case Operation(op="==" | "!=" | "in" | "not in" as op, args=args, value=value):
            opposite = {"==": "!=", "!=": "==", "in": "not in", "not in": "in"}[op]
            return Operation(op=opposite, args=args, value=not value)
    return Operation(op="not", args=(condition,), value=not condition.value)


def _joined(tables: list[dict[str, set[Slot]]]) -> dict[str, set[Slot]]:
    merged: dict[str, set[Slot]] = {}
    for table in tables:
        for name, slots in table.items():
            merged[name] = merged.get(name, set()) | slots
    return merged


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


def _tensor_targets(loop: Loop) -> set[str]:
    """Loop variables that are tensors: they are bound in the rounds, not by the iterable."""
    known = {name for node in loop.nodes if node for step in node.rounds for name in step.variables}
    return {name for name in loop.first.targets if name not in known and name != "_"}


def _target_bind(loop: Loop, name: str) -> Step:
    """The node that binds a loop variable to a tensor."""
    for item in loop.body.items:
        if isinstance(item, Step) and isinstance(item.first, Bind) and item.first.name == name:
            return item
    raise CannotMerge(f"the loop variable {name} is not a tensor in all rounds")


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

