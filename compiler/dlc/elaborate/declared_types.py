"""Declared types of parameters: whether they are of tensors, and whether a compile-time value has one."""

from __future__ import annotations

from typing import Any

from dlc import statics, values
from dlc.dims import Dim
from dlc.elaborate.coerce import folded
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame
from dlc.ir import Const, Expr, Operation, Ref
from dlc.values import (
    STATIC,
    AnyValue,
    BlockValue,
    BuiltBlock,
    DistributionValue,
    DTypeValue,
    FunctionValue,
    LayerValue,
    ListValue,
    Poison,
    TensorValue,
)
from dlc_grammar import syntax
from dlc_grammar.source import Span


def is_tensor_type(type_: syntax.Type | None) -> bool:
    """Whether a declared type is a tensor's (`float[B]`, not `int` or `list[int]`)."""
    return isinstance(type_, syntax.NamedType) and type_.shape is not None and type_.name != "list"


def is_tensor_list(type_: syntax.Type | None) -> bool:
    """Whether a declared type is a list of tensors."""
    return (
        isinstance(type_, syntax.NamedType)
        and type_.name == "list"
        and type_.shape is not None
        and len(type_.shape) > 0
        and isinstance(type_.shape[0], syntax.Index)
    )


def is_optional(type_: syntax.Type | None) -> bool:
    match type_:
        case syntax.NamedType() | syntax.KindType():
            return type_.optional
        case syntax.UnionType():
            return any(is_optional(member) for member in type_.members)
    return False


def returns_tensor(declaration: syntax.Function) -> bool:
    """Whether a function's declared result is made of tensors."""
    result = declaration.result
    if isinstance(result, syntax.TupleType):
        return any(is_tensor_type(field.type) for field in result.fields)
    return is_tensor_type(result)


def check_static(
    frame: Frame, parameter: syntax.Parameter, value: AnyValue, span: Span, what: str
) -> AnyValue:
    """A compile-time argument checked against its declared type. Raises E0230."""
    if isinstance(value, Poison):
        raise Failed(None)
    value = folded(value)
    if parameter.type is None or fits(parameter.type, value):
        if isinstance(parameter.type, syntax.KindType) and isinstance(value, BlockValue):
            _closed(parameter, value, span, what)
        if isinstance(value, STATIC) and isinstance(value.value, int) and _wants_float(parameter.type):
            return _as_float(value)
        return value
    if isinstance(value, TensorValue):
        raise fail(
            "E0222",
            f"`{parameter.name.id}` of {what} is decided at compile time",
            span,
            f"this is {values.describe(value)}",
            help=f"tensors go into the second brackets: {what.strip('`')}(...)({span.text})",
        )
    wanted = show_type(parameter.type)
    remedy = f"pass {wanted}"
    if isinstance(value, STATIC) and isinstance(value.value, float) and fits(parameter.type, Const(value=1)):
        remedy = "divide with //, or round with int(...)"
    raise fail(
        "E0230",
        f"`{parameter.name.id}` of {what} is {wanted}",
        span,
        f"this is {values.describe(value)}",
        help=remedy,
    )


def _closed(parameter: syntax.Parameter, block: BlockValue, span: Span, what: str) -> None:
    """A block argument has no open block parameter of its own, so that nothing can contain itself."""
    for own in block.declaration.params:
        if isinstance(own.type, syntax.KindType) and own.default is None and own.name.id not in block.filled:
            raise fail(
                "E0235",
                f"`{block.label}` has an open {own.type.kind} parameter `{own.name.id}`",
                span,
                f"given as `{parameter.name.id}` of {what}",
                help=f"name one without: block My{block.label} = {block.label}({own.name.id}=...)",
            )


def _wants_float(type_: syntax.Type | None) -> bool:
    return isinstance(type_, syntax.NamedType) and type_.name == "float"


def _as_float(value: Expr) -> Expr:
    if isinstance(value.value, (bool, Dim)):
        return value
    if isinstance(value, Const):
        return Const(value=float(value.value))
    return statics.operation("float", (value,), float(value.value))


def show_type(type_: syntax.Type) -> str:
    """A declared type in words."""
    words = {"int": "an integer", "float": "a number", "bool": "true or false", "str": "a text"}
    match type_:
        case syntax.NamedType() if type_.shape is None and type_.name in words:
            return words[type_.name] + (" or none" if type_.optional else "")
        case syntax.KindType():
            return f"a {type_.kind}" if type_.kind != "fn" else "a function"
        case syntax.NamedType() if type_.name == "dtype":
            return "a type such as float or int"
        case syntax.LiteralType():
            return f'"{type_.value}"'
        case syntax.UnionType():
            return " or ".join(show_type(member) for member in type_.members)
    return type_.span.text


def fits(type_: syntax.Type, value: AnyValue) -> bool:
    """Whether a compile-time value has a declared type."""
    if isinstance(value, STATIC) and value.value is None:
        return is_optional(type_)
    match type_:
        case syntax.UnionType():
            return any(fits(member, value) for member in type_.members)
        case syntax.LiteralType():
            return isinstance(value, STATIC) and isinstance(value.value, str) and value.value == type_.value
        case syntax.KindType():
            kinds = {"block": BlockValue, "layer": (LayerValue, BuiltBlock), "fn": FunctionValue}
            return isinstance(value, kinds[type_.kind])  # type: ignore[arg-type]
        case syntax.TupleType():
            return isinstance(value, STATIC) and _fits_tuple(type_, value.value)
        case syntax.NamedType():
            if type_.name == "list" or (type_.name == "dtype" and isinstance(value, DTypeValue)):
                return isinstance(value, DTypeValue) or _fits_list(type_, value)
            return isinstance(value, STATIC) and _fits_value(type_.name, value.value)
    return False


def _fits_value(name: str, value: Any) -> bool:
    match name:
        case "int":
            return isinstance(value, (int, Dim)) and not isinstance(value, bool)
        case "float" | "num":
            return isinstance(value, (int, float, Dim)) and not isinstance(value, bool)
        case "bool":
            return isinstance(value, bool)
        case "str":
            return isinstance(value, str)
    return False


def _fits_tuple(type_: syntax.TupleType, value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == len(type_.fields)
        and all(fits(f.type, Const(value=v)) for f, v in zip(type_.fields, value, strict=True))
    )


def _fits_list(type_: syntax.NamedType, value: AnyValue) -> bool:
    if isinstance(value, ListValue):
        return (
            type_.shape is not None and len(type_.shape) > 0 and not isinstance(type_.shape[0], syntax.Name)
        )
    if not isinstance(value, STATIC) or not isinstance(value.value, tuple):
        return False
    if not type_.shape:
        return True
    return all(_fits_dim(type_.shape[0], item) for item in value.value)


def _fits_dim(pattern: Any, value: Any) -> bool:
    """List element types are read by the grammar as dims: a name, or a tuple of names."""
    match pattern:
        case syntax.Name():
            return _fits_value(pattern.id, value)
        case syntax.Tuple_():
            return (
                isinstance(value, tuple)
                and len(value) == len(pattern.items)
                and all(_fits_dim(p, v) for p, v in zip(pattern.items, value, strict=True))
            )
        case syntax.Index() if isinstance(pattern.value, syntax.Name) and pattern.value.id == "list":
            return isinstance(value, tuple) and all(_fits_dim(pattern.subscripts[0], v) for v in value)
    return True


def value_key(value: AnyValue) -> Any:
    """A hashable picture of a compile-time argument: equal arguments have equal keys."""
    match value:
        case Const() | Ref() | Operation():
            return (type(value.value).__name__, value.value)
        case BlockValue():
            filled = tuple(sorted((k, value_key(v)) for k, v in value.filled.items()))
            return ("block", id(value.declaration), filled)
        case FunctionValue():
            return ("fn", id(value.declaration), id(value.receiver) if value.receiver else 0)
        case DistributionValue():
            return ("distribution", value.name, tuple((k, value_key(v)) for k, v in value.args.items()))
        case DTypeValue():
            return ("dtype", value.name)
        case ListValue():
            return ("list", tuple(value_key(item) for item in value.items))
        case TensorValue():
            return ("tensor", value.type.dtype, value.type.sizes)
        case LayerValue() | BuiltBlock():
            return ("layer", id(value))
        case values.Builtin():
            return ("builtin", value.name)
        case values.RecordValue():
            return ("record", tuple(value_key(item) for item in value.values))
        case _:
            return ("other", id(value))
