"""A width-aware document printer: text, groups, indents and lines.

In: a document. Out: its text within 88 columns; a group stays on one line where it fits, and otherwise
breaks at all of its own lines. The algorithm is Wadler's, as in Prettier and Ruff.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from dlc_grammar.record import Record

WIDTH = 88
INDENT = 4


class Group(Record):
    """Printed on one line where it fits, otherwise with every `Line` directly inside it broken."""

    content: Doc


class Indent(Record):
    content: Doc


class Line(Record):
    """A line break; `flat` is what stands for it in a group that fits on its line."""

    flat: str = " "


class IfBroken(Record):
    """Text that appears only where the group around it is broken (a trailing comma)."""

    text: str


Doc: TypeAlias = "str | Group | Indent | Line | IfBroken | tuple[Doc, ...]"
SOFT = Line("")
SPACE = Line(" ")


def join(separator: Doc, items: Sequence[Doc]) -> Doc:
    """The items with the separator between them."""
    parts: list[Doc] = []
    for item in items:
        parts += (separator, item) if parts else (item,)
    return tuple(parts)


def bracket(opening: str, content: Doc, closing: str) -> Doc:
    """Brackets whose content moves to lines of its own where it does not fit."""
    return Group((opening, Indent((SOFT, content)), SOFT, closing))


class _Item(Record):
    indent: int
    broken: bool
    doc: Doc


def _fits(room: int, item: _Item, rest: Sequence[_Item]) -> bool:
    """Whether `item` and what follows up to the next possible line break fit into `room` columns."""
    stack, following = [item], len(rest)
    while room >= 0:
        if not stack:
            if not following:
                return True
            following -= 1
            stack.append(rest[following])
        top = stack.pop()
        indent, broken = top.indent, top.broken
        match top.doc:
            case str(text):
                room -= len(text)
            case tuple(parts):
                stack += (_Item(indent, broken, part) for part in reversed(parts))
            case Group(content) | Indent(content):
                stack.append(_Item(indent, broken, content))
            case Line(flat):
                if broken:
                    return True
                room -= len(flat)
            case IfBroken(text):
                room -= len(text) if broken else 0
    return False


def flat(doc: Doc) -> str:
    """The document on one line, however long."""
    if isinstance(doc, str):
        return doc
    if isinstance(doc, tuple):
        return "".join([flat(part) for part in doc])
    if isinstance(doc, Line):
        return doc.flat
    return "" if isinstance(doc, IfBroken) else flat(doc.content)


def render(doc: Doc, indent: int = 0, width: int = WIDTH) -> str:
    """The document as text. `indent`: the column where it starts and to which its lines return."""
    pieces: list[str] = []
    column, stack = indent, [_Item(indent, True, doc)]
    while stack:
        item = stack.pop()
        match item.doc:
            case str(text):
                pieces.append(text)
                column += len(text)
            case tuple(parts):
                stack += (_Item(item.indent, item.broken, part) for part in reversed(parts))
            case Indent(content):
                stack.append(_Item(item.indent + INDENT, item.broken, content))
            case Group(content):
                flat = _Item(item.indent, False, content)
                fits = not item.broken or _fits(width - column, flat, stack)
                stack.append(flat if fits else _Item(item.indent, True, content))
            case Line(flat) if not item.broken:
                pieces.append(flat)
                column += len(flat)
            case Line():
                pieces.append("\n" + " " * item.indent)
                column = item.indent
            case IfBroken(text):
                pieces.append(text if item.broken else "")
                column += len(text) if item.broken else 0
    return "".join(pieces)
