"""Composes a picture: levels inside levels, each laid out by itself, as shapes with coordinates.

In: a graph and which of its blocks are open. Out: a `Drawing` of rectangles, lines and texts; its origin is
on the axis of the level, at its upper edge.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from dlc import ir
from dlc.drawing import fonts
from dlc.drawing.fold import find_fold, lay_out
from dlc.drawing.graph import Box, Graph, Link
from dlc.drawing.layers import NODE_GAP, Grid, Node, Wire
from dlc.drawing.routes import RADIUS, Extents, route

TITLE, SMALL, TINY = 12.0, 10.5, 10.0
PAD = 12.0
LEAST_WIDTH = 96.0
LABEL = 17.0
HEADER = 22.0
STRIP = 19.0
EXIT_STEP = 18.0
BUS = 4
"""A tensor that so many boxes read is named at each of them, and not drawn as a line."""


@dataclass(frozen=True)
class Rectangle:
    x: float
    y: float
    width: float
    height: float
    style: str
    radius: float = 5.0
    hint: str = ""
    """Shown when the pointer is over it."""


@dataclass(frozen=True)
class Words:
    x: float
    y: float
    text: str
    style: str
    anchor: Literal["start", "middle", "end"] = "middle"


@dataclass(frozen=True)
class Line:
    points: tuple[tuple[float, float], ...]
    arrow: bool
    style: str = "wire"


Shape: TypeAlias = Rectangle | Words | Line


@dataclass
class Drawing:
    """Shapes, back to front, and where tensors enter and leave."""

    left: float
    right: float
    height: float
    shapes: list[Shape] = field(default_factory=list)
    entries: dict[str, float] = field(default_factory=dict)
    exits: dict[int, float] = field(default_factory=dict)
    sides: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Inputs that come in horizontally from the left: where they end."""

    def moved(self, x: float, y: float) -> list[Shape]:
        return [_moved(shape, x, y) for shape in self.shapes]


def _moved(shape: Shape, x: float, y: float) -> Shape:
    if isinstance(shape, Line):
        return replace(shape, points=tuple((a + x, b + y) for a, b in shape.points))
    return replace(shape, x=shape.x + x, y=shape.y + y)


ShapeText: TypeAlias = Callable[[ir.TensorType], str]
Opener: TypeAlias = Callable[[Box, int], "Graph | None"]


@dataclass
class Composer:
    """How a picture is made: which boxes are opened, and how shapes and hints are written."""

    open: Opener
    shape_text: ShapeText
    hint: Callable[[Box], str]

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


@dataclass(eq=False)
class Unit:
    """A box with the strips under it, and its node."""

    box: Box
    strips: list[Box] = field(default_factory=list)
    node: Node = field(default_factory=lambda: Node(0, 0, 0))
    inner: Drawing | None = None
    tags: list[str] = field(default_factory=list)
    announces: str = ""
    up: bool = False
    sides: set[str] = field(default_factory=set)


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
            unit = Unit(box, up=up)
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
            boxes += self.shapes(unit)
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
        """The node of a unit."""
        box, node = unit.box, unit.node
        inner = self.opened.get(id(box))
        if inner is not None:
            named = {}
            for link in box.links:
                bus = self.buses.get((id(link.source), link.port))
                if bus is not None:
                    named[link.name] = bus
            given = {self.entry(link) for link in box.links}
            for port in inner.boxes:
                if port.role == "input" and port.title not in given:
                    named[port.title] = port.title  # a constant: named where it is read
            inner_drawing = self.composer.compose(inner, self.level + 1, named, unit.sides, unit.up)
            unit.inner = self.container(unit, inner_drawing)
            drawing = unit.inner
            node.left, node.right, node.height = -drawing.left, drawing.right, drawing.height
            node.entries = drawing.entries
            node.exits = drawing.exits
            node.sides = {name: y for name, (_, y) in drawing.sides.items()}
            node.weight = 10
            node.body = min(node.left, node.right)
            node.edge = node.left, node.right
            node.open = True
            return
        unit.tags = [
            self.buses[id(link.source), link.port]
            for link in box.links
            if (id(link.source), link.port) in self.buses
        ]
        match box.role:
            case "input" | "output" if self.level:
                node.height = 0.0
                node.left = node.right = 3.0
            case "join" if box.title in ("concat", "stack"):
                node.body, node.height, node.round = 26.0, 20.0, True
            case "join":
                node.body, node.height, node.round = RADIUS, 2 * RADIUS, len(box.links) <= 3
                if not node.round:
                    node.body, node.height = 30.0, 20.0
            case _:
                texts = self.texts(unit)
                widths = [fonts.width(text, size, bold) for text, size, bold in texts]
                widths += [fonts.width(_strip_text(strip), TINY) for strip in unit.strips]
                node.body = max(LEAST_WIDTH, _even(max(widths) + 2 * PAD)) / 2
                node.height = (26.0 if len(texts) == 1 else 38.0) + STRIP * len(unit.strips)
                if box.role == "function":
                    node.height -= 2
                node.weight = {"layer": 4, "call": 4, "function": 2}.get(box.role, 1)
        node.first, node.last = box.role == "input", box.role == "output"
        if box.role != "input" or not self.level:
            node.left = node.right = max(node.left, node.body)
        node.edge = node.body, node.body
        last = unit.strips[-1] if unit.strips else box
        read = [port for port in range(len(last.outputs)) if (last, port) in self.users]
        step = min(EXIT_STEP, (node.body - 8) / max(len(read) - 1, 1))
        node.exits = {port: number * step for number, port in enumerate(read)}
        if unit.tags:
            node.left += 22 + max(fonts.width(tag, TINY) for tag in unit.tags)
        if box.count > 1:
            node.right += 10
        self.add_labels(unit)

    def add_labels(self, unit: Unit) -> None:
        """Space for the shapes beside the wires that leave."""
        node = unit.node
        if unit.box.role == "output":
            return
        for port, text in self.labels(unit).items():
            node.right = max(node.right, node.exits.get(port, 0.0) + 8 + fonts.width(text, TINY))
            node.label_height = max(node.label_height, LABEL)
        if self.level and unit.box.role == "input":
            node.label_height = HEADER

    def labels(self, unit: Unit) -> dict[int, str]:
        """The shape of each output that somebody reads by a wire, where it is a new one."""
        last = unit.strips[-1] if unit.strips else unit.box
        if unit.announces:
            return {0: unit.announces}
        if unit.box.role == "input" or unit.inner is not None:
            return {}
        found: dict[int, str] = {}
        before = {self.composer.shape_text(link.source.outputs[link.port]) for link in unit.box.links}
        for port, type_ in enumerate(last.outputs):
            text = self.composer.shape_text(type_)
            if (id(last), port) not in self.buses and (last, port) in self.users and text not in before:
                found[port] = text
        wires = [port for port in range(len(last.outputs)) if (last, port) in self.users]
        if found and len(wires) > 1:  # all at the last wire, so that none crosses them
            return {wires[-1]: ", ".join(dict.fromkeys(found.values()))}
        return found

    def texts(self, unit: Unit) -> list[tuple[str, float, bool]]:
        """The lines of a box with their size, bold or not."""
        box = unit.box
        if box.role in ("input", "output"):
            shape = self.composer.shape_text(box.outputs[0])
            return [(f"{box.title}: {shape}" if box.title else shape, SMALL, False)]
        if box.role in ("function", "carry"):
            return [(f"{box.title} {box.detail}" if box.detail else box.title, SMALL, False)]
        second = " · ".join(text for text in (box.name, box.detail) if text)
        return [(box.title, TITLE, True), *([(second, TINY, False)] if second else [])]

    def container(self, unit: Unit, inner: Drawing) -> Drawing:
        """An open block: its frame, title and what is inside."""
        box = unit.box
        title = fonts.width(box.title, SMALL, True)
        name = fonts.width(box.name, TINY) + 8 if box.name else 0.0
        through = list((inner.exits if unit.up else inner.entries).values())
        badge = 30.0 if box.count > 1 else 0.0
        left = min(inner.left - PAD, min(through, default=0.0) - title - name - 22)
        left = left if title + name else inner.left - PAD
        right = max(inner.right + PAD, max(through, default=0.0) + badge + PAD)
        made = Drawing(left, right, inner.height, entries=inner.entries, exits=inner.exits)
        made.sides = {key: (left, y) for key, (_, y) in inner.sides.items()}
        style = "frame loop" if box.role == "frame" else "frame"
        made.shapes.append(
            Rectangle(left, 0, right - left, inner.height, style, 8.0, self.composer.hint(box))
        )
        if box.title:
            made.shapes.append(Words(left + 10, 15, box.title, "frame-title", "start"))
        if box.name:
            made.shapes.append(Words(left + 10 + title + 6, 15, box.name, "small", "start"))
        made.shapes += inner.shapes
        made.shapes += [Line(((left, y), (x, y)), True) for x, y in inner.sides.values()]
        if box.count > 1:
            made.shapes += _badge(right - 6, 0, box.count)
        return made

    def shapes(self, unit: Unit) -> list[Shape]:
        box, node = unit.box, unit.node
        x, y = node.x, node.y
        made: list[Shape] = []
        if unit.inner is not None:
            made += unit.inner.moved(x, y)
        elif box.role in ("input", "output") and self.level:
            pass
        elif box.role == "join":
            radius = RADIUS if node.round or node.body == RADIUS else 10.0
            made.append(Rectangle(x - node.body, y, 2 * node.body, node.height, "join", radius))
            small = box.title in ("concat", "stack")
            made.append(Words(x, y + 14 if small else y + 14.5, box.title, "tiny" if small else "sign"))
        else:
            made += self.box_shapes(unit)
        for port, text in self.labels(unit).items():
            style = "tag" if unit.announces else "size"
            line = y - 6 if unit.up else y + node.height + 12
            if unit.announces:
                end = y - 16 if unit.up else y + node.height + 16
                made.append(Line(((x, y if unit.up else y + node.height), (x, end)), True))
                made.append(Words(x, end - 4 if unit.up else end + 11, text, style))
            else:
                made.append(Words(x + node.exits.get(port, 0.0) + 6, line, text, style, "start"))
        return made

    def box_shapes(self, unit: Unit) -> list[Shape]:
        box, node = unit.box, unit.node
        x, y, width = node.x - node.body, node.y, 2 * node.body
        height = node.height - STRIP * len(unit.strips)
        style = f"box {'value' if is_pill(box) else box.kind}"
        radius = 13.0 if is_pill(box) else 5.0
        made: list[Shape] = []
        if box.parallel and box.count > 1:
            for shift in (6.0, 3.0):
                made.append(Rectangle(x + shift, y - shift, width, node.height, style, radius))
        over = 8.0  # a strip goes on behind the box, whose round corners stay whole
        if unit.up:
            y += STRIP * len(unit.strips)
        for number, strip in reversed(list(enumerate(unit.strips))):
            top = y - STRIP * (number + 1) if unit.up else y + height + STRIP * number - over
            hint = self.composer.hint(strip)
            made.append(Rectangle(x, top, width, STRIP + over, f"box {strip.kind}", 5.0, hint))
            text_y = top + 13 if unit.up else top + over + 13
            made.append(Words(node.x, text_y, _strip_text(strip), "tiny"))
        made.append(Rectangle(x, y, width, height, style, radius, self.composer.hint(box)))
        lines = self.texts(unit)
        if len(lines) == 2:
            made.append(Words(node.x, y + 16, lines[0][0], "title"))
            made.append(Words(node.x, y + 30, lines[1][0], "small"))
        else:
            text, _, bold = lines[0]
            made.append(Words(node.x, y + height / 2 + 4, text, "title" if bold else "plain"))
        for number, tag in enumerate(unit.tags):
            at = y + height / 2 + (number - (len(unit.tags) - 1) / 2) * 14
            made.append(Line(((x - 14, at), (x, at)), True))
            made.append(Words(x - 17, at + 3.5, tag, "tag", "end"))
        if box.count > 1:
            made += _badge(x + width + 8, y, box.count)
        return made


def is_pill(box: Box) -> bool:
    """What holds a value and computes nothing: inputs, outputs, what a loop carries."""
    return box.role in ("input", "output", "carry") or box.kind == "value"


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


def _badge(right: float, y: float, count: int) -> list[Shape]:
    text = f"×{count}"
    width = fonts.width(text, SMALL, True) + 8
    return [
        Rectangle(right - width, y - 8, width, 17, "badge", 8.5),
        Words(right - width / 2, y + 4.5, text, "badge-text"),
    ]


def _strip_text(box: Box) -> str:
    return f"{box.title} {box.detail}" if box.detail else box.title


def _even(width: float) -> float:
    """Rounded up, so that boxes of about the same width are equally wide."""
    return -(-width // 12) * 12
