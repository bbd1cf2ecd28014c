"""Every primitive's lowering equals the reference, forward and backward, in float64 under XLA."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from dlc.emit.expressions import ExpressionPrinter, Text
from dlc.ir import Const, Expr, TensorType
from dlc.reference.primitives import PRIMITIVES as REFERENCE
from dlc_keras.helpers import HELPERS
from dlc_keras.layout_rules import CHANNELS_LAST, IMAGE_OPS
from dlc_keras.lowering import Application, Operand
from dlc_keras.primitives import PRIMITIVES

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
keras = pytest.importorskip("keras")

TOLERANCE = 1e-12


class Surroundings:
    """A function in which nothing is symbolic."""

    def __init__(self) -> None:
        self.helpers: set[str] = set()
        self.printer = ExpressionPrinter(lambda ref: Text(ref.name))

    def text(self, expr: Expr) -> Text:
        return self.printer(expr)

    def dtype(self, name: str) -> Text:
        return Text({"int": '"int32"', "bool": '"bool"'}.get(name, '"float64"'))

    def named(self, code: Text) -> Text:
        return code

    def helper(self, name: str) -> str:
        self.helpers.add(name)
        return name


def typed(array: np.ndarray[Any, Any]) -> TensorType:
    dtype = {"f": "float", "i": "int", "b": "bool"}[array.dtype.kind]
    return TensorType(dtype=dtype, shape=tuple(Const(value=size) for size in array.shape))


def expression(value: Any) -> Expr:
    if isinstance(value, Mapping):
        return Const(value=tuple(value.items()))
    return Const(value=tuple(value) if isinstance(value, list) else value)


def source(op: str, inputs: list[np.ndarray[Any, Any]], attrs: Mapping[str, Any]) -> str:
    """A function of the inputs `x0`, `x1`, ... that applies the lowering."""
    surroundings = Surroundings()
    names = [f"x{i}" for i in range(len(inputs))]
    operands = [Operand(Text(n), typed(x)) for n, x in zip(names, inputs, strict=True)]
    given = {name: expression(value) for name, value in attrs.items()}
    text = PRIMITIVES[op](Application(op, operands, given, None, surroundings))
    helpers = "\n".join(HELPERS[name] for name in sorted(surroundings.helpers))
    return f"{helpers}\ndef run({', '.join(names)}):\n    return {text}\n"


def cases() -> list[Any]:
    made = []
    for name, primitive in REFERENCE.items():
        samples = primitive.samples(np.random.default_rng(7))
        made += [pytest.param(name, *case, id=f"{name}-{i}") for i, case in enumerate(samples)]
    return made


def test_every_primitive_has_a_lowering() -> None:
    assert set(REFERENCE) <= set(PRIMITIVES)


def close(actual: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> bool:
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    return actual.shape == expected.shape and bool(
        np.abs(actual.astype(np.float64) - expected).max(initial=0.0) <= TOLERANCE * scale
    )


@pytest.mark.parametrize(("name", "inputs", "attrs"), cases())
def test_lowering(name: str, inputs: tuple[np.ndarray[Any, Any], ...], attrs: dict[str, Any]) -> None:
    import tensorflow as tf

    keras.config.set_floatx("float64")
    primitive = REFERENCE[name]
    outputs = primitive.forward(tuple(inputs), attrs)
    rng = np.random.default_rng(3)
    cotangents = tuple(rng.normal(size=output.shape) for output in outputs)
    expected = primitive.vjp(cotangents, outputs, tuple(inputs), attrs)
    last = CHANNELS_LAST[inputs[0].ndim] if name in IMAGE_OPS else ()
    stored = [
        np.asarray(x).transpose(last) if last and i == 0 else np.asarray(x) for i, x in enumerate(inputs)
    ]
    namespace = {"keras": keras, "ops": keras.ops, "np": np, "KerasTensor": keras.KerasTensor}
    exec(source(name, stored, attrs), namespace)
    tensors = [tf.constant(x if x.dtype.kind != "i" else x.astype(np.int32)) for x in stored]
    moving = [x for x in tensors if x.dtype.is_floating]

    @tf.function(jit_compile=True, autograph=False)
    def step() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(moving)
            results = namespace["run"](*tensors)
            results = list(results) if isinstance(results, (tuple, list)) else [results]
            results = [tf.transpose(y, np.argsort(last)) if last else y for y in results]
            pairs = [(y, g) for y, g in zip(results, cotangents, strict=True) if y.dtype.is_floating]
            total = tf.add_n([tf.reduce_sum(y * g) for y, g in pairs] or [tf.zeros((), tf.float64)])
        zero = tf.UnconnectedGradients.ZERO
        found = tape.gradient(total, moving, unconnected_gradients=zero) if pairs else []
        return results, [tf.convert_to_tensor(gradient) for gradient in found]

    results, gradients = step()
    for actual, output in zip(results, outputs, strict=True):
        assert close(actual.numpy(), output)
    found = iter(gradients)
    for x, tensor, gradient in zip(inputs, tensors, expected, strict=True):
        actual = next(found).numpy() if tensor.dtype.is_floating and gradients else None
        if actual is not None:
            wanted = np.zeros(x.shape) if gradient is None else gradient
            moved = actual.transpose(np.argsort(last)) if last and tensor is tensors[0] else actual
            assert close(moved, wanted)
