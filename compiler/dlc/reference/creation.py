"""Primitives that make tensors from compile-time values, and conversion between dtypes.

In: shapes, bounds and values as attributes. Out: float64, int64 or bool arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlc.reference.primitive import (
    SPREADS,
    Array,
    Arrays,
    Case,
    Samples,
    constant_vjp,
    define,
    unbroadcast,
)

DTYPES: Mapping[str, type[np.generic]] = {
    **dict.fromkeys(("float", "wide", "f64", "f32", "bf16", "f16"), np.float64),
    "int": np.int64,
    "bool": np.bool_,
}
"""What a dtype of the language is here: every float is computed in float64."""


def arange(*, start: int, stop: int | None = None, step: int = 1) -> Array:
    low, high = (0, start) if stop is None else (start, stop)
    return np.arange(low, high, step, dtype=np.int64)


def linspace(*, start: float, stop: float, count: int) -> Array:
    return np.linspace(start, stop, count, dtype=np.float64)


def full(*given: Array, shape: Sequence[int], value: Any = None, dtype: str | None = None) -> Array:
    """`value`, an attribute or a scalar operand, repeated over `shape`."""
    scalar = given[0] if given else np.asarray(value)
    return np.full(tuple(shape), scalar, DTYPES[dtype] if dtype else scalar.dtype)


def full_vjp(g: Array, y: Array, *given: Array, **_: Any) -> Arrays:
    return tuple(unbroadcast(g, scalar.shape) for scalar in given)


def cast(x: Array, *, dtype: str) -> Array:
    return x.astype(DTYPES[dtype])


def cast_vjp(g: Array, y: Array, x: Array, *, dtype: str) -> Array | None:
    return g if y.dtype.kind == "f" else None


def _literal(*attrs: dict[str, Any]) -> Samples:
    return lambda rng: [((), each) for each in attrs]


def _like(rng: np.random.Generator) -> Sequence[Case]:
    return [((rng.normal(size=(2, 3)),), {}), ((rng.integers(0, 9, 4),), {})]


def _casts(rng: np.random.Generator) -> Sequence[Case]:
    x = rng.normal(size=(2, 3)) * 3.0
    names = ("float", "wide", "int", "bool")
    return [((value,), {"dtype": name}) for value in (x, x > 0.0, x.astype(np.int64)) for name in names]


def _no_inputs_vjp(g: Array, y: Array, **_: Any) -> Arrays:
    return ()


CREATION = (
    define(
        "arange",
        arange,
        _no_inputs_vjp,
        _literal(
            {"start": 0, "stop": 5, "step": 1},
            {"start": 7, "stop": 0, "step": -3},
            {"start": 3, "stop": None},
        ),
    ),
    define("linspace", linspace, _no_inputs_vjp, _literal({"start": 1e-4, "stop": 0.02, "count": 7})),
    define(
        "full",
        full,
        full_vjp,
        lambda rng: [
            ((), {"shape": (2, 3), "value": True, "dtype": "bool"}),
            ((), {"shape": (), "value": 2, "dtype": "float"}),
            ((rng.normal(size=()),), {"shape": (2,)}),
        ],
        SPREADS,
    ),
    define("zeros_like", np.zeros_like, constant_vjp, _like),
    define("ones_like", np.ones_like, constant_vjp, _like),
    define("cast", cast, cast_vjp, _casts),
)
