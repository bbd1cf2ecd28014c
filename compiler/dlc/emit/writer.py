"""The statements of one method while they are written: variables, pending expressions, temporaries.

An expression that its single reader can hold stays pending until it is read; everything else becomes an
assignment where the text computes it. So the order of effects is the order of the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dlc.emit.analysis import Analysis
from dlc.emit.frames import Frame
from dlc.emit.merge import Block, Fork, Loop, Step
from dlc.emit.naming import PLAIN_VALUES, safe, unused
from dlc.emit.operands import Slot, Token
from dlc.emit.plan import Assign, Code, LoopLayer, Statement, Variable
from dlc.emit.terms import Terms
from dlc.emit.trace import Event, Trace, Write
from dlc.ir import Apply, Call, Location, Node, Operand

DEEPEST = 3
"""Calls nested in one statement."""


@dataclass(slots=True)
class Draft:
    """An expression being built: what it reads, how deep its calls nest, whether it has effects."""

    code: Code | None = None
    events: list[Event] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)
    effect: bool = False
    depth: int = 0
    origin: int = 0
    at: Location | None = None

    def absorb(self, other: Draft) -> None:
        self.events += other.events
        self.variables |= other.variables
        self.effect |= other.effect
        self.depth = max(self.depth, other.depth)
        if self.at is None:
            self.origin, self.at = other.origin, other.at

    def done(self, code: Code, node: Node) -> Draft:
        """The finished expression, which computes the value of `node`."""
        self.code, self.origin, self.at = code, node.origin, node.at
        return self

    @property
    def value(self) -> Code:
        assert self.code is not None
        return self.code

    @property
    def location(self) -> Location:
        assert self.at is not None
        return self.at


@dataclass(slots=True)
class OpenLoop:
    """A loop that is being written."""

    loop: Loop
    frame: Frame
    layers: dict[str, LoopLayer] = field(default_factory=dict)
    tensors: dict[str, Code] = field(default_factory=dict)
    initials: dict[str, Statement] = field(default_factory=dict)
    collected: list[str] = field(default_factory=list)
    initial_events: list[Event] = field(default_factory=list)


@dataclass(slots=True)
class Place:
    """Where in a variable a value is: `r.out` is field "out", place 0 of `r`."""

    name: str
    field: str | None = None
    place: int | None = None

    @property
    def code(self) -> Variable:
        if self.place is None:
            return Variable(name=self.name)
        return Variable(name=self.name, field=self.field, position=self.place)


@dataclass(slots=True)
class Writer:
    """State of the method that is written."""

    analysis: Analysis
    terms: Terms
    reserved: frozenset[str]
    protected: set[Slot]
    block: Block
    statements: list[Statement] = field(default_factory=list)
    trace: Trace = field(default_factory=Trace)
    pending: dict[Slot, Draft] = field(default_factory=dict)
    holds: dict[str, set[Slot]] = field(default_factory=dict)
    home: dict[Slot, Place] = field(default_factory=dict)
    defined: set[Slot] = field(default_factory=set)
    records: dict[str, dict[str, int]] = field(default_factory=dict)
    loops: list[OpenLoop] = field(default_factory=list)
    solid: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)
    outer: set[str] = field(default_factory=set)
    position: int = 0
    targets: set[Step] = field(default_factory=set)
    lists: dict[Slot, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    finals: dict[Slot, str | None] = field(default_factory=dict)

    # ------------------------------------------------------------ names

    def local(self, name: str) -> str:
        """A name of the text as a Python variable."""
        return safe(name, self.reserved)

    def final_name(self, slot: Slot) -> str | None:
        """The name that the text gives in the end to what this value is piped into."""
        chain: list[Slot] = []
        current: Slot | None = slot
        name: str | None = None
        while current is not None:
            if current in self.finals:
                name = self.finals[current]
                break
            chain.append(current)
            if current.bound is not None:
                name = current.bound.partition(".")[0]
                break
            user = current.user
            made = self.analysis.slots.get(user, []) if isinstance(user, Step | Fork) else []
            single = current.uses == 1 and len(made) == 1
            current = made[0] if single and made[0] is not current else None
        for link in chain:
            self.finals[link] = name
        return name

    def is_live(self, slot: Slot) -> bool:
        """Whether a value is still needed after the statement that is being written."""
        until = slot.last if slot in self.defined or slot.item is None else slot.carried
        return until > self.position

    def usable(self, name: str) -> bool:
        """Whether a temporary may use this name here."""
        if name in self.solid or name in self.outer or name in self.terms.taken or name in self.records:
            return False
        if any(name in opened.frame.names() for opened in self.loops):
            return False
        if any(name == layer.element for opened in self.loops for layer in opened.layers.values()):
            return False
        return not any(self.is_live(slot) for slot in self.holds.get(name, ()))

    def temporary(self, slot: Slot | None, draft: Draft) -> str:
        """A readable name for a value that the text leaves unnamed."""
        wanted: list[str | None] = [self.final_name(slot)] if slot is not None else []
        if len(draft.variables) == 1:
            wanted += draft.variables - {self.local(name) for name in self.analysis.inputs}
        wanted.append("x")
        for name in wanted:
            if name is not None:
                chosen = self.local(name)
                if self.usable(chosen):
                    return chosen
        for name in PLAIN_VALUES:
            chosen = self.local(name)
            if self.usable(chosen) and (name not in self.analysis.names or chosen in self.holds):
                return chosen
        return self.unique(PLAIN_VALUES[0])

    def unique(self, hint: str) -> str:
        """A name that nothing else in the method uses."""
        taken = {self.local(name) for name in self.analysis.names} | self.fresh | self.reserved
        taken |= set(self.terms.taken) | set(self.holds) | self.solid
        for opened in self.loops:
            taken |= opened.frame.names() | {layer.element for layer in opened.layers.values()}
        name = unused([hint, f"{hint}_value"], taken)
        self.fresh.add(name)
        return name

    # ------------------------------------------------------------ statements

    def tokens(self, operands: Sequence[Operand | None]) -> list[Token | None]:
        """The values that an operand must have, strand by strand."""
        return [
            None if operand is None else self.analysis.token(strand, operand)
            for strand, operand in zip(self.block.strands, operands, strict=True)
        ]

    def slot_tokens(self, slot: Slot) -> list[Token | None]:
        """A slot's value in every strand of the current block."""
        assert slot.item is not None
        found: list[Token | None] = []
        for node in slot.item.nodes:
            match node:
                case Apply() | Call() if slot.place < len(node.outputs):
                    found.append(node.outputs[slot.place].id)
                case _:
                    found.append(None)
        return found

    def assign(
        self,
        targets: Sequence[str],
        draft: Draft,
        tokens: Sequence[Sequence[Token | None]],
        slots: Sequence[Slot | None],
    ) -> None:
        """Write `targets = draft`; what is pending and would change comes first."""
        self.flush_readers(targets)
        if draft.effect:
            self.flush_effects()
        self.trace.events += draft.events
        self.statements.append(
            Assign(targets=tuple(targets), value=draft.value, origin=draft.origin, at=draft.location)
        )
        for target, values, slot in zip(targets, tokens, slots, strict=True):
            self.trace.events.append(Write(target, list(values)))
            self.hold(target, {slot} if slot is not None else set())
            if slot is not None and slot not in self.protected:
                self.home[slot] = Place(target)

    def hold(self, name: str, slots: set[Slot]) -> None:
        """The variable now holds one of these values."""
        self.holds[name] = slots
        self.defined |= slots
        self.records.pop(name, None)

    def flush_readers(self, names: Iterable[str]) -> None:
        """Write pending expressions that read variables about to change."""
        if not self.pending:
            return
        changing = set(names)
        for slot, draft in list(self.pending.items()):
            if slot in self.pending and draft.variables & changing:
                self.flush(slot)

    def flush_effects(self) -> None:
        """Write pending expressions with effects, which must come before the next effect."""
        if not self.pending:
            return
        for slot, draft in list(self.pending.items()):
            if slot in self.pending and draft.effect:
                self.flush(slot)

    def flush_all(self) -> None:
        if not self.pending:
            return
        for slot in list(self.pending):
            if slot in self.pending:
                self.flush(slot)

    def flush(self, slot: Slot) -> None:
        """Write one pending expression as a statement of its own."""
        draft = self.pending.pop(slot)
        self.store(slot, draft)

    def store(self, slot: Slot, draft: Draft) -> None:
        """`temporary = draft`."""
        if slot in self.protected:
            name = self.unique(f"{self.final_name(slot) or 'value'}_kept")
            self.assign([name], draft, [self.slot_values(slot)], [slot])
            self.home[slot] = Place(name)
            self.solid.add(name)
            return
        name = self.temporary(slot, draft)
        self.assign([name], draft, [self.slot_values(slot)], [slot])

    def slot_values(self, slot: Slot) -> list[Token | None]:
        """A slot's identity in every strand, through names it already had elsewhere."""
        item = slot.item
        if isinstance(item, Step) and isinstance(item.first, Apply | Call):
            return self.slot_tokens(slot)
        assert item is not None
        found: list[Token | None] = []
        for strand, node in zip(self.block.strands, item.nodes, strict=True):
            outputs = getattr(node, "outputs", None) or (getattr(node, "output", None),)
            tensor = outputs[slot.place] if node is not None else None
            found.append(None if tensor is None else self.analysis.tensor_token(strand, tensor.id))
        return found
