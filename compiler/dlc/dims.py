"""Symbolic sizes: exact integer algebra in which equations between sizes are decided.

In: size variables (``variable("H")``), integers, and the operators ``+ - * // % **``.
Out: a ``Size``: an ``int`` when the result is constant, otherwise a ``Dim`` in normal form, an
integer polynomial over variables and atoms ``poly // c`` with ``c`` a positive integer. On sizes:
``decide_equal`` (proved, refuted with a witness, or unknown), ``repair`` (which divisibility would
make an equation true), ``compare`` and ``positive`` (three-valued order), ``substitute``,
``evaluate``, ``variables``, ``parse``, ``render`` and ``to_tree`` (for printers).

Variables stand for integers >= 1.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, gcd, lcm, prod
from typing import Any, NoReturn, TypeAlias

__all__ = [
    "Dim",
    "DimError",
    "Proved",
    "Refuted",
    "Size",
    "Tree",
    "Unknown",
    "Verdict",
    "compare",
    "decide_equal",
    "evaluate",
    "parse",
    "positive",
    "render",
    "repair",
    "substitute",
    "to_tree",
    "variable",
    "variables",
]

BUDGET = 200_000  # grid points that one decision may look at
_QUICK = 2_000  # points tried before the (rarely needed) splitting into independent variables
_REPAIR_BUDGET = 20_000  # a repair makes many decisions, and an expensive one helps nobody
_MAX_FACTOR = 128  # largest divisibility that a repair proposes
_MAX_EXPONENT = 64  # no size has such a degree; keeps a stray `**` from filling the memory

_NAME = r"[^\W\d][\w.'$#@]*"
_NAME_ONLY = re.compile(_NAME)
_TOKEN = re.compile(rf"\s*(?:(\d+)|({_NAME})|(//|\*\*|[-+*%()]))")


class DimError(ValueError):
    """A size expression that has no meaning: bad divisor, bad name, bad text, missing value."""


class _Floor:
    """The atom ``num // div``. Built only by `_floor`, which brings `num` into normal form."""

    __slots__ = ("_hash", "div", "key", "num", "text")

    def __init__(self, num: Dim, div: int) -> None:
        self.num = num
        self.div = div
        self.text = f"{_operand(num, str)}//{div}"
        self.key = "~" + self.text  # sorts after every (ASCII) variable; cannot equal a name
        self._hash = hash((num, div))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, _Floor):
            return False
        return self._hash == other._hash and self.div == other.div and self.num == other.num


_Gen: TypeAlias = str | _Floor
_Mono: TypeAlias = tuple[tuple[_Gen, int], ...]  # sorted by key; () is the constant term
_Terms: TypeAlias = dict[_Mono, int]  # no zero coefficients

# ("+", t, t, ...) | ("-", t, t) | ("*", t, t, ...) | ("//", t, int) | ("**", t, int)
# | ("var", name) | int
Tree: TypeAlias = int | tuple[Any, ...]


def _key(factor: tuple[_Gen, int]) -> str:
    gen = factor[0]
    return gen if isinstance(gen, str) else gen.key


def _times(a: _Mono, b: _Mono) -> _Mono:
    if not a:
        return b
    if not b:
        return a
    powers = dict(a)
    for gen, exponent in b:
        powers[gen] = powers.get(gen, 0) + exponent
    return tuple(sorted(powers.items(), key=_key))


def _size(terms: _Terms) -> Size:
    """The size for `terms`, which the caller must not change afterwards."""
    if not terms:
        return 0
    if len(terms) == 1 and () in terms:
        return terms[()]
    return Dim._of(terms)


def _terms_of(d: Size) -> _Terms:
    if isinstance(d, Dim):
        return d._terms
    return {(): d} if d else {}


def _accumulate(into: _Terms, terms: _Terms, factor: int = 1) -> None:
    for mono, coef in terms.items():
        total = into.get(mono, 0) + coef * factor
        if total:
            into[mono] = total
        else:
            into.pop(mono, None)


def _product(a: _Terms, b: _Terms) -> _Terms:
    out: _Terms = {}
    for left, k in a.items():
        _accumulate(out, {_times(left, right): coef for right, coef in b.items()}, k)
    return out


def _floor(terms: _Terms, c: int) -> Size:
    """The normal form of ``terms // c`` for c >= 1.

    Afterwards every coefficient of a numerator lies in [0, c) and has no factor in common with
    c; `_lower` relies on the numerator having no negative coefficient.
    """
    quotient: _Terms = {}
    while True:
        # floor((c*q + r)/c) = q + floor(r/c), coefficient by coefficient.
        rest: _Terms = {}
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
        nested = [m for m in rest if any(isinstance(gen, _Floor) for gen, _ in m)]
        if len(nested) == 1 and rest[nested[0]] == 1 and len(nested[0]) == 1:
            ((gen, exponent),) = nested[0]
            if exponent == 1 and isinstance(gen, _Floor):
                del rest[nested[0]]
                terms = dict(gen.num._terms)
                _accumulate(terms, rest, gen.div)
                if const:
                    _accumulate(terms, {(): const * gen.div})
                c *= gen.div
                continue
        if const:
            rest[()] = const
        atom = _Floor(Dim._of(rest), c)
        _accumulate(quotient, {((atom, 1),): 1})
        return _size(quotient)


class Dim:
    """A size that is not constant. Immutable; ``==`` and ``hash`` compare normal forms.

    Order comparisons are undefined on purpose (TypeError): use `compare`, which can say "unknown".
    """

    __slots__ = ("_hash", "_terms", "_text")
    _terms: _Terms
    _hash: int | None
    _text: str | None

    def __init__(self) -> None:
        raise TypeError("use variable(name) or parse(text) to make a Dim")

    @classmethod
    def _of(cls, terms: _Terms) -> Dim:
        self = object.__new__(cls)
        object.__setattr__(self, "_terms", terms)
        object.__setattr__(self, "_hash", None)
        object.__setattr__(self, "_text", None)
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Dim is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Dim is immutable")

    def __hash__(self) -> int:
        if self._hash is None:
            object.__setattr__(self, "_hash", hash(frozenset(self._terms.items())))
        assert self._hash is not None
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Dim) and self._terms == other._terms

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
        out = dict(self._terms)
        _accumulate(out, _terms_of(other))
        return _size(out)

    __radd__ = __add__

    def __sub__(self, other: Size) -> Size:
        if not isinstance(other, (int, Dim)):
            return NotImplemented
        out = dict(self._terms)
        _accumulate(out, _terms_of(other), -1)
        return _size(out)

    def __rsub__(self, other: int) -> Size:
        if not isinstance(other, int):
            return NotImplemented
        return -self + other

    def __neg__(self) -> Dim:
        return Dim._of({mono: -coef for mono, coef in self._terms.items()})

    def __pos__(self) -> Dim:
        return self

    def __mul__(self, other: Size) -> Size:
        if isinstance(other, Dim):
            return _size(_product(self._terms, other._terms))
        if not isinstance(other, int):
            return NotImplemented
        if other == 0:
            return 0
        return Dim._of({mono: coef * other for mono, coef in self._terms.items()})

    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> Size:
        return _floor(self._terms, _divisor(self, "//", other))

    def __mod__(self, other: int) -> Size:
        c = _divisor(self, "%", other)
        return self - c * _floor(self._terms, c)

    def __rfloordiv__(self, other: int) -> NoReturn:
        raise DimError(f"cannot divide by the size {self}: a divisor must be a positive integer")

    __rmod__ = __rfloordiv__

    def __pow__(self, other: int) -> Size:
        if not isinstance(other, int) or not 0 <= other <= _MAX_EXPONENT:
            raise DimError(f"({self})**({other}): the exponent must be 0..{_MAX_EXPONENT}")
        out: _Terms = {(): 1}
        for _ in range(other):
            out = _product(out, self._terms)
        return _size(out)

    def __rpow__(self, other: int) -> NoReturn:
        raise DimError(f"a size cannot be an exponent: {other}**({self})")

    def __str__(self) -> str:
        if self._text is None:
            object.__setattr__(self, "_text", _sum(self, str))
        assert self._text is not None
        return self._text

    def __repr__(self) -> str:
        return f"Dim({self})"

    def terms(self) -> Iterator[tuple[int, tuple[tuple[Tree, int], ...]]]:
        """The summands in printing order: (coefficient, ((factor, exponent), ...))."""
        for mono, coef in _ordered(self._terms):
            yield coef, tuple((_gen_tree(gen), exponent) for gen, exponent in mono)

    def to_tree(self) -> tuple[Any, ...]:
        """The structure as nested tuples, in printing order.

        Nodes: ``("+", t, t, ...)``, ``("-", t, t)``, ``("*", t, t, ...)`` (a coefficient comes
        first and may be negative), ``("//", t, c)``, ``("**", t, n)``, ``("var", name)``, int.
        """
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
    if not _NAME_ONLY.fullmatch(name):
        raise DimError(f"not a name for a size variable: {name!r}")
    return Dim._of({((name, 1),): 1})


# ---------------------------------------------------------------- printing and parsing


def _ordered(terms: _Terms) -> list[tuple[_Mono, int]]:
    """Highest degree first, then by name; a sum does not begin with a minus if it can be helped."""

    def rank(item: tuple[_Mono, int]) -> tuple[int, list[tuple[str, int]]]:
        mono = item[0]
        return -sum(n for _, n in mono), [(_key(factor), -factor[1]) for factor in mono]

    items = sorted(terms.items(), key=rank)
    first = next((i for i, (_, coef) in enumerate(items) if coef > 0), 0)
    if first:
        items.insert(0, items.pop(first))
    return items


def _gen_tree(gen: _Gen) -> Tree:
    if isinstance(gen, str):
        return ("var", gen)
    return ("//", gen.num.to_tree(), gen.div)


def _operand(num: Dim, name: Callable[[str], str]) -> str:
    """The numerator of a floor: parenthesised unless it is a variable."""
    text = _sum(num, name)
    if len(num._terms) == 1:
        ((mono, coef),) = num._terms.items()
        if coef == 1 and len(mono) == 1 and mono[0][1] == 1 and isinstance(mono[0][0], str):
            return text
    return f"({text})"


def _gen_text(gen: _Gen, name: Callable[[str], str]) -> str:
    if isinstance(gen, str):
        return name(gen)
    return gen.text if name is str else f"{_operand(gen.num, name)}//{gen.div}"


def _sum(d: Dim, name: Callable[[str], str]) -> str:
    out = ""
    for mono, coef in _ordered(d._terms):
        # `//` and `*` bind equally, so an atom needs parentheses beside `*`, `**` and a leading `-`.
        bare = len(mono) == 1 and mono[0][1] == 1 and (coef == 1 or (coef == -1 and bool(out)))
        parts = [] if abs(coef) == 1 and mono else [str(abs(coef))]
        for gen, exponent in mono:
            text = _gen_text(gen, name)
            if isinstance(gen, _Floor) and not bare:
                text = f"({text})"
            parts.append(text if exponent == 1 else f"{text}**{exponent}")
        sign = (" - " if coef < 0 else " + ") if out else ("-" if coef < 0 else "")
        out += sign + "*".join(parts)
    return out


def render(d: Size, name: Callable[[str], str] = str) -> str:
    """`d` as a Python expression, each variable printed as ``name(variable)``.

    What `name` returns must bind tighter than any operator (a name, a call, an index).
    """
    return _sum(d, name) if isinstance(d, Dim) else str(d)


def to_tree(d: Size) -> Tree:
    """`Dim.to_tree`, and an int for itself."""
    return d.to_tree() if isinstance(d, Dim) else d


_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "//": 2, "%": 2, "neg": 3, "**": 4}


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
        if not 0 <= right <= _MAX_EXPONENT:
            raise DimError(f"exponent {right} is not in 0..{_MAX_EXPONENT}")
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
        match = _TOKEN.match(text, at)
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
            level = _PRECEDENCE.get(op, 0)  # 0: a closing parenthesis
            while ops and ops[-1] != "(":
                top = _PRECEDENCE[ops[-1]]
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


# ---------------------------------------------------------------- variables and values


def _collect(terms: Iterable[_Mono], into: set[str]) -> None:
    for mono in terms:
        for gen, _ in mono:
            if isinstance(gen, str):
                into.add(gen)
            else:
                _collect(gen.num._terms, into)


def variables(d: Size) -> frozenset[str]:
    """The names that occur in `d`, also inside floors."""
    names: set[str] = set()
    _collect(_terms_of(d), names)
    return frozenset(names)


def substitute(d: Size, values: Mapping[str, Size]) -> Size:
    """`d` with all `values` put in at once; other variables stay."""
    if not isinstance(d, Dim):
        return d
    out: _Terms = {}
    for mono, coef in d._terms.items():
        kept: list[tuple[_Gen, int]] = []
        term: _Terms = {(): coef}
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
    return d if out == d._terms else _size(out)


def _value(terms: _Terms, values: Mapping[str, int]) -> int:
    total = 0
    for mono, coef in terms.items():
        for gen, exponent in mono:
            if isinstance(gen, str):
                base = values[gen]
            else:
                base = _value(gen.num._terms, values) // gen.div
            coef *= base if exponent == 1 else base**exponent
        total += coef
    return total


def evaluate(d: Size, values: Mapping[str, int]) -> int:
    """The number `d` is for these values of its variables."""
    try:
        return _value(_terms_of(d), values)
    except KeyError as missing:
        raise DimError(f"no value for the size variable {missing.args[0]}") from None


# ---------------------------------------------------------------- deciding equations


@dataclass(frozen=True, slots=True)
class Proved:
    """The equation holds for all sizes."""


@dataclass(frozen=True, slots=True)
class Refuted:
    """The equation fails for `witness`, where the sides are `left` and `right`."""

    witness: dict[str, int]
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """No counterexample was met, and a proof would have cost more than the budget."""


Verdict: TypeAlias = Proved | Refuted | Unknown


def _periods(terms: _Terms, modulus: int, into: dict[str, int]) -> None:
    """For each variable, a step that keeps `terms` modulo `modulus` and makes atoms polynomial.

    ``e//c`` modulo m depends on e modulo c*m, hence the product along the nesting; a coefficient
    that shares a factor with the modulus weakens what its factors must satisfy.
    """
    for mono, coef in terms.items():
        weakened = modulus // gcd(modulus, coef)
        for gen, _ in mono:
            if isinstance(gen, str):
                into[gen] = lcm(into.get(gen, 1), weakened)
            else:
                _periods(gen.num._terms, gen.div * weakened, into)


def _degrees(terms: _Terms) -> dict[str, int]:
    out: dict[str, int] = {}
    for mono in terms:
        degree: dict[str, int] = {}
        for gen, exponent in mono:
            inner = {gen: 1} if isinstance(gen, str) else _degrees(gen.num._terms)
            for name, n in inner.items():
                degree[name] = degree.get(name, 0) + n * exponent
        for name, n in degree.items():
            out[name] = max(out.get(name, 0), n)
    return out


def _limits(terms: _Terms) -> dict[str, int]:
    """For each variable v a bound n: `terms` is zero everywhere if it is on the box 1 <= v <= n.

    With every variable fixed modulo its period, each atom is a polynomial; a polynomial of degree
    g in a variable that has g+1 roots there (for all values of the others) is zero. As that
    holds for all integers, the box may begin anywhere, and begins at 1 so that witnesses are
    sizes.
    """
    periods: dict[str, int] = {}
    _periods(terms, 1, periods)
    degrees = _degrees(terms)
    return {name: periods[name] * (degrees[name] + 1) for name in sorted(periods)}


def _shell(limits: list[int], k: int) -> Iterator[tuple[int, ...]]:
    """The points of the box whose largest coordinate is k."""
    for i, limit in enumerate(limits):
        if k <= limit:
            before = [range(1, min(k - 1, n) + 1) for n in limits[:i]]
            after = [range(1, min(k, n) + 1) for n in limits[i + 1 :]]
            yield from itertools.product(*before, (k,), *after)


def _search(terms: _Terms, limits: Mapping[str, int], budget: int) -> tuple[dict[str, int] | None, bool]:
    """The smallest point of the box where `terms` is not zero, and whether all were tried."""
    names = list(limits)
    bounds = list(limits.values())
    left = budget
    found: tuple[int, ...] | None = None
    for k in range(1, max(bounds) + 1):
        for point in _shell(bounds, k):
            if left == 0:
                return (dict(zip(names, found, strict=False)) if found else None), False
            left -= 1
            if found and sum(point) >= sum(found):
                continue
            if _value(terms, dict(zip(names, point, strict=False))):
                found = point
        if found:
            return dict(zip(names, found, strict=False)), False
    return None, True


def _components(terms: _Terms, names: Iterable[str]) -> list[list[str]]:
    """The variables, grouped so that no atom has variables of two groups."""
    group = {name: [name] for name in names}
    for mono in terms:
        for gen, _ in mono:
            if isinstance(gen, _Floor):
                first, *others = variables(gen.num)
                for other in others:
                    if group[other] is not group[first]:
                        group[first].extend(group[other])
                        for name in group[other]:
                            group[name] = group[first]
    return [sorted(g) for g in {id(g): g for g in group.values()}.values()]


def _spanning(monos: list[_Mono], limits: dict[str, int]) -> list[tuple[dict[str, int], list[int]]]:
    """Points of a box whose vectors of values of `monos` span those of all its points."""
    rows: list[tuple[int, list[int]]] = []  # echelon form over the rationals, kept in integers
    out: list[tuple[dict[str, int], list[int]]] = []
    for point in itertools.product(*(range(1, n + 1) for n in limits.values())):
        values = dict(zip(limits, point, strict=False))
        vector = [_value({mono: 1}, values) for mono in monos]
        rest = vector
        for pivot, row in rows:
            if rest[pivot]:
                a, b = row[pivot], rest[pivot]
                rest = [a * x - b * y for x, y in zip(rest, row, strict=False)]
        common = gcd(*rest)
        if common:
            rest = [x // common for x in rest]
            rows.append((next(i for i, x in enumerate(rest) if x), rest))
            out.append((values, vector))
            if len(rows) == len(monos):
                break
    return out


def _split(terms: _Terms, limits: dict[str, int], budget: int) -> dict[str, int] | bool | None:
    """Decide ``terms == 0`` group by group: True, a counterexample, or None (budget).

    Every summand is a product with one factor per group of variables. At a point of one group
    the sum is linear in the vector of that group's factors, so it vanishes at all points of the
    group as soon as it does at points whose vectors span. The cost is a sum of grids, one per
    group, instead of their product.
    """
    groups = _components(terms, limits)
    owner = {name: i for i, names in enumerate(groups) for name in names}
    parts: list[dict[_Mono, int]] = [{} for _ in groups]
    table: dict[tuple[int, ...], int] = {}
    for mono, coef in terms.items():
        pieces: list[list[tuple[_Gen, int]]] = [[] for _ in groups]
        for gen, exponent in mono:
            name = gen if isinstance(gen, str) else next(iter(variables(gen.num)))
            pieces[owner[name]].append((gen, exponent))
        place = tuple(
            part.setdefault(tuple(piece), len(part)) for part, piece in zip(parts, pieces, strict=False)
        )
        table[place] = coef
    boxes = [{name: limits[name] for name in names} for names in groups]
    if sum(prod(box.values()) for box in boxes) > budget:
        return None
    spans = [_spanning(list(part), box) for part, box in zip(parts, boxes, strict=False)]
    if prod(len(span) for span in spans) > budget:
        return None

    def walk(i: int, rest: dict[tuple[int, ...], int]) -> dict[str, int] | None:
        if not rest or i == len(spans):
            return {} if rest else None
        for point, vector in spans[i]:
            inner: dict[tuple[int, ...], int] = {}
            for place, coef in rest.items():
                inner[place[1:]] = inner.get(place[1:], 0) + coef * vector[place[0]]
            found = walk(i + 1, {place: coef for place, coef in inner.items() if coef})
            if found is not None:
                return {**point, **found}
        return None

    found = walk(0, table)
    return True if found is None else found


def _counterexample(d: Dim, budget: int) -> dict[str, int] | bool | None:
    """Where `d` is not zero; True if it is zero everywhere; None if unknown."""
    terms = d._terms
    limits = _limits(terms)
    found, complete = _search(terms, limits, min(_QUICK, budget))
    if found or complete:
        return found or True
    outcome = _split(terms, limits, budget)
    if outcome is True:
        return True
    # The splitting finds some counterexample, not the smallest: look for a nicer one.
    found, complete = _search(terms, limits, budget if outcome is None else budget // 10)
    return found or (True if complete else outcome)


def decide_equal(a: Size, b: Size) -> Verdict:
    """Is ``a == b`` for all values >= 1 of the variables?"""
    difference = a - b
    outcome: dict[str, int] | bool | None
    if isinstance(difference, Dim):
        outcome = _counterexample(difference, BUDGET)
    else:
        outcome = {} if difference else True
    if outcome is None:
        return Unknown()
    if isinstance(outcome, bool):
        return Proved()
    # Variables that cancelled do not matter, but both sides need a value for them.
    witness = {name: outcome.get(name, 1) for name in sorted(variables(a) | variables(b))}
    return Refuted(witness, evaluate(a, witness), evaluate(b, witness))


def repair(a: Size, b: Size, variables: Iterable[str] | None = None) -> dict[str, int] | None:
    """The weakest ``{v: m}`` such that ``a == b`` whenever each v is a multiple of its m.

    `variables` limits which ones may be restricted. One variable is tried before several; {} means
    that nothing is needed, None that no such restriction was found.

    Only divisors of a variable's period can be smallest: the multiples of m meet the same residue
    classes as those of gcd(m, period), and on each class the difference is a polynomial.
    """
    difference = a - b
    if not isinstance(difference, Dim):
        return None if difference else {}
    d = difference

    def works(factors: Mapping[str, int]) -> bool:
        rest = substitute(d, {name: m * variable(name) for name, m in factors.items()})
        if isinstance(rest, Dim):
            return _counterexample(rest, _REPAIR_BUDGET) is True
        return rest == 0

    if works({}):
        return {}
    periods: dict[str, int] = {}
    _periods(d._terms, 1, periods)
    allowed = None if variables is None else set(variables)
    names = [name for name in sorted(periods) if periods[name] > 1 and (allowed is None or name in allowed)]
    for count in range(1, min(len(names), 4) + 1):
        for m in range(2, _MAX_FACTOR + 1):
            for chosen in itertools.combinations(names, count):
                if lcm(*(periods[name] for name in chosen)) % m:
                    continue
                factors = dict.fromkeys(chosen, m)
                if not works(factors):
                    continue
                # The common m may ask too much of some of them.
                for name in chosen:
                    for smaller in range(2, m):
                        if m % smaller == 0 and works({**factors, name: smaller}):
                            factors[name] = smaller
                            break
                return factors
    return None


# ---------------------------------------------------------------- order


def _relax(terms: _Terms, both: bool) -> int | None:
    """A lower bound of `terms` for variables >= 0 and atoms >= 0, or None.

    An atom ``e//c`` lies between (e-c+1)/c and e/c: the upper end replaces it in negative
    summands, and, if `both`, the lower end in positive ones. What then has no negative
    coefficient besides its constant is smallest at zero.
    """
    done: dict[_Mono, Fraction] = {}
    todo: dict[_Mono, Fraction] = {mono: Fraction(coef) for mono, coef in terms.items()}
    for _ in range(200):
        # Deepest first: equal monomials meet before they are judged by their sign.
        mono = max(todo, key=_depth)
        coef = todo.pop(mono)
        atom = next((gen for gen, _ in mono if isinstance(gen, _Floor)), None)
        if coef and atom is not None and (coef < 0 or both):
            others = tuple((g, n - (g is atom)) for g, n in mono if n > 1 or g is not atom)
            slack = {(): 1 - atom.div} if coef > 0 else {}
            for pieces in (atom.num._terms, slack):
                for inner, k in pieces.items():
                    target = _times(others, inner)
                    todo[target] = todo.get(target, Fraction(0)) + coef * k / atom.div
        elif coef:
            done[mono] = done.get(mono, Fraction(0)) + coef
        if not todo:
            const = done.pop((), Fraction(0))
            return None if any(k < 0 for k in done.values()) else ceil(const)
    return None


def _depth(mono: _Mono) -> int:
    return sum(len(gen.text) * n for gen, n in mono if isinstance(gen, _Floor))


def _lower(d: Size) -> int | None:
    """A lower bound of `d` for all variables >= 1, or None."""
    # With v = 1 + u all unknowns are >= 0, and so are all atoms, as `_floor` leaves numerators
    # without negative coefficients.
    shifted = substitute(d, {name: variable(name) + 1 for name in variables(d)})
    if not isinstance(shifted, Dim):
        return shifted
    bounds = [_relax(shifted._terms, both) for both in (False, True)]
    return max((bound for bound in bounds if bound is not None), default=None)


def compare(op: str, a: Size, b: Size) -> bool | None:
    """``a op b``: True if it holds for all values >= 1 of the variables, False if for none.

    None: it depends on the values, or is not known.
    """
    if op in ("!=", "<", "<="):
        opposite = compare({"!=": "==", "<": ">=", "<=": ">"}[op], a, b)
        return None if opposite is None else not opposite
    if op not in ("==", ">", ">="):
        raise DimError(f"unknown comparison {op!r}")
    d = a - b
    if not isinstance(d, Dim):
        return d == 0 if op == "==" else d >= (op == ">")
    low = _lower(d)
    negated = _lower(-d)
    high = None if negated is None else -negated
    if op == "==":
        if (low is not None and low > 0) or (high is not None and high < 0):
            return False
        const = d._terms.get((), 0)
        if const % gcd(*(coef for mono, coef in d._terms.items() if mono)):
            return False  # such as 2*H == 2*W + 1
    else:
        least = int(op == ">")
        if low is not None and low >= least:
            return True
        if high is not None and high < least:
            return False
    if _counterexample(d, _REPAIR_BUDGET) is True:
        return op != ">"
    return None


def positive(d: Size) -> bool | None:
    """``d >= 1``: True if for all values >= 1 of the variables, False if for none, else None."""
    return compare(">=", d, 1)
