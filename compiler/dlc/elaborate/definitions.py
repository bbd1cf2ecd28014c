"""Definitions: each distinct `(block or fn, parameters, input types, mode)` elaborated once.

In: a declaration with evaluated arguments, and the frame of the caller. Out: an `ir.Definition` in the
session, a `Call` node in the caller, and the results as values in the caller's terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dlc import ir, statics, values
from dlc.elaborate import signatures
from dlc.elaborate.failure import Failed, blame, fail
from dlc.elaborate.frame import Builder, Elaborated, Frame, Returned, SelfCall, Session
from dlc.ir import Const, Expr, Operation, Ref, TensorType
from dlc.modules import LoadedModule, plural, suggest
from dlc.values import (
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

if TYPE_CHECKING:
    from dlc.elaborate.calls import Arguments

STATIC = (Const, Ref, Operation)
DEFINITION = 20
"""What elaborating a definition costs of the budget, besides its nodes."""
MOST_WEIGHTS = 20_000
"""Parameter tensors of one layer (E0106). The largest known nets have some thousands."""
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
        params = tuple((name, signatures.key(value)) for name, value in self.params.items())
        inputs = tuple((t.dtype, t.sizes) if t is not None else None for _, t, _ in self.inputs)
        return (id(self.body), self.name, params, inputs, self.training, self.constant)

    @property
    def family(self) -> str:
        chosen = [
            f"{name}={signatures.key(value)}"
            for name, value in self.params.items()
            if isinstance(value, (BlockValue, FunctionValue, LayerValue))
        ]
        extra = "|" + "|".join(chosen) if chosen else ""
        mark = "#const" if self.constant else ""
        return f"{self.module.name}:{self.declaration.name.id}{extra}{mark}"


# ---------------------------------------------------------------- building


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
    from dlc.elaborate import statements

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
        statements.run_members(frame, recipe.members)
        statements.run(frame, recipe.body.statements)
    except Returned:
        pass
    if builder.broken:
        raise Failed(None)
    outputs = _outputs(frame, recipe)
    definition = _definition(session, frame, recipe, inputs, outputs)
    read = {path[0] for path in builder.weight_values if len(path) > 1}
    only_read = tuple(v for v in builder.layers.values() if v.name in read and not v.definitions)
    return Elaborated(definition, tuple(builder.init_rules), dict(builder.layers), only_read)


def _bind_inputs(frame: Frame, recipe: Recipe) -> tuple[ir.Input, ...]:
    pattern = signatures.Pattern(frame, f"`{recipe.name}`", recipe.declaration.name.span)
    found = []
    for parameter, actual, span in recipe.inputs:
        name = parameter.name.id
        optional = signatures.is_optional(parameter.type)
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
    from dlc.elaborate.calls import expect_tensor

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
    tensors = [expect_tensor(frame, value, span) for value in flat]
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
        layers=tuple(_layer(layer) for layer in builder.layer_order if layer.definitions),
        body=tuple(builder.regions[0]),
        at=session.location(recipe.declaration.name.span),
    )


def _layer(layer: LayerValue) -> ir.Layer:
    return ir.Layer(
        name=layer.name,
        index=layer.index,
        block=layer.block.declaration.name.id,
        family=layer.family,
        statics=layer.statics,
        sizes=layer.sizes,
        definitions=tuple(dict.fromkeys(layer.definitions)),
        origin=layer.origin,
        at=_LOCATIONS(layer.span),
    )


def _LOCATIONS(span: Span) -> ir.Location:  # noqa: N802
    line, column = span.source.position(span.start)
    return ir.Location(file=span.source.name, line=line, column=column, start=span.start, stop=span.stop)


# ---------------------------------------------------------------- calling


def _split_inputs(
    frame: Frame, params: Sequence[syntax.Parameter], bound: signatures.Bound, what: str
) -> tuple[dict[str, tuple[TensorValue | None, Span]], dict[str, AnyValue]]:
    """Arguments that are tensors, and those that are known while compiling."""
    from dlc.elaborate.calls import expect_tensor

    tensors: dict[str, tuple[TensorValue | None, Span]] = {}
    static_: dict[str, AnyValue] = {}
    for parameter in params:
        name = parameter.name.id
        value, span = bound[name]
        if signatures.is_tensor_type(parameter.type):
            absent = isinstance(value, STATIC) and value.value is None
            if absent and not signatures.is_optional(parameter.type):
                raise fail(
                    "E0220", f"`{name}` of {what} is a tensor, not `none`", span, "here", help="pass a tensor"
                )
            tensors[name] = (None if absent else expect_tensor(frame, value, span), span)
        elif signatures.is_tensor_list(parameter.type) or isinstance(value, ListValue):
            raise fail(
                "E0232",
                f"`{name}` of {what} is a list of tensors",
                span,
                "only the primitives concat and stack take lists",
                help="pass the tensors one by one",
            )
        else:
            static_[name] = signatures.check_static(frame, parameter, value, span, what)
    return tensors, static_


def call_function(frame: Frame, function: FunctionValue, given: Arguments, node: syntax.Node) -> AnyValue:
    """Call a function whose body computes tensors."""
    declaration = function.declaration
    assert declaration.body is not None
    what = f"`{declaration.name.id}`"
    if function.module.is_std and declaration.name.id in ("zeros", "ones"):
        return _filled(frame, declaration, given, node)
    bound = signatures.bind(frame, declaration, declaration.params, given, what, node.span)
    tensors, params = _split_inputs(frame, declaration.params, bound, what)
    recipe = Recipe(
        declaration,
        function.module,
        "fn",
        declaration.name.id,
        "forward",
        params,
        tuple(
            (p, _type_of(tensors, p), tensors[p.name.id][1])
            for p in declaration.params
            if p.name.id in tensors
        ),
        declaration.result,
        declaration.body,
        (),
        {},
        frame.training,
        frame.constant,
        None,
    )
    return _call(frame, recipe, tensors, None, node)


def _filled(frame: Frame, declaration: syntax.Function, given: Arguments, node: syntax.Node) -> AnyValue:
    """`zeros(shape)` and `ones(shape)` are the primitive `full`."""
    from dlc.elaborate import calls

    name = declaration.name.id
    bound = signatures.bind(frame, declaration, declaration.params, given, f"`{name}`", node.span)
    inputs: list[TensorValue | Expr] = []
    attrs: dict[str, Expr] = {}
    calls._sort_argument(frame, declaration.params[0], *bound["shape"], inputs, attrs, name)
    attrs["value"] = Const(value=0.0 if name == "zeros" else 1.0)
    return calls.apply(frame, "full", [], attrs, node)


def _type_of(
    tensors: Mapping[str, tuple[TensorValue | None, Span]], parameter: syntax.Parameter
) -> TensorType | None:
    value = tensors[parameter.name.id][0]
    return value.type if value is not None else None


def run_static_function(
    frame: Frame, function: FunctionValue, given: Arguments, node: syntax.Node
) -> AnyValue:
    """Run a compile-time function; its result keeps only its value and its arguments' names."""
    from dlc.elaborate import statements

    declaration = function.declaration
    assert declaration.body is not None
    what = f"`{declaration.name.id}`"
    bound = signatures.bind(frame, declaration, declaration.params, given, what, node.span)
    session = frame.session
    inner = Frame(
        session, function.module, Builder(session), frame.training, declaration.name.id, constant=True
    )
    for parameter in declaration.params:
        value, span = bound[parameter.name.id]
        inner.names[parameter.name.id] = signatures.check_static(frame, parameter, value, span, what)
    try:
        with suppress(Returned):
            statements.run(inner, declaration.body.statements)
    except Failed as failed:
        raise _told(frame, failed, node, declaration.name.id) from None
    if inner.builder.broken:
        raise Failed(None)
    if inner.result is None or len(inner.result) != 1:
        raise fail(
            "E0214",
            f"{what} returns nothing",
            declaration.name.span,
            "there is no `return`",
            help="end the body with `return ...`",
        )
    result = inner.result[0]
    if declaration.result is not None and not signatures.fits(declaration.result, result):
        raise fail(
            "E0230",
            f"{what} declares {signatures.show_type(declaration.result)}",
            node.span,
            f"it returned {values.describe(result)}",
            help="make the body and the type after `->` agree",
        )
    return result


def _told(frame: Frame, failed: Failed, node: syntax.Node, name: str) -> Failed:
    """Blame the user's call for a finding inside the library."""
    found = failed.diagnostic
    session = frame.session
    if found is None or found.span is None or session.is_user(found.span.source):
        return failed
    if found.span.source is node.span.source or not session.is_user(node.span.source):
        return failed
    return blame(failed, node.span, f"in this call of `{name}`")


def block_parameters(frame: Frame, block: BlockValue, span: Span) -> dict[str, AnyValue]:
    """Every parameter of a block with its value in the caller's terms; defaults filled in."""
    from dlc.elaborate.expressions import evaluate

    inner = Frame(frame.session, block.module, frame.builder, frame.training, block.label)
    inner.names.update(block.filled)
    found: dict[str, AnyValue] = {}
    for parameter in block.declaration.params:
        name = parameter.name.id
        if name not in block.filled:
            if parameter.default is None:
                raise fail(
                    "E0213",
                    f"`{block.label}` needs `{name}`",
                    span,
                    f"`{name}` is missing",
                    help=f"write {block.label}({name}=...)",
                )
            value = evaluate(inner, parameter.default)
            inner.names[name] = signatures.check_static(
                inner, parameter, value, parameter.span, f"`{block.label}`"
            )
        found[name] = inner.names[name]
    return found


def block_recipe(
    frame: Frame,
    block: BlockValue,
    method: str,
    params: Mapping[str, AnyValue],
    inputs: tuple[tuple[syntax.Parameter, TensorType | None, Span], ...],
    training: bool,
) -> Recipe:
    """The recipe of one method of a block for given input types."""
    declaration = block.declaration
    function = find_method(block, method, declaration.name.span)
    result = function.result if isinstance(function, syntax.Function) else declaration.result
    body = function.body
    assert body is not None
    own: dict[str, syntax.Function] = {}
    members: tuple[syntax.Statement, ...] = ()
    if declaration.inputs is None:
        own = {s.name.id: s for s in declaration.body.statements if isinstance(s, syntax.Function)}
        members = tuple(s for s in declaration.body.statements if not isinstance(s, syntax.Function))
    return Recipe(
        declaration,
        block.module,
        declaration.kind,
        declaration.name.id,
        method,
        params,
        inputs,
        result,
        body,
        members,
        own,
        training,
        frame.constant,
        block,
    )


def find_method(block: BlockValue, method: str, span: Span) -> syntax.Function | syntax.Block:
    """The declaration with the inputs and body of a method."""
    declaration = block.declaration
    if declaration.inputs is not None:
        if method != "forward":
            raise fail("E0225", f"`{block.label}` has no method `{method}`", span, "not found")
        return declaration
    methods = {s.name.id: s for s in declaration.body.statements if isinstance(s, syntax.Function)}
    if method not in methods:
        raise fail(
            "E0225",
            f"`{block.label}` has no method `{method}`",
            span,
            "not found",
            help=suggest(method, methods) or f"its methods are {', '.join(methods) or 'none'}",
        )
    if methods[method].body is None:
        raise fail(
            "E0116",
            f"function `{method}` has no body",
            methods[method].span,
            "only the standard library declares primitives",
            help="add a body: `{ return ... }`",
        )
    return methods[method]


def method_inputs(function: syntax.Function | syntax.Block) -> tuple[syntax.Parameter, ...]:
    """The tensor inputs of a method."""
    return function.params if isinstance(function, syntax.Function) else (function.inputs or ())


def call_layer(frame: Frame, layer: LayerValue, given: Arguments, node: syntax.Node, method: str) -> AnyValue:
    """Apply a method of a layer."""
    block = layer.block
    what = f"`{block.label}`"
    function = find_method(block, method, node.span)
    params = block_parameters(frame, block, layer.span)
    declared = method_inputs(function)
    bound = signatures.bind(frame, function, declared, given, what, node.span)
    tensors, statics_ = _split_inputs(frame, declared, bound, what)
    if statics_:
        name = next(iter(statics_))
        raise fail(
            "E0230",
            f"`{name}` of {what} has no tensor type",
            function.span,
            "inputs are tensors",
            help=f"write {name}: float[...] in the second list, or move it to the first",
        )
    inputs = tuple((p, _type_of(tensors, p), tensors[p.name.id][1]) for p in declared)
    recipe = block_recipe(frame, block, method, params, inputs, frame.training)
    return _call(frame, recipe, tensors, layer, node)


def call_own_method(frame: Frame, function: syntax.Function, given: Arguments, node: syntax.Node) -> AnyValue:
    """`encode(x)` inside another method of the same net."""
    own = frame.self_call
    assert own is not None and isinstance(own.block, BlockValue)
    what = f"`{function.name.id}`"
    bound = signatures.bind(frame, function, function.params, given, what, node.span)
    tensors, _ = _split_inputs(frame, function.params, bound, what)
    inputs = tuple((p, _type_of(tensors, p), tensors[p.name.id][1]) for p in function.params)
    params = {name: frame.names[name] for name in (p.name.id for p in own.block.declaration.params)}
    recipe = block_recipe(frame, own.block, function.name.id, params, inputs, frame.training)
    return _call(frame, recipe, tensors, None, node)


def _call(
    frame: Frame,
    recipe: Recipe,
    tensors: Mapping[str, tuple[TensorValue | None, Span]],
    layer: LayerValue | None,
    node: syntax.Node,
) -> AnyValue:
    session, builder = frame.session, frame.builder
    session.calls.append((recipe.name, node.span))
    try:
        made = elaborate_recipe(session, recipe)
    except Failed as failed:
        raise _told(frame, failed, node, recipe.name) from None
    finally:
        session.calls.pop()
    definition = made.definition
    outer_statics = {k: v for k, v in recipe.params.items() if isinstance(v, STATIC)}
    outer_sizes = _outer_sizes(recipe, tensors, definition)
    translate = translation({**outer_statics, **outer_sizes})
    outputs = tuple(builder.tensor(_translated(o.type, translate)) for o in definition.outputs)
    if layer is not None:
        _learn(layer, made, outer_statics, outer_sizes, recipe, translate)
    builder.add(
        ir.Call(
            origin=session.origin(node, "call"),
            at=session.location(node.span),
            callee=definition.id,
            layer=layer.name if layer else None,
            index=layer.index if layer else (),
            method=recipe.method,
            arguments={name: value.operand if value else None for name, (value, _) in tensors.items()},
            statics=outer_statics,
            sizes=outer_sizes,
            outputs=outputs,
            constant=recipe.constant,
        ),
        node.span,
    )
    made_values = tuple(TensorValue(ir.Use(id=t.id), t.type, recipe.constant) for t in outputs)
    names = tuple(o.name for o in definition.outputs)
    if len(made_values) == 1 and names[0] is None:
        return made_values[0]
    return RecordValue(names, made_values)


def _outer_sizes(
    recipe: Recipe, tensors: Mapping[str, tuple[TensorValue | None, Span]], definition: ir.Definition
) -> dict[str, Expr]:
    found: dict[str, Expr] = {}
    for parameter, _, _ in recipe.inputs:
        value = tensors[parameter.name.id][0]
        if value is None or not isinstance(parameter.type, syntax.NamedType):
            continue
        found.update(
            {k: v for k, v in signatures.named_sizes(parameter.type, value.type).items() if k not in found}
        )
        for axis, size in enumerate(value.type.shape):
            found.setdefault(f"{parameter.name.id}.{axis}", size)
    return {name: found.get(name, Const(value=ref.value)) for name, ref in definition.sizes.items()}


def translation(names: Mapping[str, Expr]) -> Any:
    """Replace references to a callee's own names by the caller's expressions."""

    def replace(reference: Ref) -> Expr:
        if reference.scope == "" and reference.name in names:
            return names[reference.name]
        return Const(value=reference.value)

    return replace


def _translated(type_: TensorType, translate: Any) -> TensorType:
    sizes = []
    for size in type_.shape:
        made = statics.substitute(size, translate)
        sizes.append(made if statics.length(made) <= statics.longest(size.value) else Const(value=size.value))
    return TensorType(dtype=type_.dtype, shape=tuple(sizes))


# ---------------------------------------------------------------- weights


def _learn(
    layer: LayerValue,
    made: Elaborated,
    outer_statics: Mapping[str, Expr],
    outer_sizes: Mapping[str, Expr],
    recipe: Recipe,
    translate: Any,
) -> None:
    """Remember what an application shows of a layer: its parameters' types and its definitions."""
    total = len(made.definition.weights) + sum(len(inner.weights) for inner in made.layers.values())
    if total > MOST_WEIGHTS:
        raise fail(
            "E0106",
            f"`{recipe.name}` has more than {MOST_WEIGHTS:_} parameter tensors",
            layer.span,
            f"{total:_} in this layer",
            help="repeat less",
        )
    layer.definitions.append(made.definition.id)
    if not layer.family:
        layer.family = recipe.family
        layer.statics, layer.sizes = outer_statics, outer_sizes
    for weight in made.definition.weights:
        layer.weights.setdefault((weight.name,), _translated(weight.tensor.type, translate))
    for inner in made.layers.values():
        prefix = (inner.name, *(str(i) for i in inner.index))
        for path, type_ in inner.weights.items():
            layer.weights.setdefault((*prefix, *path), _translated(type_, translate))


def know_weights(frame: Frame, layer: LayerValue) -> None:
    """The parameters of a layer that was not applied yet, where their sizes do not depend on its input."""
    if layer.weights or layer.block.declaration.inputs is None:
        return
    params = block_parameters(frame, layer.block, layer.span)
    inner = Frame(
        frame.session, layer.block.module, Builder(frame.session), frame.training, layer.block.label
    )
    inner.names.update(params)
    for statement in layer.block.declaration.body.statements:
        if isinstance(statement, syntax.Variable) and statement.kind != "sample":
            try:
                type_ = signatures.tensor_type(inner, statement.type)
            except Failed:
                continue
            layer.weights[(statement.name.id,)] = type_


def weight_of_layer(frame: Frame, layer: LayerValue, path: tuple[str, ...]) -> TensorValue:
    """`embed.weight` as an operand."""
    builder = frame.builder
    full = (layer.name, *(str(i) for i in layer.index), *path)
    if full not in builder.weight_values:
        tensor = builder.tensor(layer.weights[path])
        builder.weight_values[full] = TensorValue(ir.Weight(path=full, id=tensor.id), tensor.type)
    return builder.weight_values[full]
