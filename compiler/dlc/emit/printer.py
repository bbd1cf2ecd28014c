"""Assembles a Python module, statement by statement.

In: statements as Python text of any spacing, definitions, comments. Out: the module's text in the layout
that `ruff format` keeps, and which of its lines computes which syntax node.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dlc.backend import SourceLine
from dlc.emit.document import INDENT, WIDTH
from dlc.emit.layout import layout
from dlc.ir import Location


class FileWriter:
    """Assembles one Python module, and remembers which line computes which syntax node."""

    def __init__(self, draft: bool = False) -> None:
        """`draft`: what is written is only looked through for names, and is not laid out."""
        self._draft = draft
        self._lines: list[str] = []
        self._sources: list[SourceLine] = []
        self._depth = 0
        self._fresh = True
        """Nothing was written in the current block yet: no blank line belongs here."""
        self._compound = False
        """The current block is that of an `if` or a loop."""

    @property
    def sources(self) -> tuple[SourceLine, ...]:
        return tuple(self._sources)

    def text(self) -> str:
        return "\n".join(self._lines).rstrip("\n") + "\n"

    def raw(self, text: str) -> None:
        """Lines as they are, indented."""
        for line in text.split("\n"):
            self._lines.append((" " * (INDENT * self._depth) + line).rstrip())
        self._fresh = False

    def blank(self, count: int = 1) -> None:
        """At least `count` blank lines, except at the start of a block."""
        if self._fresh:
            return
        while self._lines[-count:] != [""] * count:
            self._lines.append("")

    def docstring(self, text: str) -> None:
        """A docstring of one line or several, its lines as they are."""
        text = text.replace("\\", "\\\\").replace('"""', '\\"""')
        self.raw(f'"""{text}\n"""' if "\n" in text else f'"""{text}"""')

    def documentation(self, text: str) -> None:
        """A docstring from flowing text: one line where it fits, else a paragraph."""
        room = WIDTH - INDENT * self._depth
        text = " ".join(text.split())
        if len(text) + 6 <= room:
            self.docstring(text)
            return
        lines = textwrap.wrap(text, room - 3, break_long_words=False)
        if len(lines) == 1:  # it leaves no room for the closing quotes
            lines = textwrap.wrap(text, room - 12, break_long_words=False)
        self.docstring("\n".join(lines))

    def comment(self, text: str) -> None:
        """A comment of its own: one line where it fits, else several."""
        room = WIDTH - INDENT * self._depth - 2
        for line in textwrap.wrap(text, room, break_long_words=False) or [text]:
            self.raw(f"# {line}")

    def statement(
        self, code: str, *, comment: str = "", origin: int | None = None, at: Location | None = None
    ) -> None:
        """A simple statement, laid out. The comment goes behind it where there is room, else above."""
        lines = [code] if self._draft else layout(code, INDENT * self._depth).split("\n")
        if comment:
            behind = f"{lines[-1]}  # {comment}"
            start = INDENT * self._depth if len(lines) == 1 else 0
            if len(lines) == 1 and start + len(behind) <= WIDTH:
                lines[-1] = behind
            else:
                self.comment(comment)
        if origin is not None and at is not None:
            self._sources.append(SourceLine(len(self._lines) + 1, origin, at))
        prefix = " " * (INDENT * self._depth)
        self._lines += [prefix + lines[0], *lines[1:]]
        self._fresh = False

    @contextmanager
    def block(self, header: str, *, origin: int | None = None, at: Location | None = None) -> Iterator[None]:
        """A compound statement: `header` without its colon (`for x in xs`), then the body.

        A body in which nothing was written gets a `pass`.
        """
        self.statement(header + ":", origin=origin, at=at)
        yield from self._body(compound=True)

    @contextmanager
    def definition(self, name: str, parameters: Sequence[str], returns: str) -> Iterator[None]:
        """`def name(parameters) -> returns:` and its body; a blank line sets it off the `if` around."""
        if self._fresh and self._compound:
            self._lines.append("")
        self.raw(function_header(name, parameters, returns, INDENT * self._depth))
        yield from self._body()

    @contextmanager
    def class_(self, name: str, base: str = "", decorator: str = "") -> Iterator[None]:
        """A class at the top level, two blank lines before it."""
        self.blank(2)
        if decorator:
            self.raw(f"@{decorator}")
        self.raw(f"class {name}({base}):" if base else f"class {name}:")
        yield from self._body()

    def _body(self, compound: bool = False) -> Iterator[None]:
        self._depth, self._fresh, start = self._depth + 1, True, len(self._lines)
        self._compound = compound
        yield
        if all(line.lstrip().startswith("#") for line in self._lines[start:]):
            self.raw("pass")
        self._depth, self._fresh = self._depth - 1, False


def function_header(name: str, parameters: Sequence[str], returns: str, indent: int = 0) -> str:
    """The header of a function; continuation lines are relative to the function's own indentation."""
    tail = f") -> {returns}:" if returns else "):"
    room = WIDTH - indent
    line = f"def {name}({', '.join(parameters)}{tail}"
    if len(line) <= room:
        return line
    inner = ", ".join(parameters)
    if INDENT + len(inner) > room or len(parameters) == 1:
        inner = f",\n{' ' * INDENT}".join(parameters) + ","
    return f"def {name}(\n{' ' * INDENT}{inner}\n{tail}"
