"""Distributions: `normal(0.0, 0.02)` as a value, and as what the IR says of a weight or a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlc import ir, statics, values
from dlc.elaborate.arguments import arguments
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame
from dlc.ir import Const, Expr
from dlc.modules import plural, suggest
from dlc.values import STATIC, AnyValue, DistributionValue
from dlc_grammar import syntax

DISTRIBUTIONS: Mapping[str, tuple[tuple[str, float | None], ...]] = {
    "zeros": (),
    "ones": (),
    "constant": (("value", None),),
    "normal": (("mean", 0.0), ("std", 1.0)),
    "uniform": (("low", 0.0), ("high", 1.0)),
    "truncated_normal": (("mean", 0.0), ("std", 1.0)),
    "bernoulli": (("p", None),),
    "randint": (("low", None), ("high", None)),
    "fan_in_uniform": (),
    "he_normal": (),
    "he_uniform": (),
    "glorot_uniform": (),
    "glorot_normal": (),
    "lecun_normal": (),
    "orthogonal": (("gain", 1.0),),
    "gumbel": (),
}
"""Distributions and their arguments with defaults. The arguments keep these names in the IR."""
DRAWS = ("normal", "uniform", "bernoulli", "randint", "gumbel")
"""What `sample` draws from."""
ONLY_DRAWS = ("bernoulli", "randint", "gumbel")
"""What no weight starts with."""
AMBIGUOUS = {"zeros", "ones"}
"""Also tensor functions: a distribution only without arguments."""


def distribution(frame: Frame, node: syntax.Call) -> DistributionValue | None:
    """`normal(0.0, 0.02)` as a distribution, None where the call is something else."""
    assert isinstance(node.function, syntax.Name)
    name = node.function.id
    if name not in DISTRIBUTIONS or (name in AMBIGUOUS and (node.args or node.keywords)):
        return None
    given = arguments(frame, node)
    spec = DISTRIBUTIONS[name]
    found: dict[str, AnyValue] = {}
    if len(given.positional) > len(spec):
        raise fail(
            "E0211",
            f"`{name}` takes {plural(len(spec), 'argument')}, {len(given.positional)} given",
            node.span,
            "too many",
            help=f"its arguments are {', '.join(k for k, _ in spec)}" if spec else f"write {name}()",
        )
    for (key, _), (value, _span) in zip(spec, given.positional, strict=False):
        found[key] = value
    for key, (value, span) in given.keywords.items():
        if key not in dict(spec):
            raise fail(
                "E0210",
                f"`{name}` has no argument `{key}`",
                span,
                "not an argument",
                help=suggest(key, dict(spec))
                or (f"its arguments are {', '.join(dict(spec))}" if spec else f"write {name}()"),
            )
        if key in found:
            raise fail(
                "E0212", f"`{key}` is given twice", span, "given again here", help="remove one of the two"
            )
        found[key] = value
    args: dict[str, Expr] = {}
    for key, default in spec:
        value = found.get(key, Const(value=default))
        if not isinstance(value, STATIC) or not statics.is_number(value.value):
            missing = isinstance(value, STATIC) and value.value is None
            raise fail(
                "E0231",
                f"`{key}` of `{name}` is a number",
                node.span,
                f"`{key}` is missing" if missing else f"this is {values.describe(value)}",
                help=f"write for example {name}({key}=0.5)",
            )
        args[key] = value
    return DistributionValue(name, args)


def ir_distribution(value: AnyValue, span: Any, *, sample: bool = False) -> ir.Distribution:
    """A distribution for the IR, of a sample or of a weight, or E0231."""
    if isinstance(value, DistributionValue):
        if (value.name not in DRAWS) if sample else (value.name in ONLY_DRAWS):
            wanted = "a sample draws from " + ", ".join(DRAWS)
            raise fail(
                "E0231",
                f"`{value.name}` is not for {'samples' if sample else 'weights'}",
                span,
                "this distribution",
                help=wanted if sample else "write for example normal(0.0, 0.02) or uniform(-0.1, 0.1)",
            )
        return ir.Distribution(name=value.name, args=value.args)
    if isinstance(value, values.Poison):
        raise Failed(None)
    raise fail(
        "E0231",
        "a distribution is needed after `~`",
        span,
        f"this is {values.describe(value)}",
        help="write for example ~ normal(0.0, 0.02), ~ zeros() or ~ fan_in_uniform()",
    )
