"""Shapes of operations that only move, join or repeat elements."""

from __future__ import annotations

from dlc import statics
from dlc.dims import Dim
from dlc.elaborate.shapes.application import (
    Application,
    axes_of,
    one_axis,
    plus,
    product,
    show_shape,
    sizes_of,
    times,
)
from dlc.elaborate.shapes.broadcasting import promote
from dlc.ir import Const, Expr, TensorType

MOST_PARTS = 10_000


def reshape(site: Application) -> list[TensorType]:
    type_, shape = site.type(), sizes_of(site, site.attrs["shape"])
    before, after = product(type_.shape), product(shape)
    message = f"reshape of {type_} to {show_shape(shape)} changes the number of elements"
    site.equal(before, after, message)
    return [TensorType(dtype=type_.dtype, shape=shape)]


def transpose(site: Application) -> list[TensorType]:
    type_ = site.type()
    axes = site.attr("axes").value
    if axes is None:
        if type_.rank < 2:
            raise site.fail(
                "E0302",
                f"transpose of {type_}",
                "this has fewer than two axes",
                "a tensor of one axis needs no transpose",
            )
        return [TensorType(dtype=type_.dtype, shape=(*type_.shape[:-2], type_.shape[-1], type_.shape[-2]))]
    order = axes_of(site, type_.rank, "axes")
    if len(order) != type_.rank:
        raise site.fail(
            "E0305",
            "transpose needs every axis once",
            f"{type_} has {type_.rank} axes",
            f"write for example axes={list(reversed(range(type_.rank)))}",
        )
    return [TensorType(dtype=type_.dtype, shape=tuple(type_.shape[axis] for axis in order))]


def concat(site: Application) -> list[TensorType]:
    types = site.types()
    if not types:
        raise site.fail("E0311", "concat of an empty list", "nothing to join", "give it one tensor or more")
    first = types[0]
    axis = one_axis(site, first.rank)
    dtype = promote(site, range(len(types)))
    total = first.shape[axis]
    for other in types[1:]:
        if other.rank != first.rank:
            raise site.fail(
                "E0302",
                f"concat of {first} and {other}",
                "these have different numbers of axes",
                "reshape or rearrange one of them first",
            )
        for position in range(first.rank):
            if position != axis:
                message = f"concat of {first} and {other}: axis {position} differs"
                site.equal(first.shape[position], other.shape[position], message)
        total = plus(total, other.shape[axis])
    shape = tuple(total if i == axis else size for i, size in enumerate(first.shape))
    return [TensorType(dtype=dtype, shape=shape)]


def stack(site: Application) -> list[TensorType]:
    types = site.types()
    if not types:
        raise site.fail("E0311", "stack of an empty list", "nothing to stack", "give it one tensor or more")
    first = types[0]
    axis = one_axis(site, first.rank + 1)
    for other in types[1:]:
        if other.rank != first.rank:
            raise site.fail(
                "E0302",
                f"stack of {first} and {other}",
                "these have different numbers of axes",
                "reshape or rearrange one of them first",
            )
        for a, b in zip(first.shape, other.shape, strict=True):
            site.equal(a, b, f"stack of {first} and {other}")
    shape = (*first.shape[:axis], Const(value=len(types)), *first.shape[axis:])
    return [TensorType(dtype=promote(site, range(len(types))), shape=shape)]


def split(site: Application) -> list[TensorType]:
    """Parts of equal size (`parts` an int) or of given sizes (a list)."""
    type_ = site.type()
    axis = one_axis(site, type_.rank)
    parts = site.attrs.pop("parts", None) or site.attrs["sizes"]
    size = type_.shape[axis]
    if isinstance(parts.value, tuple):
        sizes = sizes_of(site, parts)
        total: Expr = Const(value=0)
        for part in sizes:
            total = plus(total, part)
        site.equal(size, total, f"split of {type_}: the parts do not add up")
    else:
        count = parts.value
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_PARTS:
            raise site.fail(
                "E0306",
                "split needs a number of parts",
                f"this is {statics.describe(count)}",
                "write for example split(x, 2), or the size of each part: split(x, [4, 4])",
            )
        if isinstance(size.value, int) and size.value < count:
            raise site.fail(
                "E0306",
                f"split of {type_} into {count} parts",
                f"the axis has only {size.value}",
                "split into fewer parts",
            )
        share = statics.binary("//", size, parts)
        message = f"split of {type_} into {count} parts leaves a rest"
        site.equal(size, times(share, parts), message)
        sizes = (share,) * count
    site.attrs["sizes"] = statics.tuple_of(sizes)
    return [
        TensorType(
            dtype=type_.dtype, shape=tuple(part if i == axis else s for i, s in enumerate(type_.shape))
        )
        for part in sizes
    ]


def broadcast(site: Application) -> list[TensorType]:
    type_, shape = site.type(), sizes_of(site, site.attrs["shape"])
    if len(shape) < type_.rank:
        raise site.fail(
            "E0302",
            f"broadcast of {type_} to {show_shape(shape)}",
            "the result has fewer axes",
            "name every axis of the result",
        )
    for a, b in zip(reversed(type_.shape), reversed(shape), strict=False):
        if a.value != 1:
            site.equal(a, b, f"broadcast of {type_} to {show_shape(shape)}")
    return [TensorType(dtype=type_.dtype, shape=shape)]


def pad(site: Application) -> list[TensorType]:
    type_, pads = site.type(), site.attrs["pads"].value
    if not isinstance(pads, tuple) or len(pads) != type_.rank or not all(_is_pad(pair) for pair in pads):
        raise site.fail(
            "E0305",
            "pad needs (before, after) for every axis",
            f"this has {type_.rank} axes",
            help="write for example pad(x, [(0, 0), (1, 2)])",
        )
    shape = tuple(
        plus(size, Const(value=low + high)) if low or high else size
        for size, (low, high) in zip(type_.shape, pads, strict=True)
    )
    return [TensorType(dtype=type_.dtype, shape=shape)]


def _is_pad(pair: object) -> bool:
    """Whether this is (before, after), neither negative."""
    return (
        isinstance(pair, tuple)
        and len(pair) == 2
        and all(isinstance(n, (int, Dim)) and not (isinstance(n, int) and n < 0) for n in pair)
    )
