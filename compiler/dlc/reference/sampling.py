"""Random numbers with names: draws for `sample`, and weights for `param` and `state`.

In: a seed and a path. Out: float64 (or int, bool) arrays that depend on nothing else: every path
has its own Philox stream, so adding a layer does not change the draws of the others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from dlc import ir
from dlc.reference.primitive import Array

Shape: TypeAlias = tuple[int, ...]
Arguments: TypeAlias = Mapping[str, Any]


def generator(seed: int, path: str, occurrence: int = 0) -> np.random.Generator:
    """The stream of a path: Philox keyed by a hash of (seed, path, occurrence)."""
    text = f"{seed}\0{path}\0{occurrence}".encode()
    key = int.from_bytes(hashlib.sha256(text).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))


# ---------------------------------------------------------------- distributions


def _standard_truncated(rng: np.random.Generator, shape: Shape) -> Array:
    """A standard normal, drawn again wherever it is beyond two standard deviations."""
    values = np.asarray(rng.standard_normal(shape))
    while (outside := np.abs(values) > 2.0).any():
        values[outside] = rng.standard_normal(int(outside.sum()))
    return values


def fans(shape: Shape) -> tuple[int, int]:
    """(fan in, fan out) of a weight `[out, in, *kernel]`; a vector has its length for both."""
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def _orthogonal(rng: np.random.Generator, shape: Shape, gain: float) -> Array:
    """Orthonormal rows or columns of `[shape[0], rest]` (Saxe et al., 2013)."""
    rows = shape[0] if shape else 1
    columns = math.prod(shape[1:])
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.where(np.diag(r) < 0.0, -1.0, 1.0)
    return np.asarray(gain * (q if rows >= columns else q.T)).reshape(shape)


def _fan_in_uniform(rng: np.random.Generator, shape: Shape) -> Array:
    bound = 1.0 / math.sqrt(max(fans(shape)[0], 1))
    return rng.uniform(-bound, bound, shape)


def _glorot_uniform(rng: np.random.Generator, shape: Shape) -> Array:
    bound = math.sqrt(6.0 / sum(fans(shape)))
    return rng.uniform(-bound, bound, shape)


def _he_uniform(rng: np.random.Generator, shape: Shape) -> Array:
    bound = math.sqrt(6.0 / fans(shape)[0])
    return rng.uniform(-bound, bound, shape)


def _normal(variance: Callable[[int, int], float]) -> Callable[[np.random.Generator, Shape], Array]:
    return lambda rng, shape: math.sqrt(variance(*fans(shape))) * rng.standard_normal(shape)


@dataclass(frozen=True, slots=True)
class Family:
    """A distribution: its parameters in order with defaults (None: required), and its sampler."""

    parameters: Mapping[str, float | None]
    draw: Callable[..., Any]


FAMILIES: Mapping[str, Family] = {
    "zeros": Family({}, lambda rng, shape: np.zeros(shape)),
    "ones": Family({}, lambda rng, shape: np.ones(shape)),
    "constant": Family({"value": None}, lambda rng, shape, value: np.full(shape, float(value))),
    "normal": Family(
        {"mean": 0.0, "std": 1.0},
        lambda rng, shape, mean, std: mean + std * rng.standard_normal(shape),
    ),
    "truncated_normal": Family(
        {"mean": 0.0, "std": 1.0},
        lambda rng, shape, mean, std: mean + std * _standard_truncated(rng, shape),
    ),
    "uniform": Family({"low": 0.0, "high": 1.0}, lambda rng, shape, low, high: rng.uniform(low, high, shape)),
    "bernoulli": Family({"p": 0.5}, lambda rng, shape, p: rng.random(shape) < p),
    "randint": Family(
        {"low": None, "high": None},
        lambda rng, shape, low, high: rng.integers(int(low), int(high), shape),
    ),
    "exponential": Family({"rate": 1.0}, lambda rng, shape, rate: rng.standard_exponential(shape) / rate),
    "gumbel": Family({}, lambda rng, shape: -np.log(rng.standard_exponential(shape))),
    "fan_in_uniform": Family({}, _fan_in_uniform),
    "he_normal": Family({}, _normal(lambda fan_in, fan_out: 2.0 / fan_in)),
    "he_uniform": Family({}, _he_uniform),
    "lecun_normal": Family({}, _normal(lambda fan_in, fan_out: 1.0 / fan_in)),
    "glorot_normal": Family({}, _normal(lambda fan_in, fan_out: 2.0 / (fan_in + fan_out))),
    "glorot_uniform": Family({}, _glorot_uniform),
    "orthogonal": Family({"gain": 1.0}, _orthogonal),
}
"""Sources: he_normal, he_uniform (He et al., 2015), glorot (Glorot & Bengio, 2010), lecun_normal
(LeCun et al., 1998); fan_in_uniform is U(-1/sqrt(fan_in), 1/sqrt(fan_in)). `randint` excludes
`high`; `truncated_normal` is cut at two standard deviations, and not rescaled."""


def draw(rng: np.random.Generator, name: str, arguments: Arguments, shape: Shape) -> Array:
    """One array from a distribution of the language; unknown argument names count by order."""
    family = FAMILIES[name]
    if set(arguments) <= set(family.parameters):
        values = [arguments.get(key, default) for key, default in family.parameters.items()]
    else:
        values = [*arguments.values(), *list(family.parameters.values())[len(arguments) :]]
    if any(value is None for value in values):
        raise ValueError(f"{name} needs {', '.join(family.parameters)}")
    return np.asarray(family.draw(rng, shape, *values))


# ---------------------------------------------------------------- named draws


@dataclass(frozen=True, slots=True)
class Draw:
    """What one execution of one `sample` gave; `occurrence` counts executions of the same path from
    0."""

    path: str
    occurrence: int
    distribution: str
    arguments: Arguments
    array: Array


class SampleSource:
    """Draws for `sample` statements, recorded in execution order in `draws`.

    With `replay`, every draw is looked up by (path, occurrence) instead of drawn.
    """

    def __init__(self, seed: int = 0, replay: Iterable[Draw] | None = None) -> None:
        self.seed = seed
        self.draws: list[Draw] = []
        self._counts: dict[str, int] = {}
        self._replay = None if replay is None else {(d.path, d.occurrence): d.array for d in replay}

    def draw(self, path: str, distribution: str, arguments: Arguments, shape: Sequence[int]) -> Array:
        occurrence = self._counts.get(path, 0)
        self._counts[path] = occurrence + 1
        if self._replay is None:
            array = draw(generator(self.seed, path, occurrence), distribution, arguments, tuple(shape))
        else:
            array = self._replay[path, occurrence]
        if array.shape != tuple(shape):
            raise ValueError(f"sample {path!r} has shape {array.shape}, not {tuple(shape)}")
        self.draws.append(Draw(path, occurrence, distribution, dict(arguments), array))
        return array


# ---------------------------------------------------------------- weights


def initial_weights(program: ir.Program, seed: int) -> dict[str, Array]:
    """Every parameter and state of the program, drawn from its `init`, by path, in float64."""
    return {
        spec.path: draw(generator(seed, spec.path), spec.init, spec.init_args, spec.shape)
        for spec in program.weights
    }


def random_weights(program: ir.Program, seed: int) -> dict[str, Array]:
    """Random numbers in every tensor, by path, in float64: for comparing implementations.

    An initial value of all zeros or ones hides mistakes, so biases are nonzero here, scales vary
    around 1, and running variances are positive.
    """
    return {spec.path: _random_weight(spec, generator(seed, spec.path)) for spec in program.weights}


def _random_weight(spec: ir.WeightSpec, rng: np.random.Generator) -> Array:
    match spec.kind, spec.init:
        case "state", "ones":
            return np.asarray(rng.uniform(0.5, 1.5, spec.shape))
        case _, "ones":
            return np.asarray(1.0 + 0.2 * rng.standard_normal(spec.shape))
        case _, "constant":
            center = draw(rng, "constant", spec.init_args, spec.shape)
            return center + 0.1 * np.asarray(rng.standard_normal(spec.shape))
        case _ if len(spec.shape) >= 2:
            return np.asarray(rng.standard_normal(spec.shape)) / math.sqrt(max(math.prod(spec.shape[1:]), 1))
        case _:
            return 0.2 * np.asarray(rng.standard_normal(spec.shape))
