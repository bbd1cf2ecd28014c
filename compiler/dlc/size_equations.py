"""Whether two sizes are equal for all values of their variables.

In: two sizes. Out: proved, refuted with a witness, or unknown; and which divisibility would make them equal.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import gcd, lcm, prod
from typing import TypeAlias

from dlc.dims import (
    Dim,
    Floor,
    Gen,
    Monomial,
    Size,
    Terms,
    evaluate,
    substitute,
    value_at,
    variable,
    variables,
)

BUDGET = 200_000
"""Grid points that one decision may look at."""
QUICK = 2_000
"""Points tried before the (rarely needed) splitting into independent variables."""
REPAIR_BUDGET = 20_000
"""A repair makes many decisions, and an expensive one helps nobody."""
MOST_FACTOR = 128
"""The largest divisibility that a repair proposes."""


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


def decide_equal(a: Size, b: Size) -> Verdict:
    """Is ``a == b`` for all values >= 1 of the variables?"""
    difference = a - b
    outcome: dict[str, int] | bool | None
    if isinstance(difference, Dim):
        outcome = counterexample(difference, BUDGET)
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
            return counterexample(rest, REPAIR_BUDGET) is True
        return rest == 0

    if works({}):
        return {}
    periods: dict[str, int] = {}
    _periods(d.polynomial, 1, periods)
    allowed = None if variables is None else set(variables)
    names = [name for name in sorted(periods) if periods[name] > 1 and (allowed is None or name in allowed)]
    for count in range(1, min(len(names), 4) + 1):
        for m in range(2, MOST_FACTOR + 1):
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


def counterexample(d: Dim, budget: int) -> dict[str, int] | bool | None:
    """Where `d` is not zero; True if it is zero everywhere; None if unknown."""
    terms = d.polynomial
    limits = _limits(terms)
    found, complete = _search(terms, limits, min(QUICK, budget))
    if found or complete:
        return found or True
    outcome = _split(terms, limits, budget)
    if outcome is True:
        return True
    # The splitting finds some counterexample, not the smallest: look for a nicer one.
    found, complete = _search(terms, limits, budget if outcome is None else budget // 10)
    return found or (True if complete else outcome)


def _periods(terms: Terms, modulus: int, into: dict[str, int]) -> None:
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
                _periods(gen.num.polynomial, gen.div * weakened, into)


def _degrees(terms: Terms) -> dict[str, int]:
    out: dict[str, int] = {}
    for mono in terms:
        degree: dict[str, int] = {}
        for gen, exponent in mono:
            inner = {gen: 1} if isinstance(gen, str) else _degrees(gen.num.polynomial)
            for name, n in inner.items():
                degree[name] = degree.get(name, 0) + n * exponent
        for name, n in degree.items():
            out[name] = max(out.get(name, 0), n)
    return out


def _limits(terms: Terms) -> dict[str, int]:
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


def _search(terms: Terms, limits: Mapping[str, int], budget: int) -> tuple[dict[str, int] | None, bool]:
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
            if value_at(terms, dict(zip(names, point, strict=False))):
                found = point
        if found:
            return dict(zip(names, found, strict=False)), False
    return None, True


def _components(terms: Terms, names: Iterable[str]) -> list[list[str]]:
    """The variables, grouped so that no atom has variables of two groups."""
    group = {name: [name] for name in names}
    for mono in terms:
        for gen, _ in mono:
            if isinstance(gen, Floor):
                first, *others = variables(gen.num)
                for other in others:
                    if group[other] is not group[first]:
                        group[first].extend(group[other])
                        for name in group[other]:
                            group[name] = group[first]
    return [sorted(g) for g in {id(g): g for g in group.values()}.values()]


def _spanning(monos: list[Monomial], limits: dict[str, int]) -> list[tuple[dict[str, int], list[int]]]:
    """Points of a box whose vectors of values of `monos` span those of all its points."""
    rows: list[tuple[int, list[int]]] = []  # echelon form over the rationals, kept in integers
    out: list[tuple[dict[str, int], list[int]]] = []
    for point in itertools.product(*(range(1, n + 1) for n in limits.values())):
        values = dict(zip(limits, point, strict=False))
        vector = [value_at({mono: 1}, values) for mono in monos]
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


def _split(terms: Terms, limits: dict[str, int], budget: int) -> dict[str, int] | bool | None:
    """Decide ``terms == 0`` group by group: True, a counterexample, or None (budget).

    Every summand is a product with one factor per group of variables. At a point of one group
    the sum is linear in the vector of that group's factors, so it vanishes at all points of the
    group as soon as it does at points whose vectors span. The cost is a sum of grids, one per
    group, instead of their product.
    """
    groups = _components(terms, limits)
    owner = {name: i for i, names in enumerate(groups) for name in names}
    parts: list[dict[Monomial, int]] = [{} for _ in groups]
    table: dict[tuple[int, ...], int] = {}
    for mono, coef in terms.items():
        pieces: list[list[tuple[Gen, int]]] = [[] for _ in groups]
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
