"""The compiler's own functions, of compile-time numbers and lists; and conversions of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from dlc import statics, values
from dlc.dims import Dim
from dlc.elaborate import distributions
from dlc.elaborate.arguments import Arguments
from dlc.elaborate.coerce import elements, folded, sequence
from dlc.elaborate.failure import fail
from dlc.elaborate.frame import Frame
from dlc.ir import Const, Expr
from dlc.values import STATIC, AnyValue, Builtin, DTypeValue, ListValue, TensorValue
from dlc_grammar import syntax


def _fold(op: str, first: int) -> Callable[[Expr], Any]:
    def apply(items: Expr) -> Any:
        if not isinstance(items.value, tuple):
            raise statics.Wrong(f"a list is needed, not {statics.describe(items.value)}")
        total: Expr = Const(value=first)
        for value in items.value:
            total = statics.binary(op, total, Const(value=value))
        return total.value

    return apply


def _range(*bounds: Expr) -> tuple[int, ...]:
    values_ = [b.value for b in bounds]
    if not 1 <= len(values_) <= 3:
        raise statics.Wrong("range takes one to three integers")
    for value in values_:
        if isinstance(value, Dim):
            raise statics.Symbolic
        if not isinstance(value, int) or isinstance(value, bool):
            raise statics.Wrong(f"range needs integers, not {statics.describe(value)}")
    if len(values_) == 3 and values_[2] == 0:
        raise statics.Wrong("the step of a range is not zero")
    numbers = range(*values_)
    count = max(0, -((numbers.start - numbers.stop) // numbers.step))
    if count > statics.MOST_ITEMS:
        shown = f"{count:_}" if count < 10**18 else "too many"
        raise statics.Wrong(f"this list has {shown} items, more than a million")
    return tuple(numbers)


def _number(function: Callable[[Any], Any]) -> Callable[[Expr], Any]:
    def apply(x: Expr) -> Any:
        if isinstance(x.value, Dim):
            raise statics.Symbolic
        if not statics.is_number(x.value):
            raise statics.Wrong(f"a number is needed, not {statics.describe(x.value)}")
        try:
            return function(x.value)
        except (ValueError, OverflowError):
            raise statics.Wrong(f"{x.value} is outside what this function takes") from None

    return apply


def _extreme(choose: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*args: Expr) -> Any:
        found = (
            args[0].value if len(args) == 1 and isinstance(args[0].value, tuple) else [a.value for a in args]
        )
        if not found:
            raise statics.Wrong("an empty list has no largest or smallest element")
        if any(isinstance(value, Dim) for value in found):
            raise statics.Symbolic
        if not all(statics.is_number(value) for value in found):
            raise statics.Wrong("only numbers have a largest or smallest element")
        return choose(found)

    return apply


def _int(x: Expr) -> Any:
    if isinstance(x.value, Dim):
        return x.value
    return _number(int)(x)


_STATIC: Mapping[str, Callable[..., Any]] = {
    "range": _range,
    "len": lambda x: len(x.value),
    "sum": _fold("+", 0),
    "prod": _fold("*", 1),
    "ceil": _number(math.ceil),
    "floor": _number(math.floor),
    "round": _number(round),
    "abs": _number(abs),
    "sqrt": _number(math.sqrt),
    "log": _number(math.log),
    "exp": _number(math.exp),
    "sin": _number(math.sin),
    "cos": _number(math.cos),
    "int": _int,
    "float": _number(float),
    "max": _extreme(max),
    "maximum": _extreme(max),
    "min": _extreme(min),
    "minimum": _extreme(min),
}


FUNCTIONS = frozenset(_STATIC)
"""What computes a number or a list of some."""
NUMERIC = FUNCTIONS - {"range", "len", "int", "float"}
"""Names that are also tensor functions: compile-time where every argument is."""
NAMES = FUNCTIONS - {"float", "int"} | {"enumerate", "zip", "reversed", *distributions.DISTRIBUTIONS}
_USAGE = {
    "range": "range(8), range(1, 8) or range(0, 8, 2)",
    "sum": "sum([1, 2])",
    "prod": "prod([1, 2])",
    "max": "max(1, 2)",
    "min": "min(1, 2)",
    "maximum": "max(1, 2)",
    "minimum": "min(1, 2)",
    "enumerate": "enumerate([1, 2])",
    "zip": "zip([1, 2], [3, 4])",
    "reversed": "reversed([1, 2])",
    "len": "len([1, 2])",
}


def call(frame: Frame, function: Builtin, given: Arguments, node: syntax.Node) -> AnyValue:
    """Call a compile-time function."""
    name = function.name
    if name in ("enumerate", "zip", "reversed", "len"):
        return _list_function(frame, name, given, node)
    if name in distributions.DISTRIBUTIONS and name not in _STATIC:
        raise fail(
            "E0231",
            f"`{name}` is a distribution",
            node.span,
            "not a value here",
            help=f"draw from it: sample x: float[B] ~ {name}(...)",
        )
    args = []
    for value, span in [*given.positional, *given.keywords.values()]:
        value = folded(value)
        if not isinstance(value, STATIC):
            raise fail(
                "E0222",
                f"`{name}` is decided at compile time",
                span,
                f"this is {values.describe(value)}",
                help="use a number, a parameter or a list here",
            )
        args.append(value)
    try:
        return statics.operation(name, args, _STATIC[name](*args))
    except statics.Wrong as wrong:
        code = "E0106" if "million" in str(wrong) else "E0223"
        remedy = (
            "loop over a smaller list"
            if code == "E0106"
            else f"write for example {_USAGE.get(name, name + '(2.0)')}"
        )
        raise fail(code, str(wrong), node.span, f"in `{name}`", help=remedy) from None
    except TypeError:
        raise fail(
            "E0211",
            f"`{name}` is called with the wrong arguments",
            node.span,
            "in this call",
            help=f"write for example {_USAGE.get(name, name + '(2.0)')}",
        ) from None
    except statics.Symbolic:
        raise fail(
            "E0224",
            f"`{name}` of a size that is only known when the model runs",
            node.span,
            "not a number yet",
            help="give the size a number; to walk over an axis write `scan x_t in x along 1 { ... }`"
            if name == "range"
            else "give the size a number",
        ) from None


def _list_function(frame: Frame, name: str, given: Arguments, node: syntax.Node) -> AnyValue:
    if given.keywords or not given.positional or (name != "zip" and len(given.positional) != 1):
        raise fail(
            "E0211",
            f"`{name}` takes a list",
            node.span,
            "in this call",
            help=f"write for example {_USAGE[name]}",
        )
    lists = [elements(value, span) for value, span in given.positional]
    if name == "len":
        source = given.positional[0][0]
        if isinstance(source, STATIC):
            return statics.operation("len", (source,), len(source.value))
        return Const(value=len(lists[0]))
    static_args = [v for v, _ in given.positional if isinstance(v, STATIC)]
    if len(static_args) == len(given.positional):
        plain = [tuple(v.value) for v in static_args]
        built: dict[str, Callable[[], tuple[Any, ...]]] = {
            "enumerate": lambda: tuple(enumerate(plain[0])),
            "zip": lambda: tuple(zip(*plain, strict=False)),
            "reversed": lambda: tuple(reversed(plain[0])),
        }
        return statics.operation(name, static_args, built[name]())
    if name == "enumerate":
        return ListValue(tuple(sequence([Const(value=i), item]) for i, item in enumerate(lists[0])))
    if name == "reversed":
        return ListValue(tuple(reversed(lists[0])))
    return ListValue(tuple(sequence(list(items)) for items in zip(*lists, strict=False)))


def convert(frame: Frame, dtype: DTypeValue, given: Arguments, node: syntax.Node) -> AnyValue:
    """`int(x)` and `float(x)` of compile-time numbers."""
    if dtype.name not in ("int", "float"):
        raise fail(
            "E0228",
            f"`{dtype.name}` cannot be called",
            node.span,
            "called here",
            help=f"convert a tensor with cast(x, {dtype.name})",
        )
    tensor = next((span for value, span in given.positional if isinstance(value, TensorValue)), None)
    if tensor is not None:
        raise fail(
            "E0222",
            f"`{dtype.name}(...)` is for compile-time numbers",
            tensor,
            "this is a tensor",
            help=f"convert it: cast(x, {dtype.name})",
        )
    return call(frame, Builtin(dtype.name), given, node)
