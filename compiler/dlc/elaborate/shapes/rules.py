"""Which rule gives the result types of which primitive, where a signature cannot express them.

Each rule takes an `Application` and gives the types of its results. It may rewrite the attributes (a default
becomes explicit). The order of axes and the meaning of attributes are NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable

from dlc.elaborate.shapes import contraction, creation, elementwise, indexing, patterns, reductions, shaping
from dlc.elaborate.shapes.application import Application
from dlc.ir import TensorType

RULES: dict[str, Callable[[Application], list[TensorType]]] = {
    **dict.fromkeys(
        "add subtract multiply divide floor_divide remainder power maximum minimum".split(),
        elementwise.elementwise,
    ),
    **dict.fromkeys("equal not_equal less less_equal greater greater_equal".split(), elementwise.comparison),
    **dict.fromkeys("logical_and logical_or logical_not".split(), elementwise.logical),
    **dict.fromkeys("negative stop_gradient zeros_like ones_like abs sign".split(), elementwise.same),
    **dict.fromkeys(
        "sum mean max min prod variance any all argmax argmin".split(),
        reductions.reduction,
    ),
    **dict.fromkeys("cumsum cumprod sort flip".split(), reductions.along_axis),
    "where": elementwise.where,
    "top_k": reductions.top_k,
    "reshape": shaping.reshape,
    "transpose": shaping.transpose,
    "matmul": contraction.matmul,
    "concat": shaping.concat,
    "stack": shaping.stack,
    "split": shaping.split,
    "broadcast": shaping.broadcast,
    "index": indexing.index,
    "pad": shaping.pad,
    "take": indexing.take,
    "gather": indexing.gather,
    "one_hot": indexing.one_hot,
    "segment_sum": indexing.segments,
    "segment_max": indexing.segments,
    "arange": creation.arange,
    "linspace": creation.linspace,
    "full": creation.full,
    "cast": elementwise.cast,
    "rearrange": patterns.rearrange,
    "repeat": patterns.rearrange,
    "einsum": contraction.einsum,
}
