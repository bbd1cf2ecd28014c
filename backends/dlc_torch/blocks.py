"""The std blocks that PyTorch has itself: what is claimed, how they are built, how their weights start.

In: the arguments of a layer by the names of the std definition (its parameters and sizes). Out: the text
of the constructor call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dlc.emit.expressions import Text, call
from dlc.ir import Const, Definition, Expr
from dlc_torch.lowering import Surroundings
from dlc_torch.natives import Accepts, always, has_input, input_sizes, static
from dlc_torch.recurrent import gru_text, lstm_text, rnn_text


@dataclass(frozen=True, slots=True)
class Arguments:
    """The compile-time arguments of one layer."""

    exprs: Mapping[str, Expr]
    around: Surroundings

    def __getitem__(self, name: str) -> Text:
        return self.around.text(self.exprs[name])

    def option(self, name: str, default: object) -> Text | None:
        """The text of an argument, None where it is literally PyTorch's default."""
        expr = self.exprs.get(name)
        if expr is None or (isinstance(expr, Const) and expr.value == default):
            return None
        return self.around.text(expr)

    def flag(self, name: str, default: bool) -> Text | None:
        return self.option(name, default)


Build = Callable[[Arguments], Text]

FAN_IN = ("fan_in_uniform", ())
ZEROS, ONES = ("zeros", ()), ("ones", ())
STANDARD_NORMAL = ("normal", (("mean", 0.0), ("std", 1.0)))
Start = tuple[str, tuple[tuple[str, float], ...]]


@dataclass(frozen=True, slots=True)
class NativeBlock:
    """A claim: how the layer is built, and from what PyTorch draws its weights.

    `starts` has the weights whose start equals one of the specification's distributions.
    `text` is a class that the file must define, from the options that the file uses (`reverse`, `h`);
    `names` are its weights where they have other names.
    """

    build: Build
    accepts: Accepts = always
    starts: Mapping[str, Start] = field(default_factory=dict)
    text: Callable[[frozenset[str]], str] | None = None
    names: Mapping[str, str] = field(default_factory=dict)


def linear(args: Arguments) -> Text:
    return call("nn.Linear", args["D"], args["out"], bias=args.flag("use_bias", True))


def convolution(name: str, args: Arguments) -> Text:
    return call(
        f"nn.{name}",
        args["C"],
        args["out"],
        args["kernel"],
        stride=args.option("stride", 1),
        padding=args.option("padding", 0),
        dilation=args.option("dilation", 1),
        groups=args.option("groups", 1),
        bias=args.flag("use_bias", True),
    )


def convolution_transpose(args: Arguments) -> Text:
    return call(
        "nn.ConvTranspose2d",
        args["C"],
        args["out"],
        args["kernel"],
        stride=args.option("stride", 1),
        padding=args.option("padding", 0),
        output_padding=args.option("output_padding", 0),
        bias=args.flag("use_bias", True),
    )


def accepts_convolution(definition: Definition) -> bool:
    """PyTorch's "same" is the definition's only with stride 1; it has no "causal"."""
    padding: object = static(definition, "padding", 0)
    return padding != "causal" and (padding != "same" or bool(static(definition, "stride", 1) == 1))


def batch_norm(name: str, args: Arguments) -> Text:
    return call(f"nn.{name}", args["C"], eps=args["eps"], momentum=args["momentum"])


def accepts_batch_norm1d(definition: Definition) -> bool:
    return len(input_sizes(definition, "x")) <= 3


def layer_norm(args: Arguments) -> Text:
    return call("nn.LayerNorm", args["D"], eps=args["eps"], bias=args.flag("use_bias", True))


def rms_norm(args: Arguments) -> Text:
    return call("nn.RMSNorm", args["D"], eps=args["eps"])


def group_norm(args: Arguments) -> Text:
    return call("nn.GroupNorm", args["groups"], args["C"], eps=args["eps"])


def instance_norm(args: Arguments) -> Text:
    return call("nn.InstanceNorm2d", args["C"], eps=args["eps"], affine=args.flag("affine", False))


def prelu2d(args: Arguments) -> Text:
    return call("nn.PReLU", args["C"])


def embedding(args: Arguments) -> Text:
    return call("nn.Embedding", args["vocab"], args["dim"])


def recurrent(name: str, args: Arguments) -> Text:
    return call(name, args["D"], args["hidden"], reverse=args.flag("reverse", False))


def accepts_recurrent(definition: Definition) -> bool:
    """PyTorch has no masks, and gives an LSTM both of its first states or none."""
    first = {has_input(definition, name) for name in ("h", "c") if name == "h" or definition.name == "LSTM"}
    return not has_input(definition, "mask") and len(first) == 1


ORTHOGONAL = ("orthogonal", (("gain", 1.0),))
AFFINE: Mapping[str, Start] = {"weight": ONES, "bias": ZEROS}
RUNNING: Mapping[str, Start] = {**AFFINE, "running_mean": ZEROS, "running_var": ONES}

BLOCKS: Mapping[str, NativeBlock] = {
    "Linear": NativeBlock(linear, starts={"weight": FAN_IN}),
    "Conv1d": NativeBlock(lambda args: convolution("Conv1d", args), accepts_convolution, {"weight": FAN_IN}),
    "Conv2d": NativeBlock(lambda args: convolution("Conv2d", args), accepts_convolution, {"weight": FAN_IN}),
    "ConvTranspose2d": NativeBlock(convolution_transpose, starts={"weight": FAN_IN}),
    "BatchNorm1d": NativeBlock(lambda args: batch_norm("BatchNorm1d", args), accepts_batch_norm1d, RUNNING),
    "BatchNorm2d": NativeBlock(lambda args: batch_norm("BatchNorm2d", args), starts=RUNNING),
    "LayerNorm": NativeBlock(layer_norm, starts=AFFINE),
    "RMSNorm": NativeBlock(rms_norm, starts=AFFINE),
    "GroupNorm": NativeBlock(group_norm, starts=AFFINE),
    "InstanceNorm2d": NativeBlock(instance_norm, starts=AFFINE),
    "PReLU2d": NativeBlock(prelu2d, starts={"weight": ("constant", (("value", 0.25),))}),
    "Embedding": NativeBlock(embedding, starts={"weight": STANDARD_NORMAL}),
    "SimpleRNN": NativeBlock(
        lambda args: recurrent("SimpleRNN", args),
        accepts_recurrent,
        {"w_x": FAN_IN, "w_h": ORTHOGONAL, "b": ZEROS},
        rnn_text,
        {"w_x": "weight_ih_l0", "w_h": "weight_hh_l0", "b": "bias_ih_l0"},
    ),
    "LSTM": NativeBlock(
        lambda args: recurrent("LSTM", args),
        accepts_recurrent,
        {"w_x": FAN_IN, "w_h": ORTHOGONAL, "b": ZEROS},
        lstm_text,
        {"w_x": "weight_ih_l0", "w_h": "weight_hh_l0", "b": "bias_ih_l0"},
    ),
    "GRU": NativeBlock(
        lambda args: recurrent("GRU", args),
        accepts_recurrent,
        {"w_x": FAN_IN, "w_h": ORTHOGONAL, "b_x": ZEROS, "b_h": ZEROS},
        gru_text,
        {
            "w_x": "weight_ih_l0",
            "w_h": "weight_hh_l0",
            "b_x": "bias_ih_l0",
            "b_h": "bias_hh_l0",
        },
    ),
}
