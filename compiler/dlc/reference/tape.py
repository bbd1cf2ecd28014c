"""Reverse-mode differentiation on a flat tape, with optional float32-sized noise.

In: primitives applied to values that are known by slot number. Out: the arrays, and for cotangents
of some slots the cotangents of all slots that they depend on. Nothing recurses over values.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlc.reference.primitive import ARITHMETIC, SUM, UNIT, Array, Arrays, Attrs, is_float
from dlc.reference.primitives import Primitive


@dataclass(frozen=True, slots=True)
class Entry:
    """One application: `inputs` and `outputs` are slots."""

    primitive: Primitive
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attrs: Attrs
    constant: bool = False
    """Computed before the run: nothing flows back through it."""


@dataclass(slots=True)
class Tape:
    """All values of one run, in order.

    With `noise`, every float result is perturbed by `UNIT * scale * N(0, 1)`, forward and backward:
    the probabilistic running error analysis of a float32 run.
    """

    noise: np.random.Generator | None = None
    values: list[Array] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    exact: dict[int, Array] = field(default_factory=dict)
    """With `noise`, what constants were before they were stored: other constants are made of that."""

    def add(self, array: Array) -> int:
        """A value that nothing computed: an input, a weight, a draw, a number."""
        self.values.append(array)
        return len(self.values) - 1

    def apply(
        self,
        primitive: Primitive,
        inputs: tuple[int, ...],
        attrs: Mapping[str, Any],
        constant: bool = False,
    ) -> tuple[int, ...]:
        """`constant`: computed in float64 and then stored, so the only error is that of storing."""
        known = self.exact if constant else {}
        arrays = tuple(known.get(slot, self.values[slot]) for slot in inputs)
        outputs = made = primitive.forward(arrays, attrs)
        if self.noise is not None:
            scales = (
                tuple(SUM * np.abs(y) if is_float(y) else 0.0 for y in outputs)
                if constant
                else primitive.noise(outputs, arrays, attrs)
            )
            outputs = tuple(self._perturb(y, scale) for y, scale in zip(outputs, scales, strict=True))
        slots = tuple(self.add(y) for y in outputs)
        if constant and self.noise is not None:
            self.exact.update(zip(slots, made, strict=True))
        self.entries.append(Entry(primitive, inputs, slots, attrs, constant))
        return slots

    def _perturb(self, array: Array, scale: Array | float) -> Array:
        if self.noise is None or not is_float(array) or (isinstance(scale, float) and scale == 0.0):
            return array
        return np.asarray(array + UNIT * scale * self.noise.standard_normal(array.shape))

    def backward(self, seeds: Iterable[tuple[int, Array]], stop: Container[int] = ()) -> dict[int, Array]:
        """Cotangents by slot, from the cotangents of some slots (which add up where one is
        repeated). They do not go back through the slots of `stop`."""
        cotangents: dict[int, Array] = {}
        for slot, seed in seeds:
            self._accumulate(cotangents, slot, np.asarray(seed, np.float64))
        for entry in reversed(self.entries):
            if entry.constant or not any(slot in cotangents and slot not in stop for slot in entry.outputs):
                continue
            for slot, gradient in zip(entry.inputs, self._pull(entry, cotangents), strict=True):
                if gradient is not None:
                    self._accumulate(cotangents, slot, gradient)
        return cotangents

    def _pull(self, entry: Entry, cotangents: Mapping[int, Array]) -> tuple[Array | None, ...]:
        inputs: Arrays = tuple(self.values[slot] for slot in entry.inputs)
        outputs: Arrays = tuple(self.values[slot] for slot in entry.outputs)
        given = tuple(
            cotangents[slot] if slot in cotangents else np.zeros(self.values[slot].shape)
            for slot in entry.outputs
        )
        gradients = entry.primitive.vjp(given, outputs, inputs, entry.attrs)
        if self.noise is None:
            return gradients
        scales = entry.primitive.vjp_noise(gradients, given, outputs, inputs, entry.attrs)
        return tuple(
            None if gradient is None else self._perturb(gradient, scale)
            for gradient, scale in zip(gradients, scales, strict=True)
        )

    def _accumulate(self, cotangents: dict[int, Array], slot: int, gradient: Array) -> None:
        if slot not in cotangents:
            cotangents[slot] = gradient
            return
        total = cotangents[slot] + gradient
        cotangents[slot] = self._perturb(total, ARITHMETIC * np.abs(total))
