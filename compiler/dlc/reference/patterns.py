"""Axis patterns: `"n (g c) h -> n g (c h)"` to rearrange, `"b t k, k d -> b t d"` for einsum.

In: the pattern's text, the operand's shape and the sizes given by name. Out: a `Plan`, or the
parsed einsum. The notation is that of einops (Rogozhnikov, 2022).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Group: TypeAlias = tuple[str, ...]
"""The names in one axis: one name, the names in a parenthesis, or none for a literal `1`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Reshape to `split`, transpose by `order`, broadcast to `spread`, reshape to `joined`."""

    split: tuple[int, ...]
    order: tuple[int, ...]
    unit: tuple[int, ...]
    """The transposed shape with a 1 for every axis that the right side adds."""
    spread: tuple[int, ...]
    joined: tuple[int, ...]


def parse_side(text: str) -> tuple[Group, ...]:
    """The axes of one side of a pattern."""
    groups: list[Group] = []
    for token in re.findall(r"\([^()]*\)|[^\s()]+", text):
        names = tuple(token.strip("()").split())
        groups.append(tuple(name for name in names if name != "1"))
    return tuple(groups)


def parse_pattern(pattern: str) -> tuple[tuple[Group, ...], tuple[Group, ...]]:
    left, arrow, right = pattern.partition("->")
    if not arrow:
        raise ValueError(f"pattern {pattern!r} has no '->'")
    return parse_side(left), parse_side(right)


def plan(pattern: str, shape: tuple[int, ...], sizes: Mapping[str, int]) -> Plan:
    """How to carry out `rearrange` or `repeat`; names that are only on the right are repeated."""
    left, right = parse_pattern(pattern)
    known = _bind(pattern, left, shape, sizes)
    source = [name for group in left for name in group]
    target = [name for group in right for name in group]
    missing = set(source) - set(target)
    if missing or len(set(target)) != len(target):
        raise ValueError(f"pattern {pattern!r}: every name on the left must be once on the right")
    for name in target:
        if name not in known:
            known[name] = int(name) if name.isdigit() else int(sizes[name])
    kept = [name for name in target if name in source]
    return Plan(
        split=tuple(known[name] for name in source),
        order=tuple(source.index(name) for name in kept),
        unit=tuple(known[name] if name in source else 1 for name in target),
        spread=tuple(known[name] for name in target),
        joined=tuple(math.prod(known[name] for name in group) for group in right),
    )


def _bind(
    pattern: str, left: tuple[Group, ...], shape: tuple[int, ...], sizes: Mapping[str, int]
) -> dict[str, int]:
    if len(left) != len(shape):
        raise ValueError(f"pattern {pattern!r} has {len(left)} axes on the left, the operand {len(shape)}")
    known = {name: int(size) for group in left for name in group if (size := sizes.get(name)) is not None}
    for group, size in zip(left, shape, strict=True):
        unknown = [name for name in group if name not in known]
        given = math.prod(known[name] for name in group if name in known)
        if len(unknown) > 1:
            raise ValueError(f"pattern {pattern!r}: give the size of {' or '.join(unknown)}")
        if unknown:
            known[unknown[0]] = size // given if given else 0
        if math.prod(known[name] for name in group) != size:
            raise ValueError(f"pattern {pattern!r}: axis ({' '.join(group)}) does not have size {size}")
    return known


def parse_einsum(equation: str) -> tuple[tuple[Group, ...], Group]:
    """The names of each operand's axes, and of the result's."""
    left, _, right = equation.partition("->")
    operands = tuple(tuple(operand.split()) for operand in left.split(","))
    result = tuple(right.split())
    for names in (*operands, result):
        if len(set(names)) != len(names):
            raise ValueError(f"einsum {equation!r}: a name occurs twice in one operand")
    return operands, result
