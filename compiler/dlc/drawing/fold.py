"""The layout of an hourglass: down on the left, up on the right, and skip connections straight across.

In: nodes on one chain with nested skips (a U-Net), and wires. Out: coordinates, in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dlc.drawing.layers import Node, Wire
from dlc.drawing.routes import Extents, Point, simplified

LEAST_CHAIN = 8
GAP = 26.0
ACROSS = 64.0
"""Free space between the columns."""
TRACK = 10.0
BELOW = 20.0
AROUND = 16.0


@dataclass
class Fold:
    """The columns, each from the top down as its wires run: the second one upwards."""

    down: list[Node]
    up: list[Node]
    skips: list[Wire]


def find_fold(nodes: Sequence[Node], wires: Sequence[Wire]) -> Fold | None:
    """The columns, if the nodes are one chain with at least two skips, one within the other."""
    into: dict[int, list[Wire]] = {id(node): [] for node in nodes}
    for wire in wires:
        into[id(wire.target)].append(wire)
    position = {id(node): i for i, node in enumerate(nodes)}
    if len(nodes) < LEAST_CHAIN:
        return None
    skips = []
    for number, node in enumerate(nodes):
        sources = {position[id(wire.source)] for wire in into[id(node)]}
        if number and number - 1 not in sources:
            return None
        skips += [wire for wire in into[id(node)] if position[id(wire.source)] != number - 1]
    pairs = sorted((position[id(wire.source)], position[id(wire.target)]) for wire in skips)
    if len({source for source, _ in pairs}) < 2 or len({target for _, target in pairs}) < 2:
        return None
    for number, (source, target) in enumerate(pairs):
        for inner, end in pairs[number + 1 :]:
            if inner >= target or (inner > source and end > target):
                return None
    low, high = max(source for source, _ in pairs), min(target for _, target in pairs)
    middle = (low + high + 1) // 2
    return Fold(list(nodes[:middle]), list(nodes[middle:]), skips)


def lay_out(fold: Fold, wires: Sequence[Wire]) -> Extents:
    """Places the nodes; the axis is that of the left column. Wires of the right column run upwards."""
    down, up = fold.down, list(reversed(fold.up))  # both from the top down
    number = {id(node): (0, i) for i, node in enumerate(down)}
    number |= {id(node): (1, i) for i, node in enumerate(up)}
    level: set[int] = set()
    pairs: list[tuple[Node, Node, float]] = []
    center = {id(node): node.height / 2 for node in (*down, *up)}
    aim = {}  # how far below the middle of its target a skip ends
    for wire in fold.skips:
        half = wire.target.height / 2
        aim[id(wire)] = wire.target.sides.get(wire.entry, half) - half
    for wire in sorted(fold.skips, key=lambda w: (number[id(w.source)], -number[id(w.target)][1])):
        if id(wire.source) not in level and id(wire.target) not in level:
            level |= {id(wire.source), id(wire.target)}
            pairs.append((wire.source, wire.target, aim[id(wire)]))
    for _ in range(len(center) + 2):
        changed = False
        for column in (down, up):
            for a, b in pairwise(column):
                least = center[id(a)] + a.height / 2 + GAP + max(a.label_height - 4, 0) + b.height / 2
                if column is up:
                    least = center[id(a)] + a.height / 2 + GAP + max(b.label_height - 4, 0) + b.height / 2
                if center[id(b)] < least - 0.01:
                    center[id(b)], changed = least, True
        for a, b, shift in [*pairs, (down[-1], up[-1], 0.0)]:
            y = max(center[id(a)], center[id(b)] + shift)
            if abs(center[id(a)] - y) > 0.01 or abs(center[id(b)] + shift - y) > 0.01:
                center[id(a)], center[id(b)] = y, y - shift
                changed = True
        if not changed:
            break
    ends = {id(w): center[id(w.target)] + aim[id(w)] for w in fold.skips}
    turns = [w for w in fold.skips if abs(center[id(w.source)] - ends[id(w)]) > 0.5]
    x = max(n.right for n in down) + ACROSS + TRACK * len(turns) + max(n.left for n in up)
    for node in (*down, *up):
        node.x = x if number[id(node)][0] else 0.0
        node.y = center[id(node)] - node.height / 2
    for wire in wires:
        wire.points = simplified(_points(fold, wire, number, center, ends, turns))
    left, right = -max(node.left for node in down), x + max(node.right for node in up)
    height = max(y for wire in wires for _, y in wire.points)
    height = max(height, *(node.y + node.height for node in (*down, *up)))
    end = fold.up[-1]
    if not end.height:  # the port of an open block: at its lower edge like all ports
        (wire,) = [wire for wire in wires if wire.target is end]
        start = wire.points[0]
        right += AROUND
        end.x, end.y = right, height + BELOW
        height += BELOW
        wire.points = [start, (start[0], end_top(start)), (right, end_top(start)), (right, height)]
        right += AROUND / 2
    return Extents(left, right, height)


def end_top(start: Point) -> float:
    """Where the last wire of the right column turns."""
    return start[1] - AROUND


def _points(
    fold: Fold,
    wire: Wire,
    number: dict[int, tuple[int, int]],
    center: dict[int, float],
    ends: dict[int, float],
    turns: list[Wire],
) -> list[Point]:
    source, target = wire.source, wire.target
    exit_x = source.x + source.exits.get(wire.port, 0.0)
    entry_x = target.x + target.entries.get(wire.entry, 0.0)
    if (source.open or target.open) and source is fold.down[-1] and target is fold.up[0]:
        low = max(source.y + source.height, target.y + target.height)  # around, from below to below
        return [
            (exit_x, source.y + source.height),
            (exit_x, low + BELOW),
            (entry_x, low + BELOW),
            (entry_x, target.y + target.height),
        ]
    if wire in fold.skips or (number[id(source)][0] == 0 and number[id(target)][0] == 1):
        start, end = center[id(source)], ends.get(id(wire), center[id(target)])
        x0, x1 = source.x + source.edge[1], target.x - target.edge[0]
        if wire not in turns:
            return [(x0, start), (x1, start)]
        place = turns.index(wire)
        x = max(node.right for node in fold.down) + 20 + TRACK * place
        share = [w for w in fold.skips if w.target is target]
        end += 12.0 * (len(share) - 1 - share.index(wire)) if end > start else -12.0 * share.index(wire)
        return [(x0, start), (x, start), (x, end), (x1, end)]
    if number[id(source)][0] == 0:
        top, low = source.y + source.height, target.y
    else:
        top, low = source.y, target.y + target.height
    if exit_x == entry_x:
        return [(exit_x, top), (entry_x, low)]
    middle = (top + low) / 2
    return [(exit_x, top), (exit_x, middle), (entry_x, middle), (entry_x, low)]
