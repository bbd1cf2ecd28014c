"""The parts of a statement or bracket in; out, which of them have no space before them."""

from __future__ import annotations

from dlc_grammar.formatting.parts import Braces, Group, Leaf, Part, first_leaf

OPERATORS = frozenset("-> or and not CMP in + - * / // % ** @ ~ = | then else if".split())


def mark_spaces(parts: list[Part], inside: str) -> None:
    """Decide the spaces between the parts of one bracket or statement."""
    _drop_trailing_comma(parts, inside)
    first = parts[0].type if parts and isinstance(parts[0], Leaf) else ""
    declares = inside == "{" and first in ("fn", "block", "net", "step", "eval")
    for i, part in enumerate(parts):
        before = parts[i - 1] if i else None
        leaf = part if isinstance(part, Leaf) else part.open
        leaf.operator = leaf.type in OPERATORS and _is_value(before)
        leaf.glued = i == 0 or _glued(parts, i, leaf, inside)
        if isinstance(part, Group) and leaf.type == "(" and _is_call(parts, i, declares):
            _tighten_keywords(part)


def _is_value(part: Part | None) -> bool:
    """Can this part end a value, so that `-` after it subtracts and `(` calls?"""
    if isinstance(part, Group):
        return True
    return isinstance(part, Leaf) and part.type in (
        "NAME",
        "INT",
        "FLOAT",
        "STRING",
        "true",
        "false",
        "none",
        "?",
        "...",
        ".",
    )


def _is_call(parts: list[Part], i: int, declares: bool) -> bool:
    before = parts[i - 1] if i else None
    if not _is_value(before) or (isinstance(before, Leaf) and before.type in ("...", ".")):
        return False
    equals = any(isinstance(p, Leaf) and p.type == "=" for p in parts[:i])
    return not declares or equals


def _tighten_keywords(group: Group) -> None:
    """`f(name=value)`."""
    for i, part in enumerate(group.parts):
        if isinstance(part, Leaf) and part.type == "=":
            part.glued = True
            part.operator = False
            if i + 1 < len(group.parts):
                first_leaf(group.parts[i + 1]).glued = True


def _drop_trailing_comma(parts: list[Part], inside: str) -> None:
    if not parts or inside == "{" or not isinstance(parts[-1], Leaf):
        return
    last = parts[-1]
    commas = sum(isinstance(p, Leaf) and p.type == "," for p in parts)
    if last.type == "," and not last.trailing and not last.above and (inside == "[" or commas > 1):
        parts.pop()


def _glued(parts: list[Part], i: int, leaf: Leaf, inside: str) -> bool:
    before = parts[i - 1]
    previous = before.close if isinstance(before, Group | Braces) else before
    if leaf.type in (",", "?") or (leaf.type == "." and previous.type != "from"):
        return True
    if previous.type == ".":
        return leaf.type != "import"
    if previous.type in ("-", "*") and not previous.operator:
        return True
    if previous.type == ":" and leaf.type != ":":
        return inside == "[" and not _is_label(parts, i - 1)
    return (leaf.type == ":" and previous.type != ",") or (leaf.type in ("(", "[") and _is_value(before))


def _is_label(parts: list[Part], colon: int) -> bool:
    arrow = parts[colon - 2] if colon >= 2 else None
    return isinstance(arrow, Leaf) and arrow.type == "->"
