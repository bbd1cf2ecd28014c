"""Random draws and initial values in Keras' words.

In: a distribution's name, its arguments as text, and a shape. Out: Python text.
"""

from __future__ import annotations

from collections.abc import Mapping

from dlc.emit.expressions import Text, binary, call, negative

Texts = Mapping[str, Text]


def pick(arguments: Texts, **defaults: str) -> list[Text]:
    """Arguments by name, or by position where they go by other names."""
    if set(arguments) <= set(defaults):
        return [arguments.get(name, Text(default)) for name, default in defaults.items()]
    given = list(arguments.values())
    return [*given, *(Text(default) for default in list(defaults.values())[len(given) :])]


def unless(text: Text, *plain: str) -> Text | None:
    return None if text.code in plain else text


def draw_text(name: str, arguments: Texts, shape: Text, seed: str) -> Text:
    """A random tensor. A bernoulli mask is where a uniform draw is below p."""
    match name:
        case "bernoulli":
            (p,) = pick(arguments, p="0.5")
            return binary("<", call("keras.random.uniform", shape, seed=seed), p)
        case "normal" | "truncated_normal":
            mean, std = pick(arguments, mean="0.0", std="1.0")
            options = {"mean": unless(mean, "0.0", "0"), "stddev": unless(std, "1.0", "1")}
            return call(f"keras.random.{name}", shape, **options, seed=seed)
        case "uniform":
            low, high = pick(arguments, low="0.0", high="1.0")
            options = {"minval": unless(low, "0.0", "0"), "maxval": unless(high, "1.0", "1")}
            return call("keras.random.uniform", shape, **options, seed=seed)
        case "randint":
            low, high = pick(arguments, low="0", high="1")
            return call("keras.random.randint", shape, low, high, seed=seed)
        case "exponential":
            (rate,) = pick(arguments, rate="1.0")
            drawn = negative(call("ops.log", call("keras.random.uniform", shape, seed=seed)))
            return drawn if rate.code in ("1.0", "1") else binary("/", drawn, rate)
        case "gumbel":
            inner = negative(call("ops.log", call("keras.random.uniform", shape, seed=seed)))
            return negative(call("ops.log", inner))
    raise AssertionError(f"no draw from `{name}`")


SCALING = {
    "fan_in_uniform": ("1 / 3", "fan_in", "uniform"),
    "he_normal": ("2.0", "fan_in", "untruncated_normal"),
    "lecun_normal": ("1.0", "fan_in", "untruncated_normal"),
    "glorot_normal": ("1.0", "fan_avg", "untruncated_normal"),
    "glorot_uniform": ("1.0", "fan_avg", "uniform"),
}
"""Scale, mode and distribution of Keras' `VarianceScaling`: its named initialisers are truncated."""

SCALED: Mapping[str, str] = {
    name: f'''\
def {name}() -> keras.Initializer:
    """Return a new initializer: one that is shared draws the same numbers again."""
    return keras.initializers.VarianceScaling(
        scale={scale}, mode="{mode}", distribution="{kind}"
    )
'''
    for name, (scale, mode, kind) in SCALING.items()
}
"""Functions of a generated file, for weights in Keras' own layout."""


def initializer(name: str, arguments: Texts) -> Text | None:
    """The initialiser of a weight whose scale does not depend on its shape; None for the others."""
    match name:
        case "zeros" | "ones":
            return Text(f'"{name}"')
        case "constant":
            (value,) = pick(arguments, value="0.0")
            return call("keras.initializers.Constant", value)
        case "normal" | "truncated_normal":
            mean, std = pick(arguments, mean="0.0", std="1.0")
            kind = "RandomNormal" if name == "normal" else "TruncatedNormal"
            return call(f"keras.initializers.{kind}", mean=unless(mean, "0.0", "0"), stddev=std)
        case "uniform":
            low, high = pick(arguments, low="0.0", high="1.0")
            return call("keras.initializers.RandomUniform", low, high)
        case "orthogonal":
            (gain,) = pick(arguments, gain="1.0")
            return call("keras.initializers.Orthogonal", gain=unless(gain, "1.0", "1"))
    return None


def own_initializer(name: str, arguments: Texts, shape: list[Text]) -> Text | None:
    """The initialiser of a weight `[out, in, ...]`, whose fans Keras would take the wrong way round."""
    if name not in SCALING or len(shape) == 0:
        return initializer(name, arguments)
    inside = shape[1:] if len(shape) > 1 else shape
    fan_in, fan_out = product(inside), product([shape[0], *shape[2:]])
    match name:
        case "fan_in_uniform":
            bound = binary("**", fan_in, Text("-0.5"))
            return call("keras.initializers.RandomUniform", negative(bound), bound)
        case "he_normal":
            spread = binary("/", Text("2"), fan_in)
        case "lecun_normal":
            spread = binary("/", Text("1"), fan_in)
        case "glorot_normal":
            spread = binary("/", Text("2"), binary("+", fan_in, fan_out))
        case _:
            spread = binary("/", Text("6"), binary("+", fan_in, fan_out))
    width = binary("**", spread, Text("0.5"))
    if name == "glorot_uniform":
        return call("keras.initializers.RandomUniform", negative(width), width)
    return call("keras.initializers.RandomNormal", stddev=width)


def product(sizes: list[Text]) -> Text:
    result = sizes[0]
    for size in sizes[1:]:
        result = binary("*", result, size)
    return result
