"""The error that float32 arithmetic must cause, predicted from the float64 reference.

In: a function that evaluates the reference with perturbations of the size of float32 rounding
errors, drawn from a seed. Out: the standard deviation of each element of each tensor over several
seeds, and a count of the numbers so near a kink that float32 may decide otherwise than float64.

This is a probabilistic running error analysis: each primitive's result is moved by `2**-24 * c *
scale` times a standard normal, where `scale` is the same operation on absolute values for sums of
products, and the result itself elsewhere (see `dlc.reference.tape`). Higham & Mary (2019), SIAM J.
Sci. Comput. 41(5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dlc.reference.interpreter import Gradients, Result
from dlc.reference.tape import Entry

Array: TypeAlias = NDArray[Any]
Evaluate: TypeAlias = Callable[[int | None], tuple[Result, Gradients, Mapping[Any, Array]]]

RUNS = 16
MARGIN = 10.0
"""Standard deviations from a kink within which float32 may take the other side."""
TRIALS = 6
NEGLIGIBLE = 1e-9

BRANCHING = frozenset(
    [
        "abs",
        "sign",
        "round",
        "floor",
        "floor_divide",
        "remainder",
        "maximum",
        "minimum",
        "equal",
        "not_equal",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "max",
        "min",
        "argmax",
        "argmin",
        "sort",
        "top_k",
        "max_pool1d",
        "max_pool2d",
        "segment_max",
    ]
)
"""Primitives whose value or gradient jumps."""


@dataclass(frozen=True)
class Noise:
    """Standard deviations of the tensors that are compared, by kind and name."""

    tensors: Mapping[Any, Array]


class Spread:
    """Accumulates the root mean square of differences from a base."""

    def __init__(self, base: Array) -> None:
        self.base = base
        self.squares = np.zeros(base.shape)
        self.count = 0

    def add(self, array: Array) -> None:
        if self.base.dtype.kind == "f":
            with np.errstate(over="ignore", invalid="ignore"):
                self.squares += np.square(array - self.base)
        self.count += 1

    @property
    def sigma(self) -> Array:
        return np.asarray(np.sqrt(self.squares / max(self.count, 1)))


def measure(evaluate: Evaluate, runs: int = RUNS) -> Noise:
    """The spread of every compared tensor over `runs` perturbed evaluations."""
    _, _, base = evaluate(None)
    spreads = {key: Spread(array) for key, array in base.items()}
    for seed in range(runs):
        _, _, tensors = evaluate(seed)
        for key, spread in spreads.items():
            spread.add(tensors[key])
    return Noise({key: spread.sigma for key, spread in spreads.items()})


def slot_noise(evaluate: Evaluate, result: Result, slots: frozenset[int], runs: int) -> dict[int, Array]:
    """The spread of intermediate values, by slot."""
    spreads = {slot: Spread(result.tape.values[slot]) for slot in slots}
    for seed in range(runs):
        perturbed, _, _ = evaluate(1000 + seed)
        for slot, spread in spreads.items():
            spread.add(perturbed.tape.values[slot])
    return {slot: spread.sigma for slot, spread in spreads.items()}


# ---------------------------------------------------------------- kink audit


def kinks(evaluate: Evaluate, result: Result, cotangents: Gradients, runs: int) -> int:
    """How many operations' outcomes change within `MARGIN` standard deviations of their inputs.

    Float results count only where their gradient matters: the maximum that a stable softmax
    subtracts has none.
    """
    entries = [entry for entry in result.tape.entries if is_live(entry, result, cotangents)]
    slots = frozenset(slot for entry in entries for slot in entry.inputs)
    if not entries:
        return 0
    sigmas = slot_noise(evaluate, result, slots, runs)
    rng = np.random.default_rng(0)
    return sum(changes(entry, result, sigmas, rng) for entry in entries)


def is_live(entry: Entry, result: Result, cotangents: Gradients) -> bool:
    values = result.tape.values
    if entry.primitive.name not in BRANCHING:
        return False
    if all(values[slot].dtype.kind != "f" for slot in entry.inputs):
        return False
    if any(values[slot].dtype.kind != "f" for slot in entry.outputs):
        return True
    gradients = [cotangents.slots[slot] for slot in entry.outputs if slot in cotangents.slots]
    return any(np.max(np.abs(gradient), initial=0.0) > NEGLIGIBLE for gradient in gradients)


def outcome(entry: Entry, inputs: tuple[Array, ...], likes: tuple[Array, ...]) -> list[Array]:
    """What an operation decided: its integer and bool results, and which operands its gradient
    chose."""
    outputs = entry.primitive.forward(inputs, entry.attrs)
    decided = [output for output in outputs if output.dtype.kind != "f"]
    if entry.primitive.name in ("round", "floor", "floor_divide", "sign"):
        return list(outputs)
    if any(output.dtype.kind == "f" for output in outputs):
        chosen = entry.primitive.vjp(likes, outputs, inputs, entry.attrs)
        decided += [gradient for gradient in chosen if gradient is not None]
    return decided


def changes(entry: Entry, result: Result, sigmas: Mapping[int, Array], rng: np.random.Generator) -> int:
    """How many of an operation's decisions change in some trials at the margin's edge."""
    values = result.tape.values
    inputs = tuple(values[slot] for slot in entry.inputs)
    if not any(np.any(sigmas[slot] > 0) for slot in entry.inputs):
        return 0
    likes = tuple(rng.uniform(1.0, 2.0, values[slot].shape) for slot in entry.outputs)
    with np.errstate(all="ignore"):
        expected = outcome(entry, inputs, likes)
        changed = [np.zeros(array.shape, bool) for array in expected]
        for trial in range(TRIALS):
            moved = tuple(
                move(array, sigmas[slot], position, trial, rng)
                for position, (slot, array) in enumerate(zip(entry.inputs, inputs, strict=True))
            )
            for flags, new, old in zip(changed, outcome(entry, moved, likes), expected, strict=True):
                flags |= ~np.isclose(new, old, rtol=1e-6, atol=0.0)
    return int(sum(flags.sum() for flags in changed))


def move(array: Array, sigma: Array, position: int, trial: int, rng: np.random.Generator) -> Array:
    """Moves to the edge of the margin: operands towards and away from each other first, then at
    random."""
    if array.dtype.kind != "f":
        return array
    if trial < 2:
        signs: Array | float = (-1.0) ** (position + trial)
    else:
        signs = rng.choice([-1.0, 1.0], array.shape)
    return np.asarray(array + MARGIN * sigma * signs)


# ---------------------------------------------------------------- traces


def trace_noise(
    evaluate: Evaluate, result: Result, cotangents: Gradients, slots: frozenset[int], runs: int
) -> tuple[dict[int, Array], dict[int, Array]]:
    """The spread of intermediate values and of their cotangents, by slot."""
    values = result.tape.values
    forward = {slot: Spread(values[slot]) for slot in slots}
    backward = {slot: Spread(cotangents.slots.get(slot, np.zeros(values[slot].shape))) for slot in slots}
    for seed in range(runs):
        perturbed, gradients, _ = evaluate(2000 + seed)
        for slot in slots:
            forward[slot].add(perturbed.tape.values[slot])
            backward[slot].add(gradients.slots.get(slot, backward[slot].base))
    return (
        {slot: spread.sigma for slot, spread in forward.items()},
        {slot: spread.sigma for slot, spread in backward.items()},
    )
