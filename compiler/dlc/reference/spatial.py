"""Convolutions: images `[N, C, H, W]`, sequences `[N, C, T]`, weights `[O, C / groups, KH, KW]`.

In: float arrays; stride, padding and dilation as one int, a pair, or pairs of (low, high) padding.
Out: cross-correlations (the kernel is not flipped), as in every framework. A convolution is a
matrix product over its windows; the transposed convolution is the gradient of the convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from dlc.reference.primitive import SUMS, Array, Case, Samples, define

Pair: TypeAlias = int | Sequence[int]
Padding: TypeAlias = int | Sequence[int] | Sequence[Sequence[int]]
Shape: TypeAlias = tuple[int, ...]


def pair(value: Pair) -> tuple[int, int]:
    """One int for both spatial axes, or one each."""
    if isinstance(value, (int, np.integer)):
        return int(value), int(value)
    first, second = value
    return int(first), int(second)


def sides(padding: Padding) -> tuple[tuple[int, int], tuple[int, int]]:
    """Padding (low, high) of each spatial axis."""
    if isinstance(padding, (int, np.integer)):
        return pair(padding), pair(padding)
    first, second = padding
    return pair(first), pair(second)


@dataclass(frozen=True, slots=True)
class Geometry:
    """How windows lie on an image."""

    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def padded(self, size: Sequence[int]) -> tuple[int, int]:
        """Height and width of an image after padding."""
        (top, bottom), (left, right) = self.padding
        return size[0] + top + bottom, size[1] + left + right

    def count(self, size: Sequence[int], kernel: Sequence[int]) -> tuple[int, int]:
        """How many windows fit, per axis."""
        spans = [d * (k - 1) + 1 for d, k in zip(self.dilation, kernel, strict=True)]
        rows, columns = (
            (n - span) // s + 1 for n, span, s in zip(self.padded(size), spans, self.stride, strict=True)
        )
        return rows, columns

    def offset(self, position: tuple[int, int], count: tuple[int, int]) -> tuple[Any, ...]:
        """Where element `position` of every window lies in the padded image."""
        starts = [p * d for p, d in zip(position, self.dilation, strict=True)]
        return (
            ...,
            *(
                slice(start, start + (n - 1) * s + 1, s)
                for start, n, s in zip(starts, count, self.stride, strict=True)
            ),
        )


def pad_image(x: Array, geometry: Geometry, value: float = 0.0) -> Array:
    return np.pad(x, ((0, 0), (0, 0), *geometry.padding), constant_values=value)


def crop_image(padded: Array, geometry: Geometry, size: Sequence[int]) -> Array:
    (top, _), (left, _) = geometry.padding
    return padded[..., top : top + size[0], left : left + size[1]]


def windows(padded: Array, kernel: tuple[int, int], count: tuple[int, int], geometry: Geometry) -> Array:
    """A view `[N, C, KH, KW, rows, columns]` of a padded image."""
    n, c, height, width = padded.strides
    (dilate_y, dilate_x), (stride_y, stride_x) = geometry.dilation, geometry.stride
    return np.lib.stride_tricks.as_strided(
        padded,
        (*padded.shape[:2], *kernel, *count),
        (n, c, height * dilate_y, width * dilate_x, height * stride_y, width * stride_x),
        writeable=False,
    )


def columns(x: Array, kernel: tuple[int, int], geometry: Geometry) -> Array:
    """Every window as a column: `[N, groups, C / groups * KH * KW, rows * columns]`."""
    count = geometry.count(x.shape[2:], kernel)
    view = windows(pad_image(x, geometry), kernel, count, geometry)
    return view.reshape(x.shape[0], geometry.groups, -1, count[0] * count[1])


def correlate(x: Array, w: Array, geometry: Geometry) -> Array:
    kernel = (w.shape[2], w.shape[3])
    count = geometry.count(x.shape[2:], kernel)
    rows = w.reshape(geometry.groups, w.shape[0] // geometry.groups, -1)
    products = np.matmul(rows, columns(x, kernel, geometry))
    return np.asarray(products.reshape(x.shape[0], w.shape[0], *count))


def correlate_weight_gradient(g: Array, x: Array, w_shape: Shape, geometry: Geometry) -> Array:
    parts = g.reshape(g.shape[0], geometry.groups, w_shape[0] // geometry.groups, -1)
    windowed = columns(x, (w_shape[2], w_shape[3]), geometry)
    return np.asarray(np.matmul(parts, np.swapaxes(windowed, -1, -2)).sum(axis=0).reshape(w_shape))


def correlate_input_gradient(g: Array, w: Array, size: tuple[int, int], geometry: Geometry) -> Array:
    """The gradient for an image of height and width `size`: windows added up where they overlap."""
    batch, groups, count = g.shape[0], geometry.groups, (g.shape[2], g.shape[3])
    rows = w.reshape(groups, w.shape[0] // groups, -1)
    parts = g.reshape(batch, groups, w.shape[0] // groups, -1)
    spread = np.matmul(np.swapaxes(rows, -1, -2), parts)
    spread = spread.reshape(batch, groups * w.shape[1], w.shape[2], w.shape[3], *count)
    total = np.zeros((batch, groups * w.shape[1], *geometry.padded(size)))
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            total[geometry.offset((i, j), count)] += spread[:, :, i, j]
    return crop_image(total, geometry, size)


# ---------------------------------------------------------------- primitives


def conv2d(
    x: Array,
    w: Array,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    return correlate(x, w, Geometry(pair(stride), sides(padding), pair(dilation), groups))


def conv2d_vjp(
    g: Array,
    y: Array,
    x: Array,
    w: Array,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> tuple[Array, Array]:
    geometry = Geometry(pair(stride), sides(padding), pair(dilation), groups)
    return (
        correlate_input_gradient(g, w, (x.shape[2], x.shape[3]), geometry),
        correlate_weight_gradient(g, x, w.shape, geometry),
    )


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's SAME: `ceil(size / stride)` windows, the odd element of padding on the high
    side."""
    count = -(-size // stride)
    total = max((count - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def _same(x: Array, w: Array, stride: Pair, dilation: Pair) -> tuple[tuple[int, int], ...]:
    settings = zip(x.shape[2:], w.shape[2:], pair(stride), pair(dilation), strict=True)
    return tuple(same_padding(n, k, s, d) for n, k, s, d in settings)


def conv2d_same(x: Array, w: Array, *, stride: Pair = 1, dilation: Pair = 1, groups: int = 1) -> Array:
    padding = _same(x, w, stride, dilation)
    return conv2d(x, w, stride=stride, padding=padding, dilation=dilation, groups=groups)


def conv2d_same_vjp(
    g: Array, y: Array, x: Array, w: Array, *, stride: Pair = 1, dilation: Pair = 1, groups: int = 1
) -> tuple[Array, Array]:
    padding = _same(x, w, stride, dilation)
    return conv2d_vjp(g, y, x, w, stride=stride, padding=padding, dilation=dilation, groups=groups)


def _flat(stride: int, padding: int | Sequence[int], dilation: int, groups: int) -> dict[str, Any]:
    """A sequence is an image of height 1."""
    return {
        "stride": (1, stride),
        "padding": ((0, 0), pair(padding)),
        "dilation": (1, dilation),
        "groups": groups,
    }


def conv1d(
    x: Array,
    w: Array,
    *,
    stride: int = 1,
    padding: int | Sequence[int] = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Array:
    image, kernel = x[:, :, None], w[:, :, None]
    return conv2d(image, kernel, **_flat(stride, padding, dilation, groups))[:, :, 0]


def conv1d_vjp(
    g: Array,
    y: Array,
    x: Array,
    w: Array,
    *,
    stride: int = 1,
    padding: int | Sequence[int] = 0,
    dilation: int = 1,
    groups: int = 1,
) -> tuple[Array, Array]:
    flat = _flat(stride, padding, dilation, groups)
    image, kernel = conv2d_vjp(g[:, :, None], y, x[:, :, None], w[:, :, None], **flat)
    return image[:, :, 0], kernel[:, :, 0]


def conv2d_transpose(
    x: Array, w: Array, *, stride: Pair = 1, padding: Padding = 0, output_padding: Pair = 0
) -> Array:
    """PyTorch's meaning: `(H - 1) * stride - 2 * padding + KH + output_padding` rows."""
    geometry = Geometry(pair(stride), sides(padding))
    height, width = (
        (n - 1) * s - low - high + k + extra
        for n, s, (low, high), k, extra in zip(
            x.shape[2:],
            geometry.stride,
            geometry.padding,
            w.shape[2:],
            pair(output_padding),
            strict=True,
        )
    )
    return correlate_input_gradient(x, w, (height, width), geometry)


def conv2d_transpose_vjp(
    g: Array,
    y: Array,
    x: Array,
    w: Array,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
) -> tuple[Array, Array]:
    geometry = Geometry(pair(stride), sides(padding))
    rows, columns_ = x.shape[2:]
    gradient = correlate(g, w, geometry)[..., :rows, :columns_]
    return gradient, correlate_weight_gradient(x, g, w.shape, geometry)


def _layers(*calls: tuple[Shape, Shape, dict[str, Any]]) -> Samples:
    def samples(rng: np.random.Generator) -> Sequence[Case]:
        return [((rng.normal(size=x), rng.normal(size=w)), attrs) for x, w, attrs in calls]

    return samples


_CONV2D = _layers(
    ((2, 3, 5, 6), (4, 3, 3, 3), {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}),
    ((1, 4, 7, 6), (6, 2, 3, 2), {"stride": 2, "padding": (0, 1), "dilation": 1, "groups": 2}),
    ((1, 3, 8, 7), (6, 1, 2, 3), {"stride": (2, 1), "padding": 2, "dilation": (1, 2), "groups": 3}),
    ((3, 2, 4, 4), (5, 2, 1, 1), {"stride": 3}),
    ((1, 1, 5, 5), (1, 1, 4, 4), {"padding": ((1, 2), (0, 1)), "stride": 2, "dilation": 1}),
)
_SAME = _layers(
    ((2, 3, 8, 7), (4, 3, 3, 3), {"stride": 2, "dilation": 1, "groups": 1}),
    ((1, 4, 5, 6), (4, 1, 5, 4), {"stride": 1, "groups": 4}),
    ((1, 2, 9, 4), (2, 2, 3, 3), {"stride": 3, "dilation": 2}),
)
_CONV1D = _layers(
    ((2, 3, 7), (4, 3, 3), {"stride": 2, "padding": 1, "dilation": 1, "groups": 1}),
    ((1, 4, 6), (4, 1, 2), {"padding": (2, 0), "dilation": 2, "groups": 4}),
)
_TRANSPOSE = _layers(
    ((2, 3, 4, 5), (3, 2, 4, 4), {"stride": 2, "padding": 1, "output_padding": 0}),
    ((1, 2, 3, 3), (2, 3, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((1, 2, 3, 2), (2, 1, 2, 2), {"stride": 2}),
    ((1, 2, 1, 1), (2, 3, 4, 3), {"stride": (1, 3), "padding": (0, 1)}),
)

SPATIAL = (
    define("conv2d", conv2d, conv2d_vjp, _CONV2D, SUMS),
    define("conv2d_same", conv2d_same, conv2d_same_vjp, _SAME, SUMS),
    define("conv1d", conv1d, conv1d_vjp, _CONV1D, SUMS),
    define("conv2d_transpose", conv2d_transpose, conv2d_transpose_vjp, _TRANSPOSE, SUMS),
)
