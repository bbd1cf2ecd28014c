"""Which of two sizes is larger, whatever the values of their variables: three-valued."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, gcd

from dlc.dims import Dim, DimError, Floor, Monomial, Size, Terms, substitute, times, variable, variables
from dlc.size_equations import REPAIR_BUDGET, counterexample


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
        const = d.polynomial.get((), 0)
        if const % gcd(*(coef for mono, coef in d.polynomial.items() if mono)):
            return False  # such as 2*H == 2*W + 1
    else:
        least = int(op == ">")
        if low is not None and low >= least:
            return True
        if high is not None and high < least:
            return False
    if counterexample(d, REPAIR_BUDGET) is True:
        return op != ">"
    return None


def _lower(d: Size) -> int | None:
    """A lower bound of `d` for all variables >= 1, or None."""
    # With v = 1 + u all unknowns are >= 0, and so are all atoms, as `_floor` leaves numerators
    # without negative coefficients.
    shifted = substitute(d, {name: variable(name) + 1 for name in variables(d)})
    if not isinstance(shifted, Dim):
        return shifted
    bounds = [_relax(shifted.polynomial, both) for both in (False, True)]
    return max((bound for bound in bounds if bound is not None), default=None)


def _relax(terms: Terms, both: bool) -> int | None:
    """A lower bound of `terms` for variables >= 0 and atoms >= 0, or None.

    An atom ``e//c`` lies between (e-c+1)/c and e/c: the upper end replaces it in negative
    summands, and, if `both`, the lower end in positive ones. What then has no negative
    coefficient besides its constant is smallest at zero.
    """
    done: dict[Monomial, Fraction] = {}
    todo: dict[Monomial, Fraction] = {mono: Fraction(coef) for mono, coef in terms.items()}
    for _ in range(200):
        # Deepest first: equal monomials meet before they are judged by their sign.
        mono = max(todo, key=_depth)
        coef = todo.pop(mono)
        atom = next((gen for gen, _ in mono if isinstance(gen, Floor)), None)
        if coef and atom is not None and (coef < 0 or both):
            others = tuple((g, n - (g is atom)) for g, n in mono if n > 1 or g is not atom)
            slack = {(): 1 - atom.div} if coef > 0 else {}
            for pieces in (atom.num.polynomial, slack):
                for inner, k in pieces.items():
                    target = times(others, inner)
                    todo[target] = todo.get(target, Fraction(0)) + coef * k / atom.div
        elif coef:
            done[mono] = done.get(mono, Fraction(0)) + coef
        if not todo:
            const = done.pop((), Fraction(0))
            return None if any(k < 0 for k in done.values()) else ceil(const)
    return None


def _depth(mono: Monomial) -> int:
    return sum(len(gen.text) * n for gen, n in mono if isinstance(gen, Floor))
