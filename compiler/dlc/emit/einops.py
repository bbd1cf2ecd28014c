"""Axis patterns as reshape, permute, broadcast and reshape: no framework, no einops.

In: `"b t (h k) -> b h t k"` and the names whose sizes are given. Out: a `Rearrangement`, the steps by axis
names and positions; or the single-letter form of an einsum equation with names of any length.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import TypeAlias

Group: TypeAlias = tuple[str, ...]
"""The names in one axis: one name, the names in a parenthesis, or none for a literal `1`."""


@dataclass(frozen=True, slots=True)
class Rearrangement:
    """Steps, in this order; a step that does nothing is empty or None.

    `left`, `right`: the axes of the two sides. The operand is reshaped to `elements` (one axis a name,
    literal ones dropped), permuted by `order`, repeated along `repeated` (positions in `result`), and
    reshaped to `right`.
    """

    left: tuple[Group, ...]
    right: tuple[Group, ...]
    elements: tuple[str, ...]
    order: tuple[int, ...] | None
    """None where the axes keep their order."""
    result: tuple[str, ...]
    """The names after permuting and repeating."""
    repeated: tuple[int, ...]

    @property
    def splits(self) -> bool:
        """Whether an axis of the operand is taken apart."""
        return any(len(group) > 1 for group in self.left)

    @property
    def merges(self) -> bool:
        """Whether axes are joined into one."""
        return any(len(group) > 1 for group in self.right)

    @property
    def dropped(self) -> tuple[int, ...]:
        """Positions of literal ones in the operand."""
        return tuple(position for position, group in enumerate(self.left) if not group)

    @property
    def inserted(self) -> tuple[int, ...]:
        """Positions of literal ones in the result."""
        return tuple(position for position, group in enumerate(self.right) if not group)

    def axis_of(self, name: str) -> int:
        """The axis of the operand in which a name is."""
        return next(axis for axis, group in enumerate(self.left) if name in group)

    def others(self, name: str) -> Group:
        """The names with which a name shares its axis of the operand."""
        return tuple(other for other in self.left[self.axis_of(name)] if other != name)


def parse_side(side: str) -> tuple[Group, ...]:
    """The axes of one side of a pattern."""
    groups: list[Group] = []
    for token in re.findall(r"\([^()]*\)|[^\s()]+", side):
        names = token.strip("()").split()
        groups.append(tuple(name for name in names if name != "1"))
    return tuple(groups)


def rearrangement(pattern: str) -> Rearrangement:
    """The steps of a `rearrange` or `repeat` pattern."""
    left_side, _, right_side = pattern.partition("->")
    left, right = parse_side(left_side), parse_side(right_side)
    elements = tuple(name for group in left for name in group)
    result = tuple(name for group in right for name in group)
    order = tuple(elements.index(name) for name in result if name in elements)
    return Rearrangement(
        left=left,
        right=right,
        elements=elements,
        order=None if order == tuple(range(len(elements))) else order,
        result=result,
        repeated=tuple(axis for axis, name in enumerate(result) if name not in elements),
    )


def einsum_letters(equation: str) -> str:
    """`"b h t dim, d dim -> b t"` as `"bhte,de->bt"`: one letter for each name, its own where free."""
    left, _, right = equation.partition("->")
    operands = [side.split() for side in left.split(",")]
    names = list(dict.fromkeys(name for operand in [*operands, right.split()] for name in operand))
    letters = {name: name for name in names if len(name) == 1 and name.isalpha()}
    for name in names:
        if name not in letters and name != "...":
            candidates = [name[0].lower(), name[0].upper(), *string.ascii_letters]
            letters[name] = next(c for c in candidates if c.isalpha() and c not in letters.values())

    def spelled(side: list[str]) -> str:
        return "".join(letters.get(name, name) for name in side)

    return f"{','.join(spelled(operand) for operand in operands)}->{spelled(right.split())}"
