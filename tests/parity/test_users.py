"""Which user of a value hands back a wrong gradient."""

from __future__ import annotations

import numpy as np

from dlc.parity.users import explain, users_of
from dlc.reference.primitives import PRIMITIVES
from dlc.reference.tape import Tape

RANDOM = np.random.default_rng(0)
A, B, C = RANDOM.standard_normal((3, 4, 5))


def test_a_missing_share_explains() -> None:
    assert explain(-B, [A, B, C]) == 1


def test_a_scaled_share_explains() -> None:
    assert explain(0.5 * C, [A, B, C]) == 2


def test_a_missing_share_comes_before_a_scaled_one() -> None:
    assert explain(-A, [A, 2.0 * A, B]) == 0


def test_two_equal_shares_explain_nothing() -> None:
    assert explain(-A, [A, A, B]) is None


def test_a_share_of_zero_explains_what_no_other_does() -> None:
    assert explain(C, [A, np.zeros_like(A), B]) == 1


def test_nothing_explains() -> None:
    assert explain(C, [A, B]) is None


def test_users_end_at_traced_values() -> None:
    tape = Tape()
    x = tape.add(A)
    (hidden,) = tape.apply(PRIMITIVES["exp"], (x,), {})
    (near,) = tape.apply(PRIMITIVES["tanh"], (hidden,), {})
    (other,) = tape.apply(PRIMITIVES["sin"], (x,), {})
    (far,) = tape.apply(PRIMITIVES["add"], (near, other), {})
    assert users_of(tape, x, {near, other, far}) == [near, other]


def test_gradients_stop_at_traced_values() -> None:
    tape = Tape()
    x = tape.add(A)
    (middle,) = tape.apply(PRIMITIVES["exp"], (x,), {})
    (y,) = tape.apply(PRIMITIVES["add"], (middle, x), {})
    found = tape.backward([(y, np.ones_like(A))], stop={middle})
    np.testing.assert_array_equal(found[x], np.ones_like(A))
    assert middle in found
