"""Layers: a block is built, named where it stands, and applied to tensors; its weights are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dlc import ir
from dlc.elaborate import calling, definitions, signatures
from dlc.elaborate.arguments import Arguments, arguments, bind, keyword_edit
from dlc.elaborate.declared_types import check_static
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Builder, Frame
from dlc.ir import TensorType
from dlc.modules import plural, suggest
from dlc.values import AnyValue, BlockValue, BuiltBlock, FunctionValue, LayerPath, LayerValue, TensorValue
from dlc_grammar import syntax
from dlc_grammar.source import Span


def build(frame: Frame, block: BlockValue, node: syntax.Call) -> BuiltBlock:
    """`Linear(10)`: fill in compile-time arguments; missing ones are checked when it is applied."""
    given = arguments(frame, node)
    declaration = block.declaration
    filled = dict(block.filled)
    names = [p.name.id for p in declaration.params]
    if len(given.positional) > len(names):
        raise fail(
            "E0211",
            f"`{block.label}` takes {plural(len(names), 'parameter')}, {len(given.positional)} given",
            given.positional[len(names)][1],
            "too many",
            help=f"its parameters are {', '.join(names)}" if names else f"write `{block.label}()`",
        )
    chosen: dict[str, tuple[AnyValue, Span]] = dict(zip(names, given.positional, strict=False))
    for key, pair in given.keywords.items():
        if key not in names:
            hint = suggest(key, names)
            raise fail(
                "E0210",
                f"`{block.label}` has no parameter `{key}`",
                pair[1],
                "not a parameter",
                help=hint or (f"its parameters are {', '.join(names)}" if names else "it has none"),
                edit=keyword_edit(pair[1], key, names),
            )
        if key in chosen:
            raise fail(
                "E0212", f"`{key}` is given twice", pair[1], "given again here", help="remove one of the two"
            )
        chosen[key] = pair
    for parameter in declaration.params:
        if parameter.name.id in chosen:
            value, span = chosen[parameter.name.id]
            filled[parameter.name.id] = check_static(frame, parameter, value, span, f"`{block.label}`")
    missing = [p.name.id for p in declaration.params if p.default is None and p.name.id not in filled]
    if missing:
        raise fail(
            "E0213",
            f"`{block.label}` needs `{missing[0]}`",
            node.span,
            f"`{missing[0]}` is missing",
            help=f"add `{missing[0]}=...`; its parameters are {', '.join(names)}",
        )
    return BuiltBlock(replace(block, filled=filled), node.span)


def name_layer(
    frame: Frame, built: BuiltBlock, label: syntax.Ident | None, node: syntax.Node, name: str | None = None
) -> LayerValue:
    """The layer that a block makes here; the same text in another round of a loop is another layer."""
    builder, session = frame.builder, frame.session
    origin = session.origin(node, "layer")
    chosen = name or (label.id if label else _automatic_label(frame, built, origin))
    span = label.span if label else built.span
    if frame.fixed.get(chosen) in ("param", "state"):
        raise _label_clash(chosen, span, f"a {frame.fixed[chosen]}")
    if chosen in builder.samples:
        raise _label_clash(chosen, span, "a sample")
    for key, other in builder.layers.items():
        if key[0] == chosen and other.origin != origin:
            raise fail(
                "E0107",
                f"`{chosen}` already names a layer",
                span,
                "named again here",
                notes=(f"the first one is at line {other.span.line}",),
                help=f"choose another label; to share the layer, make it once: {chosen} = {built.span.text}",
            )
    key = (chosen, frame.loops)
    if key in builder.layers:
        if frame.in_scan:
            return builder.layers[key]
        raise fail(
            "E0107",
            f"`{chosen}` already names a layer",
            span,
            "named again here",
            help="choose another label",
        )
    layer = LayerValue(built.block, chosen, frame.loops, span, origin)
    builder.layers[key] = layer
    builder.layer_order.append(layer)
    return layer


def _label_clash(name: str, span: Span, what: str) -> Failed:
    return fail(
        "E0107", f"`{name}` already names {what}", span, "named again here", help="choose another label"
    )


def _automatic_label(frame: Frame, built: BuiltBlock, origin: int) -> str:
    builder = frame.builder
    if origin in builder.auto_labels:
        return builder.auto_labels[origin]
    label = built.block.label
    base = "".join(
        f"_{c.lower()}"
        if c.isupper() and i and not label[i - 1].isupper() and not label[i - 1].isdigit()
        else c.lower()
        for i, c in enumerate(label)
    )
    taken = {name for name, _ in builder.layers}
    chosen, count = base, 1
    while chosen in taken:
        count += 1
        chosen = f"{base}_{count}"
    builder.auto_labels[origin] = chosen
    return chosen


def block_parameters(frame: Frame, block: BlockValue, span: Span) -> dict[str, AnyValue]:
    """Every parameter of a block with its value in the caller's terms; defaults filled in."""
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
            inner.names[name] = check_static(inner, parameter, value, parameter.span, f"`{block.label}`")
        found[name] = inner.names[name]
    return found


def block_recipe(
    frame: Frame,
    block: BlockValue,
    method: str,
    params: Mapping[str, AnyValue],
    inputs: tuple[tuple[syntax.Parameter, TensorType | None, Span], ...],
    training: bool,
) -> definitions.Recipe:
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
    return definitions.Recipe(
        declaration=declaration,
        module=block.module,
        kind=declaration.kind,
        name=declaration.name.id,
        method=method,
        params=params,
        inputs=inputs,
        result=result,
        body=body,
        members=members,
        methods=own,
        training=training,
        constant=frame.constant,
        block=block,
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


def apply_layer(
    frame: Frame, layer: LayerValue, given: Arguments, node: syntax.Node, method: str = "forward"
) -> AnyValue:
    """Apply a layer, or one of its methods, to tensors."""
    block = layer.block
    function = find_method(block, method, node.span)
    params = block_parameters(frame, block, layer.span)
    tensors = _tensors(frame, function, given, node, f"`{block.label}`")
    recipe = block_recipe(
        frame, block, method, params, calling.input_types(method_inputs(function), tensors), frame.training
    )
    return calling.call_definition(frame, recipe, tensors, layer, node)


def call_own_method(frame: Frame, function: syntax.Function, given: Arguments, node: syntax.Node) -> AnyValue:
    """`encode(x)` inside another method of the same net."""
    own = frame.self_call
    assert own is not None and isinstance(own.block, BlockValue)
    name = function.name.id
    tensors = _tensors(frame, function, given, node, f"`{name}`")
    params = {parameter.name.id: frame.names[parameter.name.id] for parameter in own.block.declaration.params}
    recipe = block_recipe(
        frame, own.block, name, params, calling.input_types(method_inputs(function), tensors), frame.training
    )
    return calling.call_definition(frame, recipe, tensors, None, node)


def _tensors(
    frame: Frame, function: syntax.Function | syntax.Block, given: Arguments, node: syntax.Node, what: str
) -> calling.Tensors:
    """The arguments of a method, which are tensors. Raises E0230 where one is declared as something else."""
    declared = method_inputs(function)
    bound = bind(frame, function, declared, given, what, node.span)
    tensors, others = calling.split_inputs(frame, declared, bound, what)
    for name in others:
        move = "in the second list, or move it to the first"
        if isinstance(function, syntax.Function):
            move = "here, or make it a parameter of the net"
        raise fail(
            "E0230",
            f"`{name}` of {what} has no tensor type",
            function.span,
            "inputs are tensors",
            help=f"write {name}: float[...] {move}",
        )
    return tensors


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


def layer_attribute(frame: Frame, value: LayerValue | LayerPath, node: syntax.Attribute) -> AnyValue:
    """`embed.weight`, `bert.word.weight`, `net.decode`."""
    layer, path = (value.layer, value.path) if isinstance(value, LayerPath) else (value, ())
    name = node.name.id
    if not path:
        for statement in layer.block.declaration.body.statements:
            if isinstance(statement, syntax.Function) and statement.name.id == name:
                return FunctionValue(statement, layer.block.module, layer)
    full = (*path, name)
    know_weights(frame, layer)
    if full in layer.weights:
        return weight_of_layer(frame, layer, full)
    if any(known[: len(full)] == full for known in layer.weights):
        return LayerPath(layer, full)
    candidates = sorted({known[len(path)] for known in layer.weights if known[: len(path)] == path})
    candidates += [
        s.name.id
        for s in layer.block.declaration.body.statements
        if isinstance(s, syntax.Function) and not path
    ]
    if not layer.weights and not suggest(name, candidates):
        raise fail(
            "E0225",
            f"`{layer.name}.{name}` is not known yet",
            node.name.span,
            f"`{layer.name}` has not been applied, so its parameters have no sizes",
            help=f"apply it first: y = {layer.name}(x)",
        )
    raise fail(
        "E0225",
        f"`{layer.name}` has no parameter or method `{name}`",
        node.name.span,
        "not found",
        help=suggest(name, candidates) or f"it has {', '.join(candidates) or 'none'}",
    )
