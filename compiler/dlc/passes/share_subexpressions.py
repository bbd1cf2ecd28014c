"""Computes equal values once.

In: a program. Out: the same, where a primitive (or a function that draws nothing, keeps nothing and checks
nothing) that is applied again to the same operands is the earlier value. The earlier node stands in the same
region or in one around it; variables stay, bound to the earlier value. What reads a state stays, as
the state may have changed in between.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from dlc import ir
from dlc.passes.effects import Effects, effects
from dlc.passes.keys import expression_key, table_key
from dlc.passes.nodes import group, regions
from dlc.passes.rewriting import Finding, rewrite_families

Sharable = ir.Apply | ir.Call
Entries = list[tuple[ir.Node, Finding | None]]


CREATIONS = frozenset({"full", "zeros_like", "ones_like", "arange"})
"""As cheap to make again as to keep: `c = zeros(...)` reads better than `c = h`."""


def share_subexpressions(program: ir.Program) -> ir.Program:
    """Share within each definition, where all elaborations of its text share."""
    known = effects(program)
    return rewrite_families(program, lambda definition: _Numbering(definition, known).entries())


@dataclass(slots=True)
class _Numbering:
    """Value numbering of one definition. `same` maps a value to the first one that is equal."""

    definition: ir.Definition
    effects: Mapping[str, Effects]
    same: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)
    states: frozenset[int] = frozenset()
    found: Entries = field(default_factory=list)

    def entries(self) -> Entries:
        weights = self.definition.weights
        self.states = frozenset(weight.tensor.id for weight in weights if weight.kind == "state")
        self.region(self.definition.body, ChainMap())
        return self.found

    def region(self, region: ir.Region, table: ChainMap[Hashable, Sharable]) -> None:
        """`table` is what was computed so far here and in the regions around."""
        for node in region:
            if isinstance(node, Sharable):
                self.found.append((node, self.share(node, table)))
            elif type(node) is ir.Bind:
                self.bind(node)
            for inner in regions(node):
                self.region(inner, table.new_child())

    def bind(self, node: ir.Bind) -> None:
        if type(node.value) is ir.Use:
            number = self.same.get(node.value.id, node.value.id)
            self.names.setdefault(number, node.name)
            self.holds[node.name] = number

    def share(self, node: Sharable, table: ChainMap[Hashable, Sharable]) -> Finding | None:
        key = self.key(node)
        if key is None:
            return None
        earlier = table.setdefault(key, node)
        if earlier is node:
            return None
        uses = []
        for tensor, first in zip(node.outputs, earlier.outputs, strict=True):
            self.same[tensor.id] = first.id
            name = self.names.get(first.id)
            holds = name is not None and self.holds.get(name) == first.id
            uses.append(ir.Use(id=first.id, name=name if holds else None))
        what = (group(earlier), tuple([use.name for use in uses]))
        return Finding(node, what, tuple(uses))

    def key(self, node: Sharable) -> Hashable | None:
        """What the node computes; None where it may differ each time."""
        if node.constant or (isinstance(node, ir.Apply) and node.op in CREATIONS):
            return None
        if type(node) is ir.Apply:
            inputs = tuple([self.operand(operand) for operand in node.inputs])
            return None if None in inputs else (node.op, inputs, table_key(node.attrs))
        assert isinstance(node, ir.Call)
        if node.layer is not None or not self.effects[node.callee].pure:
            return None
        names = tuple(node.arguments)
        given = tuple([("none",) if o is None else self.operand(o) for o in node.arguments.values()])
        return None if None in given else ("call", node.callee, names, given, table_key(node.statics))

    def operand(self, operand: ir.Operand) -> Hashable | None:
        if isinstance(operand, ir.Static):
            return ("static", expression_key(operand.expr))
        if operand.id in self.states or (isinstance(operand, ir.Weight) and len(operand.path) > 1):
            return None
        return self.same.get(operand.id, operand.id)
