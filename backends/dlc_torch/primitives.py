"""How each primitive is written in PyTorch: element-wise functions, reductions, products, creation.

In: an `Application`. Out: the text of the expression. `PRIMITIVES` has every primitive; shapes and images
are in their own modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from dlc.emit.einops import einsum_letters
from dlc.emit.expressions import (
    OPERATOR_OF,
    Text,
    binary,
    call,
    elements,
    invert,
    literal,
    method,
    negative,
    subscript,
    tuple_of,
)
from dlc_torch.images import IMAGES
from dlc_torch.lowering import Application, Lowering, Operand, balanced, to_dtype, top_level
from dlc_torch.shapes import SHAPES

# ---------------------------------------------------------------- element-wise


def function(name: str, app: Application) -> Text:
    return call(name, *(operand.text for operand in app.operands))


def softplus(app: Application) -> Text:
    """Above 40, `x` is the float64 result; PyTorch's default threshold of 20 is not enough."""
    return call("F.softplus", app.x, threshold="40.0")


def operator(app: Application) -> Text:
    """A Python operator; integers that meet in a division or with a float become floats first."""
    left, right = app.operands
    if app.op == "add" and right.rank == 1 and right.text.code.startswith("self."):
        biased = with_bias(left.text, right.text)
        if biased is not None:
            return biased
    symbol = OPERATOR_OF[app.op]
    floats = app.type is not None and app.type.dtype not in ("int", "bool")
    tensors = [operand for operand in (left, right) if not operand.is_number]
    if floats and tensors and not any(operand.is_float for operand in tensors):
        first = tensors[0]
        changed = Operand(to_dtype(first.text, app.float_dtype), first.type)
        left, right = (changed, right) if first is left else (left, changed)
    return binary(symbol, left.text, right.text)


def with_bias(product: Text, bias: Text) -> Text | None:
    """`F.linear(x, weight, bias)`, where the left operand is `F.linear(x, weight)`."""
    code = product.code
    if not (code.startswith("F.linear(") and code.endswith(")") and balanced(code[9:-1])):
        return None
    if len(top_level(code[9:-1])) != 2:
        return None
    return Text(f"{code[:-1]}, {bias.code})")


def floor_divide(app: Application) -> Text:
    if any(operand.is_float for operand in app.operands):
        left, right = app.operands
        return call("torch.div", left.text, right.text, rounding_mode='"floor"')
    return operator(app)


def extremum(app: Application) -> Text:
    """`maximum` or `minimum`: a number becomes a tensor, so that ties share the gradient.

    Integers and tables have no gradient: they are clamped.
    """
    tensor = next(operand for operand in app.operands if not operand.is_number)
    number = next((operand for operand in app.operands if operand.is_number), None)
    if number is not None and (app.constant or not tensor.is_float):
        bound = "min" if app.op == "maximum" else "max"
        return method(tensor.text, "clamp", **{bound: number.text})
    texts = [
        method(tensor.text, "new_tensor", operand.text) if operand.is_number else operand.text
        for operand in app.operands
    ]
    return call(f"torch.{app.op}", *texts)


def where(app: Application) -> Text:
    condition, *sides = app.operands
    result = call("torch.where", condition.text, *(side.text for side in sides))
    if all(side.is_number for side in sides) and app.type is not None and app.type.dtype != "int":
        return method(result, "to", app.dtype(app.type.dtype))
    return result


# ---------------------------------------------------------------- reductions


def reduction(name: str, app: Application, **options: str) -> Text:
    """`x.name(dim=axis, keepdim=True)`."""
    keep = bool(app.value("keep", False))
    dim = app.axis()
    if dim is None and keep:
        dim = tuple_of(literal(axis) for axis in range(app.operands[0].rank))
    return app.on(name, dim=dim, **options, keepdim="True" if keep else None)


def variance(app: Application) -> Text:
    return reduction("var", app, correction="0")


def prod(app: Application) -> Text:
    """One axis at a time, the last first, for PyTorch takes only one."""
    axis, keep = app.value("axis"), bool(app.value("keep", False))
    rank = app.operands[0].rank
    if axis is None and not keep:
        return app.on("prod")
    if isinstance(axis, int):
        return app.on("prod", dim=app.text("axis"), keepdim="True" if keep else None)
    axes = range(rank) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    result = app.x
    for dim in sorted((a % rank for a in axes), reverse=True):
        result = method(result, "prod", dim=literal(dim), keepdim="True" if keep else None)
    return result


def arg_extremum(app: Application) -> Text:
    return reduction(app.op, app)


def cumulative(app: Application) -> Text:
    return app.on(app.op, dim=app.text("axis") if app.has("axis") else "-1")


def sort(app: Application) -> Text:
    descending = "True" if app.value("descending", False) else None
    axis = app.text("axis") if app.has("axis") else Text("-1")
    result = app.on("sort", dim=axis, descending=descending, stable="True")
    return Text(f"{result.code}.values")


def top_k(app: Application) -> Text:
    return app.on("topk", app.text("k"))


# ---------------------------------------------------------------- products


def matmul(app: Application) -> Text:
    left, right = app.operands
    if right.transposed is not None and right.rank == 2:
        return call("F.linear", left.text, right.transposed)
    return binary("@", left.text, right.text)


def einsum(app: Application) -> Text:
    equation = literal(einsum_letters(app.value("equation")))
    return call("torch.einsum", equation, *(operand.text for operand in app.operands))


# ---------------------------------------------------------------- reading by index


def take(app: Application) -> Text:
    """`F.embedding` for a weight, else rows by index."""
    table, ids = app.operands
    if table.is_float and table.rank == 2 and table.text.code.startswith("self."):
        return call("F.embedding", ids.text, table.text)
    return subscript(table.text, ids.text)


def gather(app: Application) -> Text:
    ids = method(app.operands[1].text, "unsqueeze", "-1")
    return method(app.on("gather", "-1", ids), "squeeze", "-1")


def gather_rows(app: Application) -> Text:
    ids = subscript(app.operands[1].text, ":", "None", "None")
    rows = call("torch.take_along_dim", app.x, ids, dim="1")
    return method(rows, "squeeze", "1")


def one_hot(app: Application) -> Text:
    return to_dtype(call("F.one_hot", app.x, app.text("size")), app.float_dtype)


def segments(app: Application) -> Text:
    return call(app.around.helper(app.op), app.x, app.operands[1].text, app.text("count"))


# ---------------------------------------------------------------- creation and conversion


def arange(app: Application) -> Text:
    bounds = [app.text("start")]
    if app.has("stop"):
        bounds.append(app.text("stop"))
        step = app.option("step", 1)
        bounds += [step] if step is not None else []
        if app.is_default("start", 0) and len(bounds) == 2:
            bounds = bounds[1:]
    return call("torch.arange", *bounds, device=app.around.device)


def linspace(app: Application) -> Text:
    bounds = (app.text(name) for name in ("start", "stop", "count"))
    return call("torch.linspace", *bounds, dtype=app.float_dtype, device=app.around.device)


def full(app: Application) -> Text:
    """A tensor of one value; `new_zeros` of a tensor at hand where the dtype is that of the model."""
    assert app.type is not None
    sizes = [app.around.text(size) for size in elements(app.attrs["shape"])]
    shape = tuple_of(sizes)
    if app.operands and not app.operands[0].is_number:
        return method(app.x, "expand", *sizes) if sizes else app.x
    value = app.operands[0].text if app.operands else app.text("value")
    name = app.type.dtype
    device, source = app.around.device, app.around.float_source
    makers = {"0.0": "zeros", "1.0": "ones", "0": "zeros", "1": "ones", "True": "ones", "False": "zeros"}
    maker = makers.get(value.code)
    if name == "float" and source and not app.constant:
        if maker:
            return call(f"{source}.new_{maker}", *(sizes or [Text("()")]))
        return call(f"{source}.new_full", shape, value)
    dtype = app.dtype(name)
    if maker:
        return call(f"torch.{maker}", *(sizes or [Text("()")]), dtype=dtype, device=device)
    return call("torch.full", shape, value, dtype=dtype, device=device)


def cast(app: Application) -> Text:
    """A conversion; between `float` and `wide` it follows the dtype of the tensors at hand."""
    name = str(app.value("dtype"))
    if app.type is not None and name not in DTYPE_METHODS:
        name = app.type.dtype
    shorthand = DTYPE_METHODS.get(name)
    if shorthand:
        return app.on(shorthand)
    return to_dtype(app.x, app.dtype(name))


DTYPE_METHODS: Mapping[str, str] = {
    "int": "long", "bool": "bool", "f64": "double", "f32": "float", "bf16": "bfloat16", "f16": "half",
}  # fmt: skip

UNARY = (
    *("exp", "log", "sqrt", "rsqrt", "sin", "cos", "tanh", "erf", "abs", "sigmoid", "round", "floor"),
    *("sign", "log1p", "expm1", "zeros_like", "ones_like"),
)

ELEMENTWISE: Mapping[str, Lowering] = {
    **{name: partial(function, f"torch.{name}") for name in UNARY},
    "softplus": softplus,
    "negative": lambda app: negative(app.x),
    "logical_not": lambda app: invert(app.x),
    "stop_gradient": lambda app: app.on("detach"),
    **dict.fromkeys(OPERATOR_OF, operator),
    "matmul": matmul,
    "floor_divide": floor_divide,
    "maximum": extremum,
    "minimum": extremum,
    "where": where,
}

REDUCTIONS: Mapping[str, Lowering] = {
    "sum": partial(reduction, "sum"),
    "mean": partial(reduction, "mean"),
    "max": partial(reduction, "amax"),
    "min": partial(reduction, "amin"),
    "any": partial(reduction, "any"),
    "all": partial(reduction, "all"),
    "prod": prod,
    "variance": variance,
    "argmax": arg_extremum,
    "argmin": arg_extremum,
    "cumsum": cumulative,
    "cumprod": cumulative,
    "sort": sort,
    "top_k": top_k,
}

PRIMITIVES: Mapping[str, Lowering] = {
    **ELEMENTWISE,
    **REDUCTIONS,
    **SHAPES,
    **IMAGES,
    "einsum": einsum,
    "take": take,
    "gather": gather,
    "gather_rows": gather_rows,
    "one_hot": one_hot,
    "segment_sum": segments,
    "segment_max": segments,
    "arange": arange,
    "linspace": linspace,
    "full": full,
    "cast": cast,
}
