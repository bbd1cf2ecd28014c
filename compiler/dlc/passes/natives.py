"""Which definitions a backend writes in its framework's own words.

In: a program and a backend's natives. Out: the ids of the definitions that it claims, and the program without
what only they need.
"""

from __future__ import annotations

from collections.abc import Mapping

from dlc import ir
from dlc.backend import Native
from dlc.passes.nodes import families, walk
from dlc.passes.rewriting import with_definitions


def select_natives(program: ir.Program, natives: Mapping[str, Native], exact: bool = False) -> frozenset[str]:
    """The ids of the definitions whose calls a backend claims.

    A family is claimed as a whole or not at all, as it is one unit of the generated file. `exact` leaves out
    natives that are not float64-clean. What is computed while compiling is never claimed.
    """
    constant = _called(program, constant=True)
    found: set[str] = set()
    for members in families(program):
        if all(_claimed(definition, natives, exact, constant) for definition in members):
            found.update(definition.id for definition in members)
    return frozenset(found)


def _claimed(
    definition: ir.Definition, natives: Mapping[str, Native], exact: bool, constant: set[str]
) -> bool:
    native = natives.get(definition.name)
    if native is None or not definition.module.startswith("std/") or definition.id in constant:
        return False
    return (native.exact or not exact) and native.accepts(definition)


def prune(program: ir.Program, native_ids: frozenset[str]) -> ir.Program:
    """The program without definitions that only natives reach.

    A native's own definition stays, for its signature; verify the result with `opaque=native_ids`.
    """
    roots = {key for method in program.methods for key in method.elaborations}
    reached: set[str] = set()
    todo = [*roots, *program.definitions.keys() - _called(program)]
    while todo:
        name = todo.pop()
        if name in reached:
            continue
        reached.add(name)
        if name not in native_ids:
            definition = program.definitions[name]
            todo.extend(node.callee for node in walk(definition.body) if isinstance(node, ir.Call))
            todo.extend(key for layer in definition.layers for key in layer.definitions)
    kept = {name: definition for name, definition in program.definitions.items() if name in reached}
    return with_definitions(program, kept)


def _called(program: ir.Program, constant: bool = False) -> set[str]:
    """The definitions that are called; with `constant`, while compiling."""
    return {
        node.callee
        for definition in program.definitions.values()
        for node in walk(definition.body)
        if isinstance(node, ir.Call) and (node.constant or not constant)
    }
