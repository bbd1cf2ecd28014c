"""The compile-time arguments of a unit: parameters and sizes of the text, and values without a name.

In: the definitions that a unit is merged from. Out: `Source`s, each with its value in every definition.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dlc.dims import Dim
from dlc.emit.forms import same
from dlc.emit.merge import CannotMerge
from dlc.emit.naming import unused
from dlc.emit.plan import Argument, SizeTable
from dlc.ir import Definition, Value
from dlc_grammar.record import replace


@dataclass(frozen=True, slots=True)
class Source:
    """Where the value of a unit's argument comes from: a parameter or size of the text, or `values`
    (by definition) for what the text has no name for."""

    name: str
    kind: Literal["static", "size", "extra"]
    source: str
    annotation: str
    values: dict[str, Value] = field(default_factory=dict)
    start: bool = False
    """Whether it is a number that a weight starts with."""

    @property
    def argument(self) -> Argument:
        return Argument(
            name=self.name, annotation=self.annotation, source=self.source, size=self.kind == "size"
        )


@dataclass(slots=True)
class UnitTerms:
    """The names of a unit's parameters and sizes, and which of them are arguments so far."""

    kind: Literal["block", "net", "fn"]
    definitions: Sequence[Definition]
    parameters: dict[str, str]
    sizes: dict[str, str]
    taken: set[str]
    arguments: dict[str, Source] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    """Names of the file's functions and classes so far."""
    tables: list[SizeTable] = field(default_factory=list)
    callables: Mapping[str, Callable[..., Value]] = field(default_factory=dict)
    """The compile-time functions of the text, by name."""
    called: set[str] = field(default_factory=set)
    """The functions of `tables` that the unit needs."""

    def table(self, wanted: SizeTable) -> str:
        """The name of the function that computes a table, which becomes one of the unit's."""
        for known in self.tables:
            if known.says() == wanted.says():
                return known.name
        longer = f"{wanted.name}_table"
        name = unused([wanted.name, longer], {*self.functions, *self.taken, *(t.name for t in self.tables)})
        self.tables.append(replace(wanted, name=name))
        return name

    @property
    def scope(self) -> str:
        return {"net": "config", "block": "self", "fn": "local"}[self.kind]

    def need(self, name: str) -> None:
        """Make the parameter or size with this Python name an argument."""
        if name in self.arguments:
            return
        for kind, names in (("static", self.parameters), ("size", self.sizes)):
            for source, python in names.items():
                if python == name:
                    values = {d.id: _given_value(d, kind, source) for d in self.definitions}
                    annotation = annotate(values.values())
                    self.arguments[name] = Source(name, kind, source, annotation, values)  # type: ignore[arg-type]
                    return

    def extra(self, hint: str, values: dict[str, Value], context: str = "") -> str:
        """An argument for values that differ between definitions and have no expression."""
        for name, source in self.arguments.items():
            if source.kind == "extra" and all(
                same(source.values.get(key, value), value) for key, value in values.items()
            ):
                source.values.update(values)
                return name
        if self.kind == "net":
            raise CannotMerge(f"`{hint}` has no expression in terms of the parameters")
        longer = f"{context}_{hint}" if context else f"{hint}_value"
        name = unused([hint, longer], self.taken)
        self.taken.add(name)
        self.arguments[name] = Source(name, "extra", hint, annotate(values.values()), dict(values))
        return name

    def mark_start(self, name: str) -> None:
        """Say that an argument, if it is one without a name in the text, is what a weight starts with."""
        source = self.arguments.get(name)
        if source is not None and source.kind == "extra":
            self.arguments[name] = dataclasses.replace(source, start=True)

    def ordered(self) -> tuple[Source, ...]:
        """Sizes first, then parameters, each in the order of the text, then the rest."""
        places = {name: i for i, name in enumerate((*self.sizes.values(), *self.parameters.values()))}
        return tuple(sorted(self.arguments.values(), key=lambda s: places.get(s.name, len(places))))


def _given_value(definition: Definition, kind: str, source: str) -> Value:
    table = definition.statics if kind == "static" else definition.sizes
    return table[source].value if source in table else None


def annotate(values: Iterable[Value]) -> str:
    """The Python annotation of an argument that takes these values."""
    kinds = {_kind(value) for value in values}
    optional = "None" in kinds
    kinds.discard("None")
    if kinds == {"int", "float"}:
        kinds = {"float"}
    if len(kinds) > 1 and all(kind.startswith("tuple") for kind in kinds):
        kinds = {max(kinds - {"tuple[int, ...]"}, default="tuple[int, ...]")}
    return " | ".join(sorted(kinds) + (["None"] if optional else [])) or "None"


def _kind(value: Value) -> str:
    match value:
        case None:
            return "None"
        case bool():
            return "bool"
        case int() | Dim():
            return "int"
        case float():
            return "float"
        case str():
            return "str"
        case tuple():
            kinds = sorted({_kind(item) for item in value}) or ["int"]
            mixed = "float" if kinds == ["float", "int"] else " | ".join(kinds)
            if any(isinstance(item, tuple) for item in value) and len(kinds) > 1:
                mixed = max(kinds)
            return f"tuple[{mixed}, ...]"
    return "object"
