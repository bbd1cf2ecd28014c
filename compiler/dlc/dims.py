"""Symbolic sizes: exact integer algebra, with one normal form for each size.

In: size variables (``variable("H")``), integers, and the operators ``+ - * // % **``.
Out: a ``Size``: an ``int`` when the result is constant, otherwise a ``Dim`` in normal form, an
integer polynomial over variables and atoms ``poly // c`` with ``c`` a positive integer. On sizes:
``substitute``, ``evaluate``, ``variables``, ``parse``, ``str`` and ``to_tree`` (for printers).

Variables stand for integers >= 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import gcd
from typing import Any, NoReturn, TypeAlias

MOST_EXPONENT = 64
"""No size has such a degree; this keeps a stray `**` from filling the memory."""

NAME = r"[^\W\d][\w.'$#@]*"
NAME_ONLY = re.compile(NAME)
TOKEN = re.compile(rf"\s*(?:(\d+)|({NAME})|(//|\*\*|[-+*%()]))")


class DimError(ValueError):
    """A size expression that has no meaning: bad divisor, bad name, bad text, missing value."""


class Floor:
    """The atom ``num // div``. Built only by `_floor`, which brings `num` into normal form."""

    __slots__ = ("_hash", "div", "key", "num", "text")

    def __init__(self, num: Dim, div: int) -> None:
        self.num = num
        self.div = div
        self.text = f"{_operand(num)}//{div}"
        self.key = "~" + self.text  # sorts after every (ASCII) variable; cannot equal a name
        self._hash = hash((num, div))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Floor):
            return False
        return self._hash == other._hash and self.div == other.div and self.num == other.num


Gen: TypeAlias = str | Floor
"""What is multiplied: a variable, by its name, or an atom."""
Monomial: TypeAlias = tuple[tuple[Gen, int], ...]
"""Factors with their exponents, sorted by `_key`; () is the constant term."""
Terms: TypeAlias = dict[Monomial, int]
"""A polynomial: the coefficient of each monomial, none of them 0."""
Tree: TypeAlias = int | tuple[Any, ...]
"""A number, `("+", t, t, ...)`, `("-", t, t)`, `("*", t, t, ...)`, `("//", t, number)`, `("**", t, number)`
or `("var", name)`."""


def _key(factor: tuple[Gen, int]) -> str:
    gen = factor[0]
    return gen if isinstance(gen, str) else gen.key


def times(a: Monomial, b: Monomial) -> Monomial:
    """The product of two monomials."""
    if not a:
        return b
    if not b:
        return a
    powers = dict(a)
    for gen, exponent in b:
        powers[gen] = powers.get(gen, 0) + exponent
    return tuple(sorted(powers.items(), key=_key))


def _size(terms: Terms) -> Size:
    """The size for `terms`, which the caller must not change afterwards."""
    if not terms:
        return 0
    if len(terms) == 1 and () in terms:
        return terms[()]
    return Dim._of(terms)


def _terms_of(d: Size) -> Terms:
    if isinstance(d, Dim):
        return d.polynomial
    return {(): d} if d else {}


def _accumulate(into: Terms, terms: Terms, factor: int = 1) -> None:
    for mono, coef in terms.items():
        total = into.get(mono, 0) + coef * factor
        if total:
            into[mono] = total
        else:
            into.pop(mono, None)


def _product(a: Terms, b: Terms) -> Terms:
    out: Terms = {}
    for left, k in a.items():
        _accumulate(out, {times(left, right): coef for right, coef in b.items()}, k)
    return out


def _floor(terms: Terms, c: int) -> Size:
    """The normal form of ``terms // c`` for c >= 1.

    Afterwards every coefficient of a numerator lies in [0, c) and has no factor in common with
    c; `size_order.py` relies on the numerator having no negative coefficient.
    """
    quotient: Terms = {}
    while True:
        # floor((c*q + r)/c) = q + floor(r/c), coefficient by coefficient.
        rest: Terms = {}
        for mono, coef in terms.items():
            q, r = divmod(coef, c)
            if q:
                _accumulate(quotient, {mono: q})
            if r:
                rest[mono] = r
        const = rest.pop((), 0)
        if not rest:
            return _size(quotient)
        # floor((g*e + k)/(g*c)) = floor((e + floor(k/g))/c).
        common = gcd(c, *rest.values())
        if common > 1:
            c //= common
            const //= common
            rest = {mono: coef // common for mono, coef in rest.items()}
        # floor((floor(e/a) + k)/b) = floor((e + k*a)/(a*b)) for every integer k. With two atoms
        # in the numerator there would be two ways to do it, hence no normal form: leave those.
        nested = [m for m in rest if any(isinstance(gen, Floor) for gen, _ in m)]
        if len(nested) == 1 and rest[nested[0]] == 1 and len(nested[0]) == 1:
            ((gen, exponent),) = nested[0]
            if exponent == 1 and isinstance(gen, Floor):
                del rest[nested[0]]
                terms = dict(gen.num.polynomial)
                _accumulate(terms, rest, gen.div)
                if const:
                    _accumulate(terms, {(): const * gen.div})
                c *= gen.div
                continue
        if const:
            rest[()] = const
        atom = Floor(Dim._of(rest), c)
        _accumulate(quotient, {((atom, 1),): 1})
        return _size(quotient)


class Dim:
    """A size that is not constant. Immutable; ``==`` and ``hash`` compare normal forms.

    Order comparisons are undefined on purpose (TypeError): use `compare`, which can say "unknown".
    """

    __slots__ = ("_hash", "_text", "polynomial")
    polynomial: Terms
    _hash: int | None
    _text: str | None

    def __init__(self) -> None:
        raise TypeError("use variable(name) or parse(text) to make a Dim")

    @classmethod
    def _of(cls, terms: Terms) -> Dim:
        self = object.__new__(cls)
        object.__setattr__(self, "polynomial", terms)
        object.__setattr__(self, "_hash", None)
        object.__setattr__(self, "_text", None)
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Dim is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Dim is immutable")

    def __hash__(self) -> int:
        if self._hash is None:
            object.__setattr__(self, "_hash", hash(frozenset(self.polynomial.items())))
        assert self._hash is not None
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Dim) and self.polynomial == other.polynomial

    # Hashes of strings differ between processes, so the cached ones must not travel.
    def __reduce__(self) -> tuple[Callable[[str], Size], tuple[str]]:
        return parse, (str(self),)

    def __copy__(self) -> Dim:
        return self

    def __deepcopy__(self, memo: object) -> Dim:
        return self

    def __add__(self, other: Size) -> Size:
        if not isinstance(other, (int, Dim)):
            return NotImplemented
        out = dict(self.polynomial)
        _accumulate(out, _terms_of(other))
        return _size(out)

    __radd__ = __add__

    def __sub__(self, other: Size) -> Size:
        if not isinstance(other, (int, Dim)):
            return NotImplemented
        out = dict(self.polynomial)
        _accumulate(out, _terms_of(other), -1)
        return _size(out)

    def __rsub__(self, other: int) -> Size:
        if not isinstance(other, int):
            return NotImplemented
        return -self + other

    def __neg__(self) -> Dim:
        return Dim._of({mono: -coef for mono, coef in self.polynomial.items()})

    def __pos__(self) -> Dim:
        return self

    def __mul__(self, other: Size) -> Size:
        if isinstance(other, Dim):
            return _size(_product(self.polynomial, other.polynomial))
        if not isinstance(other, int):
            return NotImplemented
        if other == 0:
            return 0
        return Dim._of({mono: coef * other for mono, coef in self.polynomial.items()})

    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> Size:
        return _floor(self.polynomial, _divisor(self, "//", other))

    def __mod__(self, other: int) -> Size:
        c = _divisor(self, "%", other)
        return self - c * _floor(self.polynomial, c)

    def __rfloordiv__(self, other: int) -> NoReturn:
        raise DimError(f"cannot divide by the size {self}: a divisor must be a positive integer")

    __rmod__ = __rfloordiv__

    def __pow__(self, other: int) -> Size:
        if not isinstance(other, int) or not 0 <= other <= MOST_EXPONENT:
            raise DimError(f"({self})**({other}): the exponent must be 0..{MOST_EXPONENT}")
        out: Terms = {(): 1}
        for _ in range(other):
            out = _product(out, self.polynomial)
        return _size(out)

    def __rpow__(self, other: int) -> NoReturn:
        raise DimError(f"a size cannot be an exponent: {other}**({self})")

    def __str__(self) -> str:
        if self._text is None:
            object.__setattr__(self, "_text", _sum(self))
        assert self._text is not None
        return self._text

    def __repr__(self) -> str:
        return f"Dim({self})"

    def terms(self) -> Iterator[tuple[int, tuple[tuple[Tree, int], ...]]]:
        """The summands in printing order: (coefficient, ((factor, exponent), ...))."""
        for mono, coef in _ordered(self.polynomial):
            yield coef, tuple((_gen_tree(gen), exponent) for gen, exponent in mono)

    def to_tree(self) -> tuple[Any, ...]:
        """The structure, in printing order; a coefficient comes first and may be negative."""
        total: Tree | None = None
        for coef, factors in self.terms():
            negative = total is not None and coef < 0
            if negative:
                coef = -coef
            parts: list[Tree] = [f if n == 1 else ("**", f, n) for f, n in factors]
            if coef != 1 or not parts:
                parts.insert(0, coef)
            term: Tree = parts[0] if len(parts) == 1 else ("*", *parts)
            if total is None:
                total = term
            elif negative:
                total = ("-", total, term)
            elif isinstance(total, tuple) and total[0] == "+":
                total = (*total, term)
            else:
                total = ("+", total, term)
        assert isinstance(total, tuple)  # a Dim is not constant
        return total

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """A field of type Dim is a string in JSON, and accepts a string or a Dim."""
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            _validate, serialization=core_schema.to_string_ser_schema(when_used="always")
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "description": "size expression"}


Size: TypeAlias = int | Dim


def _validate(value: object) -> Dim:
    parsed = parse(value) if isinstance(value, str) else value
    if not isinstance(parsed, Dim):
        raise DimError("expected a size expression with at least one variable")
    return parsed


def _divisor(d: Dim, op: str, c: object) -> int:
    if not isinstance(c, int) or c < 1:
        raise DimError(f"({d}) {op} ({c}): the divisor must be a positive integer")
    return c


def variable(name: str) -> Dim:
    """The size variable `name`, an unknown integer >= 1."""
    if not NAME_ONLY.fullmatch(name):
        raise DimError(f"not a name for a size variable: {name!r}")
    return Dim._of({((name, 1),): 1})


def _ordered(terms: Terms) -> list[tuple[Monomial, int]]:
    """Highest degree first, then by name; a sum does not begin with a minus if it can be helped."""

    def rank(item: tuple[Monomial, int]) -> tuple[int, list[tuple[str, int]]]:
        mono = item[0]
        return -sum(n for _, n in mono), [(_key(factor), -factor[1]) for factor in mono]

    items = sorted(terms.items(), key=rank)
    first = next((i for i, (_, coef) in enumerate(items) if coef > 0), 0)
    if first:
        items.insert(0, items.pop(first))
    return items


def _gen_tree(gen: Gen) -> Tree:
    if isinstance(gen, str):
        return ("var", gen)
    return ("//", gen.num.to_tree(), gen.div)


def _operand(num: Dim) -> str:
    """The numerator of a floor: parenthesised unless it is a variable."""
    text = _sum(num)
    if len(num.polynomial) == 1:
        ((mono, coef),) = num.polynomial.items()
        if coef == 1 and len(mono) == 1 and mono[0][1] == 1 and isinstance(mono[0][0], str):
            return text
    return f"({text})"


def _sum(d: Dim) -> str:
    out = ""
    for mono, coef in _ordered(d.polynomial):
        # `//` and `*` bind equally, so an atom needs parentheses beside `*`, `**` and a leading `-`.
        bare = len(mono) == 1 and mono[0][1] == 1 and (coef == 1 or (coef == -1 and bool(out)))
        parts = [] if abs(coef) == 1 and mono else [str(abs(coef))]
        for gen, exponent in mono:
            text = gen if isinstance(gen, str) else gen.text
            if isinstance(gen, Floor) and not bare:
                text = f"({text})"
            parts.append(text if exponent == 1 else f"{text}**{exponent}")
        sign = (" - " if coef < 0 else " + ") if out else ("-" if coef < 0 else "")
        out += sign + "*".join(parts)
    return out


def to_tree(d: Size) -> Tree:
    """`Dim.to_tree`, and an int for itself."""
    return d.to_tree() if isinstance(d, Dim) else d


PRECEDENCE = {"+": 1, "-": 1, "*": 2, "//": 2, "%": 2, "neg": 3, "**": 4}


def _apply(op: str, out: list[Size]) -> None:
    right = out.pop()
    if op == "neg":
        out.append(-right)
        return
    left = out.pop()
    if op == "+":
        out.append(left + right)
    elif op == "-":
        out.append(left - right)
    elif op == "*":
        out.append(left * right)
    elif not isinstance(right, int):
        raise DimError(f"the right side of {op} must be a number, not {right}")
    elif op == "**":
        if not 0 <= right <= MOST_EXPONENT:
            raise DimError(f"exponent {right} is not in 0..{MOST_EXPONENT}")
        out.append(left**right)
    elif right < 1:
        raise DimError(f"the right side of {op} must be positive, not {right}")
    else:
        out.append(left // right if op == "//" else left % right)


def parse(text: str) -> Size:
    """The size written in `text` with Python's operators and precedence; inverse of ``str``.

    Uses an operator stack instead of recursion, so deep nesting cannot exhaust Python's stack.
    """
    out: list[Size] = []
    ops: list[str] = []
    operand = True  # an operand is expected next
    stop = len(text.rstrip())
    at = 0
    while at < stop:
        match = TOKEN.match(text, at)
        if match is None:
            raise DimError(f"unexpected character at column {at + 1} of size {text!r}")
        at = match.end()
        number, name, op = match.groups()
        if (op is None or op == "(") != operand and not (operand and op in ("+", "-")):
            raise DimError(f"unexpected {match.group().strip()!r} in size {text!r}")
        if number is not None:
            if len(number) > 100:
                raise DimError("number too long in a size")
            out.append(int(number))
            operand = False
        elif name is not None:
            out.append(variable(name))
            operand = False
        elif op == "(":
            ops.append(op)
        elif operand:
            if op == "-":
                ops.append("neg")
        else:
            level = PRECEDENCE.get(op, 0)  # 0: a closing parenthesis
            while ops and ops[-1] != "(":
                top = PRECEDENCE[ops[-1]]
                if top < level or (top == level and op == "**"):
                    break
                _apply(ops.pop(), out)
            if op != ")":
                ops.append(op)
                operand = True
            elif ops:
                ops.pop()
            else:
                raise DimError(f"unmatched ')' in size {text!r}")
    if operand:
        raise DimError(f"size {text!r} ends too early")
    while ops:
        op = ops.pop()
        if op == "(":
            raise DimError(f"unmatched '(' in size {text!r}")
        _apply(op, out)
    return out[0]


def _collect(terms: Iterable[Monomial], into: set[str]) -> None:
    for mono in terms:
        for gen, _ in mono:
            if isinstance(gen, str):
                into.add(gen)
            else:
                _collect(gen.num.polynomial, into)


def variables(d: Size) -> frozenset[str]:
    """The names that occur in `d`, also inside floors."""
    names: set[str] = set()
    _collect(_terms_of(d), names)
    return frozenset(names)


def substitute(d: Size, values: Mapping[str, Size]) -> Size:
    """`d` with all `values` put in at once; other variables stay."""
    if not isinstance(d, Dim):
        return d
    out: Terms = {}
    for mono, coef in d.polynomial.items():
        kept: list[tuple[Gen, int]] = []
        term: Terms = {(): coef}
        for gen, exponent in mono:
            if isinstance(gen, str):
                if gen not in values:
                    kept.append((gen, exponent))
                    continue
                new: Size = values[gen]
            else:
                num = substitute(gen.num, values)
                if num is gen.num:
                    kept.append((gen, exponent))
                    continue
                new = num // gen.div
            for _ in range(exponent):
                term = _product(term, _terms_of(new))
        if len(kept) == len(mono):
            _accumulate(out, {mono: coef})
        else:
            _accumulate(out, _product(term, {tuple(kept): 1}))
    # Handing back the same object spares the caller above from rebuilding an untouched floor.
    return d if out == d.polynomial else _size(out)


def value_at(terms: Terms, values: Mapping[str, int]) -> int:
    """The number that a polynomial is at a point. Raises KeyError."""
    total = 0
    for mono, coef in terms.items():
        for gen, exponent in mono:
            if isinstance(gen, str):
                base = values[gen]
            else:
                base = value_at(gen.num.polynomial, values) // gen.div
            coef *= base if exponent == 1 else base**exponent
        total += coef
    return total


def evaluate(d: Size, values: Mapping[str, int]) -> int:
    """The number `d` is for these values of its variables."""
    try:
        return value_at(_terms_of(d), values)
    except KeyError as missing:
        raise DimError(f"no value for the size variable {missing.args[0]}") from None
