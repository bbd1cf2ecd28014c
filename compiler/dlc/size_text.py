"""Sizes and counts of operations for people: `H/2`, `⌈H/2⌉`, `≈164k H W`.

In: sizes of a program (`int | Dim`), numbers for some of its size variables, and what the network
requires of them. Out: text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from dlc import dims, ir

MAX_TERMS = 3
MARK = "@"
"""`H@8` stands for an eighth of H, a whole number by the requirements of the network."""

Polynomial: TypeAlias = dict[tuple[tuple[str, int], ...], Fraction]
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def divisors(program: ir.Program) -> dict[str, int]:
    """By which numbers the network requires its sizes to be divisible."""
    found: dict[str, int] = {}

    def read(expr: ir.Expr) -> None:
        if not isinstance(expr, ir.Operation):
            return
        if expr.op == "and":
            for part in expr.args:
                read(part)
        elif expr.op == "==" and expr.args[1].value == 0:
            rest = expr.args[0]
            if isinstance(rest, ir.Operation) and rest.op == "%":
                size, divisor = (str(rest.args[0].value), rest.args[1].value)
                if size.isidentifier() and isinstance(divisor, int):
                    found[size] = math.lcm(divisor, found.get(size, 1))

    for rule in program.requirements:
        read(rule.expr)
    return found


def batch_size(definition: ir.Definition) -> str | None:
    """The size variable that every input starts with: operations are counted for one of it."""
    types = [item.tensor.type for item in definition.inputs if item.tensor]
    firsts = {str(type_.sizes[0]) if type_.rank else "" for type_ in types}
    first = firsts.pop() if len(firsts) == 1 else ""
    return first if first.isidentifier() else None


@dataclass
class SizeText:
    """Writes the sizes of one program."""

    program: ir.Program
    sizes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = {name: n for name, n in divisors(self.program).items() if name not in self.sizes}
        self.values: dict[str, Any] = dict(self.sizes)
        self.values |= {name: n * dims.variable(f"{name}{MARK}{n}") for name, n in parts.items()}

    def fixed(self, size: int | dims.Dim) -> int | dims.Dim:
        """A size with the chosen numbers filled in."""
        return dims.substitute(size, dict(self.sizes)) if isinstance(size, dims.Dim) else size

    def size(self, size: int | dims.Dim) -> str:
        """`H/2`, `2⌈H/8⌉`, `64`."""
        found = dims.substitute(size, self.values) if isinstance(size, dims.Dim) else size
        return text_of(found)

    def shape(self, type_: ir.TensorType) -> list[str]:
        return [self.size(size) for size in type_.sizes]

    def type(self, type_: ir.TensorType) -> str:
        """`[B, 64, H/2, W/2]`; the dtype is written where it is not `float`."""
        dtype = "" if type_.dtype == "float" else type_.dtype
        return f"{dtype}[{', '.join(self.shape(type_))}]"

    def count(self, count: int | dims.Dim, shown: int = MAX_TERMS) -> str:
        """A number of operations: `36.9k T² + 218M T`; without the rounding of sizes it starts with `≈`.

        Of its terms only the first ones are `shown`.
        """
        found = dims.substitute(count, self.values) if isinstance(count, dims.Dim) else count
        if not isinstance(found, dims.Dim):
            return short(found) if found else "-"
        terms, exact = leading(found)
        items = sorted(terms.items(), key=lambda item: (-sum(n for _, n in item[0]), item[0]))
        if len(items) > MAX_TERMS or any(number < 0 for _, number in items):
            return f"by {', '.join(sorted(dims.variables(self.fixed(count))))}"
        texts = [" ".join([short(number), *map(_power, names)]) for names, number in items]
        more = ["…"] if len(texts) > shown else []
        return ("" if exact else "≈") + " + ".join([*texts[:shown], *more])


def _power(factor: tuple[str, int]) -> str:
    name, exponent = factor
    return name if exponent == 1 else name + str(exponent).translate(SUPERSCRIPTS)


def leading(size: dims.Dim) -> tuple[Polynomial, bool]:
    """A size as a polynomial with its floors left out, and whether there were none."""
    exact = True
    total: Polynomial = {}
    for number, factors in size.terms():
        term: Polynomial = {(): Fraction(number)}
        for tree, exponent in factors:
            if isinstance(tree, tuple) and tree[0] == "//":
                exact = False
            for _ in range(exponent):
                term = _product(term, _polynomial(tree))
        for names, value in term.items():
            total[names] = total.get(names, Fraction(0)) + value
    return {names: value for names, value in total.items() if value}, exact


def _polynomial(tree: Any) -> Polynomial:
    """A factor; of a floor only the terms of highest degree."""
    match tree:
        case ("var", name):
            base, _, part = name.partition(MARK)
            return {((base, 1),): Fraction(1, int(part or 1))}
        case ("//", numerator, divisor):
            inside = _polynomial(numerator)
            degree = max(sum(n for _, n in names) for names in inside)
            return {k: v / divisor for k, v in inside.items() if sum(n for _, n in k) == degree}
        case ("+", *parts):
            total: Polynomial = {}
            for part in parts:
                for names, value in _polynomial(part).items():
                    total[names] = total.get(names, Fraction(0)) + value
            return total
        case ("-", left, right):
            return _polynomial(("+", left, ("*", -1, right)))
        case ("*", *parts):
            result: Polynomial = {(): Fraction(1)}
            for part in parts:
                result = _product(result, _polynomial(part))
            return result
        case ("**", base, exponent):
            return _polynomial(("*", *[base] * exponent))
    return {(): Fraction(tree)}


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    found: Polynomial = {}
    for names, value in a.items():
        for others, factor in b.items():
            powers = dict(names)
            for name, exponent in others:
                powers[name] = powers.get(name, 0) + exponent
            key = tuple(sorted(powers.items()))
            found[key] = found.get(key, Fraction(0)) + value * factor
    return found


def text_of(size: int | dims.Dim) -> str:
    """A size as text: a division that comes out even as `H/2`, one that is rounded as `⌈H/2⌉`."""
    if not isinstance(size, dims.Dim):
        return str(size)
    text = ""
    for number, factors in size.terms():
        value, names = Fraction(number), []
        for tree, exponent in factors:
            name, part = _factor(tree)
            value /= part**exponent
            names.append(_power((name, exponent)))
        sign = ("-" if value < 0 else "") if not text else (" - " if value < 0 else " + ")
        text += sign + _times(abs(value), names)
    return text


def _factor(tree: Any) -> tuple[str, int]:
    """A factor as text, and the number that it is divided by."""
    match tree:
        case ("var", name):
            base, _, part = name.partition(MARK)
            return base, int(part or 1)
        case ("//", numerator, divisor):
            size = dims.substitute(dims.variable("x"), {"x": _rebuilt(numerator)})
            up = size - (divisor - 1)
            if isinstance(up, dims.Dim) and len(list(up.terms())) == 1:
                return f"⌈{text_of(up)}/{divisor}⌉", 1
            inside = text_of(size)
            return f"⌊{f'({inside})' if ' ' in inside else inside}/{divisor}⌋", 1
    return str(tree), 1


def _rebuilt(tree: Any) -> Any:
    """The size that `Dim.to_tree` took apart."""
    match tree:
        case ("var", name):
            return dims.variable(name)
        case ("+", *parts):
            return sum((_rebuilt(part) for part in parts[1:]), _rebuilt(parts[0]))
        case ("-", left, right):
            return _rebuilt(left) - _rebuilt(right)
        case ("*", *parts):
            return math.prod(_rebuilt(part) for part in parts)
        case ("//", numerator, divisor):
            return _rebuilt(numerator) // divisor
        case ("**", base, exponent):
            return _rebuilt(base) ** exponent
    return tree


def _times(value: Fraction, names: Iterable[str]) -> str:
    product = "·".join(names)
    if not product:
        return str(value)
    top = product if value.numerator == 1 else f"{value.numerator}{product}"
    return top if value.denominator == 1 else f"{top}/{value.denominator}"


def short(number: int | Fraction) -> str:
    """`1.82G`: three digits and a unit."""
    for unit, size in (("P", 10**15), ("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            value = float(number / size)
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}{unit}"
    return str(number) if number == int(number) else f"{float(number):.3g}"
