"""The heights of a layered layout, and its wires as lines of horizontal and vertical pieces.

In: a `layers.Grid`, whose cells know their rank and x. Out: `y` of every node, `points` of every wire, and
the extents. Between two ranks is a channel; horizontal pieces of different nets get tracks of their own.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from dlc.drawing.layers import Cell, Grid, Node, Segment

TRACK_GAP = 9.0
CLEAR = 9.0
"""Free space above and below the tracks of a channel."""
STRAIGHT = 24.0
"""The least height of a channel, so that arrows are seen."""
RADIUS = 10.0
ENTRY_STEP = 20.0

Point = tuple[float, float]


@dataclass
class Extents:
    left: float
    right: float
    height: float


def route(grid: Grid) -> Extents:
    """Fills in heights and lines; `y` of a node is its upper edge."""
    enter(grid)
    heights = [max((c.node.height for c in rank if c.node), default=0.0) for rank in grid.ranks]
    sides = {id(s) for s in grid.segments if enters_at_side(grid, s)}
    tops: list[float] = []
    y = 0.0
    tracks: list[dict[tuple[int, int], float]] = []
    for number, height in enumerate(heights):
        tops.append(y)
        for cell in grid.ranks[number]:
            if cell.node is not None:
                free = height - cell.node.height
                cell.node.y = y if cell.node.first and not cell.node.height else y + free / 2
        y += height
        if number + 1 < len(heights):
            label = max((c.node.label_height for c in grid.ranks[number] if c.node), default=0.0)
            places, used = channel(grid.ranks[number], sides)
            start = y + max(CLEAR, label)
            tracks.append({net: start + place * TRACK_GAP for net, place in places.items()})
            y = max(start + (used - 1) * TRACK_GAP + CLEAR + 5 if used else start, y + STRAIGHT)
    for segment in grid.segments:
        if segment.wire is not None:
            points = list(reversed(line(segment, tracks, sides, tops, heights)))
            segment.wire.points = simplified(points)
    cells = [cell for rank in grid.ranks for cell in rank]
    return Extents(
        min(min(cell.x - cell.left for cell in cells), 0.0),
        max(max(cell.x + cell.right for cell in cells), 0.0),
        y,
    )


def enter(grid: Grid) -> None:
    """Where wires enter nodes that do not say where: straight from above if they can, others beside it."""
    for rank in grid.ranks:
        for cell in rank:
            if cell.node is None or cell.node.entries or len(cell.above) < 2:
                continue
            found = sorted(cell.above, key=lambda s: (s.upper.x + s.upper_at, s.net))
            straight = [i for i, s in enumerate(found) if id(s) in grid.straight]
            middle = straight[0] if straight else (len(found) - 1) / 2
            reach = max(middle, len(found) - 1 - middle)
            step = min(ENTRY_STEP, (cell.node.body - 6) / reach)
            for number, segment in enumerate(found):
                segment.lower_at = (number - middle) * step


def ends(segment: Segment) -> Point:
    return segment.upper.x + segment.upper_at, segment.lower.x + segment.lower_at


def enters_at_side(grid: Grid, segment: Segment) -> bool:
    """Whether a wire comes down beside a round node and enters it horizontally."""
    node = segment.lower.node
    if node is None or not node.round or segment.wire is None or id(segment) in grid.straight:
        return False
    x = segment.upper.x + segment.upper_at
    side = x - node.x
    if abs(side) < node.body + 10:
        return False
    same = [
        s for s in segment.lower.above if s is not segment and (s.upper.x + s.upper_at - node.x) * side > 0
    ]
    if any(id(s) not in grid.straight for s in same) and not nearest(segment, same):
        return False
    low, high = sorted((x, node.x))
    for cell in grid.ranks[segment.lower.rank]:
        if cell is segment.lower:
            continue
        pad = 6.0 if cell.node else 0.0
        reaches = cell.x - cell.left - pad < high and cell.x + cell.right + pad > low
        if reaches and (cell.node is not None or abs(cell.x - x) < 5):
            return False
    return True


def nearest(segment: Segment, others: list[Segment]) -> bool:
    """Of several wires on one side only one enters there."""
    return all((s.net, s.lower_at) >= (segment.net, segment.lower_at) for s in others)


def channel(rank: list[Cell], sides: set[int]) -> tuple[dict[tuple[int, int], int], int]:
    """The track of every net that turns below a rank, and how many tracks there are."""
    uppers: dict[tuple[int, int], set[float]] = {}
    lowers: dict[tuple[int, int], set[float]] = {}
    for cell in rank:
        for segment in cell.below:
            upper, lower = ends(segment)
            if id(segment) in sides:
                lower = upper
            key = net_key(segment)
            uppers.setdefault(key, set()).add(upper)
            lowers.setdefault(key, set()).add(lower)
    spans = {
        net: (min(uppers[net] | lowers[net]), max(uppers[net] | lowers[net]))
        for net in uppers
        if len(uppers[net] | lowers[net]) > 1
    }

    def cost(high: tuple[int, int], low: tuple[int, int]) -> int:
        """Crossings if the track of one net is above that of the other."""
        a, b = spans[high], spans[low]
        count = sum(a[0] - 1 < x < a[1] + 1 for x in uppers[low])
        return count + sum(b[0] - 1 < x < b[1] + 1 for x in lowers[high])

    nets = sorted(spans, key=lambda net: (spans[net], net))
    if len(nets) <= 6:
        order = min(
            itertools.permutations(nets),
            key=lambda o: sum(cost(a, b) for i, a in enumerate(o) for b in o[i + 1 :]),
        )
    else:
        found: list[tuple[int, int]] = []
        for net in nets:
            options = [[*found[:i], net, *found[i:]] for i in range(len(found) + 1)]
            found = min(options, key=lambda o: sum(cost(a, b) for i, a in enumerate(o) for b in o[i + 1 :]))
        order = tuple(found)
    places: dict[tuple[int, int], int] = {}
    for number, net in enumerate(order):
        places[net] = 0
        for other in order[:number]:
            a, b = spans[net], spans[other]
            if a[0] < b[1] + 8 and b[0] < a[1] + 8:
                places[net] = max(places[net], places[other] + 1)
    return places, max(places.values(), default=-1) + 1


def net_key(segment: Segment) -> tuple[int, int]:
    return segment.net


def line(
    segment: Segment,
    tracks: list[dict[tuple[int, int], float]],
    sides: set[int],
    tops: list[float],
    heights: list[float],
) -> list[Point]:
    """The points of a wire from its end up to its start."""
    node = segment.lower.node
    assert node is not None
    upper, lower = ends(segment)
    points: list[Point]
    if id(segment) in sides:
        y = node.y + node.height / 2
        points = [(node.x + (node.body if upper > node.x else -node.body), y), (upper, y)]
    else:
        points = [(lower, node.y)]
        if upper != lower:
            y = tracks[segment.upper.rank][net_key(segment)]
            points += [(lower, y), (upper, y)]
    cell = segment.upper
    while cell.node is None:
        (above,) = cell.above
        upper, lower = ends(above)
        points.append((lower, tops[cell.rank]))
        if upper != lower:
            y = tracks[cell.rank - 1][net_key(above)]
            points += [(lower, y), (upper, y)]
        cell = above.upper
    points.append((upper, bottom(cell.node)))
    return points


def bottom(node: Node) -> float:
    return node.y + node.height


def simplified(points: list[Point]) -> list[Point]:
    """Without points in the middle of a straight piece."""
    result: list[Point] = []
    for point in points:
        if result and abs(result[-1][0] - point[0]) < 0.01 and abs(result[-1][1] - point[1]) < 0.01:
            continue
        while len(result) > 1 and any(
            abs(result[-2][axis] - result[-1][axis]) < 0.01 and abs(result[-1][axis] - point[axis]) < 0.01
            for axis in (0, 1)
        ):
            result.pop()
        result.append(point)
    return result
