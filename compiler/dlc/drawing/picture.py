"""Composes a picture: levels inside levels, each laid out by itself, as shapes with coordinates.

In: a graph and which of its blocks are open. Out: a `Drawing` of rectangles, lines and texts; its origin is
on the axis of the level, at its upper edge.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dlc.drawing.fold import find_fold, lay_out
from dlc.drawing.graph import Box, Graph, Link
from dlc.drawing.layers import NODE_GAP, Grid, Node, Wire
from dlc.drawing.routes import Extents, route
from dlc.drawing.shapes import Drawing, Line, Rectangle, Shape
from dlc.drawing.units import HEADER, Captions, Unit

BUS = 4
"""A tensor that so many boxes read is named at each of them, and not drawn as a line."""

Opener: TypeAlias = Callable[[Box, int], "Graph | None"]


@dataclass
class Composer:
    """How a picture is made: which boxes are opened, and what is written at them."""

    open: Opener
    captions: Captions

    def compose(
        self,
        graph: Graph,
        level: int = 0,
        buses: Mapping[str, str] | None = None,
        sides: Collection[str] = (),
        up: bool = False,
    ) -> Drawing:
        """One level with everything inside it.

        `buses` are inputs that are named instead of drawn, `sides` inputs that come in from the left.
        With `up`, tensors run upwards.
        """
        return Level(self, graph, level, buses or {}, sides, up).drawing()


class Level:
    """The layout of one level."""

    def __init__(
        self,
        composer: Composer,
        graph: Graph,
        level: int,
        buses: Mapping[str, str],
        sides: Collection[str],
        up: bool,
    ) -> None:
        self.composer = composer
        self.up = up
        self.level = level
        self.users = graph.users()
        self.units: list[Unit] = []
        self.unit_of: dict[int, Unit] = {}
        self.buses: dict[tuple[int, int], str] = {}
        self.opened: dict[int, Graph] = {}
        self.beside: dict[int, str] = {}
        for box in graph.boxes:
            if box.role in ("layer", "call", "frame"):
                inside = box.inside or composer.open(box, level)
                if inside is not None:
                    self.opened[id(box)] = inside
        for box in graph.boxes:
            host = self.host(box)
            if host is not None:
                host.strips.append(box)
                self.unit_of[id(box)] = host
                continue
            if box.role == "input" and box.title in buses:
                self.buses[id(box), 0] = buses[box.title]
                continue
            if box.role == "input" and box.title in sides and self.is_beside(box):
                self.beside[id(box)] = box.title
                continue
            port = level > 0 and box.role in ("input", "output")
            unit = Unit(box, composer.captions, port, up)
            self.units.append(unit)
            self.unit_of[id(box)] = unit
        self.find_buses()

    def host(self, box: Box) -> Unit | None:
        """The unit that a small step belongs to: the box before it, if nobody else reads that."""
        if box.role != "function" or len(box.links) != 1 or (box.definition is not None and box.outputs[1:]):
            return None
        link = box.links[0]
        source = link.source
        if box.kind not in ("activation", "other") or link.times > 1 or box.count > 1:
            return None
        if box.kind == "other" and box.title[:1].isalpha():
            return None
        if source.role in ("input", "join", "frame") or id(source) in self.opened or source.count > 1:
            return None
        if source.kind in ("value", "sample") or len(source.outputs) > 1 or len(self.users[source, 0]) > 1:
            return None
        unit = self.unit_of.get(id(source))
        return unit if unit and len(unit.strips) < 3 else None

    def find_buses(self) -> None:
        """Tensors that many boxes read, none of them as its only tensor."""
        for (source, port), users in self.users.items():
            readers = {id(self.unit_of[id(box)]): box for box, _ in users if id(box) in self.unit_of}
            side = [box for box in readers.values() if box.role in ("layer", "frame") and len(box.links) > 1]
            if len(side) >= BUS and len(side) == len(readers) and (id(source), port) not in self.buses:
                if id(source) not in self.unit_of:
                    continue
                unit = self.unit_of[id(source)]
                name = source.name or source.title
                self.buses[id(source), port] = name
                if unit.box.role != "input":
                    unit.announces = name

    # ------------------------------------------------------------ drawing

    def is_read(self, box: Box, link: Link) -> bool:
        """Whether an open box does anything with an input but look at its size."""
        inside = self.opened.get(id(box))
        if inside is None:
            return True
        name = self.entry(link)
        read = {id(step.source) for other in inside.boxes for step in other.links}
        return any(
            other.title == name and id(other) in read for other in inside.boxes if other.role == "input"
        )

    def is_beside(self, box: Box) -> bool:
        """Whether only a round box reads an input, which can then come in from the side."""
        users = self.users.get((box, 0), [])
        return len(users) == 1 and users[0][0].role == "join"

    def drawing(self) -> Drawing:
        wires: list[Wire] = []
        units: dict[int, Unit] = {}
        for unit in self.units:
            units[id(unit.node)] = unit
            for link in unit.box.links:
                if (id(link.source), link.port) in self.buses or id(link.source) in self.beside:
                    continue
                if not self.is_read(box := unit.box, link) and box.role != "output":
                    continue
                source = self.unit_of[id(link.source)]
                wire = Wire(source.node, link.port, unit.node, self.entry(link))
                same = [w for w in wires if w.target is wire.target and w.source is wire.source]
                if id(box) in self.opened or all(w.port != wire.port for w in same):
                    wires.append(wire)
        parts = []
        for nodes in components([unit.node for unit in self.units], wires):
            mine = {id(node) for node in nodes}
            inside = [wire for wire in wires if id(wire.source) in mine]
            fold = None if self.up else find_fold(nodes, inside)
            if fold is not None:
                for node in fold.up:
                    units[id(node)].up = True
                for wire in fold.skips:
                    units[id(wire.target)].sides.add(wire.entry)
            for node in nodes:
                self.size(units[id(node)])
            extents = lay_out(fold, inside) if fold else route(Grid(nodes, inside))
            parts.append((nodes, inside, extents))
        made = self.placed(parts)
        self.clear_header(made, wires)
        if self.up:
            for unit in self.units:
                unit.node.y = made.height - unit.node.y - unit.node.height
            for wire in wires:
                wire.points = [(x, made.height - y) for x, y in wire.points]
        lines: list[Shape] = []
        for wire in wires:
            unit = units[id(wire.target)]
            ends = unit.inner is None and not (unit.box.role == "output" and self.level)
            lines.append(Line(tuple(wire.points), ends))
        boxes: list[Shape] = []
        for unit in self.units:
            boxes += unit.shapes()
            for link in unit.box.links:
                if id(link.source) in self.beside:
                    node = unit.node
                    made.sides[self.beside[id(link.source)]] = (node.x - node.body, node.y + node.height / 2)
        frames = [s for s in boxes if isinstance(s, Rectangle) and s.style.startswith("frame")]
        made.shapes = [*frames, *lines, *(s for s in boxes if s not in frames)]
        for unit in self.units:
            if unit.box.role == "input":
                made.entries[unit.box.title] = unit.node.x
        exits = [unit for unit in self.units if unit.box.role == "output"]
        made.exits = {number: unit.node.x for number, unit in enumerate(exits)}
        return made

    def clear_header(self, made: Drawing, wires: list[Wire]) -> None:
        """Moves a level down, if something that reads no input stands where its title goes."""
        ports = {id(unit.node) for unit in self.units if unit.box.role == "input"}
        if not self.level or all(unit.node.y > 1 or id(unit.node) in ports for unit in self.units):
            return
        for unit in self.units:
            if id(unit.node) not in ports:
                unit.node.y += HEADER
        for wire in wires:
            start = wire.points[0]
            moved = [(x, y + HEADER) for x, y in wire.points]
            wire.points = [start, *moved[1:]] if id(wire.source) in ports else moved
        made.height += HEADER

    def placed(self, parts: list[tuple[list[Node], list[Wire], Extents]]) -> Drawing:
        """Parts that no wire joins, side by side; the axis is that of the largest."""
        main = max(parts, key=lambda part: len(part[0]))
        x = 0.0
        height = max(extents.height for _, _, extents in parts)
        starts = {}
        for number, (_, _, extents) in enumerate(parts):
            starts[number] = x - extents.left
            x += extents.right - extents.left + 2 * NODE_GAP
        origin = starts[parts.index(main)]
        for number, (nodes, wires, _) in enumerate(parts):
            shift = starts[number] - origin
            for node in nodes:
                node.x += shift
            for wire in wires:
                wire.points = [(a + shift, b) for a, b in wire.points]
        return Drawing(-origin, x - 2 * NODE_GAP - origin, height)

    @staticmethod
    def entry(link: Link) -> str:
        return (link.instead or link).name

    def size(self, unit: Unit) -> None:
        """Measures a unit, an open one with everything inside."""
        box = unit.box
        unit.labels = self.labels(unit)
        named = {
            link: self.buses[id(link.source), link.port]
            for link in box.links
            if (id(link.source), link.port) in self.buses
        }
        inner = self.opened.get(id(box))
        if inner is None:
            unit.tags = list(named.values())
            last = unit.last
            unit.measure([port for port in range(len(last.outputs)) if (last, port) in self.users])
            return
        buses = {link.name: bus for link, bus in named.items()}
        given = {self.entry(link) for link in box.links}
        for port in inner.boxes:
            if port.role == "input" and port.title not in given:
                buses[port.title] = port.title  # a constant: named where it is read
        unit.open(self.composer.compose(inner, self.level + 1, buses, unit.sides, unit.up))

    def labels(self, unit: Unit) -> dict[int, str]:
        """The shape of each output that somebody reads by a wire, where it is a new one."""
        last, written = unit.last, self.composer.captions.shape
        if unit.announces:
            return {0: unit.announces}
        if unit.box.role == "input" or id(unit.box) in self.opened:
            return {}
        found: dict[int, str] = {}
        before = {written(link.source.outputs[link.port]) for link in unit.box.links}
        for port, type_ in enumerate(last.outputs):
            text = written(type_)
            if (id(last), port) not in self.buses and (last, port) in self.users and text not in before:
                found[port] = text
        wires = [port for port in range(len(last.outputs)) if (last, port) in self.users]
        if found and len(wires) > 1:  # all at the last wire, so that none crosses them
            return {wires[-1]: ", ".join(dict.fromkeys(found.values()))}
        return found


def components(nodes: list[Node], wires: list[Wire]) -> list[list[Node]]:
    """The parts that are joined by wires, each in the order of the nodes."""
    root = {id(node): id(node) for node in nodes}

    def find(key: int) -> int:
        while root[key] != key:
            key = root[key]
        return key

    for wire in wires:
        root[find(id(wire.target))] = find(id(wire.source))
    parts: dict[int, list[Node]] = {}
    for node in nodes:
        parts.setdefault(find(id(node)), []).append(node)
    return list(parts.values())
