"""Shapes of tensors that are made from numbers alone."""

from __future__ import annotations

from dlc import statics
from dlc.elaborate.shapes.application import Application, sizes_of
from dlc.ir import Const, DType, TensorType


def arange(site: Application) -> list[TensorType]:
    """`arange(stop)`, `arange(start, stop)`, `arange(start, stop, step)`."""
    start, stop, step = site.attr("start"), site.attr("stop"), site.attr("step")
    if stop.value is None:
        start, stop = Const(value=0), start
    if step.value is None:
        step = Const(value=1)
    if step.value == 1:
        count = stop if start.value == 0 else statics.binary("-", stop, start)
    else:
        if not isinstance(step.value, int) or step.value == 0:
            raise site.fail(
                "E0306",
                "arange needs a constant step",
                f"this is {step.value}",
                "write for example arange(0, T, 2)",
            )
        span = statics.binary("-", stop, start)
        up = statics.binary("+", span, Const(value=step.value - 1))
        count = statics.binary("//", up, step)
        if isinstance(span.value, int) and span.value % step.value == 0:
            count = statics.binary("//", span, step)
    if isinstance(count.value, int) and count.value < 1:
        raise site.fail(
            "E0306",
            "this range is empty",
            f"from {start.value} to {stop.value}",
            "write the smaller bound first",
        )
    site.attrs.update(start=start, stop=stop, step=step)
    return [TensorType(dtype="int", shape=(count,))]


def linspace(site: Application) -> list[TensorType]:
    return [TensorType(dtype="float", shape=sizes_of(site, site.attrs["count"], "count"))]


def full(site: Application) -> list[TensorType]:
    shape = sizes_of(site, site.attrs["shape"])
    value = site.attrs["value"].value
    if not isinstance(value, (bool, int, float)):
        raise site.fail(
            "E0230",
            "`value` of `full` is a number",
            f"this is {statics.describe(value)}",
            "write for example full([B, 8], 0.0)",
        )
    dtype: DType = "bool" if isinstance(value, bool) else "float" if isinstance(value, float) else "int"
    site.attrs["dtype"] = Const(value=dtype)
    return [TensorType(dtype=dtype, shape=shape)]
