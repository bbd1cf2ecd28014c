"""One unit of the file: a class per block, a function per `fn`, merged from all its elaborations.

In: definitions of one text, already planned callees. Out: `plan.Unit`, and `Built` for its callers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from dlc.emit.analysis import Analysis
from dlc.emit.arguments import Source, UnitTerms
from dlc.emit.body import write_body
from dlc.emit.callees import Built, Registry
from dlc.emit.construct import Constructor
from dlc.emit.flags import nodes
from dlc.emit.forms import skeleton
from dlc.emit.merge import CannotMerge, Merger, Strand
from dlc.emit.naming import safe, size_names, unused
from dlc.emit.plan import Assertion, Construction, MethodPlan, ReadSizes, Statement, TensorArgument, Unit
from dlc.emit.terms import Terms
from dlc.ir import (
    Bind,
    Call,
    Const,
    Definition,
    Expr,
    For,
    List,
    Operation,
    Ref,
    Sample,
    Scan,
    TensorType,
)

PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")
NOWHERE = -1
"""The origin of statements that compute no value of the text."""

Written: TypeAlias = tuple[int, int, str]
"""Where a definition stands in its file: all methods of a net start at the net."""


@dataclass(slots=True)
class UnitBuilder:
    """Builds one unit from its definitions; `instances` numbers the instances they are methods of."""

    name: str
    definitions: Sequence[Definition]
    is_model: bool
    instances: dict[str, int]
    registry: Registry
    reserved: frozenset[str]
    reserved_attributes: frozenset[str]
    functions: set[str] = field(default_factory=set)
    attributes: dict[str, str] = field(default_factory=dict)
    merger: Merger = field(default_factory=Merger)
    method_sources: dict[str, tuple[Source, ...]] = field(default_factory=dict)

    def build(self) -> tuple[Unit, Built]:
        """The unit and what callers need of it. Raises CannotMerge."""
        first = self.definitions[0]
        terms = self._terms()
        construction: tuple[Construction, ...] = ()
        if first.kind != "fn":
            strands = [Strand(definition) for definition in self.definitions]
            inside = Terms(terms, None, terms.taken)
            construction = Constructor(
                self.registry, inside, self.instances, self.attributes, self.registry.starts
            ).build(strands)
        methods = [self._method(name, terms) for name in self._method_order()]
        methods.sort(key=lambda pair: pair[0])
        keys = frozenset(d.id for d in self.definitions)
        sources = terms.ordered()
        unit = Unit(
            name=self.name,
            kind=terms.kind,
            doc=first.doc,
            arguments=tuple(source.argument for source in sources),
            construction=construction,
            methods=tuple(method for _, method in methods),
            stateful=self.registry.flags.of_all(keys).stateful,
            at=first.at,
            tables=tuple(table for table in terms.tables if table.name in terms.called),
        )
        return unit, Built(self.name, keys, sources, dict(self.method_sources))

    # ------------------------------------------------------------ names

    def _terms(self) -> UnitTerms:
        """Python names for parameters, sizes and attributes."""
        texts = self._text_names()
        labels = {
            name
            for d in self.definitions
            for name in (*(layer.name for layer in d.layers), *(weight.name for weight in d.weights))
        }
        for label in sorted(labels):
            self.attributes[label] = safe_attribute(label, self.reserved_attributes)
        taken = {*self.attributes.values(), *(d.method for d in self.definitions)}
        kind = self.definitions[0].kind
        parameters: dict[str, str] = {}
        for name in dict.fromkeys(name for d in self.definitions for name in d.statics):
            mangled = safe(name, self.reserved)
            if kind == "block" or (kind == "net" and not self.is_model):
                mangled = unused([mangled, f"{mangled}_size", f"{mangled}_value"], taken)
                mangled = safe_attribute(mangled, self.reserved_attributes)
            parameters[name] = mangled
            taken.add(mangled)
        taken |= {safe(name, self.reserved) for name in texts} | self.reserved
        sizes = list(dict.fromkeys(name for d in self.definitions for name in d.sizes))
        plain = [name for name in sizes if name.isidentifier()]
        names = size_names(plain, taken)
        taken |= set(names.values())
        for name in sizes:
            if name not in names:
                short = name.lower().replace(".", "" if name[:1].isupper() else "_size")
                names[name] = unused([short], taken)
                taken.add(names[name])
        if kind == "net" and not self.is_model:
            kind = "block"
        own = {n: names[n] for n in sizes}
        return UnitTerms(
            kind,
            self.definitions,
            parameters,
            own,
            taken,
            functions=self.functions,
            callables=self.registry.callables,
        )

    def _text_names(self) -> set[str]:
        """Every variable of the bodies."""
        found: set[str] = set()
        for definition in self.definitions:
            found.update(item.name for item in definition.inputs)
            for node in nodes(definition.body):
                match node:
                    case Bind() | Sample() | List():
                        found.add(node.name.partition(".")[0])
                    case For():
                        found.update(node.targets)
                    case Scan():
                        found.update(item.name for item in node.inputs)
                        found.update(carry.name for carry in node.carries)
                        found.update(emission.name for emission in node.emissions)
        return found

    def _method_order(self) -> list[str]:
        """Methods in order of the text, those that others call first."""
        by_name: dict[str, list[Definition]] = {}
        for definition in sorted(self.definitions, key=_written):
            by_name.setdefault(definition.method, []).append(definition)
        order: dict[str, None] = {}

        def visit(name: str) -> None:
            if name in order:
                return
            for definition in by_name[name]:
                for node in nodes(definition.body):
                    if isinstance(node, Call) and node.layer is None:
                        callee = self.registry.definitions[node.callee]
                        if callee.kind != "fn" and callee.method != name and callee.method in by_name:
                            visit(callee.method)
            order[name] = None

        for name in by_name:
            visit(name)
        return list(order)

    # ------------------------------------------------------------ methods

    def _method(self, name: str, unit: UnitTerms) -> tuple[Written, MethodPlan]:
        definitions = [d for d in self.definitions if d.method == name]
        axes = _axes(definitions, unit)
        locals_ = {*unit.sizes.values(), *axes, *(unit.parameters.values() if unit.kind == "fn" else ())}
        terms = Terms(unit, axes, frozenset(locals_))
        block = self.merger.method(definitions)
        strands = list(block.strands)
        analysis = Analysis.of(block, self.merger.aliases)
        own = frozenset(d.id for d in self.definitions)
        keep = (dict(unit.arguments), set(unit.taken))
        try:
            body, found = write_body(
                block,
                analysis,
                terms,
                self.registry,
                self.reserved,
                self.attributes,
                own,
                self.method_sources,
            )
        except CannotMerge:
            unit.arguments, unit.taken = keep
            raise
        assertions = self._assertions(found, terms, definitions[0])
        start = (*_read_sizes(definitions, axes, terms, self.reserved), *assertions)
        statics = tuple(source for source in unit.ordered() if source.name in terms.used)
        self.method_sources[name] = statics
        flags = self.registry.flags.of_all(d.id for d in definitions)
        first = definitions[0]
        method = MethodPlan(
            name=name,
            inputs=tuple(self._inputs(definitions, terms, strands)),
            outputs=tuple(_outputs(definitions, terms, strands)),
            statics=tuple(source.argument for source in statics),
            body=(*start, *body),
            training=flags.training,
            random=flags.random,
            stateful=flags.stateful,
            constant=first.family.endswith("#const"),
        )
        return _written(first), method

    def _inputs(
        self, definitions: Sequence[Definition], terms: Terms, strands: Sequence[Strand]
    ) -> Iterable[TensorArgument]:
        for place, item in enumerate(definitions[0].inputs):
            found = [(d.inputs[place].tensor, s) for d, s in zip(definitions, strands, strict=True)]
            types = [(t.type, s) for t, s in found if t is not None]
            type_ = described([t for t, _ in types], terms, [s for _, s in types])
            yield TensorArgument(
                name=safe(item.name, self.reserved),
                type=type_,
                optional=item.optional or any(d.inputs[place].optional for d in definitions),
                shape=tuple(axis_name(size) for size in type_.shape),
            )

    def _assertions(
        self, found: Iterable[Assertion], terms: Terms, first: Definition
    ) -> tuple[Assertion, ...]:
        """Conditions on sizes at the entry of a method, each once."""
        made: dict[object, Assertion] = {}
        for assertion in found:
            made.setdefault(skeleton(assertion.condition), assertion)
        return tuple(
            Assertion(
                condition=assertion.condition,
                message=self._message(assertion.message, terms, first),
                origin=assertion.origin,
                at=assertion.at,
            )
            for assertion in made.values()
        )

    def _message(self, message: str, terms: Terms, first: Definition) -> str:
        """The message with sizes under their Python names, and parameters as numbers."""

        def replace(match: re.Match[str]) -> str:
            name = match[1]
            python = terms.unit.sizes.get(name)
            if python is not None and python in (terms.axes or {}):
                terms.used_sizes.add(python)
                return "{" + python + "}"
            for table in (first.statics, first.sizes):
                if name in table:
                    return str(table[name].value)
            return name

        return PLACEHOLDER.sub(replace, message)


# ---------------------------------------------------------------- helpers


def _written(definition: Definition) -> Written:
    """By the last node, the `return`: a pass may have put nodes of other places before it."""
    end = definition.body[-1].at.start if definition.body else 0
    return definition.at.start, end, definition.method


def safe_attribute(name: str, reserved: frozenset[str]) -> str:
    """An attribute that the framework does not use for something else."""
    import keyword

    while keyword.iskeyword(name) or name in reserved:
        name += "_"
    return name


def _axes(definitions: Sequence[Definition], unit: UnitTerms) -> dict[str, tuple[str, int]]:
    """Where sizes can be read: the axes of inputs that are there in all elaborations."""
    plain: dict[str, tuple[str, int]] = {}
    other: dict[str, tuple[str, int]] = {}
    for place, item in enumerate(definitions[0].inputs):
        tensors = [d.inputs[place].tensor for d in definitions]
        if any(t is None for t in tensors) or len({t.type.rank for t in tensors if t}) != 1:
            continue
        assert item.tensor is not None
        for axis, size in enumerate(item.tensor.type.shape):
            name = unit.sizes.get(size.name) if isinstance(size, Ref) and size.scope == "" else None
            if name is not None:
                plain.setdefault(name, (item.name, axis))
            elif not isinstance(size, Const):
                other.setdefault(unused([f"{item.name}_size{axis}"], unit.taken), (item.name, axis))
    return {**plain, **other}


def _read_sizes(
    definitions: Sequence[Definition],
    axes: dict[str, tuple[str, int]],
    terms: Terms,
    reserved: frozenset[str],
) -> tuple[Statement, ...]:
    """`batch, time, _ = x.shape` for the sizes that the method uses."""
    wanted: dict[str, dict[int, str]] = {}
    for name, (source, axis) in axes.items():
        if name in terms.used_sizes:
            wanted.setdefault(source, {})[axis] = name
    made: list[Statement] = []
    first = definitions[0]
    for item in first.inputs:
        if item.name in wanted and item.tensor is not None:
            names = tuple(wanted[item.name].get(axis) for axis in range(item.tensor.type.rank))
            tensor = safe(item.name, reserved)
            made.append(ReadSizes(names=names, tensor=tensor, origin=NOWHERE, at=first.at))
    return tuple(made)


def _outputs(
    definitions: Sequence[Definition], terms: Terms, strands: Sequence[Strand]
) -> Iterable[tuple[str | None, TensorType, tuple[str, ...]]]:
    for place, output in enumerate(definitions[0].outputs):
        type_ = described([d.outputs[place].type for d in definitions], terms, strands)
        yield output.name, type_, tuple(axis_name(size) for size in type_.shape)


def described(types: Sequence[TensorType], terms: Terms, strands: Sequence[Strand]) -> TensorType:
    """A type for documentation, in the unit's terms as far as they go."""
    if not types:
        return TensorType(dtype="float", shape=())
    if len({t.rank for t in types}) > 1:
        return TensorType(dtype=types[0].dtype, shape=(Const(value="..."),))
    columns = zip(*(t.shape for t in types), strict=True)
    shape = tuple(terms.describe(list(column), strands) for column in columns)
    return TensorType(dtype=types[0].dtype, shape=shape)


def axis_name(size: Expr) -> str:
    """An axis in a comment: `time`, `4 * dim`, `10`, or `_` where it has no name."""
    match size:
        case Const(value=None):
            return "_"
        case Const(value=value):
            return str(value)
        case Ref(name=name):
            return name
        case Operation(op=op, args=(left, right)) if op in ("+", "-", "*", "//", "**", "%"):
            parts = [f"({axis_name(a)})" if isinstance(a, Operation) else axis_name(a) for a in (left, right)]
            return f"{parts[0]} {op} {parts[1]}"
        case Operation(op="call", args=(Const(value=name), *given)):
            return f"{name}({', '.join(map(axis_name, given))})"
    return "_"
