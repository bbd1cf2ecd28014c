"""What a primitive is: its float64 value, its gradient, its float32 error, and test cases.

In: plain functions over NumPy arrays, attributes as keywords. Out: `Primitive` values with one
calling convention, made by `define`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Attrs: TypeAlias = Mapping[str, Any]
Arrays: TypeAlias = tuple[Array, ...]
Gradients: TypeAlias = tuple[Array | None, ...]
Scales: TypeAlias = tuple[Array | float, ...]
Case: TypeAlias = tuple[Arrays, dict[str, Any]]
Forward: TypeAlias = Callable[[Arrays, Attrs], Arrays]
Backward: TypeAlias = Callable[[Arrays, Arrays, Arrays, Attrs], Gradients]
Samples: TypeAlias = Callable[[np.random.Generator], Sequence[Case]]

UNIT = 2.0**-24
"""Half the distance from 1.0 to the next float32: the unit of every noise scale."""

SUM, ARITHMETIC, FUNCTION = 0.3, 0.4, 1.0
"""Standard deviation of one float32 rounding error, in `UNIT`s of the scale of the result: for sums
of products (relative to the sum of absolute values), for `+ - * /` and `sqrt` (correctly rounded),
and for library functions such as `exp` (a few tenths to one unit in the last place)."""


@dataclass(frozen=True, slots=True)
class Primitive:
    """A function without a body in the standard library.

    `forward(inputs, attrs)` gives the outputs in float64, int64 or bool. `vjp(cotangents, outputs,
    inputs, attrs)` gives the cotangent of every input: None where the input is an integer or bool,
    or where the function is constant. Shapes are those of the inputs (un-broadcast).
    `noise(outputs, inputs, attrs)` gives the standard deviation of the float32 rounding error of
    each element of each output, in `UNIT`s. `vjp_noise(gradients, cotangents, outputs, inputs,
    attrs)` does so for what `vjp` returned. `samples(rng)` gives calls `(inputs, attrs)` with
    awkward sizes, away from kinks, for tests.
    """

    name: str
    forward: Forward
    vjp: Backward
    noise: Callable[[Arrays, Arrays, Attrs], Scales]
    vjp_noise: Callable[[Gradients, Arrays, Arrays, Arrays, Attrs], Scales]
    samples: Samples


@dataclass(frozen=True, slots=True)
class Rounding:
    """How a primitive rounds in float32: the factors of the scale, forward and backward.

    The scale is the absolute value of the result or, where `absolute`, the result of the same
    function on absolute values (`|A| @ |B|`), which is right for sums with cancellation. With
    `copies`, a gradient as large as the cotangent is a copy of it, and exact: only a repeated
    operand's gradient is a sum.
    """

    forward: float
    backward: float
    absolute_forward: bool = False
    absolute_backward: bool = False
    copies: bool = False
    averages: bool = False
    """The result is a mean of squares, all of one sign: a sum, though not of products of operands."""

    @property
    def sums_forward(self) -> bool:
        return self.absolute_forward or self.averages


EXACT = Rounding(0.0, 0.0)
"""Moves data: no rounding in either direction."""
SPREADS = Rounding(0.0, SUM, absolute_backward=True)
"""Moves data, but elements are used several times: the gradient is a sum."""
COPIES = Rounding(0.0, SUM, absolute_backward=True, copies=True)
"""Moves data; an operand that is broadcast gets a sum as its gradient."""
SUMS = Rounding(SUM, SUM, absolute_forward=True, absolute_backward=True)
"""Linear in each operand."""
ADDS = Rounding(ARITHMETIC, SUM, absolute_backward=True, copies=True)
ROUNDS = Rounding(ARITHMETIC, ARITHMETIC, absolute_backward=True)
CALLS = Rounding(FUNCTION, FUNCTION)


def is_float(array: Array) -> bool:
    return array.dtype.kind == "f"


def magnitudes(arrays: Arrays) -> Arrays:
    """`|array|` for floats; integers (indices) and bools as they are."""
    return tuple(np.abs(array) if is_float(array) else array for array in arrays)


def ones(arrays: Arrays) -> Arrays:
    """1 for every float; integers (indices) and bools as they are."""
    return tuple(np.ones(array.shape) if is_float(array) else array for array in arrays)


class Terms:
    """How many terms the sums in the results of a primitive have at most.

    That is what it makes of ones; and for means, which make 1 of them, how many elements of an operand
    there are for each of the result.
    """

    def __init__(self) -> None:
        self._known: dict[object, tuple[float, ...]] = {}

    def of(
        self, operands: Arrays, attrs: Attrs, evaluate: Callable[[Arrays], Gradients]
    ) -> tuple[float, ...]:
        """One number for each result of `evaluate`; they depend on the shapes and the indices."""
        numbers = tuple(None if is_float(array) else array.tobytes() for array in operands)
        key = (repr(sorted(attrs.items())), tuple(array.shape for array in operands), numbers)
        if key not in self._known:
            largest = max((array.size for array in operands if is_float(array)), default=0)
            self._known[key] = tuple(
                1.0 if y is None or y.size == 0 else max(float(np.max(np.abs(y))), largest / y.size)
                for y in evaluate(ones(operands))
            )
        return self._known[key]


def summed(total: Array, scale: Array, terms: float) -> Array:
    """The error of sums of up to `terms` terms in any order, in `UNIT`s. `scale`: that of sums in blocks.

    One after the other (as XLA does on a CPU) each partial sum is rounded. Where the terms have one sign,
    the partial sums grow evenly up to the total, and the squares of their roundings add up to
    `terms / 3` times that of the total's (Higham & Mary 2019, section 3).
    """
    if terms < 2.0:
        return scale
    return np.asarray(np.hypot(scale, ARITHMETIC * np.sqrt((terms - 1.0) / 3.0) * np.abs(total)))


def as_arrays(result: Array | Sequence[Array]) -> Arrays:
    if isinstance(result, (tuple, list)):
        return tuple(np.asarray(item) for item in result)
    return (np.asarray(result),)


def constant_vjp(*_: Any, **__: Any) -> None:
    """The gradient of a function that is constant, or whose result is an integer or bool."""
    return


def unbroadcast(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Sums a cotangent over the axes along which an operand of `shape` was repeated."""
    gradient = np.asarray(gradient)
    extra = gradient.ndim - len(shape)
    if extra:
        gradient = gradient.sum(axis=tuple(range(extra)))
    repeated = tuple(i for i, size in enumerate(shape) if size == 1 and gradient.shape[i] != 1)
    if repeated:
        gradient = gradient.sum(axis=repeated, keepdims=True)
    return gradient


def define(
    name: str,
    forward: Callable[..., Any],
    vjp: Callable[..., Any],
    samples: Samples,
    rounding: Rounding = EXACT,
) -> Primitive:
    """Makes a primitive from functions with attributes as keywords.

    `forward(*inputs, **attrs)` returns an array or a tuple of arrays; `vjp(cotangent, output,
    *inputs, **attrs)` returns the gradient of the only input, or a tuple with one per input, or
    None. Where `forward` returns a tuple, `vjp` gets tuples of cotangents and outputs.
    """

    def call(inputs: Arrays, attrs: Attrs) -> Arrays:
        with np.errstate(all="ignore"):
            return as_arrays(forward(*inputs, **attrs))

    def pull(cotangents: Arrays, outputs: Arrays, inputs: Arrays, attrs: Attrs) -> Gradients:
        several = len(outputs) > 1 or name in ("split", "top_k", "unstack")
        given, made = (cotangents, outputs) if several else (cotangents[0], outputs[0])
        with np.errstate(all="ignore"):
            result = vjp(given, made, *inputs, **attrs)
        if result is None:
            return (None,) * len(inputs)
        gradients = result if isinstance(result, tuple) else (result,)
        return tuple(
            np.asarray(gradient) if gradient is not None and is_float(x) else None
            for gradient, x in zip(gradients, inputs, strict=True)
        )

    return Primitive(
        name, call, pull, _forward_scales(call, rounding), _backward_scales(pull, rounding), samples
    )


def _forward_scales(call: Forward, rounding: Rounding) -> Callable[[Arrays, Arrays, Attrs], Scales]:
    count = Terms()

    def noise(outputs: Arrays, inputs: Arrays, attrs: Attrs) -> Scales:
        if rounding.forward == 0.0:
            return (0.0,) * len(outputs)
        if not rounding.sums_forward:
            return tuple(rounding.forward * np.abs(y) if is_float(y) else 0.0 for y in outputs)
        sizes = call(magnitudes(inputs), attrs) if rounding.absolute_forward else outputs
        terms = count.of(inputs, attrs, lambda given: call(given, attrs))
        return tuple(
            summed(y, rounding.forward * np.abs(size), n) if is_float(y) else 0.0
            for y, size, n in zip(outputs, sizes, terms, strict=True)
        )

    return noise


def _backward_scales(
    pull: Backward, rounding: Rounding
) -> Callable[[Gradients, Arrays, Arrays, Arrays, Attrs], Scales]:
    count = Terms()

    def vjp_noise(
        gradients: Gradients, cotangents: Arrays, outputs: Arrays, inputs: Arrays, attrs: Attrs
    ) -> Scales:
        if rounding.backward == 0.0:
            return (0.0,) * len(gradients)
        sizes, terms = gradients, (1.0,) * len(gradients)
        if rounding.absolute_backward:
            sizes = pull(magnitudes(cotangents), magnitudes(outputs), magnitudes(inputs), attrs)
            k = len(cotangents)
            terms = count.of(
                (*cotangents, *inputs), attrs, lambda given: pull(given[:k], ones(outputs), given[k:], attrs)
            )
        limit = sum(c.size for c in cotangents) if rounding.copies else np.inf
        return tuple(
            0.0
            if gradient is None or size is None or gradient.size >= limit
            else summed(gradient, rounding.backward * np.abs(size), n)
            for gradient, size, n in zip(gradients, sizes, terms, strict=True)
        )

    return vjp_noise
