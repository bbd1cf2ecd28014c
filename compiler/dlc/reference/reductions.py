"""Reductions, scans along an axis, and sorting.

In: an array and `axis` (None for all, an int, or a tuple; negative counts from the end). Out: the
reduced array, with axes of size 1 left where `keep`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from dlc.reference.primitive import (
    ARITHMETIC,
    CALLS,
    EXACT,
    FUNCTION,
    SUM,
    SUMS,
    Array,
    Arrays,
    Case,
    Primitive,
    Rounding,
    Samples,
    constant_vjp,
    define,
)

Axis: TypeAlias = int | Sequence[int] | None


def axes_of(axis: Axis, rank: int) -> tuple[int, ...]:
    """The reduced axes, counted from 0."""
    if axis is None:
        return tuple(range(rank))
    given = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    return tuple(sorted(int(i) % rank for i in given))


def restore(reduced: Array, axis: Axis, shape: tuple[int, ...]) -> Array:
    """Puts reduced axes back with size 1, so that the array broadcasts against `shape`."""
    reduced_axes = axes_of(axis, len(shape))
    return np.reshape(reduced, tuple(1 if i in reduced_axes else n for i, n in enumerate(shape)))


def _count(shape: tuple[int, ...], axis: Axis) -> int:
    return int(np.prod([shape[i] for i in axes_of(axis, len(shape))], dtype=np.int64))


def _reducer(function: Callable[..., Any]) -> Callable[..., Array]:
    def forward(x: Array, *, axis: Axis = None, keep: bool = False) -> Array:
        return np.asarray(function(x, axis=axes_of(axis, x.ndim), keepdims=keep))

    return forward


def sum_vjp(g: Array, y: Array, x: Array, *, axis: Axis = None, keep: bool = False) -> Array:
    return np.broadcast_to(restore(g, axis, x.shape), x.shape)


def mean_vjp(g: Array, y: Array, x: Array, *, axis: Axis = None, keep: bool = False) -> Array:
    return np.broadcast_to(restore(g, axis, x.shape) / _count(x.shape, axis), x.shape)


def extremum_vjp(g: Array, y: Array, x: Array, *, axis: Axis = None, keep: bool = False) -> Array:
    """Equal extreme elements share the gradient evenly."""
    chosen = (x == restore(y, axis, x.shape)).astype(np.float64)
    share = chosen / chosen.sum(axis=axes_of(axis, x.ndim), keepdims=True)
    return np.asarray(restore(g, axis, x.shape) * share)


def variance_vjp(g: Array, y: Array, x: Array, *, axis: Axis = None, keep: bool = False) -> Array:
    centred = x - x.mean(axis=axes_of(axis, x.ndim), keepdims=True)
    return np.asarray(restore(g, axis, x.shape) * centred * (2.0 / _count(x.shape, axis)))


def prod_vjp(g: Array, y: Array, x: Array, *, axis: Axis = None, keep: bool = False) -> Array:
    """The product of all other elements: right also where elements are 0."""
    axes = axes_of(axis, x.ndim)
    others = tuple(i for i in range(x.ndim) if i not in axes)
    moved = x.transpose(others + axes)
    flat = moved.reshape(*(x.shape[i] for i in others), -1)
    ones = np.ones((*flat.shape[:-1], 1))
    before = np.cumprod(np.concatenate([ones, flat[..., :-1]], axis=-1), axis=-1)
    reverse = np.concatenate([ones, flat[..., :0:-1]], axis=-1)
    after = np.cumprod(reverse, axis=-1)[..., ::-1]
    slope = (before * after).reshape(moved.shape).transpose(np.argsort(others + axes))
    return np.asarray(restore(g, axis, x.shape) * slope)


def _reductions() -> Samples:
    choices: tuple[tuple[tuple[int, ...], Axis, bool], ...] = (
        ((3,), None, False),
        ((2, 3, 5), None, True),
        ((2, 3, 5), -1, False),
        ((2, 3, 5), (0, 2), True),
        ((2, 3, 1, 2), (1, -1), False),
        ((2, 3), 0, True),
    )

    def samples(rng: np.random.Generator) -> Sequence[Case]:
        return [((rng.normal(size=s),), {"axis": a, "keep": k}) for s, a, k in choices]

    return samples


def _bool_reductions(rng: np.random.Generator) -> Sequence[Case]:
    return [((x[0] > 0.0,), attrs) for x, attrs in _reductions()(rng)]


AVERAGES = Rounding(ARITHMETIC, ARITHMETIC, averages=True)
REDUCTIONS = (
    define("sum", _reducer(np.sum), sum_vjp, _reductions(), Rounding(SUM, 0.0, absolute_forward=True)),
    define("mean", _reducer(np.mean), mean_vjp, _reductions(), SUMS),
    define("max", _reducer(np.max), extremum_vjp, _reductions(), EXACT),
    define("min", _reducer(np.min), extremum_vjp, _reductions(), EXACT),
    define("prod", _reducer(np.prod), prod_vjp, _reductions(), CALLS),
    define(
        "variance",
        _reducer(np.var),
        variance_vjp,
        _reductions(),
        Rounding(ARITHMETIC, ARITHMETIC, averages=True),
    ),
    define("any", _reducer(np.any), constant_vjp, _bool_reductions),
    define("all", _reducer(np.all), constant_vjp, _bool_reductions),
)

# ---------------------------------------------------------------- along one axis


def _arg(function: Callable[..., Any]) -> Callable[..., Array]:
    """The index of the first extreme element along `axis` (None: in the flattened array)."""

    def forward(x: Array, *, axis: int | None = -1, keep: bool = False) -> Array:
        return np.asarray(function(x, axis=axis, keepdims=keep), dtype=np.int64)

    return forward


def cumsum(x: Array, *, axis: int = -1) -> Array:
    return np.cumsum(x, axis=axis)


def cumsum_vjp(g: Array, y: Array, x: Array, *, axis: int = -1) -> Array:
    return np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)


def cumprod(x: Array, *, axis: int = -1) -> Array:
    return np.cumprod(x, axis=axis)


def cumprod_vjp(g: Array, y: Array, x: Array, *, axis: int = -1) -> Array:
    """`prod(x[:j]) * s[j]` with `s[j] = g[j] + x[j+1] * s[j+1]`: right also at zeros."""
    g, x = np.moveaxis(g, axis, -1), np.moveaxis(x, axis, -1)
    before = np.cumprod(np.concatenate([np.ones((*x.shape[:-1], 1)), x[..., :-1]], axis=-1), axis=-1)
    gathered = np.array(g)
    for j in range(x.shape[-1] - 2, -1, -1):
        gathered[..., j] += x[..., j + 1] * gathered[..., j + 1]
    return np.moveaxis(before * gathered, -1, axis)


def _order(x: Array, axis: int, descending: bool) -> Array:
    """Indices that sort along `axis`, equal elements in their order."""
    return np.argsort(-x if descending else x, axis=axis, kind="stable")


def sort(x: Array, *, axis: int = -1, descending: bool = False) -> Array:
    return np.take_along_axis(x, _order(x, axis, descending), axis)


def sort_vjp(g: Array, y: Array, x: Array, *, axis: int = -1, descending: bool = False) -> Array:
    gradient = np.zeros(x.shape)
    np.put_along_axis(gradient, _order(x, axis, descending), g, axis)
    return gradient


def top_k(x: Array, *, k: int) -> Arrays:
    """The `k` largest along the last axis, largest first, and where they are; ties: lowest index
    first."""
    indices = _order(x, -1, True)[..., :k]
    return np.take_along_axis(x, indices, -1), indices


def top_k_vjp(g: Arrays, y: Arrays, x: Array, *, k: int) -> Array:
    gradient = np.zeros(x.shape)
    np.put_along_axis(gradient, y[1], g[0], -1)
    return gradient


def _along(**extra: Any) -> Samples:
    def samples(rng: np.random.Generator) -> Sequence[Case]:
        pairs: tuple[tuple[tuple[int, ...], int], ...] = (((4,), 0), ((2, 3, 5), 1), ((3, 2), -1))
        return [((rng.normal(size=shape),), {"axis": axis, **extra}) for shape, axis in pairs]

    return samples


def _cumprods(rng: np.random.Generator) -> Sequence[Case]:
    zeros = rng.normal(size=(2, 5))
    zeros[0, 1] = zeros[1, 2] = zeros[1, 4] = 0.0
    return [*_along()(rng), ((zeros,), {"axis": 1})]


def _top_ks(rng: np.random.Generator) -> Sequence[Case]:
    return [((rng.normal(size=(2, 3, 5)),), {"k": 2}), ((rng.normal(size=4),), {"k": 4})]


SORTS = (
    define("argmax", _arg(np.argmax), constant_vjp, _along()),
    define("argmin", _arg(np.argmin), constant_vjp, _along()),
    define("cumsum", cumsum, cumsum_vjp, _along(), SUMS),
    define("cumprod", cumprod, cumprod_vjp, _cumprods, Rounding(FUNCTION, FUNCTION, False, True)),
    define("sort", sort, sort_vjp, lambda rng: [*_along()(rng), *_along(descending=True)(rng)]),
    define("top_k", top_k, top_k_vjp, _top_ks),
)

REDUCING: tuple[Primitive, ...] = (*REDUCTIONS, *SORTS)
