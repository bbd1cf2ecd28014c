"""Std definitions that Keras has its own words for: layers of `keras.layers`, functions of `keras.ops`.

Each claim equals its definition. Where Keras or TensorFlow rounds a constant to float32 on the way
(`gelu`, `leaky_relu`), the claim is not exact, and float64 runs use the definition. BatchNorm is written
from its definition: Keras keeps the biased variance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dlc.backend import Native
from dlc.emit.expressions import Text, call, literal
from dlc.emit.plan import FunctionCall
from dlc.ir import Apply, Const, Definition, Distribution, Expr
from dlc_keras.distributions import SCALED, initializer
from dlc_keras.layout_classes import every_node, is_std
from dlc_keras.layout_rules import CHANNELS_LAST
from dlc_keras.lowering import Surroundings

Arguments = Mapping[str, Text]
Axes = tuple[int, ...]


def static(statics: Mapping[str, Expr], name: str, around: Surroundings, default: object) -> Text | None:
    """A compile-time argument, None where it is literally the default that Keras has too."""
    expr = statics.get(name)
    if expr is None or (isinstance(expr, Const) and expr.value == default):
        return None
    return around.text(expr)


# ---------------------------------------------------------------- functions

FunctionLowering = Callable[[Arguments, FunctionCall, Surroundings], Text]


def function(name: str, **renamed: tuple[str, object]) -> FunctionLowering:
    """`ops.name(x, option=...)`; `renamed`: Keras' option and its default for each static."""

    def lower(arguments: Arguments, at: FunctionCall, around: Surroundings) -> Text:
        assert set(renamed) <= set(at.statics), f"{at.name} needs {', '.join(renamed)}"
        options = {
            theirs: static(at.statics, ours, around, default) for ours, (theirs, default) in renamed.items()
        }
        return call(f"ops.{name}", *arguments.values(), **options)

    return lower


def gelu(arguments: Arguments, at: FunctionCall, around: Surroundings) -> Text:
    kind = at.statics.get("kind", Const(value="erf"))
    tanh = literal(kind.value == "tanh")
    approximate = tanh if isinstance(kind, Const) else Text(f'{around.text(kind)} == "tanh"')
    return call("ops.gelu", arguments["x"], approximate=approximate)


def identity(arguments: Arguments, at: FunctionCall, around: Surroundings) -> Text:
    return arguments["x"]


def filled(name: str) -> FunctionLowering:
    def lower(arguments: Arguments, at: FunctionCall, around: Surroundings) -> Text:
        return call(f"ops.{name}", around.text(at.statics["shape"]))

    return lower


def dropout(arguments: Arguments, at: FunctionCall, around: Surroundings) -> Text:
    """`training` and `seed` are added by the caller."""
    if isinstance(at.statics["p"], Const) and at.statics["p"].value == 0.0:
        return arguments["x"]
    rate = around.text(at.statics["p"])
    return call(around.helper("dropout"), arguments["x"], rate, arguments["seed"], arguments["training"])


def flatten(arguments: Arguments, at: FunctionCall, around: Surroundings) -> Text:
    return call(around.helper("flatten"), arguments["x"])


def expand_to(arguments: Arguments, at: FunctionCall, around: Surroundings) -> Text:
    return call(around.helper("expand_to"), arguments["x"], arguments["like"])


def global_pool(name: str) -> FunctionLowering:
    def lower(arguments: Arguments, at: FunctionCall, around: Surroundings) -> Text:
        return call(f"ops.{name}", arguments["x"], axis=Text("(1, 2)"))

    return lower


def take_each(arguments: Arguments, at: FunctionCall, around: Surroundings) -> Text:
    assert at.type is not None
    ids = arguments["ids"]
    for _ in range(at.type.rank - 2):
        ids = call("ops.expand_dims", ids, axis=Text("-1"))
    return call("ops.take_along_axis", arguments["x"], ids, axis=Text("1"))


def keeps_layout(definition: Definition) -> bool:
    """Whether the layout pass has left the axes of a definition alone."""
    nodes = every_node(definition.body)
    return is_std(definition) and not any(isinstance(n, Apply) and n.op == "transpose" for n in nodes)


def reflect_pad(arguments: Arguments, at: FunctionCall, around: Surroundings) -> Text:
    n = around.text(at.statics["n"]).code
    return call("ops.pad", arguments["x"], f"((0, 0), ({n}, {n}), ({n}, {n}), (0, 0))", mode='"reflect"')


def mirrors_channels_last(definition: Definition) -> bool:
    """Whether the layout pass stores this definition's images channels last."""
    nodes = every_node(definition.body)
    flips = [node.attrs["axis"].value for node in nodes if isinstance(node, Apply) and node.op == "flip"]
    return is_std(definition) and flips == [1, 1, 2, 2]


def pools_channels_last(definition: Definition) -> bool:
    """Whether the layout pass stores this definition's images channels last."""
    axes = [node.attrs["axis"].value for node in every_node(definition.body) if isinstance(node, Apply)]
    return is_std(definition) and axes == [(1, 2)]


@dataclass(frozen=True)
class FunctionNative:
    lower: FunctionLowering
    accepts: Callable[[Definition], bool] = is_std
    exact: bool = True


FUNCTIONS: Mapping[str, FunctionNative] = {
    "relu": FunctionNative(function("relu")),
    "relu6": FunctionNative(function("relu6")),
    "leaky_relu": FunctionNative(function("leaky_relu", slope=("negative_slope", 0.2)), exact=False),
    "elu": FunctionNative(function("elu", alpha=("alpha", 1.0))),
    "selu": FunctionNative(function("selu"), exact=False),
    "celu": FunctionNative(function("celu", alpha=("alpha", 1.0))),
    "silu": FunctionNative(function("silu")),
    "gelu": FunctionNative(gelu, exact=False),
    "hard_sigmoid": FunctionNative(function("hard_sigmoid")),
    "hard_swish": FunctionNative(function("hard_silu")),
    "softsign": FunctionNative(function("softsign")),
    "log_sigmoid": FunctionNative(function("log_sigmoid")),
    "atan": FunctionNative(function("arctan")),
    "softmax": FunctionNative(function("softmax", axis=("axis", -1))),
    "log_softmax": FunctionNative(function("log_softmax", axis=("axis", -1))),
    "log_sum_exp": FunctionNative(function("logsumexp", axis=("axis", None), keep=("keepdims", False))),
    "identity": FunctionNative(identity),
    "take_each": FunctionNative(take_each, keeps_layout),
    "zeros": FunctionNative(filled("zeros")),
    "ones": FunctionNative(filled("ones")),
    "dropout": FunctionNative(dropout),
    "flatten": FunctionNative(flatten),
    "expand_to": FunctionNative(expand_to),
    "reflect_pad2d": FunctionNative(reflect_pad, mirrors_channels_last),
    "global_avg_pool": FunctionNative(global_pool("mean"), pools_channels_last),
    "global_max_pool": FunctionNative(global_pool("max"), pools_channels_last),
}

# ---------------------------------------------------------------- layers


STARTS: Mapping[tuple[str, str], Distribution] = {
    **{(name, "weight"): Distribution(name="fan_in_uniform") for name in ("Linear", "Conv1d", "Conv2d")},
    ("Embedding", "weight"): Distribution(name="normal"),
}
"""What std draws weights from, where Keras would draw them otherwise."""


@dataclass(frozen=True)
class Making:
    """A layer to construct: its arguments, initial distributions, and the surroundings."""

    unit: str
    arguments: Mapping[str, Expr]
    inits: Mapping[str, Distribution]
    around: Surroundings

    def text(self, name: str) -> Text:
        return self.around.text(self.arguments[name])

    def unless(self, name: str, default: object) -> Text | None:
        return static(self.arguments, name, self.around, default)

    def initial(self, weight: str, default: str) -> Text | None:
        """The initialiser of a weight, None where it is Keras' default."""
        init = self.inits.get(weight) or STARTS.get((self.unit, weight))
        if init is None:
            return None
        if init.name in SCALED:
            return call(self.around.helper(init.name))
        text = initializer(init.name, {k: self.around.text(v) for k, v in init.args.items()})
        return None if text is None or text.code == f'"{default}"' else text


@dataclass(frozen=True)
class LayerNative:
    """A class of `keras.layers`: how to make it, and where it keeps the specification's weights.

    `weights`: by name, Keras' attribute and the axes that bring the specification's layout into Keras'.
    `shape`: an input shape to build it with, as text over `layer` and its first tensor `weight`.
    """

    keras: str
    make: Callable[[Making], dict[str, Text | None]]
    weights: Mapping[str, tuple[str, Axes]]
    shape: str
    accepts: Callable[[Definition], bool] = is_std


def dense(at: Making) -> dict[str, Text | None]:
    return {
        "units": at.text("out"),
        "use_bias": at.unless("use_bias", True),
        "kernel_initializer": at.initial("weight", "glorot_uniform"),
        "bias_initializer": at.initial("bias", "zeros"),
    }


def convolution(at: Making) -> dict[str, Text | None]:
    return {
        "filters": at.text("out"),
        "kernel_size": at.text("kernel"),
        "strides": at.unless("stride", 1),
        "padding": padding(at),
        "dilation_rate": at.unless("dilation", 1),
        "groups": at.unless("groups", 1),
        "use_bias": at.unless("use_bias", True),
        "kernel_initializer": at.initial("weight", "glorot_uniform"),
        "bias_initializer": at.initial("bias", "zeros"),
    }


def padding(at: Making) -> Text | None:
    """None for no padding, a mode of Keras where one is equal, else the number on each side."""
    if at.arguments.get("padding", Const(value=0)) == Const(value=0):
        return None
    names = ("padding", "kernel", "stride", "dilation")
    given = [
        at.arguments.get(name, Const(value=default))
        for name, default in zip(names, (0, 1, 1, 1), strict=True)
    ]
    if all(isinstance(expr, Const) for expr in given) or isinstance(given[0].value, str):
        sides, kernel, stride, dilation = (expr.value for expr in given)
        if isinstance(sides, str):
            return at.text("padding")
        if stride == 1 and kernel % 2 == 1 and 2 * sides == dilation * (kernel - 1):
            return Text('"same"')
    return at.text("padding")


def is_padded(making: Mapping[str, Text | None]) -> bool:
    """Whether a convolution pads by a number, which Keras' own layer cannot."""
    sides = making.get("padding")
    return sides is not None and not sides.code.startswith('"')


def accepts_convolution(definition: Definition) -> bool:
    """Keras refuses stride and dilation together."""
    stride, dilation = (definition.statics[name].value for name in ("stride", "dilation"))
    return is_std(definition) and (stride == 1 or dilation == 1)


def embedding(at: Making) -> dict[str, Text | None]:
    return {
        "input_dim": at.text("vocab"),
        "output_dim": at.text("dim"),
        "embeddings_initializer": at.initial("weight", "uniform"),
    }


def normalization(at: Making) -> dict[str, Text | None]:
    return {
        "epsilon": at.text("eps"),
        "gamma_initializer": at.initial("weight", "ones"),
        "beta_initializer": at.initial("bias", "zeros"),
    }


def layer_norm(at: Making) -> dict[str, Text | None]:
    return {**normalization(at), "center": at.unless("use_bias", True)}


def group_norm(at: Making) -> dict[str, Text | None]:
    return {"groups": at.text("groups"), **normalization(at)}


def rms_norm(at: Making) -> dict[str, Text | None]:
    return {"epsilon": at.text("eps")}


def accepts_group_norm(definition: Definition) -> bool:
    """Only images that the layout pass stores channels last."""
    tensor = definition.inputs[0].tensor
    channels = next((w.tensor.type.shape[0].value for w in definition.weights), None)
    if not is_std(definition) or tensor is None or tensor.type.rank not in CHANNELS_LAST:
        return False
    return bool(tensor.type.shape[-1].value == channels)


def accepts_rms_norm(definition: Definition) -> bool:
    return is_std(definition) and all(init.init.name == "ones" for init in definition.weights)


LAYERS: Mapping[str, LayerNative] = {
    "Linear": LayerNative(
        "Dense",
        dense,
        {"weight": ("kernel", (1, 0)), "bias": ("bias", (0,))},
        "(None, weight.shape[1])",
    ),
    "Conv1d": LayerNative(
        "Conv1D",
        convolution,
        {"weight": ("kernel", (2, 1, 0)), "bias": ("bias", (0,))},
        "(None, None, weight.shape[1] * layer.groups)",
        accepts_convolution,
    ),
    "Conv2d": LayerNative(
        "Conv2D",
        convolution,
        {"weight": ("kernel", (2, 3, 1, 0)), "bias": ("bias", (0,))},
        "(None, None, None, weight.shape[1] * layer.groups)",
        accepts_convolution,
    ),
    "Embedding": LayerNative("Embedding", embedding, {"weight": ("embeddings", (0, 1))}, "(None,)"),
    "LayerNorm": LayerNative(
        "LayerNormalization",
        layer_norm,
        {"weight": ("gamma", (0,)), "bias": ("beta", (0,))},
        "(None, weight.shape[0])",
    ),
    "RMSNorm": LayerNative(
        "RMSNormalization", rms_norm, {"weight": ("scale", (0,))}, "(None, weight.shape[0])", accepts_rms_norm
    ),
    "GroupNorm": LayerNative(
        "GroupNormalization",
        group_norm,
        {"weight": ("gamma", (0,)), "bias": ("beta", (0,))},
        "(None, None, None, weight.shape[0])",
        accepts_group_norm,
    ),
}

NATIVES: Mapping[str, Native] = {
    **{name: Native(name, native.accepts, native.exact) for name, native in FUNCTIONS.items()},
    **{name: Native(name, layer.accepts) for name, layer in LAYERS.items()},
}
