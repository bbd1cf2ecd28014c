"""Every primitive as JAX writes it, against the reference: values and gradients in float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from dlc.ir import Const, Expr, TensorType
from dlc.reference.primitives import PRIMITIVES as REFERENCE
from dlc_jax.helpers import HELPERS
from dlc_jax.lowering import Application, Operand
from dlc_jax.primitives import PRIMITIVES

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)


class Surroundings:
    """A function body whose floats take the dtype of `x0`."""

    def text(self, expr: Expr) -> str:
        return repr(expr.value)

    def dtype(self, name: str) -> str:
        return {"int": "int", "bool": "bool"}.get(name, "dtype")

    def helper(self, name: str) -> str:
        return name

    def hold(self, text: str, label: str) -> str:
        raise AssertionError("operands of samples are variables")


def attribute(value: Any) -> Const:
    return Const(value=tuple(value.items()) if isinstance(value, Mapping) else value)


def kind(array: np.ndarray[Any, Any]) -> str:
    return {"f": "float", "b": "bool"}.get(array.dtype.kind, "int")


def lowered(name: str, inputs: tuple[Any, ...], attrs: Mapping[str, Any], outputs: Any) -> Any:
    """The function of the operands that the lowering's text is."""

    def typed(array: Any) -> TensorType:
        return TensorType(dtype=kind(array), shape=tuple(Const(value=n) for n in array.shape))

    operands = [Operand(f"x{i}", typed(array)) for i, array in enumerate(inputs)]
    given = {key: attribute(value) for key, value in attrs.items()}
    text = PRIMITIVES[name](Application(name, operands, given, typed(outputs[0]), Surroundings()))
    scope: dict[str, Any] = {"jax": jax, "jnp": jax.numpy, "Array": jax.Array}
    for helper in HELPERS.values():
        exec(helper, scope)
    scope["dtype"] = jax.numpy.float32 if "f32" in attrs else jax.numpy.float64
    parameters = "".join(f"x{i}, " for i in range(len(inputs)))
    exec(f"def function({parameters}):\n    return {text}", scope)
    return scope["function"]


def samples() -> list[tuple[str, int]]:
    rng = np.random.default_rng(0)
    return [(name, i) for name, p in REFERENCE.items() for i in range(len(p.samples(rng)))]


@pytest.mark.parametrize(("name", "number"), samples())
def test_lowering_equals_reference(name: str, number: int) -> None:
    primitive = REFERENCE[name]
    inputs, attrs = primitive.samples(np.random.default_rng(1))[number]
    outputs = primitive.forward(inputs, attrs)
    function = lowered(name, inputs, attrs, outputs)

    def outputs_of(*arrays: Any) -> tuple[Any, ...]:
        result = function(*arrays)
        return tuple(result) if isinstance(result, (tuple, list)) else (result,)

    floats = [i for i, array in enumerate(inputs) if kind(array) == "float"]

    def of_floats(*chosen: Any) -> tuple[Any, ...]:
        arrays = [jax.numpy.asarray(array) for array in inputs]
        for i, array in zip(floats, chosen, strict=True):
            arrays[i] = array
        return outputs_of(*arrays)

    found, pull = jax.vjp(of_floats, *(jax.numpy.asarray(inputs[i]) for i in floats))
    assert len(found) == len(outputs)
    for one, other in zip(found, outputs, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(np.asarray(one), other, rtol=1e-12, atol=1e-12)
    rng = np.random.default_rng(2)
    cotangents = tuple(rng.normal(size=each.shape) for each in outputs)
    wanted = primitive.vjp(cotangents, outputs, inputs, attrs)
    given = tuple(
        jax.numpy.asarray(g) if kind(y) == "float" else np.zeros(y.shape, jax.dtypes.float0)
        for g, y in zip(cotangents, outputs, strict=True)
    )
    for i, gradient in zip(floats, pull(given), strict=True):
        expected = 0.0 if wanted[i] is None else wanted[i]
        np.testing.assert_allclose(np.asarray(gradient), expected, rtol=1e-12, atol=1e-12)


def test_every_primitive_is_lowered() -> None:
    assert set(PRIMITIVES) >= set(REFERENCE)
