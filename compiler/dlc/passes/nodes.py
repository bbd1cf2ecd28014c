"""What passes ask of any node: its operands, the values it makes, the regions inside it.

In: a node. Out: tuples, or the node with operands replaced. One table per question; a node that does not
change is returned as it is, so that passes cost nothing where they find nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

from dlc import ir
from dlc_grammar.record import Struct, replace

Group: TypeAlias = tuple[str, int, str]
"""What the elaborations of one text have in common at a node: see `group`."""
Swap: TypeAlias = Callable[[ir.Operand], ir.Operand]
Model = TypeVar("Model", bound=Struct)

_NAMED = (ir.Bind, ir.List, ir.Sample, ir.Update)


def group(node: Any) -> Group:
    """The key by which emitters merge a node with the same node of other elaborations."""
    return node.kind, node.origin, node.name if type(node) in _NAMED else ""


def families(program: ir.Program) -> Iterator[tuple[ir.Definition, ...]]:
    """The definitions that are elaborations of one text: an emitter writes each family as one unit."""
    found: dict[str, list[ir.Definition]] = {}
    for definition in program.definitions.values():
        found.setdefault(definition.family, []).append(definition)
    return (tuple(members) for members in found.values())


def walk(region: ir.Region) -> Iterator[ir.Node]:
    """Every node, with what is inside loops, branches and scans after the node around it."""
    for node in region:
        yield node
        for inner in regions(node):
            yield from walk(inner)


def regions(node: ir.Node) -> tuple[ir.Region, ...]:
    """The regions inside a node."""
    kind = type(node)
    if kind is ir.For:
        return tuple(step.body for step in node.rounds)  # type: ignore[union-attr]
    if kind is ir.Branch or kind is ir.Scan:
        return (node.body,)  # type: ignore[union-attr]
    return ()


# ---------------------------------------------------------------- operands and results


def _present(operands: Iterable[ir.Operand | None]) -> tuple[ir.Operand, ...]:
    return tuple(operand for operand in operands if operand is not None)


def _scan_operands(node: ir.Scan) -> tuple[ir.Operand, ...]:
    carried = (operand for carry in node.carries for operand in (carry.initial, carry.final))
    emitted = (emission.value for emission in node.emissions)
    return (*_present(item.operand for item in node.inputs), *carried, *emitted)


def _scan_results(node: ir.Scan) -> tuple[ir.Tensor, ...]:
    inside = (*(item.inside for item in node.inputs), *(carry.inside for carry in node.carries))
    return (*inside, *(carry.output for carry in node.carries), *(e.output for e in node.emissions))


_OPERANDS: Mapping[type, Callable[[Any], tuple[ir.Operand, ...]]] = {
    ir.Apply: lambda node: node.inputs,
    ir.Call: lambda node: _present(node.arguments.values()),
    ir.Bind: lambda node: (node.value,),
    ir.Sample: lambda node: (),
    ir.Update: lambda node: (node.value,),
    ir.For: lambda node: node.over,
    ir.Branch: lambda node: node.result,
    ir.Scan: _scan_operands,
    ir.List: lambda node: node.items,
    ir.Item: lambda node: (node.value,),
    ir.Return: lambda node: node.values,
    ir.Check: lambda node: (),
}

_RESULTS: Mapping[type, Callable[[Any], tuple[ir.Tensor, ...]]] = {
    ir.Apply: lambda node: node.outputs,
    ir.Call: lambda node: node.outputs,
    ir.Branch: lambda node: node.outputs,
    ir.Sample: lambda node: (node.output,),
    ir.Item: lambda node: (node.output,),
    ir.Scan: _scan_results,
}


def operands(node: ir.Node) -> tuple[ir.Operand, ...]:
    """The operands of the node itself; those of nodes inside it are not listed."""
    return _OPERANDS[type(node)](node)


def results(node: ir.Node) -> tuple[ir.Tensor, ...]:
    """The values that the node makes; a scan makes those that its steps start with, too."""
    made = _RESULTS.get(type(node))
    return made(node) if made is not None else ()


# ---------------------------------------------------------------- replacing operands


def changed(model: Model, **fields: Any) -> Model:
    """The model with these fields, or itself where they are what it has."""
    if all(getattr(model, name) is value for name, value in fields.items()):
        return model
    return replace(model, **fields)


def each(items: tuple[Any, ...], change: Callable[[Any], Any]) -> tuple[Any, ...]:
    """The items changed, or the same tuple where none does."""
    made = tuple([change(item) for item in items])
    return items if all(map(_same, made, items)) else made


def _same(a: object, b: object) -> bool:
    return a is b


def _call(node: ir.Call, swap: Swap) -> ir.Call:
    given = {name: operand if operand is None else swap(operand) for name, operand in node.arguments.items()}
    same = all(map(_same, given.values(), node.arguments.values()))
    return node if same else changed(node, arguments=given)


_REPLACED: Mapping[type, Callable[[Any, Swap], ir.Node]] = {
    ir.Apply: lambda node, swap: changed(node, inputs=each(node.inputs, swap)),
    ir.Call: _call,
    ir.Bind: lambda node, swap: changed(node, value=swap(node.value)),
    ir.Update: lambda node, swap: changed(node, value=swap(node.value)),
    ir.List: lambda node, swap: changed(node, items=each(node.items, swap)),
    ir.Item: lambda node, swap: changed(node, value=swap(node.value)),
    ir.Return: lambda node, swap: changed(node, values=each(node.values, swap)),
}


def swapped(node: ir.Node, swap: Swap) -> ir.Node:
    """A node without regions, with every operand replaced."""
    change = _REPLACED.get(type(node))
    return node if change is None else change(node, swap)
