"""How JAX writes each primitive: a table from the primitive's name to its lowering."""

from __future__ import annotations

from collections.abc import Mapping

from dlc_jax.arrangement import ARRANGEMENT
from dlc_jax.lowering import Application, Lowering, call
from dlc_jax.windows import WINDOWS


def function(template: str) -> Lowering:
    """A function of the operands: `jnp.exp` (of `np` in tables), `jax.nn.sigmoid`."""

    def lower(at: Application) -> str:
        name = template.replace("jnp.", f"{at.xp}.") if template.startswith("jnp.") else template
        return call(name, *(operand.text for operand in at.operands))

    return lower


def tabled(jax_name: str, numpy_text: str) -> Lowering:
    """A function that NumPy does not have: `numpy_text` is its formula over `x`."""

    def lower(at: Application) -> str:
        if at.xp == "np":
            return numpy_text.replace("{x}", f"({at[0]})")
        return call(jax_name, at[0])

    return lower


def infix(symbol: str) -> Lowering:
    def lower(at: Application) -> str:
        return f"({at[0]}) {symbol} ({at[1]})"

    return lower


def prefix(symbol: str) -> Lowering:
    def lower(at: Application) -> str:
        return f"{symbol}({at[0]})"

    return lower


def reduction(method: str) -> Lowering:
    """`x.mean(axis=-1, keepdims=True)`."""

    def lower(at: Application) -> str:
        axis = at.text("axis") if at.has("axis") else None
        keep = None if at.is_fixed("keep", False) else at.text("keep")
        return call(f"{at.x}.{method}", axis=axis, keepdims=keep)

    return lower


def along(name: str) -> Lowering:
    """A function along one axis."""

    def lower(at: Application) -> str:
        return call(f"{at.xp}.{name}", at[0], axis=at.text("axis", "-1"))

    return lower


def arg_reduction(name: str) -> Lowering:
    def lower(at: Application) -> str:
        axis = at.text("axis", "-1")
        return call(f"{at.x}.{name}", axis=None if axis == "None" else axis)

    return lower


def absolute(at: Application) -> str:
    if at.xp == "np" or (at.type is not None and at.type.dtype == "int"):
        return call(f"{at.xp}.abs", at[0])
    return call(at.helper("absolute"), at[0])


def rsqrt(at: Application) -> str:
    return f"1.0 / np.sqrt({at[0]})" if at.xp == "np" else call("jax.lax.rsqrt", at[0])


def sort(at: Application) -> str:
    descending = None if at.is_fixed("descending", False) else at.text("descending")
    axis = at.text("axis", "-1")
    return call("jnp.sort", at[0], axis=None if axis == "-1" else axis, descending=descending)


def top_k(at: Application) -> str:
    return call("jax.lax.top_k", at[0], at.text("k"))


def stop_gradient(at: Application) -> str:
    return at[0] if at.xp == "np" else call("jax.lax.stop_gradient", at[0])


def take(at: Application) -> str:
    return f"{at.x}[{at[1]}]"


def gather(at: Application) -> str:
    return f"{at.xp}.take_along_axis({at[0]}, ({at[1]})[..., None], axis=-1)[..., 0]"


def gather_rows(at: Application) -> str:
    return f"{at.xp}.take_along_axis({at[0]}, ({at[1]})[:, None, None], axis=1)[:, 0]"


def one_hot(at: Application) -> str:
    return call("jax.nn.one_hot", at[0], at.text("size"), dtype=at.dtype("float"))


def segment_sum(at: Application) -> str:
    return call("jax.ops.segment_sum", at[0], at[1], at.text("count"))


def segment_max(at: Application) -> str:
    return call(at.helper("segment_max"), at[0], at[1], at.text("count"))


def arange(at: Application) -> str:
    start, stop, step = at.text("start", "0"), at.text("stop"), at.text("step", "1")
    if stop == "None":
        start, stop = "0", start
    bounds = [start, stop, step] if step != "1" else [start, stop] if start != "0" else [stop]
    return call(f"{at.xp}.arange", *bounds)


def linspace(at: Application) -> str:
    dtype = None if at.xp == "np" else at.dtype("float")
    return call(f"{at.xp}.linspace", at.text("start"), at.text("stop"), at.text("count"), dtype=dtype)


def full(at: Application) -> str:
    """`jnp.zeros(shape, dtype)`, or a scalar operand repeated."""
    name = at.value("dtype") or (at.type.dtype if at.type else "float")
    dtype, shape = at.dtype(name), at.text("shape")
    if at.operands:
        return call(f"{at.xp}.full", shape, at[0], dtype)
    for value, maker in ((0, "zeros"), (1, "ones")):
        if at.is_fixed("value", value) and at.value("value") is not None and dtype != "bool":
            return call(f"{at.xp}.{maker}", shape, dtype)
    typed = () if dtype == "bool" else (dtype,)
    return call(f"{at.xp}.full", shape, at.text("value"), *typed)


def cast(at: Application) -> str:
    target = at.dtype(at.value("dtype"))
    operand = at.operands[0]
    if operand.number:
        return f"{at.xp}.asarray({operand.text}, {target})"
    return f"{operand.atom}.astype({target})"


PRIMITIVES: Mapping[str, Lowering] = {
    **{
        name: function(f"jnp.{name}")
        for name in (
            "exp",
            "log",
            "sqrt",
            "sin",
            "cos",
            "tanh",
            "round",
            "floor",
            "sign",
            "log1p",
            "expm1",
        )
    },
    **{name: function(f"jnp.{name}") for name in ("maximum", "minimum", "where", "zeros_like", "ones_like")},
    "rsqrt": rsqrt,
    "erf": function("jax.lax.erf"),
    "abs": absolute,
    "sigmoid": tabled("jax.nn.sigmoid", "1.0 / (1.0 + np.exp(-{x}))"),
    "softplus": tabled("jax.nn.softplus", "np.logaddexp({x}, 0.0)"),
    "negative": prefix("-"),
    "logical_not": prefix("~"),
    "stop_gradient": stop_gradient,
    "add": infix("+"),
    "subtract": infix("-"),
    "multiply": infix("*"),
    "divide": infix("/"),
    "floor_divide": infix("//"),
    "remainder": infix("%"),
    "power": infix("**"),
    "matmul": infix("@"),
    "equal": infix("=="),
    "not_equal": infix("!="),
    "less": infix("<"),
    "less_equal": infix("<="),
    "greater": infix(">"),
    "greater_equal": infix(">="),
    "logical_and": infix("&"),
    "logical_or": infix("|"),
    **{name: reduction(name) for name in ("sum", "mean", "max", "min", "prod", "any", "all")},
    "variance": reduction("var"),
    "argmax": arg_reduction("argmax"),
    "argmin": arg_reduction("argmin"),
    "cumsum": along("cumsum"),
    "cumprod": along("cumprod"),
    "sort": sort,
    "top_k": top_k,
    "take": take,
    "gather": gather,
    "gather_rows": gather_rows,
    "one_hot": one_hot,
    "segment_sum": segment_sum,
    "segment_max": segment_max,
    "arange": arange,
    "linspace": linspace,
    "full": full,
    "cast": cast,
    **ARRANGEMENT,
    **WINDOWS,
}
