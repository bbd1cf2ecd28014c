"""Element-wise primitives, with NumPy broadcasting.

In: arrays whose shapes broadcast. Out: arrays of the broadcast shape. Gradients at kinks follow
PyTorch: `abs'(0) = 0`, and equal operands of `maximum` and `minimum` get half each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dlc.reference.primitive import (
    ADDS,
    CALLS,
    COPIES,
    EXACT,
    ROUNDS,
    Array,
    Case,
    Primitive,
    Rounding,
    Samples,
    constant_vjp,
    define,
    unbroadcast,
)

TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)
_erf = np.vectorize(math.erf, otypes=[np.float64])


def erf(x: Array) -> Array:
    """The error function, as accurate as the C library's."""
    return np.asarray(_erf(x)) if x.size else np.zeros(x.shape)


def sigmoid(x: Array) -> Array:
    """`1 / (1 + exp(-x))`, without overflow at either end."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def softplus(x: Array) -> Array:
    """`log(1 + exp(x))`, exact for every x (no threshold above which it is the identity)."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def log_(x: Array) -> Array:
    return np.asarray(np.log(x))


# ---------------------------------------------------------------- one operand

Shape = tuple[int, ...]
SHAPES: tuple[Shape, ...] = ((), (3,), (2, 1, 5))


def _unary(low: float, high: float) -> Samples:
    def samples(rng: np.random.Generator) -> Sequence[Case]:
        return [((rng.uniform(low, high, shape),), {}) for shape in SHAPES]

    return samples


def _bools(count: int) -> Samples:
    def samples(rng: np.random.Generator) -> Sequence[Case]:
        return [(tuple(rng.random((2, 3)) < 0.5 for _ in range(count)), {})]

    return samples


def _negative_vjp(g: Array, y: Array, x: Array) -> Array:
    return -g


def _function(
    name: str,
    forward: Callable[[Array], Array],
    derivative: Callable[[Array, Array], Array],
    low: float = -2.0,
    high: float = 2.0,
    rounding: Rounding = CALLS,
) -> Primitive:
    """`derivative(x, y)` is dy/dx."""
    return define(name, forward, lambda g, y, x: g * derivative(x, y), _unary(low, high), rounding)


UNARY = (
    _function("exp", np.exp, lambda x, y: y),
    _function("log", np.log, lambda x, y: 1.0 / x, 0.1, 3.0),
    _function("sqrt", np.sqrt, lambda x, y: 0.5 / y, 0.1, 3.0, ROUNDS),
    _function("rsqrt", lambda x: 1.0 / np.sqrt(x), lambda x, y: -0.5 * y / x, 0.1, 3.0),
    _function("sin", np.sin, lambda x, y: np.cos(x)),
    _function("cos", np.cos, lambda x, y: -np.sin(x)),
    _function("tanh", np.tanh, lambda x, y: 1.0 - y * y),
    _function("erf", erf, lambda x, y: TWO_OVER_SQRT_PI * np.exp(-x * x)),
    _function("sigmoid", sigmoid, lambda x, y: y * sigmoid(-x)),
    _function("softplus", softplus, lambda x, y: sigmoid(x), -3.0, 30.0),
    _function("log1p", np.log1p, lambda x, y: 1.0 / (1.0 + x), -0.5, 2.0),
    _function("expm1", np.expm1, lambda x, y: y + 1.0),
    _function("abs", np.abs, lambda x, y: np.sign(x), rounding=EXACT),
    define("negative", np.negative, _negative_vjp, _unary(-2.0, 2.0)),
    define("round", np.round, constant_vjp, _unary(-2.0, 2.0)),
    define("floor", np.floor, constant_vjp, _unary(-2.0, 2.0)),
    define("sign", np.sign, constant_vjp, _unary(-2.0, 2.0)),
    define("logical_not", np.logical_not, constant_vjp, _bools(1)),
    define("stop_gradient", lambda x: x, constant_vjp, _unary(-2.0, 2.0)),
)

# ---------------------------------------------------------------- two operands

PAIRS: tuple[tuple[Shape, Shape], ...] = (
    ((3,), (3,)),
    ((2, 3, 5), (5,)),
    ((2, 1, 3), (4, 1)),
    ((), (2, 3)),
    ((1, 3), ()),
)


def _binary(low: float = -2.0, high: float = 2.0) -> Samples:
    def samples(rng: np.random.Generator) -> Sequence[Case]:
        return [((rng.uniform(low, high, a), rng.uniform(low, high, b)), {}) for a, b in PAIRS]

    return samples


def _integers(rng: np.random.Generator) -> Sequence[Case]:
    return [((rng.integers(-3, 4, a), rng.integers(-3, 4, b)), {}) for a, b in PAIRS]


def _division(rng: np.random.Generator) -> Sequence[Case]:
    def divisor(shape: Shape) -> Array:
        return np.asarray(rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 2.0, shape))

    cases: list[Case] = [((rng.uniform(-2.0, 2.0, a), divisor(b)), {}) for a, b in PAIRS]
    return [*cases, ((np.array([-7, -1, 7]), np.array(2)), {})]


def _powers(rng: np.random.Generator) -> Sequence[Case]:
    return [
        *_binary(0.2, 2.0)(rng),
        ((rng.uniform(-2.0, 2.0, (2, 3)), np.array(3)), {}),
        ((rng.uniform(-2.0, 2.0, (2, 3)), np.array(0)), {}),
        ((rng.uniform(-2.0, 2.0, (2, 3)), np.array(-1)), {}),
    ]


def _partials(
    partial_a: Callable[[Array, Array, Array], Array | float],
    partial_b: Callable[[Array, Array, Array], Array | float],
) -> Callable[..., tuple[Array, Array]]:
    """A vjp from dy/da and dy/db, each a function of (y, a, b)."""

    def vjp(g: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
        return (
            unbroadcast(g * partial_a(y, a, b), a.shape),
            unbroadcast(g * partial_b(y, a, b), b.shape),
        )

    return vjp


def power(a: Array, b: Array) -> Array:
    """`a ** b`; an integer to a negative integer is a float."""
    if a.dtype.kind in "iu" and b.dtype.kind in "iu" and (b < 0).any():
        a = a.astype(np.float64)
    return np.asarray(np.power(a, b))


def _power_base(y: Array, a: Array, b: Array) -> Array:
    slope = b * np.power(a.astype(np.float64), np.asarray(b, np.float64) - 1.0)
    return np.where(b == 0, 0.0, slope)


def _power_exponent(y: Array, a: Array, b: Array) -> Array:
    return np.where((a == 0) & (b >= 0), 0.0, y * log_(a.astype(np.float64)))


def _share(wins: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    """1 where the operand is the result, a half where both are."""
    return lambda y, a, b: np.where(a == b, 0.5, wins(a, b).astype(np.float64))


COMPARISONS: Mapping[str, Callable[[Array, Array], Array]] = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
}

BINARY = (
    define("add", np.add, _partials(lambda y, a, b: 1.0, lambda y, a, b: 1.0), _binary(), ADDS),
    define(
        "subtract",
        np.subtract,
        _partials(lambda y, a, b: 1.0, lambda y, a, b: -1.0),
        _binary(),
        ADDS,
    ),
    define("multiply", np.multiply, _partials(lambda y, a, b: b, lambda y, a, b: a), _binary(), ROUNDS),
    define(
        "divide",
        np.true_divide,
        _partials(lambda y, a, b: 1.0 / b, lambda y, a, b: -y / b),
        _division,
        ROUNDS,
    ),
    define("floor_divide", np.floor_divide, constant_vjp, _division),
    define(
        "remainder",
        np.remainder,
        _partials(lambda y, a, b: 1.0, lambda y, a, b: -np.floor(a / b)),
        _division,
        ROUNDS,
    ),
    define("power", power, _partials(_power_base, _power_exponent), _powers, CALLS),
    define(
        "maximum",
        np.maximum,
        _partials(_share(np.greater), _share(np.less)),
        _binary(),
        COPIES,
    ),
    define(
        "minimum",
        np.minimum,
        _partials(_share(np.less), _share(np.greater)),
        _binary(),
        COPIES,
    ),
    *(define(name, compare, constant_vjp, _integers) for name, compare in COMPARISONS.items()),
    define("logical_and", np.logical_and, constant_vjp, _bools(2)),
    define("logical_or", np.logical_or, constant_vjp, _bools(2)),
)

# ---------------------------------------------------------------- selection


def _where_vjp(g: Array, y: Array, condition: Array, a: Array, b: Array) -> tuple[None, Array, Array]:
    kept, dropped = np.where(condition, g, 0.0), np.where(condition, 0.0, g)
    return None, unbroadcast(kept, a.shape), unbroadcast(dropped, b.shape)


def _where_samples(rng: np.random.Generator) -> Sequence[Case]:
    triples: tuple[tuple[Shape, Shape, Shape], ...] = (
        ((3,), (3,), (3,)),
        ((2, 1), (1, 3), ()),
        ((), (2,), (2,)),
        ((4, 1, 3), (3,), (4, 2, 1)),
    )
    return [((rng.random(c) < 0.5, rng.normal(size=a), rng.normal(size=b)), {}) for c, a, b in triples]


ELEMENTWISE = (*UNARY, *BINARY, define("where", np.where, _where_vjp, _where_samples, COPIES))
