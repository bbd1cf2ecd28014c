"""Applications of primitives: operands and attributes in, an `Apply` node and its results out."""

from __future__ import annotations

from collections.abc import Sequence

from dlc import ir, statics, values
from dlc.elaborate import signatures
from dlc.elaborate.arguments import Arguments, bind
from dlc.elaborate.coerce import elements, expect_operand, expect_tensor, folded
from dlc.elaborate.declared_types import check_static, fits, is_optional, is_tensor_list, is_tensor_type
from dlc.elaborate.failure import fail
from dlc.elaborate.frame import Frame
from dlc.elaborate.shapes.application import Application
from dlc.elaborate.shapes.rules import RULES
from dlc.ir import Const, Expr, TensorType
from dlc.values import STATIC, AnyValue, DTypeValue, FunctionValue, ListValue, RecordValue, TensorValue
from dlc_grammar import syntax
from dlc_grammar.source import Span


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
    site = Application(op, list(inputs), dict(attrs), span, session.known)
    if types is None:
        types = _types(site)
    for a, b in site.checks:
        session.undecided(session.known(a.value), session.known(b.value), span)
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


def _types(site: Application) -> list[TensorType]:
    """The result types by the shape rule; what the rule did not foresee is a wrong argument too."""
    try:
        return RULES[site.op](site)
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


def call_primitive(frame: Frame, function: FunctionValue, given: Arguments, node: syntax.Node) -> AnyValue:
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
    bound = bind(frame, declaration, declaration.params, given, f"`{name}`", node.span)
    inputs: list[TensorValue | Expr] = []
    attrs: dict[str, Expr] = dict(extra)
    for parameter in declaration.params:
        value, span = bound[parameter.name.id]
        sort_argument(frame, parameter, value, span, inputs, attrs, name)
    if name == "full" and inputs:
        shape = attrs["shape"]
        return apply(frame, "broadcast", inputs, {"shape": shape}, node)
    types = None
    if name not in RULES:
        types = signatures.result_types(frame, function, bound, node)
        if any(not isinstance(value, TensorValue) for value in inputs):
            inputs = [expect_tensor(value, node.span) for value in inputs]
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


def sort_argument(
    frame: Frame,
    parameter: syntax.Parameter,
    value: AnyValue,
    span: Span,
    inputs: list[TensorValue | Expr],
    attrs: dict[str, Expr],
    owner: str,
) -> None:
    name = parameter.name.id
    if is_tensor_type(parameter.type):
        if isinstance(value, STATIC) and value.value is None:
            if is_optional(parameter.type):
                return
            expect_tensor(value, span)
        if name == "value" and isinstance(value, STATIC):
            attrs[name] = value
            return
        inputs.append(expect_operand(value, span))
        return
    if is_tensor_list(parameter.type):
        inputs.extend(expect_operand(item, span) for item in elements(value, span))
        return
    wanted = parameter.type.name if isinstance(parameter.type, syntax.NamedType) else ""
    if isinstance(value, DTypeValue) and wanted == "dtype":
        attrs[name] = Const(value=value.name)
        return
    whole = folded(value)
    if isinstance(value, ListValue) and isinstance(whole, STATIC):
        attrs[name] = whole
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
    if parameter.type is not None and not fits(parameter.type, value) and name not in ("value", "subscripts"):
        check_static(frame, parameter, value, span, f"`{owner}`")
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
    tensors = [expect_tensor(v, s) for v, s in found if (v, s) not in equation]
    attrs: dict[str, Expr] = {"equation": equation[0][0]}
    return apply(frame, "einsum", tensors, attrs, node)
