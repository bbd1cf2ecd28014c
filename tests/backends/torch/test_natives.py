"""Every claimed std function as PyTorch writes it, against its definition: values and gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from backends.torch.surroundings import Surroundings, constant, namespace, operand
from dlc.api import open_text
from dlc.reference.interpreter import Interpreter, gradients
from dlc_torch.natives import FUNCTIONS, NativeCall

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]

RNG = np.random.default_rng(0)
KINKS = np.array([[-3.5, -1.5, 0.0, 1.5], [3.5, 5.5, -0.5, 0.5], [0.0, 7.0, -7.0, 2.5]])
IMAGES = RNG.normal(size=(2, 8, 4, 5))
A, B = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
LOGITS, TARGET = RNG.normal(size=(2, 3, 5)), np.array([[0, 4, 1], [2, 2, 3]])
Q, K, V = (RNG.normal(size=(2, 3, n, 4)) for n in (5, 6, 6))
MASK = RNG.random((2, 1, 5, 6)) < 0.6
MASK[1, 0, 2] = False
BIAS = RNG.normal(size=(1, 3, 5, 6))
CTC = {
    "logits": RNG.normal(size=(7, 6, 5)),
    "targets": np.array([[1, 2, 3], [2, 2, 1], [3, 3, 3], [3, 3, 3], [4, 1, 1], [1, 2, 3], [2, 4, 2]]),
    "input_length": np.array([6, 6, 6, 4, 5, 0, 3]),
    "target_length": np.array([3, 3, 3, 3, 0, 2, 3]),
}
"""Repeated labels with just enough frames and too few, an empty target, no frames, one path."""

CASES: Mapping[str, list[tuple[dict[str, Any], dict[str, Array]]]] = {
    "leaky_relu": [({"slope": 0.1}, {"x": KINKS})],
    "elu": [({"alpha": 1.0}, {"x": KINKS}), ({"alpha": 2.0}, {"x": KINKS})],
    "celu": [({"alpha": 1.0}, {"x": KINKS}), ({"alpha": 2.0}, {"x": KINKS})],
    "gelu": [({"kind": "erf"}, {"x": KINKS}), ({"kind": "tanh"}, {"x": KINKS})],
    "glu": [({"axis": -1}, {"x": KINKS})],
    "clip": [({"low": -1.5, "high": 0.5}, {"x": KINKS})],
    "softmax": [({"axis": -1}, {"x": KINKS}), ({"axis": 0}, {"x": KINKS})],
    "log_softmax": [({"axis": -1}, {"x": KINKS}), ({"axis": 0}, {"x": KINKS})],
    "log_sum_exp": [
        ({"axis": -1, "keep": False}, {"x": KINKS}),
        ({"axis": 0, "keep": True}, {"x": KINKS}),
    ],
    "l2_normalize": [({"axis": -1, "eps": 1e-12}, {"x": KINKS}), ({"axis": 0, "eps": 4.0}, {"x": A})],
    "cross_entropy": [
        ({"ignore": -100, "smooth": 0.0}, {"logits": LOGITS, "target": TARGET}),
        ({"ignore": -100, "smooth": 0.1}, {"logits": LOGITS[0], "target": TARGET[0]}),
        ({"ignore": 2, "smooth": 0.1}, {"logits": LOGITS, "target": TARGET}),
        ({"ignore": 2, "smooth": 0.0}, {"logits": LOGITS, "target": np.full((2, 3), 2)}),
    ],
    "nll": [({"ignore": -100}, {"logp": LOGITS, "target": TARGET})],
    "mse": [({}, {"a": A, "b": B})],
    "l1": [({}, {"a": A, "b": B})],
    "huber": [({"delta": 0.5}, {"a": A, "b": B})],
    "smooth_l1": [({"beta": 0.5}, {"a": A, "b": B})],
    "ctc_loss": [
        ({"blank": 0}, CTC),
        ({"blank": 4}, CTC | {"targets": CTC["targets"] - 1}),
        ({"blank": 0}, {name: array[4:5] for name, array in CTC.items()}),
    ],
    "bce_with_logits": [({}, {"logits": A, "target": B})],
    "global_avg_pool": [({}, {"x": IMAGES})],
    "global_max_pool": [({}, {"x": IMAGES})],
    "flatten": [({}, {"x": IMAGES})],
    "expand_to": [({}, {"x": A[:, 0], "like": np.zeros((3, 4), np.int64)})],
    "reflect_pad2d": [({"n": 1}, {"x": IMAGES}), ({"n": 3}, {"x": IMAGES})],
    "take_each": [
        ({}, {"x": IMAGES, "ids": np.array([[0, 7, 7], [3, 1, 0]])}),
        ({}, {"x": A, "ids": np.array([[0, 3], [1, 1], [2, 0]])}),
    ],
    "pixel_shuffle": [({"r": 2}, {"x": IMAGES})],
    "attention": [
        ({"drop": 0.0}, {"q": Q, "k": K, "v": V}),
        ({"scale": 0.3}, {"q": Q, "k": K, "v": V, "mask": MASK}),
        ({}, {"q": Q, "k": K, "v": V, "bias": BIAS}),
        ({}, {"q": Q, "k": K, "v": V, "mask": MASK, "bias": BIAS}),
        ({"causal": True}, {"q": Q, "k": K[:, :, :5], "v": V[:, :, :5]}),
    ],
}
"""Arguments and inputs; those that are not here have one input and no arguments."""
RANDOM = {"dropout"}
HEADS = {"attention": "from std.attention import attention\n"}


def literal(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


def declared(name: str, array: Array) -> str:
    dtype = {"f": "float", "i": "int", "b": "bool"}[array.dtype.kind]
    return f"{name}: {dtype}[{', '.join(map(str, array.shape))}]"


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - RANDOM))
def test_native_equals_definition(name: str) -> None:
    for statics, inputs in CASES.get(name, [({}, {"x": KINKS})]):
        given = [*(f"{key}={key}" for key in inputs), *(f"{k}={literal(v)}" for k, v in statics.items())]
        head = ", ".join(declared(key, array) for key, array in inputs.items())
        text = f"{HEADS.get(name, '')}net N()({head}) {{ return {name}({', '.join(given)}) }}\n"
        module, diagnostics = open_text(text)
        assert module is not None, diagnostics
        result = Interpreter(module["N"].program).run(inputs, {})
        cotangent = np.random.default_rng(1).normal(size=result.outputs[0].shape)
        wanted = gradients(result, [cotangent]).inputs
        tensors = {
            key: torch.tensor(array, requires_grad=array.dtype.kind == "f") for key, array in inputs.items()
        }
        found = evaluate(name, statics, inputs, tensors)
        np.testing.assert_allclose(found.detach(), result.outputs[0], rtol=1e-12, atol=1e-13)
        found.backward(torch.tensor(cotangent))
        for key, gradient in wanted.items():
            np.testing.assert_allclose(tensors[key].grad, gradient, rtol=1e-11, atol=1e-13)


def evaluate(name: str, statics: Any, inputs: Any, tensors: Any) -> Any:
    application = NativeCall(
        {key: operand(key, array) for key, array in inputs.items()},
        {key: constant(value) for key, value in statics.items()},
        None,
        Surroundings(),
    )
    return eval(FUNCTIONS[name].write(application).code, namespace() | tensors)
