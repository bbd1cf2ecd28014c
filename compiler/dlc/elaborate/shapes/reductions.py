"""Shapes of reductions, and of what else works along an axis."""

from __future__ import annotations

from dlc.elaborate.shapes.application import FLOATS, ONE, Application, axes_of
from dlc.ir import DType, TensorType


def reduction(site: Application) -> list[TensorType]:
    type_ = site.type()
    axes = axes_of(site, type_.rank)
    keep = bool(site.attr("keep").value)
    shape = tuple(
        ONE if axis in axes else size for axis, size in enumerate(type_.shape) if keep or axis not in axes
    )
    dtype: DType = type_.dtype
    if site.op in ("any", "all"):
        if dtype != "bool":
            raise site.fail(
                "E0307", f"`{site.shown}` needs a bool tensor", f"this is {type_}", "compare first: x > 0.0"
            )
    elif dtype == "bool" or (site.op in ("mean", "variance") and dtype not in FLOATS):
        raise site.fail(
            "E0307",
            f"`{site.shown}` of {type_}",
            "this has no such reduction",
            help="convert it: cast(x, float)",
        )
    if site.op in ("argmax", "argmin"):
        dtype = "int"
    return [TensorType(dtype=dtype, shape=shape)]


def along_axis(site: Application) -> list[TensorType]:
    axes_of(site, site.type().rank)
    return [site.type()]


def top_k(site: Application) -> list[TensorType]:
    type_ = site.type()
    if type_.rank < 1:
        raise site.fail(
            "E0302", f"top_k of {type_}", "this has no axis", "give it a tensor of one axis or more"
        )
    count, size = site.attrs["k"], type_.shape[-1]
    if isinstance(size.value, int) and isinstance(count.value, int) and not 1 <= count.value <= size.value:
        raise site.fail(
            "E0305",
            f"top_k of {count.value} among {size.value}",
            "there are not so many",
            help=f"k is between 1 and {size.value}",
        )
    shape = (*type_.shape[:-1], count)
    return [TensorType(dtype=type_.dtype, shape=shape), TensorType(dtype="int", shape=shape)]
