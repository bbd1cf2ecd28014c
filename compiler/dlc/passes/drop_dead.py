"""Drops what nothing reads.

In: a program. Out: the same without nodes, names and calls whose values are unused, and without the functions
that are then never called. Draws, updates, checks and calls that contain one stay, and so do all parameters.
A node is dropped only if it is dead in every elaboration of its text: emitters merge them node by node. Of
the names that one statement gives (`a, b = f(x)`, the fields of a record), all stay or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dlc import ir
from dlc.passes.effects import ACTING, Effects, effects
from dlc.passes.nodes import Group, changed, each, families, group, operands, regions, results, walk
from dlc.passes.rewriting import with_definitions

STAYING = (*ACTING, ir.List)
"""Nodes that are never dead; lists are read by name, which operands do not show."""

Statement = tuple[str, int, int]


def drop_dead(program: ir.Program) -> ir.Program:
    """Drop dead nodes until no function is left uncalled."""
    known = effects(program)
    made: dict[str, ir.Definition] = {}
    for members in families(program):
        living = _Liveness(known).family(members)
        made.update((definition.id, _kept(definition, living)) for definition in members)
    ordered = {name: made[name] for name in program.definitions}
    return _without_uncalled(program, ordered)


@dataclass(slots=True)
class _Known:
    """What is known of one definition: where its lists of layers are made, who makes each value, and who
    gives it a name."""

    layers: tuple[ir.Location, ...] = ()
    makers: dict[int, Group] = field(default_factory=dict)
    binds: dict[tuple[int, str], list[Group]] = field(default_factory=dict)


@dataclass(slots=True)
class _Liveness:
    """Which groups of a family are alive: found from those that act, through what they read."""

    effects: Mapping[str, Effects]
    members: dict[Group, list[tuple[ir.Node, _Known]]] = field(default_factory=dict)
    parents: dict[Group, set[Group]] = field(default_factory=dict)
    alive: set[Group] = field(default_factory=set)
    todo: list[Group] = field(default_factory=list)
    statements: dict[Statement, set[Group]] = field(default_factory=dict)

    def family(self, definitions: Sequence[ir.Definition]) -> set[Group]:
        for definition in definitions:
            known = _Known(tuple(layer.at for layer in definition.layers if layer.index))
            self.collect(definition.body, known, None)
            for output in definition.outputs:
                self.read(output.value, known)
        while self.todo:
            key = self.todo.pop()
            for parent in self.parents.get(key, ()):
                self.mark(parent)
            for node, known in self.members[key]:
                if isinstance(node, ir.Bind):
                    for sibling in self.statements[_statement(node)]:
                        self.mark(sibling)
                for operand in operands(node):
                    self.read(operand, known)
        return self.alive

    def collect(self, region: ir.Region, known: _Known, parent: Group | None) -> None:
        for node in region:
            key = group(node)
            self.members.setdefault(key, []).append((node, known))
            if parent is not None:
                self.parents.setdefault(key, set()).add(parent)
            for tensor in results(node):
                known.makers[tensor.id] = key
            if isinstance(node, ir.Bind):
                self.statements.setdefault(_statement(node), set()).add(key)
                if not isinstance(node.value, ir.Static):
                    known.binds.setdefault((node.value.id, node.name), []).append(key)
            elif self.acts(node) or _makes_layers(node, known):
                self.mark(key)
            for inner in regions(node):
                self.collect(inner, known, key)

    def acts(self, node: ir.Node) -> bool:
        """Whether the node stays even if nobody reads it."""
        if isinstance(node, ir.Call):
            return self.effects[node.callee].acts
        return type(node) in STAYING

    def mark(self, key: Group) -> None:
        if key not in self.alive:
            self.alive.add(key)
            self.todo.append(key)

    def read(self, operand: ir.Operand, known: _Known) -> None:
        if isinstance(operand, ir.Static):
            return
        if operand.id in known.makers:
            self.mark(known.makers[operand.id])
        if isinstance(operand, ir.Use) and operand.name is not None:
            for key in known.binds.get((operand.id, operand.name), ()):
                self.mark(key)


def _makes_layers(node: ir.Node, known: _Known) -> bool:
    """Whether it is a loop in whose text a list of layers is made: constructors read it."""
    return isinstance(node, ir.For) and any(
        node.at.file == at.file and node.at.start <= at.start and at.stop <= node.at.stop
        for at in known.layers
    )


def _statement(node: ir.Bind) -> Statement:
    return node.at.file, node.at.start, node.at.stop


# ---------------------------------------------------------------- removal


def _kept(definition: ir.Definition, living: set[Group]) -> ir.Definition:
    return changed(definition, body=_region(definition.body, living))


def _region(region: ir.Region, living: set[Group]) -> ir.Region:
    made = tuple([_node(node, living) for node in region if group(node) in living])
    same = len(made) == len(region) and all(a is b for a, b in zip(made, region, strict=True))
    return region if same else made


def _node(node: ir.Node, living: set[Group]) -> ir.Node:
    if isinstance(node, ir.For):
        return changed(
            node, rounds=each(node.rounds, lambda step: changed(step, body=_region(step.body, living)))
        )
    if isinstance(node, (ir.Branch, ir.Scan)):
        return changed(node, body=_region(node.body, living))
    return node


def _without_uncalled(program: ir.Program, made: Mapping[str, ir.Definition]) -> ir.Program:
    """The program without functions that were called before and are not any more."""
    if all(definition is program.definitions[name] for name, definition in made.items()):
        return program
    calls = {name: _called([definition]) for name, definition in made.items()}
    counts = dict.fromkeys(_called(program.definitions.values()), 0)
    for callees in calls.values():
        for callee in callees:
            counts[callee] += 1
    gone: set[str] = set()
    todo = [name for name, count in counts.items() if count == 0]
    while todo:
        name = todo.pop()
        if made[name].kind == "fn":
            gone.add(name)
            for callee in calls[name]:
                counts[callee] -= 1
                if counts[callee] == 0:
                    todo.append(callee)
    return with_definitions(program, {name: d for name, d in made.items() if name not in gone})


def _called(definitions: Iterable[ir.Definition]) -> set[str]:
    return {n.callee for d in definitions for n in walk(d.body) if isinstance(n, ir.Call)}
