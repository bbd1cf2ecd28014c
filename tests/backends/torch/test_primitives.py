"""Every primitive as PyTorch writes it, against the reference: values and gradients in float64."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from backends.torch.surroundings import Surroundings, constant, namespace, operand, type_of
from dlc.reference.primitives import PRIMITIVES as REFERENCE
from dlc_torch.lowering import Application
from dlc_torch.primitives import PRIMITIVES

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def _double() -> Any:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def test_every_primitive_has_a_lowering() -> None:
    assert set(PRIMITIVES) == set(REFERENCE)


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_primitive_equals_reference(name: str) -> None:
    reference = REFERENCE[name]
    rng = np.random.default_rng(7)
    for inputs, attrs in reference.samples(rng):
        arrays = [np.asarray(array) for array in inputs]
        wanted = reference.forward(tuple(arrays), attrs)
        tensors = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
        found = run(name, arrays, tensors, attrs, wanted)
        assert len(found) == len(wanted)
        for value, expected in zip(found, wanted, strict=True):
            assert tuple(value.shape) == expected.shape
            assert value.dtype.is_floating_point == (expected.dtype.kind == "f")
            np.testing.assert_allclose(to_float(value), expected.astype(float), 1e-12, 1e-12)
        cotangents = tuple(rng.normal(size=y.shape) for y in wanted)
        compare_gradients(reference, tensors, arrays, attrs, wanted, found, cotangents)


def run(name: str, arrays: Any, tensors: Any, attrs: Any, wanted: Any) -> list[Any]:
    application = Application(
        name,
        [operand(f"x{position}", array) for position, array in enumerate(arrays)],
        {key: constant(value) for key, value in attrs.items()},
        type_of(wanted[0]),
        Surroundings(),
    )
    code = PRIMITIVES[name](application).code
    scope = namespace() | {f"x{position}": tensor for position, tensor in enumerate(tensors)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        result = eval(code, scope)
    return list(result) if isinstance(result, tuple | list) else [result]


def to_float(value: Any) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = value.detach().double().numpy()
    return array


def compare_gradients(
    reference: Any, tensors: Any, arrays: Any, attrs: Any, wanted: Any, found: Any, cotangents: Any
) -> None:
    pairs = [(y, torch.tensor(g)) for y, g in zip(found, cotangents, strict=True) if y.requires_grad]
    if not pairs:
        return
    roots, seeds = zip(*pairs, strict=True)
    leaves = [tensor for tensor in tensors if tensor.requires_grad]
    gradients = iter(torch.autograd.grad(roots, leaves, seeds, allow_unused=True))
    expected = reference.vjp(cotangents, wanted, tuple(arrays), attrs)
    for tensor, target in zip(tensors, expected, strict=True):
        if tensor.requires_grad:
            gradient = next(gradients)
            value = np.zeros(tensor.shape) if gradient is None else gradient.numpy()
            np.testing.assert_allclose(value, 0.0 if target is None else target, 1e-11, 1e-12)
