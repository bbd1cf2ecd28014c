"""Every claimed std function as JAX writes it, against its definition: values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc.api import open_text
from dlc.emit.plan import FunctionCall, Variable
from dlc.ir import Const, Expr
from dlc.reference.interpreter import Interpreter, gradients
from dlc_jax.helpers import HELPERS
from dlc_jax.natives import FUNCTIONS

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)

KINKS = np.array([[-3.0, -1.0, 0.0, 1.0], [3.0, 6.0, -0.5, 0.5], [0.0, 7.0, -7.0, 2.5]])
IMAGES = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
CASES: dict[str, list[tuple[dict[str, Any], np.ndarray[Any, Any]]]] = {
    "elu": [({"alpha": 1.0}, KINKS), ({"alpha": 2.0}, KINKS)],
    "celu": [({"alpha": 1.0}, KINKS), ({"alpha": 2.0}, KINKS)],
    "gelu": [({"kind": "erf"}, KINKS), ({"kind": "tanh"}, KINKS)],
    "glu": [({"axis": -1}, KINKS)],
    "softmax": [({"axis": -1}, KINKS), ({"axis": 0}, KINKS)],
    "log_softmax": [({"axis": -1}, KINKS), ({"axis": 0}, KINKS)],
    "log_sum_exp": [({"axis": -1, "keep": False}, KINKS), ({"axis": 0, "keep": True}, KINKS)],
    "global_avg_pool": [({}, IMAGES)],
    "global_max_pool": [({}, IMAGES)],
    "flatten": [({}, IMAGES)],
    "reflect_pad2d": [({"n": 1}, IMAGES), ({"n": 3}, IMAGES)],
}
ELSEWHERE = {"dropout", "stochastic_depth", "gaussian_noise", "zeros", "ones", "expand_to", "take_each"}


class Surroundings:
    def text(self, expr: Expr) -> str:
        return repr(expr.value)

    def dtype(self, name: str) -> str:
        return "x.dtype"

    def helper(self, name: str) -> str:
        return name

    def hold(self, text: str, label: str) -> str:
        raise AssertionError("operands of samples are variables")


def literal(value: Any) -> str:
    return (
        {True: "true", False: "false"}.get(value, repr(value).replace("'", '"'))
        if isinstance(value, bool)
        else repr(value).replace("'", '"')
    )


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - ELSEWHERE))
def test_native_equals_definition(name: str) -> None:
    for statics, x in CASES.get(name, [({}, KINKS)]):
        options = "".join(f", {key}={literal(value)}" for key, value in statics.items())
        sizes = ", ".join(map(str, x.shape))
        module, diagnostics = open_text(f"net N()(x: float[{sizes}]) {{ return {name}(x{options}) }}\n")
        assert module is not None, diagnostics
        result = Interpreter(module["N"].program).run({"x": x}, {})
        cotangent = np.random.default_rng(1).normal(size=result.outputs[0].shape)
        wanted = gradients(result, [cotangent]).inputs["x"]
        call = FunctionCall(
            name=name,
            native=True,
            args={"x": Variable(name="x")},
            statics={key: Const(value=value) for key, value in statics.items()},
        )
        text = FUNCTIONS[name]({"x": "x"}, call, Surroundings())
        scope: dict[str, Any] = {"jax": jax, "jnp": jax.numpy, "Array": jax.Array}
        for helper in HELPERS.values():
            exec(helper, scope)
        exec(f"def function(x):\n    return {text}", scope)
        found, pull = jax.vjp(scope["function"], jax.numpy.asarray(x))
        np.testing.assert_allclose(np.asarray(found), result.outputs[0], rtol=1e-12, atol=1e-13)
        (gradient,) = pull(jax.numpy.asarray(cotangent))
        np.testing.assert_allclose(np.asarray(gradient), wanted, rtol=1e-11, atol=1e-13)
