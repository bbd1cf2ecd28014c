"""Calls: of primitives, functions, layers and the compiler's own functions, and the stages of a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dlc import ir, statics, values
from dlc.elaborate import builtins, shapes, signatures
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame
from dlc.ir import Const, Expr, Operation, Ref, TensorType
from dlc.modules import plural, suggest
from dlc.values import (
    AnyValue,
    BlockValue,
    BuiltBlock,
    Builtin,
    DistributionValue,
    DTypeValue,
    FunctionValue,
    LayerPath,
    LayerValue,
    ListValue,
    Poison,
    RecordValue,
    TensorValue,
)
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Edit
from dlc_grammar.source import Span

STATIC = (Const, Ref, Operation)
BUILTINS = builtins.NAMES


@dataclass(frozen=True)
class Arguments:
    """Evaluated arguments of a call, with where each stands."""

    positional: tuple[tuple[AnyValue, Span], ...]
    keywords: Mapping[str, tuple[AnyValue, Span]]

    def values(self) -> list[AnyValue]:
        return [v for v, _ in self.positional] + [v for v, _ in self.keywords.values()]


def arguments(
    frame: Frame, node: syntax.Call | None, first: tuple[AnyValue, Span] | None = None
) -> Arguments:
    """Evaluate the arguments of a call; `first` is what a pipe passes in."""
    from dlc.elaborate.expressions import elements, evaluate

    positional: list[tuple[AnyValue, Span]] = [first] if first else []
    keywords: dict[str, tuple[AnyValue, Span]] = {}
    if node is not None:
        for argument in node.args:
            if isinstance(argument, syntax.Spread):
                spread = elements(frame, evaluate(frame, argument.value), argument.span)
                positional.extend((value, argument.span) for value in spread)
            else:
                positional.append((evaluate(frame, argument), argument.span))
        for keyword in node.keywords:
            if keyword.name.id in keywords:
                raise fail(
                    "E0212",
                    f"`{keyword.name.id}` is given twice",
                    keyword.span,
                    "given again here",
                    help="remove one of the two",
                )
            keywords[keyword.name.id] = (evaluate(frame, keyword.value), keyword.span)
    for value in [v for v, _ in positional] + [v for v, _ in keywords.values()]:
        if isinstance(value, Poison):
            raise Failed(None)
    return Arguments(tuple(positional), keywords)


def expect_tensor(frame: Frame, value: AnyValue, span: Span) -> TensorValue:
    """A tensor, or E0220. A compile-time number becomes a scalar tensor."""
    if isinstance(value, TensorValue):
        return value
    if isinstance(value, Poison):
        raise Failed(None)
    if isinstance(value, STATIC) and (statics.is_number(value.value) or isinstance(value.value, bool)):
        dtype = shapes.number_dtype(value)
        return TensorValue(ir.Static(expr=value), TensorType(dtype=dtype, shape=()))
    if isinstance(value, RecordValue):
        names = [name for name in value.names if name]
        raise fail(
            "E0220",
            f"this has {len(value.values)} results, one tensor is needed",
            span,
            "which of the results is meant",
            help=f"select one: .{names[0]}" if names else "unpack it first",
        )
    if isinstance(value, (BuiltBlock, LayerValue)):
        raise fail(
            "E0227",
            "this layer is built but not applied",
            span,
            "a tensor is needed here",
            help=f"apply it: {span.text}(x), or x -> {span.text}",
        )
    if isinstance(value, DistributionValue):
        raise fail(
            "E0220",
            f"a tensor is needed, not {values.describe(value)}",
            span,
            "nothing is drawn yet",
            help=f"draw from it first: sample noise: float[B, 8] ~ {span.text}",
        )
    if isinstance(value, STATIC) and value.value is None:
        raise fail(
            "E0220",
            "a tensor is needed, not `none`",
            span,
            "this may be absent",
            help=f"test it first: if {span.text} != none {{ ... }}",
        )
    raise fail(
        "E0220",
        f"a tensor is needed, not {values.describe(value)}",
        span,
        "this is no tensor",
        help="pass a tensor of the shape in the signature",
    )


def expect_operand(frame: Frame, value: AnyValue, span: Span) -> TensorValue | Expr:
    """A tensor, or a compile-time number as it is."""
    if isinstance(value, STATIC) and (statics.is_number(value.value) or isinstance(value.value, bool)):
        return value
    return expect_tensor(frame, value, span)


# ---------------------------------------------------------------- primitives


def apply(
    frame: Frame,
    op: str,
    inputs: Sequence[TensorValue | Expr],
    attrs: dict[str, Expr],
    node: syntax.Node,
    types: list[TensorType] | None = None,
) -> TensorValue:
    """Apply a primitive with one result; see `apply_all`."""
    return apply_all(frame, op, inputs, attrs, node, types)[0]


def apply_all(
    frame: Frame,
    op: str,
    inputs: Sequence[TensorValue | Expr],
    attrs: dict[str, Expr],
    node: syntax.Node,
    types: list[TensorType] | None = None,
) -> list[TensorValue]:
    """Apply a primitive: compute the result types (unless given) and add the node."""
    session = frame.session
    span = node.span
    site = shapes.Application(op, list(inputs), dict(attrs), span, session.known)
    if types is None:
        types = _types(site)
    for a, b in site.checks:
        session.checks.append((a, b, span))
    outputs = [frame.builder.tensor(type_) for type_ in types]
    constant = frame.constant and all(
        value.constant or isinstance(value.operand, ir.Static)
        for value in site.inputs
        if isinstance(value, TensorValue)
    )
    operands = tuple(
        value.operand if isinstance(value, TensorValue) else ir.Static(expr=value) for value in site.inputs
    )
    frame.builder.add(
        ir.Apply(
            origin=session.origin(node),
            at=session.location(span),
            op=op,
            inputs=operands,
            attrs=site.attrs,
            outputs=tuple(outputs),
            constant=constant,
        ),
        span,
    )
    return [TensorValue(ir.Use(id=t.id), t.type, constant) for t in outputs]


def _types(site: shapes.Application) -> list[TensorType]:
    """The result types by the shape rule; what the rule did not foresee is a wrong argument too."""
    try:
        return shapes.RULES[site.op](site)
    except statics.Wrong as wrong:
        raise site.fail("E0306", str(wrong), "in this shape", help="check the sizes that enter it") from None
    except (statics.Symbolic, statics.Undecided):
        raise site.fail(
            "E0224",
            "this depends on a size that is only known when the model runs",
            "here",
            help="give the size a number",
        ) from None
    except (ValueError, OverflowError, TypeError, LookupError, AttributeError):
        raise site.fail(
            "E0211",
            f"`{site.shown}` cannot take these arguments",
            "in this call",
            help="compare them with its signature",
        ) from None


def _call_primitive(frame: Frame, function: FunctionValue, given: Arguments, node: syntax.Node) -> AnyValue:
    declaration = function.declaration
    name = declaration.name.id
    if name == "einsum":
        return _einsum(frame, given, node)
    extra: dict[str, Expr] = {}
    if name in ("rearrange", "repeat"):
        extra = {
            f"size:{key}": _as_static(value, span)
            for key, (value, span) in given.keywords.items()
            if key not in ("x", "pattern")
        }
        kept = {k: v for k, v in given.keywords.items() if k in ("x", "pattern")}
        given = Arguments(given.positional, kept)
    bound = signatures.bind(frame, declaration, declaration.params, given, f"`{name}`", node.span)
    inputs: list[TensorValue | Expr] = []
    attrs: dict[str, Expr] = dict(extra)
    for parameter in declaration.params:
        value, span = bound[parameter.name.id]
        _sort_argument(frame, parameter, value, span, inputs, attrs, name)
    if name == "full" and inputs:
        shape = attrs["shape"]
        return apply(frame, "broadcast", inputs, {"shape": shape}, node)
    types = None
    if name not in shapes.RULES:
        types = signatures.result_types(frame, function, bound, node)
        if any(not isinstance(value, TensorValue) for value in inputs):
            inputs = [expect_tensor(frame, value, node.span) for value in inputs]
    results = apply_all(frame, name, inputs, attrs, node, types)
    if len(results) == 1 and name != "split":
        return results[0]
    if name == "split":
        return ListValue(tuple(results))
    record = declaration.result
    names = (
        tuple(f.name.id if f.name else None for f in record.fields)
        if isinstance(record, syntax.TupleType)
        else (None,) * len(results)
    )
    return RecordValue(names, tuple(results))


def _as_static(value: AnyValue, span: Span) -> Expr:
    if isinstance(value, STATIC):
        return value
    raise fail("E0222", "a size is decided at compile time", span, f"this is {values.describe(value)}")


def _sort_argument(
    frame: Frame,
    parameter: syntax.Parameter,
    value: AnyValue,
    span: Span,
    inputs: list[TensorValue | Expr],
    attrs: dict[str, Expr],
    owner: str,
) -> None:
    name = parameter.name.id
    if signatures.is_tensor_type(parameter.type):
        if isinstance(value, STATIC) and value.value is None:
            if signatures.is_optional(parameter.type):
                return
            expect_tensor(frame, value, span)
        if name == "value" and isinstance(value, STATIC):
            attrs[name] = value
            return
        inputs.append(expect_operand(frame, value, span))
        return
    if signatures.is_tensor_list(parameter.type):
        from dlc.elaborate.expressions import elements

        inputs.extend(expect_operand(frame, item, span) for item in elements(frame, value, span))
        return
    wanted = parameter.type.name if isinstance(parameter.type, syntax.NamedType) else ""
    if isinstance(value, DTypeValue) and wanted == "dtype":
        attrs[name] = Const(value=value.name)
        return
    if isinstance(value, ListValue) and all(isinstance(item, STATIC) for item in value.items):
        items = [item for item in value.items if isinstance(item, STATIC)]
        attrs[name] = statics.operation("tuple", items, tuple(item.value for item in items))
        return
    if not isinstance(value, STATIC):
        inside = (
            next((v for v in value.items if not isinstance(v, STATIC)), None)
            if isinstance(value, ListValue)
            else None
        )
        raise fail(
            "E0222",
            f"`{name}` is decided at compile time",
            span,
            f"this is {values.describe(value)}" if inside is None else f"in it is {values.describe(inside)}",
            help="pass a number, a parameter or a size; divide sizes with //",
        )
    if (
        parameter.type is not None
        and not signatures.fits(parameter.type, value)
        and name not in ("value", "subscripts")
    ):
        signatures.check_static(frame, parameter, value, span, f"`{owner}`")
    attrs[name] = value


def _einsum(frame: Frame, given: Arguments, node: syntax.Node) -> AnyValue:
    found = list(given.positional)
    if "equation" in given.keywords:
        found.insert(0, given.keywords["equation"])
    equation = [(v, s) for v, s in found if isinstance(v, STATIC) and isinstance(v.value, str)]
    if len(equation) != 1:
        raise fail(
            "E0308",
            "einsum needs one equation",
            node.span,
            "here",
            help='write for example einsum("b i k, b k j -> b i j", x, y)',
        )
    tensors = [expect_tensor(frame, v, s) for v, s in found if (v, s) not in equation]
    attrs: dict[str, Expr] = {"equation": equation[0][0]}
    return apply(frame, "einsum", tensors, attrs, node)


# ---------------------------------------------------------------- calls by kind


def call(frame: Frame, node: syntax.Call) -> AnyValue:
    """`f(a, b)`, `Linear(10)`, `layer(x)`, `Linear(10)(x)`."""
    from dlc.elaborate.expressions import evaluate

    if isinstance(node.function, syntax.Name) and node.function.id not in frame.names:
        special = builtins.distribution(frame, node)
        if special is not None:
            return special
    function = evaluate(frame, node.function)
    if isinstance(function, BlockValue):
        return build(frame, function, node)
    return invoke(frame, function, arguments(frame, node), node, node.function.span)


def invoke(frame: Frame, function: AnyValue, given: Arguments, node: syntax.Node, span: Span) -> AnyValue:
    """Call anything callable with evaluated arguments."""
    match function:
        case Builtin():
            return builtins.call(frame, function, given, node)
        case FunctionValue():
            return call_function(frame, function, given, node)
        case LayerValue():
            return apply_layer(frame, function, given, node)
        case BuiltBlock():
            return apply_layer(frame, name_layer(frame, function, None, node), given, node)
        case DTypeValue():
            return builtins.convert(frame, function, given, node)
        case Poison():
            raise Failed(None)
        case BlockValue():
            raise bare_block(function, span)
    raise fail(
        "E0228",
        f"{values.describe(function)} cannot be called",
        span,
        "called here",
        help="call a function, a block or a layer",
    )


def call_function(frame: Frame, function: FunctionValue, given: Arguments, node: syntax.Node) -> AnyValue:
    """A primitive, a compile-time function, a function of tensors, or a method."""
    from dlc.elaborate import definitions

    declaration = function.declaration
    tensors = any(not isinstance(value, STATIC) for value in given.values())
    if not tensors and declaration.name.id in builtins.NUMERIC and not frame.constant_tensors(declaration):
        return builtins.call(frame, Builtin(declaration.name.id), given, node)
    if declaration.body is None:
        if function.module.user:
            raise Failed(None)
        return _call_primitive(frame, function, given, node)
    if isinstance(function.receiver, LayerValue):
        return apply_layer(frame, function.receiver, given, node, declaration.name.id)
    if function.receiver == "self":
        return definitions.call_own_method(frame, declaration, given, node)
    if not tensors and not signatures.returns_tensor(declaration):
        return definitions.run_static_function(frame, function, given, node)
    return definitions.call_function(frame, function, given, node)


def bare_block(block: BlockValue, span: Span) -> Failed:
    """E0226: a block used as if it were a layer."""
    return fail(
        "E0226",
        f"`{block.label}` is a block; build it before applying it",
        span,
        "missing ()",
        help=f"write `-> {span.text}()`",
        edit=Edit(span, f"{span.text}()"),
    )


def pipe_stage(frame: Frame, value: AnyValue, pipe: syntax.Pipe) -> AnyValue:
    """`value -> stage`, with the layer of the stage named by its label."""
    from dlc.elaborate.expressions import evaluate

    if isinstance(value, Poison):
        raise Failed(None)
    stage, label = pipe.stage, pipe.label
    first = (value, stage.span)
    if not isinstance(stage, syntax.Call):
        target = evaluate(frame, stage)
        if isinstance(target, BlockValue):
            raise bare_block(target, stage.span)
        if isinstance(target, BuiltBlock):
            target = name_layer(frame, target, label, stage)
        elif label is not None:
            raise _misplaced_label(label, target)
        return invoke(frame, target, Arguments((first,), {}), stage, stage.span)
    target = evaluate(frame, stage.function)
    if isinstance(target, BlockValue):
        layer = name_layer(frame, build(frame, target, stage), label, stage)
        return apply_layer(frame, layer, Arguments((first,), {}), stage)
    if isinstance(target, BuiltBlock):
        layer = name_layer(frame, target, label, stage.function)
        return apply_layer(frame, layer, arguments(frame, stage, first), stage)
    if label is not None:
        raise _misplaced_label(label, target)
    return invoke(frame, target, arguments(frame, stage, first), stage, stage.function.span)


def _misplaced_label(label: syntax.Ident, target: AnyValue) -> Failed:
    return fail(
        "E0229",
        f"`{label.id}:` names a layer, but this is {values.describe(target)}",
        label.span,
        "nothing to name here",
        help="remove the label",
    )


# ---------------------------------------------------------------- blocks and layers


def static_argument(frame: Frame, block: syntax.Block, name: syntax.Ident, value: syntax.Expr) -> AnyValue:
    """The value of one parameter of a block, checked against its declaration (presets, --set)."""
    from dlc.elaborate.expressions import evaluate

    parameter = next((p for p in block.params if p.name.id == name.id), None)
    if parameter is None:
        raise fail(
            "E0210",
            f"`{block.name.id}` has no parameter `{name.id}`",
            name.span,
            "not a parameter",
            help=suggest(name.id, (p.name.id for p in block.params))
            or (
                f"its parameters are {', '.join(p.name.id for p in block.params)}"
                if block.params
                else "it has none"
            ),
        )
    found = evaluate(frame, value)
    return signatures.check_static(frame, parameter, found, value.span, f"`{block.name.id}`")


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
                edit=signatures.keyword_edit(pair[1], key, names),
            )
        if key in chosen:
            raise fail(
                "E0212", f"`{key}` is given twice", pair[1], "given again here", help="remove one of the two"
            )
        chosen[key] = pair
    for parameter in declaration.params:
        if parameter.name.id in chosen:
            value, span = chosen[parameter.name.id]
            filled[parameter.name.id] = signatures.check_static(
                frame, parameter, value, span, f"`{block.label}`"
            )
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


def apply_layer(
    frame: Frame, layer: LayerValue, given: Arguments, node: syntax.Node, method: str = "forward"
) -> AnyValue:
    """Apply a layer (or one of its methods) to tensors."""
    from dlc.elaborate import definitions

    return definitions.call_layer(frame, layer, given, node, method)


def layer_attribute(frame: Frame, value: LayerValue | LayerPath, node: syntax.Attribute) -> AnyValue:
    """`embed.weight`, `bert.word.weight`, `net.decode`."""
    from dlc.elaborate import definitions

    layer, path = (value.layer, value.path) if isinstance(value, LayerPath) else (value, ())
    name = node.name.id
    if not path:
        for statement in layer.block.declaration.body.statements:
            if isinstance(statement, syntax.Function) and statement.name.id == name:
                return FunctionValue(statement, layer.block.module, layer)
    full = (*path, name)
    definitions.know_weights(frame, layer)
    if full in layer.weights:
        return definitions.weight_of_layer(frame, layer, full)
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


def label_arguments(values_: Sequence[Any]) -> tuple[Any, ...]:
    """A hashable picture of compile-time arguments, for memo keys."""
    return tuple(signatures.key(value) for value in values_)


__all__ = ["DistributionValue"]
