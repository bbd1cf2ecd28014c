"""A layered layout of one level: where its nodes are, and along which lines its wires run.

In: nodes with their sizes, and wires between their ports. Out: coordinates, in place. The longest path is
the spine, one straight vertical line; the other nodes and the lanes of long wires are left and right of it.

The steps are those of Sugiyama, Tagawa & Toda (1981): ranks, order within the ranks, coordinates. As with
Brandes & Köpf (2002), the coordinates come from vertical alignments that do not cross one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

NODE_GAP = 26.0
LANE_GAP = 15.0
ROUNDS = 12


@dataclass(eq=False)
class Node:
    """Something with a place: extents are measured from its axis, on which wires enter and leave."""

    left: float
    right: float
    height: float
    entries: dict[str, float] = field(default_factory=dict)
    """Where wires must enter, from the axis, by name; without a name they enter where it is best."""
    exits: dict[int, float] = field(default_factory=dict)
    weight: int = 1
    """How much it should be on the spine."""
    round: bool = False
    """Wires may enter at the sides."""
    first: bool = False
    last: bool = False
    body: float = 0.0
    """Half of the width of what is drawn, if that is a box."""
    edge: tuple[float, float] = (0.0, 0.0)
    """How far what is drawn goes to the left and to the right."""
    open: bool = False
    """A block with its inside: wires must use its ports."""
    sides: dict[str, float] = field(default_factory=dict)
    """Inputs that enter at the left edge, by name: how far below the upper edge."""
    label_height: float = 0.0
    """The space that labels need below it."""
    rank: int = 0
    x: float = 0.0
    y: float = 0.0


@dataclass(eq=False)
class Wire:
    """A line from an output of a node to an input of another."""

    source: Node
    port: int
    target: Node
    entry: str
    points: list[tuple[float, float]] = field(default_factory=list)


@dataclass(eq=False)
class Cell:
    """A node in its rank, or the lane of a wire that passes through the rank."""

    rank: int
    node: Node | None = None
    net: tuple[int, int] = (0, 0)
    order: float = 0.0
    left: float = 0.0
    right: float = 0.0
    x: float = 0.0
    block: int = -1
    shift: float = 0.0
    above: list[Segment] = field(default_factory=list)
    below: list[Segment] = field(default_factory=list)


@dataclass(eq=False)
class Segment:
    """A piece of a net between two ranks; `upper_at` and `lower_at` are the ports, from the cells' axes."""

    upper: Cell
    lower: Cell
    net: tuple[int, int]
    upper_at: float
    lower_at: float
    wire: Wire | None = None
    """The wire that ends here."""


class Grid:
    """The cells of all ranks and the segments between them."""

    def __init__(self, nodes: Sequence[Node], wires: Sequence[Wire]) -> None:
        self.nodes = nodes
        self.wires = wires
        self.number = {id(node): i for i, node in enumerate(nodes)}
        self.find_ranks()
        self.make_cells()
        self.sort_cells()
        self.find_spine()
        self.align()
        self.place()

    # ------------------------------------------------------------ ranks

    def find_ranks(self) -> None:
        """Each node below its sources; what depends on no input is as low as it can be."""
        into: dict[int, list[Node]] = {id(node): [] for node in self.nodes}
        out: dict[int, list[Node]] = {id(node): [] for node in self.nodes}
        for wire in self.wires:
            into[id(wire.target)].append(wire.source)
            out[id(wire.source)].append(wire.target)
        free: set[int] = set()
        for node in self.nodes:
            sources = into[id(node)]
            node.rank = max((source.rank + 1 for source in sources), default=0)
            if not node.first and all(id(source) in free for source in sources):
                free.add(id(node))
        deepest = max((node.rank for node in self.nodes), default=0)
        if any(node.rank == deepest and not node.last for node in self.nodes):
            deepest += any(node.last for node in self.nodes)
        for node in self.nodes:
            if node.last:
                node.rank = deepest
        for node in reversed(self.nodes):
            if id(node) in free and out[id(node)]:
                node.rank = min(target.rank for target in out[id(node)]) - 1
        lowest = min((node.rank for node in self.nodes), default=0)
        for node in self.nodes:
            node.rank -= lowest
        self.depth = max((node.rank for node in self.nodes), default=0) + 1

    def make_cells(self) -> None:
        self.ranks: list[list[Cell]] = [[] for _ in range(self.depth)]
        self.cells: dict[int, Cell] = {}
        self.segments: list[Segment] = []
        for node in self.nodes:
            cell = Cell(node.rank, node, left=node.left, right=node.right)
            self.cells[id(node)] = cell
            self.ranks[node.rank].append(cell)
        nets: dict[tuple[int, int], list[Wire]] = {}
        for wire in self.wires:
            nets.setdefault((self.number[id(wire.source)], wire.port), []).append(wire)
        lanes: list[tuple[int, tuple[int, int], list[Wire]]] = []
        for net, wires in nets.items():
            lanes.append((max(wire.target.rank for wire in wires), net, wires))
        for last, net, wires in sorted(lanes, key=lambda lane: (lane[0], -lane[1][0])):
            source = self.cells[id(wires[0].source)]
            chain = [source]
            for rank in range(source.rank + 1, last):
                lane = Cell(rank, net=net)
                self.ranks[rank].append(lane)
                upper_at = wires[0].source.exits.get(net[1], 0.0) if len(chain) == 1 else 0.0
                self.join(Segment(chain[-1], lane, net, upper_at, 0.0))
                chain.append(lane)
            for wire in wires:
                upper = chain[wire.target.rank - 1 - source.rank]
                upper_at = wire.source.exits.get(net[1], 0.0) if upper is source else 0.0
                lower_at = wire.target.entries.get(wire.entry, 0.0)
                self.join(Segment(upper, self.cells[id(wire.target)], net, upper_at, lower_at, wire))
        for cells in self.ranks:
            for number, cell in enumerate(cells):
                cell.order = number

    def join(self, segment: Segment) -> None:
        segment.upper.below.append(segment)
        segment.lower.above.append(segment)
        self.segments.append(segment)

    # ------------------------------------------------------------ order

    def sort_cells(self) -> None:
        """Barycentres, downwards and upwards; of all orders seen the first with the fewest crossings."""
        best = self.crossings()
        kept = [list(rank) for rank in self.ranks]
        for turn in range(ROUNDS):
            if best == 0:
                break
            downwards = turn % 2 == 0
            for rank in self.ranks if downwards else self.ranks[::-1]:
                centres = {id(cell): self.barycentre(cell, downwards) for cell in rank}
                rank.sort(key=lambda cell, centres=centres: centres[id(cell)])  # type: ignore[misc]
                for number, cell in enumerate(rank):
                    cell.order = number
            self.swap_neighbours()
            found = self.crossings()
            if found < best:
                best, kept = found, [list(rank) for rank in self.ranks]
        self.ranks = kept
        for cells in self.ranks:
            for number, cell in enumerate(cells):
                cell.order = number

    def barycentre(self, cell: Cell, downwards: bool) -> float:
        near = cell.above if downwards else cell.below
        if not near:
            return cell.order
        places = [
            (s.upper.order + s.upper_at / 1000) if downwards else (s.lower.order + s.lower_at / 1000)
            for s in near
        ]
        return sum(places) / len(places)

    def swap_neighbours(self) -> None:
        better = True
        while better:
            better = False
            for rank in self.ranks:
                for number in range(len(rank) - 1):
                    a, b = rank[number], rank[number + 1]
                    if self.between(b, a) < self.between(a, b):
                        rank[number], rank[number + 1] = b, a
                        a.order, b.order = number + 1, number
                        better = True

    @staticmethod
    def between(a: Cell, b: Cell) -> int:
        """The crossings of the wires of two neighbours if `a` is left of `b`."""
        count = 0
        for s in a.above:
            for t in b.above:
                count += (s.upper.order, s.upper_at) > (t.upper.order, t.upper_at)
        for s in a.below:
            for t in b.below:
                count += (s.lower.order, s.lower_at) > (t.lower.order, t.lower_at)
        return count

    def crossings(self) -> int:
        count = 0
        for rank in self.ranks:
            segments = [s for cell in rank for s in cell.below]
            for number, s in enumerate(segments):
                for t in segments[number + 1 :]:
                    upper = (s.upper.order, s.upper_at), (t.upper.order, t.upper_at)
                    lower = (s.lower.order, s.lower_at), (t.lower.order, t.lower_at)
                    count += (upper[0] < upper[1] and lower[0] > lower[1]) or (
                        upper[0] > upper[1] and lower[0] < lower[1]
                    )
        return count

    # ------------------------------------------------------------ columns

    def find_spine(self) -> None:
        """The path through all ranks with the weightiest nodes; of equal ones the middle one."""
        best: dict[int, int] = {}
        via: dict[int, Segment | None] = {}
        for rank in self.ranks:
            for cell in rank:
                own = cell.node.weight if cell.node else 0
                values = [best[id(s.upper)] for s in cell.above]
                if not values:
                    best[id(cell)], via[id(cell)] = own - 1000 * cell.rank, None
                    continue
                top = max(values)
                ties = [s for s, value in zip(cell.above, values, strict=True) if value == top]
                ties.sort(key=lambda s: (s.upper.order, s.upper_at))
                best[id(cell)], via[id(cell)] = own + top, ties[(len(ties) - 1) // 2]
        ends = self.ranks[-1]
        end = max(ends, key=lambda cell: (best[id(cell)], -cell.order))
        self.spine: list[Segment] = []
        self.spine_cells = [end]
        while (segment := via[id(self.spine_cells[-1])]) is not None:
            self.spine.append(segment)
            self.spine_cells.append(segment.upper)

    def align(self) -> None:
        """Cells on one vertical line make a block; the spine comes first, then the longest straight runs."""

        def importance(segment: Segment) -> tuple[int, float]:
            lanes = (segment.upper.node is None) + (segment.lower.node is None)
            single = (len(segment.upper.below) == 1) + (len(segment.lower.above) == 1)
            return -lanes * 2 - single, abs(segment.upper.order - segment.lower.order)

        spine = {id(s) for s in self.spine}
        rest = [s for s in self.segments if id(s) not in spine]
        taken: list[Segment] = []
        at_rank: dict[int, list[Segment]] = {}
        up: set[int] = set()
        down: set[int] = set()
        for segment in [*self.spine, *sorted(rest, key=importance)]:
            if id(segment.upper) in down or id(segment.lower) in up:
                continue
            others = at_rank.setdefault(segment.upper.rank, [])
            if any(_cross(segment, other) for other in others):
                continue
            taken.append(segment)
            others.append(segment)
            down.add(id(segment.upper))
            up.add(id(segment.lower))
        parent = {id(s.lower): s for s in taken}
        blocks = 0
        for rank in self.ranks:
            for cell in rank:
                above = parent.get(id(cell))
                if above is None:
                    cell.block, cell.shift = blocks, 0.0
                    blocks += 1
                else:
                    cell.block = above.upper.block
                    cell.shift = above.upper.shift + above.upper_at - above.lower_at
        self.blocks = blocks
        self.straight = {id(s) for s in taken}

    def place(self) -> None:
        """The spine is at 0; every block as near to it as its neighbours let it, then nearer to its wires."""
        spine = self.spine_cells[-1].block
        gaps: list[tuple[int, int, float]] = []  # x[right] - x[left] is at least this
        for rank in self.ranks:
            for a, b in pairwise(rank):
                lanes = (a.node is None) + (b.node is None)
                gap = NODE_GAP if lanes == 0 else LANE_GAP
                gaps.append((a.block, b.block, a.right + gap + b.left + a.shift - b.shift))
        pairs = [(a, b) for a, b, _ in gaps]
        side = {spine: 0}  # 1 for the blocks to the right of the spine, -1 to the left
        for sign, order in ((1, pairs), (-1, [(b, a) for a, b in pairs])):
            changed = True
            while changed:
                changed = False
                for near, far in order:
                    if side.get(near) in (0, sign) and far not in side:
                        side[far] = sign
                        changed = True
        x = dict.fromkeys(range(self.blocks), 0.0)
        for _ in range(self.blocks + 1):
            changed = False
            for left, right, gap in gaps:
                if side.get(right) == 1 and x[right] < x[left] + gap - 1e-6:
                    x[right], changed = x[left] + gap, True
                elif side.get(left) == -1 and x[left] > x[right] - gap + 1e-6:
                    x[left], changed = x[right] - gap, True
            if not changed:
                break
        cells = [cell for rank in self.ranks for cell in rank]
        members: dict[int, list[Cell]] = {}
        for cell in cells:
            members.setdefault(cell.block, []).append(cell)
        after: dict[int, list[tuple[int, float]]] = {}
        before: dict[int, list[tuple[int, float]]] = {}
        for left, right, gap in gaps:
            after.setdefault(left, []).append((right, gap))
            before.setdefault(right, []).append((left, gap))
        for _ in range(3):
            for block in sorted(side, key=lambda number: -abs(x[number])):
                if side[block] == 0:
                    continue
                wanted = self.wanted(members[block], x)
                if wanted is None:
                    continue
                if side[block] == 1:
                    limit = min((x[b] - gap for b, gap in after.get(block, ())), default=wanted)
                    x[block] = max(x[block], min(wanted, limit))
                else:
                    limit = max((x[a] + gap for a, gap in before.get(block, ())), default=wanted)
                    x[block] = min(x[block], max(wanted, limit))
        for cell in cells:
            cell.x = x[cell.block] + cell.shift
            if cell.node is not None:
                cell.node.x = cell.x

    @staticmethod
    def wanted(cells: Iterable[Cell], x: dict[int, float]) -> float | None:
        """Where most wires of a block would be straight."""
        places = []
        for cell in cells:
            for s in cell.above:
                if s.upper.block != cell.block:
                    places.append(x[s.upper.block] + s.upper.shift + s.upper_at - s.lower_at - cell.shift)
            for s in cell.below:
                if s.lower.block != cell.block:
                    places.append(x[s.lower.block] + s.lower.shift + s.lower_at - s.upper_at - cell.shift)
        return sorted(places)[(len(places) - 1) // 2] if places else None


def _cross(s: Segment, t: Segment) -> bool:
    """Whether two segments between the same ranks cross."""
    upper = s.upper.order - t.upper.order
    lower = s.lower.order - t.lower.order
    return upper * lower < 0 or (upper == 0) != (lower == 0)
