"""How NumPy writes each primitive, each native and each random draw.

Every entry is a function of text: operands by position, compile-time arguments by name, as in `std/core.dl`.
Operands may stand in redundant parentheses: the layout of a statement keeps only those that are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dlc.emit.expressions import OPERATOR_OF

Lowering = Callable[..., str]


def infix(symbol: str) -> Lowering:
    return lambda a, b: f"({a}) {symbol} ({b})"


def function(name: str) -> Lowering:
    return lambda *operands: f"np.{name}({', '.join(operands)})"


def reduction(name: str) -> Lowering:
    """`x.mean(axis=-1, keepdims=True)`."""
    return lambda x, axis="None", keep="False": f"({x}).{name}(axis={axis}, keepdims={keep})"


PRIMITIVES: Mapping[str, Lowering] = {
    **{name: infix(symbol) for name, symbol in OPERATOR_OF.items()},
    **{name: function(name) for name in ("exp", "log", "sqrt", "tanh", "where", "maximum", "minimum")},
    **{name: reduction(name) for name in ("sum", "mean", "max", "min", "prod")},
    "negative": lambda x: f"-({x})",
    "sigmoid": lambda x: f"1.0 / (1.0 + np.exp(-({x})))",
    "stop_gradient": lambda x: f"np.real({x})",
    "reshape": lambda x, shape: f"({x}).reshape({shape})",
    "take": lambda table, ids: f"({table})[{ids}]",
    "transpose": lambda x, axes: f"({x}).swapaxes(-1, -2)" if axes == "None" else f"({x}).transpose({axes})",
}

NATIVES: Mapping[str, Lowering] = {
    "flatten": lambda x: f"({x}).reshape(len({x}), -1)",
    "relu": lambda x: f"np.maximum({x}, 0.0)",
}
"""Functions of std that NumPy has words for; all others are written out from their definition."""

DRAWS: Mapping[str, Lowering] = {
    "bernoulli": lambda p, shape, dtype: f"rng.binomial(1, {p}, {shape}).astype(bool)",
    "normal": lambda mean, std, shape, dtype: f"{mean} + ({std}) * rng.standard_normal({shape}, {dtype})",
}
