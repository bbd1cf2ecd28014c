"""A network as a picture: what is opened, where the parts stand, and the SVG text.

In: a program, a method, numbers for sizes, and perhaps a depth. Out: SVG. Without a depth, a block that
occurs once is opened where it stands, and one that occurs more often is drawn once beside the picture, in
its own terms, as long as there are no more than `MOST_BOXES` boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from dlc import dims, ir
from dlc.drawing import fonts, labels, svg
from dlc.drawing.flow import read
from dlc.drawing.graph import Box, Graph, walk
from dlc.drawing.picture import Composer
from dlc.drawing.shapes import Drawing, Line, Rectangle, Shape, Words
from dlc.drawing.units import Captions
from dlc.flops import Counter
from dlc.size_text import SizeText, batch_size, short
from dlc.text import print_expression

MOST_BOXES = 40
MOST_BESIDE = 24
INSET_GAP = 44.0
HEAD = 70.0
STUB = 16.0
LONGEST_SIZE = 12

Family = tuple[str, str]


def draw(
    program: ir.Program,
    method: str = "forward",
    sizes: Mapping[str, int] | None = None,
    depth: int | None = None,
) -> str:
    """The picture of one method as SVG text."""
    return Painter(program, method, sizes or {}, depth).svg()


@dataclass
class Painter:
    """Draws one method of a program."""

    program: ir.Program
    method: str
    sizes: Mapping[str, int]
    depth: int | None
    nested: set[Family] = field(default_factory=set)
    insets: dict[Family, Box] = field(default_factory=dict)
    """The blocks drawn beside the picture, each with the box that it is an example of."""

    def __post_init__(self) -> None:
        self.text = SizeText(self.program, self.sizes)
        self.counter = Counter(self.program)
        self.graphs: dict[tuple[str, str, bool], Graph] = {}
        self.main = self.program.definition(self.method)
        if self.depth is None:
            self.choose()

    # ------------------------------------------------------------ what is opened

    def graph(self, definition: ir.Definition, path: str = "", general: bool = False) -> Graph:
        key = (definition.id, path, general)
        if key not in self.graphs:
            self.graphs[key] = read(self.program, definition, path, general=general, growing=True)
        return self.graphs[key]

    def inside(self, box: Box, general: bool = False) -> Graph | None:
        """What an open box shows; None where there is nothing to open."""
        definition = box.definition
        if definition is None or definition.kind == "fn" or definition.module == labels.CORE:
            return None
        graph = self.graph(definition, box.path, general)
        return graph if len(graph.steps()) > 1 else None

    def choose(self) -> None:
        """Which families of blocks are opened, and how."""
        examples: dict[Family, Box] = {}
        found: dict[Family, int] = {}
        order: list[Family] = []
        todo = [self.graph(self.main)]
        while todo:
            later = []
            for box in (box for graph in todo for box in walk(graph)):
                inside = self.inside(box)
                if inside is None or not any(step.role == "layer" for step in walk(inside)):
                    continue
                family = family_of(box)
                found[family] = found.get(family, 0) + 1
                if family not in examples:
                    order.append(family)
                    examples[family] = box
                    later.append(inside)
                elif richness(inside) > richness(self.inside(examples[family])):
                    examples[family] = box
            todo = later
        total, beside = boxes_in(self.graph(self.main)), 0
        reached = {family_of(box) for box in walk(self.graph(self.main)) if box.definition}
        for family in order:
            inside = self.inside(examples[family])
            if family not in reached or inside is None:
                continue
            size = boxes_in(inside)
            if found[family] == 1 and total + size <= MOST_BOXES:
                total += size
                self.nested.add(family)
            elif found[family] > 1 and beside + size <= MOST_BESIDE:
                beside += size
                self.insets[family] = examples[family]
            else:
                continue
            reached |= {family_of(box) for box in walk(inside) if box.definition}

    def opened(self, general: bool) -> Callable[[Box, int], Graph | None]:
        def decide(box: Box, level: int) -> Graph | None:
            wanted = level < self.depth if self.depth is not None else family_of(box) in self.nested
            return self.inside(box, general) if wanted else None

        return decide

    # ------------------------------------------------------------ text

    def shape(self, type_: ir.TensorType) -> str:
        return " × ".join(self.text.shape(type_)) or "scalar"

    def general_shape(self, definition: ir.Definition) -> Callable[[ir.TensorType], str]:
        """Shapes in the terms of a block; a size that it has no name for is the input's with a prime."""
        firsts = [item.tensor.type for item in definition.inputs if item.tensor]

        def size(type_: ir.TensorType, axis: int) -> str:
            expr = type_.shape[axis]
            text = print_expression(expr).replace(" * ", "·").replace(" // ", "/")
            own = not isinstance(expr.value, dims.Dim) or not isinstance(expr, ir.Const)
            if own and len(text) <= LONGEST_SIZE:
                return text
            equal = [name for name, known in definition.sizes.items() if known.value == expr.value]
            if equal:
                return equal[0]
            for first in firsts:
                if first.rank == type_.rank and isinstance(first.shape[axis], ir.Ref):
                    same = first.sizes[axis] == expr.value
                    return print_expression(first.shape[axis]) + ("" if same else "′")
            return "…"

        def shape(type_: ir.TensorType) -> str:
            names = [size(type_, axis) for axis in range(type_.rank)]
            return " × ".join("…" if "." in name else name for name in names) or "scalar"

        return shape

    def hint(self, box: Box) -> str:
        """What is shown when the pointer rests on a box."""
        parts = [f"{box.name}: {box.title}" if box.name else box.title]
        if box.detail:
            parts.append(box.detail)
        if box.definition is not None:
            count = self.counter.definition(box.definition.id)
            if box.role == "layer" and (weights := self.weights(box)):
                parts.append(f"{weights:,} parameters")
            if count:
                parts.append(f"{self.text.count(count)} FLOPs")
        if box.count > 1:
            parts.append(f"{box.count} times")
        return " · ".join(parts)

    def weights(self, box: Box) -> int:
        return self.parameters(first_path(box.path))

    def parameters(self, path: str) -> int:
        total = 0
        for spec in self.program.weights:
            if spec.kind == "param" and (not path or spec.path.startswith(f"{path}.")):
                size = 1
                for n in spec.shape:
                    size *= n
                total += size
        return total

    def title(self) -> tuple[str, str]:
        label = self.program.name + (f".{self.program.preset}" if self.program.preset else "")
        name = label if self.method == "forward" else f"{label}: {self.method}"
        weights = self.parameters("")
        parts = [f"{weights:,} parameters" if weights < 10**6 else f"{short(weights)} parameters"]
        count = self.text.fixed(self.counter.definition(self.main.id))
        batch = batch_size(self.main)
        one = isinstance(count, dims.Dim) and batch in dims.variables(count)
        flops = self.text.count(dims.substitute(count, {batch: 1}) if batch and one else count)
        if flops != "-" and not flops.startswith("by "):
            parts.append(f"{flops} FLOPs" + (f" for {batch} = 1" if one else ""))
        return name, " · ".join(parts)

    # ------------------------------------------------------------ composition

    def compose(self) -> Drawing:
        """The network without what stands beside it."""
        composer = Composer(self.opened(general=False), Captions(self.shape, self.hint))
        return composer.compose(self.graph(self.main))

    def svg(self) -> str:
        name, counts = self.title()
        main = self.compose()
        boards = [self.inset(box) for box in self.insets.values()]
        edge = svg.MARGIN
        shapes: list[Shape] = [Words(edge, edge + 13, name, "head", "start")]
        shapes.append(Words(edge, edge + 31, counts, "sub", "start"))
        shapes += main.moved(edge - main.left, HEAD)
        right = edge + main.right - main.left
        bottom = HEAD + main.height
        room = 1.15 * max(bottom, HEAD + max((board.height for board in boards), default=0.0))
        x, y, widest = right + INSET_GAP, HEAD, 0.0
        for board in boards:
            if y + board.height > room and y > HEAD:
                x, y, widest = x + widest + INSET_GAP, HEAD, 0.0
            shapes += board.moved(x - board.left, y)
            widest = max(widest, board.right - board.left)
            y += board.height + INSET_GAP / 2
            right, bottom = max(right, x + widest), max(bottom, y - INSET_GAP / 2)
        width = max(right, edge + fonts.width(name, 17, True), edge + fonts.width(counts, 11.5)) + edge
        return svg.document(width, bottom + edge, name, self.description(counts), shapes)

    def description(self, counts: str) -> str:
        """The picture in words, for those who cannot see it."""
        steps = []
        for box in self.graph(self.main).steps():
            text = f"{box.name}: {box.title}" if box.name else box.title
            steps.append(text + (f" ×{box.count}" if box.count > 1 else ""))
        return f"{counts}. Steps: {', '.join(step for step in steps if step)}."

    def inset(self, box: Box) -> Drawing:
        """A block by itself, in its own terms."""
        definition = box.definition
        assert definition is not None
        shape = self.general_shape(definition)
        composer = Composer(self.opened(general=True), Captions(shape, lambda step: step.title))
        graph = self.graph(definition, box.path, general=True)
        inner = composer.compose(graph, 1)
        title = box.title
        left = min(
            inner.left - 14, min(inner.entries.values(), default=0) - fonts.width(title, 12, True) - 24
        )
        right = inner.right + 14
        texts: list[Shape] = []
        top = STUB + 14
        types = {item.name: item.tensor.type for item in definition.inputs if item.tensor}
        places = sorted((x, name) for name, x in inner.entries.items())
        raised = False
        for number, (x, name) in enumerate(places):
            sizes = shape(types[name])
            text = name if sizes.startswith("…") else f"{name}: {sizes}"
            wide = fonts.width(text, 10)
            last = number == len(places) - 1
            follows = number and x - places[number - 1][0] < wide + 12
            if follows or (not last and places[number + 1][0] - x < wide / 2 + 40):
                text, wide = name, fonts.width(name, 10)
            crowded = (
                number
                and x - places[number - 1][0] < wide / 2 + fonts.width(places[number - 1][1], 10) / 2 + 6
            )
            raised = not raised if crowded else False
            texts.append(Words(x, -1 if raised else 10, text, "size"))
            texts.append(Line(((x, 14), (x, top)), False))
            left, right = min(left, x - wide / 2), max(right, x + wide / 2)
        height = top + inner.height
        for x in inner.exits.values():
            texts.append(Line(((x, height), (x, height + STUB)), True))
        frame = Rectangle(left, top, right - left, inner.height, "frame", 8.0, box.title)
        header = Words(left + 12, top + 17, title, "title", "start")
        made = Drawing(left, right, height + STUB)
        made.shapes = [frame, header, *texts, *inner.moved(0, top)]
        return made


def family_of(box: Box) -> Family:
    return (box.definition.family, box.definition.method) if box.definition else ("", "")


def boxes_in(graph: Graph | None) -> int:
    """How many boxes a level has, not counting small steps."""
    return len(list(large(graph))) if graph else 0


def richness(graph: Graph | None) -> int:
    """How many steps a level has, of all sizes."""
    return len(list(walk(graph))) if graph else 0


def large(graph: Graph) -> Iterator[Box]:
    for box in walk(graph):
        if box.role in ("layer", "call", "function") and box.kind != "activation":
            yield box


def first_path(path: str) -> str:
    """`h.0-11.attn` stands for all rounds: `h.0.attn`."""
    return ".".join(part.partition("-")[0] if part[:1].isdigit() else part for part in path.split("."))
