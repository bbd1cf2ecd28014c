"""What `dlc check` prints about a file: the one function behind all tests in `tests/ui`."""

from __future__ import annotations

from pathlib import Path

from dlc_grammar.diagnostics import render
from dlc_grammar.files import load_source
from dlc_grammar.parse import parse
from dlc_grammar.source import Source


def diagnose(path: Path) -> str:
    """The rendered diagnostics of a program, named by its file name alone."""
    source = load_source(path, path.name)
    if not isinstance(source, Source):
        return render(source) + "\n"
    _, diagnostics = parse(source)
    return "".join(render(d) + "\n" for d in diagnostics)
