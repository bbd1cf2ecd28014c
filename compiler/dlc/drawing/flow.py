"""The flow of tensors through one definition, as boxes and links.

In: a definition of a program. Out: a `Graph`. Layers, functions and inputs are boxes; what carries no
tensor of its own (a cast, an axis of size 1, dropout in evaluation) is not there, what only involves
weights and constants is text (`+ bias`), and equal rounds of a loop are one box or frame, times n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from dlc import ir
from dlc.drawing import labels
from dlc.drawing.frames import framed, needed, sums
from dlc.drawing.graph import Box, Graph, Link, Loop
from dlc.drawing.omissions import inputs_read, is_omitted, passed_through
from dlc.drawing.rounds import Rounds

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
    reader = Reader(program, path, general, Rounds(program, growing))
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


@dataclass
class Reader:
    """Makes the boxes of one body."""

    program: ir.Program
    path: str
    general: bool
    rounds: Rounds
    boxes: list[Box] = field(default_factory=list)
    flows: dict[int, Flow] = field(default_factory=dict)
    items: dict[int, str] = field(default_factory=dict)
    """The list that each tensor was taken from."""

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
        return (self.rounds.stand_in(found[0]), found[1]) if isinstance(found, tuple) else found

    def variable(self, operand: ir.Operand | None) -> str:
        """What the text calls a value."""
        if not isinstance(operand, ir.Use):
            return ""
        return operand.name or self.items.get(operand.id, "")

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
        if len(tensors) == 1:
            ((source, port),) = tensors
            if is_omitted(node, source.outputs[port], flows):
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
            if first and boxes and self.rounds.join(first, boxes, loop):
                del self.boxes[start:]
            elif boxes:
                first, loop = boxes, Loop()
