"""Diagnostics are values: what is wrong, where, why and what to do about it.

Phases return them; nothing raises at users. `render` turns one into the text with carets.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from dlc_grammar.source import Span

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Edit:
    """A machine-applicable fix: replace the text of `span` by `replacement`."""

    span: Span
    replacement: str


@dataclass(frozen=True, slots=True)
class Note:
    """A fact beside the primary message, with a place of its own where it has one."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    `message` says what is wrong (lower case, no full stop), `label` why here, `notes` the facts,
    `help` the exact remedy. `span` is None only where there is no text to point into (a missing
    file).
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    notes: tuple[Note, ...] = ()
    help: str = ""
    edit: Edit | None = None
    severity: Severity = "error"


class DiagnosticError(Exception):
    """Carries diagnostics across the Python API; `str(error)` is the rendered text."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(render(d) for d in self.diagnostics))


# ---------------------------------------------------------------- as text

_TAB = "    "
_WINDOW = 120  # columns of source text shown; longer lines are cut around the caret
_RESET, _BOLD, _RED, _YELLOW, _BLUE, _CYAN = (
    f"\x1b[{code}m" for code in ("0", "1", "1;31", "1;33", "1;34", "36")
)


def render(diagnostic: Diagnostic, *, color: bool = False) -> str:
    """The text of one diagnostic, with source line and carets."""

    def paint(text: str, style: str) -> str:
        return f"{style}{text}{_RESET}" if color and text else text

    tint = _RED if diagnostic.severity == "error" else _YELLOW
    title = f"{diagnostic.severity}[{diagnostic.code}]"
    lines = [paint(title, tint) + paint(f": {printable(diagnostic.message)}", _BOLD)]
    margin = 1
    if diagnostic.span is not None:
        number = str(diagnostic.span.line)
        margin = len(number)
        text, carets = _excerpt(diagnostic.span)
        label = f" {printable(diagnostic.label)}" if diagnostic.label else ""
        lines += [
            paint(" " * margin + "-->", _BLUE) + f" {printable(str(diagnostic.span))}",
            paint(" " * (margin + 1) + "|", _BLUE),
            (paint(f"{number} |", _BLUE) + f" {text}").rstrip(),
            paint(" " * (margin + 1) + "|", _BLUE) + " " + paint(carets + label, tint),
        ]
    bullet = paint(" " * (margin + 1) + "=", _BLUE)
    for note in diagnostic.notes:
        if note.span is None:
            lines.append(f"{bullet} note: {printable(note.message)}")
            continue
        number = str(note.span.line)
        lines += [
            paint("note", _BOLD) + f": {printable(note.message)}",
            paint(" " * len(number) + "-->", _BLUE) + f" {printable(str(note.span))}",
            (paint(f"{number} |", _BLUE) + f" {_excerpt(note.span)[0]}").rstrip(),
        ]
    if diagnostic.help:
        lines.append(f"{bullet} {paint('help', _CYAN)}: {printable(diagnostic.help)}")
    return "\n".join(lines)


def render_concise(diagnostic: Diagnostic) -> str:
    """One line: `net.dl:7:36: error[E0301]: message`."""
    where = f"{printable(str(diagnostic.span))}: " if diagnostic.span else ""
    return f"{where}{diagnostic.severity}[{diagnostic.code}]: {printable(diagnostic.message)}"


def render_github(diagnostic: Diagnostic) -> str:
    """A workflow command that GitHub shows beside the changed line."""
    properties = {"title": diagnostic.code}
    if diagnostic.span:
        line, column, end_line, end_column = _range(diagnostic.span)
        properties = {
            "file": diagnostic.span.source.name,
            "line": str(line),
            "endLine": str(end_line),
            # Columns are only understood within one line.
            **({"col": str(column), "endColumn": str(end_column)} if line == end_line else {}),
            **properties,
        }
    body = diagnostic.message + (f"\n{diagnostic.label}" if diagnostic.label else "")
    body += f"\nhelp: {diagnostic.help}" if diagnostic.help else ""
    shown = ",".join(
        f"{k}={_github(v).replace(':', '%3A').replace(',', '%2C')}" for k, v in properties.items()
    )
    return f"::{diagnostic.severity} {shown}::{_github(body)}"


def _github(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def as_dict(diagnostic: Diagnostic) -> dict[str, Any]:
    """Plain JSON values, for `--json`. Lines and columns count from 1; ends are exclusive."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        **_place(diagnostic.span),
        "label": diagnostic.label,
        "notes": [{"message": n.message, **_place(n.span)} for n in diagnostic.notes],
        "help": diagnostic.help,
        "edit": None
        if diagnostic.edit is None
        else {**_place(diagnostic.edit.span), "replacement": diagnostic.edit.replacement},
    }


def _place(span: Span | None) -> dict[str, Any]:
    keys = ("file", "line", "column", "end_line", "end_column")
    values = (None,) * 5 if span is None else (span.source.name, *_range(span))
    return dict(zip(keys, values, strict=True))


def _range(span: Span) -> tuple[int, int, int, int]:
    return (*span.source.position(span.start), *span.source.position(span.stop))


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made. Of two that overlap the earlier one wins."""
    out: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda e: (e.span.start, e.span.stop)):
        if edit.span.start >= position:
            out += [text[position : edit.span.start], edit.replacement]
            position = edit.span.stop
    return "".join(out) + text[position:]


def printable(text: str) -> str:
    """The text on one line; control characters are shown, so that no input drives the terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(c) for c in text)


def _visible(char: str) -> str:
    if char == "\t":
        return _TAB
    if char < " ":
        return chr(0x2400 + ord(char))
    if char == "\x7f":
        return "\u2421"
    return "\ufffd" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char


def _columns(char: str) -> int:
    """How many columns of a terminal a visible character takes."""
    if char.isascii():
        return 1
    return 0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")


def _excerpt(span: Span) -> tuple[str, str]:
    """The first line of a span as shown, and the carets below it."""
    line, column = span.source.position(span.start)
    text = span.source.line(line)
    start = min(column - 1, len(text))
    stop = min(start + max(0, span.stop - span.start), len(text))
    if span.source.position(span.stop)[0] != line:
        stop = max(start, len(text.rstrip()))
    if len(text) > _WINDOW:
        text, start, stop = _cut(text, start, stop)
    cells = [printable(c) for c in text]
    widths = [sum(map(_columns, cell)) for cell in cells]
    carets = " " * sum(widths[:start]) + "^" * max(1, sum(widths[start:stop]))
    return "".join(cells), carets


def _cut(text: str, start: int, stop: int) -> tuple[str, int, int]:
    """A window of a long line around its marked part."""
    low = max(0, min(start - _WINDOW // 3, len(text) - _WINDOW))
    high = min(len(text), low + _WINDOW)
    left, right = "..." if low else "", "..." if high < len(text) else ""
    shift = len(left) - low
    return left + text[low:high] + right, start + shift, min(stop, high) + shift
