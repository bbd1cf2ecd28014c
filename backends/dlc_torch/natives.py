"""The std functions that PyTorch has itself: what is claimed, and how it is written.

In: a `NativeCall`. Out: the text of the expression. Every default that differs among frameworks is written
out. The blocks that PyTorch has are in `dlc_torch.blocks`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from dlc.backend import Native
from dlc.emit.expressions import Text, binary, call, choice, list_of, literal, method, subscript, tuple_of
from dlc.ir import Const, Definition, Expr, TensorType, Value
from dlc_torch.lowering import Operand, Surroundings


@dataclass(frozen=True, slots=True)
class NativeCall:
    """A claimed std function applied: its tensors and compile-time arguments by name."""

    args: Mapping[str, Operand | None]
    statics: Mapping[str, Expr]
    type: TensorType | None
    around: Surroundings
    training: bool = True
    """Whether the result depends on the mode: no dropout happens where it does not."""

    def tensor(self, name: str) -> Text:
        operand = self.args[name]
        assert operand is not None
        return operand.text

    def rank(self, name: str) -> int:
        operand = self.args[name]
        return operand.rank if operand else 0

    def given(self, name: str) -> Text | None:
        """An optional tensor, None where it is absent."""
        operand = self.args.get(name)
        return operand.text if operand else None

    def may_be_absent(self, name: str) -> bool:
        """Whether an optional tensor is absent in some calls of the unit."""
        operand = self.args.get(name)
        return operand is not None and operand.is_optional

    def value(self, name: str, default: Value = None) -> Value:
        return self.statics[name].value if name in self.statics else default

    def text(self, name: str) -> Text:
        return self.around.text(self.statics[name])

    def option(self, name: str, default: Value) -> Text | None:
        """The text of a compile-time argument, None where it is literally the default."""
        expr = self.statics.get(name)
        if expr is None or (isinstance(expr, Const) and expr.value == default):
            return None
        return self.around.text(expr)


Writer = Callable[[NativeCall], Text]
Accepts = Callable[[Definition], bool]


def always(definition: Definition) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class NativeFunction:
    """A claim with its text."""

    write: Writer
    accepts: Accepts = always


def static(definition: Definition, name: str, default: Value = None) -> Value:
    """The value of a compile-time parameter."""
    expr = definition.statics.get(name)
    return default if expr is None else expr.value


def has_input(definition: Definition, name: str) -> bool:
    return any(given.name == name and given.tensor is not None for given in definition.inputs)


def input_sizes(definition: Definition, name: str) -> tuple[object, ...]:
    """The sizes of an input."""
    for given in definition.inputs:
        if given.name == name and given.tensor is not None:
            return given.tensor.type.sizes
    return ()


# ---------------------------------------------------------------- activations and normalising functions


def activation(name: str, app: NativeCall, **options: str) -> Text:
    """`F.name(x, option=static)`: `options` pairs PyTorch's names with those of the definition."""
    named = {option: app.text(parameter) for option, parameter in options.items()}
    return call(name, app.tensor("x"), **named)


def gelu(app: NativeCall) -> Text:
    kind = app.value("kind", "erf")
    return call("F.gelu", app.tensor("x"), approximate='"tanh"' if kind == "tanh" else '"none"')


def expand_to(app: NativeCall) -> Text:
    """`x[:, None, None, None]`."""
    return subscript(app.tensor("x"), ":", *["None"] * (app.rank("like") - 1))


def hard_sigmoid(app: NativeCall) -> Text:
    """The gradient of `F.hardsigmoid` has a float32 constant."""
    shifted = binary("+", app.tensor("x"), Text("3.0"))
    return binary("/", call("F.relu6", shifted), Text("6.0"))


def along_axis(name: str, app: NativeCall) -> Text:
    return call(name, app.tensor("x"), dim=app.text("axis"))


def log_sum_exp(app: NativeCall) -> Text:
    keep = "True" if app.value("keep", False) else None
    return call("torch.logsumexp", app.tensor("x"), dim=app.text("axis"), keepdim=keep)


def l2_normalize(app: NativeCall) -> Text:
    """PyTorch bounds the length from below, the definition its square."""
    eps = app.statics["eps"]
    root = literal(math.sqrt(eps.value)) if isinstance(eps, Const) else app.text("eps")
    if not isinstance(eps, Const):
        root = Text(f"{root.atom} ** 0.5")
    return call("F.normalize", app.tensor("x"), dim=app.text("axis"), eps=root)


def dropout(app: NativeCall) -> Text:
    if not app.training:
        return app.tensor("x")
    return call("F.dropout", app.tensor("x"), app.text("p"), app.around.training)


def clip(app: NativeCall) -> Text:
    return method(app.tensor("x"), "clamp", app.text("low"), app.text("high"))


# ---------------------------------------------------------------- attention


def accepts_attention(definition: Definition) -> bool:
    """`is_causal` aligns the first query with the first key, the definition the last with the last."""
    if not static(definition, "causal", False):
        return True
    queries, keys = input_sizes(definition, "q"), input_sizes(definition, "k")
    plain = static(definition, "window") is None and queries[2:3] == keys[2:3]
    return plain and not has_input(definition, "mask") and not has_input(definition, "bias")


def attention(app: NativeCall) -> Text:
    mask, bias = app.given("mask"), app.given("bias")
    if bias is not None and mask is not None:
        masked = method(bias, "masked_fill", Text(f"~{mask.atom}"), 'float("-inf")')
        if app.may_be_absent("mask"):
            masked = choice(Text(f"{mask.atom} is None"), bias, masked)
        bias = choice(Text(f"{bias.atom} is None"), mask, masked) if app.may_be_absent("bias") else masked
    drop = app.statics.get("drop")
    rate = None
    if app.training and drop is not None and not (isinstance(drop, Const) and drop.value == 0.0):
        rate = choice(app.around.training, app.around.text(drop), Text("0.0"))
    return call(
        "F.scaled_dot_product_attention",
        *(app.tensor(name) for name in ("q", "k", "v")),
        attn_mask=bias or mask,
        dropout_p=rate,
        is_causal=causal_text(app),
        scale=app.option("scale", None),
    )


def causal_text(app: NativeCall) -> Text | None:
    """Whether attention is causal: written where it is, or where it depends on an argument."""
    causal = app.statics.get("causal")
    if causal is None or (isinstance(causal, Const) and not causal.value):
        return None
    return app.around.text(causal)


# ---------------------------------------------------------------- losses


def classification(name: str, app: NativeCall) -> Text:
    """`F.cross_entropy` wants classes on the second axis: other axes are joined with the first."""
    first = "logits" if name == "F.cross_entropy" else "logp"
    scores, target = app.tensor(first), app.tensor("target")
    if app.rank(first) == 1:
        scores, target = method(scores, "unsqueeze", "0"), method(target, "unsqueeze", "0")
    if app.rank(first) > 2:
        scores, target = method(scores, "flatten", "0", "-2"), method(target, "flatten")
    ignore, smooth = app.option("ignore", -100), app.option("smooth", 0.0)
    if ignore is None:
        return call(name, scores, target, label_smoothing=smooth)
    total = call(name, scores, target, ignore_index=ignore, reduction='"sum"', label_smoothing=smooth)
    counted = method(binary("!=", app.tensor("target"), ignore), "sum")
    return binary("/", total, method(counted, "clamp", min="1"))


def loss(name: str, first: str, second: str, app: NativeCall, **options: str) -> Text:
    named = {option: app.text(parameter) for option, parameter in options.items()}
    return call(name, app.tensor(first), app.tensor(second), **named)


def ctc_loss(app: NativeCall) -> Text:
    """PyTorch wants log-probabilities with the frames first."""
    logp = method(call("F.log_softmax", app.tensor("logits"), dim="-1"), "transpose", "0", "1")
    return call(
        "F.ctc_loss",
        logp,
        *(app.tensor(name) for name in ("targets", "input_length", "target_length")),
        blank=app.option("blank", 0),
        reduction='"none"',
        zero_infinity="True",
    )


def same_shapes(first: str, second: str, definition: Definition) -> bool:
    return input_sizes(definition, first) == input_sizes(definition, second)


# ---------------------------------------------------------------- shapes


def take_each(app: NativeCall) -> Text:
    """`torch.take_along_dim(x, ids[:, :, None], dim=1)`."""
    ids, more = app.tensor("ids"), app.rank("x") - 2
    at = subscript(ids, ":", ":", *["None"] * more) if more else ids
    return call("torch.take_along_dim", app.tensor("x"), at, dim="1")


def reflect_pad(app: NativeCall) -> Text:
    sides = binary("*", list_of([app.text("n")]), Text("4"))
    return call("F.pad", app.tensor("x"), sides, mode='"reflect"')


def global_pool(name: str, app: NativeCall) -> Text:
    return method(app.tensor("x"), name, dim=tuple_of(("2", "3")))


FUNCTIONS: Mapping[str, NativeFunction] = {
    "relu": NativeFunction(partial(activation, "F.relu")),
    "relu6": NativeFunction(partial(activation, "F.relu6")),
    "leaky_relu": NativeFunction(partial(activation, "F.leaky_relu", negative_slope="slope")),
    "elu": NativeFunction(partial(activation, "F.elu", alpha="alpha")),
    "selu": NativeFunction(partial(activation, "F.selu")),
    "celu": NativeFunction(partial(activation, "F.celu", alpha="alpha")),
    "silu": NativeFunction(partial(activation, "F.silu")),
    "gelu": NativeFunction(gelu),
    "hard_sigmoid": NativeFunction(hard_sigmoid),
    "hard_swish": NativeFunction(partial(activation, "F.hardswish")),
    "hard_tanh": NativeFunction(partial(activation, "F.hardtanh")),
    "mish": NativeFunction(partial(activation, "F.mish")),
    "softsign": NativeFunction(partial(activation, "F.softsign")),
    "log_sigmoid": NativeFunction(partial(activation, "F.logsigmoid")),
    "atan": NativeFunction(partial(activation, "torch.atan")),
    "glu": NativeFunction(partial(along_axis, "F.glu")),
    "clip": NativeFunction(clip),
    "softmax": NativeFunction(partial(along_axis, "F.softmax")),
    "log_softmax": NativeFunction(partial(along_axis, "F.log_softmax")),
    "log_sum_exp": NativeFunction(log_sum_exp),
    "l2_normalize": NativeFunction(l2_normalize),
    "dropout": NativeFunction(dropout),
    "attention": NativeFunction(attention, accepts_attention),
    "cross_entropy": NativeFunction(partial(classification, "F.cross_entropy")),
    "nll": NativeFunction(partial(classification, "F.nll_loss")),
    "mse": NativeFunction(partial(loss, "F.mse_loss", "a", "b")),
    "l1": NativeFunction(partial(loss, "F.l1_loss", "a", "b")),
    "huber": NativeFunction(partial(loss, "F.huber_loss", "a", "b", delta="delta")),
    "smooth_l1": NativeFunction(partial(loss, "F.smooth_l1_loss", "a", "b", beta="beta")),
    "ctc_loss": NativeFunction(ctc_loss),
    "bce_with_logits": NativeFunction(
        partial(loss, "F.binary_cross_entropy_with_logits", "logits", "target"),
        partial(same_shapes, "logits", "target"),
    ),
    "global_avg_pool": NativeFunction(partial(global_pool, "mean")),
    "global_max_pool": NativeFunction(partial(global_pool, "amax")),
    "reflect_pad2d": NativeFunction(reflect_pad),
    "flatten": NativeFunction(lambda app: method(app.tensor("x"), "flatten", "1")),
    "pixel_shuffle": NativeFunction(lambda app: call("F.pixel_shuffle", app.tensor("x"), app.text("r"))),
    "expand_to": NativeFunction(expand_to),
    "take_each": NativeFunction(take_each),
    "identity": NativeFunction(lambda app: app.tensor("x")),
}


def natives(blocks: Mapping[str, Accepts]) -> Mapping[str, Native]:
    """The claims of this backend: functions, and the given blocks."""
    functions = {name: Native(name, claim.accepts) for name, claim in FUNCTIONS.items()}
    return functions | {name: Native(name, accepts) for name, accepts in blocks.items()}
