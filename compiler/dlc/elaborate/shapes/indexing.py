"""Shapes of operations that pick elements, and of those that add them up by an id."""

from __future__ import annotations

from dlc.dims import Dim
from dlc.elaborate.shapes.application import FLOATS, Application, plural_axes, sizes_of
from dlc.ir import Const, Expr, TensorType
from dlc.modules import plural


def index(site: Application) -> list[TensorType]:
    """`subscripts`: one per axis: an int, ("slice", start, stop, step), or "..."."""
    type_ = site.type()
    subscripts = site.attrs["subscripts"].value
    shown = [s for s in subscripts if s != "..."]
    if len(shown) > type_.rank:
        raise site.fail(
            "E0305",
            f"{plural(len(shown), 'subscript')} for {type_}",
            f"this has {plural_axes(type_.rank)}",
            "give one subscript for each axis, or fewer",
        )
    if len(shown) < len(subscripts) - 1:
        raise site.fail(
            "E0305", "`...` is written twice", "in this index", "one `...` stands for all other axes"
        )
    gap = type_.rank - len(shown)
    each: list[object] = []
    for subscript in subscripts:
        each.extend([("slice", None, None, None)] * gap if subscript == "..." else [subscript])
    each.extend([("slice", None, None, None)] * (type_.rank - len(each)))
    shape = []
    for size, subscript in zip(type_.shape, each, strict=True):
        if isinstance(subscript, tuple):
            shape.append(_sliced(site, size, subscript))
        elif isinstance(size.value, int) and not -size.value <= subscript < size.value:  # type: ignore[operator]
            raise site.fail(
                "E0305",
                f"position {subscript} is outside an axis of {size.value}",
                "in this index",
                f"positions run from 0 to {size.value - 1}, or from -{size.value} to -1",
            )
    return [TensorType(dtype=type_.dtype, shape=tuple(shape))]


def _sliced(site: Application, size: Expr, subscript: tuple[object, ...]) -> Expr:
    start, stop, step = subscript[1:]
    if isinstance(step, Dim) or step == 0:
        raise site.fail(
            "E0305", f"a slice in steps of {step}", "in this index", "a step is a number, and not 0"
        )
    if start is None and stop is None and step in (None, 1):
        return size
    if isinstance(size.value, int) and not isinstance(start, Dim) and not isinstance(stop, Dim):
        count = len(range(*slice(start, stop, step).indices(size.value)))
        if count == 0:
            raise site.fail(
                "E0305",
                f"this slice of an axis of {size.value} is empty",
                "in this index",
                "a slice x[a:b] holds the positions from a up to b - 1",
            )
        return Const(value=count)
    if step not in (None, 1):
        raise site.fail(
            "E0306",
            f"a step in a slice of the symbolic size {size.value}",
            "in this index",
            help="slice an axis of known size",
        )
    low: int | Dim = start if isinstance(start, (int, Dim)) else 0
    high: int | Dim = stop if isinstance(stop, (int, Dim)) else size.value
    low = size.value + low if isinstance(low, int) and low < 0 else low
    high = size.value + high if isinstance(high, int) and high < 0 else high
    extent = high - low
    if isinstance(extent, int) and extent < 1:
        raise site.fail(
            "E0305",
            f"this slice has {extent} elements",
            "in this index",
            "a slice x[a:b] holds the positions from a up to b - 1",
        )
    return Const(value=extent)


def take(site: Application) -> list[TensorType]:
    table, ids = site.type(0), site.type(1)
    if ids.dtype != "int" or table.rank < 1:
        raise site.fail(
            "E0307",
            "take needs a table and int ids",
            f"these are {table} and {ids}",
            "convert the ids: take(table, cast(ids, int))",
        )
    return [TensorType(dtype=table.dtype, shape=(*ids.shape, *table.shape[1:]))]


def gather(site: Application) -> list[TensorType]:
    x, ids = site.type(0), site.type(1)
    if ids.dtype != "int" or x.rank != ids.rank + 1:
        raise site.fail(
            "E0302",
            "gather picks one element of the last axis",
            f"these are {x} and {ids}",
            help="ids has the shape of x without its last axis",
        )
    for a, b in zip(x.shape, ids.shape, strict=False):
        site.equal(a, b, f"gather of {x} by {ids}")
    return [TensorType(dtype=x.dtype, shape=ids.shape)]


def one_hot(site: Application) -> list[TensorType]:
    ids = site.type()
    if ids.dtype != "int":
        raise site.fail("E0307", "one_hot needs an int tensor", f"this is {ids}", "convert it: cast(x, int)")
    size = sizes_of(site, site.attrs["size"], "size")[0]
    return [TensorType(dtype="float", shape=(*ids.shape, size))]


def segments(site: Application) -> list[TensorType]:
    """One row for each of `count` segments, from rows with an id each."""
    x, ids = site.type(0), site.type(1)
    if ids.dtype != "int" or ids.rank != 1 or x.rank < 1:
        raise site.fail(
            "E0307" if ids.dtype != "int" else "E0302",
            f"{site.shown} needs rows and an int id for each",
            f"these are {x} and {ids}",
            help="the rows of x are along its first axis, ids is int[N]",
        )
    if x.dtype == "bool" or (site.op == "segment_max" and x.dtype not in FLOATS):
        raise site.fail(
            "E0307", f"{site.shown} of {x}", "this cannot be added up", help="convert it: cast(x, float)"
        )
    site.equal(x.shape[0], ids.shape[0], f"{site.shown} of {x} by {ids}")
    count = sizes_of(site, site.attrs["count"], "count")[0]
    return [TensorType(dtype=x.dtype, shape=(count, *x.shape[1:]))]
