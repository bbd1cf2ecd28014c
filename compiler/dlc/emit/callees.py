"""What a caller must know of what it calls: a unit of the file, or a native.

In: the ids of the definitions that are called at one place. Out: `Callee`. Also the arguments of the callee
in the caller's terms, for constructors, calls of functions and calls of layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dlc.emit.arguments import Source
from dlc.emit.flags import Flags, FlagTable
from dlc.emit.forms import named_values
from dlc.emit.merge import CannotMerge, Strand
from dlc.emit.naming import SIZE_NAMES
from dlc.emit.starts import Starts
from dlc.emit.terms import Terms
from dlc.ir import Call, Const, Definition, Expr, Layer, Value


@dataclass(slots=True)
class Built:
    """A planned unit: its name, its constructor's (or function's) arguments, and what methods need."""

    name: str
    definitions: frozenset[str]
    sources: tuple[Source, ...] = ()
    methods: dict[str, tuple[Source, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Callee:
    """`built` is None for a native; `definitions` are those called at this place."""

    name: str
    built: Built | None
    definitions: tuple[Definition, ...]
    flags: Flags

    @property
    def native(self) -> bool:
        return self.built is None

    @property
    def fields(self) -> tuple[str | None, ...]:
        return tuple(output.name for output in self.definitions[0].outputs)


@dataclass(slots=True)
class Registry:
    """The definitions of the program, and which unit each became."""

    definitions: Mapping[str, Definition]
    natives: frozenset[str]
    flags: FlagTable
    starts: Starts
    callables: Mapping[str, Callable[..., Value]] = field(default_factory=dict)
    """The compile-time functions of the text, by name."""
    units: dict[str, Built] = field(default_factory=dict)

    def callee(self, keys: Iterable[str]) -> Callee:
        """The one unit or native that all of these definitions belong to. Raises CannotMerge."""
        keys = list(dict.fromkeys(keys))
        found = tuple(self.definitions[key] for key in keys)
        native = {key in self.natives for key in keys}
        if len(native) > 1:
            raise CannotMerge(f"{found[0].name} is native for some sizes only")
        if native == {True}:
            if len({d.name for d in found}) > 1:
                raise CannotMerge("different natives in one place")
            return Callee(found[0].name, None, found, self.flags.of_all(keys))
        units = {id(self.units[key]): self.units[key] for key in keys if key in self.units}
        if len(units) != 1:
            raise CannotMerge(f"{found[0].name} is several units")
        built = next(iter(units.values()))
        method = {d.method for d in found}
        alike = [k for k in built.definitions if self.definitions[k].method in method]
        return Callee(built.name, built, found, self.flags.of_all(alike))

    def layer(self, layers: Sequence[Layer]) -> Callee:
        """The unit or native that these layers (the same layer in different elaborations) are made of."""
        return self.callee(key for layer in layers for key in layer.definitions)


def native_arguments(
    registry: Registry,
    nodes: Sequence[Call | Layer],
    strands: Sequence[Strand],
    terms: Terms,
    sizes: bool,
    layer: bool = True,
) -> dict[str, Expr]:
    """The parameters of a native by name, in the caller's terms; `sizes`: also those sizes of its inputs
    that shape its weights and are numbers.

    `layer`: for a call, that of a layer, whose constructor has the same arguments.
    """
    made: dict[str, Expr] = {}
    names = dict.fromkeys(name for node in nodes for name in node.statics)
    for name in names:
        values = [_static(registry, node, name) for node in nodes]
        made[name] = terms.express(values, strands, name, layer and not sizes)
    if not sizes:
        return made
    shaping = {name for node in nodes for key in _keys(node) for name in _weight_sizes(registry, key)}
    for name in dict.fromkeys(name for node in nodes for name in node.sizes if name in shaping):
        found = [node.sizes.get(name) for node in nodes]
        numbers = [size for size in found if size is not None and isinstance(size.value, int)]
        if len(numbers) == len(nodes) and name not in made:
            made[name] = terms.express(numbers, strands, _size_hint(name))
    return made


def _keys(node: Call | Layer) -> tuple[str, ...]:
    return tuple(node.definitions) if isinstance(node, Layer) else (node.callee,)


def _weight_sizes(registry: Registry, key: str) -> Iterable[str]:
    """The names that the shapes of a definition's weights mention."""
    for weight in registry.definitions[key].weights:
        for size in weight.tensor.type.shape:
            yield from (name for name, _ in named_values(size))


def unit_arguments(
    registry: Registry,
    sources: Iterable[Source],
    nodes: Sequence[Call | Layer],
    strands: Sequence[Strand],
    terms: Terms,
    static_only: bool = False,
) -> dict[str, Expr]:
    """The arguments of a unit by name, in the caller's terms; sizes last, which may be said by the others."""
    sources = list(sources)
    made: dict[str, Expr] = {}
    for source in sorted(sources, key=lambda source: source.kind == "size"):
        values = [_argument(registry, node, source) for node in nodes]
        if source.start:
            made[source.name] = terms.start(values, strands, source.name)
        else:
            made[source.name] = terms.express(values, strands, source.name, static_only)
    return {source.name: made[source.name] for source in sources}


def _argument(registry: Registry, node: Call | Layer, source: Source) -> Expr:
    table = node.sizes if source.kind == "size" else node.statics
    if source.kind != "extra" and source.source in table:
        return table[source.source]
    keys = _keys(node)
    for key in keys:
        if source.kind == "extra" and key in source.values:
            return Const(value=source.values[key])
        definition = registry.definitions[key]
        own = definition.sizes if source.kind == "size" else definition.statics
        if source.source in own:
            return Const(value=own[source.source].value)
    return Const(value=next(iter(source.values.values()), None))


def _static(registry: Registry, node: Call | Layer, name: str) -> Expr:
    if name in node.statics:
        return node.statics[name]
    keys = _keys(node)
    for key in keys:
        if name in registry.definitions[key].statics:
            return Const(value=registry.definitions[key].statics[name].value)
    raise CannotMerge(f"`{name}` is missing")


def _size_hint(name: str) -> str:
    """`in_dim` for a size `D` of a layer's input."""
    known = SIZE_NAMES.get(name)
    return f"in_{known[0]}" if known else f"{name.lower().replace('.', '_')}_size"
