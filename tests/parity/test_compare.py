"""Edge cases of the comparison of one tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.parity.compare import ELEMENT_GATE, RMS_GATE, UNIT32, Comparison, compare, rms_limit

RNG = np.random.default_rng(0)
ONE = RNG.standard_normal((3, 4))
NOISE = np.full((3, 4), UNIT32)


def judge(found: Any, expected: Any, sigma: Any = NOISE, dtype: str = "float64") -> Comparison:
    return compare("output", "y", found, np.asarray(expected), np.asarray(sigma), dtype)


def test_equal_tensors() -> None:
    result = judge(ONE, ONE)
    assert result.ok
    assert (result.error, result.share, result.units) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("factor", "ok"), [(1 + 5e-11, True), (1 + 2e-10, False)])
def test_the_gate_of_float64(factor: float, ok: bool) -> None:
    assert judge(ONE * factor, ONE).ok is ok


def test_the_gate_is_relative_to_the_tensor() -> None:
    assert judge(ONE * 1e-30 * (1 + 5e-11), ONE * 1e-30, NOISE * 1e-30).ok
    assert not judge(ONE * 1e-30 * (1 + 2e-10), ONE * 1e-30, NOISE * 1e-30).ok


def test_zero_tensors_are_judged_by_the_terms_that_cancelled() -> None:
    """Contributions of size 1: float64 leaves about 1e-16, whatever the relative error of that
    is."""
    rounding = 1e-16 * ONE
    assert judge(rounding, -2e-17 * ONE).ok
    assert judge(rounding, np.zeros((3, 4))).ok
    assert not judge(1e-9 * ONE, np.zeros((3, 4))).ok
    assert not judge(rounding, np.zeros((3, 4)), NOISE * 1e-7).ok
    assert judge(rounding, np.zeros((3, 4))).zero


def test_zero_tensors_in_float32() -> None:
    zeros = np.zeros((3, 4))
    assert judge((5e-6 * ONE).astype(np.float32), zeros, dtype="float32").ok
    assert not judge((2e-5 * ONE).astype(np.float32), zeros, dtype="float32").ok


def test_what_cannot_be_rounded_must_be_exact() -> None:
    zeros = np.zeros((3, 4))
    assert judge(zeros, zeros, zeros).ok
    assert not judge(zeros + 1e-300, zeros, zeros).ok


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(bad: float) -> None:
    wrong = ONE.copy()
    wrong[1, 2] = bad
    assert judge(wrong, ONE).problem == f"is not finite: 1 {'NaN' if np.isnan(bad) else 'Inf'} of 12 numbers"
    assert "in the reference" in (judge(ONE, wrong).problem or "")
    assert not judge(wrong, wrong).ok


def test_structure() -> None:
    assert judge(None, ONE).problem == "is missing"
    assert judge(ONE.T, ONE).problem == "has shape [4, 3], not [3, 4]"
    assert judge(ONE[None], ONE).problem == "has shape [1, 3, 4], not [3, 4]"
    assert judge(ONE.astype(np.float32), ONE).problem == "is float32, not float64"
    assert judge(ONE, ONE, dtype="float32").problem == "is float64, not float32"
    assert judge(ONE > 0, ONE).problem == "is bool, not float64"


def test_integers_and_bools_are_exact() -> None:
    numbers = np.arange(6).reshape(2, 3)
    assert judge(numbers.astype(np.int32), numbers).ok
    assert judge(numbers.astype(float), numbers).problem == "is float64, not an integer"
    changed = numbers.copy()
    changed[1, 0] = 9
    text = judge(changed, numbers).problem
    assert text == "differs in 1 of 6 places, first at [1, 0]: 9, not 3"
    assert not judge(numbers > 2, numbers > 3).ok


def test_float32_is_judged_by_its_noise() -> None:
    for count in (1, 16, 10_000):
        expected = RNG.standard_normal(count)
        sigma = np.full(count, 1e-6)
        spread = np.where(np.arange(count) % 2, 1.0, -1.0)

        def at(times: float, expected=expected, sigma=sigma, spread=spread) -> Comparison:  # type: ignore[no-untyped-def]
            found = (expected + times * 1e-6 * spread).astype(np.float32)
            return judge(found, expected, sigma, "float32")

        assert at(1.0).ok
        assert at(4.0).ok
        assert at(0.9 * rms_limit(count)).ok
        assert not at(1.1 * rms_limit(count)).ok


def test_the_limit_of_the_mean_meets_the_limit_of_one_element() -> None:
    assert rms_limit(1) == ELEMENT_GATE
    assert rms_limit(16) == 12.0
    assert RMS_GATE < rms_limit(10**8) < 1.001 * RMS_GATE


def test_one_element_far_off_fails() -> None:
    expected = np.ones(10_000)
    found = expected.copy()
    found[7] += 1e-6 * 40
    sigma = np.full(10_000, 1e-6)
    result = judge(found.astype(np.float32), expected, sigma, "float32")
    assert result.rms is not None
    assert result.rms < 1
    assert not result.ok


def test_results_must_be_stored_in_float32() -> None:
    """A constant is rounded once although nothing computes it."""
    tenth = np.full(5, 0.1)
    assert judge(tenth.astype(np.float32), tenth, np.zeros(5), "float32").ok


def test_flushed_denormals_pass() -> None:
    tiny = np.full(5, 1e-39)
    assert judge(np.zeros(5, np.float32), tiny, np.zeros(5), "float32").ok


def test_empty_tensors() -> None:
    empty = np.zeros((0, 3))
    assert judge(empty, empty, empty).ok
    assert judge(empty.astype(np.float32), empty, empty, "float32").ok


def test_scalars() -> None:
    assert judge(np.float64(2.0) * np.ones(()), 2.0, 0.0).ok
    assert not judge(np.ones(()), 2.0, 0.0).ok
