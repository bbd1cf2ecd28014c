"""Draws: initial values of parameters, and samples while the model runs."""

from __future__ import annotations

from collections.abc import Mapping

from dlc_jax.lowering import call

Texts = Mapping[str, str]
FIXED = frozenset(("zeros", "ones", "constant"))
"""Distributions that need no key."""


def scaled(draw: str, mean: str, std: str) -> str:
    """`mean + std * draw`, without the parts that do nothing."""
    if std not in ("1.0", "1"):
        draw = f"({std}) * {draw}"
    return draw if mean in ("0.0", "0") else f"({mean}) + {draw}"


def pick(arguments: Texts, *defaults: tuple[str, str]) -> list[str]:
    """Arguments by name, or by position where they go by other names."""
    if set(arguments) <= {name for name, _ in defaults}:
        return [arguments.get(name, default) for name, default in defaults]
    given = list(arguments.values())
    return [*given, *(default for _, default in defaults[len(given) :])]


def draw_text(name: str, arguments: Texts, key: str, shape: str, dtype: str | None) -> str:
    """A random array; floats in `dtype` (None: JAX's default)."""
    typed = () if dtype is None else (dtype,)
    match name:
        case "bernoulli":
            (p,) = pick(arguments, ("p", "0.5"))
            return call("jax.random.bernoulli", key, p, shape)
        case "normal":
            mean, std = pick(arguments, ("mean", "0.0"), ("std", "1.0"))
            return scaled(call("jax.random.normal", key, shape, *typed), mean, std)
        case "uniform":
            low, high = pick(arguments, ("low", "0.0"), ("high", "1.0"))
            plain = (low, high) in (("0.0", "1.0"), ("0", "1"))
            bounds = {} if plain else {"minval": low, "maxval": high}
            return call("jax.random.uniform", key, shape, *typed, **bounds)
        case "randint":
            low, high = pick(arguments, ("low", "0"), ("high", "1"))
            return call("jax.random.randint", key, shape, low, high)
        case "truncated_normal":
            mean, std = pick(arguments, ("mean", "0.0"), ("std", "1.0"))
            return scaled(call("jax.random.truncated_normal", key, "-2.0", "2.0", shape, *typed), mean, std)
        case "exponential":
            (rate,) = pick(arguments, ("rate", "1.0"))
            drawn = call("jax.random.exponential", key, shape, *typed)
            return drawn if rate in ("1.0", "1") else f"{drawn} / ({rate})"
        case "gumbel":
            return call("jax.random.gumbel", key, shape, *typed)
    raise AssertionError(f"no draw from `{name}`")


SCALED: Mapping[str, tuple[str, str, str]] = {
    "he_normal": ("2.0", "fan_in", "normal"),
    "lecun_normal": ("1.0", "fan_in", "normal"),
    "glorot_normal": ("1.0", "fan_avg", "normal"),
    "glorot_uniform": ("1.0", "fan_avg", "uniform"),
}
"""Arguments of `variance_scaling`: JAX's own names are for weights [in, out] and cut normals."""


def scaling(name: str) -> str:
    scale, mode, kind = SCALED[name]
    maker = "jax.nn.initializers.variance_scaling"
    return call(maker, scale, f'"{mode}"', f'"{kind}"', in_axis="1", out_axis="0")


def initial_text(name: str, arguments: Texts, key: str, shape: list[str]) -> str:
    """The initial value of a parameter or state of this shape."""
    sizes = f"({', '.join(shape)},)" if len(shape) == 1 else f"({', '.join(shape)})"
    match name:
        case "zeros" | "ones":
            return call(f"jnp.{name}", shape[0] if len(shape) == 1 else sizes)
        case "constant":
            (value,) = pick(arguments, ("value", "0.0"))
            return call("jnp.full", sizes, f"float({value})" if value.isdigit() else value)
        case "fan_in_uniform":
            return call("fan_in_uniform", key, sizes)
        case "orthogonal":
            (gain,) = pick(arguments, ("gain", "1.0"))
            options = () if gain in ("1.0", "1") else (gain,)
            axis = None if len(shape) == 2 else "0"
            maker = call("jax.nn.initializers.orthogonal", *options, column_axis=axis)
            return f"{maker}({key}, {sizes})"
        case name if name in SCALED:
            if len(shape) < 2:
                return call("fan_in_uniform", key, sizes)
            return f"{scaling(name)}({key}, {sizes})"
    return draw_text(name, arguments, key, sizes, None)
