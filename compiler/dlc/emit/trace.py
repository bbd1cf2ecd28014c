"""Checks that every printed name holds the right value, in every elaboration.

In: the reads and writes of variables that the statements of a method make (`Trace`), each with the value it
must have in every strand. Out: nothing, or `Misread`: the value that a name no longer holds where it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from dlc.emit.operands import Slot, Token

SPOILT: Token = ("spoilt",)


class Misread(Exception):
    """A name does not hold the value that is read through it."""

    def __init__(self, name: str, slot: Slot | None) -> None:
        super().__init__(f"`{name}` does not hold the value that is read")
        self.name = name
        self.slot = slot


@dataclass(slots=True)
class Read:
    """`tokens` is the value in every strand (None: not read there); `place` the element of a record."""

    name: str
    tokens: Sequence[Token | None]
    place: int | None = None
    slot: Slot | None = None


@dataclass(slots=True)
class Write:
    name: str
    tokens: Sequence[Token | None]


@dataclass(slots=True)
class Edit:
    """A list made ("new"), extended ("append") or shortened ("pop")."""

    name: str
    edit: str
    tokens: Sequence[tuple[Token, ...] | None]


@dataclass(slots=True)
class Grow:
    """One item added to a list."""

    name: str
    tokens: Sequence[Token | None]


@dataclass(slots=True)
class ReadList:
    """A whole list, with its items."""

    name: str
    tokens: Sequence[tuple[Token, ...] | None]


@dataclass(slots=True)
class ReadItem:
    name: str
    positions: Sequence[int | None]
    tokens: Sequence[Token | None]


@dataclass(slots=True)
class Rounds:
    """A loop: `children` are each strand's rounds."""

    children: Sequence[Sequence[int]]
    body: Trace


@dataclass(slots=True)
class Split:
    """An `if`: (side, strand in there) of each strand."""

    side: Sequence[tuple[bool, int] | None]
    then: Trace
    orelse: Trace


@dataclass(slots=True)
class Steps:
    """A run-time loop: its own names, and the values of the carried ones at a step's start."""

    children: Sequence[int | None]
    starts: Sequence[Write]
    finals: Sequence[Read]
    body: Trace
    own: frozenset[str]


@dataclass(slots=True)
class Stop:
    """The method returns."""


Event: TypeAlias = Read | Write | Edit | Grow | ReadList | ReadItem | Rounds | Split | Steps | Stop


@dataclass(slots=True)
class Trace:
    events: list[Event] = field(default_factory=list)


Names: TypeAlias = dict[str, Token]


def check(trace: Trace, strand: int, names: Names) -> bool:
    """Run one strand from the given names; whether it returned. Raises Misread."""
    for event in trace.events:
        match event:
            case Read():
                _read(event, strand, names)
            case Write(name=name, tokens=tokens):
                token = tokens[strand]
                names[name] = SPOILT if token is None else token
            case Edit(name=name, tokens=contents):
                names[name] = _edited(event, contents[strand], names.get(name))
            case Grow(name=name, tokens=tokens):
                old = names.get(name, SPOILT)
                names[name] = (*old, tokens[strand]) if isinstance(old, tuple) else SPOILT
            case ReadList(name=name, tokens=contents):
                items = contents[strand]
                if items is not None and names.get(name) != ("list", *items):
                    raise Misread(name, None)
            case ReadItem():
                _read_item(event, strand, names)
            case Rounds(children=children, body=body):
                for child in children[strand]:
                    check(body, child, names)
            case Split(side=side, then=then, orelse=orelse):
                place = side[strand]
                if place is not None and check(then if place[0] else orelse, place[1], names):
                    return True
            case Steps():
                _steps(event, strand, names)
            case Stop():
                return True
    return False


def _edited(event: Edit, items: tuple[Token, ...] | None, old: Token) -> Token:
    """The list after an edit, which must be what the text says."""
    if items is None:
        return SPOILT
    before = old[1:] if isinstance(old, tuple) and old[:1] == ("list",) else None
    expected = {"append": items[:-1], "pop": before[:-1] if before else None}.get(event.edit, before)
    if (event.edit == "append" and before != expected) or (event.edit == "pop" and items != expected):
        raise Misread(event.name, None)
    return ("list", *items)


def _read(event: Read, strand: int, names: Names) -> None:
    expected = event.tokens[strand]
    if expected is None:
        return
    found = names.get(event.name, SPOILT)
    if event.place is not None:
        whole = isinstance(found, tuple) and found[0] == "record"
        found = found[1 + event.place] if whole else SPOILT  # type: ignore[index]
    if found != expected:
        raise Misread(event.name, event.slot)


def _read_item(event: ReadItem, strand: int, names: Names) -> None:
    position, expected = event.positions[strand], event.tokens[strand]
    if position is None:
        return
    found = names.get(event.name, SPOILT)
    items = found[1:] if isinstance(found, tuple) and found[0] == "list" else ()
    if not -len(items) <= position < len(items) or items[position] != expected:
        raise Misread(event.name, None)


def _steps(event: Steps, strand: int, names: Names) -> None:
    """Two steps show every way in which a step can disturb the next."""
    child = event.children[strand]
    if child is None:
        return
    for _ in range(2):
        for write in event.starts:
            names[write.name] = write.tokens[child] or SPOILT
        check(event.body, child, names)
        for final in event.finals:
            _read(final, child, names)
    for name in event.own:
        names[name] = SPOILT
