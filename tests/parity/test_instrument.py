"""Which statements record, and how statements of an edited file are recognised."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from dlc.parity.instrument import find_sites, instrument
from dlc.parity.loading import load_module
from dlc.parity.recorder import Recorder

TEXT = """\
class A:
    def forward(self, x):
        batch, time = x.shape
        x = double(
            x
        )
        for step in range(2):
            x = double(x)
        return x


def double(x):
    y: int = x * 2
    return y


def outer(x):
    def body(carry):
        inner = double(carry)
        return inner

    twice = list(map(lambda v: double(v), [x]))
    return body(x)
"""


class Number(float):
    """Has a shape and a dtype, as tensors do."""

    shape = ()
    dtype = "float"

    def __mul__(self, other: object) -> Number:
        assert isinstance(other, int)
        return Number(float(self) * other)


class Pair(NamedTuple):
    left: object
    right: object


def test_sites() -> None:
    sites = [(site.function, site.target, site.line, site.last) for site in find_sites(TEXT)]
    assert sites == [
        ("A.forward", "(batch, time)", 3, 3),
        ("A.forward", "x", 4, 6),
        ("A.forward", "x", 8, 8),
        ("A.forward", "return", 9, 9),
        ("double", "y", 13, 13),
        ("double", "return", 14, 14),
        ("outer", "twice", 22, 22),
        ("outer", "return", 23, 23),
    ]


def test_only_wanted_statements_record() -> None:
    tree = instrument(TEXT, find_sites(TEXT), frozenset({2, 4}))
    text = ast.unparse(tree)
    assert "x = __record__(2, double(x))" in text
    assert "y: int = __record__(4, x * 2)" in text
    assert text.count("__record__(") == 2


def test_lines_stay() -> None:
    tree = instrument(TEXT, find_sites(TEXT), frozenset({3}))
    function = tree.body[0].body[0]  # type: ignore[attr-defined]
    assert function.body[-1].lineno == 9


def run(text: str, call: str, emitted: str = TEXT, tmp: Path = Path()) -> list[tuple[int, object]]:
    path = tmp / "generated.py"
    path.write_text(text)
    kept: list[tuple[int, object]] = []

    def keep(site: int, value: object) -> object:
        kept.append((site, float(value)))  # type: ignore[arg-type]
        return value

    recorder = Recorder(keep)
    sites = find_sites(emitted)
    request = {
        "emitted": [(s.function, s.target, s.text, s.number, s.line, s.last) for s in sites],
        "wanted": [site.number for site in sites],
    }
    module = load_module(path, request, recorder)
    eval(call, {"Number": Number, **module.__dict__})
    return kept


def test_functions_record_wherever_they_are_called(tmp_path: Path) -> None:
    assert run(TEXT, "double(Number(3))", tmp=tmp_path) == [(4, 6.0), (5, 6.0)]


def test_nested_functions_and_lambdas_are_silent(tmp_path: Path) -> None:
    assert run(TEXT, "outer(Number(3))", tmp=tmp_path) == [(7, 6.0)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    y: int = x * 2\n", "    z = 7\n    y: int = x * 2\n"),
        ("    y: int = x * 2\n", "    y: int = x * 3\n"),
        ("    y: int = x * 2\n", "    y: int = x * 1\n    y = y * 2\n"),
        ("def double", "def other(x):\n    return x\n\n\ndef double"),
    ],
)
def test_edited_files_keep_their_origins(tmp_path: Path, old: str, new: str) -> None:
    recorded = run(TEXT.replace(old, new), "double(Number(1))", tmp=tmp_path)
    assert [site for site, _ in recorded] == [4, 5]


def test_renamed_functions_record_nothing(tmp_path: Path) -> None:
    text = TEXT.replace("double", "twofold")
    assert run(text, "twofold(Number(1))", tmp=tmp_path) == []


def test_tuples_are_recorded_by_element() -> None:
    kept: list[object] = []

    def keep(site: int, value: object) -> object:
        kept.append(value)
        return value

    recorder = Recorder(keep)
    one, two, state = Number(1), Number(2), Pair(Number(3), None)
    pair = Pair(one, two)
    assert recorder(0, pair) is pair
    assert recorder(0, (one, state)) == (one, state)
    recorder(0, (pair, state))
    recorder(0, [one])
    recorder(0, np.zeros(3))
    recorder(0, None)
    assert kept == [one, two, one, one, two]


def test_changed_tuples_keep_their_class() -> None:
    recorder = Recorder(lambda site, value: Number(9))
    assert recorder(0, Pair(Number(1), "text")) == Pair(Number(9), "text")
    assert isinstance(recorder(0, Pair(Number(1), 2)), Pair)
