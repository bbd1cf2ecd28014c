"""Primitives against independent, naive definitions, and the distributions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dlc.reference.patterns import plan
from dlc.reference.primitives import PRIMITIVES
from dlc.reference.sampling import draw
from dlc.reference.spatial import same_padding

RNG = np.random.default_rng(21)


def run(name: str, *inputs: Any, **attrs: Any) -> Any:
    return PRIMITIVES[name].forward(tuple(np.asarray(x) for x in inputs), attrs)[0]


def gradient(name: str, *inputs: Any, **attrs: Any) -> Any:
    arrays = tuple(np.asarray(x, np.float64) for x in inputs)
    outputs = PRIMITIVES[name].forward(arrays, attrs)
    return PRIMITIVES[name].vjp(tuple(np.ones(y.shape) for y in outputs), outputs, arrays, attrs)


def naive_conv(x: Any, w: Any, stride: int, padding: int, dilation: int, groups: int) -> Any:
    n, _, height, width = x.shape
    out, depth, rows, columns = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    count = [
        (size + 2 * padding - dilation * (k - 1) - 1) // stride + 1
        for size, k in ((height, rows), (width, columns))
    ]
    y = np.zeros((n, out, *count))
    for b, o, i, j in np.ndindex(y.shape):
        group = o // (out // groups)
        for c, p, q in np.ndindex(depth, rows, columns):
            value = padded[b, group * depth + c, i * stride + p * dilation, j * stride + q * dilation]
            y[b, o, i, j] += value * w[o, c, p, q]
    return y


@pytest.mark.parametrize("setting", [(1, 0, 1, 1), (2, 1, 1, 2), (1, 2, 2, 4), (3, 1, 2, 1)])
def test_convolution(setting: tuple[int, int, int, int]) -> None:
    stride, padding, dilation, groups = setting
    x, w = RNG.normal(size=(2, 4, 8, 7)), RNG.normal(size=(4, 4 // groups, 3, 2))
    y = run("conv2d", x, w, stride=stride, padding=padding, dilation=dilation, groups=groups)
    np.testing.assert_allclose(y, naive_conv(x, w, *setting), atol=1e-12)


def test_same_padding_puts_the_odd_zero_on_the_high_side() -> None:
    assert same_padding(8, 3, 2, 1) == (0, 1)
    assert same_padding(7, 3, 2, 1) == (1, 1)
    assert same_padding(8, 4, 1, 1) == (1, 2)
    assert run("conv2d_same", np.ones((1, 1, 7, 9)), np.ones((1, 1, 3, 3)), stride=2).shape == (
        1,
        1,
        4,
        5,
    )


def test_transposed_convolution_is_the_adjoint() -> None:
    x, w = RNG.normal(size=(1, 2, 9, 7)), RNG.normal(size=(3, 2, 3, 3))
    y = run("conv2d", x, w, stride=2, padding=1)
    g = RNG.normal(size=y.shape)
    back = run("conv2d_transpose", g, w, stride=2, padding=1)
    assert float((y * g).sum()) == pytest.approx(float((x * back).sum()))


@pytest.mark.parametrize("padding", [0, 1])
def test_pools_ignore_padding(padding: int) -> None:
    x = -1.0 - RNG.random((1, 2, 5, 6))
    largest = run("max_pool2d", x, size=3, stride=2, padding=padding)
    average = run("avg_pool2d", x, size=3, stride=2, padding=padding)
    for c, i, j in np.ndindex(largest.shape[1:]):
        rows, columns = (slice(max(2 * p - padding, 0), 2 * p - padding + 3) for p in (i, j))
        window = x[0, c, rows, columns]
        assert largest[0, c, i, j] == window.max()
        assert average[0, c, i, j] == pytest.approx(window.mean())


def test_patterns() -> None:
    x = RNG.normal(size=(2, 6, 3))
    y = run("rearrange", x, pattern="n (g c) t -> t g (c n)", sizes={"g": 3})
    expected = x.reshape(2, 3, 2, 3).transpose(3, 1, 2, 0).reshape(3, 3, 4)
    np.testing.assert_array_equal(y, expected)
    y = run("repeat", x, pattern="n c t -> n (c r) t", sizes={"r": 2})
    np.testing.assert_array_equal(y, np.repeat(x, 2, axis=1))
    y = run("repeat", x, pattern="n c t -> n (r c) t", sizes={"r": 2})
    np.testing.assert_array_equal(y, np.tile(x, (1, 2, 1)))


@pytest.mark.parametrize(
    "pattern",
    ["a b -> a b", "(a b) c d -> a b c d", "a b c -> a b", "a b c a b c", "(a a2) b 1 -> a b a2"],
)
def test_wrong_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|sizes"):
        plan(pattern, (4, 3, 2), {})


def test_gradients_at_kinks() -> None:
    assert gradient("abs", 0.0)[0] == 0.0
    assert [float(g) for g in gradient("maximum", 1.0, 1.0)] == [0.5, 0.5]
    np.testing.assert_array_equal(gradient("max", [2.0, 1.0, 2.0])[0], [0.5, 0.0, 0.5])
    ties = gradient("max_pool1d", np.zeros((1, 1, 4)), size=2)[0]
    np.testing.assert_array_equal(ties[0, 0], [1.0, 0.0, 1.0, 0.0])
    np.testing.assert_array_equal(gradient("cumprod", [2.0, 0.0, 4.0])[0], [1.0, 10.0, 0.0])
    np.testing.assert_array_equal(gradient("prod", [2.0, 0.0, 4.0])[0], [0.0, 8.0, 0.0])
    assert gradient("power", 0.0, 0.0)[0] == 0.0


def test_extreme_arguments() -> None:
    x = np.array([-800.0, 0.0, 800.0])
    np.testing.assert_array_equal(run("sigmoid", x), [0.0, 0.5, 1.0])
    np.testing.assert_allclose(run("softplus", x), [0.0, math.log(2.0), 800.0])


def test_indices_out_of_range_are_refused() -> None:
    for ids in (-1, 3):
        with pytest.raises(IndexError):
            run("take", np.zeros((3, 2)), ids)


def test_top_k_takes_the_lowest_index_of_equal_values() -> None:
    values, indices = PRIMITIVES["top_k"].forward((np.array([1.0, 3.0, 3.0, 2.0]),), {"k": 3})
    np.testing.assert_array_equal(values, [3.0, 3.0, 2.0])
    np.testing.assert_array_equal(indices, [1, 2, 3])


@pytest.mark.parametrize(
    ("name", "arguments", "std"),
    [
        ("normal", {"mean": 0.0, "std": 2.0}, 2.0),
        ("uniform", {"low": -1.0, "high": 1.0}, 3**-0.5),
        ("truncated_normal", {"mean": 0.0, "std": 1.0}, 0.8796),
        ("fan_in_uniform", {}, 300**-0.5 * 3**-0.5),
        ("he_normal", {}, (2 / 300) ** 0.5),
        ("he_uniform", {}, (2 / 300) ** 0.5),
        ("lecun_normal", {}, 300**-0.5),
        ("glorot_normal", {}, (2 / 500) ** 0.5),
        ("glorot_uniform", {}, (2 / 500) ** 0.5),
    ],
)
def test_distributions_have_their_spread(name: str, arguments: dict[str, float], std: float) -> None:
    values = draw(np.random.default_rng(1), name, arguments, (200, 300))
    assert values.std() == pytest.approx(std, rel=0.02)
    assert values.mean() == pytest.approx(0.0, abs=0.02 * std)


def test_orthogonal_and_integers() -> None:
    rng = np.random.default_rng(1)
    w = draw(rng, "orthogonal", {}, (6, 2, 2))
    np.testing.assert_allclose(w.reshape(6, 4).T @ w.reshape(6, 4), np.eye(4), atol=1e-12)
    drawn = draw(rng, "randint", {"low": 2, "high": 5}, (1000,))
    assert set(drawn.tolist()) == {2, 3, 4}
    assert draw(rng, "bernoulli", {"p": 0.25}, (4000,)).mean() == pytest.approx(0.25, abs=0.03)
