"""Calls of anything that can be called, and the stages of a pipe."""

from __future__ import annotations

from dlc import values
from dlc.elaborate import builtins, distributions, functions, layers, primitives
from dlc.elaborate.arguments import Arguments, arguments
from dlc.elaborate.declared_types import returns_tensor
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame
from dlc.values import (
    STATIC,
    AnyValue,
    BlockValue,
    BuiltBlock,
    Builtin,
    DTypeValue,
    FunctionValue,
    LayerValue,
    Poison,
)
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Edit
from dlc_grammar.source import Span

MAKERS = frozenset({"full", "arange", "linspace"})
"""Functions that make a tensor also of numbers alone."""


def call(frame: Frame, node: syntax.Call) -> AnyValue:
    """`f(a, b)`, `Linear(10)`, `layer(x)`, `Linear(10)(x)`."""
    if isinstance(node.function, syntax.Name) and node.function.id not in frame.names:
        special = distributions.distribution(frame, node)
        if special is not None:
            return special
    function = evaluate(frame, node.function)
    if isinstance(function, BlockValue):
        return layers.build(frame, function, node)
    return invoke(frame, function, arguments(frame, node), node, node.function.span)


def invoke(frame: Frame, function: AnyValue, given: Arguments, node: syntax.Node, span: Span) -> AnyValue:
    """Call anything callable with evaluated arguments."""
    match function:
        case Builtin():
            return builtins.call(frame, function, given, node)
        case FunctionValue():
            return call_function(frame, function, given, node)
        case LayerValue():
            return layers.apply_layer(frame, function, given, node)
        case BuiltBlock():
            return layers.apply_layer(frame, layers.name_layer(frame, function, None, node), given, node)
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
    declaration = function.declaration
    tensors = any(not isinstance(value, STATIC) for value in given.values())
    if not tensors and declaration.name.id in builtins.NUMERIC and declaration.name.id not in MAKERS:
        return builtins.call(frame, Builtin(declaration.name.id), given, node)
    if declaration.body is None:
        if function.module.user:
            raise Failed(None)
        return primitives.call_primitive(frame, function, given, node)
    if isinstance(function.receiver, LayerValue):
        return layers.apply_layer(frame, function.receiver, given, node, declaration.name.id)
    if function.receiver == "self":
        return layers.call_own_method(frame, declaration, given, node)
    if not tensors and not returns_tensor(declaration):
        return functions.run_static_function(frame, function, given, node)
    return functions.call_function(frame, function, given, node)


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
    if isinstance(value, Poison):
        raise Failed(None)
    stage, label = pipe.stage, pipe.label
    first = (value, stage.span)
    if not isinstance(stage, syntax.Call):
        target = evaluate(frame, stage)
        if isinstance(target, BlockValue):
            raise bare_block(target, stage.span)
        if isinstance(target, BuiltBlock):
            target = layers.name_layer(frame, target, label, stage)
        elif label is not None:
            raise _misplaced_label(label, target)
        return invoke(frame, target, Arguments((first,), {}), stage, stage.span)
    target = evaluate(frame, stage.function)
    if isinstance(target, BlockValue):
        layer = layers.name_layer(frame, layers.build(frame, target, stage), label, stage)
        return layers.apply_layer(frame, layer, Arguments((first,), {}), stage)
    if isinstance(target, BuiltBlock):
        layer = layers.name_layer(frame, target, label, stage.function)
        return layers.apply_layer(frame, layer, arguments(frame, stage, first), stage)
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
