"""`expect`: assertions about networks that run in `dlc check`."""

from __future__ import annotations

from typing import Any

from dlc import statics
from dlc.elaborate import layers
from dlc.elaborate import program as programs
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import Failed, blame, fail
from dlc.elaborate.frame import Session
from dlc.ir import Const
from dlc.modules import LoadedModule, Loader
from dlc.values import STATIC
from dlc_grammar import syntax


def check(loader: Loader, module: LoadedModule, item: syntax.Expect) -> tuple[Session, bool]:
    """Evaluate one `expect`; the session holds what was wrong. True if it holds."""
    session = Session(loader)
    node = item.value
    try:
        if isinstance(node, syntax.Binary) and node.op in ("==", "!=", "<", "<=", ">", ">="):
            left, right = (_value(session, module, side) for side in (node.left, node.right))
            holds = bool(statics.binary(node.op, Const(value=left), Const(value=right)).value)
            found = f"{_shown(left)} {node.op} {_shown(right)}"
        else:
            value = _value(session, module, node)
            if not isinstance(value, bool):
                raise fail(
                    "E0502",
                    "an expectation is true or false",
                    node.span,
                    f"this is {statics.describe(value)}",
                    help="compare it: expect param_count(Net()) == 72",
                )
            holds, found = value, "false"
        if not holds:
            raise fail(
                "E0501",
                "the expectation does not hold",
                item.span,
                f"found {found}",
                help="correct the number, or the network",
            )
        return session, True
    except Failed as failed:
        found_ = failed.diagnostic
        if found_ is not None and found_.span is not None and not session.is_user(found_.span.source):
            failed = blame(failed, node.span, "in this expectation")
        session.report(failed.diagnostic)
    except RecursionError:
        session.report(programs.too_deep(item.span).diagnostic)
    except (statics.Wrong, statics.Undecided, statics.Symbolic) as wrong:
        text = str(wrong) or "this holds for some sizes only"
        session.report(
            fail(
                "E0502",
                text,
                item.span,
                "in this expectation",
                help="compare numbers, or shapes: expect shape(Net(), x=[2, 8]) == [2, 4]",
            ).diagnostic
        )
    return session, False


def _shown(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}"
    if isinstance(value, tuple):
        return "[" + ", ".join(str(v) for v in value) + "]"
    return str(value)


def _value(session: Session, module: LoadedModule, node: syntax.Expr) -> Any:
    if (
        isinstance(node, syntax.Attribute)
        and isinstance(node.value, syntax.Call)
        and _is(node.value, "shape")
    ):
        return _shape(session, module, node.value, node.name)
    if isinstance(node, syntax.Call) and _is(node, "shape"):
        return _shape(session, module, node, None)
    if isinstance(node, syntax.Call) and _is(node, "param_count"):
        if len(node.args) != 1 or node.keywords or isinstance(node.args[0], syntax.Spread):
            raise fail(
                "E0211",
                "param_count takes one net",
                node.span,
                "in this call",
                help="write param_count(LeNet5())",
            )
        block = programs.resolve_net(session, module, node.args[0])
        made = programs.elaborate_net(session, module, block)
        if made is None:
            raise Failed(None)
        return programs.parameter_count(made)
    value = evaluate(programs.scratch_frame(session, module), node)
    if not isinstance(value, STATIC):
        raise fail(
            "E0502",
            "an expectation compares numbers and shapes",
            node.span,
            "not a number",
            help="use param_count(Net()) or shape(Net(), x=[...])",
        )
    return value.value


def _is(node: syntax.Call, name: str) -> bool:
    return isinstance(node.function, syntax.Name) and node.function.id == name


def _shape(session: Session, module: LoadedModule, node: syntax.Call, field: syntax.Ident | None) -> Any:
    if len(node.args) != 1 or isinstance(node.args[0], syntax.Spread):
        raise fail(
            "E0211",
            "shape takes a net and the shapes of its inputs",
            node.span,
            "in this call",
            help="write shape(Net(), x=[2, 3, 32, 32])",
        )
    block = programs.resolve_net(session, module, node.args[0])
    method = "forward"
    sizes = _input_sizes(session, module, block, method, node)
    made = programs.elaborate_method(session, module, block, method, False, sizes)
    outputs = made.definition.outputs
    if field is not None:
        chosen = [o for o in outputs if o.name == field.id]
        if not chosen:
            shown = ", ".join(o.name or "-" for o in outputs)
            raise fail(
                "E0225",
                f"there is no result `{field.id}`",
                field.span,
                "not found",
                help=f"the results are {shown}",
            )
        return chosen[0].type.sizes
    if len(outputs) > 1:
        names = [o.name for o in outputs if o.name]
        raise fail(
            "E0220",
            f"`{block.label}` has {len(outputs)} results",
            node.span,
            "which one is meant",
            help=f"select one: shape(...).{names[0]}" if names else "select one",
        )
    return outputs[0].type.sizes


def _input_sizes(
    session: Session, module: LoadedModule, block: Any, method: str, node: syntax.Call
) -> dict[str, Any]:
    """The size variables that the given input shapes stand for."""
    function = layers.find_method(block, method, node.span)
    declared = {p.name.id: p for p in layers.method_inputs(function)}
    frame = programs.scratch_frame(session, module)
    sizes: dict[str, Any] = {}
    for keyword in node.keywords:
        parameter = declared.get(keyword.name.id)
        if parameter is None:
            raise fail(
                "E0210",
                f"`{block.label}` has no input `{keyword.name.id}`",
                keyword.span,
                "not an input",
                help=f"its inputs are {', '.join(declared)}",
            )
        value = evaluate(frame, keyword.value)
        if not isinstance(value, STATIC) or not isinstance(value.value, tuple):
            raise fail(
                "E0305",
                "a shape is a list of sizes",
                keyword.value.span,
                "here",
                help="write x=[2, 3, 32, 32]",
            )
        for size in value.value:
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise fail(
                    "E0306",
                    f"a size is an integer from 1 on, not {statics.describe(size)}",
                    keyword.value.span,
                    "in this shape",
                    help="write x=[2, 3, 32, 32]",
                )
        _bind_shape(block, parameter, value.value, keyword, sizes)
    missing = [name for name in declared if name not in {k.name.id for k in node.keywords}]
    if missing:
        raise fail(
            "E0213",
            f"the shape of `{missing[0]}` is missing",
            node.span,
            "in this call",
            help=f"write {missing[0]}=[...]",
        )
    return sizes


def _bind_shape(
    block: Any,
    parameter: syntax.Parameter,
    shape: tuple[Any, ...],
    keyword: syntax.Keyword,
    sizes: dict[str, Any],
) -> None:
    type_ = parameter.type
    if not isinstance(type_, syntax.NamedType):
        raise fail(
            "E0302",
            f"`{parameter.name.id}` of `{block.label}` needs a tensor type",
            keyword.span,
            "no shape fits",
            help="write for example float[B, 3, H, W]",
        )
    dims_ = type_.shape or ()
    if len(dims_) != len(shape):
        raise fail(
            "E0302",
            f"`{parameter.name.id}` of `{block.label}` has {len(dims_)} axes, not {len(shape)}",
            keyword.span,
            "this shape",
            notes=(f"its type is {type_.span.text}",),
            help="give one size for each axis",
        )
    for dim, size in zip(dims_, shape, strict=True):
        if isinstance(dim, syntax.Name) and dim.id[:1].isupper():
            if sizes.setdefault(dim.id, size) != size:
                raise fail(
                    "E0301",
                    f"size `{dim.id}` is {sizes[dim.id]} and {size}",
                    keyword.span,
                    "these differ",
                    help="make them equal",
                )
        elif isinstance(dim, syntax.Literal_) and dim.value != size:
            raise fail(
                "E0301",
                f"`{parameter.name.id}` of `{block.label}`: size {size} instead of {dim.value}",
                keyword.span,
                f"its type is {type_.span.text}",
                help="give the declared size",
            )
