"""How many floating-point operations a definition takes, from its types alone.

Counted are convolutions, matrix products and einsums, a multiplication and an addition as two; everything
else is small beside them. A count is a polynomial over the size variables of the network (`Dim`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from dlc import ir
from dlc.dims import Dim

Count: TypeAlias = "int | Dim"

CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv2d_same"})
TRANSPOSED = frozenset({"conv2d_transpose"})


def product(sizes: Iterable[Count]) -> Count:
    return math.prod(sizes)


def region_tensors(region: ir.Region) -> Iterable[ir.Tensor]:
    """Every value that a body makes, inside scans too."""
    for node in ir.flat(region):
        match node:
            case ir.Apply() | ir.Call() | ir.Branch():
                yield from node.outputs
            case ir.Sample() | ir.Item():
                yield node.output
            case ir.Scan():
                yield from (part.inside for part in node.inputs)
                for carry in node.carries:
                    yield from (carry.inside, carry.output)
                yield from (emission.output for emission in node.emissions)
                yield from region_tensors(node.body)


@dataclass
class Counter:
    """Counts for one program; a definition is looked at once."""

    program: ir.Program
    _shapes: dict[str, dict[int, tuple[Count, ...]]] = field(default_factory=dict)
    _own: dict[str, Count] = field(default_factory=dict)

    def definition(self, name: str) -> Count:
        """The operations of one run of a definition, with everything that it calls."""
        if name not in self._own:
            definition = self.program.definitions[name]
            self._own[name] = self.region(definition, definition.body)
        return self._own[name]

    def region(self, definition: ir.Definition, region: ir.Region) -> Count:
        total: Count = 0
        for node in ir.flat(region):
            match node:
                case ir.Apply() if not node.constant:
                    total = total + self.apply(definition, node)
                case ir.Call() if not node.constant:
                    total = total + self.definition(node.callee)
                case ir.Scan():
                    total = total + self.region(definition, node.body) * node.length.value
        return total

    def apply(self, definition: ir.Definition, node: ir.Apply) -> Count:
        output = product(node.outputs[0].type.sizes)
        if node.op in CONVOLUTIONS:
            return 2 * output * product(self.shape(definition, node.inputs[1])[1:])
        if node.op in TRANSPOSED:
            image, weight = (self.shape(definition, operand) for operand in node.inputs[:2])
            return 2 * product(image) * product(weight[1:])
        if node.op == "matmul":
            return 2 * output * self.shape(definition, node.inputs[0])[-1]
        if node.op == "einsum":
            shapes = [self.shape(definition, operand) for operand in node.inputs]
            return einsum_count(str(node.attrs["equation"].value), shapes)
        return 0

    def shape(self, definition: ir.Definition, operand: ir.Operand) -> tuple[Count, ...]:
        if isinstance(operand, ir.Static):
            return ()
        if isinstance(operand, ir.Weight):
            declared = self.weight_shape(definition, operand.path)
            if declared is not None:
                return declared
        return self.shapes(definition).get(operand.id, ())

    def shapes(self, definition: ir.Definition) -> Mapping[int, tuple[Count, ...]]:
        if definition.id not in self._shapes:
            found = {item.tensor.id: item.tensor.type.sizes for item in definition.inputs if item.tensor}
            found |= {weight.tensor.id: weight.tensor.type.sizes for weight in definition.weights}
            found |= {tensor.id: tensor.type.sizes for tensor in region_tensors(definition.body)}
            self._shapes[definition.id] = found
        return self._shapes[definition.id]

    def weight_shape(self, definition: ir.Definition, path: tuple[str, ...]) -> tuple[Count, ...] | None:
        """The shape of a weight of this definition, or of a layer inside it."""
        for weight in definition.weights:
            if path == (weight.name,):
                return weight.tensor.type.sizes
        for layer in definition.layers:
            head = (layer.name, *map(str, layer.index))
            if path[: len(head)] == head and len(path) > len(head):
                for name in layer.definitions:
                    found = self.weight_shape(self.program.definitions[name], path[len(head) :])
                    if found is not None:
                        return found
        return None


def einsum_count(equation: str, shapes: list[tuple[Count, ...]]) -> Count:
    """One multiplication for each further operand, and an addition if anything is summed."""
    left, _, right = equation.partition("->")
    sizes: dict[str, Any] = {}
    for axes, shape in zip(left.split(","), shapes, strict=False):
        sizes.update(zip(axes.split(), shape, strict=False))
    summed = set(sizes) - set(right.split())
    return (len(shapes) - 1 + bool(summed)) * product(sizes.values())
