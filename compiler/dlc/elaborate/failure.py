"""How elaboration reports: an internal exception that carries one diagnostic to the nearest statement."""

from __future__ import annotations

from dataclasses import replace

from dlc_grammar.diagnostics import Diagnostic, Edit, Note
from dlc_grammar.source import Span


class Failed(Exception):
    """One finding on its way to the statement that gives up. `diagnostic` is None if already reported."""

    def __init__(self, diagnostic: Diagnostic | None) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic.message if diagnostic else "already reported")


def fail(
    code: str,
    message: str,
    span: Span,
    label: str,
    *,
    notes: tuple[str, ...] = (),
    help: str = "",
    edit: Edit | None = None,
) -> Failed:
    """The exception to raise for a finding at `span`."""
    return Failed(Diagnostic(code, message, span, label, tuple(Note(n) for n in notes), help, edit))


def blame(failed: Failed, call: Span, label: str) -> Failed:
    """The same finding told about the user's call, with the library's line as a note."""
    found = failed.diagnostic
    if found is None:
        return failed
    fact = f"{label}: {found.label}" if found.code in _TELLING else label
    notes = (Note("the rule is written here", found.span), *found.notes)
    return Failed(replace(found, span=call, label=fact, notes=notes, edit=None))


_TELLING = frozenset({"E0301", "E0304", "E0302", "E0303", "E0307", "E0309"})
"""Codes whose label carries the sizes, which the user wants to see at the own line."""
