"""Types of tensors: declared ones against those that are given, and those of results.

A declared type is a pattern: a capital name binds a size at its first occurrence among the inputs and must
agree afterwards, `*S` binds a run of axes, `...` and `_` match anything, other expressions are equations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlc import ir, statics, values
from dlc.dims import Dim
from dlc.elaborate.arguments import Bound
from dlc.elaborate.coerce import elements, expect_tensor
from dlc.elaborate.declared_types import is_tensor_type
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame
from dlc.elaborate.shapes.application import plural_axes, size_error
from dlc.ir import Const, Expr, Ref, TensorType
from dlc.modules import suggest
from dlc.size_equations import Proved, Unknown, decide_equal
from dlc.values import STATIC, FunctionValue, Poison, TensorValue
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Edit
from dlc_grammar.source import Span

FLOATING = frozenset({"float", "wide", "f64", "f32", "bf16", "f16"})


ALL_DTYPES: tuple[ir.DType, ...] = ("f64", "wide", "f32", "float", "bf16", "f16", "int", "bool")


DTYPES = FLOATING | {"int", "bool", "num"}


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
            session.undecided(left, right, span)
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
