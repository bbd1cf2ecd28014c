"""The language reference cannot go stale: every example in it is compiled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dlc import api
from dlc_grammar.diagnostics import render

DOCS = Path(__file__).resolve().parent.parent / "docs"
BLOCK = re.compile(r"^```dl ?(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, str, str]]:
    """(place, expected code or "", text) of every `dl` block in docs/."""
    found = []
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append((f"{path.name}:{line}", match[1], match[2]))
    return found


@pytest.mark.parametrize(("place", "code", "text"), examples(), ids=lambda v: v if ".md:" in str(v) else "")
def test_example(place: str, code: str, text: str) -> None:
    report = api.check_text(text, place)
    shown = "\n".join(render(d) for d in report.diagnostics)
    assert [d.code for d in report.diagnostics] == ([code] if code else []), shown


def test_there_are_examples() -> None:
    assert len(examples()) > 15
