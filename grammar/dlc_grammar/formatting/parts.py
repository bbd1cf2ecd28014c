"""A program as the formatter sees it: lines of tokens in brackets, with the comments around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

WIDTH = 110


@dataclass(slots=True)
class Leaf:
    """One token, the comments around it, and whether a line break came before it."""

    text: str
    type: str
    broken: bool = False
    above: list[str] = field(default_factory=list)  # own-line comments before it
    trailing: str = ""  # a comment after it on its line
    glued: bool = False  # no space before it
    operator: bool = False  # binary


@dataclass(slots=True)
class Group:
    """`( ... )` or `[ ... ]`."""

    open: Leaf
    parts: list[Part]
    close: Leaf


@dataclass(slots=True)
class Braces:
    """`{ ... }`: statements with their blank lines and comments."""

    open: Leaf
    lines: list[Line]
    close: Leaf
    flat: bool


@dataclass(slots=True)
class Line:
    """A statement, or an own-line comment, in a body or a file."""

    parts: list[Part]
    blank_before: bool
    comment: str = ""


Part: TypeAlias = Leaf | Group | Braces


def first_leaf(part: Part) -> Leaf:
    return part if isinstance(part, Leaf) else part.open


def last_leaf(part: Part) -> Leaf:
    return part if isinstance(part, Leaf) else part.close


def flat_text(parts: Sequence[Part]) -> str | None:
    """The parts on one line, or None where a comment or a kept line break forbids it."""
    out: list[str] = []
    for i, part in enumerate(parts):
        leaf, last = first_leaf(part), last_leaf(part)
        if i and (leaf.above or (leaf.type == "->" and leaf.operator and leaf.broken)):
            return None
        if i < len(parts) - 1 and last.trailing:
            return None
        text = flat_part(part)
        if text is None:
            return None
        out.append(text if i == 0 or leaf.glued else " " + text)
    return "".join(out)


def flat_part(part: Part) -> str | None:
    if isinstance(part, Leaf):
        return part.text
    if part.open.trailing or part.close.above:
        return None
    if isinstance(part, Group):
        if part.parts and (first_leaf(part.parts[0]).above or last_leaf(part.parts[-1]).trailing):
            return None
        inner = flat_text(part.parts)
        return None if inner is None else part.open.text + inner + part.close.text
    if not part.flat:
        return None
    inside = [flat_text(line.parts) for line in part.lines]
    if any(line is None for line in inside) or any(last_leaf(line.parts[-1]).trailing for line in part.lines):
        return None
    return "{ " + "  ".join(str(line) for line in inside) + " }" if inside else "{ }"
