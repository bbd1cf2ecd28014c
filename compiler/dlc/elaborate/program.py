"""Whole networks: a block with its parameters in, an `ir.Program` out, and its facts for `expect`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlc import dims, ir, statics, values
from dlc.dims import Dim
from dlc.elaborate import definitions, dispatch, layers, signatures
from dlc.elaborate.declared_types import value_key
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.expressions import EXPRESSIONS
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Builder, Elaborated, Frame, Session
from dlc.elaborate.statements import STATEMENTS
from dlc.elaborate.weight_paths import collect_weights
from dlc.ir import Const, Expr, TensorType
from dlc.modules import LoadedModule
from dlc.values import AnyValue, BlockValue, BuiltBlock
from dlc_grammar import syntax
from dlc_grammar.record import replace
from dlc_grammar.source import Span

dispatch.EVALUATORS.update(EXPRESSIONS)
dispatch.RUNNERS.update(STATEMENTS)


def scratch_frame(session: Session, module: LoadedModule) -> Frame:
    """A frame for expressions at file level."""
    return Frame(session, module, Builder(session), False, "the file")


def methods_of(block: syntax.Block) -> list[str]:
    """The methods of a net that can be built, `forward` first."""
    if block.inputs is not None:
        return ["forward"]
    names = [s.name.id for s in block.body.statements if isinstance(s, syntax.Function)]
    return sorted(names, key=lambda name: name != "forward")


def input_type(frame: Frame, parameter: syntax.Parameter, sizes: Mapping[str, int | Dim]) -> TensorType:
    """The type of a net's input: capital names are its size variables."""
    type_ = parameter.type
    if not isinstance(type_, syntax.NamedType) or type_.shape is None:
        raise fail(
            "E0302",
            f"`{parameter.name.id}` needs a tensor type",
            parameter.span,
            "an input of a net",
            help="write for example float[B, 3, H, W]",
        )
    if type_.name not in signatures.DTYPES or type_.name == "num":
        raise signatures.unknown_type(type_)
    shape: list[Expr] = []
    for dim in type_.shape:
        if isinstance(dim, (syntax.DimPack, syntax.DimAny)) or (
            isinstance(dim, syntax.Name) and dim.id == "_"
        ):
            raise fail(
                "E0302",
                "the shape of a net's input is written out",
                dim.span,
                "an open shape",
                help="name each axis: float[B, T, D]",
            )
        if isinstance(dim, syntax.Name) and dim.id[:1].isupper() and dim.id not in frame.names:
            size = sizes.get(dim.id, dims.variable(dim.id))
            frame.names[dim.id] = statics.ref(dim.id, size)
        shape.append(Const(value=signatures.size_of(frame, dim).value))
    return TensorType(dtype=signatures.dtype_of(type_), shape=tuple(shape))


def elaborate_method(
    session: Session,
    module: LoadedModule,
    block: BlockValue,
    method: str,
    training: bool,
    sizes: Mapping[str, int | Dim] | None = None,
    absent: frozenset[str] = frozenset(),
) -> Elaborated:
    """One method of a net for its declared input types. Raises Failed."""
    frame = Frame(session, block.module, Builder(session), training, block.label)
    span = block.declaration.name.span
    function = layers.find_method(block, method, span)
    params = layers.block_parameters(frame, block, span)
    typing = Frame(session, block.module, Builder(session), training, block.label)
    typing.names.update(params)
    inputs = []
    for parameter in layers.method_inputs(function):
        type_ = None if parameter.name.id in absent else input_type(typing, parameter, sizes or {})
        inputs.append((parameter, type_, parameter.span))
    recipe = layers.block_recipe(frame, block, method, params, tuple(inputs), training)
    return definitions.elaborate_recipe(session, recipe)


def elaborate_net(session: Session, module: LoadedModule, block: BlockValue) -> ir.Program | None:
    """All methods of a net in both modes. Findings are in the session; None if there are any.

    A net with the same parameters is elaborated once for all its presets and expectations.
    """
    key = _identity(session, block)
    known = session.loader.programs.get(key) if key is not None else None
    if known is not None:
        return replace(known, preset=block.preset)
    made = _elaborate_net(session, module, block)
    if key is not None and made is not None and all(d.severity != "error" for d in session.diagnostics):
        session.loader.programs[key] = made
    return made


def _identity(session: Session, block: BlockValue) -> object | None:
    """Equal for nets that are elaborated alike; None where the parameters are wrong."""
    frame = Frame(session, block.module, Builder(session), False, block.label)
    try:
        params = layers.block_parameters(frame, block, block.declaration.name.span)
    except Failed:
        return None
    return (id(block.declaration), tuple((name, value_key(value)) for name, value in params.items()))


def _elaborate_net(session: Session, module: LoadedModule, block: BlockValue) -> ir.Program | None:
    declaration = block.declaration
    before = len(session.diagnostics)
    methods: list[ir.Method] = []
    made: list[Elaborated] = []
    try:
        for name in methods_of(declaration):
            pair = [elaborate_method(session, module, block, name, training) for training in (False, True)]
            made.extend(pair)
            absent = frozenset(i.name for i in pair[0].definition.inputs if i.optional)
            bare = [
                elaborate_method(session, module, block, name, training, absent=absent)
                for training in ((False, True) if absent else ())
            ]
            made.extend(bare)
            ids = [each.definition.id for each in (*pair, *bare)]
            methods.append(
                ir.Method(name=name, eval=ids[0], train=ids[1], bare=(ids[2], ids[3]) if absent else None)
            )
        if not methods:
            raise fail(
                "E0234",
                f"`{declaration.name.id}` has no inputs and no method",
                declaration.name.span,
                "nothing to build",
                help="write its inputs in a second pair of parentheses, "
                f"net {declaration.name.id}()(x: float[B, 4]), or fn forward(...)",
            )
        _labels_across_methods(session, made)
        reached = _complete_layers(session, _reached(session, made))
        weights = collect_weights(session, made)
    except Failed as failed:
        session.report(failed.diagnostic)
        return None
    except RecursionError:
        session.report(too_deep(declaration.name.span).diagnostic)
        return None
    if len(session.diagnostics) > before and any(d.severity == "error" for d in session.diagnostics[before:]):
        return None
    return _program(session, module, block, methods, reached, weights)


def _reached(session: Session, made: list[Elaborated]) -> dict[str, Elaborated]:
    """What the methods of a net call, by id, in the order in which it was elaborated."""
    found: set[str] = set()
    stack = [item.definition.id for item in made]
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(ir.callees(session.definitions[name].definition.body))
    return {name: item for name, item in session.definitions.items() if name in found}


def _complete_layers(session: Session, reached: dict[str, Elaborated]) -> dict[str, ir.Definition]:
    """The definitions, which list the layers too of which they only read weights. Raises E0225."""
    if not any(item.only_read for item in reached.values()):
        return {name: item.definition for name, item in reached.items()}
    applied: dict[tuple[str, str, tuple[int, ...]], ir.Layer] = {}
    for item in reached.values():
        for layer in item.definition.layers:
            applied.setdefault((item.definition.family, layer.name, layer.index), layer)
    complete: dict[str, ir.Definition] = {}
    for name, item in reached.items():
        more = []
        for value in item.only_read:
            found = applied.get((item.definition.family, value.name, value.index))
            if found is None:
                raise fail(
                    "E0225",
                    f"a weight of `{value.name}` is read, but `{value.name}` is applied nowhere",
                    value.span,
                    "this layer",
                    help="declare the weight itself: param name: float[...] ~ normal(0.0, 0.02)",
                )
            more.append(found)
        definition = item.definition
        complete[name] = replace(definition, layers=(*definition.layers, *more)) if more else definition
    return complete


def _program(
    session: Session,
    module: LoadedModule,
    block: BlockValue,
    methods: list[ir.Method],
    reached: dict[str, ir.Definition],
    weights: tuple[ir.WeightSpec, ...],
) -> ir.Program:
    statics_ = reached[methods[0].eval].statics
    unique = {(r.condition, r.message): r for r in session.requirements}
    return ir.Program(
        name=block.declaration.name.id,
        preset=block.preset,
        doc=block.declaration.doc or module.tree.doc,
        source=module.name,
        parameters={name: Const(value=expr.value) for name, expr in statics_.items()},
        methods=tuple(methods),
        definitions=reached,
        weights=weights,
        requirements=tuple(unique.values()),
        functions={name: made for name, made in session.static_functions.items() if made is not None},
    )


def too_deep(span: Span) -> Failed:
    """E0106 where an expression or a chain of calls is nested beyond what can be followed."""
    return fail(
        "E0106",
        "this is nested too deeply",
        span,
        "the limit was reached in here",
        help="flatten the program",
    )


def _labels_across_methods(session: Session, made: list[Elaborated]) -> None:
    """Two methods of one net use a label for one layer only if a member declares it. Raises E0107."""
    seen: dict[tuple[str, str], tuple[str, int | ir.Location]] = {}
    for item in made:
        definition = item.definition
        named: list[tuple[str, int | ir.Location, ir.Location]] = [
            (w.name, w.at, w.at) for w in definition.weights
        ]
        named.extend((layer.name, layer.origin, layer.at) for layer in definition.layers)
        for name, identity, at in named:
            method, other = seen.setdefault((definition.family, name), (definition.method, identity))
            if method != definition.method and other != identity:
                raise fail(
                    "E0107",
                    f"`{name}` already names a layer of `{method}`",
                    session.span(at),
                    f"named again in `{definition.method}`",
                    help="choose another label; to share the layer, make it before the methods",
                )


# ---------------------------------------------------------------- weights and initial values


# ---------------------------------------------------------------- facts


@dataclass(frozen=True)
class NetFacts:
    """What `expect` and `dlc check` say about a network."""

    label: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str | None, str], ...]
    parameters: int
    assumptions: tuple[str, ...]


def parameter_count(program: ir.Program) -> int:
    """The number of trained numbers (states are not counted)."""
    total = 0
    for weight in program.weights:
        if weight.kind == "param":
            size = 1
            for n in weight.shape:
                size *= n
            total += size
    return total


def facts(program: ir.Program) -> NetFacts:
    """The signature, size and assumptions of a network."""
    definition = program.definitions[program.methods[0].eval]
    label = program.name + (f".{program.preset}" if program.preset else "")
    return NetFacts(
        label,
        tuple((i.name, str(i.tensor.type) if i.tensor else "none") for i in definition.inputs),
        tuple((o.name, str(o.type)) for o in definition.outputs),
        parameter_count(program),
        tuple(r.condition for r in program.requirements),
    )


def resolve_net(session: Session, module: LoadedModule, node: syntax.Expr) -> BlockValue:
    """`LeNet5()` or `ResNet.r50(classes=10)` or `GPT2.tiny` as a block with its parameters."""
    value: AnyValue = evaluate(scratch_frame(session, module), node)
    if isinstance(value, BuiltBlock):
        return value.block
    if isinstance(value, BlockValue):
        return value
    raise fail(
        "E0236",
        "a net is needed here",
        node.span,
        f"this is {values.describe(value)}",
        help="write for example LeNet5()",
    )
