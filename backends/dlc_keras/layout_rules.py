"""How each primitive is written when the axes of its tensors are stored in another order.

In: an operation's attributes and the axis orders of its operands and results. Out: the attributes for
those orders, the orders the operands must have, and the orders in which the results come. An *order* is
a tuple `p`: stored axis `i` holds axis `p[i]` of the specification. Where no rule holds the answer is
None, and the operation keeps the specification's order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dlc.ir import Const, Expr, Operation, Ref
from dlc_keras.names import words

Order = tuple[int, ...]

CHANNELS_LAST: Mapping[int, Order] = {3: (0, 2, 1), 4: (0, 2, 3, 1)}
"""`[N, C, T]` is stored as `[N, T, C]`, `[N, C, H, W]` as `[N, H, W, C]`."""

IMAGE_OPS = words(
    """
    conv1d conv2d conv2d_same conv2d_transpose max_pool1d avg_pool1d max_pool2d avg_pool2d
    upsample2d local_response_norm
    """
)
"""These want channels last, and only exist so in TensorFlow on CPU."""

ELEMENTWISE = words(
    """
    exp log sqrt rsqrt sin cos tanh erf abs sigmoid softplus round floor sign log1p expm1 negative
    logical_not stop_gradient add subtract multiply divide floor_divide remainder power maximum
    minimum equal not_equal less less_equal greater greater_equal logical_and logical_or where
    zeros_like ones_like cast
    """
)


@dataclass(frozen=True)
class Rewritten:
    """`inputs` are the orders the operands must have (None for scalars), `outputs` those that come."""

    attrs: Mapping[str, Expr]
    inputs: tuple[Order | None, ...]
    outputs: tuple[Order, ...]


@dataclass(frozen=True)
class Situation:
    """An operation with the present orders of its operands and the wanted ones of its results."""

    attrs: Mapping[str, Expr]
    inputs: tuple[Order | None, ...]
    outputs: tuple[Order, ...]

    @property
    def first(self) -> Order:
        assert self.inputs[0] is not None
        return self.inputs[0]

    def keeping(self, **changed: Expr) -> Rewritten:
        """The results are stored as the first operand is."""
        return Rewritten({**self.attrs, **changed}, self.inputs, tuple(self.first for _ in self.outputs))


def identity(rank: int) -> Order:
    return tuple(range(rank))


def conversion(present: Order, wanted: Order) -> Order:
    """The `axes` of the transpose that turns one order into another."""
    return tuple(present.index(axis) for axis in wanted)


def permuted(items: Expr, order: Order) -> Expr | None:
    """A compile-time tuple with its items in another order, None where its items are not known."""
    match items:
        case Operation(op="tuple", args=args) if len(args) == len(order):
            chosen = tuple(args[axis] for axis in order)
            return Operation(op="tuple", args=chosen, value=tuple(arg.value for arg in chosen))
        case Const(value=tuple() | list() as values) if len(values) == len(order):
            return Const(value=tuple(values[axis] for axis in order))
    return None


def stored_axis(axis: Expr, order: Order) -> Expr:
    """An axis, or a tuple of axes, as they are stored. A parameter stays that parameter."""
    if axis.value is None or order == identity(len(order)):
        return axis
    if isinstance(axis.value, (tuple, list)):
        return Const(value=tuple(sorted(order.index(one % len(order)) for one in axis.value)))
    place = order.index(axis.value % len(order))
    if axis.value < 0 and place == len(order) - 1:
        place = -1
    if isinstance(axis, Ref) and axis.scope == "" and axis.name == "axis":
        return Ref(name=axis.name, value=place)
    return Const(value=place)


def without(order: Order, gone: set[int]) -> Order:
    """The order of the axes that are left, renumbered."""
    left = [axis for axis in order if axis not in gone]
    return tuple(sorted(left).index(axis) for axis in left)


# ---------------------------------------------------------------- rules


def _reduction(at: Situation) -> Rewritten | None:
    axis, order = at.attrs.get("axis", Const(value=None)), at.first
    keep = at.attrs.get("keep", Const(value=False)).value
    if axis.value is None:
        gone = set(order)
    else:
        axes = axis.value if isinstance(axis.value, (tuple, list)) else (axis.value,)
        gone = {one % len(order) for one in axes}
    result = order if keep else without(order, gone)
    return Rewritten({**at.attrs, "axis": stored_axis(axis, order)}, at.inputs, (result,))


def _along(at: Situation) -> Rewritten | None:
    return at.keeping(axis=stored_axis(at.attrs["axis"], at.first))


def _split(at: Situation) -> Rewritten | None:
    return _along(at)


def _concat(at: Situation) -> Rewritten | None:
    wanted = at.outputs[0]
    axis = stored_axis(at.attrs["axis"], wanted)
    return Rewritten({**at.attrs, "axis": axis}, tuple(wanted for _ in at.inputs), (wanted,))


def _pad(at: Situation) -> Rewritten | None:
    pads = permuted(at.attrs["pads"], at.first)
    return None if pads is None else at.keeping(pads=pads)


def _reshape(at: Situation) -> Rewritten | None:
    """A result with ones on all axes that move is the same in both orders."""
    wanted, shape = at.outputs[0], at.attrs["shape"].value
    if at.first != identity(len(at.first)) or not isinstance(shape, tuple):
        return None
    moved = [axis for place, axis in enumerate(wanted) if axis != place]
    return Rewritten(at.attrs, at.inputs, at.outputs) if all(shape[axis] == 1 for axis in moved) else None


def _full(at: Situation) -> Rewritten | None:
    shape = permuted(at.attrs["shape"], at.outputs[0])
    return None if shape is None else Rewritten({**at.attrs, "shape": shape}, at.inputs, at.outputs)


def _subscripts(value: tuple[Any, ...], rank: int) -> list[Any]:
    """One subscript an axis."""
    whole = ("slice", None, None, None)
    written = list(value)
    missing = rank - sum(1 for item in written if item != "...")
    if "..." not in written:
        return written + [whole] * missing
    place = written.index("...")
    return written[:place] + [whole] * missing + written[place + 1 :]


def _index(at: Situation) -> Rewritten | None:
    order, subscripts = at.first, at.attrs["subscripts"]
    if not isinstance(subscripts.value, tuple):
        return None
    items = _subscripts(subscripts.value, len(order))
    if isinstance(subscripts, Operation) and len(subscripts.args) == len(subscripts.value):
        items = _subscript_expressions(subscripts, items)
        chosen = tuple(items[axis] for axis in order)
        stored: Expr = Operation(op="tuple", args=chosen, value=tuple(one.value for one in chosen))
        gone = {axis for axis, item in enumerate(items) if not isinstance(item.value, tuple)}
    else:
        stored = Const(value=tuple(items[axis] for axis in order))
        gone = {axis for axis, item in enumerate(items) if not isinstance(item, tuple)}
    return Rewritten({**at.attrs, "subscripts": stored}, at.inputs, (without(order, gone),))


def _subscript_expressions(subscripts: Operation, items: list[Any]) -> list[Any]:
    """The expressions of the subscripts, with the filled-in ones as constants."""
    written = list(subscripts.args)
    place = subscripts.value.index("...") if "..." in subscripts.value else len(written)
    tail = written[place + 1 :]
    filled = [Const(value=item) for item in items[place : len(items) - len(tail)]]
    return written[:place] + filled + tail


def pattern_axes(side: str) -> list[str]:
    """`"b (h w) 1"` is `["b", "(h w)", "1"]`."""
    groups: list[str] = []
    depth = 0
    for word in side.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            groups.append("(")
            depth += 1
        elif word == ")":
            groups[-1] = groups[-1].rstrip() + ")"
            depth -= 1
        elif depth:
            groups[-1] += word + " "
        else:
            groups.append(word)
    return groups


def _ordered(side: str, order: Order | None) -> str | None:
    axes = pattern_axes(side)
    if order is None or order == identity(len(order)):
        return side.strip()
    if len(axes) != len(order) or "..." in side:
        return None
    return " ".join(axes[axis] for axis in order)


def _rearrange(at: Situation) -> Rewritten | None:
    left, right = at.attrs["pattern"].value.split("->")
    before, after = _ordered(left, at.first), _ordered(right, at.outputs[0])
    if before is None or after is None:
        return None
    pattern = Const(value=f"{before} -> {after}")
    return Rewritten({**at.attrs, "pattern": pattern}, at.inputs, at.outputs)


def _einsum(at: Situation) -> Rewritten | None:
    left, right = at.attrs["equation"].value.split("->")
    terms = left.split(",")
    sides = [_ordered(term, order) for term, order in zip(terms, at.inputs, strict=True)]
    result = _ordered(right, at.outputs[0])
    if result is None or None in sides:
        return None
    equation = Const(value=f"{', '.join(side for side in sides if side)} -> {result}")
    return Rewritten({**at.attrs, "equation": equation}, at.inputs, at.outputs)


def _transpose(at: Situation) -> Rewritten | None:
    order, wanted = at.first, at.outputs[0]
    axes = at.attrs.get("axes", Const(value=None)).value
    if axes is None:
        axes = (*range(len(order) - 2), len(order) - 1, len(order) - 2)
    stored = Const(value=tuple(order.index(axes[axis] % len(order)) for axis in wanted))
    return Rewritten({**at.attrs, "axes": stored}, at.inputs, at.outputs)


def _image(at: Situation) -> Rewritten | None:
    last = CHANNELS_LAST[len(at.first)]
    weights = tuple(None if order is None else identity(len(order)) for order in at.inputs[1:])
    attrs = {**at.attrs, "layout": Const(value="channels_last")}
    return Rewritten(attrs, (last, *weights), (last,))


RULES: Mapping[str, Callable[[Situation], Rewritten | None]] = {
    **dict.fromkeys(words("sum mean max min prod variance any all argmax argmin"), _reduction),
    **dict.fromkeys(["cumsum", "cumprod", "sort", "flip"], _along),
    **dict.fromkeys(IMAGE_OPS, _image),
    "split": _split,
    "concat": _concat,
    "pad": _pad,
    "full": _full,
    "reshape": _reshape,
    "index": _index,
    "rearrange": _rearrange,
    "repeat": _rearrange,
    "einsum": _einsum,
    "transpose": _transpose,
}


def rewrite(op: str, at: Situation) -> Rewritten:
    """The operation in the given orders, or, where no rule holds, in the specification's."""
    rule = RULES.get(op)
    result = rule(at) if rule and (op == "full" or at.inputs[0] is not None) else None
    if result is not None:
        return result
    plain = tuple(None if order is None else identity(len(order)) for order in at.inputs)
    return Rewritten(at.attrs, plain, tuple(identity(len(order)) for order in at.outputs))
