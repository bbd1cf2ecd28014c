"""Pooling, resizing and local response normalisation: images `[N, C, H, W]`, sequences `[N, C, T]`.

In: one float array. Out: one float array. Padding never wins a maximum (it is -inf) and never
counts in an average. The first of equal elements of a window gets the gradient of a maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dlc.reference.primitive import (
    CALLS,
    SPREADS,
    SUMS,
    Array,
    Case,
    Samples,
    define,
)
from dlc.reference.spatial import (
    Geometry,
    Padding,
    Pair,
    crop_image,
    pad_image,
    pair,
    sides,
    windows,
)


def _geometry(size: Pair, stride: Pair | None, padding: Padding) -> Geometry:
    return Geometry(pair(size if stride is None else stride), sides(padding))


def _pooled(x: Array, size: Pair, geometry: Geometry, value: float) -> Array:
    """`[N, C, rows, columns, KH * KW]`: the elements of every window."""
    kernel = pair(size)
    count = geometry.count(x.shape[2:], kernel)
    view = windows(pad_image(x, geometry, value), kernel, count, geometry)
    flat = view.reshape(*x.shape[:2], kernel[0] * kernel[1], *count)
    return np.moveaxis(flat, 2, -1)


def max_pool2d(x: Array, *, size: Pair, stride: Pair | None = None, padding: Padding = 0) -> Array:
    return np.asarray(_pooled(x, size, _geometry(size, stride, padding), -np.inf).max(axis=-1))


def _spread(x: Array, size: Pair, geometry: Geometry, part: Callable[[int], Array]) -> Array:
    """Adds `part(i)` to element `i` of every window."""
    kernel = pair(size)
    count = geometry.count(x.shape[2:], kernel)
    total = np.zeros((*x.shape[:2], *geometry.padded(x.shape[2:])))
    for i in range(kernel[0] * kernel[1]):
        total[geometry.offset(divmod(i, kernel[1]), count)] += part(i)
    return crop_image(total, geometry, x.shape[2:])


def max_pool2d_vjp(
    g: Array, y: Array, x: Array, *, size: Pair, stride: Pair | None = None, padding: Padding = 0
) -> Array:
    geometry = _geometry(size, stride, padding)
    first = _pooled(x, size, geometry, -np.inf).argmax(axis=-1)
    return _spread(x, size, geometry, lambda i: g * (first == i))


def _live(x: Array, size: Pair, geometry: Geometry) -> Array:
    """How many elements of each window are not padding."""
    return np.asarray(_pooled(np.ones((1, 1, *x.shape[2:])), size, geometry, 0.0).sum(axis=-1))


def avg_pool2d(x: Array, *, size: Pair, stride: Pair | None = None, padding: Padding = 0) -> Array:
    geometry = _geometry(size, stride, padding)
    return np.asarray(_pooled(x, size, geometry, 0.0).sum(axis=-1) / _live(x, size, geometry))


def avg_pool2d_vjp(
    g: Array, y: Array, x: Array, *, size: Pair, stride: Pair | None = None, padding: Padding = 0
) -> Array:
    geometry = _geometry(size, stride, padding)
    share = g / _live(x, size, geometry)
    return _spread(x, size, geometry, lambda i: share)


def _flat(size: int, stride: int | None, padding: int | Sequence[int]) -> dict[str, Any]:
    """A sequence is an image of height 1."""
    steps = size if stride is None else stride
    return {"size": (1, size), "stride": (1, steps), "padding": ((0, 0), pair(padding))}


def _forward1d(pool: Callable[..., Array]) -> Callable[..., Array]:
    def forward(x: Array, *, size: int, stride: int | None = None, padding: int | Sequence[int] = 0) -> Array:
        return np.asarray(pool(x[:, :, None], **_flat(size, stride, padding))[:, :, 0])

    return forward


def _vjp1d(pool_vjp: Callable[..., Array]) -> Callable[..., Array]:
    def vjp(
        g: Array,
        y: Array,
        x: Array,
        *,
        size: int,
        stride: int | None = None,
        padding: int | Sequence[int] = 0,
    ) -> Array:
        flat = _flat(size, stride, padding)
        return np.asarray(pool_vjp(g[:, :, None], y[:, :, None], x[:, :, None], **flat)[:, :, 0])

    return vjp


# ---------------------------------------------------------------- resizing


def resize_matrix(size: int, scale: int, mode: str) -> Array:
    """`[size * scale, size]`: each output position as a weighted sum of input positions.

    "bilinear" puts pixel centres at half-integers (align_corners=False) and clamps at the border.
    """
    positions = np.arange(size * scale)
    if mode == "nearest":
        return np.eye(size)[positions // scale]
    if mode != "bilinear":
        raise ValueError(f"unknown resize mode {mode!r}")
    source = np.maximum((positions + 0.5) / scale - 0.5, 0.0)
    low = np.minimum(source.astype(np.int64), size - 1)
    high = np.minimum(low + 1, size - 1)
    weight = (source - low)[:, None]
    return np.asarray((1.0 - weight) * np.eye(size)[low] + weight * np.eye(size)[high])


def upsample2d(x: Array, *, scale: Pair, mode: str = "nearest") -> Array:
    rows, columns = (resize_matrix(n, s, mode) for n, s in zip(x.shape[2:], pair(scale), strict=True))
    return np.asarray(rows @ x @ columns.T)


def upsample2d_vjp(g: Array, y: Array, x: Array, *, scale: Pair, mode: str = "nearest") -> Array:
    rows, columns = (resize_matrix(n, s, mode) for n, s in zip(x.shape[2:], pair(scale), strict=True))
    return np.asarray(rows.T @ g @ columns)


# ---------------------------------------------------------------- local response normalisation


def _channel_sum(x: Array, left: int, right: int) -> Array:
    """The sum over channels `c - left` to `c + right`, as far as they exist."""
    padded = np.pad(x, ((0, 0), (left, right), *([(0, 0)] * (x.ndim - 2))))
    channels = x.shape[1]
    return np.asarray(sum(padded[:, i : i + channels] for i in range(left + right + 1)))


def local_response_norm(
    x: Array, *, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """`x / (k + alpha / size * sum of squares over size channels) ** beta`, as in PyTorch."""
    total = _channel_sum(x * x, size // 2, (size - 1) // 2)
    return np.asarray(x * (k + alpha / size * total) ** -beta)


def local_response_norm_vjp(
    g: Array,
    y: Array,
    x: Array,
    *,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> Array:
    base = k + alpha / size * _channel_sum(x * x, size // 2, (size - 1) // 2)
    back = _channel_sum(g * x * base ** (-beta - 1.0), (size - 1) // 2, size // 2)
    return np.asarray(g * base**-beta - 2.0 * beta * alpha / size * x * back)


def _images(*calls: tuple[tuple[int, ...], dict[str, Any]]) -> Samples:
    def samples(rng: np.random.Generator) -> Sequence[Case]:
        return [((rng.normal(size=shape),), attrs) for shape, attrs in calls]

    return samples


_POOLS = _images(
    ((2, 3, 6, 5), {"size": 2, "stride": 2, "padding": 0}),
    ((1, 2, 7, 6), {"size": 3, "stride": 2, "padding": 1}),
    ((1, 1, 5, 5), {"size": 5, "stride": 1, "padding": 2}),
    ((1, 2, 5, 7), {"size": (2, 3), "stride": None, "padding": ((0, 1), (1, 0))}),
)
_POOLS1D = _images(
    ((2, 3, 7), {"size": 3, "stride": 2, "padding": 1}), ((1, 1, 4), {"size": 2, "stride": None})
)
_UPSAMPLES = _images(
    ((2, 1, 3, 2), {"scale": 2, "mode": "nearest"}),
    ((1, 2, 3, 4), {"scale": 3, "mode": "bilinear"}),
    ((1, 1, 1, 2), {"scale": 2, "mode": "bilinear"}),
)
_NORMS = _images(
    ((2, 7, 2, 3), {"size": 5, "alpha": 0.3, "beta": 0.75, "k": 1.0}),
    ((1, 5, 1, 2), {"size": 4, "alpha": 1.0, "beta": 0.5, "k": 2.0}),
)

POOLING = (
    define("max_pool2d", max_pool2d, max_pool2d_vjp, _POOLS, SPREADS),
    define("avg_pool2d", avg_pool2d, avg_pool2d_vjp, _POOLS, SUMS),
    define("max_pool1d", _forward1d(max_pool2d), _vjp1d(max_pool2d_vjp), _POOLS1D, SPREADS),
    define("avg_pool1d", _forward1d(avg_pool2d), _vjp1d(avg_pool2d_vjp), _POOLS1D, SUMS),
    define("upsample2d", upsample2d, upsample2d_vjp, _UPSAMPLES, SUMS),
    define("local_response_norm", local_response_norm, local_response_norm_vjp, _NORMS, CALLS),
)
