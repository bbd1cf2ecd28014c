"""What `dlc check` prints about a file: the one function behind all tests in `tests/ui`."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

from dlc import api
from dlc_grammar.diagnostics import Diagnostic, render
from dlc_grammar.files import load_source
from dlc_grammar.parse import parse
from dlc_grammar.source import Source


def diagnose(path: Path) -> str:
    """The rendered diagnostics of a program; files are named from its folder."""
    found = _syntax(path) if path.parent.name == "syntax" else _everything(path)
    return "".join(render(diagnostic) + "\n" for diagnostic in found)


def _everything(path: Path) -> tuple[Diagnostic, ...]:
    with chdir(path.parent):
        return api.check(Path(path.name)).diagnostics


def _syntax(path: Path) -> tuple[Diagnostic, ...]:
    """Programs about the grammar are only parsed: their names need not exist."""
    source = load_source(path, path.name)
    return (source,) if not isinstance(source, Source) else tuple(parse(source)[1])
