"""Runs the text of single lowerings: surroundings without a method, names of the operands `x0`, `x1`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dlc.emit.expressions import ExpressionPrinter, Text
from dlc.ir import Const, Expr, TensorType
from dlc_torch.helpers import HELPERS
from dlc_torch.lowering import Operand

DTYPES = {"float": "float64", "wide": "float64", "int": "int64", "f64": "float64", "f32": "float32",
          "bf16": "bfloat16", "f16": "float16"}  # fmt: skip


class Surroundings:
    """The surroundings of a lowering in float64 on the default device."""

    device = None
    float_source = None
    training = Text("True")

    def __init__(self) -> None:
        self.printer = ExpressionPrinter(lambda ref: Text(ref.name))

    def text(self, expr: Expr) -> Text:
        return self.printer(expr)

    def dtype(self, name: str) -> Text:
        return Text(f"torch.{DTYPES.get(name, name)}")

    def helper(self, name: str) -> str:
        return name


def namespace() -> dict[str, Any]:
    """What a generated file has imported and defined."""
    import torch

    scope: dict[str, Any] = {"torch": torch, "F": torch.nn.functional, "Tensor": torch.Tensor}
    for helper in HELPERS.values():
        exec(helper, scope)
    return scope


def type_of(array: np.ndarray[Any, Any]) -> TensorType:
    dtypes: Mapping[str, Any] = {"f": "float", "i": "int", "b": "bool"}
    return TensorType(dtype=dtypes[array.dtype.kind], shape=tuple(constant(n) for n in array.shape))


def constant(value: Any) -> Const:
    if isinstance(value, dict):
        value = tuple(value.items())
    return Const(value=tuple(value) if isinstance(value, list) else value)


def operand(name: str, array: np.ndarray[Any, Any]) -> Operand:
    return Operand(Text(name), type_of(np.asarray(array)))
