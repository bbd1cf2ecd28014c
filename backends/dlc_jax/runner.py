"""Runs a generated JAX module on one case: outputs, gradients, states, and a trace.

In: `dlc.parity.worker.Case` values, one at a time, in a process of its own. Out: `Outcome` values
by spec path. Random draws are replaced by the case's samples, in execution order.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np

from dlc.parity.worker import Case, Compiled, Outcome, SampleQueue, serve

Arrays = list[Any]


def is_float(value: Any) -> bool:
    return jnp.issubdtype(jnp.asarray(value).dtype, jnp.floating)


def spec_paths(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree of parameters by their path in the specification."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def cast_floats(tree: Any, dtype: str) -> Any:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if is_float(leaf) else jnp.asarray(leaf), tree)


# ---------------------------------------------------------------- random draws


@contextmanager
def injected(samples: SampleQueue) -> Iterator[None]:
    """Answers `jax.random` calls with the case's samples instead of random numbers."""

    def bernoulli(key: Any, p: Any = 0.5, shape: Any = None, **_: Any) -> Any:
        return jnp.asarray(samples.next("bernoulli", tuple(shape or ())), bool)

    def normal(key: Any, shape: Any = (), dtype: Any = float, **_: Any) -> Any:
        return jnp.asarray(samples.next("normal", tuple(shape)), dtype)

    def uniform(
        key: Any,
        shape: Any = (),
        dtype: Any = float,
        minval: Any = 0.0,
        maxval: Any = 1.0,
        **_: Any,
    ) -> Any:
        drawn = jnp.asarray(samples.next("uniform", tuple(shape)), dtype)
        return minval + (maxval - minval) * drawn

    def randint(key: Any, shape: Any, minval: Any, maxval: Any, dtype: Any = int, **_: Any) -> Any:
        return jnp.asarray(samples.next("randint", tuple(shape)), dtype)

    def gumbel(key: Any, shape: Any = (), dtype: Any = float, **_: Any) -> Any:
        return -jnp.log(-jnp.log(jnp.asarray(samples.next("uniform", tuple(shape)), dtype)))

    with ExitStack() as stack:
        for draw in (bernoulli, normal, uniform, randint, gumbel):
            stack.enter_context(mock.patch.object(jax.random, draw.__name__, draw))
        yield


# ---------------------------------------------------------------- tracing


@dataclass
class Trace:
    """The values that instrumented statements compute, in execution order.

    `perturbations` are added to the float values: the gradient with respect to a zero perturbation
    is the cotangent of the value.
    """

    perturbations: Arrays | None = None
    sites: list[int] = field(default_factory=list)
    values: Arrays = field(default_factory=list)

    def keep(self, site: int, value: Any) -> Any:
        if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            return value
        if self.perturbations is not None and is_float(value):
            value = value + self.perturbations[len(self.values)]
        self.sites.append(site)
        self.values.append(value)
        return value


# ---------------------------------------------------------------- one case


@dataclass(frozen=True)
class Loaded:
    """A case made ready: the function under test and what it is applied to, in the case's dtype."""

    function: Callable[..., Any]
    params: Any
    state: Any
    inputs: list[Any]
    options: dict[str, Any]


def load(case: Case) -> Loaded:
    name = "apply" if case.method == "forward" else case.method
    function = getattr(case.module, name)
    accepted = inspect.signature(function).parameters
    weights = case.module.load_weights(str(case.weights_path))
    stateful = isinstance(weights, tuple) and not hasattr(weights, "_fields")
    params, state = weights if stateful else (weights, None)
    inputs = [
        None if value is None else cast_floats(np.asarray(value), case.dtype)
        for value in case.inputs.values()
    ]
    options: dict[str, Any] = {}
    if "training" in accepted:
        options["training"] = case.training
    if "key" in accepted:
        options["key"] = jax.random.key(0)
    return Loaded(function, cast_floats(params, case.dtype), cast_floats(state, case.dtype), inputs, options)


def is_sequential(case: Case, loaded: Loaded) -> bool:
    """Whether steps of a scan may draw: they must run one by one to get one sample each."""
    return "key" in loaded.options and "lax.scan" in inspect.getsource(case.module)


def call(loaded: Loaded, params: Any, state: Any, inputs: Arrays) -> tuple[Any, Any]:
    """The outputs and the new state."""
    takes_state = "state" in inspect.signature(loaded.function).parameters
    states = (state,) if takes_state else ()
    result = loaded.function(params, *states, *inputs, **loaded.options)
    return result if takes_state else (result, state)


class Step:
    """The function that is compiled for a case: everything that has numbers is an argument."""

    def __init__(self, case: Case, loaded: Loaded) -> None:
        self.loaded = loaded
        self.samples = case.samples
        self.record = case.record
        self.dtype = case.dtype
        self.floats = [i for i, value in enumerate(loaded.inputs) if value is not None and is_float(value)]
        self.sequential = is_sequential(case, loaded)
        self.taken = 0
        self.trace = Trace()
        self.compiled = jax.jit(self.differentiated)

    def forward(
        self, params: Any, given: Arrays, perturbations: Arrays | None, state: Any, rest: Arrays, numbers: Any
    ) -> Any:
        draws, cotangents = numbers
        inputs = list(rest)
        for i, value in zip(self.floats, given, strict=True):
            inputs[i] = value
        self.trace = Trace(perturbations)
        if self.record is not None:
            self.record.keep = self.trace.keep
        samples = self.samples.of(draws)
        with injected(samples):
            result, state = call(self.loaded, params, state, inputs)
        self.taken = samples.taken
        outputs = jax.tree.leaves(result)
        pairs = zip(outputs, cotangents, strict=True)
        terms = [jnp.vdot(output, weight) for output, weight in pairs if weight is not None]
        total = sum(terms, start=jnp.zeros((), self.dtype))
        return total, (outputs, state, self.trace.values)

    def differentiated(
        self, params: Any, given: Arrays, perturbations: Arrays, state: Any, rest: Arrays, numbers: Any
    ) -> Any:
        gradient = jax.value_and_grad(self.forward, argnums=(0, 1, 2), has_aux=True, allow_int=True)
        return gradient(params, given, perturbations, state, rest, numbers)

    def run(self, case: Case, loaded: Loaded) -> Any:
        """((total, (outputs, state, values)), gradients by weight, by input and by traced value)."""
        given = [loaded.inputs[i] for i in self.floats]
        rest = [None if i in self.floats else value for i, value in enumerate(loaded.inputs)]
        cotangents = [None if value is None else jnp.asarray(value, case.dtype) for value in case.cotangents]
        numbers = (list(map(jnp.asarray, case.samples.values)), cotangents)
        with jax.disable_jit(self.sequential):
            perturbations: Arrays = []
            if self.record is not None:
                values = jax.eval_shape(
                    lambda: self.forward(loaded.params, given, None, loaded.state, rest, numbers)[1][2]
                )
                perturbations = list(map(zero_perturbation, values))
            results = self.compiled(loaded.params, given, perturbations, loaded.state, rest, numbers)
        case.samples.take(self.taken)
        return results


def run(case: Case, compiled: Compiled[Step]) -> Outcome:
    loaded = load(case)
    if case.record is None:
        step = compiled.get(case, lambda: Step(case, loaded))
    else:
        step = Step(case, loaded)
    results = step.run(case, loaded)
    names, floats, sites = list(case.inputs), step.floats, step.trace.sites
    (_, (outputs, state, values)), (by_weight, by_input, by_value) = results
    return Outcome(
        outputs=[np.asarray(output) for output in outputs],
        weight_gradients={path: np.asarray(leaf) for path, leaf in spec_paths(by_weight).items()},
        input_gradients={names[i]: np.asarray(leaf) for i, leaf in zip(floats, by_input, strict=True)},
        states={path: np.asarray(leaf) for path, leaf in spec_paths(state).items()},
        forward=list(zip(sites, map(np.asarray, values), strict=True)),
        backward=[
            (site, value_cotangent(value, leaf))
            for site, value, leaf in zip(sites, values, by_value, strict=True)
        ],
    )


def zero_perturbation(value: Any) -> Any:
    """A zero to add to a traced value; an unused scalar for integers."""
    if jnp.issubdtype(value.dtype, jnp.floating):
        return jnp.zeros(value.shape, value.dtype)
    return jnp.zeros(())


def value_cotangent(value: Any, gradient: Any) -> np.ndarray[Any, Any]:
    return np.asarray(gradient) if is_float(value) else np.zeros(value.shape)


class JaxRunner:
    """The runner of generated JAX modules."""

    name = "jax"

    def __init__(self) -> None:
        self.compiled: Compiled[Step] = Compiled()

    def describe(self) -> dict[str, Any]:
        return {
            "jax": jax.__version__,
            "devices": [device.device_kind for device in jax.devices()],
            "matmul_precision": jax.config.jax_default_matmul_precision,
        }

    def run(self, case: Case) -> Outcome:
        platform = {"cpu": "cpu", "cuda": "gpu"}[case.device]
        with jax.default_device(jax.devices(platform)[0]):
            return run(case, self.compiled)


def make_runner() -> JaxRunner:
    jax.config.update("jax_default_matmul_precision", "highest")
    return JaxRunner()


if __name__ == "__main__":
    serve(make_runner)
