"""The predicted rounding noise is that of float32 sums made in the worst order that is in use."""

from __future__ import annotations

import numpy as np
import pytest

from dlc.reference.primitive import UNIT, Array
from dlc.reference.primitives import PRIMITIVES

TRIALS = 60


def one_after_the_other(terms: Array) -> float:
    """A float32 sum as a plain loop makes it."""
    return float(np.cumsum(terms.astype(np.float32), dtype=np.float32)[-1])


def relative_errors(name: str, count: int, low: float) -> Array:
    """Errors of plain float32 loops over numbers from `low` to `low + 1`, in units of the prediction."""
    rng = np.random.default_rng(count)
    primitive = PRIMITIVES[name]
    errors = []
    for _ in range(TRIALS):
        x = rng.uniform(low, low + 1.0, count).astype(np.float32).astype(np.float64)
        inputs = (x, np.ones(count)) if name == "matmul" else (x,)
        outputs = primitive.forward(inputs, {})
        (sigma,) = primitive.noise(outputs, inputs, {})
        total = one_after_the_other((x - x.mean()) ** 2 if name == "variance" else x)
        found = np.float32(total) / np.float32(count) if name in ("mean", "variance") else total
        errors.append((float(found) - float(outputs[0])) / (UNIT * float(sigma)))
    return np.asarray(errors)


@pytest.mark.parametrize("low", [0.0, -0.5], ids=["one sign", "both signs"])
@pytest.mark.parametrize("count", [13, 300, 4000])
@pytest.mark.parametrize("name", ["sum", "mean", "variance", "matmul"])
def test_a_plain_loop_makes_the_predicted_error(name: str, count: int, low: float) -> None:
    errors = relative_errors(name, count, low)
    assert 0.5 < np.sqrt(np.mean(np.square(errors))) < 2.0
    assert np.max(np.abs(errors)) < 6.0


def test_gradients_are_sums_too() -> None:
    """The gradient of a bias that is added to every row."""
    count = 4000
    add = PRIMITIVES["add"]
    x, bias = np.zeros((count, 2)), np.zeros(2)
    cotangent = np.random.default_rng(0).random((count, 2)).astype(np.float32).astype(np.float64)
    gradients = add.vjp((cotangent,), (x,), (x, bias), {})
    _, sigma = add.vjp_noise(gradients, (cotangent,), (x,), (x, bias), {})
    assert gradients[1] is not None
    errors = [one_after_the_other(cotangent[:, k]) - gradients[1][k] for k in range(2)]
    assert np.all(np.abs(errors) < 4 * UNIT * np.asarray(sigma))
    blocked = 0.3 * UNIT * np.abs(cotangent).sum(axis=0)
    assert np.all(UNIT * np.asarray(sigma) > 10 * blocked)
