"""From a program to the plan of a file: one unit per block of the text.

In: an `ir.Program` in which every `(block, parameters, input types, mode)` is a definition of its own, and
the definitions that a backend claims as natives. Out: `plan.FilePlan`, in which all elaborations of one
text are one class or function again. Elaborations that cannot be one unit become several, with distinct
names.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import prod

from dlc.emit.arguments import annotate
from dlc.emit.callees import Registry
from dlc.emit.evaluation import callables
from dlc.emit.flags import FlagTable, nodes
from dlc.emit.merge import CannotMerge
from dlc.emit.naming import unit_name
from dlc.emit.plan import ConfigField, FilePlan, Unit
from dlc.emit.specialise import specialised
from dlc.emit.starts import find_starts
from dlc.emit.static_functions import with_functions
from dlc.emit.units import UnitBuilder
from dlc.emit.unread import without_unread
from dlc.ir import Call, Definition, Program

NOTHING: frozenset[str] = frozenset()


def plan_file(
    program: Program,
    *,
    native_definitions: frozenset[str] = NOTHING,
    reserved: frozenset[str] = NOTHING,
    reserved_attributes: frozenset[str] = NOTHING,
) -> FilePlan:
    """The plan of a program.

    `native_definitions`: ids of definitions that the backend writes in its framework's words. `reserved`:
    names of the file that units and variables must not take; `reserved_attributes`: names that layers and
    parameters must not take.
    """
    planner = Planner(program, native_definitions, reserved, reserved_attributes)
    collecting = gc.isenabled()
    gc.disable()  # planning makes many small values that live until it is done: collecting only costs time
    try:
        return planner.plan()
    finally:
        if collecting:
            gc.enable()


@dataclass(slots=True)
class Planner:
    """Plans the families of a program, callees first."""

    program: Program
    natives: frozenset[str]
    reserved: frozenset[str]
    reserved_attributes: frozenset[str]
    units: list[Unit] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    used_natives: set[str] = field(default_factory=set)

    def plan(self) -> FilePlan:
        program = self.program
        flags, starts = FlagTable(program.definitions), find_starts(program)
        registry = Registry(program.definitions, self.natives, flags, starts, callables(program.functions))
        families = self._families()
        functions = {d[0].name for d in families if d[0].kind == "fn"}
        target, self.reserved = self.reserved, self.reserved | functions | program.functions.keys()
        self.names |= program.functions.keys()
        for family in families:
            self._family(family, registry)
        parameters = program.parameters.items()
        plan = specialised(
            FilePlan(
                network=program.name,
                preset=program.preset,
                source=program.source,
                doc=program.doc,
                config=tuple(
                    ConfigField(name=name, annotation=annotate([expr.value]), value=expr.value)
                    for name, expr in parameters
                ),
                units=tuple(self.units),
                parameter_count=sum(prod(w.shape) for w in program.weights if w.kind == "param"),
                natives=frozenset(self.used_natives),
            )
        )
        return with_functions(without_unread(plan), program.functions, target)

    # ------------------------------------------------------------ families

    def _families(self) -> list[list[Definition]]:
        """Reachable definitions that are not native, by family, callees before callers."""
        order: dict[str, list[Definition]] = {}
        seen: set[str] = set()
        done: dict[str, None] = {}
        roots = [key for method in self.program.methods for key in method.elaborations]
        stack: list[tuple[str, Iterator[str]]] = []

        def enter(key: str) -> None:
            seen.add(key)
            if key in self.natives:
                self.used_natives.add(self.program.definitions[key].name)
                return
            stack.append((key, iter(list(self._callees(self.program.definitions[key])))))

        for root in roots:
            if root not in seen:
                enter(root)
            while stack:
                key, callees = stack[-1]
                following = next((callee for callee in callees if callee not in seen), None)
                if following is not None:
                    enter(following)
                else:
                    stack.pop()
                    done[key] = None
        for key in done:
            definition = self.program.definitions[key]
            order.setdefault(definition.family, []).append(definition)
        return _callees_first(list(order.values()), self._callees)

    def _callees(self, definition: Definition) -> Iterable[str]:
        for node in nodes(definition.body):
            if isinstance(node, Call):
                yield node.callee
        for layer in definition.layers:
            yield from layer.definitions

    # ------------------------------------------------------------ units

    def _family(self, definitions: list[Definition], registry: Registry) -> None:
        """One unit for all definitions, or as few as can be merged."""
        atoms = self._instances(definitions)
        try:
            self._build(atoms, registry)
            return
        except CannotMerge:
            if len(atoms) == 1:
                raise
        groups: list[list[list[Definition]]] = []
        for atom in atoms:
            for group in groups:
                if self._can_build([*group, atom], registry):
                    group.append(atom)
                    break
            else:
                groups.append([atom])
        for group in groups:
            self._build(group, registry)

    def _can_build(self, atoms: list[list[Definition]], registry: Registry) -> bool:
        try:
            self._builder(atoms, registry, "unit").build()
        except CannotMerge:
            return False
        return True

    def _build(self, atoms: list[list[Definition]], registry: Registry) -> None:
        first = atoms[0][0]
        wanted = self.program.name if first.kind == "net" and self._is_model(first) else first.name
        name = unit_name(wanted, self.names, self.reserved - {first.name})
        unit, built = self._builder(atoms, registry, name).build()
        self.names |= {name, *(table.name for table in unit.tables)}
        self.units.append(unit)
        for key in built.definitions:
            registry.units[key] = built

    def _is_model(self, definition: Definition) -> bool:
        keys = {key for method in self.program.methods for key in method.elaborations}
        return definition.id in keys

    def _builder(self, atoms: list[list[Definition]], registry: Registry, name: str) -> UnitBuilder:
        definitions = [definition for atom in atoms for definition in atom]
        instances = {d.id: number for number, atom in enumerate(atoms) for d in atom}
        return UnitBuilder(
            name=name,
            definitions=definitions,
            is_model=any(self._is_model(definition) for definition in definitions),
            instances=instances,
            registry=registry,
            reserved=self.reserved,
            reserved_attributes=self.reserved_attributes,
            functions=self.names,
        )

    def _instances(self, definitions: list[Definition]) -> list[list[Definition]]:
        """Definitions by instance: the methods and modes of one layer; the modes of one function."""
        groups: dict[object, list[str]] = {}
        members = {d.id for d in definitions}
        for definition in definitions:
            values = tuple((k, repr(v.value)) for k, v in definition.statics.items())
            types = tuple(str(i.tensor.type) if i.tensor else None for i in definition.inputs)
            key = (values,) if definition.kind == "net" else (definition.method, values, types)
            groups.setdefault(key, []).append(definition.id)
        unions = list(groups.values())
        for definition in self.program.definitions.values():
            unions += [[k for k in layer.definitions if k in members] for layer in definition.layers]
        return _united(definitions, unions)


def _united(definitions: list[Definition], unions: list[list[str]]) -> list[list[Definition]]:
    """The definitions in connected groups, in their order."""
    parent = {d.id: d.id for d in definitions}

    def find(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for union in unions:
        for key in union[1:]:
            parent[find(key)] = find(union[0])
    found: dict[str, list[Definition]] = {}
    for definition in definitions:
        found.setdefault(find(definition.id), []).append(definition)
    return list(found.values())


def _callees_first(families: list[list[Definition]], callees: object) -> list[list[Definition]]:
    """Families in an order in which each comes after all that it calls."""
    family_of = {d.id: i for i, family in enumerate(families) for d in family}
    needs: list[set[int]] = []
    for i, family in enumerate(families):
        called = {family_of.get(key, i) for d in family for key in callees(d)}  # type: ignore[operator]
        needs.append(called - {i})
    done: dict[int, None] = {}

    def visit(i: int) -> None:
        if i in done:
            return
        for other in sorted(needs[i]):
            visit(other)
        done[i] = None

    for i in range(len(families)):
        visit(i)
    return [families[i] for i in done]
