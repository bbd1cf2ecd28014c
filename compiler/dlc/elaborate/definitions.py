"""Definitions: each distinct `(block or fn, parameters, input types, mode)` elaborated once.

In: a `Recipe`. Out: an `ir.Definition`, memoised in the session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dlc import ir, statics
from dlc.elaborate import signatures
from dlc.elaborate.coerce import expect_tensor
from dlc.elaborate.declared_types import is_optional, value_key
from dlc.elaborate.dispatch import run
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Builder, Elaborated, Frame, Returned, SelfCall, Session
from dlc.ir import Const, Expr, TensorType
from dlc.modules import LoadedModule, plural
from dlc.values import (
    STATIC,
    AnyValue,
    BlockValue,
    DistributionValue,
    FunctionValue,
    LayerValue,
    ListValue,
    RecordValue,
    TensorValue,
)
from dlc_grammar import syntax
from dlc_grammar.source import Span

DEFINITION = 20
"""What elaborating a definition costs of the budget, besides its nodes."""
DEEPEST = 150
"""Definitions nested inside each other; deeper nesting is a mistake in the program."""


@dataclass(frozen=True)
class Recipe:
    """What a definition is elaborated from."""

    declaration: syntax.Block | syntax.Function
    module: LoadedModule
    kind: Literal["block", "net", "fn"]
    name: str
    method: str
    params: Mapping[str, AnyValue]
    """Compile-time parameters with their values in the caller's terms."""
    inputs: tuple[tuple[syntax.Parameter, TensorType | None, Span], ...]
    result: syntax.Type | None
    body: syntax.Body
    members: tuple[syntax.Statement, ...]
    methods: Mapping[str, syntax.Function]
    training: bool
    constant: bool
    block: BlockValue | None

    @property
    def key(self) -> object:
        params = tuple((name, value_key(value)) for name, value in self.params.items())
        inputs = tuple((t.dtype, t.sizes) if t is not None else None for _, t, _ in self.inputs)
        return (id(self.body), self.name, params, inputs, self.training, self.constant)

    @property
    def family(self) -> str:
        chosen = [
            f"{name}={value_key(value)}"
            for name, value in self.params.items()
            if isinstance(value, (BlockValue, FunctionValue, LayerValue))
        ]
        extra = "|" + "|".join(chosen) if chosen else ""
        mark = "#const" if self.constant else ""
        return f"{self.module.name}:{self.declaration.name.id}{extra}{mark}"


def elaborate_recipe(session: Session, recipe: Recipe) -> Elaborated:
    """The definition of a recipe, from the memo or made now. Raises Failed."""
    key = recipe.key
    found = session.memo.get(key)
    if found is not None:
        return found
    if session.depth > DEEPEST:
        raise fail(
            "E0106",
            "definitions are nested too deeply",
            recipe.declaration.name.span,
            f"more than {DEEPEST} levels",
            help="flatten the program",
        )
    session.count(recipe.declaration.name.span, DEFINITION)
    session.depth += 1
    try:
        made = _build(session, recipe)
    finally:
        session.depth -= 1
    session.memo[key] = made
    session.definitions[made.definition.id] = made
    return made


def _build(session: Session, recipe: Recipe) -> Elaborated:
    builder = Builder(session)
    frame = Frame(session, recipe.module, builder, recipe.training, recipe.name, constant=recipe.constant)
    frame.methods = recipe.methods
    for name, value in recipe.params.items():
        frame.fixed[name] = "parameter"
        if isinstance(value, STATIC):
            reference = statics.ref(name, value.value)
            frame.names[name] = frame.statics[name] = reference
        elif isinstance(value, DistributionValue):
            # Its numbers are written in the caller's names, which mean something else here.
            args = {key: Const(value=expr.value) for key, expr in value.args.items()}
            frame.names[name] = DistributionValue(value.name, args)
        else:
            frame.names[name] = value
    if recipe.block is not None:
        frame.self_call = SelfCall(recipe.block, dict(frame.statics), recipe.training)
    inputs = _bind_inputs(frame, recipe)
    try:
        _run_members(frame, recipe.members)
        run(frame, recipe.body.statements)
    except Returned:
        pass
    if builder.broken:
        raise Failed(None)
    outputs = _outputs(frame, recipe)
    definition = _definition(session, frame, recipe, inputs, outputs)
    read = {path[0] for path in builder.weight_values if len(path) > 1}
    only_read = tuple(v for v in builder.layers.values() if v.name in read and not v.definitions)
    return Elaborated(definition, tuple(builder.init_rules), dict(builder.layers), only_read)


def _run_members(frame: Frame, statements: Sequence[syntax.Statement]) -> None:
    """Run the statements that all methods of a net share."""
    for statement in statements:
        if isinstance(statement, syntax.Return):
            raise fail(
                "E0216",
                "`return` outside a method",
                statement.span,
                "members have no result",
                help="put it into `fn forward(...)`",
            )
    run(frame, statements)


def _bind_inputs(frame: Frame, recipe: Recipe) -> tuple[ir.Input, ...]:
    pattern = signatures.Pattern(frame, f"`{recipe.name}`", recipe.declaration.name.span)
    found = []
    for parameter, actual, span in recipe.inputs:
        name = parameter.name.id
        optional = is_optional(parameter.type)
        if optional:
            frame.optional.add(name)
        if actual is None:
            frame.names[name] = Const(value=None)
            found.append(ir.Input(name=name, tensor=None, optional=True))
            continue
        type_ = parameter.type
        assert isinstance(type_, syntax.NamedType)
        pattern.match(name, type_, actual, span)
        own = _own_type(frame, name, type_, actual)
        tensor = frame.builder.tensor(own)
        frame.names[name] = TensorValue(ir.Use(id=tensor.id, name=name), own, recipe.constant)
        found.append(ir.Input(name=name, tensor=tensor, optional=optional))
    return tuple(found)


def _own_type(frame: Frame, name: str, type_: syntax.NamedType, actual: TensorType) -> TensorType:
    """An input's type in the definition's own terms."""
    shape = type_.shape or ()
    packs = [i for i, d in enumerate(shape) if isinstance(d, (syntax.DimPack, syntax.DimAny))]
    run = actual.rank - (len(shape) - len(packs))
    sizes: list[Expr] = []
    for dim in shape:
        match dim:
            case syntax.DimPack():
                for i in range(run):
                    value = actual.shape[len(sizes)].value
                    sizes.append(statics.ref(f"{dim.name}.{i}", value))
            case syntax.DimAny():
                first = len(sizes)
                sizes += [_anonymous(frame, name, actual, first + i) for i in range(run)]
            case syntax.Name() if dim.id == "_":
                sizes.append(_anonymous(frame, name, actual, len(sizes)))
            case _:
                made = signatures.size_of(frame, dim)
                sizes.append(statics.substitute(made, lambda r: r))
    dtype = actual.dtype
    return TensorType(dtype=dtype, shape=tuple(sizes))


def _anonymous(frame: Frame, name: str, actual: TensorType, axis: int) -> Expr:
    reference = statics.ref(f"{name}.{axis}", actual.shape[axis].value)
    frame.sizes[reference.name] = reference
    return reference


def _outputs(frame: Frame, recipe: Recipe) -> tuple[ir.Output, ...]:
    if frame.result is None:
        raise fail(
            "E0214",
            f"`{recipe.name}` returns nothing",
            recipe.declaration.name.span,
            "no `return` is reached",
            help="end the body with `return ...`",
        )
    span = frame.result_span or recipe.declaration.name.span
    flat: list[AnyValue] = []
    names: list[str | None] = []
    for value in frame.result:
        if isinstance(value, RecordValue) and len(frame.result) == 1:
            flat.extend(value.values)
            names.extend(value.names)
        elif isinstance(value, ListValue) and len(frame.result) == 1:
            flat.extend(value.items)
            names.extend([None] * len(value.items))
        else:
            flat.append(value)
            names.append(None)
    tensors = [expect_tensor(value, span) for value in flat]
    declared = _declared_results(recipe.result)
    if declared is not None:
        if len(declared) != len(tensors):
            raise fail(
                "E0215",
                f"`{recipe.name}` declares {plural(len(declared), 'result')}, {len(tensors)} returned",
                span,
                "returned here",
                help="make the body and the declared results after `->` agree",
            )
        names = [name for name, _ in declared]
        pattern = signatures.Pattern(frame, f"`{recipe.name}`", span)
        types = []
        for (name, type_), tensor in zip(declared, tensors, strict=True):
            made = tensor.type
            if isinstance(type_, syntax.NamedType) and type_.shape is not None:
                pattern.match(name or "", type_, made, span)
                made = _own_type(frame, name or "result", type_, made)
            types.append(made)
    else:
        types = [tensor.type for tensor in tensors]
    return tuple(
        ir.Output(name=name, value=tensor.operand, type=type_)
        for name, tensor, type_ in zip(names, tensors, types, strict=True)
    )


def _declared_results(result: syntax.Type | None) -> list[tuple[str | None, syntax.Type]] | None:
    if result is None:
        return None
    if isinstance(result, syntax.TupleType):
        return [(f.name.id if f.name else None, f.type) for f in result.fields]
    return [(None, result)]


def _definition(
    session: Session,
    frame: Frame,
    recipe: Recipe,
    inputs: tuple[ir.Input, ...],
    outputs: tuple[ir.Output, ...],
) -> ir.Definition:
    builder = frame.builder
    number = len(session.definitions) + 1
    suffix = "" if recipe.method == "forward" else f".{recipe.method}"
    mode = ".train" if recipe.training else ""
    return ir.Definition(
        id=f"{recipe.declaration.name.id if recipe.kind == 'fn' else recipe.name}{suffix}{mode}#{number}",
        name=recipe.name,
        module=recipe.module.name,
        family=recipe.family,
        kind=recipe.kind,
        method=recipe.method,
        doc=recipe.declaration.doc,
        training=recipe.training,
        statics=dict(frame.statics),
        sizes=dict(frame.sizes),
        inputs=inputs,
        outputs=outputs,
        weights=tuple(builder.weights),
        layers=tuple(_layer(session, layer) for layer in builder.layer_order if layer.definitions),
        body=tuple(builder.regions[0]),
        at=session.location(recipe.declaration.name.span),
    )


def _layer(session: Session, layer: LayerValue) -> ir.Layer:
    return ir.Layer(
        name=layer.name,
        index=layer.index,
        block=layer.block.declaration.name.id,
        family=layer.family,
        statics=layer.statics,
        sizes=layer.sizes,
        definitions=tuple(dict.fromkeys(layer.definitions)),
        origin=layer.origin,
        at=session.location(layer.span),
    )
