"""Text and positions: a `Source` is one file, a `Span` a half-open range of characters in it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property

from dlc_grammar.record import Record


@dataclass(frozen=True)
class Source:
    """One input text and the name that diagnostics print for it."""

    name: str
    text: str = field(repr=False)

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        starts = [0]
        starts.extend(i + 1 for i, c in enumerate(self.text) if c == "\n")
        return tuple(starts)

    def position(self, offset: int) -> tuple[int, int]:
        """The 1-based line and column of a character offset."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a 1-based line, without its newline."""
        start = self.line_starts[number - 1]
        stop = self.text.find("\n", start)
        return self.text[start : len(self.text) if stop < 0 else stop].rstrip("\r")

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class Span(Record):
    """Characters `start` (inclusive) to `stop` (exclusive) of a source."""

    source: Source
    start: int
    stop: int

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Span):
            return NotImplemented
        return self.source is other.source and self.start == other.start and self.stop == other.stop

    def __hash__(self) -> int:
        return hash((self.source, self.start, self.stop))

    def __repr__(self) -> str:
        return f"Span({self.source.name}, {self.start}, {self.stop})"

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.stop]

    def to(self, other: Span) -> Span:
        """The range from the start of this span to the end of another one."""
        return Span(self.source, self.start, other.stop)

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"
