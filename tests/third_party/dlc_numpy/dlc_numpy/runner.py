"""Runs a generated NumPy module on one case; gradients come from complex steps.

For an analytic function of real x, f(x + ih) = f(x) + i h f'(x) + O(h^2): with h = 1e-20 the imaginary part
is the derivative to the last bit, without the cancellation of finite differences (Squire & Trapp, 1998). It
takes one run for each number, which small networks can afford. NumPy orders complex numbers by their real
parts first, so that comparisons and maxima choose as they do for real numbers.
"""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import numpy as np

from dlc.parity.worker import Array, Case, Outcome, SampleQueue, serve

STEP = 1e-20


class Replay:
    """Stands for a `numpy.random.Generator`: gives the draws of the specification."""

    def __init__(self, samples: SampleQueue) -> None:
        samples.restart()
        self.samples = samples

    def binomial(self, count: int, p: float, size: tuple[int, ...]) -> Array:
        return self.samples.next("bernoulli", size)

    def standard_normal(self, size: tuple[int, ...], dtype: Any) -> Array:
        return self.samples.next("normal", size).astype(dtype)


class Run:
    """A case in one dtype: what the program reads, by name."""

    def __init__(self, case: Case, dtype: Any) -> None:
        self.case, self.dtype = case, dtype
        self.weights: dict[str, Array] = {}
        self.params = self.convert(case.module.load_weights(case.weights_path), "")
        self.floats = {
            name: array.astype(dtype)
            for name, array in case.inputs.items()
            if array is not None and array.dtype.kind == "f"
        }

    def convert(self, node: Any, path: str) -> Any:
        """A tree of weights in this dtype; its arrays go into `weights`, too."""
        match node:
            case SimpleNamespace():
                items = {name: self.convert(inner, f"{path}.{name}") for name, inner in vars(node).items()}
                return SimpleNamespace(**items)
            case list():
                return [self.convert(inner, f"{path}.{place}") for place, inner in enumerate(node)]
        return self.weights.setdefault(path.strip("."), node.astype(self.dtype))

    def outputs(self) -> list[Array]:
        case = self.case
        function = getattr(case.module, "apply" if case.method == "forward" else case.method)
        options = {"training": case.training, "rng": Replay(case.samples)}
        options = {name: options[name] for name in options.keys() & inspect.signature(function).parameters}
        result = function(self.params, *(case.inputs | self.floats).values(), **options)
        return list(result) if isinstance(result, tuple) else [result]

    def gradient(self, array: Array) -> Array:
        """The derivative by each number of one of the arrays that the program reads."""
        found = np.zeros(array.shape, self.case.dtype)
        for place in np.ndindex(array.shape):
            value = array[place]
            array[place] = value + 1j * STEP
            pairs = zip(self.outputs(), self.case.cotangents, strict=True)
            slopes = [np.vdot(weight, output.imag) for output, weight in pairs if weight is not None]
            found[place] = sum(slopes) / STEP
            array[place] = value
        return found


class NumpyRunner:
    name = "numpy"

    def describe(self) -> dict[str, Any]:
        return {"numpy": np.__version__, "devices": ["cpu"]}

    def run(self, case: Case) -> Outcome:
        outputs = Run(case, case.dtype).outputs()
        steps = Run(case, np.result_type(case.dtype, np.complex64))
        by_weight = {path: steps.gradient(array) for path, array in steps.weights.items()}
        by_input = {name: steps.gradient(array) for name, array in steps.floats.items()}
        return Outcome(outputs, by_weight, by_input, states={})


if __name__ == "__main__":
    serve(NumpyRunner)
