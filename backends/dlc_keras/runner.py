"""Runs generated Keras code: one case in, outputs, gradients, states and traced values out.

Started as `python -m dlc_keras.runner`, with Keras' backend named by `KERAS_BACKEND` (TensorFlow where it
is not set). Everything here is in the specification's layout; the model's own tensors are converted by
the axes that its `named_weights` gives.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from dlc.parity.failure import SampleMismatch
from dlc.parity.worker import Array, Case, Compiled, Outcome, SampleQueue, serve
from dlc_keras.names import method_name

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

Tensor: TypeAlias = Any
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


# ---------------------------------------------------------------- random draws


def _orders(rank: int, images: bool) -> list[tuple[int, ...]]:
    """The orders in which the axes of a draw may be stored, the likelier first.

    Where channels, height and width are equal, the shape does not tell the order: in a file with
    convolutions it is taken to be channels last.
    """
    plain, last = tuple(range(rank)), {3: (0, 2, 1), 4: (0, 2, 3, 1)}.get(rank)
    if last is None:
        return [plain]
    return [last, plain] if images and rank == 4 else [plain, last]


def take_sample(
    samples: SampleQueue, kinds: Sequence[str], shape: Sequence[int], images: bool
) -> tuple[str, Tensor]:
    """The next draw, as it is stored in the model, and its kind: one of `kinds`."""
    wanted = tuple(int(size) for size in shape)
    mismatch: SampleMismatch | None = None
    for kind in kinds:
        for order in _orders(len(wanted), images):
            specified = tuple(wanted[order.index(axis)] for axis in range(len(order)))
            try:
                return kind, stored(samples.next(kind, specified), order)
            except SampleMismatch as error:
                mismatch = mismatch or error
    assert mismatch is not None
    raise mismatch


def stored(value: Tensor, order: Sequence[int]) -> Tensor:
    """A draw with its axes in another order."""
    return keras.ops.transpose(keras.ops.convert_to_tensor(value), order)


@contextmanager
def injected(samples: SampleQueue, images: bool) -> Iterator[None]:
    """`keras.random` draws from the queue. A bernoulli mask answers `uniform(shape) < p`."""

    def standard(kind: str, shape: Sequence[int], dtype: str | None) -> Tensor:
        value = take_sample(samples, [kind], shape, images)[1]
        return keras.ops.cast(value, dtype or keras.config.floatx())

    def normal(
        shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
    ) -> Tensor:
        return standard("normal", shape, dtype) * stddev + mean

    def uniform(
        shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
    ) -> Tensor:
        kind, value = take_sample(samples, ["uniform", "bernoulli"], shape, images)
        if kind == "bernoulli":
            value = keras.ops.logical_not(value)
        draw = keras.ops.cast(value, dtype or keras.config.floatx())
        return draw if kind == "bernoulli" else draw * (maxval - minval) + minval

    def randint(
        shape: Sequence[int], minval: int, maxval: int, dtype: Any = "int32", seed: Any = None
    ) -> Tensor:
        return standard("randint", shape, dtype)

    def dropout(inputs: Tensor, rate: float, noise_shape: Any = None, seed: Any = None) -> Tensor:
        if rate == 0.0:
            return inputs
        keep = take_sample(samples, ["bernoulli"], noise_shape or inputs.shape, images)[1]
        return keras.ops.where(keep, inputs / (1.0 - rate), 0.0)

    patches = {"normal": normal, "uniform": uniform, "randint": randint, "dropout": dropout}
    originals = {name: getattr(keras.random, name) for name in patches}
    for name, patch in patches.items():
        setattr(keras.random, name, patch)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(keras.random, name, original)


# ---------------------------------------------------------------- a prepared case


@dataclass(frozen=True)
class Prepared:
    """A built model with its weights, and the arguments of the method to run."""

    case: Case
    model: Any
    weights: Mapping[str, tuple[Any, tuple[int, ...]]]
    """Each variable by path, with the axes that bring the specification's layout into Keras'."""
    inputs: Mapping[str, Tensor]

    @property
    def trained(self) -> list[str]:
        return [path for path, (variable, _) in self.weights.items() if variable.trainable]

    @property
    def states(self) -> list[str]:
        return [path for path, (variable, _) in self.weights.items() if not variable.trainable]

    @property
    def floats(self) -> list[str]:
        return [name for name, value in self.inputs.items() if is_float(value)]

    def variables(self, paths: Sequence[str]) -> list[Any]:
        return [self.weights[path][0] for path in paths]

    def call(self, inputs: Mapping[str, Tensor], samples: SampleQueue) -> list[Tensor]:
        """Runs the method; its results in order."""
        samples.restart()
        name = self.case.method
        method = self.model if name == "forward" else getattr(self.model, method_name(name))
        given = {one: inputs.get(one) for one in self.case.inputs}
        positional = list(given.values())
        while positional and positional[-1] is None:
            positional.pop()
        mode = {"training": self.case.training} if _takes_training(self.model, name) else {}
        with injected(samples, has_images(self.case)):
            result = method(*positional, **mode)
        return list(result) if isinstance(result, (tuple, list)) else [result]

    def scalar(self, outputs: Sequence[Tensor], cotangents: Sequence[Tensor | None]) -> Tensor:
        """The sum of the outputs, each times its cotangent."""
        total = keras.ops.zeros((), dtype=self.case.dtype)
        for output, cotangent in zip(outputs, cotangents, strict=True):
            if cotangent is not None:
                weight = keras.ops.convert_to_tensor(cotangent, dtype=output.dtype)
                total = total + keras.ops.cast(keras.ops.sum(output * weight), self.case.dtype)
        return total

    def specified(self, path: str, array: Any) -> Array:
        """An array shaped as a weight is in Keras, in the specification's layout."""
        return to_numpy(array).transpose(np.argsort(self.weights[path][1]))


def has_images(case: Case) -> bool:
    """Whether the file has convolutions over images."""
    return re.search(r"Conv2D|ops\.conv", Path(str(case.module.__file__)).read_text()) is not None


def _takes_training(model: Any, method: str) -> bool:
    import inspect

    function = getattr(model, method_name(method))
    return "training" in inspect.signature(function).parameters


def is_float(value: Tensor) -> bool:
    return "float" in keras.backend.standardize_dtype(value.dtype)


def to_numpy(value: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(value))


def prepare(case: Case) -> Prepared:
    keras.config.set_floatx(case.dtype)
    keras.config.set_dtype_policy(case.dtype)  # the policy keeps the first floatx it saw
    model = getattr(case.module, case.network)()
    case.module.load_weights(model, case.weights_path)
    for layer in model._flatten_layers():
        layer.built = True
    return Prepared(case, model, case.module.named_weights(model), input_tensors(case))


def input_tensors(case: Case) -> dict[str, Tensor]:
    return {
        name: keras.ops.convert_to_tensor(
            value, dtype=case.dtype if value.dtype.kind == "f" else _input_dtype(value)
        )
        for name, value in case.inputs.items()
        if value is not None
    }


def _input_dtype(value: Array) -> str:
    return "bool" if value.dtype.kind == "b" else "int32"


@dataclass
class Answer:
    """What an engine computed: arrays of its framework, in Keras' layout."""

    outputs: Sequence[Any]
    weights: Sequence[Any]
    inputs: Sequence[Any]
    states: Sequence[Any]
    sites: Sequence[int]
    values: Sequence[Any]
    cotangents: Sequence[Any]


# ---------------------------------------------------------------- engines


class TensorFlowStep:
    """One compiled function: the forward pass, the gradients and the updates of states of a case."""

    def __init__(self, prepared: Prepared) -> None:
        import tensorflow as tf

        self.tf = tf
        self.prepared = prepared
        self.variables = [variable.value for variable in prepared.variables(prepared.trained)]
        self.sites: list[int] = []
        self.kept: list[Tensor] = []
        self.tapes: list[Any] = []
        self.taken = 0
        if prepared.case.record is not None:
            prepared.case.record.keep = self.keep
        self.compiled = tf.function(self.step, jit_compile=True, autograph=False)

    def keep(self, site: int, value: Tensor) -> Tensor:
        if not isinstance(value, self.tf.Tensor):
            return value
        value = self.tf.identity(value)
        if value.dtype.is_floating:
            self.tapes[-1].watch(value)
        self.sites.append(site)
        self.kept.append(value)
        return value

    def step(self, arguments: list[Tensor], draws: list[Tensor], cotangents: list[Tensor | None]) -> Any:
        tf, prepared = self.tf, self.prepared
        self.sites.clear()
        self.kept.clear()
        samples = prepared.case.samples.of(draws)
        inputs = dict(zip(prepared.inputs, arguments, strict=True))
        with tf.GradientTape(persistent=False) as tape:
            self.tapes.append(tape)
            tape.watch([inputs[name] for name in prepared.floats])
            outputs = prepared.call(inputs, samples)
            total = prepared.scalar(outputs, cotangents)
        self.taken = samples.taken
        smooth = [value for value in self.kept if value.dtype.is_floating]
        sources = [*self.variables, *(inputs[name] for name in prepared.floats), *smooth]
        found = tape.gradient(total, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        gradients = [tf.convert_to_tensor(gradient) for gradient in found]
        return outputs, gradients, list(self.kept)

    def run(self, case: Case) -> Answer:
        """The case that it was made for, or another one with the same signature."""
        prepared = self.prepared
        if case is not prepared.case:
            case.module.load_weights(prepared.model, case.weights_path)
        outputs, gradients, values = self.compiled(
            list(input_tensors(case).values()),
            [self.tf.convert_to_tensor(value) for value in case.samples.values],
            [None if one is None else self.tf.convert_to_tensor(one) for one in case.cotangents],
        )
        case.samples.take(self.taken)
        split, last = len(self.variables), len(self.variables) + len(prepared.floats)
        rest = iter(gradients[last:])
        cotangents = [next(rest) if value.dtype.is_floating else np.zeros(value.shape) for value in values]
        states = prepared.variables(prepared.states)
        return Answer(
            outputs, gradients[:split], gradients[split:last], states, self.sites, values, cotangents
        )


def run_jax(prepared: Prepared) -> Answer:
    """A pure function of the variables, differentiated; traced values get a zero added each."""
    import jax
    import jax.numpy as jnp

    sites: list[int] = []
    kept: list[Tensor] = []
    zeros: list[Tensor] = []

    def keep(site: int, value: Tensor) -> Tensor:
        if not isinstance(value, jax.Array):
            return value
        if is_float(value) and len(kept) < len(zeros):
            value = value + zeros[len(kept)]
        sites.append(site)
        kept.append(value)
        return value

    if prepared.case.record is not None:
        prepared.case.record.keep = keep
    trained, states = prepared.variables(prepared.trained), prepared.variables(prepared.states)
    floats = prepared.floats

    def pure(weights: list[Tensor], inputs: dict[str, Tensor], probes: list[Tensor]) -> Any:
        sites.clear()
        kept.clear()
        zeros[:] = probes
        mapping = list(zip(trained, weights, strict=True)) + [(one, one.value) for one in states]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            outputs = prepared.call({**prepared.inputs, **inputs}, prepared.case.samples)
            total = prepared.scalar(outputs, prepared.case.cotangents)
        after = [scope.get_current_value(one) for one in states]
        after = [one.value if new is None else new for one, new in zip(states, after, strict=True)]
        return total, (outputs, after, list(kept))

    weights = [variable.value for variable in trained]
    inputs = {name: prepared.inputs[name] for name in floats}
    shapes = jax.eval_shape(pure, weights, inputs, [])[1][2]
    probes = [
        jnp.zeros(one.shape, one.dtype if jnp.issubdtype(one.dtype, jnp.floating) else case_dtype(prepared))
        for one in shapes
    ]
    differentiate: Callable[..., Any] = jax.jit(jax.value_and_grad(pure, argnums=(0, 1, 2), has_aux=True))
    (_, (outputs, after, values)), found = differentiate(weights, inputs, probes)
    return Answer(outputs, found[0], [found[1][name] for name in floats], after, sites, values, found[2])


def case_dtype(prepared: Prepared) -> str:
    return prepared.case.dtype


def run_torch(prepared: Prepared) -> Answer:
    """Eager, with autograd."""
    import torch

    sites: list[int] = []
    kept: list[Tensor] = []

    def keep(site: int, value: Tensor) -> Tensor:
        if not isinstance(value, torch.Tensor):
            return value
        sites.append(site)
        kept.append(value)
        return value

    if prepared.case.record is not None:
        prepared.case.record.keep = keep
    variables = [variable.value for variable in prepared.variables(prepared.trained)]
    inputs = dict(prepared.inputs)
    for name in prepared.floats:
        inputs[name] = inputs[name].detach().requires_grad_()
    outputs = prepared.call(inputs, prepared.case.samples)
    total = prepared.scalar(outputs, prepared.case.cotangents)
    smooth = [value for value in kept if value.requires_grad]
    sources = [*variables, *(inputs[name] for name in prepared.floats), *smooth]
    found: list[Tensor] = [None] * len(sources)
    if total.requires_grad:
        found = list(torch.autograd.grad(total, sources, allow_unused=True))
    gradients = [
        torch.zeros_like(one) if gradient is None else gradient
        for one, gradient in zip(sources, found, strict=True)
    ]
    split, last = len(variables), len(variables) + len(prepared.floats)
    rest = iter(gradients[last:])
    cotangents = [next(rest) if one.requires_grad else torch.zeros_like(one) for one in kept]
    states = prepared.variables(prepared.states)
    return Answer(outputs, gradients[:split], gradients[split:last], states, sites, kept, cotangents)


ENGINES: Mapping[str, Callable[[Prepared], Answer]] = {
    "jax": run_jax,
    "torch": run_torch,
}


# ---------------------------------------------------------------- the runner


class KerasRunner:
    """Implements `dlc.parity.worker.Runner`."""

    name = "keras"

    def __init__(self) -> None:
        self.backend: str = keras.backend.backend()
        keep_float64()
        self.devices = PREPARE[self.backend]()
        self.compiled: Compiled[TensorFlowStep] = Compiled()

    def describe(self) -> Mapping[str, Any]:
        return {
            "keras": keras.__version__,
            "backend": NAMES.get(self.backend, self.backend),
            "version": _version(self.backend),
            "devices": self.devices,
            "precision": "TF32 off",
        }

    def run(self, case: Case) -> Outcome:
        with device_scope(self.backend, case.device):
            prepared, answer = self.answer(case)
        weights = zip(prepared.trained, answer.weights, strict=True)
        states = zip(prepared.states, answer.states, strict=True)
        return Outcome(
            outputs=[to_numpy(output) for output in answer.outputs],
            weight_gradients={path: prepared.specified(path, value) for path, value in weights},
            input_gradients={
                name: to_numpy(value) for name, value in zip(prepared.floats, answer.inputs, strict=True)
            },
            states={path: prepared.specified(path, value) for path, value in states},
            forward=[(s, to_numpy(v)) for s, v in zip(answer.sites, answer.values, strict=True)],
            backward=[(s, to_numpy(v)) for s, v in zip(answer.sites, answer.cotangents, strict=True)],
        )

    def answer(self, case: Case) -> tuple[Prepared, Answer]:
        if self.backend != "tensorflow":
            prepared = prepare(case)
            return prepared, ENGINES[self.backend](prepared)
        if case.record is None:
            step = self.compiled.get(case, lambda: TensorFlowStep(prepare(case)))
        else:
            step = TensorFlowStep(prepare(case))
        return step.prepared, step.run(case)


def keep_float64() -> None:
    """Keras rounds the results of float64 operations to float32 on all backends but TensorFlow."""
    from keras.src.backend.common import dtypes

    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"


def device_scope(backend: str, device: str) -> Any:
    if backend == "torch":
        return keras.device("cuda" if device == "cuda" else "cpu")
    return keras.device("gpu:0" if device == "cuda" else "cpu:0")


def _version(backend: str) -> str:
    import importlib

    return str(importlib.import_module(backend).__version__)


def _threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


def prepare_tensorflow() -> list[str]:
    """Full precision, pinned threads; the devices there are."""
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.config.threading.set_intra_op_parallelism_threads(_threads())
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return ["cpu", *(["cuda"] if tf.config.list_physical_devices("GPU") else [])]


def prepare_jax() -> list[str]:
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    return ["cuda" if device.platform == "gpu" else device.platform for device in jax.devices()] + ["cpu"]


def prepare_torch() -> list[str]:
    import torch

    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch.set_num_threads(_threads())
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


PREPARE: Mapping[str, Callable[[], list[str]]] = {
    "tensorflow": prepare_tensorflow,
    "jax": prepare_jax,
    "torch": prepare_torch,
}

if __name__ == "__main__":
    serve(KerasRunner)
