"""Primitives that read by integer index: take, gather, gather_rows, one_hot.

In: a float array and integer ids that must be in range (out of range raises IndexError: frameworks
clamp, wrap or fill differently). Out: the selected elements; gradients add up where an index
repeats.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlc.reference.primitive import SPREADS, Array, Case, constant_vjp, define


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


INDEXING = (
    define("take", take, take_vjp, _takes, SPREADS),
    define("gather", gather, gather_vjp, _gathers),
    define("gather_rows", gather_rows, gather_rows_vjp, _rows),
    define("one_hot", one_hot, constant_vjp, _hots),
)
