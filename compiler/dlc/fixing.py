"""`dlc check --fix`: makes the edits that diagnostics carry, in files or in a text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dlc.api import check_module, open_module, open_text
from dlc.selecting import STDIN, read_stdin
from dlc.writing import told, write_text
from dlc_grammar.diagnostics import Diagnostic, DiagnosticError, Edit, apply_edits

ROUNDS = 10
"""An edit can bring the next error to light; this often is enough for real files."""


def fix(paths: Iterable[str]) -> str | None:
    """Fixes files in place; gives the fixed text of standard input where that is among them."""
    text = None
    for path in dict.fromkeys(paths):
        if path == STDIN:
            source = read_stdin()
            if isinstance(source, Diagnostic):
                raise DiagnosticError([source])
            text = fix_text(source.text)
        else:
            _fix_file(path)
    return text


def fix_text(text: str) -> str:
    """The text with the edits of its own diagnostics made."""
    for _ in range(ROUNDS):
        report = check_module(*open_text(text, "<stdin>"))
        edits = [edit for edit in _edits(report.diagnostics) if edit.span.source.name == "<stdin>"]
        if not edits:
            break
        text = apply_edits(text, edits)
    return text


def _fix_file(path: str) -> None:
    for _ in range(ROUNDS):
        report = check_module(*open_module(path))
        edits = [edit for edit in _edits(report.diagnostics) if edit.span.source.name == path]
        if not edits:
            break
        file = Path(path)
        with told(file), file.open("rb") as stream:
            windows = b"\r\n" in stream.read(4096)
        text = apply_edits(edits[0].span.source.text, edits)
        write_text(file, text.replace("\n", "\r\n") if windows else text)


def _edits(diagnostics: Iterable[Diagnostic]) -> list[Edit]:
    return [d.edit for d in diagnostics if d.edit is not None]
