"""A tiny framework: values on the reference's tape, rounded to the dtype of the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dlc.parity.worker import SampleQueue
from dlc.reference.primitives import PRIMITIVES
from dlc.reference.tape import Tape


@dataclass(frozen=True)
class Value:
    """A number on the tape."""

    slot: int

    @property
    def array(self) -> Any:
        return state.tape.values[self.slot]

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.array.shape
        return shape

    @property
    def dtype(self) -> Any:
        return self.array.dtype


class State:
    """What the run that is going on uses."""

    tape = Tape()
    samples = SampleQueue([])
    dtype = "float64"


state = State()


def rounded(array: Any) -> Any:
    array = np.asarray(array)
    return array.astype(state.dtype).astype(np.float64) if array.dtype.kind == "f" else array


def value(array: Any) -> Value:
    return Value(state.tape.add(rounded(array)))


def apply(op: str, *inputs: Any, **attrs: Any) -> Value:
    slots = tuple((x if isinstance(x, Value) else value(x)).slot for x in inputs)
    (slot,) = state.tape.apply(PRIMITIVES[op], slots, attrs)
    state.tape.values[slot] = rounded(state.tape.values[slot])
    return Value(slot)


def bernoulli(p: float, shape: tuple[int, ...]) -> Value:
    return value(state.samples.next("bernoulli", shape))
