"""The standard library and the primitives: every name in both, documented, and parsed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlc.reference.primitives import PRIMITIVES
from dlc_grammar import syntax
from dlc_grammar.parse import parse
from dlc_grammar.source import Source

STD = Path(__file__).parents[3] / "compiler" / "dlc" / "std"
FILES = sorted(STD.glob("*.dl"))


def items(path: Path) -> tuple[syntax.Item, ...]:
    module, diagnostics = parse(Source(path.name, path.read_text()))
    assert not diagnostics
    assert module is not None
    return module.items


def test_functions_without_a_body_are_the_primitives() -> None:
    declared = {
        item.name.id
        for path in FILES
        for item in items(path)
        if isinstance(item, syntax.Function) and item.body is None
    }
    assert declared == set(PRIMITIVES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_definition_is_documented_and_declared_once(path: Path) -> None:
    named = [i for i in items(path) if isinstance(i, (syntax.Function, syntax.Block))]
    names = [item.name.id for item in named]
    assert sorted(set(names)) == sorted(names)
    assert [item.name.id for item in named if not item.doc.strip()] == []
