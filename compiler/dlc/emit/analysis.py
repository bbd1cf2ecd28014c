"""Where the values of a merged method are made and read.

In: a merged body (`merge.Block`). Out: `Analysis`: for every value its `Slot` (the one place in the text that
makes it in all elaborations), how often it is read without a name, which names are read, and until when each
value is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dlc.emit.merge import Block, Fork, Item, Loop, Repeat, Step, Strand
from dlc.emit.operands import (
    Operands,
    Slot,
    Token,
    fork_results,
    item_operands,
    list_operands,
    node_output,
    node_outputs,
    repeat_results,
    returned,
    sample_use,
    static_token,
    tensor_use,
    walk,
)
from dlc.ir import (
    Apply,
    Bind,
    Call,
    List,
    Operand,
    Sample,
    Static,
    Tensor,
    TensorType,
    Use,
)
from dlc.ir import Item as ItemNode


@dataclass(slots=True)
class Analysis:
    """What the emitter asks about values."""

    body: Block
    aliases: dict[str, dict[int, Operand]]
    producers: dict[str, dict[int, tuple[Slot, Strand]]] = field(default_factory=dict)
    types: dict[str, dict[int, TensorType]] = field(default_factory=dict)
    all_aliases: dict[str, dict[int, Operand]] = field(default_factory=dict)
    bound: dict[str, set[tuple[Token, str]]] = field(default_factory=dict)
    read_names: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    mixed: set[str] = field(default_factory=set)
    loop_ends: dict[int, int] = field(default_factory=dict)
    loop_binds: dict[Loop | Repeat, dict[str, set[Slot]]] = field(default_factory=dict)
    slots: dict[Item, list[Slot]] = field(default_factory=dict)
    inputs: dict[str, Slot] = field(default_factory=dict)
    lists: dict[str, dict[int, str]] = field(default_factory=dict)
    live_binds: dict[str, set[tuple[Token, str]]] = field(default_factory=dict)
    bound_slots: set[Slot] = field(default_factory=set)
    bind_counts: Counter[str] = field(default_factory=Counter)
    counter: int = 0

    # ------------------------------------------------------------ building

    @classmethod
    def of(cls, body: Block, aliases: dict[str, dict[int, Operand]]) -> Analysis:
        made = cls(body, aliases)
        for strand in body.strands:
            made._start(strand)
        made._number(body)
        made._read(body)
        made._return(body)
        made._bound_slots(body)
        return made

    def _bound_slots(self, block: Block) -> None:
        for item in block.items:
            match item:
                case Step(first=Bind()) if self.is_live(block.strands, item):
                    for strand, node in zip(block.strands, item.nodes, strict=True):
                        slot = self.slot_of(strand, node.value) if isinstance(node, Bind) else None
                        if slot is not None:
                            self.bound_slots.add(slot)
                case Loop() | Repeat():
                    self._bound_slots(item.body)
                case Fork():
                    self._bound_slots(item.then)
                    self._bound_slots(item.orelse)

    def _start(self, strand: Strand) -> None:
        definition = strand.definition
        key = definition.id
        self.producers[key] = {}
        self.types[key] = {}
        self.bound[key] = set()
        self.live_binds[key] = set()
        self.lists[key] = list_operands(definition)
        self.all_aliases[key] = dict(self.aliases.get(key, {}))
        for item in definition.inputs:
            slot = self.inputs.setdefault(item.name, Slot(None, self.body, 0, bound=item.name))
            self.bind_counts[item.name] = 1
            self.names.add(item.name)
            if item.tensor is not None:
                self.producers[key][item.tensor.id] = (slot, strand)
                self.bound[key].add((item.tensor.id, item.name))

    def _number(self, block: Block) -> None:
        for item in block.items:
            self.counter += 1
            item.position = self.counter
            match item:
                case Step():
                    self._step_outputs(block, item)
                case Loop():
                    self._loop_names(item)
                    self._number(item.body)
                    self.counter += 1
                    item.end = self.counter
                    for strand in item.body.strands[:1]:
                        self.loop_ends[strand.chain[-1][0]] = item.end
                    self._collect_binds(item)
                case Fork():
                    self._fork(block, item)
                case Repeat():
                    self._repeat(block, item)

    def _loop_names(self, loop: Loop) -> None:
        self.names.update(loop.first.targets)
        self.bind_counts.update(loop.first.targets)

    def _make(self, block: Block, item: Item, place: int, tensors: Iterable[Tensor | None]) -> Slot:
        slot = Slot(item, block, item.position, place)
        for strand, tensor in zip(block.strands, tensors, strict=True):
            if tensor is not None:
                self.producers[strand.definition.id][tensor.id] = (slot, strand)
                self.types[strand.definition.id][tensor.id] = tensor.type
        self.slots.setdefault(item, []).append(slot)
        return slot

    def _step_outputs(self, block: Block, step: Step) -> None:
        match step.first:
            case Apply() | Call():
                count = max(len(node_outputs(node)) for node in step.nodes if node is not None)
                for place in range(count):
                    tensors = [node_output(node, place) for node in step.nodes]
                    self._make(block, step, place, tensors)
            case Sample(name=name):
                slot = self._make(block, step, 0, [node_output(node, 0) for node in step.nodes])
                slot.bound = name
                self._bind(block, [sample_use(node) for node in step.nodes], name)
            case ItemNode():
                self._make(block, step, 0, [node_output(node, 0) for node in step.nodes])
                for strand, node in zip(block.strands, step.nodes, strict=True):
                    if isinstance(node, ItemNode):
                        self.all_aliases[strand.definition.id][node.output.id] = node.value
            case Bind(name=name):
                values = [node.value if isinstance(node, Bind) else None for node in step.nodes]
                self._bind(block, values, name)
                for found in {self.slot_of(s, v) for s, v in zip(block.strands, values, strict=True)}:
                    if found is not None and found.bound is None:
                        found.bound = name
            case List(name=name):
                self.names.add(name)

    def _bind(self, block: Block, values: Operands, name: str) -> None:
        self.names.add(name.partition(".")[0])
        self.bind_counts[name] += 1
        for strand, value in zip(block.strands, values, strict=True):
            if value is not None:
                self.bound[strand.definition.id].add((self.token(strand, value), name))

    def _fork(self, block: Block, fork: Fork) -> None:
        for side in (fork.then, fork.orelse):
            self._number(side)
        self.counter += 1
        fork.end = self.counter
        for node, strand in zip(fork.nodes, block.strands, strict=True):
            if node is not None:
                for tensor, operand in zip(node.outputs, node.result, strict=True):
                    self.all_aliases[strand.definition.id].setdefault(tensor.id, operand)
        for place in range(len(fork.first.outputs)):
            tensors = [node.outputs[place] if node else None for node in fork.nodes]
            self._make(block, fork, place, tensors)

    def _repeat(self, block: Block, item: Repeat) -> None:
        inside = item.body
        nodes = [node for node in item.nodes if node is not None]
        for place, source in enumerate(item.first.inputs):
            self._own(inside, item, [n.inputs[place].inside for n in nodes], source.name)
        for place, carry in enumerate(item.first.carries):
            self._own(inside, item, [n.carries[place].inside for n in nodes], carry.name)
        self._number(inside)
        self.counter += 1
        item.end = self.counter
        self._collect_binds(item)
        for place, carry in enumerate(item.first.carries):
            tensors = [n.carries[place].output if n else None for n in item.nodes]
            self._make(block, item, place, tensors).bound = carry.name
            self._bind(block, [tensor_use(t) for t in tensors], carry.name)
        for place, emission in enumerate(item.first.emissions):
            tensors = [n.emissions[place].output if n else None for n in item.nodes]
            self._make(block, item, len(item.first.carries) + place, tensors).bound = emission.name
            self._bind(block, [tensor_use(t) for t in tensors], emission.name)

    def _own(self, inside: Block, item: Repeat, tensors: list[Tensor], name: str) -> None:
        slot = Slot(None, inside, item.position, bound=name)
        for strand, tensor in zip(inside.strands, tensors, strict=True):
            self.producers[strand.definition.id][tensor.id] = (slot, strand)
        self._bind(inside, [tensor_use(t) for t in tensors], name)

    def _collect_binds(self, loop: Loop | Repeat) -> None:
        found: dict[str, set[Slot]] = {}
        for block, item in walk(loop.body):
            if isinstance(item, Loop | Repeat):
                for name, slots in self.loop_binds.get(item, {}).items():
                    found.setdefault(name, set()).update(slots)
            if isinstance(item, Step) and isinstance(item.first, Bind):
                for strand, node in zip(block.strands, item.nodes, strict=True):
                    slot = self.slot_of(strand, node.value) if isinstance(node, Bind) else None
                    if slot is not None:
                        found.setdefault(item.first.name, set()).add(slot)
            for slot in self.slots.get(item, []):
                if slot.bound is not None:
                    found.setdefault(slot.bound, set()).add(slot)
        self.loop_binds[loop] = found

    # ------------------------------------------------------------ reading

    def _read(self, block: Block) -> None:
        for item in block.items:
            if not (isinstance(item, Step) and self.list_name(block, item)):
                for operands in item_operands(item):
                    self._use(block, item, operands)
            match item:
                case Loop():
                    self._read(item.body)
                case Fork():
                    for side, name in ((item.then, True), (item.orelse, False)):
                        if item.returns is not None and item.returns != name:
                            continue
                        self._read(side)
                        for operands in fork_results(item, name, side):
                            self._use(side, item, operands, item.end)
                        self._return(side)
                case Repeat():
                    self._read(item.body)
                    for operands in repeat_results(item):
                        self._use(item.body, item, operands, item.end)

    def _return(self, block: Block) -> None:
        if not block.returning:
            return
        self.counter += 1
        for operands in returned(block):
            self._use(block, None, operands, self.counter)

    def _use(self, block: Block, item: Item | None, operands: Operands, at: int = 0) -> None:
        position = at or (item.position if item is not None else self.counter)
        named = self.read_name(block.strands, operands)
        is_bind = isinstance(item, Step) and isinstance(item.first, Bind)
        for strand, operand in zip(block.strands, operands, strict=True):
            operand = self.resolve(strand, operand)
            if not isinstance(operand, Use):
                continue
            found = self.producers[strand.definition.id].get(operand.id)
            if found is not None:
                self._extend(found[0], found[1], strand, position)
            if named is not None:
                self.live_binds[strand.definition.id].add((self.token(strand, operand), named))
        if named is not None:
            self.read_names.add(named)
            if any(isinstance(operand, Static) for operand in operands):
                self.mixed.add(named)
            return
        slot = self.common(block.strands, operands)
        if slot is not None and not is_bind:
            slot.uses += 1
            slot.user, slot.user_block = item, block
            if self._after_loop(block.strands, operands):
                slot.collected = True
                if isinstance(item, Step) and isinstance(item.first, List):
                    slot.list_name = item.first.name

    def _after_loop(self, strands: Sequence[Strand], operands: Operands) -> bool:
        """Whether an operand was made in a loop that is over."""
        for strand, operand in zip(strands, operands, strict=True):
            operand = self.resolve(strand, operand)
            if isinstance(operand, Use):
                found = self.producers[strand.definition.id].get(operand.id)
                if found is None:
                    return False
                chain = found[1].chain
                return len(chain) == len(strand.chain) + 1 and chain[:-1] == strand.chain
        return False

    def round_of(self, strand: Strand, operand: Operand | None) -> tuple[Slot, int] | None:
        """The collected slot and the round that an operand is from."""
        operand = self.resolve(strand, operand)
        if not isinstance(operand, Use):
            return None
        found = self.producers[strand.definition.id].get(operand.id)
        if found is None or not found[0].collected or not found[1].chain:
            return None
        return found[0], found[1].chain[-1][1]

    def _extend(self, slot: Slot, made: Strand, read: Strand, position: int) -> None:
        shared = 0
        for a, b in zip(made.chain, read.chain, strict=False):
            if a != b:
                break
            shared += 1
        rest = read.chain[shared:]
        if shared < len(made.chain) and rest and rest[0][0] == made.chain[shared][0]:
            end = self.loop_ends.get(rest[0][0], position)
            slot.last = max(slot.last, end)
            near = rest[0][1] - made.chain[shared][1] == 1 and not any(r for _, r in rest[1:])
            slot.carried = max(slot.carried, position if near else end)
            return
        if any(number for _, number in rest):
            position = max(position, self.loop_ends.get(rest[0][0], position))
        slot.last = max(slot.last, position)

    # ------------------------------------------------------------ questions

    def resolve(self, strand: Strand, operand: Operand | None) -> Operand | None:
        """The operand, through branches that vanished; the reader's own name stays."""
        aliases = self.aliases.get(strand.definition.id)
        while aliases and isinstance(operand, Use) and operand.id in aliases:
            found = aliases[operand.id]
            if operand.name is not None and isinstance(found, Use):
                key = (self.token(strand, operand), operand.name)
                if key in self.bound[strand.definition.id]:
                    return operand
            operand = found
        return operand

    def slot_of(self, strand: Strand, operand: Operand | None) -> Slot | None:
        """The slot of an operand in one strand."""
        aliases = self.aliases.get(strand.definition.id, {})
        while isinstance(operand, Use):
            found = self.producers[strand.definition.id].get(operand.id)
            if found is not None:
                return found[0]
            operand = aliases.get(operand.id)
        return None

    def common(self, strands: Sequence[Strand], operands: Operands) -> Slot | None:
        """The slot that is the operand in all strands."""
        slots = {
            self.slot_of(strand, operand)
            for strand, operand in zip(strands, operands, strict=True)
            if operand is not None
        }
        return slots.pop() if len(slots) == 1 else None

    def token(self, strand: Strand, operand: Operand) -> Token:
        """A value's identity: what it is, under whatever name."""
        aliases = self.all_aliases[strand.definition.id]
        while isinstance(operand, Use):
            found = aliases.get(operand.id)
            if found is None or (isinstance(found, Use) and found.id == operand.id):
                return operand.id
            operand = found
        if isinstance(operand, Static):
            return static_token(operand.expr.value)
        return operand.id

    def tensor_token(self, strand: Strand, number: int) -> Token:
        """The identity of a value by number."""
        return self.token(strand, Use(id=number))

    def read_name(self, strands: Sequence[Strand], operands: Operands) -> str | None:
        """The name through which the text reads an operand in all strands, if that name was given."""
        name: str | None = None
        for strand, operand in zip(strands, operands, strict=True):
            operand = self.resolve(strand, operand)
            if not isinstance(operand, Use):
                continue
            if operand.name is None or (name is not None and operand.name != name):
                return None
            if (self.token(strand, operand), operand.name) not in self.bound[strand.definition.id]:
                return None
            name = operand.name
        return name

    def list_name(self, block: Block, step: Step) -> str | None:
        """The list whose items are the operands of a step (`concat(parts)`), if that is so."""
        if not isinstance(step.first, Apply):
            return None
        names = {
            self.lists[strand.definition.id].get(node.outputs[0].id)
            for strand, node in zip(block.strands, step.nodes, strict=True)
            if isinstance(node, Apply)
        }
        return names.pop() if len(names) == 1 else None

    def is_live(self, strands: Sequence[Strand], step: Step) -> bool:
        """Whether the name that a `Bind` gives is read."""
        node = step.first
        assert isinstance(node, Bind)
        for strand, bind in zip(strands, step.nodes, strict=True):
            if isinstance(bind, Bind):
                key = (self.token(strand, bind.value), node.name)
                if key in self.live_binds[strand.definition.id]:
                    return True
                if isinstance(bind.value, Static) and node.name in self.mixed:
                    return True
        return False
