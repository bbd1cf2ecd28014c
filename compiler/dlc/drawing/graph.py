"""The flow of tensors through one definition, as boxes and links.

In: a definition of a program. Out: a `Graph`. Layers, functions and inputs are boxes; what carries no
tensor of its own (a cast, an axis of size 1, dropout in evaluation) is not there, what only involves
weights and constants is text (`+ bias`), and equal rounds of a loop are one box or frame, times n.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from dlc import ir
from dlc.dims import Dim
from dlc.drawing import labels

Role: TypeAlias = Literal["input", "output", "layer", "call", "function", "join", "frame", "carry"]


@dataclass(eq=False)
class Link:
    """A tensor that goes into a box: output `port` of `source`, as the input called `name`."""

    source: Box
    port: int
    name: str
    times: int = 1
    """How many equal links this one stands for."""
    instead: Link | None = None
    """The link in whose place this one stands in some of the rounds."""
    variable: str = ""
    """The variable through which the text reads it."""


@dataclass(eq=False)
class Box:
    """A step of the flow. A layer that may be opened has its `definition`, a frame its `inside`."""

    role: Role
    title: str
    kind: labels.Kind = "other"
    name: str = ""
    detail: str = ""
    links: list[Link] = field(default_factory=list)
    outputs: tuple[ir.TensorType, ...] = ()
    definition: ir.Definition | None = None
    path: str = ""
    count: int = 1
    calls: int = 1
    parallel: bool = False
    inside: Graph | None = None
    steps: int | Dim = 1
    """Of the frame of a scan: how many times it runs."""
    node: ir.Apply | None = None
    """The operation that a step is, if it is a single one."""
    loops: list[Loop] = field(default_factory=list)


@dataclass(eq=False)
class Loop:
    """Rounds that became one, or the body of a scan: a frame around its boxes, the outermost first."""

    title: str = ""
    count: int = 1
    parallel: bool = False
    steps: int | Dim = 1
    """How many times the body of a scan runs."""


@dataclass
class Graph:
    """The boxes of one level in the order of execution, inputs first, outputs last."""

    boxes: list[Box]

    def users(self) -> dict[tuple[Box, int], list[tuple[Box, Link]]]:
        """Who reads each output of each box."""
        found: dict[tuple[Box, int], list[tuple[Box, Link]]] = {}
        for box in self.boxes:
            for link in box.links:
                found.setdefault((link.source, link.port), []).append((box, link))
        return found

    def steps(self) -> list[Box]:
        return [box for box in self.boxes if box.role not in ("input", "output")]


Flow: TypeAlias = "tuple[Box, int] | str | None"
"""Where a value comes from: a box, weights and constants alone (as text), or nothing worth showing."""


def read(
    program: ir.Program,
    definition: ir.Definition,
    path: str = "",
    *,
    general: bool = False,
    growing: bool = False,
) -> Graph:
    """The flow through a definition, whose weights are under `path`; in `general`, without its numbers.

    With `growing`, rounds of one step are equal that have the same parameters and get tensors of other sizes.
    """
    reader = Reader(program, path, general, Signs(program), Signs(program, growing))
    inputs = [Box("input", item.name, "value") for item in definition.inputs if item.tensor]
    tensors = [item.tensor for item in definition.inputs if item.tensor]
    for box, tensor in zip(inputs, tensors, strict=True):
        box.outputs = (tensor.type,)
        reader.flows[tensor.id] = (box, 0)
    for weight in definition.weights:
        reader.flows[weight.tensor.id] = weight.name
    reader.region(definition.body)
    outputs = []
    for output in definition.outputs:
        box = Box("output", output.name or "", "value", outputs=(output.type,))
        source = reader.boxed(reader.flow(output.value), output.type, output.name or "")
        box.links.append(Link(*source, ""))
        outputs.append(box)
    boxes = framed(needed([*reader.boxes, *outputs]))
    return Graph([*inputs, *sums(boxes)])


def needed(boxes: list[Box]) -> list[Box]:
    """Without the boxes that no output depends on."""
    live: set[int] = set()

    def visit(box: Box) -> None:
        todo = [box]
        while todo:
            box = todo.pop()
            if id(box) not in live:
                live.add(id(box))
                todo.extend(link.source for link in box.links)

    for box in boxes:
        if box.role == "output":
            visit(box)
    loops = {id(loop) for box in boxes if id(box) in live for loop in box.loops}
    for box in boxes:
        if box.role == "carry" and id(box.loops[0]) in loops:
            visit(box)
    return [box for box in boxes if id(box) in live]


@dataclass
class Reader:
    """Makes the boxes of one body."""

    program: ir.Program
    path: str
    general: bool
    signs: Signs
    signs_of_one: Signs
    boxes: list[Box] = field(default_factory=list)
    flows: dict[int, Flow] = field(default_factory=dict)
    merged: dict[int, Box] = field(default_factory=dict)
    """The box that stands for each box of a later round."""
    items: dict[int, str] = field(default_factory=dict)
    """The list that each tensor was taken from."""
    kept: list[Box] = field(default_factory=list)
    """Boxes of later rounds: kept, so that no other box gets their id."""

    def region(self, region: ir.Region) -> None:
        for node in region:
            match node:
                case ir.Apply():
                    self.apply(node)
                case ir.Call():
                    self.call(node)
                case ir.For():
                    self.loop(node)
                case ir.Branch():
                    self.region(node.body)
                    for tensor, result in zip(node.outputs, node.result, strict=True):
                        self.flows[tensor.id] = self.flow(result)
                case ir.Item():
                    self.flows[node.output.id] = self.flow(node.value)
                    self.items[node.output.id] = node.name
                case ir.Sample():
                    arguments = ", ".join(labels.expression(e) for e in node.distribution.args.values())
                    title = f"{node.name} ~ {node.distribution.name}({arguments})"
                    self.add(Box("function", title, "sample"), (node.output,), node)
                case ir.Scan():
                    self.scan(node)

    # ------------------------------------------------------------ values

    def flow(self, operand: ir.Operand | None) -> Flow:
        match operand:
            case None:
                return None
            case ir.Static():
                return labels.expression(operand.expr)
            case ir.Weight():
                return ".".join(operand.path)
        found = self.flows.get(operand.id)
        return (self.stand_in(found[0]), found[1]) if isinstance(found, tuple) else found

    def variable(self, operand: ir.Operand | None) -> str:
        """What the text calls a value."""
        if not isinstance(operand, ir.Use):
            return ""
        return operand.name or self.items.get(operand.id, "")

    def stand_in(self, box: Box) -> Box:
        while id(box) in self.merged:
            box = self.merged[id(box)]
        return box

    def boxed(self, flow: Flow, type_: ir.TensorType, name: str = "") -> tuple[Box, int]:
        """A flow that must be a box: text becomes one."""
        if isinstance(flow, tuple):
            return flow
        box = Box("function", flow or name or "constant", "value", outputs=(type_,))
        self.boxes.append(box)
        return box, 0

    def add(self, box: Box, outputs: Sequence[ir.Tensor], node: ir.Apply | ir.Call | ir.Sample) -> None:
        box.outputs = tuple(tensor.type for tensor in outputs)
        box.node = node if isinstance(node, ir.Apply) else None
        self.boxes.append(box)
        for port, tensor in enumerate(outputs):
            self.flows[tensor.id] = (box, port)

    # ------------------------------------------------------------ nodes

    def apply(self, node: ir.Apply) -> None:
        flows = [self.flow(operand) for operand in node.inputs]
        tensors = [flow for flow in flows if isinstance(flow, tuple)]
        if node.constant or not tensors:
            text = labels.constant(node, [flow for flow in flows if isinstance(flow, str)])
            for tensor in node.outputs:
                self.flows[tensor.id] = text
            return
        if len(tensors) == 1 and (
            labels.is_plain(node) or reshaped(node, tensors[0]) or labels.adds_nothing(node, flows)
        ):
            self.flows[node.outputs[0].id] = tensors[0]
            return
        symbol = labels.SYMBOLS.get(node.op)
        together = node.op in labels.JOINS and len(tensors) == len(flows)
        if together or (symbol and len(tensors) > 1 and tensors[0] != tensors[1]):
            box = Box("join", symbol or node.op, "join")
        else:
            texts = [flow if isinstance(flow, str) else None for flow in flows]
            box = Box("function", labels.function_title(node, texts), labels.kind_of(node.op))
            box.detail = labels.primitive_detail(node)
        for flow, operand in zip(flows, node.inputs, strict=True):
            if isinstance(flow, tuple) and not any((k.source, k.port) == flow for k in box.links):
                box.links.append(Link(*flow, "", tensors.count(flow), variable=self.variable(operand)))
        self.add(box, node.outputs, node)

    def call(self, node: ir.Call) -> None:
        callee = self.program.definitions[node.callee]
        same = passed_through(callee)
        if same is not None and all(name in node.arguments for name in same):
            for tensor, name in zip(node.outputs, same, strict=True):
                self.flows[tensor.id] = self.flow(node.arguments[name])
            return
        flows = {name: self.flow(operand) for name, operand in node.arguments.items()}
        read = inputs_read(callee) if callee.kind == "fn" else set(flows)
        tensors = {name: flow for name, flow in flows.items() if isinstance(flow, tuple) and name in read}
        if callee.name == "expand_to" and len(tensors) == 1:
            (self.flows[node.outputs[0].id],) = tensors.values()
            return
        if node.constant or (not tensors and node.layer is None and callee.module == labels.CORE):
            for tensor in node.outputs:
                self.flows[tensor.id] = f"{callee.name}(…)"
            return
        if node.layer is not None:
            name = ".".join((node.layer, *map(str, node.index)))
            box = Box("layer", callee.name, labels.kind_of(callee.name), name)
            if node.method != "forward":
                box.title = f"{callee.name}.{node.method}"
            box.path = f"{self.path}.{name}" if self.path else name
            shared = any(other.path == box.path for other in self.boxes)
            box.detail = labels.layer_detail(callee, node.statics if self.general else None)
            box.detail = "shared" if shared else box.detail
        elif callee.kind != "fn":
            box = Box("call", callee.method, "block", path=self.path)
        else:
            box = Box("function", callee.name, labels.kind_of(callee.name))
            box.detail = labels.layer_detail(callee, node.statics if self.general else None)
        box.definition = callee
        for name, flow in tensors.items():
            box.links.append(Link(*flow, name, variable=self.variable(node.arguments[name])))
        self.add(box, node.outputs, node)

    def scan(self, node: ir.Scan) -> None:
        """The body once, in a frame; the carried values enter where they start."""
        for item in node.inputs:
            step = self.flow(item.operand)
            self.flows[item.inside.id] = step if item.operand is not None else item.name
        start = len(self.boxes)
        for carry in node.carries:
            initial = self.flow(carry.initial)
            held = Box("function", carry.name, "value", outputs=(carry.inside.type,))
            if isinstance(initial, tuple):
                held.links.append(Link(*initial, "", variable=self.variable(carry.initial)))
            self.boxes.append(held)
            self.flows[carry.inside.id] = (held, 0)
        self.region(node.body)
        for carry in node.carries:
            final = self.flow(carry.final)
            if isinstance(final, tuple):
                after = Box("carry", f"next {carry.name}", "value", outputs=(carry.inside.type,))
                after.links.append(Link(*final, ""))
                self.boxes.append(after)
        loop = Loop(f"scan, {labels.expression(node.length)} steps", steps=node.length.value)
        for box in self.boxes[start:]:
            box.loops.insert(0, loop)
        for carry in node.carries:
            self.flows[carry.output.id] = self.flow(carry.final)
        for emission in node.emissions:
            self.flows[emission.output.id] = self.flow(emission.value)

    # ------------------------------------------------------------ loops

    def loop(self, node: ir.For) -> None:
        """All rounds; one that equals the round before it is merged into that."""
        first: list[Box] = []
        loop = Loop()
        for step in node.rounds:
            start = len(self.boxes)
            self.region(step.body)
            boxes = self.boxes[start:]
            if first and boxes and self.equal(first, boxes, loop):
                if loop.count == 1:
                    for box in first:
                        box.loops.insert(0, loop)
                loop.parallel = not self.follows(first, boxes)
                loop.count += 1
                self.merge(first, boxes)
                for box in first:
                    if box.name:
                        box.name = labels.name_range(box.name, boxes[first.index(box)].name)
                del self.boxes[start:]
            elif boxes:
                first, loop = boxes, Loop()

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


def is_nothing(node: ir.Apply, source: tuple[Box, int], flows: Sequence[Flow]) -> bool:
    """Whether an operation is left out of the picture."""
    return labels.is_plain(node) or labels.adds_nothing(node, flows) or reshaped(node, source)


def reshaped(node: ir.Apply, source: tuple[Box, int]) -> bool:
    """Whether an operation only adds or drops axes of size 1."""
    if node.op != "reshape":
        return False
    before, after = source[0].outputs[source[1]].sizes, node.outputs[0].type.sizes
    return [size for size in before if size != 1] == [size for size in after if size != 1]


def inputs_read(definition: ir.Definition) -> set[str]:
    """The inputs that a function computes with; of others it wants the sizes only."""
    used: set[int] = set()

    def look(region: ir.Region) -> None:
        for node in ir.flat(region):
            operands: list[ir.Operand | None] = []
            match node:
                case ir.Apply():
                    operands += node.inputs
                case ir.Call():
                    operands += node.arguments.values()
                case ir.Scan():
                    operands += [item.operand for item in node.inputs]
                    operands += [o for carry in node.carries for o in (carry.initial, carry.final)]
                    operands += [emission.value for emission in node.emissions]
                    look(node.body)
                case ir.Branch():
                    operands += node.result
                case ir.Return():
                    operands += node.values
            used.update(operand.id for operand in operands if isinstance(operand, ir.Use))

    look(definition.body)
    return {item.name for item in definition.inputs if item.tensor and item.tensor.id in used}


def passed_through(definition: ir.Definition) -> list[str] | None:
    """For a definition that only hands on its inputs, the input that each output is."""
    for node in ir.flat(definition.body):
        if isinstance(node, (ir.Apply, ir.Call, ir.Scan, ir.Sample)):
            return None
    names = {item.tensor.id: item.name for item in definition.inputs if item.tensor}
    found = [names.get(o.value.id) for o in definition.outputs if isinstance(o.value, ir.Use)]
    return None if None in found or len(found) < len(definition.outputs) else [n for n in found if n]


# ---------------------------------------------------------------- sums and frames


def sums(boxes: list[Box]) -> list[Box]:
    """`(a + b) + c` is one sum, where nobody else reads `a + b`."""
    readers: dict[int, int] = {}
    for box in boxes:
        for link in box.links:
            readers[id(link.source)] = readers.get(id(link.source), 0) + 1
    gone: set[int] = set()
    for box in boxes:
        if box.role != "join" or box.title != "+":
            continue
        links: list[Link] = []
        for link in box.links:
            inner = link.source
            if inner.role == "join" and inner.title == "+" and readers[id(inner)] == 1 and link.times == 1:
                gone.add(id(inner))
                links.extend(inner.links)
            else:
                links.append(link)
        box.links = links
    return [box for box in boxes if id(box) not in gone]


def framed(boxes: list[Box]) -> list[Box]:
    """The boxes with those of one loop as a frame; a loop of one box is that box, times n."""
    result: list[Box] = []
    done: set[int] = set()
    for box in boxes:
        if id(box) in done:
            continue
        if not box.loops:
            result.append(box)
            continue
        loop = box.loops[0]
        members = [other for other in boxes if other.loops and other.loops[0] is loop]
        for member in members:
            member.loops = member.loops[1:]
            done.add(id(member))
        if len(members) == 1 and not loop.title:
            member = members[0]
            member.count *= loop.count
            member.parallel = loop.parallel
            result.extend(framed([member]))
        else:
            result.append(_frame(loop, members, boxes))
    return ordered(result)


def _frame(loop: Loop, members: list[Box], everyone: list[Box]) -> Box:
    """A box with the members inside, and ports where links cross its border."""
    frame = Box("frame", loop.title, "frame", count=loop.count, parallel=loop.parallel, steps=loop.steps)
    inside = {id(box) for box in members}
    ports: dict[tuple[int, int], tuple[Box, Link]] = {}
    for box in members:
        kept = []
        for link in box.links:
            if id(link.source) in inside:
                kept.append(link)
                continue
            if link.instead is not None:  # another source of the same port in some rounds
                port, outer = ports[id(link.instead), -1]
                frame.links.append(Link(link.source, link.port, outer.name, link.times, outer))
                continue
            key = (id(link.source), link.port)
            if key not in ports:
                type_ = link.source.outputs[link.port]
                title = link.variable or link.name or "x"
                while any(port.title == title for port, _ in ports.values()):
                    title += "′"
                port = Box("input", title, "value", outputs=(type_,))
                outer = Link(link.source, link.port, port.title, link.times)
                ports[key] = port, outer
                frame.links.append(outer)
            ports[id(link), -1] = ports[key]
            kept.append(Link(ports[key][0], 0, link.name, variable=link.variable))
        box.links = kept
    exits: dict[tuple[int, int], int] = {}
    outputs: list[Box] = []
    for box in everyone:
        if id(box) in inside:
            continue
        for link in box.links:
            if id(link.source) not in inside:
                continue
            key = (id(link.source), link.port)
            if key not in exits:
                exits[key] = len(outputs)
                type_ = link.source.outputs[link.port]
                inner = Link(link.source, link.port, "")
                outputs.append(Box("output", "", "value", links=[inner], outputs=(type_,)))
            link.source, link.port = frame, exits[key]
    frame.outputs = tuple(box.outputs[0] for box in outputs)
    entries = list(dict.fromkeys(port for port, _ in ports.values()))
    frame.inside = Graph([*entries, *framed(members), *outputs])
    return frame


def ordered(boxes: list[Box]) -> list[Box]:
    """Sources before their users, otherwise as they were."""
    mine = {id(box) for box in boxes}
    done: set[int] = set()
    result: list[Box] = []

    def visit(box: Box) -> None:
        if id(box) in done or id(box) not in mine:
            return
        done.add(id(box))
        for link in box.links:
            visit(link.source)
        result.append(box)

    for box in boxes:
        visit(box)
    return result


def walk(graph: Graph) -> Iterator[Box]:
    """All boxes, those in frames too."""
    for box in graph.boxes:
        yield box
        if box.inside is not None:
            yield from walk(box.inside)
