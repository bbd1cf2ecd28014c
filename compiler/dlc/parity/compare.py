"""How near is near enough: one tensor of a target against the float64 reference.

In: an array of the target, the reference's, and the predicted noise of a float32 run. Out:
`Comparison` values that say how far apart they are and what share of the limit that is.

float64 proves meaning: `max|a - b| <= 1e-10 * max|b|`. A correct float64 program leaves 1e-15 to
1e-13, and an epsilon of 1.1e-5 instead of 1e-5 gives 1e-7, so there are decades of room on both
sides.

float32 measures accuracy against the noise that rounding must cause: `max |error_i| / max(sigma_i,
RMS(sigma)) <= 30` for one element, and for the root mean square of n elements `RMS(error) /
RMS(sigma) <= 6 (1 + 4 / sqrt(n))`: 30 for a tensor of one element, where both figures are the same, 12
for 16, 6 for many. (The mean over few elements scatters more than over many; one error that all of
them share, as in the bias of a norm behind attention, was measured at 6.7 with 16 elements.) Measured
on correct programs of three frameworks: 1.07 to 3.14 and 4.7 to 12.2. A result must at least be stored
in float32, so sigma_i is no less than 0.4 units in the last place of the result.

Where a tensor is zero in exact arithmetic (the gradient of a bias in front of BatchNorm, or of the
key bias of softmax attention), both sides hold nothing but what rounding left of terms that
cancelled, and an error relative to it means nothing. Such a tensor shows: the reference is within 30
standard deviations of zero, taking the float32 noise scaled to float64 by 2**-29. Its errors are
relative to the size of the terms, which is the noise in units of 2**-24. The limits are 1e-10 in
float64 and 1e-5 in float32, the goals for gradients that are not zero. (Counting noise would not do:
fused attention takes the row sums of the softmax's gradient from other products than the definition,
so its errors in a row are equal, and 12 times the noise of independent ones were measured.)

Where a tensor is not zero but cancels strongly, its float64 rounding errors can exceed 1e-10 of it:
the limit is never below 30 standard deviations of the noise scaled to float64. Where no term can be
rounded (a parameter that nothing uses) the noise is zero, and so is the limit.

The two float32 figures follow the probabilistic rounding error analysis of Higham & Mary (2019), "A
new approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41(5); that a tolerance
must scale with the error of an unavoidable computation is the practice of PyTorch's `same()` with a
float64 reference (torch/_dynamo/utils.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dlc.parity.tolerance import Tolerance

Array: TypeAlias = NDArray[Any]
Kind: TypeAlias = Literal["output", "gradient", "input gradient", "state", "weight"]

SEMANTIC_GATE = 1e-10
RMS_GATE = 6.0
ELEMENT_GATE = 30.0
UNIT32 = 2.0**-24
UNIT64 = 2.0**-53
ZERO_GATES = {"float64": SEMANTIC_GATE, "float32": 1e-5}
STORED = 0.4 * UNIT32
TINY32 = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One tensor of one run of one target."""

    kind: Kind
    name: str
    dtype: str
    error: float = 0.0
    """`max|a - b| / max|b|`; with `zero`, relative to the size of the terms that cancelled."""
    share: float = 0.0
    """The error as a share of its limit: above 1 is a failure."""
    rms: float | None = None
    """float32: `RMS(error) / RMS(sigma)`."""
    element: float | None = None
    """float32: the worst `|error_i| / max(sigma_i, RMS(sigma))`."""
    units: float | None = None
    """The largest error in units in the last place of the tensor's largest element."""
    zero: bool = False
    """The tensor is zero in exact arithmetic."""
    problem: str | None = None
    """Why the tensors cannot be compared at all, in words."""

    @property
    def ok(self) -> bool:
        return self.problem is None and self.share <= 1.0


def root_mean_square(array: Array) -> float:
    """Without overflow or underflow of the squares."""
    largest = float(np.max(np.abs(array), initial=0.0))
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(np.mean(np.square(array / largest))))


def compare(
    kind: Kind,
    name: str,
    found: Array | None,
    expected: Array,
    sigma: Array,
    dtype: str,
    tolerance: Tolerance | None = None,
) -> Comparison:
    """Judges `found` against `expected`. `sigma`: the float32 noise of each element, zeros if
    none."""
    problem = structural_problem(found, expected, dtype)
    if problem is not None or found is None:
        return Comparison(kind, name, dtype, share=np.inf, error=np.inf, problem=problem)
    if expected.dtype.kind != "f":
        return _exact(kind, name, found, expected, dtype)
    difference = found.astype(np.float64) - expected
    largest = float(np.max(np.abs(expected), initial=0.0))
    worst = float(np.max(np.abs(difference), initial=0.0))
    unit = np.finfo(np.float32 if dtype == "float32" else np.float64).eps
    noise = root_mean_square(sigma)
    asked = 0.0
    if tolerance is not None and worst > 0:
        limit = tolerance.atol + tolerance.rtol * largest
        asked = worst / limit if limit > 0 else np.inf
    rounding = ELEMENT_GATE * noise * (UNIT64 / UNIT32)
    if 0.0 < largest <= rounding or (largest == 0.0 and noise > 0.0):
        error = worst * UNIT32 / noise
        share = max(asked, error / ZERO_GATES[dtype])
        return Comparison(kind, name, dtype, error, share, zero=True)
    error = worst / largest if largest > 0 else (np.inf if worst > 0 else 0.0)
    units = worst / (largest * float(unit)) if largest > 0 else None
    if dtype == "float64":
        floor = max(largest, rounding / SEMANTIC_GATE)
        error = worst / floor if floor > 0 else error
        share = max(asked, error / SEMANTIC_GATE)
        return Comparison(kind, name, dtype, error, share, units=units)
    rms, element = noise_ratios(difference, expected, sigma)
    share = max(asked, rms / rms_limit(difference.size), element / ELEMENT_GATE)
    return Comparison(kind, name, dtype, error, share, rms, element, units)


def rms_limit(count: int) -> float:
    """The limit of the root mean square over `count` elements, see the module's text."""
    return RMS_GATE + (ELEMENT_GATE - RMS_GATE) / float(np.sqrt(max(count, 1)))


def noise_ratios(difference: Array, expected: Array, sigma: Array) -> tuple[float, float]:
    """`RMS(error) / RMS(sigma)` and the worst element, see the module's text."""
    if difference.size == 0:
        return 0.0, 0.0
    floored = np.maximum(np.maximum(sigma, STORED * np.abs(expected)), TINY32 * UNIT32)
    typical = root_mean_square(floored)
    error = np.where(np.abs(difference) <= TINY32, 0.0, difference)
    rms = root_mean_square(error) / typical
    element = float(np.max(np.abs(error) / np.maximum(floored, typical)))
    return rms, element


def structural_problem(found: Array | None, expected: Array, dtype: str) -> str | None:
    """Why two tensors cannot be compared: absent, of another shape or dtype, or not finite."""
    if found is None:
        return "is missing"
    if found.shape != expected.shape:
        return f"has shape {list(found.shape)}, not {list(expected.shape)}"
    wanted = {"f": "f", "b": "b", "i": "iu", "u": "iu"}[expected.dtype.kind]
    if found.dtype.kind not in wanted:
        return f"is {found.dtype}, not {plain_dtype(expected, dtype)}"
    if expected.dtype.kind != "f":
        return None
    if found.dtype.name != dtype:
        return f"is {found.dtype}, not {dtype}"
    if not np.isfinite(expected).all():
        return f"is not finite in the reference: {_count_bad(expected)}"
    if not np.isfinite(found).all():
        return f"is not finite: {_count_bad(found)}"
    return None


def plain_dtype(array: Array, dtype: str) -> str:
    return {"f": dtype, "b": "bool", "i": "an integer", "u": "an integer"}[array.dtype.kind]


def _count_bad(array: Array) -> str:
    nan, infinite = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    parts = [f"{count} {word}" for count, word in ((nan, "NaN"), (infinite, "Inf")) if count]
    return f"{' and '.join(parts)} of {array.size} numbers"


def _exact(kind: Kind, name: str, found: Array, expected: Array, dtype: str) -> Comparison:
    different = int(np.count_nonzero(found != expected))
    if not different:
        return Comparison(kind, name, dtype)
    place = tuple(int(i) for i in np.argwhere(found != expected)[0])
    text = (
        f"differs in {different} of {found.size} places, first at {list(place)}: "
        f"{found[place]}, not {expected[place]}"
    )
    return Comparison(kind, name, dtype, error=np.inf, share=np.inf, problem=text)
