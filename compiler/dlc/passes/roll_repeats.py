"""Marks loops whose rounds all do the same.

In: a program. Out: the same, where a `For` has `uniform=True` if its rounds (two or more) are equal up to
value numbers and the layers' index along this loop, and each round reads from outside either the same value
as all others or what the round before left. An emitter may write such a loop as a scan over stacked weights,
if nothing after it reads what rounds before the last one made.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from dlc import ir
from dlc.passes.keys import expression_key, table_key
from dlc.passes.nodes import changed, each, group, operands, regions, results
from dlc.passes.rewriting import with_definitions

Types = dict[int, ir.TensorType]


def roll_repeats(program: ir.Program) -> ir.Program:
    """Mark the loops of every definition."""
    made = {name: _definition(definition) for name, definition in program.definitions.items()}
    return with_definitions(program, made)


def _definition(definition: ir.Definition) -> ir.Definition:
    types: Types = {item.tensor.id: item.tensor.type for item in definition.inputs if item.tensor}
    types.update((weight.tensor.id, weight.tensor.type) for weight in definition.weights)
    return changed(definition, body=_region(definition.body, types, 0))


def _region(region: ir.Region, types: Types, depth: int | None) -> ir.Region:
    """`depth` is the number of loops around: the place of a loop in the layers' index."""
    return each(region, lambda node: _node(node, types, depth))


def _node(node: ir.Node, types: Types, depth: int | None) -> ir.Node:
    types.update((tensor.id, tensor.type) for tensor in results(node))
    if isinstance(node, ir.For):
        inside = None if depth is None else depth + 1
        rounds = each(node.rounds, lambda step: changed(step, body=_region(step.body, types, inside)))
        return changed(node, rounds=rounds, uniform=_uniform(node, types, depth))
    if isinstance(node, ir.Branch):
        return changed(node, body=_region(node.body, types, depth))
    if isinstance(node, ir.Scan):
        return changed(node, body=_region(node.body, types, None))
    return node


@dataclass(slots=True)
class _Picture:
    """One round. `made` numbers its values from 0; `outside` are the values that it reads from outside, in
    order."""

    number: int
    scopes: set[str]
    depth: int | None
    made: dict[int, int] = field(default_factory=dict)
    outside: list[int] = field(default_factory=list)

    def region(self, region: ir.Region) -> Hashable:
        return tuple([self.node(node) for node in region])

    def node(self, node: ir.Node) -> Hashable:
        entering, leaving = _sides(node) if isinstance(node, ir.Scan) else (operands(node), ())
        read = tuple([self.operand(operand) for operand in entering])
        types = []
        for tensor in results(node):
            self.made[tensor.id] = len(self.made)
            types.append((tensor.type.dtype, tensor.type.sizes))
        if isinstance(node, ir.For):
            self.scopes.update(ref.scope for step in node.rounds for ref in step.variables.values())
        inner = tuple([self.region(region) for region in regions(node)])
        left = tuple([self.operand(operand) for operand in leaving])
        return (group(node), read, tuple(types), inner, left, self.details(node))

    def operand(self, operand: ir.Operand) -> Hashable:
        if isinstance(operand, ir.Static):
            return ("static", expression_key(operand.expr, self.scopes))
        if operand.id in self.made:
            return ("made", self.made[operand.id])
        if isinstance(operand, ir.Weight):
            return ("weight", operand.path)
        self.outside.append(operand.id)
        return ("outside",)

    def index(self, index: tuple[int, ...]) -> Hashable:
        """A layer's index with this loop's place left open."""
        at = self.depth
        if at is not None and at < len(index) and index[at] == self.number:
            return (*index[:at], "round", *index[at + 1 :])
        return index

    def details(self, node: ir.Node) -> Hashable:
        match node:
            case ir.Apply():
                return (node.op, table_key(node.attrs, self.scopes), node.constant)
            case ir.Call():
                given = tuple([(name, operand is None) for name, operand in node.arguments.items()])
                statics = table_key(node.statics, self.scopes), table_key(node.sizes, self.scopes)
                return (node.callee, node.layer, self.index(node.index), given, statics)
            case ir.Sample():
                return (node.distribution.name, table_key(node.distribution.args, self.scopes))
            case ir.For():
                return tuple([table_key(step.variables, self.scopes) for step in node.rounds])
            case ir.Branch():
                return node.taken
            case ir.Scan():
                steps = tuple([item.operand is None for item in node.inputs])
                return (node.axis, expression_key(node.length, self.scopes), steps, len(node.carries))
            case ir.List():
                return node.edit
            case ir.Check():
                return expression_key(node.condition, self.scopes)
            case ir.Item():
                return (node.name, expression_key(node.position, self.scopes))
        return None


def _sides(node: ir.Scan) -> tuple[tuple[ir.Operand, ...], tuple[ir.Operand, ...]]:
    """What a scan reads before its first step, and what it reads at the end of each."""
    given = tuple(item.operand for item in node.inputs if item.operand is not None)
    final = (*(carry.final for carry in node.carries), *(e.value for e in node.emissions))
    return (*given, *(carry.initial for carry in node.carries)), final


def _uniform(node: ir.For, types: Types, depth: int | None) -> bool:
    if len(node.rounds) < 2 or any(not step.body for step in node.rounds):
        return False
    pictures, shapes = [], set()
    for number, step in enumerate(node.rounds):
        picture = _Picture(number, {ref.scope for ref in step.variables.values()}, depth)
        shapes.add(picture.region(step.body))
        pictures.append(picture)
        if len(shapes) > 1:
            return False
    return _carried(pictures, types)


def _carried(pictures: list[_Picture], types: Mapping[int, ir.TensorType]) -> bool:
    """Whether every value from outside is the same in all rounds, or comes from the round before."""
    columns = zip(*(picture.outside for picture in pictures), strict=True)
    for column in columns:
        if len(set(column)) == 1:
            continue
        sources = {before.made.get(value) for before, value in zip(pictures, column[1:], strict=False)}
        if len(sources) != 1 or None in sources:
            return False
        first, second = (types.get(value) for value in column[:2])
        if first is None or second is None or (first.dtype, first.sizes) != (second.dtype, second.sizes):
            return False
    return True
