"""Std definitions that JAX has its own words for: `jax.nn`, and small random functions.

Each claim equals its definition in float64, gradients at kinks included. Blocks are written from
their definitions: a tuple of arrays and a function, which is what a definition already is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dlc.backend import Native
from dlc.emit.expressions import elements
from dlc.emit.plan import FunctionCall
from dlc.ir import Const, Definition, Expr
from dlc_jax.lowering import Surroundings, call

Arguments = Mapping[str, str]
NativeLowering = Callable[[Arguments, FunctionCall, Surroundings], str]


def static(at: FunctionCall, surroundings: Surroundings, name: str, default: object = None) -> str | None:
    """A compile-time argument, None where it is literally the default that JAX has too."""
    expr = at.statics.get(name)
    if expr is None or (isinstance(expr, Const) and expr.value == default):
        return None
    return surroundings.text(expr)


def activation(function: str, **renamed: str) -> NativeLowering:
    """`function(x, option=...)`; `renamed` gives JAX's names of the compile-time arguments."""

    def lower(arguments: Arguments, at: FunctionCall, surroundings: Surroundings) -> str:
        options = {theirs: static(at, surroundings, ours) for ours, theirs in renamed.items()}
        return call(function, *arguments.values(), **options)

    return lower


def gelu(arguments: Arguments, at: FunctionCall, surroundings: Surroundings) -> str:
    kind = at.statics.get("kind", Const(value="erf"))
    fixed = isinstance(kind, Const)
    approximate = str(kind.value == "tanh") if fixed else f'{surroundings.text(kind)} == "tanh"'
    return call("jax.nn.gelu", arguments["x"], approximate=approximate)


def global_pool(method: str) -> NativeLowering:
    def lower(arguments: Arguments, at: FunctionCall, surroundings: Surroundings) -> str:
        return f"({arguments['x']}).{method}(axis=(2, 3))"

    return lower


def take_each(arguments: Arguments, at: FunctionCall, surroundings: Surroundings) -> str:
    x, ids = arguments["x"], arguments["ids"]
    assert at.type is not None
    more = ", None" * (at.type.rank - 2)
    return call("jnp.take_along_axis", x, f"({ids})[..., {more[2:]}]" if more else ids, axis="1")


def reflect_pad(arguments: Arguments, at: FunctionCall, surroundings: Surroundings) -> str:
    n = surroundings.text(at.statics["n"])
    return call("jnp.pad", arguments["x"], f"((0, 0), (0, 0), ({n}, {n}), ({n}, {n}))", mode='"reflect"')


def flatten(arguments: Arguments, at: FunctionCall, surroundings: Surroundings) -> str:
    x = arguments["x"]
    return f"{x}.reshape({x}.shape[0], -1)" if x.isidentifier() else f"jax.lax.collapse({x}, 1)"


def expand_to(arguments: Arguments, at: FunctionCall, surroundings: Surroundings) -> str:
    x, like = arguments["x"], arguments["like"]
    return f"{surroundings.helper('expand_to')}({x}, {like})"


def identity(arguments: Arguments, at: FunctionCall, surroundings: Surroundings) -> str:
    return arguments["x"]


def filled(name: str) -> NativeLowering:
    def lower(arguments: Arguments, at: FunctionCall, surroundings: Surroundings) -> str:
        return call(
            f"jnp.{name}",
            shape_text(at.statics["shape"], surroundings),
            surroundings.dtype("float"),
        )

    return lower


def shape_text(shape: Expr, surroundings: Surroundings) -> str:
    sizes = [surroundings.text(size) for size in elements(shape)]
    return f"({', '.join(sizes)},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


def noise(helper: str, option: str) -> NativeLowering:
    """A random function of the file's own; nothing where its rate is 0."""

    def lower(arguments: Arguments, at: FunctionCall, surroundings: Surroundings) -> str:
        if not at.random:
            return arguments["x"]
        amount = surroundings.text(at.statics[option])
        extra = {name: text for name, text in arguments.items() if name in ("training", "key")}
        return call(surroundings.helper(helper), arguments["x"], amount, **extra)

    return lower


FUNCTIONS: Mapping[str, NativeLowering] = {
    "relu": activation("jax.nn.relu"),
    "relu6": activation("jax.nn.relu6"),
    "elu": activation("jax.nn.elu", alpha="alpha"),
    "selu": activation("jax.nn.selu"),
    "celu": activation("jax.nn.celu", alpha="alpha"),
    "silu": activation("jax.nn.silu"),
    "gelu": gelu,
    "hard_sigmoid": activation("jax.nn.hard_sigmoid"),
    "hard_swish": activation("jax.nn.hard_swish"),
    "mish": activation("jax.nn.mish"),
    "log_sigmoid": activation("jax.nn.log_sigmoid"),
    "atan": activation("jnp.arctan"),
    "glu": activation("jax.nn.glu", axis="axis"),
    "softmax": activation("jax.nn.softmax", axis="axis"),
    "log_softmax": activation("jax.nn.log_softmax", axis="axis"),
    "log_sum_exp": activation("jax.nn.logsumexp", axis="axis", keep="keepdims"),
    "global_avg_pool": global_pool("mean"),
    "global_max_pool": global_pool("max"),
    "reflect_pad2d": reflect_pad,
    "flatten": flatten,
    "take_each": take_each,
    "expand_to": expand_to,
    "identity": identity,
    "zeros": filled("zeros"),
    "ones": filled("ones"),
    "dropout": noise("dropout", "p"),
    "stochastic_depth": noise("stochastic_depth", "p"),
    "gaussian_noise": noise("gaussian_noise", "std"),
}


def is_std(definition: Definition) -> bool:
    return definition.module.startswith("std/")


NATIVES: Mapping[str, Native] = {name: Native(name, is_std) for name in FUNCTIONS}
