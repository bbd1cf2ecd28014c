"""Primitives that move data: reshape, transpose, patterns, concat, split, index, pad.

In: arrays of any dtype; sizes, axes and patterns are compile-time attributes. Out: the same
elements in another arrangement. No arithmetic; a gradient is a sum where an element was repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from dlc.reference.patterns import Plan, plan
from dlc.reference.primitive import (
    COPIES,
    EXACT,
    SPREADS,
    Array,
    Arrays,
    Case,
    Samples,
    define,
    unbroadcast,
)

Subscript: TypeAlias = Any
"""An int, `("slice", start, stop, step)`, or `"..."`."""


def reshape(x: Array, *, shape: Sequence[int]) -> Array:
    return x.reshape(tuple(shape))


def reshape_vjp(g: Array, y: Array, x: Array, **_: Any) -> Array:
    return g.reshape(x.shape)


def transpose(x: Array, *, axes: Sequence[int] | None = None) -> Array:
    return np.swapaxes(x, -1, -2) if axes is None else x.transpose(tuple(axes))


def transpose_vjp(g: Array, y: Array, x: Array, *, axes: Sequence[int] | None = None) -> Array:
    if axes is None:
        return np.swapaxes(g, -1, -2)
    return g.transpose(np.argsort([axis % x.ndim for axis in axes]))


def _apply(x: Array, how: Plan) -> Array:
    moved = x.reshape(how.split).transpose(how.order).reshape(how.unit)
    return np.broadcast_to(moved, how.spread).reshape(how.joined)


def rearrange(x: Array, *, pattern: str, sizes: Mapping[str, int] | None = None) -> Array:
    return _apply(x, plan(pattern, x.shape, sizes or {}))


def rearrange_vjp(
    g: Array, y: Array, x: Array, *, pattern: str, sizes: Mapping[str, int] | None = None
) -> Array:
    how = plan(pattern, x.shape, sizes or {})
    moved = unbroadcast(g.reshape(how.spread), how.unit)
    transposed = moved.reshape(tuple(how.split[i] for i in how.order))
    return transposed.transpose(np.argsort(how.order)).reshape(x.shape)


def broadcast(x: Array, *, shape: Sequence[int]) -> Array:
    return np.broadcast_to(x, tuple(shape))


def broadcast_vjp(g: Array, y: Array, x: Array, *, shape: Sequence[int]) -> Array:
    return unbroadcast(g, x.shape)


def concat(*parts: Array, axis: int = 0) -> Array:
    return np.concatenate(parts, axis=axis)


def concat_vjp(g: Array, y: Array, *parts: Array, axis: int = 0) -> Arrays:
    ends = np.cumsum([part.shape[axis] for part in parts])[:-1]
    return tuple(np.split(g, ends, axis=axis))


def stack(*parts: Array, axis: int = 0) -> Array:
    return np.stack(parts, axis=axis)


def stack_vjp(g: Array, y: Array, *parts: Array, axis: int = 0) -> Arrays:
    return tuple(np.moveaxis(g, axis, 0))


def split(x: Array, *, sizes: Sequence[int], axis: int = -1) -> Arrays:
    if sum(sizes) != x.shape[axis]:
        raise ValueError(f"split sizes {tuple(sizes)} do not add up to {x.shape[axis]}")
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=axis))


def split_vjp(g: Arrays, y: Arrays, x: Array, *, sizes: Sequence[int], axis: int = -1) -> Array:
    return np.concatenate(g, axis=axis)


def subscript(item: Subscript) -> Any:
    """A subscript of the IR as NumPy writes it."""
    match item:
        case "...":
            return Ellipsis
        case ("slice", start, stop, step):
            return slice(start, stop, step)
        case _:
            return int(item)


def index(x: Array, *, subscripts: Sequence[Subscript]) -> Array:
    return np.asarray(x[tuple(map(subscript, subscripts))])


def index_vjp(g: Array, y: Array, x: Array, *, subscripts: Sequence[Subscript]) -> Array:
    gradient = np.zeros(x.shape)
    gradient[tuple(map(subscript, subscripts))] = g
    return gradient


def flip(x: Array, *, axis: int | Sequence[int]) -> Array:
    return np.flip(x, axis if isinstance(axis, int) else tuple(axis))


def flip_vjp(g: Array, y: Array, x: Array, *, axis: int | Sequence[int]) -> Array:
    return flip(g, axis=axis)


def pad(x: Array, *, pads: Sequence[Sequence[int]], value: float = 0.0) -> Array:
    if x.ndim == 0:
        return x
    widths = np.array(pads, dtype=np.int64)
    return np.pad(x, widths, constant_values=value)


def pad_vjp(g: Array, y: Array, x: Array, *, pads: Sequence[Sequence[int]], value: float = 0.0) -> Array:
    inside = (slice(low, low + n) for (low, _), n in zip(pads, x.shape, strict=True))
    return np.asarray(g[tuple(inside)])


# ---------------------------------------------------------------- samples


def _cases(*calls: tuple[Sequence[tuple[int, ...]], dict[str, Any]]) -> Samples:
    def samples(rng: np.random.Generator) -> Sequence[Case]:
        return [(tuple(rng.normal(size=s) for s in shapes), attrs) for shapes, attrs in calls]

    return samples


_REARRANGE = _cases(
    ([(2, 6, 3, 2)], {"pattern": "n (g c) h w -> n g (c h w)", "sizes": {"g": 3}}),
    ([(5,)], {"pattern": "c -> 1 c 1 1", "sizes": {}}),
    ([(2, 1, 3)], {"pattern": "b 1 t -> t b", "sizes": {}}),
    ([(2, 6, 4)], {"pattern": "b (h w) c -> b c h w", "sizes": {"h": 3}}),
    ([()], {"pattern": "-> 1", "sizes": {}}),
    ([(2, 3, 4)], {"pattern": "a b c -> (c a b)", "sizes": {}}),
)
_REPEAT = _cases(
    ([(2, 3, 4, 5)], {"pattern": "b h t k -> b (h g) t k", "sizes": {"g": 2}}),
    ([(2, 3)], {"pattern": "a b -> (n a) b m", "sizes": {"n": 3, "m": 2}}),
)
_INDEX = _cases(
    ([(3, 4, 2)], {"subscripts": (("slice", None, None, None), 0)}),
    ([(3, 4, 2)], {"subscripts": ("...", 1)}),
    ([(3, 4, 2)], {"subscripts": (-1, ("slice", 3, 0, -2), ("slice", None, -1, None))}),
    ([(3,)], {"subscripts": (2,)}),
)

SHAPING = (
    define(
        "reshape",
        reshape,
        reshape_vjp,
        _cases(([(2, 6)], {"shape": (3, 4)}), ([(1,)], {"shape": ()})),
    ),
    define(
        "transpose",
        transpose,
        transpose_vjp,
        _cases(([(2, 3, 5)], {"axes": None}), ([(2, 3, 5)], {"axes": (2, 0, -2)})),
    ),
    define("rearrange", rearrange, rearrange_vjp, _REARRANGE),
    define("repeat", rearrange, rearrange_vjp, _REPEAT, SPREADS),
    define(
        "broadcast",
        broadcast,
        broadcast_vjp,
        _cases(([(1, 3)], {"shape": (4, 2, 3)}), ([()], {"shape": (2,)})),
        COPIES,
    ),
    define(
        "concat",
        concat,
        concat_vjp,
        _cases(([(2, 3), (2, 1), (2, 2)], {"axis": -1}), ([(2, 3)], {"axis": 0})),
    ),
    define("stack", stack, stack_vjp, _cases(([(2, 3)] * 3, {"axis": 1}), ([()] * 2, {"axis": 0}))),
    define(
        "split",
        split,
        split_vjp,
        _cases(([(2, 6)], {"sizes": (1, 3, 2), "axis": -1}), ([(4, 2)], {"sizes": (4,), "axis": 0})),
    ),
    define("index", index, index_vjp, _INDEX),
    define("flip", flip, flip_vjp, _cases(([(2, 3)], {"axis": 1}), ([(2, 3)], {"axis": (0, 1)}))),
    define(
        "pad",
        pad,
        pad_vjp,
        _cases(([(2, 3)], {"pads": ((0, 1), (2, 0)), "value": 1.5}), ([()], {"pads": (), "value": 0.0})),
        EXACT,
    ),
)
