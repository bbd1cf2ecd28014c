"""Formulas for sizes that change from round to round of a loop.

In: what a size is in each strand. Out: an expression over names in scope that gives all of them, or None.
All functions are pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from dlc.emit.forms import Skeleton, simplified, skeleton
from dlc.ir import Const, Expr, Operation

Counter: TypeAlias = tuple[Expr, Sequence[int]]
"""A name that counts, and its value in each strand."""
Terms: TypeAlias = dict[Skeleton, tuple[int, Expr]]


def repeated(sizes: Sequence[Expr], counters: Iterable[Counter]) -> Expr | None:
    """`channels + i * growth` for `channels`, `channels + growth`, `channels + 2 * growth`.

    The sizes must differ in how often they add one term, and that number must follow from one counter.
    """
    if not all(isinstance(size.value, int) for size in sizes):
        return None
    sums = [terms_of(size) for size in sizes]
    longest = max(sums, key=len)
    if any(key not in longest for terms in sums for key in terms):
        return None
    varying = [key for key in longest if len({terms[key][0] if key in terms else 0 for terms in sums}) > 1]
    if len(varying) != 1 or isinstance(longest[varying[0]][1], Const):
        return None
    term = longest[varying[0]][1]
    counts = [terms[varying[0]][0] if varying[0] in terms else 0 for terms in sums]
    for counter, places in counters:
        line = line_through(places, counts)
        if line is not None:
            fixed = [scaled(number, other) for key, (number, other) in longest.items() if key != varying[0]]
            return added([*fixed, multiplied(straight(counter, *line), term)])
    return None


def line_through(places: Sequence[int], values: Sequence[int]) -> tuple[int, int] | None:
    """(a, b) with value = a + b * place everywhere, which needs two different places."""
    first = next((i for i, place in enumerate(places) if place != places[0]), None)
    if first is None:
        return None
    step, rest = divmod(values[first] - values[0], places[first] - places[0])
    start = values[0] - step * places[0]
    if rest or any(value != start + step * place for place, value in zip(places, values, strict=True)):
        return None
    return start, step


def terms_of(size: Expr) -> Terms:
    """The terms of a sum, each with how often it occurs."""
    found: Terms = {}

    def collect(expr: Expr, factor: int) -> None:
        match expr:
            case Operation(op="+", args=(left, right)):
                collect(left, factor)
                collect(right, factor)
            case Operation(op="*", args=(Const(value=int() as number), other)):
                collect(other, factor * number)
            case Operation(op="*", args=(other, Const(value=int() as number))):
                collect(other, factor * number)
            case Const(value=int() as number):
                add(Const(value=1), factor * number)
            case _:
                add(expr, factor)

    def add(expr: Expr, factor: int) -> None:
        key = skeleton(expr)
        found[key] = (found[key][0] + factor if key in found else factor, expr)

    collect(size, 1)
    return found


def remainder(total: Expr, part: Expr) -> Expr | None:
    """What `total` adds to `part`, where its terms are those of `part` and more."""
    if not (isinstance(total.value, int) and isinstance(part.value, int)):
        return None
    whole, known = terms_of(total), terms_of(part)
    more = {
        key: (number - known[key][0] if key in known else number, e) for key, (number, e) in whole.items()
    }
    if any(key not in whole for key in known) or any(number < 0 for number, _ in more.values()):
        return None
    rest = [scaled(number, expr) for number, expr in more.values() if number]
    return added(rest) if rest else None


def straight(counter: Expr, start: int, step: int) -> Expr:
    """`counter + 2`, `3 * counter`, `counter - 1`."""
    return added([scaled(step, counter), Const(value=start)])


def scaled(number: int, expr: Expr) -> Expr:
    if isinstance(expr, Const):
        return Const(value=number * expr.value)
    return multiplied(Const(value=number), expr)


def multiplied(left: Expr, right: Expr) -> Expr:
    return simplified("*", (left, right), left.value * right.value)


def added(terms: Sequence[Expr]) -> Expr:
    result = terms[0]
    for term in terms[1:]:
        if isinstance(term, Const) and term.value < 0:
            result = Operation(
                op="-", args=(result, Const(value=-term.value)), value=result.value + term.value
            )
        else:
            result = simplified("+", (result, term), result.value + term.value)
    return result


# ---------------------------------------------------------------- after a loop


def last_binding(iterable: Expr, targets: Sequence[str], name: str) -> Expr | None:
    """What a loop variable holds after the last round: `layers - 1`, `widths[-1]`."""
    match iterable:
        case Const():
            return None
        case Operation(op="range", args=(stop,)) | Operation(op="range", args=(_, stop)):
            return added([stop, Const(value=-1)]) if isinstance(stop.value, int) else None
        case Operation(op="enumerate", args=(inner,)):
            if name == targets[0]:
                length = Operation(op="len", args=(inner,), value=len(inner.value))
                return added([length, Const(value=-1)])
            return last_binding(inner, targets[1:], name)
        case Operation(op="zip", args=args) if len(args) == len(targets):
            return last_binding(args[targets.index(name)], [name], name)
        case Operation(op="reversed", args=(Operation(op="range", args=(_,)),)):
            return Const(value=0)
        case Operation(op="reversed", args=(inner,)) if not isinstance(inner, Operation):
            return _element(inner, 0, targets, name)
        case Operation(op="reversed" | "zip" | "range"):
            return None
    return _element(iterable, -1, targets, name)


def _element(items: Expr, place: int, targets: Sequence[str], name: str) -> Expr:
    args = (items, Const(value=place))
    found = Operation(op="index", args=args, value=items.value[place])
    if len(targets) == 1:
        return found
    part = targets.index(name)
    return Operation(op="index", args=(found, Const(value=part)), value=found.value[part])
