"""Walks all elaborations of one body in lock-step and aligns their nodes.

In: the bodies of several definitions of one text (`Strand`s). Out: a `Block` of items, each of which holds
one node for every strand. Nodes are aligned by `origin`, the identity of the syntax node. A `Branch` whose
sides agree vanishes; rounds of a `For` become strands of one loop body.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from dlc.ir import (
    Bind,
    Branch,
    Check,
    Definition,
    For,
    List,
    Node,
    Operand,
    Ref,
    Round,
    Sample,
    Scan,
    Update,
    Use,
)


class CannotMerge(Exception):
    """These elaborations cannot be one unit; the text says why."""


@dataclass(eq=False, slots=True)
class Strand:
    """One run of a body: a definition, in one round of each loop around.

    `chain` is (loop, round) from the outermost loop inwards. `scopes` are the rounds whose loop
    variables are in scope.
    """

    definition: Definition
    chain: tuple[tuple[int, int], ...] = ()
    scopes: frozenset[str] = frozenset()
    parent: Strand | None = None
    variables: Mapping[str, Ref] = field(default_factory=dict)

    def round(self, loop: int, number: int, step: Round) -> Strand:
        """The strand of one round of a loop in this one."""
        scopes = self.scopes | {variable.scope for variable in step.variables.values()}
        variables = {**self.variables, **step.variables}
        return Strand(self.definition, (*self.chain, (loop, number)), scopes, self, variables)

    def ancestor(self, level: int) -> Strand:
        """The strand around, `level` loops deep."""
        strand = self
        while len(strand.chain) > level and strand.parent is not None:
            strand = strand.parent
        return strand


@dataclass(eq=False, slots=True)
class Step:
    """One node, in every strand of its block that has it."""

    nodes: list[Node | None]
    first: Node
    position: int = 0


@dataclass(eq=False, slots=True)
class Loop:
    """A compile-time loop. `children` are, for each strand of the block, its rounds' strands in `body`."""

    nodes: list[For | None]
    first: For
    children: list[list[int]]
    body: Block
    position: int = 0
    end: int = 0


@dataclass(eq=False, slots=True)
class Fork:
    """An `if` that went different ways. `side` is, for each strand, (the side, its strand in there).

    Where `returns` is set, that side ends the method, and what follows belongs to the other strands.
    """

    nodes: list[Branch | None]
    first: Branch
    side: list[tuple[bool, int] | None]
    then: Block
    orelse: Block
    returns: bool | None = None
    position: int = 0
    end: int = 0


@dataclass(eq=False, slots=True)
class Repeat:
    """A run-time loop; `body` has the strands of the block around, less those without it."""

    nodes: list[Scan | None]
    first: Scan
    children: list[int | None]
    body: Block
    position: int = 0
    end: int = 0


Item: TypeAlias = Step | Loop | Fork | Repeat


@dataclass(eq=False, slots=True)
class Block:
    """Items in execution order. `returning` are the strands that end the method after the last item."""

    strands: list[Strand]
    items: list[Item] = field(default_factory=list)
    returning: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Merger:
    """Merges bodies; `aliases` are the values of branches that vanished, by definition and value."""

    aliases: dict[str, dict[int, Operand]] = field(default_factory=dict)
    loops: int = 0

    def method(self, definitions: Iterable[Definition]) -> Block:
        """The merged body of one method."""
        strands = [Strand(definition) for definition in definitions]
        block = Block(strands)
        self._fill(block, [deque(s.definition.body) for s in strands], tail=True)
        return block

    def _fill(self, block: Block, queues: list[deque[Node]], tail: bool) -> None:
        alive = list(range(len(queues)))
        while True:
            busy = [i for i in alive if queues[i]]
            if not busy:
                break
            chosen = _next_key(queues, alive, busy)
            nodes: list[Node | None] = [None] * len(queues)
            for i in busy:
                if _key(queues[i][0]) == chosen:
                    nodes[i] = queues[i].popleft()
            returned = self._add(block, nodes, queues, alive, tail)
            if returned:
                alive = [i for i in alive if i not in returned]
        if tail:
            block.returning = alive

    def _add(
        self,
        block: Block,
        nodes: list[Node | None],
        queues: list[deque[Node]],
        alive: list[int],
        tail: bool,
    ) -> frozenset[int]:
        first = next(node for node in nodes if node is not None)
        missing = any(nodes[i] is None for i in alive)
        if missing and isinstance(first, Sample | Update | Scan):
            raise CannotMerge(f"{first.at}: not in all elaborations")
        match first:
            case Branch():
                return self._branch(block, nodes, queues, alive, tail)
            case For():
                self._loop(block, nodes, first)
            case Scan():
                self._repeat(block, nodes, first)
            case _:
                block.items.append(Step(nodes, first))
        return frozenset()

    def _loop(self, block: Block, nodes: Sequence[Node | None], first: For) -> None:
        self.loops += 1
        number = self.loops
        children: list[list[int]] = []
        strands: list[Strand] = []
        bodies: list[deque[Node]] = []
        for strand, node in zip(block.strands, nodes, strict=True):
            children.append([])
            if not isinstance(node, For):
                continue
            for position, step in enumerate(node.rounds):
                children[-1].append(len(strands))
                strands.append(strand.round(number, position, step))
                bodies.append(deque(step.body))
        if not strands:
            return
        body = Block(strands)
        self._fill(body, bodies, tail=False)
        kept = [node if isinstance(node, For) else None for node in nodes]
        block.items.append(Loop(kept, first, children, body))

    def _repeat(self, block: Block, nodes: Sequence[Node | None], first: Scan) -> None:
        strands: list[Strand] = []
        bodies: list[deque[Node]] = []
        children: list[int | None] = []
        for strand, node in zip(block.strands, nodes, strict=True):
            children.append(len(strands) if isinstance(node, Scan) else None)
            if isinstance(node, Scan):
                strands.append(replace(strand, parent=strand))
                bodies.append(deque(node.body))
        body = Block(strands)
        self._fill(body, bodies, tail=False)
        kept = [node if isinstance(node, Scan) else None for node in nodes]
        block.items.append(Repeat(kept, first, children, body))

    def _branch(
        self,
        block: Block,
        nodes: Sequence[Node | None],
        queues: list[deque[Node]],
        alive: list[int],
        tail: bool,
    ) -> frozenset[int]:
        present = {i: node for i, node in enumerate(nodes) if isinstance(node, Branch)}
        sides = {node.taken for node in present.values()}
        if len(sides) == 1:
            for i, node in present.items():
                self._splice(block.strands[i], node, queues[i])
            return frozenset()
        if len(present) < len(alive):
            raise CannotMerge(f"{next(iter(present.values())).at}: not in all elaborations")
        returns = _returning_side(block, present, queues) if tail else None
        fork = Fork(
            [present.get(i) for i in range(len(nodes))],
            next(iter(present.values())),
            [None] * len(nodes),
            Block([]),
            Block([]),
            returns,
        )
        for side, target in ((True, fork.then), (False, fork.orelse)):
            chosen = [i for i, node in present.items() if node.taken == side]
            if returns is not None and side != returns:
                for i in chosen:
                    self._splice(block.strands[i], present[i], queues[i])
                continue
            target.strands = [block.strands[i] for i in chosen]
            for place, i in enumerate(chosen):
                fork.side[i] = (side, place)
            bodies = [deque(present[i].body) for i in chosen]
            self._fill(target, bodies, tail=returns is not None)
        block.items.append(fork)
        if returns is None:
            return frozenset()
        return frozenset(i for i, node in present.items() if node.taken == returns)

    def _splice(self, strand: Strand, node: Branch, queue: deque[Node]) -> None:
        """The body takes the branch's place; its results become names of what they are."""
        queue.extendleft(reversed(node.body))
        if node.outputs:
            aliases = self.aliases.setdefault(strand.definition.id, {})
            for tensor, operand in zip(node.outputs, node.result, strict=True):
                if not (isinstance(operand, Use) and operand.id == tensor.id):
                    aliases[tensor.id] = operand


def _key(node: Node) -> tuple[str, int, str]:
    name = node.name if isinstance(node, Bind | List | Sample | Update) else ""
    return node.kind, node.origin, name


def _next_key(queues: list[deque[Node]], alive: list[int], busy: list[int]) -> tuple[str, int, str]:
    """The key of the next item: a head that no other strand has only later on."""
    heads = {_key(queues[i][0]) for i in busy}
    if len(heads) == 1:
        return next(iter(heads))
    later = {i: Counter(_key(node) for node in queues[i]) for i in busy}
    for i in busy:
        key = _key(queues[i][0])
        if all(_key(queues[j][0]) == key or not later[j][key] for j in busy):
            return key
    raise CannotMerge(f"{queues[busy[0]][0].at}: the elaborations differ in order")


def _returning_side(block: Block, present: dict[int, Branch], queues: list[deque[Node]]) -> bool | None:
    """The side of an `if` that ends the method, if one does.

    There is no node for `return`: a side returned if nothing follows in its elaborations while something
    follows in the others, or if nothing follows in any and the results go by different names.
    """
    rest = {True: False, False: False}
    for i, node in present.items():
        rest[node.taken] |= any(not isinstance(later, Check) for later in queues[i])
    if rest[True] != rest[False]:
        return rest[False]
    if not rest[True] and not _named_alike([block.strands[i].definition for i in present]):
        return True
    return None


def _named_alike(definitions: Sequence[Definition]) -> bool:
    """Whether the results of all are read by the same names."""
    if len({len(d.outputs) for d in definitions}) != 1:
        raise CannotMerge("different numbers of results")
    for column in zip(*(d.outputs for d in definitions), strict=True):
        names = {o.value.name if isinstance(o.value, Use) else None for o in column}
        if len(names) != 1 or None in names:
            return False
    return True
