"""What a picture leaves out: steps that change no number that its reader cares about.

In: operations and definitions of the IR. Out: whether, or what of, they are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc import ir

PLAIN = frozenset({"cast", "stop_gradient", "broadcast"})


def is_omitted(node: ir.Apply, source: ir.TensorType, operands: Sequence[object]) -> bool:
    """Whether an operation on one tensor, which is of type `source`, is left out of the picture."""
    return is_plain(node) or adds_nothing(node, operands) or changes_ones(node, source)


def is_plain(node: ir.Apply) -> bool:
    """Whether an operation hands on its operand, perhaps with more or fewer axes of size 1."""
    if node.op in PLAIN:
        return True
    if node.op == "rearrange":
        left, _, right = str(node.attrs["pattern"].value).partition("->")
        return _axes(left) == _axes(right)
    return False


def _axes(side: str) -> list[str]:
    return [axis for axis in side.split() if axis != "1"] if "(" not in side else [side]


def adds_nothing(node: ir.Apply, operands: Sequence[object]) -> bool:
    """`0 + x`: the start of a sum."""
    return node.op == "add" and any(operand in ("0", "0.0") for operand in operands)


def changes_ones(node: ir.Apply, source: ir.TensorType) -> bool:
    """Whether an operation only adds or drops axes of size 1."""
    if node.op != "reshape":
        return False
    after = node.outputs[0].type.sizes
    return [size for size in source.sizes if size != 1] == [size for size in after if size != 1]


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
