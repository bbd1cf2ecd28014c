"""Compile-time arithmetic: `ir.Expr` in, `ir.Expr` out, with the exact value and where it came from.

Integers and floats behave as Python's; sizes may be symbolic (`Dim`). What has no compile-time value
(`K / 2` of a symbolic `K`) raises `Symbolic`, and the caller computes it when the model runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from dlc import dims
from dlc.dims import Dim
from dlc.ir import Const, Expr, Operation, Ref, Value
from dlc.size_equations import Proved, decide_equal
from dlc.size_order import compare

MOST_ITEMS = 1_000_000
"""The longest compile-time list, and the longest text."""
LONGEST = 40
"""Expressions with more nodes are written as their value: nobody would read them."""


class Symbolic(Exception):
    """The value depends on a size that is only known when the model runs."""


class Undecided(Exception):
    """A comparison of sizes that holds for some values and not for others."""


class Wrong(Exception):
    """The operation is not defined for these values; the text says why, `help` what to do."""

    def __init__(self, text: str, help: str = "check the values that enter it") -> None:
        super().__init__(text)
        self.help = help


def const(value: Value) -> Const:
    """A value written as itself."""
    return Const(value=value)


def ref(name: str, value: Value, scope: str = "") -> Ref:
    """A name that holds a value."""
    return Ref(name=name, value=value, scope=scope)


def length(expr: Expr) -> int:
    """The number of nodes of an expression."""
    if isinstance(expr, Operation):
        return 1 + sum([length(argument) for argument in expr.args])
    return 1


def longest(size: Value) -> int:
    """The most nodes of a size of a result in the caller's terms: of a number, the expression is needed to
    make layers; of a symbolic one, it is only read by people."""
    return LONGEST if isinstance(size, int) else 12


def has_reference(expr: Expr) -> bool:
    """Whether the expression names anything."""
    if isinstance(expr, Operation):
        return any(has_reference(argument) for argument in expr.args)
    return isinstance(expr, Ref)


def _factors(expr: Expr) -> Iterator[Expr]:
    if isinstance(expr, Operation) and expr.op == "*":
        for argument in expr.args:
            yield from _factors(argument)
    else:
        yield expr


def operation(op: str, args: Sequence[Expr], value: Value) -> Expr:
    """An operation with its value, folded where it names nothing or is too long to read.

    `a * b // a` of integers is `b`.
    """
    if not any(has_reference(argument) for argument in args):
        return const(value)
    if op == "+" and len(args) == 2 and isinstance(value, (int, Dim)):
        args = _once_more(*args)
    if 1 + sum([length(argument) for argument in args]) > LONGEST:
        return const(value)
    if op == "//" and not isinstance(value, float):
        factors = list(_factors(args[0]))
        if len(factors) > 1 and args[1] in factors:
            factors.remove(args[1])
            return reduce(lambda a, b: Operation(op="*", args=(a, b), value=a.value * b.value), factors)
    return Operation(op=op, args=tuple(args), value=value)


def tuple_of(items: Sequence[Expr]) -> Expr:
    """A list of compile-time values as one."""
    return operation("tuple", items, tuple(item.value for item in items))


def _once_more(total: Expr, term: Expr) -> tuple[Expr, Expr]:
    """The two sides of a sum: `a + b` and `b` become `a` and `2 * b`, so that sums over rounds stay short."""
    match total:
        case Operation(op="+", args=(rest, last)) if (times := _times(last, term)) is not None:
            return rest, _multiple(times + 1, term)
    return total, term


def _times(expr: Expr, term: Expr) -> int | None:
    """The k of `k * term`."""
    match expr:
        case Operation(op="*", args=(Const(value=int() as times), other)) if other == term:
            return times
    return 1 if expr == term and has_reference(term) else None


def _multiple(times: int, term: Expr) -> Expr:
    return Operation(op="*", args=(const(times), term), value=times * term.value)


def is_number(value: Value) -> bool:
    """Whether a value takes part in arithmetic."""
    return isinstance(value, (int, float, Dim)) and not isinstance(value, bool)


def _divide(a: Value, b: Value) -> Value:
    if isinstance(a, Dim) or isinstance(b, Dim):
        raise Symbolic
    return a / b


def _power(a: Value, b: Value) -> Value:
    if isinstance(b, Dim) or (isinstance(a, Dim) and not (isinstance(b, int) and b >= 0)):
        raise Symbolic
    if isinstance(a, int) and isinstance(b, int) and abs(a) > 1 and a.bit_length() * b > 4096:
        raise Wrong("the result has more than a thousand digits", "use smaller numbers, or floats: 2.0 ** 10")
    result = a**b
    if isinstance(result, complex):
        raise Wrong("this power is not a real number")
    return result


def _plain(function: Callable[[Any, Any], Any]) -> Callable[[Value, Value], Value]:
    def apply(a: Value, b: Value) -> Value:
        symbolic = isinstance(a, Dim) or isinstance(b, Dim)
        if symbolic and (isinstance(a, float) or isinstance(b, float)):
            raise Symbolic
        return function(a, b)

    return apply


_ARITHMETIC: Mapping[str, Callable[[Value, Value], Value]] = {
    "+": _plain(lambda a, b: a + b),
    "-": _plain(lambda a, b: a - b),
    "*": _plain(lambda a, b: a * b),
    "//": _plain(lambda a, b: a // b),
    "%": _plain(lambda a, b: a % b),
    "/": _divide,
    "**": _power,
}

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _compare(op: str, a: Value, b: Value, known: Callable[[Value], Value]) -> bool:
    if isinstance(a, Dim) or isinstance(b, Dim):
        if not (isinstance(a, (int, Dim)) and isinstance(b, (int, Dim))):
            if op in ("==", "!=") and (a is None or b is None):
                return op == "!="
            raise Symbolic
        decided = compare(op, known(a), known(b))
        if decided is None and op in ("==", "!="):
            verdict = decide_equal(known(a), known(b))
            if isinstance(verdict, Proved):
                return op == "=="
        if decided is None:
            raise Undecided
        return decided
    if op == "==":
        return bool(a == b)
    if op == "!=":
        return bool(a != b)
    if not ((is_number(a) and is_number(b)) or (isinstance(a, str) and isinstance(b, str))):
        raise Wrong(f"`{op}` compares numbers, not {describe(a)} with {describe(b)}")
    return _ORDER[op](a, b)


def binary(op: str, left: Expr, right: Expr, known: Callable[[Value], Value] = lambda d: d) -> Expr:
    """`left op right`. `known` rewrites a size with the facts that `require` established.

    Raises Symbolic, Undecided, or Wrong.
    """
    a, b = left.value, right.value
    if op in ("==", "!=", "<", "<=", ">", ">="):
        return operation(op, (left, right), _compare(op, a, b, known))
    if op in ("in", "not in"):
        if not isinstance(b, (tuple, str)):
            raise Wrong(f"`in` needs a list on the right, not {describe(b)}")
        if isinstance(b, str) and not isinstance(a, str):
            raise Wrong(f"`in` looks for a text in a text, not for {describe(a)}")
        return operation(op, (left, right), (a in b) == (op == "in"))
    if op == "+" and (
        (isinstance(a, tuple) and isinstance(b, tuple)) or (isinstance(a, str) and isinstance(b, str))
    ):
        if len(a) + len(b) > MOST_ITEMS:
            raise Wrong("the result would have more than a million items", "use a shorter list")
        joined: Value = [*a, *b] if isinstance(a, tuple) else f"{a}{b}"
        return operation(op, (left, right), tuple(joined) if isinstance(a, tuple) else joined)
    if op == "*" and isinstance(a, tuple) and isinstance(b, int) and not isinstance(b, bool):
        if len(a) * max(b, 0) > MOST_ITEMS:
            raise Wrong("the result would have more than a million items", "use a shorter list")
        return operation(op, (left, right), a * b)
    if not (is_number(a) and is_number(b)):
        raise Wrong(f"`{op}` needs two numbers, not {describe(a)} and {describe(b)}", _instead(op, a, b))
    return operation(op, (left, right), _arithmetic(op, a, b))


MOST_TERMS = 200
LONGEST_SIZE = 4_000
"""Limits on symbolic sizes: beyond them no shape rule is meant, and deciding equations takes forever."""


def _extent(size: Dim) -> tuple[int, int, int]:
    """The number of terms of a size, its degree, and about how long its text is."""
    degree = length_ = 0
    for mono, coefficient in size.polynomial.items():
        degree = max(degree, sum(exponent for _, exponent in mono))
        length_ += sum(1 if isinstance(factor, str) else len(factor.text) for factor, _ in mono)
        length_ += coefficient.bit_length() // 3
    return len(size.polynomial), degree, length_


def _affordable(op: str, a: Value, b: Value) -> bool:
    """Whether an operation on symbolic sizes stays small."""
    if op == "*" and isinstance(a, Dim) and isinstance(b, Dim):
        return len(a.polynomial) * len(b.polynomial) <= MOST_TERMS
    if op == "**" and isinstance(a, Dim) and isinstance(b, int):
        return (
            b <= dims.MOST_EXPONENT and math.comb(len(a.polynomial) + max(b, 0) - 1, max(b, 0)) <= MOST_TERMS
        )
    return True


def _instead(op: str, a: Value, b: Value) -> str:
    if op == "+" and isinstance(a, tuple) != isinstance(b, tuple):
        return "put the other one into brackets: [1, 2] + [3]"
    return "use numbers on both sides"


def _arithmetic(op: str, a: Value, b: Value) -> Value:
    if not _affordable(op, a, b):
        raise Wrong("this size is too large an expression")
    try:
        value = _ARITHMETIC[op](a, b)
    except ZeroDivisionError:
        raise Wrong("division by zero", "check the divisor, for example with `require`") from None
    except OverflowError:
        raise Wrong("the result is too large for a float") from None
    except dims.DimError as error:
        raise Wrong(str(error)) from None
    if isinstance(value, int) and abs(value).bit_length() > 4096:
        raise Wrong("the result has more than a thousand digits")
    if isinstance(value, float) and not math.isfinite(value):
        raise Wrong("the result is not a finite number")
    if isinstance(value, Dim):
        terms, degree, length_ = _extent(value)
        if terms > MOST_TERMS or degree > dims.MOST_EXPONENT or length_ > LONGEST_SIZE:
            raise Wrong("this size is too large an expression")
    return value


def negative(operand: Expr) -> Expr:
    """`-operand`. Raises Wrong."""
    if not is_number(operand.value):
        raise Wrong(f"`-` needs a number, not {describe(operand.value)}")
    return operation("neg", (operand,), -operand.value)


def invert(operand: Expr) -> Expr:
    """`not operand`. Raises Wrong."""
    if not isinstance(operand.value, bool):
        raise Wrong(
            f"`not` needs true or false, not {describe(operand.value)}", "compare it, for example: x == 0"
        )
    return operation("not", (operand,), not operand.value)


def item(sequence: Expr, position: Expr) -> Expr:
    """`sequence[position]` of a list. Raises Wrong."""
    values, index = sequence.value, position.value
    if not isinstance(index, int) or isinstance(index, bool):
        raise Wrong(f"a position is an integer, not {describe(index)}")
    if not -len(values) <= index < len(values):
        raise Wrong(f"position {index} is outside a list of {len(values)}")
    if isinstance(sequence, Operation) and sequence.op == "tuple":
        return sequence.args[index]
    return operation("index", (sequence, position), values[index])


def substitute(expr: Expr, replace: Callable[[Ref], Expr]) -> Expr:
    """The expression with every reference replaced; values are kept."""
    if isinstance(expr, Ref):
        return replace(expr)
    if isinstance(expr, Operation):
        args = tuple(substitute(argument, replace) for argument in expr.args)
        if all(new is old for new, old in zip(args, expr.args, strict=True)):
            return expr
        return operation(expr.op, args, expr.value)
    return expr


def close(expr: Expr, scope: str) -> Expr:
    """The expression without references to a loop round that is over: their values instead."""
    return substitute(expr, lambda r: const(r.value) if r.scope == scope else r)


def show(value: Value) -> str:
    """A value as the language writes it."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case tuple():
            return (
                "["
                + ", ".join(show(item) for item in value[:20])
                + (", ..." if len(value) > 20 else "")
                + "]"
            )
        case _:
            return str(value)


def describe(value: Value) -> str:
    """A value's kind and text for messages: `the text "a"`, `the list [1, 2]`, `3`."""
    match value:
        case None:
            return "`none`"
        case bool():
            return "`true`" if value else "`false`"
        case str():
            return f'the text "{value[:40]}"'
        case tuple():
            shown = show(value)
            return f"the list {shown}" if len(shown) <= 40 else f"a list of {len(value)}"
        case Dim():
            return f"the size {value}"
        case _:
            return str(value)
