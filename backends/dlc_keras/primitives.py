"""How Keras writes each primitive: a table from the primitive's name to its lowering.

`keras.ops` has NumPy's names, so a table made in advance reads the same with `np`.
"""

from __future__ import annotations

from collections.abc import Mapping

from dlc.emit.expressions import Text, binary, call, invert, negative, subscript
from dlc_keras.arrangement import ARRANGEMENT
from dlc_keras.lowering import Application, Lowering
from dlc_keras.names import words
from dlc_keras.windows import WINDOWS


def function(name: str) -> Lowering:
    """A function of the operands, in both array modules."""

    def lower(at: Application) -> Text:
        return call(at.function(name), *at.texts)

    return lower


def tabled(name: str, numpy_text: str) -> Lowering:
    """A function that NumPy does not have: `numpy_text` is its formula over `x`."""

    def lower(at: Application) -> Text:
        if at.xp == "np":
            return Text(f"({numpy_text.replace('{x}', at[0].atom)})")
        return call(name, at[0])

    return lower


def infix(symbol: str) -> Lowering:
    def lower(at: Application) -> Text:
        return binary(symbol, at[0], at[1])

    return lower


def divide(at: Application) -> Text:
    """The quotient is a float also where the operands are integers."""
    texts = [
        call("ops.cast", operand.text, at.dtype("float"))
        if operand.dtype in ("int", "bool") and at.xp == "ops"
        else operand.text
        for operand in at.operands
    ]
    return binary("/", texts[0], texts[1])


def power(at: Application) -> Text:
    """`a ** b`; the function where a float meets an integer tensor."""
    if at.operands[0].dtype != "int" and at.operands[1].dtype == "int":
        return call(at.function("power"), *at.texts)
    return binary("**", at[0], at[1])


def where(at: Application) -> Text:
    """Two Python integers would become 64-bit integers beside 64-bit floats."""
    text = call(at.function("where"), *at.texts)
    numbers = all(operand.type is None for operand in at.operands[1:])
    if at.xp == "ops" and numbers and at.type is not None and at.type.dtype == "int":
        return call("ops.cast", text, '"int32"')
    return text


def compared(name: str) -> Lowering:
    """`==` compares the identity of some frameworks' tensors."""

    def lower(at: Application) -> Text:
        return call(at.function(name), *at.texts)

    return lower


def reduction(name: str) -> Lowering:
    def lower(at: Application) -> Text:
        axis = at.text("axis") if at.has("axis") else None
        return call(at.function(name), at[0], axis=axis, keepdims=at.unless("keep", False))

    return lower


def along(name: str) -> Lowering:
    """A function along one axis."""

    def lower(at: Application) -> Text:
        return call(at.function(name), at[0], axis=at.text("axis", -1))

    return lower


def cumprod(at: Application) -> Text:
    if at.xp == "np":
        return call("np.cumprod", at[0], axis=at.text("axis", -1))
    return call(at.helper("cumulative_product"), at[0], at.text("axis", -1))


def sort(at: Application) -> Text:
    text = call(at.function("sort"), at[0], axis=at.text("axis", -1))
    if at.value("descending", False):
        return call(at.function("flip"), text, axis=at.text("axis", -1))
    return text


def top_k(at: Application) -> Text:
    return call("ops.top_k", at[0], at.text("k"))


def stop_gradient(at: Application) -> Text:
    return at[0] if at.xp == "np" else call("ops.stop_gradient", at[0])


def take(at: Application) -> Text:
    return call(at.function("take"), at[0], at[1], axis="0")


def gather(at: Application) -> Text:
    ids = subscript(at[1], "...", "None")
    return subscript(call(at.function("take_along_axis"), at[0], ids, axis="-1"), "...", "0")


def gather_rows(at: Application) -> Text:
    ids = subscript(at[1], ":", "None", "None")
    return subscript(call(at.function("take_along_axis"), at[0], ids, axis="1"), ":", "0")


def one_hot(at: Application) -> Text:
    return call("ops.one_hot", at[0], at.text("size"))


def segment_sum(at: Application) -> Text:
    return call("ops.segment_sum", at[0], at[1], at.text("count"))


def segment_max(at: Application) -> Text:
    return call(at.helper("segment_max"), at[0], at[1], at.text("count"))


def arange(at: Application) -> Text:
    start, stop, step = at.text("start", 0), at.text("stop"), at.text("step", 1)
    if stop.code == "None":
        start, stop = Text("0"), start
    bounds = [start, stop, step] if step.code != "1" else [start, stop] if start.code != "0" else [stop]
    return call(at.function("arange"), *bounds, dtype='"int32"' if at.xp == "ops" else None)


def linspace(at: Application) -> Text:
    bounds = (at.text("start"), at.text("stop"), at.text("count"))
    return call(at.function("linspace"), *bounds, dtype=at.dtype("float") if at.xp == "ops" else None)


def full(at: Application) -> Text:
    """`ops.zeros(shape)`, or one value (or scalar operand) repeated."""
    name = str(at.value("dtype") or (at.type.dtype if at.type else "float"))
    dtype = None if name == "float" else at.dtype(name)
    if at.operands:
        return call(at.function("full"), at.text("shape"), at[0], dtype=dtype)
    for value, maker in ((0, "zeros"), (1, "ones")):
        if at.has("value") and at.is_fixed("value", value):
            return call(at.function(maker), at.text("shape"), dtype=dtype)
    return call(at.function("full"), at.text("shape"), at.text("value"), dtype=dtype)


def cast(at: Application) -> Text:
    target = at.dtype(str(at.value("dtype")))
    operand = at.operands[0]
    if operand.type is None:
        return call("np.asarray" if at.xp == "np" else "ops.convert_to_tensor", operand.text, target)
    if at.xp == "np":
        return Text(f"{operand.text.atom}.astype({target})")
    return call("ops.cast", operand.text, target)


def matrix_product(at: Application) -> Text:
    """`a @ b`; vectors need the function."""
    if 1 in [operand.rank for operand in at.operands] or (at.type is not None and at.type.rank < 2):
        return call(at.function("matmul"), *at.texts)
    return binary("@", at[0], at[1])


SAME_NAME = words(
    """
    exp log sqrt sin cos tanh abs round floor sign log1p expm1 maximum minimum zeros_like
    ones_like
    """
)

PRIMITIVES: Mapping[str, Lowering] = {
    **{name: function(name) for name in SAME_NAME},
    "rsqrt": tabled("ops.rsqrt", "1.0 / np.sqrt({x})"),
    "erf": tabled("ops.erf", "np.vectorize(math.erf)({x})"),
    "sigmoid": tabled("ops.sigmoid", "1.0 / (1.0 + np.exp(-{x}))"),
    "softplus": tabled("ops.softplus", "np.logaddexp({x}, 0.0)"),
    "where": where,
    "negative": lambda at: negative(at[0]),
    "logical_not": lambda at: invert(at[0]),
    "stop_gradient": stop_gradient,
    "add": infix("+"),
    "subtract": infix("-"),
    "multiply": infix("*"),
    "matmul": matrix_product,
    "divide": divide,
    "floor_divide": infix("//"),
    "remainder": infix("%"),
    "power": power,
    "equal": compared("equal"),
    "not_equal": compared("not_equal"),
    "less": infix("<"),
    "less_equal": infix("<="),
    "greater": infix(">"),
    "greater_equal": infix(">="),
    "logical_and": infix("&"),
    "logical_or": infix("|"),
    **{name: reduction(name) for name in ("sum", "mean", "max", "min", "prod", "any", "all")},
    "variance": reduction("var"),
    "argmax": along("argmax"),
    "argmin": along("argmin"),
    "cumsum": along("cumsum"),
    "cumprod": cumprod,
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
