"""Random draws and initial weights in PyTorch.

In: a distribution of the specification. Out: the expression of a draw, or the statements that start a
weight. Draws use the functions that a parity run replaces.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc.emit.expressions import Text, binary, call, literal, method, negative, tuple_of
from dlc.ir import Const, Distribution, Expr, TensorType
from dlc_torch.lowering import Surroundings

EMPTY = Text("()")


def is_value(expr: Expr | None, value: float) -> bool:
    return isinstance(expr, Const) and bool(expr.value == value)


def draw(distribution: Distribution, type_: TensorType, around: Surroundings) -> Text:
    """One draw of a shape, as the spec's distribution scales it."""
    sizes = [around.text(size) for size in type_.shape]
    args = distribution.args
    device = around.device

    def standard(name: str) -> Text:
        return call(f"torch.{name}", *(sizes or [EMPTY]), dtype=around.dtype("float"), device=device)

    match distribution.name:
        case "normal":
            return scaled(standard("randn"), args["mean"], args["std"], around)
        case "uniform":
            low, high = args["low"], args["high"]
            if is_value(low, 0.0) and is_value(high, 1.0):
                return standard("rand")
            width = binary("-", around.text(high), around.text(low))
            if is_value(low, 0.0):
                width = around.text(high)
            return shifted(binary("*", standard("rand"), width), low, around)
        case "bernoulli":
            probability = around.text(args["p"])
            rate = call("torch.full", tuple_of(sizes), probability, device=device)
            drawn = call("torch.bernoulli", rate)
            return method(drawn, "bool") if type_.dtype == "bool" else drawn
        case "randint":
            bounds = (around.text(args[name]) for name in ("low", "high"))
            return call("torch.randint", *bounds, tuple_of(sizes), device=device)
        case "exponential":
            noise = negative(call("torch.log1p", negative(standard("rand"))))
            return binary("/", noise, around.text(args["rate"]))
        case "gumbel":
            return negative(call("torch.log", negative(call("torch.log", standard("rand")))))
    raise AssertionError(f"no draw from {distribution.name}")


def scaled(noise: Text, mean: Expr, deviation: Expr, around: Surroundings) -> Text:
    if not is_value(deviation, 1.0):
        noise = binary("*", noise, around.text(deviation))
    return shifted(noise, mean, around)


def shifted(value: Text, start: Expr, around: Surroundings) -> Text:
    return value if is_value(start, 0.0) else binary("+", value, around.text(start))


# ---------------------------------------------------------------- initial weights


def filled(distribution: Distribution, sizes: Sequence[Text], around: Surroundings) -> Text | None:
    """A tensor that holds its initial values at once, None where they must be drawn."""
    match distribution.name:
        case "zeros" | "ones":
            return call(f"torch.{distribution.name}", *(sizes or [EMPTY]))
        case "constant":
            return call("torch.full", tuple_of(sizes), around.text(distribution.args["value"]))
    return None


def initialise(distribution: Distribution, weight: Text, rank: int, around: Surroundings) -> Text | None:
    """The call of `nn.init` that draws a weight in place."""
    args = {name: around.text(expr) for name, expr in distribution.args.items()}
    match distribution.name:
        case "zeros" | "ones":
            return call(f"nn.init.{distribution.name}_", weight)
        case "constant":
            return call("nn.init.constant_", weight, args["value"])
        case "normal":
            mean = None if is_value(distribution.args["mean"], 0.0) else args["mean"]
            std = None if is_value(distribution.args["std"], 1.0) else args["std"]
            return call("nn.init.normal_", weight, mean=mean, std=std)
        case "truncated_normal":
            return truncated(distribution, weight, around)
        case "uniform":
            return call("nn.init.uniform_", weight, args["low"], args["high"])
        case "orthogonal":
            gain = None if is_value(distribution.args["gain"], 1.0) else args["gain"]
            return call("nn.init.orthogonal_", weight, gain=gain)
        case "fan_in_uniform" if rank < 2:
            return call("nn.init.uniform_", weight, f"-len({weight}) ** -0.5", f"len({weight}) ** -0.5")
        case "fan_in_uniform":
            return call("nn.init.kaiming_uniform_", weight, a="5**0.5")
        case "he_normal":
            return call("nn.init.kaiming_normal_", weight, nonlinearity='"relu"')
        case "lecun_normal":
            return call("nn.init.kaiming_normal_", weight, nonlinearity='"linear"')
        case "glorot_normal" | "glorot_uniform":
            return call(f"nn.init.xavier_{distribution.name.split('_')[1]}_", weight)
    raise AssertionError(f"no initial value from {distribution.name}")


def truncated(distribution: Distribution, weight: Text, around: Surroundings) -> Text:
    """Cut at two standard deviations: PyTorch's bounds are not multiples of the deviation."""
    mean, deviation = distribution.args["mean"], distribution.args["std"]
    centre, std = around.text(mean), around.text(deviation)
    if isinstance(mean, Const) and isinstance(deviation, Const):
        low = literal(mean.value - 2 * deviation.value)
        high = literal(mean.value + 2 * deviation.value)
    else:
        twice = binary("*", Text("2"), std)
        low, high = binary("-", centre, twice), binary("+", centre, twice)
    return call("nn.init.trunc_normal_", weight, mean=centre, std=std, a=low, b=high)
