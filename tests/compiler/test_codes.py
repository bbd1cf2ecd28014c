"""Every code has one meaning, an explanation, and programs that show it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dlc
from dlc import api
from dlc.codes import EXPLANATIONS
from dlc_grammar.codes import EXPLANATIONS as SYNTAX

CHECKER = Path(dlc.__file__).parent
FILES = (
    *(CHECKER / "elaborate").rglob("*.py"),
    *(CHECKER / "lints").glob("*.py"),
    CHECKER / "modules.py",
    CHECKER / "statics.py",
    CHECKER / "api.py",
)
ELSEWHERE = frozenset({"E0602"})
"""Explained with the rest of the `parity` section."""


def emitted() -> set[str]:
    return {
        code for path in FILES for code in re.findall(r'"([EW]\d{3,4})"', path.read_text(encoding="utf-8"))
    }


def codes(text: str) -> list[str]:
    return [d.code for d in api.check_text(text).diagnostics]


WITH_PROGRAMS = [code for code, explanation in EXPLANATIONS.items() if explanation.wrong]


def test_the_explained_codes_are_the_emitted_ones() -> None:
    assert emitted() - ELSEWHERE == set(EXPLANATIONS)


def test_no_code_belongs_to_the_grammar_too() -> None:
    assert not set(EXPLANATIONS) & set(SYNTAX)


@pytest.mark.parametrize("code", WITH_PROGRAMS)
def test_the_wrong_program_gives_exactly_this_code(code: str) -> None:
    assert codes(EXPLANATIONS[code].wrong) == [code]


@pytest.mark.parametrize("code", WITH_PROGRAMS)
def test_the_right_program_is_clean(code: str) -> None:
    assert codes(EXPLANATIONS[code].right) == []


@pytest.mark.parametrize("code", list(EXPLANATIONS))
def test_an_explanation_is_complete(code: str) -> None:
    explanation = EXPLANATIONS[code]
    assert explanation.title == explanation.title.rstrip(".")
    assert explanation.text.endswith(".")
    assert explanation.wrong and explanation.right
