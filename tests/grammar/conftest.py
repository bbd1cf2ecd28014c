"""The programs that tests of the grammar read, and a comparison of trees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlc_grammar.record import Record
from dlc_grammar.source import Source, Span

CORPUS = sorted((Path(__file__).parent.parent / "corpus").rglob("*.dl"))


def _structure(node: Any) -> Any:
    """A tree without its positions and comments, to compare with `==`."""
    if isinstance(node, tuple):
        return tuple(_structure(n) for n in node)
    if isinstance(node, Record):
        fields = [field for field in node.FIELDS if field not in ("comments", "source")]
        values = [getattr(node, name) for name in fields]
        return (type(node).__name__, *(_structure(v) for v in values if not isinstance(v, Span)))
    return node


@pytest.fixture(scope="session")
def structure() -> Callable[[Any], Any]:
    return _structure


@pytest.fixture(params=CORPUS, ids=lambda p: p.stem)
def program(request: pytest.FixtureRequest) -> Source:
    path: Path = request.param
    return Source(path.name, path.read_text(encoding="utf-8"))
