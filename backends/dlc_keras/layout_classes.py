"""Which tensors of a program are stored channels last.

Tensors that meet element by element, or that one variable of the generated text may hold, must be stored
alike: they form classes (union-find over the values of all definitions). A class is channels last where
one of its tensors meets an operation that wants it so. The order of axes of every value follows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dlc.ir import (
    Apply,
    Bind,
    Branch,
    Call,
    Definition,
    For,
    Item,
    List,
    Node,
    Operand,
    Program,
    Region,
    Sample,
    Scan,
    Tensor,
    Update,
    Use,
)
from dlc_keras.layout_rules import CHANNELS_LAST, ELEMENTWISE, IMAGE_OPS, Order, identity
from dlc_keras.names import words

IMAGE_BLOCKS = frozenset({"BatchNorm1d", "BatchNorm2d", "GroupNorm", "InstanceNorm2d", "PReLU2d"})
"""Library blocks whose natives, or whose broadcasting, read best with channels last."""

ALIKE = ELEMENTWISE | words("concat split flip pad cumsum cumprod sort broadcast")
"""Operations whose operands and results of the same rank are stored alike."""

Place = Hashable


@dataclass
class Classes:
    """Disjoint sets of places, some of which are marked."""

    parents: dict[Place, Place] = field(default_factory=dict)
    marked: set[Place] = field(default_factory=set)

    def find(self, place: Place) -> Place:
        root = place
        while (parent := self.parents.get(root, root)) != root:
            root = parent
        while (parent := self.parents.get(place, root)) != root:
            self.parents[place] = root
            place = parent
        return root

    def join(self, one: Place, other: Place) -> None:
        first, second = self.find(one), self.find(other)
        if first != second:
            self.parents[first] = second
            if first in self.marked:
                self.marked.add(second)

    def mark(self, place: Place) -> None:
        self.marked.add(self.find(place))

    def is_marked(self, place: Place) -> bool:
        return self.find(place) in self.marked


def nested(node: Node) -> Sequence[Region]:
    """The regions inside a node."""
    match node:
        case For():
            return [step.body for step in node.rounds]
        case Branch() | Scan():
            return [node.body]
    return []


def every_node(region: Region) -> Iterator[Node]:
    for node in region:
        yield node
        for inner in nested(node):
            yield from every_node(inner)


def made(node: Node) -> Iterator[Tensor]:
    """The tensors that a node makes (those of its regions apart)."""
    match node:
        case Apply() | Call() | Branch():
            yield from node.outputs
        case Sample() | Item():
            yield node.output
        case Scan():
            yield from (source.inside for source in node.inputs)
            for carry in node.carries:
                yield from (carry.inside, carry.output)
            yield from (emission.output for emission in node.emissions)


@dataclass(frozen=True)
class Orders:
    """The answer: the stored order of every value, and of every input and output of a definition."""

    classes: Classes

    def _order(self, place: Place, rank: int) -> Order:
        marked = rank in CHANNELS_LAST and self.classes.is_marked(place)
        return CHANNELS_LAST[rank] if marked else identity(rank)

    def value(self, definition: str, number: int, rank: int) -> Order:
        return self._order(("value", definition, number), rank)

    def input(self, definition: str, name: str, rank: int) -> Order:
        return self._order(("input", definition, name), rank)

    def output(self, definition: str, position: int, rank: int) -> Order:
        return self._order(("output", definition, position), rank)


def fixed_interfaces(program: Program) -> frozenset[str]:
    """Definitions whose inputs and outputs keep the specification's order.

    The network's own, also where one method calls another with other sizes, and `flatten`, whose result
    depends on the order.
    """
    families = {program.definitions[which].family for m in program.methods for which in m.elaborations}
    public = {name for name, one in program.definitions.items() if one.family in families}
    flat = {name for name, one in program.definitions.items() if one.name == "flatten" and is_std(one)}
    return frozenset(public | flat)


def is_std(definition: Definition) -> bool:
    return definition.module.startswith("std/")


class Collector:
    """Joins and marks the places of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.classes = Classes()
        self.ranks: dict[tuple[str, int], int] = {}
        self.public = {program.definitions[name].family for name in fixed_interfaces(program)}
        self.fixed = _fixed_families(program)

    def collect(self) -> Orders:
        for definition in self.program.definitions.values():
            self._ranks(definition)
        for definition in self.program.definitions.values():
            self._interface(definition)
            for node in every_node(definition.body):
                self._node(definition, node)
        return Orders(self.classes)

    # -------------------------------------------------------- places

    def _ranks(self, definition: Definition) -> None:
        tensors = [one.tensor for one in definition.inputs if one.tensor is not None]
        tensors += [tensor for node in every_node(definition.body) for tensor in made(node)]
        self.ranks.update({(definition.id, tensor.id): tensor.type.rank for tensor in tensors})

    def _operands(self, definition: Definition, operands: Sequence[Operand | None]) -> list[Place]:
        """The places of the operands of rank 3 or 4 that are values; a use may also be of a weight."""
        uses = [operand for operand in operands if isinstance(operand, Use)]
        return [
            ("value", definition.id, use.id)
            for use in uses
            if self.ranks.get((definition.id, use.id)) in CHANNELS_LAST
        ]

    def _rank(self, place: Place) -> int:
        assert isinstance(place, tuple)
        return self.ranks[place[1], place[2]]

    def _alike(self, places: Sequence[Place]) -> None:
        """Joins the places of the same rank."""
        first: dict[int, Place] = {}
        for place in places:
            self.classes.join(first.setdefault(self._rank(place), place), place)

    def _same_text(self, definition: Definition, node: Node, places: Mapping[str, Place]) -> None:
        """Joins what the same text reads or makes, in all rounds and all elaborations."""
        owner = definition.family if definition.family in self.fixed else definition.id
        for slot, place in places.items():
            self.classes.join(("text", owner, node.origin, slot, self._rank(place)), place)

    # -------------------------------------------------------- rules

    def _interface(self, definition: Definition) -> None:
        owner = definition.family if definition.family in self.fixed else definition.id
        public = definition.family in self.public
        image = definition.name in IMAGE_BLOCKS and is_std(definition)
        for one in definition.inputs:
            if one.tensor is None or one.tensor.type.rank not in CHANNELS_LAST:
                continue
            place: Place = ("value", definition.id, one.tensor.id)
            if image:
                self.classes.mark(place)
            if public:
                continue
            self.classes.join(("input", definition.id, one.name), place)
            slot = ("input", owner, definition.method, one.name, one.tensor.type.rank)
            self.classes.join(slot, place)
        for position, output in enumerate(definition.outputs):
            if public or output.type.rank not in CHANNELS_LAST:
                continue
            result: Place = ("output", definition.id, position)
            slot_out = ("output", owner, definition.method, position, output.type.rank)
            self.classes.join(slot_out, result)
            if image:
                self.classes.mark(result)
            for place in self._operands(definition, [output.value]):
                self.classes.join(place, result)

    def _node(self, definition: Definition, node: Node) -> None:
        outputs = self._operands(definition, [Use(id=tensor.id) for tensor in made(node)])
        match node:
            case Apply(op=op) if op in ALIKE:
                self._alike([*outputs, *self._meeting(definition, node)])
            case Apply(op=op) if op in IMAGE_OPS:
                for place in [*outputs, *self._operands(definition, node.inputs[:1])]:
                    self.classes.mark(place)
            case Call():
                self._call(definition, node)
            case Branch():
                for value, output in zip(node.result, node.outputs, strict=True):
                    self._alike(self._operands(definition, [value, Use(id=output.id)]))
            case Item():
                self._alike(self._operands(definition, [node.value, Use(id=node.output.id)]))
            case List():
                self._alike(self._operands(definition, node.items))
            case For():
                self._alike(self._operands(definition, node.over))
            case Scan():
                for carry in node.carries:
                    ends = [Use(id=carry.inside.id), Use(id=carry.output.id)]
                    self._alike(self._operands(definition, [carry.initial, carry.final, *ends]))
        self._text(definition, node, outputs)

    def _meeting(self, definition: Definition, node: Apply) -> list[Place]:
        """Operands that have the rank of the result: others are broadcast."""
        rank = node.outputs[0].type.rank
        return [one for one in self._operands(definition, node.inputs) if self._rank(one) == rank]

    def _text(self, definition: Definition, node: Node, outputs: Sequence[Place]) -> None:
        slots: dict[str, Place] = {f"out{i}": place for i, place in enumerate(outputs)}
        match node:
            case Apply():
                operands: Sequence[Operand | None] = node.inputs
            case Call():
                operands = [node.arguments[name] for name in sorted(node.arguments)]
            case Bind() | Update():
                operands = [node.value]
            case _:
                operands = []
        for position, operand in enumerate(operands):
            for place in self._operands(definition, [operand]):
                slots[f"in{position}"] = place
        self._same_text(definition, node, slots)

    def _call(self, definition: Definition, node: Call) -> None:
        callee = self.program.definitions[node.callee]
        if callee.family in self.public:
            return
        for name, operand in node.arguments.items():
            for place in self._operands(definition, [operand]):
                self.classes.join(place, ("input", callee.id, name))
        for position, tensor in enumerate(node.outputs):
            for place in self._operands(definition, [Use(id=tensor.id)]):
                self.classes.join(place, ("output", callee.id, position))


def _fixed_families(program: Program) -> frozenset[str]:
    """Families whose text depends on the order of axes. The others read the same in any order."""
    callees: dict[str, set[str]] = {}
    fixed: set[str] = set()
    for definition in program.definitions.values():
        called = callees.setdefault(definition.family, set())
        for node in every_node(definition.body):
            if isinstance(node, Call):
                called.add(program.definitions[node.callee].family)
            elif isinstance(node, Scan) or (isinstance(node, Apply) and node.op not in ELEMENTWISE):
                fixed.add(definition.family)
    while more := {family for family, called in callees.items() if called & fixed} - fixed:
        fixed |= more
    return frozenset(fixed)
