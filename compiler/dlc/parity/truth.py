"""What one point should give: data, and the float64 evaluation of the definitions on it.

In: a program, a point and its settings. Out: a `Truth`: the data for the targets, the tensors to
compare with, the trace to find a first difference with, and, when asked, the predicted noise of a
float32 run. It is computed once and shared by all targets and dtypes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlc import ir
from dlc.parity.cases import ParitySettings, Point, program_label
from dlc.parity.compare import Kind
from dlc.parity.drawing import draw_cotangents, draw_inputs, standardise, weights_of
from dlc.parity.noise import RUNS, Noise, kinks, measure
from dlc.parity.worker import Array
from dlc.parity.worker import Draw as StandardDraw
from dlc.reference.interpreter import Gradients, Interpreter, Result, gradients
from dlc.reference.sampling import Draw, SampleSource

Key = tuple[Kind, str]
ATTEMPTS = 8
AUDIT_RUNS = 4


@dataclass(frozen=True)
class Data:
    """What every implementation is given."""

    inputs: Mapping[str, Array | None]
    weights: Mapping[str, Array]
    draws: Sequence[StandardDraw]
    replay: Sequence[Draw]
    cotangents: Sequence[Array | None]


@dataclass(frozen=True)
class Truth:
    """The reference on one point. `kinks` counts numbers so near a kink that float32 may take the
    other side, where gradients in float32 are not determined; `attempts` is how often inputs were
    drawn."""

    program: ir.Program
    point: Point
    data: Data
    result: Result
    gradients: Gradients
    tensors: Mapping[Key, Array]
    kinks: int = 0
    attempts: int = 1

    @cached_property
    def noise(self) -> Noise:
        """The spread of 16 runs with float32-sized errors."""
        return measure(self.evaluate, RUNS)

    def sigma(self, key: Key) -> Array:
        return self.noise.tensors[key]

    def evaluate(self, perturb: int | None) -> tuple[Result, Gradients, Mapping[Key, Array]]:
        return evaluate(self.program, self.point, self.data, perturb)

    @property
    def output_names(self) -> tuple[str, ...]:
        return name_outputs(self.result)


def name_outputs(result: Result) -> tuple[str, ...]:
    several = len(result.output_names) > 1
    return tuple(
        name or (f"output {n}" if several else "output") for n, name in enumerate(result.output_names)
    )


def evaluate(
    program: ir.Program, point: Point, data: Data, perturb: int | None = None
) -> tuple[Result, Gradients, Mapping[Key, Array]]:
    """One run of the reference: everything that is compared, by kind and name."""
    given = {name: array for name, array in data.inputs.items() if array is not None}
    result = Interpreter(program, perturb).run(
        given, data.weights, point.method, point.training, SampleSource(point.seed, data.replay)
    )
    cotangents = gradients(result, data.cotangents)
    tensors: dict[Key, Array] = {
        ("output", name): array for name, array in zip(name_outputs(result), result.outputs, strict=True)
    }
    for spec in program.weights:
        if spec.kind == "param":
            gradient = cotangents.weights.get(spec.path)
            zeros = np.zeros(spec.shape)
            tensors["gradient", spec.path] = zeros if gradient is None else gradient
        else:
            tensors["state", spec.path] = result.states.get(spec.path, data.weights[spec.path])
    for name, gradient in cotangents.inputs.items():
        tensors["input gradient", name] = gradient
    return result, cotangents, tensors


def finite(tensors: Mapping[Key, Array]) -> bool:
    return all(array.dtype.kind != "f" or bool(np.isfinite(array).all()) for array in tensors.values())


def make_data(
    program: ir.Program,
    point: Point,
    settings: ParitySettings,
    weights: Mapping[str, Array],
    attempt: int,
    full_rows: bool,
) -> Data:
    inputs = draw_inputs(program, point, settings.inputs, weights, attempt, full_rows)
    given = {name: array for name, array in inputs.items() if array is not None}
    source = SampleSource(point.seed + 1_000_003 * attempt)
    result = Interpreter(program).run(given, weights, point.method, point.training, source)
    pairs = [standardise(draw) for draw in source.draws]
    return Data(
        inputs=inputs,
        weights=weights,
        draws=[standard for standard, _ in pairs],
        replay=[replayed for _, replayed in pairs],
        cotangents=draw_cotangents(point, result.outputs, attempt),
    )


def find_truth(program: ir.Program, point: Point, settings: ParitySettings) -> Truth:
    """The reference on a point, with inputs drawn again while any number is too near a kink.

    Where that cannot be avoided (large networks have too many numbers), the draw with the fewest
    stays. Rows of a mask that are false throughout are given up where they make the reference
    infinite.
    """
    weights = weights_of(program, point.seed)
    audited = "float32" in settings.dtypes
    best: Truth | None = None
    full_rows = False
    for attempt in range(ATTEMPTS):
        data = make_data(program, point, settings, weights, attempt, full_rows)
        result, cotangents, tensors = evaluate(program, point, data)
        truth = Truth(program, point, data, result, cotangents, tensors, attempts=attempt + 1)
        if not finite(tensors):
            full_rows = True
            best = best or truth
            continue
        near = kinks(truth.evaluate, result, cotangents, AUDIT_RUNS) if audited else 0
        truth = Truth(program, point, data, result, cotangents, tensors, near, attempt + 1)
        if best is None or not finite(best.tensors) or near < best.kinks:
            best = truth
        if not near or near > 4 * ATTEMPTS:
            break
    assert best is not None, program_label(program)
    return best
