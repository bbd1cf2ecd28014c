"""Primitives that read or add up by integer index: take, gather, gather_rows, one_hot, segment_sum,
segment_max.

In: a float array and integer ids that must be in range (out of range raises IndexError: frameworks
clamp, wrap or fill differently). Out: the selected elements, whose gradients add up where an index
repeats; or one row for each segment, 0 for one without rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.reference.primitive import (
    ARITHMETIC,
    SPREADS,
    SUM,
    Array,
    Case,
    Rounding,
    constant_vjp,
    define,
)


def _check(ids: Array, size: int) -> None:
    if ids.size and (ids.min() < 0 or ids.max() >= size):
        raise IndexError(f"an index between {ids.min()} and {ids.max()} is not in [0, {size})")


def take(table: Array, ids: Array) -> Array:
    """Rows of axis 0: `[V, *R]` at ids `[*S]` gives `[*S, *R]`."""
    _check(ids, table.shape[0])
    return np.asarray(table[ids])


def take_vjp(g: Array, y: Array, table: Array, ids: Array) -> tuple[Array, None]:
    gradient = np.zeros(table.shape)
    np.add.at(gradient, ids, g)
    return gradient, None


def gather(x: Array, ids: Array) -> Array:
    """One element of the last axis each: `[*S, V]` at ids `[*S]` gives `[*S]`."""
    _check(ids, x.shape[-1])
    return np.asarray(np.take_along_axis(x, ids[..., None], -1)[..., 0])


def gather_vjp(g: Array, y: Array, x: Array, ids: Array) -> tuple[Array, None]:
    gradient = np.zeros(x.shape)
    np.put_along_axis(gradient, ids[..., None], g[..., None], -1)
    return gradient, None


def gather_rows(x: Array, ids: Array) -> Array:
    """One row each: `[B, T, D]` at ids `[B]` gives `[B, D]`."""
    _check(ids, x.shape[1])
    return np.asarray(x[np.arange(x.shape[0]), ids])


def gather_rows_vjp(g: Array, y: Array, x: Array, ids: Array) -> tuple[Array, None]:
    gradient = np.zeros(x.shape)
    gradient[np.arange(x.shape[0]), ids] = g
    return gradient, None


def one_hot(ids: Array, *, size: int) -> Array:
    """`[*S]` gives `[*S, size]`: 1.0 at the id, 0.0 elsewhere."""
    _check(ids, size)
    return np.asarray(ids[..., None] == np.arange(size), dtype=np.float64)


def segment_sum(x: Array, ids: Array, *, count: int) -> Array:
    """Rows added up by id: `[N, *R]` with ids `[N]` gives `[count, *R]`."""
    _check(ids, count)
    total = np.zeros((count, *x.shape[1:]), x.dtype)
    np.add.at(total, ids, x)
    return total


def segment_sum_vjp(g: Array, y: Array, x: Array, ids: Array, *, count: int) -> tuple[Array, None]:
    return g[ids], None


def segment_max(x: Array, ids: Array, *, count: int) -> Array:
    """The largest of each segment: `[N, *R]` with ids `[N]` gives `[count, *R]`."""
    _check(ids, count)
    largest = np.full((count, *x.shape[1:]), -np.inf)
    np.maximum.at(largest, ids, x)
    largest[~np.isin(np.arange(count), ids)] = 0.0
    return largest


def segment_max_vjp(g: Array, y: Array, x: Array, ids: Array, *, count: int) -> tuple[Array, None]:
    """Equal largest elements share the gradient evenly."""
    chosen = (x == y[ids]).astype(np.float64)
    ties = segment_sum(chosen, ids, count=count)
    return chosen * (g / np.maximum(ties, 1.0))[ids], None


def _takes(rng: np.random.Generator) -> Sequence[Case]:
    return [
        ((rng.normal(size=(5, 3)), np.array([[0, 4], [4, 1]])), {}),
        ((rng.normal(size=6), np.array(2)), {}),
        ((rng.normal(size=(2, 3, 2)), np.array([1])), {}),
    ]


def _gathers(rng: np.random.Generator) -> Sequence[Case]:
    return [
        ((rng.normal(size=(2, 3, 5)), rng.integers(0, 5, (2, 3))), {}),
        ((rng.normal(size=4), np.array(3)), {}),
    ]


def _rows(rng: np.random.Generator) -> Sequence[Case]:
    return [((rng.normal(size=(3, 4, 2)), np.array([3, 0, 3])), {})]


def _hots(rng: np.random.Generator) -> Sequence[Case]:
    return [((rng.integers(0, 4, (2, 3)),), {"size": 4}), ((np.array(1),), {"size": 3})]


def _segments(rng: np.random.Generator) -> Sequence[Case]:
    """Segments of several rows, of one, and of none; ids in no order; a maximum of 0."""
    return [
        ((np.array([-1.5, 0.0, -0.5, -2.0]), np.array([0, 0, 2, 2])), {"count": 3}),
        ((rng.normal(size=(6, 3)), np.array([4, 0, 1, 0, 4, 4])), {"count": 5}),
        ((rng.normal(size=(5, 2, 3)), np.array([1, 1, 0, 1, 0])), {"count": 2}),
        ((rng.normal(size=4), np.array([2, 2, 2, 0])), {"count": 4}),
        ((rng.normal(size=(1, 2)), np.array([0])), {"count": 1}),
    ]


def _sums(rng: np.random.Generator) -> Sequence[Case]:
    return [
        *_segments(rng),
        ((rng.integers(0, 9, (4, 2)), np.array([1, 0, 1, 1])), {"count": 3}),
    ]


INDEXING = (
    define("take", take, take_vjp, _takes, SPREADS),
    define("gather", gather, gather_vjp, _gathers),
    define("gather_rows", gather_rows, gather_rows_vjp, _rows),
    define("one_hot", one_hot, constant_vjp, _hots),
    define("segment_sum", segment_sum, segment_sum_vjp, _sums, Rounding(SUM, 0.0, absolute_forward=True)),
    define("segment_max", segment_max, segment_max_vjp, _segments, Rounding(0.0, ARITHMETIC)),
)
