"""Which operands the items of a merged method read, and in which order.

In: items of `merge`. Out: for each operand of the text, what it is in every strand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dlc.emit.merge import Block, CannotMerge, Fork, Item, Repeat, Step
from dlc.ir import (
    Apply,
    Bind,
    Call,
    Definition,
    List,
    Node,
    Operand,
    Sample,
    Static,
    Tensor,
    Update,
    Use,
    Value,
    flat,
)
from dlc.ir import Item as ItemNode

Operands: TypeAlias = Sequence[Operand | None]
"""One operand of the merged text: what it is in every strand of the block (None: absent there)."""

Token: TypeAlias = object
"""A value's identity in one elaboration, through all its names."""


ABSENT: Token = ("absent",)


@dataclass(eq=False, slots=True)
class Slot:
    """A value of the merged text. `uses` counts reads without a name; `user` is the last such reader.

    A value of a loop that is read by round after the loop is `collected` in a list.
    """

    item: Item | None
    block: Block
    position: int
    place: int = 0
    uses: int = 0
    user: Item | None = None
    user_block: Block | None = None
    last: int = 0
    carried: int = 0
    bound: str | None = None
    collected: bool = False
    list_name: str | None = None


def static_token(value: Value) -> Token:
    """The identity of a compile-time number."""
    return ("static", type(value).__name__, value)


def item_operands(item: Item) -> Iterator[Operands]:
    """The operands that an item reads when it runs (not those at the end of its body)."""
    match item:
        case Step(first=first):
            yield from _step_operands(item, first)
        case Repeat():
            first_scan = item.first
            for place in range(len(first_scan.inputs)):
                yield [n.inputs[place].operand if n else None for n in item.nodes]
            for place in range(len(first_scan.carries)):
                yield [n.carries[place].initial if n else None for n in item.nodes]


def _step_operands(item: Step, first: Node) -> Iterator[Operands]:
    match first:
        case Apply():
            count = max(len(n.inputs) for n in item.nodes if isinstance(n, Apply))
            for place in range(count):
                yield [
                    n.inputs[place] if isinstance(n, Apply) and place < len(n.inputs) else None
                    for n in item.nodes
                ]
        case Call():
            for name in argument_names(item):
                yield [n.arguments.get(name) if isinstance(n, Call) else None for n in item.nodes]
        case Bind() | Update():
            yield [n.value if isinstance(n, Bind | Update) else None for n in item.nodes]
        case List(edit="append"):
            yield [n.items[-1] if isinstance(n, List) else None for n in item.nodes]
        case List(edit="new"):
            for place in range(len(first.items)):
                yield [
                    n.items[place] if isinstance(n, List) and place < len(n.items) else None
                    for n in item.nodes
                ]


def argument_names(step: Step) -> list[str]:
    """The inputs of a call, in order."""
    names: dict[str, None] = {}
    for node in step.nodes:
        if isinstance(node, Call):
            names.update(dict.fromkeys(node.arguments))
    return list(names)


def fork_results(fork: Fork, side: bool, block: Block) -> Iterator[Operands]:
    """What one side of an `if` expression gives."""
    chosen = [node for node in fork.nodes if node is not None and node.taken == side]
    for place in range(len(fork.first.outputs)):
        yield [node.result[place] for node in chosen]


def repeat_results(item: Repeat) -> Iterator[Operands]:
    """What a step of a run-time loop ends with: carried values, then emitted ones."""
    nodes = [node for node in item.nodes if node is not None]
    for place in range(len(item.first.carries)):
        yield [node.carries[place].final for node in nodes]
    for place in range(len(item.first.emissions)):
        yield [node.emissions[place].value for node in nodes]


def returned(block: Block) -> Iterator[Operands]:
    """What the method returns in the strands of the block that end with it."""
    ending = set(block.returning)
    definition = block.strands[block.returning[0]].definition
    for place in range(len(definition.outputs)):
        column: list[Operand | None] = []
        for i, strand in enumerate(block.strands):
            outputs = strand.definition.outputs
            if i in ending and len(outputs) != len(definition.outputs):
                raise CannotMerge("different numbers of results")
            column.append(outputs[place].value if i in ending else None)
        yield column


def walk(block: Block) -> Iterator[tuple[Block, Item]]:
    """All items of a block and of the `if`s in it; loops are one item each."""
    for item in block.items:
        yield block, item
        if isinstance(item, Fork):
            yield from walk(item.then)
            yield from walk(item.orelse)


def list_operands(definition: Definition) -> dict[int, str]:
    """For each result of a primitive whose operands are all of one list: that list's name."""
    found: dict[int, str] = {}
    contents: dict[tuple[int, ...], str] = {}
    names: dict[str, tuple[int, ...]] = {}
    for node in flat(definition.body):
        if isinstance(node, List):
            old = names.pop(node.name, None)
            if old is not None and contents.get(old) == node.name:
                del contents[old]
            ids = tuple(item.id for item in node.items if not isinstance(item, Static))
            if len(ids) == len(node.items) and ids:
                contents[ids] = node.name
                names[node.name] = ids
        elif isinstance(node, Apply) and contents and len(node.inputs) > 0:
            ids = tuple(i.id for i in node.inputs if not isinstance(i, Static))
            if node.op in ("concat", "stack") and ids in contents and len(ids) == len(node.inputs):
                found[node.outputs[0].id] = contents[ids]
    return found


def node_outputs(node: Node | None) -> tuple[Tensor, ...]:
    return node.outputs if isinstance(node, Apply | Call) else ()


def node_output(node: Node | None, place: int) -> Tensor | None:
    match node:
        case Apply() | Call():
            return node.outputs[place] if place < len(node.outputs) else None
        case Sample() | ItemNode():
            return node.output
    return None


def sample_use(node: Node | None) -> Use | None:
    return Use(id=node.output.id) if isinstance(node, Sample) else None


def tensor_use(tensor: Tensor | None) -> Use | None:
    return Use(id=tensor.id) if tensor is not None else None
