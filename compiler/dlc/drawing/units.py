"""One box of a picture with the small steps under it: how large it is, and what is drawn of it.

In: a box and what is written at it. Out: the sizes of its `Node`; and shapes, once the node has its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dlc import ir
from dlc.drawing import fonts
from dlc.drawing.graph import Box
from dlc.drawing.layers import Node
from dlc.drawing.routes import RADIUS
from dlc.drawing.shapes import Drawing, Line, Rectangle, Shape, Words

TITLE, SMALL, TINY = 12.0, 10.5, 10.0
PAD = 12.0
LEAST_WIDTH = 96.0
LABEL = 17.0
HEADER = 22.0
STRIP = 19.0
EXIT_STEP = 18.0


@dataclass(frozen=True)
class Captions:
    """How shapes of tensors, and hints at boxes, are written."""

    shape: Callable[[ir.TensorType], str]
    hint: Callable[[Box], str]


@dataclass(eq=False)
class Unit:
    """A box with the strips under it, and its node."""

    box: Box
    captions: Captions
    port: bool = False
    """An input or output of an open box: wires go through, and nothing is drawn."""
    up: bool = False
    strips: list[Box] = field(default_factory=list)
    node: Node = field(default_factory=lambda: Node(0, 0, 0))
    inner: Drawing | None = None
    tags: list[str] = field(default_factory=list)
    """Inputs that are named instead of drawn."""
    labels: dict[int, str] = field(default_factory=dict)
    """The shapes of outputs, beside the wires that leave."""
    announces: str = ""
    """The name of its output, where readers name it instead of drawing a wire."""
    sides: set[str] = field(default_factory=set)

    @property
    def last(self) -> Box:
        """What its outputs are those of."""
        return self.strips[-1] if self.strips else self.box

    def measure(self, read: Sequence[int]) -> None:
        """The node of a closed box; `read` are the outputs that somebody reads."""
        box, node = self.box, self.node
        match box.role:
            case "input" | "output" if self.port:
                node.height = 0.0
                node.left = node.right = 3.0
            case "join" if box.title in ("concat", "stack"):
                node.body, node.height, node.round = 26.0, 20.0, True
            case "join":
                node.body, node.height, node.round = RADIUS, 2 * RADIUS, len(box.links) <= 3
                if not node.round:
                    node.body, node.height = 30.0, 20.0
            case _:
                texts = self.texts()
                widths = [fonts.width(text, size, bold) for text, size, bold in texts]
                widths += [fonts.width(_strip_text(strip), TINY) for strip in self.strips]
                node.body = max(LEAST_WIDTH, _even(max(widths) + 2 * PAD)) / 2
                node.height = (26.0 if len(texts) == 1 else 38.0) + STRIP * len(self.strips)
                if box.role == "function":
                    node.height -= 2
                node.weight = {"layer": 4, "call": 4, "function": 2}.get(box.role, 1)
        node.first, node.last = box.role == "input", box.role == "output"
        if box.role != "input" or not self.port:
            node.left = node.right = max(node.left, node.body)
        node.edge = node.body, node.body
        step = min(EXIT_STEP, (node.body - 8) / max(len(read) - 1, 1))
        node.exits = {port: number * step for number, port in enumerate(read)}
        if self.tags:
            node.left += 22 + max(fonts.width(tag, TINY) for tag in self.tags)
        if box.count > 1:
            node.right += 10
        self._add_labels()

    def _add_labels(self) -> None:
        """Space for the shapes beside the wires that leave."""
        node = self.node
        if self.box.role == "output":
            return
        for port, text in self.labels.items():
            node.right = max(node.right, node.exits.get(port, 0.0) + 8 + fonts.width(text, TINY))
            node.label_height = max(node.label_height, LABEL)
        if self.port and self.box.role == "input":
            node.label_height = HEADER

    def texts(self) -> list[tuple[str, float, bool]]:
        """The lines of a box with their size, bold or not."""
        box = self.box
        if box.role in ("input", "output"):
            shape = self.captions.shape(box.outputs[0])
            return [(f"{box.title}: {shape}" if box.title else shape, SMALL, False)]
        if box.role in ("function", "carry"):
            return [(f"{box.title} {box.detail}" if box.detail else box.title, SMALL, False)]
        second = " · ".join(text for text in (box.name, box.detail) if text)
        return [(box.title, TITLE, True), *([(second, TINY, False)] if second else [])]

    def open(self, inner: Drawing) -> None:
        """The node of an open box with what is inside."""
        node = self.node
        self.inner = drawing = self._framed(inner)
        node.left, node.right, node.height = -drawing.left, drawing.right, drawing.height
        node.entries = drawing.entries
        node.exits = drawing.exits
        node.sides = {name: y for name, (_, y) in drawing.sides.items()}
        node.weight = 10
        node.body = min(node.left, node.right)
        node.edge = node.left, node.right
        node.open = True

    def _framed(self, inner: Drawing) -> Drawing:
        """An open block: its frame, title and what is inside."""
        box = self.box
        title = fonts.width(box.title, SMALL, True)
        name = fonts.width(box.name, TINY) + 8 if box.name else 0.0
        through = list((inner.exits if self.up else inner.entries).values())
        badge = 30.0 if box.count > 1 else 0.0
        left = min(inner.left - PAD, min(through, default=0.0) - title - name - 22)
        left = left if title + name else inner.left - PAD
        right = max(inner.right + PAD, max(through, default=0.0) + badge + PAD)
        made = Drawing(left, right, inner.height, entries=inner.entries, exits=inner.exits)
        made.sides = {key: (left, y) for key, (_, y) in inner.sides.items()}
        style = "frame loop" if box.role == "frame" else "frame"
        made.shapes.append(
            Rectangle(left, 0, right - left, inner.height, style, 8.0, self.captions.hint(box))
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

    def shapes(self) -> list[Shape]:
        """What is drawn of it, where its node is."""
        box, node = self.box, self.node
        x, y = node.x, node.y
        made: list[Shape] = []
        if self.inner is not None:
            made += self.inner.moved(x, y)
        elif self.port:
            pass
        elif box.role == "join":
            radius = RADIUS if node.round or node.body == RADIUS else 10.0
            made.append(Rectangle(x - node.body, y, 2 * node.body, node.height, "join", radius))
            small = box.title in ("concat", "stack")
            made.append(Words(x, y + 14 if small else y + 14.5, box.title, "tiny" if small else "sign"))
        else:
            made += self._box_shapes()
        return made + self._label_shapes()

    def _label_shapes(self) -> list[Shape]:
        """What is written where its outputs leave: their shapes, or the name that it announces."""
        node = self.node
        start = node.y if self.up else node.y + node.height
        if self.announces:
            end = start - 16 if self.up else start + 16
            name = Words(node.x, end - 4 if self.up else end + 11, self.announces, "tag")
            return [Line(((node.x, start), (node.x, end)), True), name]
        line = start - 6 if self.up else start + 12
        return [
            Words(node.x + node.exits.get(port, 0.0) + 6, line, text, "size", "start")
            for port, text in self.labels.items()
        ]

    def _box_shapes(self) -> list[Shape]:
        box, node = self.box, self.node
        x, y, width = node.x - node.body, node.y, 2 * node.body
        height = node.height - STRIP * len(self.strips)
        style = f"box {'value' if is_pill(box) else box.kind}"
        radius = 13.0 if is_pill(box) else 5.0
        made: list[Shape] = []
        if box.parallel and box.count > 1:
            for shift in (6.0, 3.0):
                made.append(Rectangle(x + shift, y - shift, width, node.height, style, radius))
        over = 8.0  # a strip goes on behind the box, whose round corners stay whole
        if self.up:
            y += STRIP * len(self.strips)
        for number, strip in reversed(list(enumerate(self.strips))):
            top = y - STRIP * (number + 1) if self.up else y + height + STRIP * number - over
            hint = self.captions.hint(strip)
            made.append(Rectangle(x, top, width, STRIP + over, f"box {strip.kind}", 5.0, hint))
            text_y = top + 13 if self.up else top + over + 13
            made.append(Words(node.x, text_y, _strip_text(strip), "tiny"))
        made.append(Rectangle(x, y, width, height, style, radius, self.captions.hint(box)))
        lines = self.texts()
        if len(lines) == 2:
            made.append(Words(node.x, y + 16, lines[0][0], "title"))
            made.append(Words(node.x, y + 30, lines[1][0], "small"))
        else:
            text, _, bold = lines[0]
            made.append(Words(node.x, y + height / 2 + 4, text, "title" if bold else "plain"))
        for number, tag in enumerate(self.tags):
            at = y + height / 2 + (number - (len(self.tags) - 1) / 2) * 14
            made.append(Line(((x - 14, at), (x, at)), True))
            made.append(Words(x - 17, at + 3.5, tag, "tag", "end"))
        if box.count > 1:
            made += _badge(x + width + 8, y, box.count)
        return made


def is_pill(box: Box) -> bool:
    """What holds a value and computes nothing: inputs, outputs, what a loop carries."""
    return box.role in ("input", "output", "carry") or box.kind == "value"


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
