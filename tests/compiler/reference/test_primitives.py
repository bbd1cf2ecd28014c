"""Every primitive's gradient and noise scale, on all its samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.reference.primitive import Arrays, is_float
from dlc.reference.primitives import PRIMITIVES, Primitive

CASES = [
    pytest.param(primitive, inputs, attrs, id=f"{primitive.name}-{i}")
    for primitive in PRIMITIVES.values()
    for i, (inputs, attrs) in enumerate(primitive.samples(np.random.default_rng(7)))
]
STEP = 1e-5


def difference(
    primitive: Primitive, inputs: Arrays, attrs: dict[str, Any], cotangents: Arrays, k: int
) -> Any:
    """The gradient for input `k` by central differences of `sum(cotangent * output)`."""
    gradient = np.zeros(inputs[k].shape)
    for position in np.ndindex(gradient.shape):
        ends = []
        for step in (STEP, -STEP):
            moved = inputs[k].copy()
            moved[position] += step
            outputs = primitive.forward((*inputs[:k], moved, *inputs[k + 1 :]), attrs)
            ends.append(sum(float((c * y).sum()) for c, y in zip(cotangents, outputs, strict=True)))
        gradient[position] = (ends[0] - ends[1]) / (2 * STEP)
    return gradient


def cotangents_of(outputs: Arrays) -> Arrays:
    rng = np.random.default_rng(11)
    return tuple(rng.normal(size=y.shape) if is_float(y) else np.zeros(y.shape) for y in outputs)


@pytest.mark.parametrize(("primitive", "inputs", "attrs"), CASES)
def test_gradient_equals_central_difference(
    primitive: Primitive, inputs: Arrays, attrs: dict[str, Any]
) -> None:
    outputs = primitive.forward(inputs, attrs)
    cotangents = cotangents_of(outputs)
    gradients = primitive.vjp(cotangents, outputs, inputs, attrs)
    assert len(gradients) == len(inputs)
    for k, (gradient, x) in enumerate(zip(gradients, inputs, strict=True)):
        if not is_float(x):
            assert gradient is None
            continue
        if primitive.name == "stop_gradient":
            assert gradient is None
            continue
        expected = difference(primitive, inputs, attrs, cotangents, k) if is_float(outputs[0]) else 0.0
        if gradient is None:
            np.testing.assert_allclose(expected, 0.0, atol=1e-9)
        else:
            assert gradient.shape == x.shape
            np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(("primitive", "inputs", "attrs"), CASES)
def test_results_and_scales_have_the_right_form(
    primitive: Primitive, inputs: Arrays, attrs: dict[str, Any]
) -> None:
    outputs = primitive.forward(inputs, attrs)
    assert all(y.dtype in (np.float64, np.int64, np.bool_) for y in outputs)
    for y, scale in zip(outputs, primitive.noise(outputs, inputs, attrs), strict=True):
        assert np.shape(scale) in ((), y.shape)
        assert np.all(np.asarray(scale) >= 0.0)
    cotangents = cotangents_of(outputs)
    gradients = primitive.vjp(cotangents, outputs, inputs, attrs)
    scales = primitive.vjp_noise(gradients, cotangents, outputs, inputs, attrs)
    for gradient, scale in zip(gradients, scales, strict=True):
        assert np.all(np.asarray(scale) >= 0.0)
        if gradient is not None:
            assert np.shape(scale) in ((), gradient.shape)
