"""The error for something wrong that has no place in a file: an argument, a missing target."""

from __future__ import annotations

from dlc_grammar.diagnostics import Diagnostic, DiagnosticError


def stop(code: str, message: str, help: str = "") -> DiagnosticError:
    """The exception to raise."""
    return DiagnosticError([Diagnostic(code, message, help=help)])
