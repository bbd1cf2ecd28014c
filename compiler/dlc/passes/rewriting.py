"""Replaces values and removes nodes in a program, keeping the names by which they are read.

In: an `Edit` for each definition that changes: the nodes to remove, and what to read instead of their values.
Out: the new program; definitions without an edit are the same objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlc import ir
from dlc.passes.nodes import Group, changed, each, families, group, swapped


@dataclass(slots=True)
class Edit:
    """Changes of one definition: nodes by Python identity, values by number."""

    removed: set[int] = field(default_factory=set)
    replaced: dict[int, ir.Operand] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a pass could do at a node. It is done where `what` is the same throughout the family.

    `replacements` has one operand for each value of the node.
    """

    node: ir.Node
    what: object
    replacements: tuple[ir.Operand, ...]


Findings = Iterable[tuple[ir.Node, Finding | None]]


def decide(members: Sequence[tuple[ir.Definition, Findings]]) -> dict[str, Edit]:
    """The edits of one family: a node goes only if it goes, in the same way, wherever it is.

    Emitters merge the elaborations of a text node by node; a node missing from some would not merge.
    """
    verdicts: dict[Group, object] = {}
    hopeful: dict[str, list[Finding]] = {}
    for definition, findings in members:
        for node, finding in findings:
            key = group(node)
            what = None if finding is None else finding.what
            if verdicts.setdefault(key, what) != what:
                verdicts[key] = None
            if finding is not None:
                hopeful.setdefault(definition.id, []).append(finding)
    edits: dict[str, Edit] = {}
    for name, found in hopeful.items():
        for finding in found:
            if verdicts[group(finding.node)] is not None:
                edit = edits.setdefault(name, Edit())
                edit.removed.add(id(finding.node))
                for tensor, operand in zip(finding.node.outputs, finding.replacements, strict=True):  # type: ignore[union-attr]
                    edit.replaced[tensor.id] = operand
    return edits


def rewrite_families(
    program: ir.Program, find: Callable[[ir.Definition], list[tuple[ir.Node, Finding | None]]]
) -> ir.Program:
    """Apply what `find` finds, family by family, where the whole family agrees."""
    edits: dict[str, Edit] = {}
    for members in families(program):
        edits.update(decide([(definition, find(definition)) for definition in members]))
    return edited(program, edits)


def edited(program: ir.Program, edits: Mapping[str, Edit]) -> ir.Program:
    """The program with every edit applied."""
    made = {
        name: _Editor(edits[name]).definition(definition) if name in edits else definition
        for name, definition in program.definitions.items()
    }
    return with_definitions(program, made)


def with_definitions(program: ir.Program, made: Mapping[str, ir.Definition]) -> ir.Program:
    """The program with other definitions; itself where they are the same objects."""
    old = program.definitions
    if len(made) == len(old) and all(definition is old.get(name) for name, definition in made.items()):
        return program
    return changed(program, definitions=made)


class _Editor:
    """Applies one edit. `names` is what each variable holds at the current node."""

    def __init__(self, edit: Edit) -> None:
        self.edit = edit
        self.names: dict[str, int] = {}

    def definition(self, definition: ir.Definition) -> ir.Definition:
        for item in definition.inputs:
            if item.tensor is not None:
                self.names[item.name] = item.tensor.id
        body = self.region(definition.body)
        outputs = each(definition.outputs, lambda o: changed(o, value=self.operand(o.value)))
        return changed(definition, body=body, outputs=outputs)

    def operand(self, operand: ir.Operand) -> ir.Operand:
        """What to read instead: through the same variable, or one that still holds the value."""
        if type(operand) is not ir.Use:
            return operand
        new: ir.Operand | None = operand
        name = operand.name
        while type(new) is ir.Use and new.id in self.edit.replaced:
            new = self.edit.replaced[new.id]
        if new is operand or new is None:
            return operand
        if type(new) is ir.Use:
            kept = name or new.name
            return ir.Use(id=new.id, name=kept if kept and self.names.get(kept) == new.id else None)
        return new

    def region(self, region: ir.Region) -> ir.Region:
        made: list[ir.Node] = []
        for node in region:
            if id(node) not in self.edit.removed:
                kept = self.node(node)
                made.append(kept)
                self.learn(kept)
        same = len(made) == len(region) and all(a is b for a, b in zip(made, region, strict=True))
        return region if same else tuple(made)

    def learn(self, node: Any) -> None:
        kind = type(node)
        if kind is ir.Bind and type(node.value) is not ir.Static:
            self.names[node.name] = node.value.id
        elif kind is ir.Sample:
            self.names[node.name] = node.output.id
        elif kind is ir.Scan:
            self.names.update((item.name, item.output.id) for item in (*node.carries, *node.emissions))

    def node(self, node: ir.Node) -> ir.Node:
        if type(node) is ir.For:
            over = each(node.over, self.operand)
            rounds = each(node.rounds, lambda step: changed(step, body=self.region(step.body)))
            return changed(node, over=over, rounds=rounds)
        if type(node) is ir.Branch:
            body = self.region(node.body)
            return changed(node, body=body, result=each(node.result, self.operand))
        if type(node) is ir.Scan:
            return self.scan(node)
        return swapped(node, self.operand)

    def scan(self, node: ir.Scan) -> ir.Scan:
        inputs = each(
            node.inputs,
            lambda i: i if i.operand is None else changed(i, operand=self.operand(i.operand)),
        )
        carries = each(node.carries, lambda c: changed(c, initial=self.operand(c.initial)))
        outside = dict(self.names)
        self.names.update((item.name, item.inside.id) for item in node.inputs)
        self.names.update((carry.name, carry.inside.id) for carry in node.carries)
        body = self.region(node.body)
        carries = each(carries, lambda c: changed(c, final=self.operand(c.final)))
        emissions = each(node.emissions, lambda e: changed(e, value=self.operand(e.value)))
        self.names = outside
        return changed(node, inputs=inputs, carries=carries, body=body, emissions=emissions)
