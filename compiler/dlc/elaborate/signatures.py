"""Signatures: declared types against arguments, and against the sizes of tensors.

A declared type is a pattern: a capital name binds a size at its first occurrence among the inputs and must
agree afterwards, `*S` binds a run of axes, `...` and `_` match anything, other expressions are equations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlc import ir, statics, values
from dlc.dims import Dim
from dlc.elaborate.arguments import Bound
from dlc.elaborate.coerce import elements, expect_tensor, folded
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame
from dlc.elaborate.shapes.application import plural_axes, size_error
from dlc.ir import Const, Expr, Operation, Ref, TensorType
from dlc.modules import suggest
from dlc.size_equations import Proved, Unknown, decide_equal
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
from dlc_grammar.diagnostics import Edit
from dlc_grammar.source import Span

FLOATING = frozenset({"float", "wide", "f64", "f32", "bf16", "f16"})
ALL_DTYPES: tuple[ir.DType, ...] = ("f64", "wide", "f32", "float", "bf16", "f16", "int", "bool")
DTYPES = FLOATING | {"int", "bool", "num"}


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


def key(value: AnyValue) -> Any:
    """A hashable picture of a compile-time argument: equal arguments have equal keys."""
    match value:
        case Const() | Ref() | Operation():
            return (type(value.value).__name__, value.value)
        case BlockValue():
            filled = tuple(sorted((k, key(v)) for k, v in value.filled.items()))
            return ("block", id(value.declaration), filled)
        case FunctionValue():
            return ("fn", id(value.declaration), id(value.receiver) if value.receiver else 0)
        case DistributionValue():
            return ("distribution", value.name, tuple((k, key(v)) for k, v in value.args.items()))
        case DTypeValue():
            return ("dtype", value.name)
        case ListValue():
            return ("list", tuple(key(item) for item in value.items))
        case TensorValue():
            return ("tensor", value.type.dtype, value.type.sizes)
        case LayerValue() | BuiltBlock():
            return ("layer", id(value))
        case values.Builtin():
            return ("builtin", value.name)
        case values.RecordValue():
            return ("record", tuple(key(item) for item in value.values))
        case _:
            return ("other", id(value))


class Pattern:
    """Sizes bound while the inputs of one call are matched. `frame` evaluates expressions in shapes."""

    def __init__(self, frame: Frame, what: str, span: Span) -> None:
        self.frame = frame
        self.what = what
        self.span = span

    def match(self, name: str, type_: syntax.NamedType, actual: TensorType, span: Span) -> None:
        """Match one input against its declared type; binds sizes in the frame. Raises E0301..E0303."""
        label = f"`{name}` of {self.what}" if name else f"the result of {self.what}"
        if type_.name not in DTYPES:
            raise unknown_type(type_)
        if not _dtype_fits(type_.name, actual.dtype):
            raise fail(
                "E0303",
                f"{label} is {type_.name}, not {actual.dtype}",
                span,
                f"got {actual}",
                help=f"convert it: cast(x, {type_.name})"
                if name
                else "convert it with cast, or change the type after `->`",
            )
        assert type_.shape is not None
        for dim, size in self._align(label, type_, actual, span):
            self._match_dim(label, dim, size, actual, span)

    def _align(
        self, label: str, type_: syntax.NamedType, actual: TensorType, span: Span
    ) -> list[tuple[Any, Any]]:
        shape = type_.shape or ()
        packs = [i for i, d in enumerate(shape) if isinstance(d, (syntax.DimPack, syntax.DimAny))]
        if len(packs) > 1:
            raise fail(
                "E0302", f"the type of {label} has two runs of axes", type_.span, "only one can be open"
            )
        fixed = len(shape) - len(packs)
        if (not packs and actual.rank != fixed) or actual.rank < fixed:
            least = "at least " if packs else ""
            raise fail(
                "E0302",
                f"{label} has {least}{plural_axes(fixed)}, not {actual.rank}",
                span,
                f"got {actual}",
                notes=(f"its type is {type_.span.text}",),
                help="reshape or rearrange it first",
            )
        if not packs:
            return list(zip(shape, actual.shape, strict=True))
        at, run = packs[0], actual.rank - fixed
        pairs: list[tuple[Any, Any]] = list(zip(shape[:at], actual.shape[:at], strict=True))
        pairs.append((shape[at], actual.shape[at : at + run]))
        pairs.extend(zip(shape[at + 1 :], actual.shape[at + run :], strict=True))
        return pairs

    def _match_dim(self, label: str, dim: Any, size: Any, actual: TensorType, span: Span) -> None:
        frame = self.frame
        match dim:
            case syntax.DimAny():
                return
            case syntax.DimPack():
                self._match_pack(label, dim.name, size, span)
            case syntax.Name() if dim.id == "_":
                return
            case syntax.Name() if dim.id[:1].isupper() and dim.id not in frame.names:
                reference = statics.ref(dim.id, size.value)
                frame.names[dim.id] = reference
                frame.sizes[dim.id] = reference
            case _:
                expected = size_of(frame, dim)
                self._equal(label, dim, expected, size, span, got=actual)

    def _match_pack(self, label: str, name: str, run: tuple[Expr, ...], span: Span) -> None:
        frame = self.frame
        if name not in frame.names:
            refs = [statics.ref(f"{name}.{i}", size.value) for i, size in enumerate(run)]
            for reference in refs:
                frame.sizes[reference.name] = reference
            frame.names[name] = statics.tuple_of(refs)
            return
        bound = frame.names[name]
        assert isinstance(bound, STATIC)
        if len(bound.value) != len(run):
            raise fail(
                "E0302",
                f"{label}: `*{name}` is {len(bound.value)} axes elsewhere, {len(run)} here",
                span,
                "the numbers of axes differ",
                help="make both inputs have the same axes",
            )
        for i, size in enumerate(run):
            self._equal(label, None, Const(value=bound.value[i]), size, span, f"axis {i} of `*{name}`")

    def _equal(
        self,
        label: str,
        dim: Any,
        expected: Expr,
        size: Expr,
        span: Span,
        name: str | None = None,
        got: TensorType | None = None,
    ) -> None:
        session = self.frame.session
        left, right = session.known(size.value), session.known(expected.value)
        if left == right:
            return
        verdict = decide_equal(left, right)
        if isinstance(verdict, Proved):
            return
        if isinstance(verdict, Unknown):
            session.checks.append((size, expected, span))
            return
        if isinstance(dim, syntax.Literal_) and got is not None and isinstance(left, int):
            raise fail(
                "E0301",
                f"{label}: size {left} instead of {right}",
                span,
                f"got {got}",
                help="make the two sizes equal",
            )
        shown = name or f"`{dim.span.text}`"
        title = f"{label}: size {shown}"
        raise Failed(size_error(verdict, left, right, span, title, f"{shown}: "))


def unknown_type(type_: syntax.NamedType) -> Failed:
    """E0101 for `flaot[B]`."""
    name_span = Span(type_.span.source, type_.span.start, type_.span.start + len(type_.name))
    hint = suggest(type_.name, sorted(DTYPES))
    return fail(
        "E0101",
        f"unknown type `{type_.name}`",
        name_span,
        "not a type of tensors",
        help=hint or "tensors are float, int or bool",
        edit=Edit(name_span, hint.split("`")[1]) if hint else None,
    )


def _dtype_fits(declared: str, actual: str) -> bool:
    if declared == "num":
        return True
    if declared in ("float", "wide"):
        return actual in FLOATING
    return declared == actual


def size_of(frame: Frame, node: Any) -> Expr:
    """A size written in a shape. Lower-case names must be in scope (they never create a size)."""
    if isinstance(node, syntax.Name) and node.id not in frame.names and node.id[:1].isupper():
        raise fail(
            "E0110",
            f"size `{node.id}` is not bound by an input",
            node.span,
            "unknown size",
            help=suggest(node.id, [n for n in frame.names if n[:1].isupper()])
            or "sizes are bound by the shapes of the inputs; write a number or a parameter",
        )
    value = evaluate(frame, node)
    if (
        isinstance(value, STATIC)
        and isinstance(value.value, (int, Dim))
        and not isinstance(value.value, bool)
    ):
        if isinstance(value.value, int) and value.value < 1:
            raise fail(
                "E0306",
                f"a size is at least 1, not {value.value}",
                node.span,
                "in this shape",
                help="check the numbers that it is computed from",
            )
        return value
    if isinstance(value, Poison):
        raise Failed(None)
    raise fail(
        "E0306",
        f"a size is an integer, not {values.describe(value)}",
        node.span,
        "in this shape",
        help="round it with // or int()",
    )


def shape_of(frame: Frame, type_: syntax.NamedType) -> tuple[Expr, ...]:
    """The sizes of a declared type whose names are all bound."""
    found: list[Expr] = []
    for dim in type_.shape or ():
        match dim:
            case syntax.DimPack():
                pack = evaluate(frame, syntax.Name(dim.span, dim.name))
                found.extend(e for e in elements(pack, dim.span) if isinstance(e, STATIC))
            case syntax.DimAny():
                raise fail(
                    "E0302", "`...` has no size here", dim.span, "in this shape", help="write the sizes"
                )
            case _:
                found.append(size_of(frame, dim))
    return tuple(found)


def tensor_type(frame: Frame, type_: syntax.Type) -> TensorType:
    """A declared tensor type with every size known."""
    if isinstance(type_, syntax.NamedType) and type_.shape is not None and type_.name not in DTYPES:
        raise unknown_type(type_)
    if not isinstance(type_, syntax.NamedType) or type_.shape is None:
        scalar = isinstance(type_, syntax.NamedType) and type_.name in DTYPES
        raise fail(
            "E0302",
            "a tensor type is needed",
            type_.span,
            "this has no shape",
            help=f"a scalar is written {type_.span.text}[]" if scalar else "write for example float[B, T]",
        )
    return TensorType(dtype=dtype_of(type_), shape=shape_of(frame, type_))


def dtype_of(type_: syntax.NamedType) -> ir.DType:
    """The dtype that a type names; `num` alone stands for float."""
    return next((dtype for dtype in ALL_DTYPES if dtype == type_.name), "float")


def result_types(frame: Frame, function: FunctionValue, bound: Bound, node: syntax.Node) -> list[TensorType]:
    """Result types of a primitive from its signature."""
    declaration = function.declaration
    inner = Frame(frame.session, function.module, frame.builder, frame.training, declaration.name.id)
    what = f"`{declaration.name.id}`"
    for parameter in declaration.params:
        value, _ = bound[parameter.name.id]
        if not is_tensor_type(parameter.type):
            inner.names[parameter.name.id] = value
    pattern = Pattern(inner, what, node.span)
    dtypes: set[str] = set()
    for parameter in declaration.params:
        value, span = bound[parameter.name.id]
        if not is_tensor_type(parameter.type) or (isinstance(value, STATIC) and value.value is None):
            continue
        tensor = expect_tensor(value, span)
        assert isinstance(parameter.type, syntax.NamedType)
        dtypes.add(tensor.type.dtype)
        pattern.match(parameter.name.id, parameter.type, tensor.type, span)
    outer = _outer_sizes(frame, declaration, bound)
    found = []
    for type_ in _result_fields(declaration.result):
        try:
            made = _with_dtype(tensor_type(inner, type_), type_, dtypes)
        except Failed as failed:
            if failed.diagnostic is None or failed.diagnostic.code != "E0306":
                raise
            size = failed.diagnostic.message.rpartition(" ")[2]
            raise fail(
                "E0306",
                f"the result of {what} would have size {size}",
                node.span,
                "no size is below 1",
                help="make the input larger, or the kernel smaller",
            ) from None
        found.append(in_terms_of(made, outer))
    for type_made in found:
        _positive(type_made, node.span, what)
    return found


def _positive(type_: TensorType, span: Span, what: str) -> None:
    for size in type_.sizes:
        if isinstance(size, int) and size < 1:
            raise fail(
                "E0306",
                f"the result of {what} would have size {size}",
                span,
                f"this would be {type_}",
                help="make the input larger, or the kernel smaller",
            )


def _result_fields(result: syntax.Type | None) -> list[syntax.NamedType]:
    if isinstance(result, syntax.TupleType):
        return [f.type for f in result.fields if isinstance(f.type, syntax.NamedType)]
    assert isinstance(result, syntax.NamedType)
    return [result]


def _with_dtype(made: TensorType, declared: syntax.NamedType, dtypes: set[str]) -> TensorType:
    """`float` and `num` results have the operands' own dtype."""
    floats = dtypes & FLOATING
    if declared.name in ("float", "num"):
        for dtype in ALL_DTYPES:
            if dtype in (dtypes if declared.name == "num" else floats):
                return TensorType(dtype=dtype, shape=made.shape)
    return made


def _outer_sizes(frame: Frame, declaration: Any, bound: Bound) -> dict[str, Expr]:
    """Each size variable and compile-time argument of a primitive in the caller's terms."""
    outer: dict[str, Expr] = {}
    for parameter in declaration.params:
        value, _ = bound[parameter.name.id]
        if isinstance(value, STATIC) and not is_tensor_type(parameter.type):
            outer[parameter.name.id] = value
        if isinstance(value, TensorValue) and isinstance(parameter.type, syntax.NamedType):
            outer.update(named_sizes(parameter.type, value.type))
    return outer


def named_sizes(type_: syntax.NamedType, actual: TensorType) -> dict[str, Expr]:
    """The sizes that a declared type names, in the terms of the actual type."""
    shape = type_.shape or ()
    packs = [i for i, d in enumerate(shape) if isinstance(d, (syntax.DimPack, syntax.DimAny))]
    at = packs[0] if packs else len(shape)
    run = actual.rank - (len(shape) - len(packs))
    found: dict[str, Expr] = {}
    for i, dim in enumerate(shape):
        position = i if i <= at else i - 1 + run
        if isinstance(dim, syntax.Name) and dim.id != "_":
            found.setdefault(dim.id, actual.shape[position])
        elif isinstance(dim, syntax.DimPack):
            for k in range(run):
                found.setdefault(f"{dim.name}.{k}", actual.shape[at + k])
    return found


def in_terms_of(type_: TensorType, names: Mapping[str, Expr]) -> TensorType:
    """A callee's type with its names replaced by the caller's expressions, where these are not too long."""

    def replace(reference: Ref) -> Expr:
        if reference.scope == "" and reference.name in names:
            return names[reference.name]
        return Const(value=reference.value)

    def simplify(size: Expr) -> Expr:
        made = statics.substitute(size, replace)
        return made if statics.length(made) <= statics.longest(size.value) else Const(value=size.value)

    return TensorType(dtype=type_.dtype, shape=tuple(simplify(size) for size in type_.shape))
