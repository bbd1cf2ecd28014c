"""Operands together: their common dtype, and the shape that they are broadcast to."""

from __future__ import annotations

from collections.abc import Sequence

from dlc import statics
from dlc.dims import Dim
from dlc.elaborate.shapes.application import FLOATS, Application, show_shape
from dlc.ir import DType, Expr
from dlc.values import TensorValue


def promote(site: Application, positions: Sequence[int]) -> DType:
    """The common dtype of operands; compile-time numbers adapt to the tensors."""
    tensors = [site.type(i).dtype for i in positions if isinstance(site.inputs[i], TensorValue)]
    numbers = [site.type(i).dtype for i in positions if not isinstance(site.inputs[i], TensorValue)]
    if not tensors:
        return "float" if "float" in numbers else numbers[0]
    kinds = set(tensors)
    floats = kinds & set(FLOATS)
    if len(kinds - set(FLOATS)) + bool(floats) > 1:
        shown = " and ".join(sorted(kinds))
        raise site.fail(
            "E0307",
            f"`{site.shown}` of {shown} tensors",
            f"this combines {shown}",
            help="convert one side: cast(x, float) or cast(x, int)",
        )
    if not floats and "int" in kinds and "float" in numbers:
        raise site.fail(
            "E0307",
            f"`{site.shown}` of an int tensor and a float number",
            "this combines int and float",
            help="convert the tensor: cast(x, float)",
        )
    if "bool" in kinds and set(numbers) - {"bool"}:
        raise site.fail(
            "E0307",
            f"`{site.shown}` of a bool tensor and a number",
            "this combines bool and a number",
            help="convert the tensor: cast(x, float) or cast(x, int)",
        )
    if len(floats) > 1:
        return next(d for d in ("f64", "wide", "f32", "float", "bf16", "f16") if d in floats)
    return tensors[0]


def broadcast_shape(site: Application, shapes: Sequence[tuple[Expr, ...]]) -> tuple[Expr, ...]:
    """Align shapes from the right; only a literal 1 and missing leading axes repeat."""
    rank = max(len(shape) for shape in shapes)
    result: list[Expr] = []
    for axis in range(-rank, 0):
        present = [shape[axis] for shape in shapes if len(shape) >= -axis]
        wide = [size for size in present if size.value != 1]
        if not wide:
            result.append(present[0])
            continue
        for other in wide[1:]:
            _same_or_fail(site, wide[0], other, shapes)
        result.append(min(wide, key=statics.length))
    _no_outer_product(site, shapes, result)
    return tuple(result)


def _same_or_fail(site: Application, a: Expr, b: Expr, shapes: Sequence[tuple[Expr, ...]]) -> None:
    if a.value == b.value:
        return
    message = "cannot combine " + " with ".join(show_shape(shape) for shape in shapes)
    site.equal(a, b, message, "here ")


def _no_outer_product(site: Application, shapes: Sequence[tuple[Expr, ...]], result: list[Expr]) -> None:
    for low in shapes:
        for high in shapes:
            if len(low) >= len(high) or not low:
                continue
            stretched = [
                low[axis].value
                for axis in range(-len(low), 0)
                if high[axis].value == 1 and isinstance(low[axis].value, Dim)
            ]
            leading = [size.value for size in high[: len(high) - len(low)]]
            if any(size in leading for size in stretched):
                name = next(size for size in stretched if size in leading)
                raise site.fail(
                    "E0309",
                    f"combining {show_shape(low)} with {show_shape(high)} would make an outer product",
                    f"this would be {show_shape(result)}",
                    notes=(
                        f"shapes are aligned from the right, so size `{name}` lands on two different axes",
                    ),
                    help="make the shapes agree: rearrange one side, or write the 1s out if the outer product"
                    " is meant",
                )
