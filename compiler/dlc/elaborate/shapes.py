"""Shape rules of the primitives whose result type a signature cannot express.

Each rule takes the operands and attributes of one application and gives the types of its results. It may
rewrite the attributes (a default becomes explicit). The order of axes and the meaning of attributes are
NumPy's; einops patterns follow https://einops.rocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dlc import dims, statics
from dlc.dims import Dim
from dlc.elaborate.failure import Failed, fail
from dlc.ir import Const, DType, Expr, Operation, Ref, TensorType
from dlc.modules import plural
from dlc.values import TensorValue
from dlc_grammar.diagnostics import Diagnostic, Note
from dlc_grammar.source import Span

FLOATS = ("float", "wide", "f64", "f32", "bf16", "f16")
ONE = Const(value=1)


@dataclass
class Application:
    """One primitive applied: `inputs` are tensors or compile-time numbers."""

    op: str
    inputs: list[TensorValue | Expr]
    attrs: dict[str, Expr]
    span: Span
    known: Callable[[int | Dim], int | Dim] = lambda size: size
    checks: list[tuple[Expr, Expr]] = field(default_factory=list)
    """Pairs of sizes that could not be decided and are checked at run time."""

    def fail(
        self, code: str, message: str, label: str, help: str = "", notes: tuple[str, ...] = ()
    ) -> Failed:
        return fail(code, message, self.span, label, help=help, notes=notes)

    @property
    def shown(self) -> str:
        """The operation as the text writes it: `+`, `softmax`."""
        return SIGNS.get(self.op, self.op)

    def type(self, position: int = 0) -> TensorType:
        """The type of an operand; a compile-time number is a scalar."""
        value = self.inputs[position]
        if isinstance(value, TensorValue):
            return value.type
        return TensorType(dtype=number_dtype(value), shape=())

    def types(self) -> list[TensorType]:
        return [self.type(i) for i in range(len(self.inputs))]

    def attr(self, name: str) -> Expr:
        return self.attrs.get(name, Const(value=None))

    def equal(self, a: Expr, b: Expr, what: str) -> None:
        """Demand that two sizes are the same."""
        require_equal(self, a, b, self.span, f"{what} do not agree", f"in `{self.shown}`: ")


SIGNS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "floor_divide": "//",
    "remainder": "%",
    "power": "**",
    "matmul": "@",
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "logical_and": "and",
    "logical_or": "or",
    "logical_not": "not",
    "negative": "-",
}


def number_dtype(value: Expr) -> DType:
    """The dtype that a compile-time number has as a tensor."""
    if isinstance(value.value, bool):
        return "bool"
    return "float" if isinstance(value.value, float) else "int"


def require_equal(site: Application, a: Expr, b: Expr, span: Span, message: str, label: str) -> None:
    """Prove that two sizes are equal, or raise E0301 with a counterexample, or record a check."""
    left, right = site.known(a.value), site.known(b.value)
    if left == right:
        return
    verdict = dims.decide_equal(left, right)
    if isinstance(verdict, dims.Proved):
        return
    if isinstance(verdict, dims.Unknown):
        site.checks.append((a, b))
        return
    raise Failed(size_error(verdict, left, right, span, message, label))


def size_error(
    verdict: dims.Refuted, left: int | Dim, right: int | Dim, span: Span, message: str, label: str
) -> Diagnostic:
    """The diagnostic of a refuted size equation, with an example and a repair."""
    notes: tuple[Note, ...] = ()
    remedy = "make the two sizes equal"
    if verdict.witness:
        values = ", ".join(f"{k} = {v}" for k, v in verdict.witness.items())
        notes = (Note(f"for example {values} gives {verdict.left} and {verdict.right}"),)
        repaired = dims.repair(left, right)
        if repaired:
            rules = " and ".join(f"{name} % {m} == 0" for name, m in repaired.items())
            remedy = f"both are equal whenever `{rules}`; add: require {rules}"
    return Diagnostic("E0301", message, span, f"{label}{left} is not {right}", notes, remedy)


def plus(a: Expr, b: Expr) -> Expr:
    return statics.binary("+", a, b)


def times(a: Expr, b: Expr) -> Expr:
    if a.value == 1:
        return b
    if b.value == 1:
        return a
    return statics.binary("*", a, b)


def product(sizes: Sequence[Expr]) -> Expr:
    total: Expr = ONE
    for size in sizes:
        total = times(total, size)
    return total


# ---------------------------------------------------------------- element-wise


def promote(site: Application, positions: Sequence[int]) -> DType:
    """The common dtype of operands; compile-time numbers adapt to the tensors."""
    tensors = [site.type(i).dtype for i in positions if isinstance(site.inputs[i], TensorValue)]
    numbers = [site.type(i).dtype for i in positions if not isinstance(site.inputs[i], TensorValue)]
    if not tensors:
        return "float" if "float" in numbers else numbers[0]
    kinds = set(tensors)
    floats = kinds & set(FLOATS)
    if len(kinds - set(FLOATS)) + bool(floats) > 1:
        shown = " and ".join(sorted(kinds))
        raise site.fail(
            "E0307",
            f"`{site.shown}` of {shown} tensors",
            f"this combines {shown}",
            help="convert one side: cast(x, float) or cast(x, int)",
        )
    if not floats and "int" in kinds and "float" in numbers:
        raise site.fail(
            "E0307",
            f"`{site.shown}` of an int tensor and a float number",
            "this combines int and float",
            help="convert the tensor: cast(x, float)",
        )
    if "bool" in kinds and set(numbers) - {"bool"}:
        raise site.fail(
            "E0307",
            f"`{site.shown}` of a bool tensor and a number",
            "this combines bool and a number",
            help="convert the tensor: cast(x, float) or cast(x, int)",
        )
    if len(floats) > 1:
        return next(d for d in ("f64", "wide", "f32", "float", "bf16", "f16") if d in floats)
    return tensors[0]


def broadcast_shape(site: Application, shapes: Sequence[tuple[Expr, ...]]) -> tuple[Expr, ...]:
    """Align shapes from the right; only a literal 1 and missing leading axes repeat."""
    rank = max(len(shape) for shape in shapes)
    result: list[Expr] = []
    for axis in range(-rank, 0):
        present = [shape[axis] for shape in shapes if len(shape) >= -axis]
        wide = [size for size in present if size.value != 1]
        if not wide:
            result.append(present[0])
            continue
        for other in wide[1:]:
            _same_or_fail(site, wide[0], other, shapes)
        result.append(min(wide, key=statics.length))
    _no_outer_product(site, shapes, result)
    return tuple(result)


def plural_axes(number: int) -> str:
    """`1 axis`, `2 axes`."""
    return "1 axis" if number == 1 else f"{number} axes"


def _shown(shape: Sequence[Expr]) -> str:
    return "[" + ", ".join(str(size.value) for size in shape) + "]"


def _same_or_fail(site: Application, a: Expr, b: Expr, shapes: Sequence[tuple[Expr, ...]]) -> None:
    if a.value == b.value:
        return
    message = "cannot combine " + " with ".join(_shown(shape) for shape in shapes)
    require_equal(site, a, b, site.span, message, "here ")


def _no_outer_product(site: Application, shapes: Sequence[tuple[Expr, ...]], result: list[Expr]) -> None:
    for low in shapes:
        for high in shapes:
            if len(low) >= len(high) or not low:
                continue
            stretched = [
                low[axis].value
                for axis in range(-len(low), 0)
                if high[axis].value == 1 and isinstance(low[axis].value, Dim)
            ]
            leading = [size.value for size in high[: len(high) - len(low)]]
            if any(size in leading for size in stretched):
                name = next(size for size in stretched if size in leading)
                raise site.fail(
                    "E0309",
                    f"combining {_shown(low)} with {_shown(high)} would make an outer product",
                    f"this would be {_shown(result)}",
                    notes=(
                        f"shapes are aligned from the right, so size `{name}` lands on two different axes",
                    ),
                    help="make the shapes agree: rearrange one side, or write the 1s out if the outer product"
                    " is meant",
                )


def elementwise(site: Application) -> list[TensorType]:
    positions = range(len(site.inputs))
    dtype = promote(site, positions)
    if site.op in ("divide", "power") and dtype == "int" and site.op == "divide":
        dtype = "float"
    if dtype == "bool":
        raise site.fail(
            "E0307", f"`{site.shown}` of bool tensors", "these are bool", help="convert them: cast(x, float)"
        )
    return [TensorType(dtype=dtype, shape=broadcast_shape(site, [t.shape for t in site.types()]))]


def comparison(site: Application) -> list[TensorType]:
    promote(site, range(len(site.inputs)))
    return [TensorType(dtype="bool", shape=broadcast_shape(site, [t.shape for t in site.types()]))]


def logical(site: Application) -> list[TensorType]:
    for type_ in site.types():
        if type_.dtype != "bool":
            raise site.fail(
                "E0307",
                f"`{site.shown}` needs bool tensors",
                f"this is {type_}",
                help="compare first: x != 0.0",
            )
    return [TensorType(dtype="bool", shape=broadcast_shape(site, [t.shape for t in site.types()]))]


def where(site: Application) -> list[TensorType]:
    if site.type(0).dtype != "bool":
        raise site.fail(
            "E0307",
            "the condition of `where` is not bool",
            f"this is {site.type(0)}",
            help="compare first: where(x > 0.0, a, b)",
        )
    dtype = promote(site, (1, 2))
    return [TensorType(dtype=dtype, shape=broadcast_shape(site, [t.shape for t in site.types()]))]


def same(site: Application) -> list[TensorType]:
    return [site.type()]


def floating(site: Application) -> list[TensorType]:
    type_ = site.type()
    if type_.dtype not in FLOATS:
        raise site.fail(
            "E0307",
            f"`{site.shown}` needs a float tensor",
            f"this is {type_}",
            help="convert it: cast(x, float)",
        )
    return [type_]


# ---------------------------------------------------------------- reductions


def axes_of(site: Application, rank: int, name: str = "axis") -> tuple[int, ...]:
    """The non-negative axes an attribute selects; all of them for `none`."""
    value = site.attr(name).value
    if value is None:
        return tuple(range(rank))
    chosen = value if isinstance(value, tuple) else (value,)
    found = []
    for axis in chosen:
        if not isinstance(axis, int) or not -rank <= axis < rank:
            raise site.fail(
                "E0305",
                f"axis {axis} is outside a tensor of {rank} axes",
                f"in `{site.shown}`",
                help=f"axes run from 0 to {rank - 1}, or from -{rank} to -1",
            )
        found.append(axis % rank)
    if len(set(found)) != len(found):
        raise site.fail("E0305", "an axis is named twice", f"in `{site.shown}`", help="name each axis once")
    return tuple(found)


def one_axis(site: Application, rank: int, name: str = "axis") -> int:
    """The one axis an attribute selects."""
    if not isinstance(site.attr(name).value, int):
        raise site.fail("E0305", f"`{site.shown}` needs one axis", "no axis is given", help="write axis=-1")
    return axes_of(site, rank, name)[0]


def reduction(site: Application) -> list[TensorType]:
    type_ = site.type()
    axes = axes_of(site, type_.rank)
    keep = bool(site.attr("keep").value)
    shape = tuple(
        ONE if axis in axes else size for axis, size in enumerate(type_.shape) if keep or axis not in axes
    )
    dtype: DType = type_.dtype
    if site.op in ("any", "all"):
        if dtype != "bool":
            raise site.fail(
                "E0307", f"`{site.shown}` needs a bool tensor", f"this is {type_}", "compare first: x > 0.0"
            )
    elif dtype == "bool" or (site.op in ("mean", "variance") and dtype not in FLOATS):
        raise site.fail(
            "E0307",
            f"`{site.shown}` of {type_}",
            "this has no such reduction",
            help="convert it: cast(x, float)",
        )
    if site.op in ("argmax", "argmin"):
        dtype = "int"
    return [TensorType(dtype=dtype, shape=shape)]


def along_axis(site: Application) -> list[TensorType]:
    axes_of(site, site.type().rank)
    return [site.type()]


def top_k(site: Application) -> list[TensorType]:
    type_ = site.type()
    if type_.rank < 1:
        raise site.fail(
            "E0302", f"top_k of {type_}", "this has no axis", "give it a tensor of one axis or more"
        )
    count, size = site.attrs["k"], type_.shape[-1]
    if isinstance(size.value, int) and isinstance(count.value, int) and not 1 <= count.value <= size.value:
        raise site.fail(
            "E0305",
            f"top_k of {count.value} among {size.value}",
            "there are not so many",
            help=f"k is between 1 and {size.value}",
        )
    shape = (*type_.shape[:-1], count)
    return [TensorType(dtype=type_.dtype, shape=shape), TensorType(dtype="int", shape=shape)]


# ---------------------------------------------------------------- shape operations


def sizes_of(site: Application, expr: Expr, what: str = "shape") -> tuple[Expr, ...]:
    """The elements of a list of sizes, each with its own expression."""
    values = expr.value if isinstance(expr.value, tuple) else (expr.value,)
    parts = expr.args if isinstance(expr, Operation) and expr.op == "tuple" else None
    found = []
    for position, value in enumerate(values):
        if not isinstance(value, (int, Dim)) or isinstance(value, bool):
            raise site.fail(
                "E0306",
                f"a {what} is a list of sizes",
                f"{statics.describe(value)} is not a size",
                "write for example [B, 4 * D]; divide sizes with //",
            )
        if isinstance(value, int) and value < 1:
            raise site.fail(
                "E0306",
                f"a size is at least 1, not {value}",
                f"in this {what}",
                "check the numbers that it is computed from",
            )
        if not isinstance(expr.value, tuple):
            return (expr,)
        found.append(parts[position] if parts else statics.item(expr, Const(value=position)))
    return tuple(found)


def reshape(site: Application) -> list[TensorType]:
    type_, shape = site.type(), sizes_of(site, site.attrs["shape"])
    before, after = product(type_.shape), product(shape)
    message = f"reshape of {type_} to {_shown(shape)} changes the number of elements"
    require_equal(site, before, after, site.span, message, "")
    return [TensorType(dtype=type_.dtype, shape=shape)]


def transpose(site: Application) -> list[TensorType]:
    type_ = site.type()
    axes = site.attr("axes").value
    if axes is None:
        if type_.rank < 2:
            raise site.fail(
                "E0302",
                f"transpose of {type_}",
                "this has fewer than two axes",
                "a tensor of one axis needs no transpose",
            )
        return [TensorType(dtype=type_.dtype, shape=(*type_.shape[:-2], type_.shape[-1], type_.shape[-2]))]
    order = axes_of(site, type_.rank, "axes")
    if len(order) != type_.rank:
        raise site.fail(
            "E0305",
            "transpose needs every axis once",
            f"{type_} has {type_.rank} axes",
            f"write for example axes={list(reversed(range(type_.rank)))}",
        )
    return [TensorType(dtype=type_.dtype, shape=tuple(type_.shape[axis] for axis in order))]


def matmul(site: Application) -> list[TensorType]:
    a, b = site.type(0), site.type(1)
    dtype = promote(site, (0, 1))
    if a.rank == 0 or b.rank < 2:
        side = "the right side needs two axes or more" if a.rank else "the left side has no axis"
        raise site.fail("E0302", f"`@` of {a} and {b}", side, help="a matrix product is [..., m, k] @ [k, n]")
    message = f"`@` of {a} and {b}: the inner sizes differ"
    require_equal(site, a.shape[-1], b.shape[-2], site.span, message, "")
    if a.rank == 1:
        return [TensorType(dtype=dtype, shape=(*b.shape[:-2], b.shape[-1]))]
    batch: tuple[Expr, ...] = a.shape[:-2]
    if b.rank > 2:
        batch = broadcast_shape(site, [a.shape[:-2], b.shape[:-2]])
    return [TensorType(dtype=dtype, shape=(*batch, a.shape[-2], b.shape[-1]))]


def concat(site: Application) -> list[TensorType]:
    types = site.types()
    if not types:
        raise site.fail("E0311", "concat of an empty list", "nothing to join", "give it one tensor or more")
    first = types[0]
    axis = one_axis(site, first.rank)
    dtype = promote(site, range(len(types)))
    total = first.shape[axis]
    for other in types[1:]:
        if other.rank != first.rank:
            raise site.fail(
                "E0302",
                f"concat of {first} and {other}",
                "these have different numbers of axes",
                "reshape or rearrange one of them first",
            )
        for position in range(first.rank):
            if position != axis:
                message = f"concat of {first} and {other}: axis {position} differs"
                require_equal(site, first.shape[position], other.shape[position], site.span, message, "")
        total = plus(total, other.shape[axis])
    shape = tuple(total if i == axis else size for i, size in enumerate(first.shape))
    return [TensorType(dtype=dtype, shape=shape)]


def stack(site: Application) -> list[TensorType]:
    types = site.types()
    if not types:
        raise site.fail("E0311", "stack of an empty list", "nothing to stack", "give it one tensor or more")
    first = types[0]
    axis = one_axis(site, first.rank + 1)
    for other in types[1:]:
        if other.rank != first.rank:
            raise site.fail(
                "E0302",
                f"stack of {first} and {other}",
                "these have different numbers of axes",
                "reshape or rearrange one of them first",
            )
        for a, b in zip(first.shape, other.shape, strict=True):
            require_equal(site, a, b, site.span, f"stack of {first} and {other}", "")
    shape = (*first.shape[:axis], Const(value=len(types)), *first.shape[axis:])
    return [TensorType(dtype=promote(site, range(len(types))), shape=shape)]


def split(site: Application) -> list[TensorType]:
    """Parts of equal size (`parts` an int) or of given sizes (a list)."""
    type_ = site.type()
    axis = one_axis(site, type_.rank)
    parts = site.attrs.pop("parts", None) or site.attrs["sizes"]
    size = type_.shape[axis]
    if isinstance(parts.value, tuple):
        sizes = sizes_of(site, parts)
        total: Expr = Const(value=0)
        for part in sizes:
            total = plus(total, part)
        require_equal(site, size, total, site.span, f"split of {type_}: the parts do not add up", "")
    else:
        count = parts.value
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_PARTS:
            raise site.fail(
                "E0306",
                "split needs a number of parts",
                f"this is {statics.describe(count)}",
                "write for example split(x, 2), or the size of each part: split(x, [4, 4])",
            )
        if isinstance(size.value, int) and size.value < count:
            raise site.fail(
                "E0306",
                f"split of {type_} into {count} parts",
                f"the axis has only {size.value}",
                "split into fewer parts",
            )
        share = statics.binary("//", size, parts)
        message = f"split of {type_} into {count} parts leaves a rest"
        require_equal(site, size, times(share, parts), site.span, message, "")
        sizes = (share,) * count
    site.attrs["sizes"] = statics.operation("tuple", sizes, tuple(part.value for part in sizes))
    return [
        TensorType(
            dtype=type_.dtype, shape=tuple(part if i == axis else s for i, s in enumerate(type_.shape))
        )
        for part in sizes
    ]


MOST_PARTS = 10_000


def broadcast(site: Application) -> list[TensorType]:
    type_, shape = site.type(), sizes_of(site, site.attrs["shape"])
    if len(shape) < type_.rank:
        raise site.fail(
            "E0302",
            f"broadcast of {type_} to {_shown(shape)}",
            "the result has fewer axes",
            "name every axis of the result",
        )
    for a, b in zip(reversed(type_.shape), reversed(shape), strict=False):
        if a.value != 1:
            require_equal(site, a, b, site.span, f"broadcast of {type_} to {_shown(shape)}", "")
    return [TensorType(dtype=type_.dtype, shape=shape)]


def index(site: Application) -> list[TensorType]:
    """`subscripts`: one per axis: an int, ("slice", start, stop, step), or "..."."""
    type_ = site.type()
    subscripts = site.attrs["subscripts"].value
    shown = [s for s in subscripts if s != "..."]
    if len(shown) > type_.rank:
        raise site.fail(
            "E0305",
            f"{plural(len(shown), 'subscript')} for {type_}",
            f"this has {plural_axes(type_.rank)}",
            "give one subscript for each axis, or fewer",
        )
    if len(shown) < len(subscripts) - 1:
        raise site.fail(
            "E0305", "`...` is written twice", "in this index", "one `...` stands for all other axes"
        )
    gap = type_.rank - len(shown)
    full: list[object] = []
    for subscript in subscripts:
        full.extend([("slice", None, None, None)] * gap if subscript == "..." else [subscript])
    full.extend([("slice", None, None, None)] * (type_.rank - len(full)))
    shape = []
    for size, subscript in zip(type_.shape, full, strict=True):
        if isinstance(subscript, tuple):
            shape.append(_sliced(site, size, subscript))
        elif isinstance(size.value, int) and not -size.value <= subscript < size.value:  # type: ignore[operator]
            raise site.fail(
                "E0305",
                f"position {subscript} is outside an axis of {size.value}",
                "in this index",
                f"positions run from 0 to {size.value - 1}, or from -{size.value} to -1",
            )
    return [TensorType(dtype=type_.dtype, shape=tuple(shape))]


def _sliced(site: Application, size: Expr, subscript: tuple[object, ...]) -> Expr:
    start, stop, step = subscript[1:]
    if isinstance(step, Dim) or step == 0:
        raise site.fail(
            "E0305", f"a slice in steps of {step}", "in this index", "a step is a number, and not 0"
        )
    if start is None and stop is None and step in (None, 1):
        return size
    if isinstance(size.value, int) and not isinstance(start, Dim) and not isinstance(stop, Dim):
        count = len(range(*slice(start, stop, step).indices(size.value)))
        if count == 0:
            raise site.fail(
                "E0305",
                f"this slice of an axis of {size.value} is empty",
                "in this index",
                "a slice x[a:b] holds the positions from a up to b - 1",
            )
        return Const(value=count)
    if step not in (None, 1):
        raise site.fail(
            "E0306",
            f"a step in a slice of the symbolic size {size.value}",
            "in this index",
            help="slice an axis of known size",
        )
    low: int | Dim = start if isinstance(start, (int, Dim)) else 0
    high: int | Dim = stop if isinstance(stop, (int, Dim)) else size.value
    low = size.value + low if isinstance(low, int) and low < 0 else low
    high = size.value + high if isinstance(high, int) and high < 0 else high
    extent = high - low
    if isinstance(extent, int) and extent < 1:
        raise site.fail(
            "E0305",
            f"this slice has {extent} elements",
            "in this index",
            "a slice x[a:b] holds the positions from a up to b - 1",
        )
    return Const(value=extent)


def _is_pad(pair: object) -> bool:
    """Whether this is (before, after), neither negative."""
    return (
        isinstance(pair, tuple)
        and len(pair) == 2
        and all(isinstance(n, (int, Dim)) and not (isinstance(n, int) and n < 0) for n in pair)
    )


def pad(site: Application) -> list[TensorType]:
    type_, pads = site.type(), site.attrs["pads"].value
    if not isinstance(pads, tuple) or len(pads) != type_.rank or not all(_is_pad(pair) for pair in pads):
        raise site.fail(
            "E0305",
            "pad needs (before, after) for every axis",
            f"this has {type_.rank} axes",
            help="write for example pad(x, [(0, 0), (1, 2)])",
        )
    shape = tuple(
        plus(size, Const(value=low + high)) if low or high else size
        for size, (low, high) in zip(type_.shape, pads, strict=True)
    )
    return [TensorType(dtype=type_.dtype, shape=shape)]


# ---------------------------------------------------------------- indexing and creation


def take(site: Application) -> list[TensorType]:
    table, ids = site.type(0), site.type(1)
    if ids.dtype != "int" or table.rank < 1:
        raise site.fail(
            "E0307",
            "take needs a table and int ids",
            f"these are {table} and {ids}",
            "convert the ids: take(table, cast(ids, int))",
        )
    return [TensorType(dtype=table.dtype, shape=(*ids.shape, *table.shape[1:]))]


def gather(site: Application) -> list[TensorType]:
    x, ids = site.type(0), site.type(1)
    if ids.dtype != "int" or x.rank != ids.rank + 1:
        raise site.fail(
            "E0302",
            "gather picks one element of the last axis",
            f"these are {x} and {ids}",
            help="ids has the shape of x without its last axis",
        )
    for a, b in zip(x.shape, ids.shape, strict=False):
        require_equal(site, a, b, site.span, f"gather of {x} by {ids}", "")
    return [TensorType(dtype=x.dtype, shape=ids.shape)]


def one_hot(site: Application) -> list[TensorType]:
    ids = site.type()
    if ids.dtype != "int":
        raise site.fail("E0307", "one_hot needs an int tensor", f"this is {ids}", "convert it: cast(x, int)")
    size = sizes_of(site, site.attrs["size"], "size")[0]
    return [TensorType(dtype="float", shape=(*ids.shape, size))]


def segments(site: Application) -> list[TensorType]:
    """One row for each of `count` segments, from rows with an id each."""
    x, ids = site.type(0), site.type(1)
    if ids.dtype != "int" or ids.rank != 1 or x.rank < 1:
        raise site.fail(
            "E0307" if ids.dtype != "int" else "E0302",
            f"{site.shown} needs rows and an int id for each",
            f"these are {x} and {ids}",
            help="the rows of x are along its first axis, ids is int[N]",
        )
    if x.dtype == "bool" or (site.op == "segment_max" and x.dtype not in FLOATS):
        raise site.fail(
            "E0307", f"{site.shown} of {x}", "this cannot be added up", help="convert it: cast(x, float)"
        )
    require_equal(site, x.shape[0], ids.shape[0], site.span, f"{site.shown} of {x} by {ids}", "")
    count = sizes_of(site, site.attrs["count"], "count")[0]
    return [TensorType(dtype=x.dtype, shape=(count, *x.shape[1:]))]


def arange(site: Application) -> list[TensorType]:
    """`arange(stop)`, `arange(start, stop)`, `arange(start, stop, step)`."""
    start, stop, step = site.attr("start"), site.attr("stop"), site.attr("step")
    if stop.value is None:
        start, stop = Const(value=0), start
    if step.value is None:
        step = Const(value=1)
    if step.value == 1:
        count = stop if start.value == 0 else statics.binary("-", stop, start)
    else:
        if not isinstance(step.value, int) or step.value == 0:
            raise site.fail(
                "E0306",
                "arange needs a constant step",
                f"this is {step.value}",
                "write for example arange(0, T, 2)",
            )
        span = statics.binary("-", stop, start)
        up = statics.binary("+", span, Const(value=step.value - 1))
        count = statics.binary("//", up, step)
        if isinstance(span.value, int) and span.value % step.value == 0:
            count = statics.binary("//", span, step)
    if isinstance(count.value, int) and count.value < 1:
        raise site.fail(
            "E0306",
            "this range is empty",
            f"from {start.value} to {stop.value}",
            "write the smaller bound first",
        )
    site.attrs.update(start=start, stop=stop, step=step)
    return [TensorType(dtype="int", shape=(count,))]


def linspace(site: Application) -> list[TensorType]:
    return [TensorType(dtype="float", shape=sizes_of(site, site.attrs["count"], "count"))]


def full(site: Application) -> list[TensorType]:
    shape = sizes_of(site, site.attrs["shape"])
    value = site.attrs["value"].value
    if not isinstance(value, (bool, int, float)):
        raise site.fail(
            "E0230",
            "`value` of `full` is a number",
            f"this is {statics.describe(value)}",
            "write for example full([B, 8], 0.0)",
        )
    dtype: DType = "bool" if isinstance(value, bool) else "float" if isinstance(value, float) else "int"
    site.attrs["dtype"] = Const(value=dtype)
    return [TensorType(dtype=dtype, shape=shape)]


def cast(site: Application) -> list[TensorType]:
    return [TensorType(dtype=site.attrs["dtype"].value, shape=site.type().shape)]


# ---------------------------------------------------------------- einops


def _groups(text: str) -> list[list[str]]:
    groups: list[list[str]] = []
    inside: list[str] | None = None
    for word in text.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            inside = []
        elif word == ")":
            groups.append(inside or [])
            inside = None
        elif inside is not None:
            inside.append(word)
        else:
            groups.append([word])
    return groups


def _balanced(side: str) -> bool:
    """Whether brackets close in order, one level deep."""
    depth = 0
    for character in side:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth not in (0, 1):
            return False
    return depth == 0


def _pattern(site: Application) -> tuple[list[list[str]], list[list[str]]]:
    text = site.attrs["pattern"].value
    sides = text.split("->") if isinstance(text, str) else []
    if len(sides) == 2 and not all(_balanced(side) for side in sides):
        raise site.fail(
            "E0308",
            "the brackets of the pattern do not match",
            f"this is {statics.show(text)}",
            help='write for example "b (h w) c -> b h w c"',
        )
    if len(sides) != 2:
        raise site.fail(
            "E0308",
            "a pattern is two lists of axes with `->` between",
            f"this is {statics.show(text)}",
            help='write for example "b (h w) c -> b h w c"',
        )
    return _groups(sides[0]), _groups(sides[1])


def rearrange(site: Application) -> list[TensorType]:
    """Both `rearrange` and `repeat`; sizes of new axes are in the attribute `sizes`."""
    type_ = site.type()
    left, right = _pattern(site)
    if len(left) != type_.rank:
        raise site.fail(
            "E0308",
            f"the pattern has {plural_axes(len(left))} on the left, the tensor {type_.rank}",
            f"this is {type_}",
            "name every axis of the tensor, in order",
        )
    given = _given_sizes(site)
    sizes = dict(given)
    for group, size in zip(left, type_.shape, strict=True):
        _bind_group(site, group, size, sizes)
    names = [name for group in right for name in group if name != "1"]
    seen = [name for group in left for name in group if name != "1"]
    _check_names(site, seen, names, given)
    shape = tuple(product([sizes[n] if n != "1" else ONE for n in group]) for group in right)
    order = [n for n in dict.fromkeys([*seen, *names]) if n in given]
    site.attrs["sizes"] = statics.operation(
        "tuple",
        tuple(statics.operation("tuple", (Const(value=n), given[n]), (n, given[n].value)) for n in order),
        tuple((n, given[n].value) for n in order),
    )
    return [TensorType(dtype=type_.dtype, shape=shape)]


def _given_sizes(site: Application) -> dict[str, Expr]:
    found = {}
    for name in [name for name in site.attrs if name.startswith("size:")]:
        found[name[5:]] = site.attrs.pop(name)
    return found


def _bind_group(site: Application, group: list[str], size: Expr, sizes: dict[str, Expr]) -> None:
    if group == ["1"]:
        if size.value != 1:
            raise site.fail(
                "E0308",
                f"the pattern has 1 where the size is {size.value}",
                "in this pattern",
                "give this axis a name",
            )
        return
    unknown = [name for name in group if name not in sizes and name != "1"]
    known = product([sizes[name] for name in group if name in sizes])
    if len(unknown) > 1:
        raise site.fail(
            "E0308",
            f"the sizes of {' and '.join(unknown)} cannot be told apart",
            f"their product is {size.value}",
            help=f"give one of them: {unknown[0]}=...",
        )
    if not unknown:
        require_equal(site, size, known, site.span, f"axis ({' '.join(group)}) of the pattern", "")
        return
    if known.value == 1:
        sizes[unknown[0]] = size
        return
    if not isinstance(known.value, int):
        quotient = _divide_exactly(size, known)
        if quotient is None:
            raise site.fail(
                "E0308",
                f"the size of {unknown[0]} cannot be told",
                f"{size.value} / {known.value}",
                help=f"give it: {unknown[0]}=...",
            )
        sizes[unknown[0]] = quotient
        return
    share = statics.binary("//", size, known)
    require_equal(
        site,
        size,
        times(share, known),
        site.span,
        f"axis ({' '.join(group)}): {size.value} is not a multiple of {known.value}",
        "",
    )
    sizes[unknown[0]] = share


def _divide_exactly(size: Expr, known: Expr) -> Expr | None:
    """`size / known` where `size` is written as a product with `known`, e.g. `(H*W) / H`."""
    if isinstance(size, Operation) and size.op == "*":
        for i, factor in enumerate(size.args):
            if factor.value == known.value:
                return size.args[1 - i]
            if isinstance(factor, Operation) and factor.op == "*":
                inner = _divide_exactly(factor, known)
                if inner is not None:
                    return times(inner, size.args[1 - i])
    if isinstance(size.value, Dim):
        for name in sorted(dims.variables(size.value)):
            candidate = dims.substitute(size.value, {name: 1}) if known.value == dims.variable(name) else None
            if candidate is not None and candidate * known.value == size.value:
                return Const(value=candidate)
    return None


def _check_names(site: Application, left: list[str], right: list[str], given: dict[str, Expr]) -> None:
    for side in (left, right):
        double = next((name for name in side if side.count(name) > 1), None)
        if double:
            raise site.fail(
                "E0308",
                f"axis `{double}` is named twice on one side",
                "in this pattern",
                "name each axis once",
            )
    missing = [name for name in left if name not in right]
    if missing:
        raise site.fail(
            "E0308",
            f"axis `{missing[0]}` is lost on the right",
            "in this pattern",
            help="reduce with sum or mean first",
        )
    new = [name for name in right if name not in left]
    if new and site.op == "rearrange":
        raise site.fail(
            "E0308",
            f"axis `{new[0]}` appears from nowhere",
            "in this pattern",
            help="use repeat(x, ...) to repeat values along a new axis",
        )
    unsized = [name for name in new if name not in given]
    if unsized:
        raise site.fail(
            "E0308",
            f"the size of `{unsized[0]}` is not given",
            "in this pattern",
            help=f"add {unsized[0]}=...",
        )
    stray = [name for name in given if name not in left and name not in right]
    if stray:
        raise site.fail(
            "E0308", f"`{stray[0]}` is not in the pattern", "given here", f"remove {stray[0]}=..."
        )


def einsum(site: Application) -> list[TensorType]:
    equation = site.attrs["equation"].value
    sides = equation.split("->") if isinstance(equation, str) else []
    if len(sides) != 2:
        raise site.fail(
            "E0308",
            "an equation needs `->`",
            f"this is {statics.show(equation)}",
            help='write for example "b i k, b k j -> b i j"',
        )
    operands = [side.split() for side in sides[0].split(",")]
    if len(operands) != len(site.inputs):
        raise site.fail(
            "E0308",
            f"the equation names {plural(len(operands), 'tensor')}, {len(site.inputs)} given",
            "in this equation",
            "separate the axes of each tensor by a comma",
        )
    sizes: dict[str, Expr] = {}
    for position, names in enumerate(operands):
        type_ = site.type(position)
        if len(names) != type_.rank:
            raise site.fail(
                "E0308",
                f"operand {position + 1} has {plural_axes(type_.rank)}, the equation names {len(names)}",
                f"it is {type_}",
                "name every axis, separated by spaces",
            )
        for name, size in zip(names, type_.shape, strict=True):
            if name in sizes:
                require_equal(site, sizes[name], size, site.span, f"axis `{name}` of the equation", "")
            sizes.setdefault(name, size)
    result = sides[1].split()
    stray = next((name for name in result if name not in sizes), None)
    if stray:
        raise site.fail(
            "E0308",
            f"axis `{stray}` of the result is in no operand",
            "in this equation",
            "name an axis of an operand, or repeat the result afterwards",
        )
    if len(set(result)) != len(result):
        raise site.fail(
            "E0308", "an axis of the result is named twice", "in this equation", "name each axis once"
        )
    dtype = promote(site, range(len(site.inputs)))
    return [TensorType(dtype=dtype, shape=tuple(sizes[name] for name in result))]


RULES: dict[str, Callable[[Application], list[TensorType]]] = {
    **dict.fromkeys(
        ("add", "subtract", "multiply", "divide", "floor_divide", "remainder", "power", "maximum", "minimum"),
        elementwise,
    ),
    **dict.fromkeys(("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"), comparison),
    **dict.fromkeys(("logical_and", "logical_or", "logical_not"), logical),
    **dict.fromkeys(("negative", "stop_gradient", "zeros_like", "ones_like", "abs", "sign"), same),
    **dict.fromkeys(
        ("sum", "mean", "max", "min", "prod", "variance", "any", "all", "argmax", "argmin"), reduction
    ),
    **dict.fromkeys(("cumsum", "cumprod", "sort", "flip"), along_axis),
    "where": where,
    "top_k": top_k,
    "reshape": reshape,
    "transpose": transpose,
    "matmul": matmul,
    "concat": concat,
    "stack": stack,
    "split": split,
    "broadcast": broadcast,
    "index": index,
    "pad": pad,
    "take": take,
    "gather": gather,
    "one_hot": one_hot,
    "segment_sum": segments,
    "segment_max": segments,
    "arange": arange,
    "linspace": linspace,
    "full": full,
    "cast": cast,
    "rearrange": rearrange,
    "repeat": rearrange,
    "einsum": einsum,
}


def close_types(types: Sequence[TensorType], replace: Callable[[Ref], Expr]) -> list[TensorType]:
    """Types with every reference in their sizes replaced."""
    return [
        TensorType(dtype=t.dtype, shape=tuple(statics.substitute(size, replace) for size in t.shape))
        for t in types
    ]
