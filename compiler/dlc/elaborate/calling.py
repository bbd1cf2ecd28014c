"""Calls of definitions.

In: a `Recipe` with its tensors, and the frame of the caller. Out: a `Call` node in the caller, and the
results as values in the caller's terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from dlc import ir
from dlc.elaborate import signatures
from dlc.elaborate.arguments import Bound
from dlc.elaborate.coerce import expect_tensor
from dlc.elaborate.declared_types import check_static, is_optional, is_tensor_list, is_tensor_type
from dlc.elaborate.definitions import Recipe, elaborate_recipe
from dlc.elaborate.failure import Failed, blame, fail
from dlc.elaborate.frame import Elaborated, Frame
from dlc.ir import Const, Expr, TensorType
from dlc.values import STATIC, AnyValue, LayerValue, ListValue, RecordValue, TensorValue
from dlc_grammar import syntax
from dlc_grammar.source import Span

Tensors: TypeAlias = Mapping[str, tuple[TensorValue | None, Span]]
"""Arguments by name, None where an optional one is absent, with where each stands."""
MOST_WEIGHTS = 20_000
"""Parameter tensors of one layer (E0106). The largest known nets have some thousands."""


def call_definition(
    frame: Frame,
    recipe: Recipe,
    tensors: Tensors,
    layer: LayerValue | None,
    node: syntax.Node,
) -> AnyValue:
    """Call the definition of a recipe, which is a method of `layer` if there is one."""
    session, builder = frame.session, frame.builder
    session.calls.append((recipe.name, node.span))
    try:
        made = elaborate_recipe(session, recipe)
    except Failed as failed:
        raise blame_call(frame, failed, node, recipe.name) from None
    finally:
        session.calls.pop()
    definition = made.definition
    outer_statics = {k: v for k, v in recipe.params.items() if isinstance(v, STATIC)}
    outer_sizes = _outer_sizes(recipe, tensors, definition)
    outer = {**outer_statics, **outer_sizes}
    outputs = tuple(builder.tensor(signatures.in_terms_of(o.type, outer)) for o in definition.outputs)
    if layer is not None:
        _learn(layer, made, outer_statics, outer_sizes, recipe)
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


def split_inputs(
    frame: Frame, params: Sequence[syntax.Parameter], bound: Bound, what: str
) -> tuple[dict[str, tuple[TensorValue | None, Span]], dict[str, AnyValue]]:
    """Arguments that are tensors, and those that are known while compiling."""
    tensors: dict[str, tuple[TensorValue | None, Span]] = {}
    static_: dict[str, AnyValue] = {}
    for parameter in params:
        name = parameter.name.id
        value, span = bound[name]
        if is_tensor_type(parameter.type):
            absent = isinstance(value, STATIC) and value.value is None
            if absent and not is_optional(parameter.type):
                raise fail(
                    "E0220", f"`{name}` of {what} is a tensor, not `none`", span, "here", help="pass a tensor"
                )
            tensors[name] = (None if absent else expect_tensor(value, span), span)
        elif is_tensor_list(parameter.type) or isinstance(value, ListValue):
            raise fail(
                "E0232",
                f"`{name}` of {what} is a list of tensors",
                span,
                "only the primitives concat and stack take lists",
                help="pass the tensors one by one",
            )
        else:
            static_[name] = check_static(frame, parameter, value, span, what)
    return tensors, static_


def input_types(
    params: Sequence[syntax.Parameter], tensors: Tensors
) -> tuple[tuple[syntax.Parameter, TensorType | None, Span], ...]:
    """What a recipe says of inputs: the type of each, None where it is absent, and where it was given."""
    found = ((parameter, *tensors[parameter.name.id]) for parameter in params if parameter.name.id in tensors)
    return tuple((parameter, value.type if value else None, span) for parameter, value, span in found)


def blame_call(frame: Frame, failed: Failed, node: syntax.Node, name: str) -> Failed:
    """Blame the user's call for a finding inside the library."""
    found = failed.diagnostic
    session = frame.session
    if found is None or found.span is None or session.is_user(found.span.source):
        return failed
    if found.span.source is node.span.source or not session.is_user(node.span.source):
        return failed
    return blame(failed, node.span, f"in this call of `{name}`")


def _outer_sizes(
    recipe: Recipe,
    tensors: Tensors,
    definition: ir.Definition,
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


def _learn(
    layer: LayerValue,
    made: Elaborated,
    outer_statics: Mapping[str, Expr],
    outer_sizes: Mapping[str, Expr],
    recipe: Recipe,
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
    outer = {**outer_statics, **outer_sizes}
    for weight in made.definition.weights:
        layer.weights.setdefault((weight.name,), signatures.in_terms_of(weight.tensor.type, outer))
    for inner in made.layers.values():
        prefix = (inner.name, *(str(i) for i in inner.index))
        for path, type_ in inner.weights.items():
            layer.weights.setdefault((*prefix, *path), signatures.in_terms_of(type_, outer))
