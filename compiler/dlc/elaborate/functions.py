"""Calls of functions with a body: those of tensors are definitions, those of compile-time values just run."""

from __future__ import annotations

from contextlib import suppress

from dlc import values
from dlc.elaborate import calling, definitions, primitives, static_functions
from dlc.elaborate.arguments import Arguments, bind
from dlc.elaborate.declared_types import check_static, fits, show_type
from dlc.elaborate.dispatch import run
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Builder, Frame, Returned
from dlc.ir import Const, Expr
from dlc.values import STATIC, AnyValue, FunctionValue, TensorValue
from dlc_grammar import syntax


def call_function(frame: Frame, function: FunctionValue, given: Arguments, node: syntax.Node) -> AnyValue:
    """Call a function whose body computes tensors."""
    declaration = function.declaration
    assert declaration.body is not None
    what = f"`{declaration.name.id}`"
    if function.module.is_std and declaration.name.id in ("zeros", "ones"):
        return _filled(frame, declaration, given, node)
    bound = bind(frame, declaration, declaration.params, given, what, node.span)
    tensors, params = calling.split_inputs(frame, declaration.params, bound, what)
    recipe = definitions.Recipe(
        declaration=declaration,
        module=function.module,
        kind="fn",
        name=declaration.name.id,
        method="forward",
        params=params,
        inputs=calling.input_types(declaration.params, tensors),
        result=declaration.result,
        body=declaration.body,
        members=(),
        methods={},
        training=frame.training,
        constant=frame.constant,
        block=None,
    )
    return calling.call_definition(frame, recipe, tensors, None, node)


def _filled(frame: Frame, declaration: syntax.Function, given: Arguments, node: syntax.Node) -> AnyValue:
    """`zeros(shape)` and `ones(shape)` are the primitive `full`."""
    name = declaration.name.id
    bound = bind(frame, declaration, declaration.params, given, f"`{name}`", node.span)
    inputs: list[TensorValue | Expr] = []
    attrs: dict[str, Expr] = {}
    primitives.sort_argument(frame, declaration.params[0], *bound["shape"], inputs, attrs, name)
    attrs["value"] = Const(value=0.0 if name == "zeros" else 1.0)
    return primitives.apply(frame, "full", [], attrs, node)


def run_static_function(
    frame: Frame, function: FunctionValue, given: Arguments, node: syntax.Node
) -> AnyValue:
    """Run a compile-time function. Its result is said as the call, or by what it makes of the arguments."""
    declaration = function.declaration
    assert declaration.body is not None
    what = f"`{declaration.name.id}`"
    bound = bind(frame, declaration, declaration.params, given, what, node.span)
    session = frame.session
    inner = Frame(
        session, function.module, Builder(session), frame.training, declaration.name.id, constant=True
    )
    for parameter in declaration.params:
        value, span = bound[parameter.name.id]
        inner.names[parameter.name.id] = check_static(frame, parameter, value, span, what)
    passed = list(inner.names.values())
    try:
        with suppress(Returned):
            run(inner, declaration.body.statements)
    except Failed as failed:
        raise calling.blame_call(frame, failed, node, declaration.name.id) from None
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
    if declaration.result is not None and not fits(declaration.result, result):
        raise fail(
            "E0230",
            f"{what} declares {show_type(declaration.result)}",
            node.span,
            f"it returned {values.describe(result)}",
            help="make the body and the type after `->` agree",
        )
    if not isinstance(result, STATIC):
        return result
    return static_functions.called(frame, function, passed, result)
