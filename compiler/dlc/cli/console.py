"""Printing: results to standard output, everything else to standard error, colour only for people."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import IO, Any

import click

from dlc_grammar.diagnostics import Diagnostic, as_dict, render, render_concise, render_github

FORMATS = ("full", "concise", "json", "github")


def is_colored(stream: IO[str]) -> bool:
    """Whether a stream shows colours, and its reader wants them (https://no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def say(text: str = "") -> None:
    """A line of the result."""
    click.echo(text)


def tell(text: str = "") -> None:
    """A line about what happens."""
    click.echo(text, err=True)


def say_json(value: Any) -> None:
    """The result for `--json`."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def style(text: str, **styles: Any) -> str:
    """Coloured text for standard output."""
    return click.style(text, **styles) if is_colored(sys.stdout) else text


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


class Stopwatch:
    """`str(watch)` is the time since it was made."""

    def __init__(self) -> None:
        self.start = time.perf_counter()

    def __str__(self) -> str:
        return f"{time.perf_counter() - self.start:.2f}s"


def align(rows: Iterable[Sequence[str]], right: Iterable[int] = (), gap: int = 2) -> list[str]:
    """Rows of cells as lines with columns; the columns in `right` are flush right."""
    table = [list(row) for row in rows]
    columns = max((len(row) for row in table), default=0)
    widths = [max((len(row[i]) for row in table if i < len(row)), default=0) for i in range(columns)]
    flush = set(right)
    lines = []
    for row in table:
        cells = [c.rjust(widths[i]) if i in flush else c.ljust(widths[i]) for i, c in enumerate(row)]
        lines.append((" " * gap).join(cells).rstrip())
    return lines


# ---------------------------------------------------------------- diagnostics


def show_diagnostics(diagnostics: Sequence[Diagnostic], form: str = "full") -> None:
    """All diagnostics: for people on standard error, for machines on standard output."""
    match form:
        case "json":
            say_json([as_dict(d) for d in diagnostics])
        case "github":
            for diagnostic in diagnostics:
                say(render_github(diagnostic))
        case "concise":
            for diagnostic in diagnostics:
                tell(render_concise(diagnostic))
        case _:
            color = is_colored(sys.stderr)
            for diagnostic in diagnostics:
                tell(render(diagnostic, color=color) + "\n")


def count_findings(diagnostics: Sequence[Diagnostic], fixable: bool = False) -> str:
    """`Found 2 errors, 1 warning. 1 fixable with --fix.`"""
    errors = sum(d.severity == "error" for d in diagnostics)
    warnings = len(diagnostics) - errors
    parts = [plural(n, word) for n, word in ((errors, "error"), (warnings, "warning")) if n]
    text = f"Found {', '.join(parts)}."
    fixes = sum(d.edit is not None for d in diagnostics)
    return f"{text} {fixes} fixable with --fix." if fixable and fixes else text
