"""Equal rounds of a loop, which a picture shows once, times n.

In: the boxes of two rounds. Out: whether they are equal; and then, the first with the links of both.
"""

from __future__ import annotations

from collections.abc import Iterator

from dlc import ir
from dlc.drawing import labels
from dlc.drawing.graph import Box, Link, Loop
from dlc.drawing.omissions import passed_through


class Rounds:
    """Which boxes stand for others in one body."""

    def __init__(self, program: ir.Program, growing: bool) -> None:
        self.signs = Signs(program)
        self.signs_of_one = Signs(program, growing)
        self.merged: dict[int, Box] = {}
        """The box that stands for each box of a later round."""
        self.kept: list[Box] = []
        """Boxes of later rounds: kept, so that no other box gets their id."""

    def stand_in(self, box: Box) -> Box:
        while id(box) in self.merged:
            box = self.merged[id(box)]
        return box

    def join(self, first: list[Box], boxes: list[Box], loop: Loop) -> bool:
        """Lets the first round stand for another one, if that is equal; `loop` is the one around them."""
        if not self.equal(first, boxes, loop):
            return False
        if loop.count == 1:
            for box in first:
                box.loops.insert(0, loop)
        loop.parallel = not self.follows(first, boxes)
        loop.count += 1
        self.merge(first, boxes)
        for box, other in zip(first, boxes, strict=True):
            if box.name:
                box.name = labels.name_range(box.name, other.name)
        return True

    def equal(self, first: list[Box], boxes: list[Box], loop: Loop) -> bool:
        if len(first) != len(boxes):
            return False
        signs = self.signs_of_one if len(boxes) == 1 else self.signs
        places = {id(box): number for number, box in enumerate(first)}
        others = {id(box): number for number, box in enumerate(boxes)}
        for a, b in zip(first, boxes, strict=True):
            if _sign(a, signs, loop) != _sign(b, signs, None) or _names(a) != _names(b):
                return False
            for left, right in zip(own(a), own(b), strict=True):
                same = places.get(id(left.source)) == others.get(id(right.source)) and left.port == right.port
                outside = id(left.source) not in places and id(right.source) not in others
                if not same and not outside:
                    return False
        return True

    def follows(self, first: list[Box], boxes: list[Box]) -> bool:
        """Whether a round reads what the round before it made."""
        inside = {id(box) for box in first}
        return any(id(self.stand_in(link.source)) in inside for box in boxes for link in box.links)

    def merge(self, first: list[Box], boxes: list[Box]) -> None:
        for a, b in zip(first, boxes, strict=True):
            self.merged[id(b)] = a
            self.kept.append(b)
            a.outputs = b.outputs
        inside = {id(box) for box in first}
        for a, b in zip(first, boxes, strict=True):
            for base, link in zip(own(a), own(b), strict=True):
                source = self.stand_in(link.source)
                if id(source) in inside:
                    continue
                variants = [old for old in a.links if old is base or old.instead is base]
                known = [old for old in variants if old.source is source and old.port == link.port]
                if known:
                    known[0].times += link.times
                else:
                    a.links.append(Link(source, link.port, link.name, link.times, base))


def own(box: Box) -> list[Link]:
    """The links of a box without those that merging added."""
    return [link for link in box.links if link.instead is None]


def _names(box: Box) -> list[str]:
    return [link.name for link in own(box)]


class Signs:
    """Numbers for definitions, equal for those that do the same in the picture: a rate of dropout, which
    does nothing in evaluation, makes no difference."""

    def __init__(self, program: ir.Program, growing: bool = False) -> None:
        self.program = program
        self.growing = growing
        self.known: dict[str, int] = {}
        self.numbers: dict[object, int] = {}

    def of(self, definition: ir.Definition) -> int:
        if definition.id not in self.known:
            inputs = tuple(self.type(item.tensor.type) if item.tensor else "" for item in definition.inputs)
            outputs = tuple(self.type(output.type) for output in definition.outputs)
            sign: tuple[object, ...] = definition.family, definition.method, inputs, outputs
            if self.growing:
                given = definition.statics.items()
                sign = *sign, *((name, str(e.value)) for name, e in given if not isinstance(e.value, float))
            sign = *sign, *self.body(definition.body)
            self.known[definition.id] = self.numbers.setdefault(sign, len(self.numbers))
        return self.known[definition.id]

    def type(self, type_: ir.TensorType) -> str:
        return f"{type_.dtype} {type_.rank}" if self.growing else str(type_)

    def body(self, region: ir.Region) -> Iterator[object]:
        for node in ir.flat(region):
            match node:
                case ir.Apply() if self.growing:
                    yield node.op
                case ir.Apply():
                    yield node.op, tuple((name, str(e.value)) for name, e in node.attrs.items())
                    yield tuple(str(i.expr.value) for i in node.inputs if isinstance(i, ir.Static))
                case ir.Call():
                    callee = self.program.definitions[node.callee]
                    if passed_through(callee) is None:
                        yield node.layer, node.index, self.of(callee)
                case ir.Sample():
                    yield node.distribution.name, node.name
                case ir.Scan():
                    yield from self.body(node.body)


def _sign(box: Box, signs: Signs, loop: Loop | None) -> tuple[object, ...]:
    """What two boxes have in common that do the same; `loop` is the one around both."""
    made = signs.of(box.definition) if box.definition else box.title
    loops = [(inner.title, inner.count) for inner in box.loops if inner is not loop]
    return box.role, made, box.detail, tuple(map(signs.type, box.outputs)), loops, box.count
