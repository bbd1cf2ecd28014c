"""Diagnostics as text, JSON and workflow commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlc_grammar.diagnostics import (
    Diagnostic,
    DiagnosticError,
    Edit,
    Note,
    apply_edits,
    as_dict,
    render,
    render_concise,
    render_github,
)
from dlc_grammar.files import decode, load_source
from dlc_grammar.source import Source, Span


def at(text: str, marked: str, label: str = "", help: str = "") -> Diagnostic:
    start = text.index(marked)
    span = Span(Source("unet.dl", text), start, start + len(marked))
    return Diagnostic("E0301", "size `H`", span, label, help=help)


def test_layout() -> None:
    library = Source("std/core.dl", "\n" * 102 + "  param weight: float[out, D] ~ init\n")
    found = Diagnostic(
        "E0304",
        "the size depends on H",
        at("a\nb = -> fc: Linear(classes)\n", "Linear(classes)").span,
        "in this call",
        (Note("for example H = 1"), Note("the rule is written here", Span(library, 104, 109))),
        "pool first",
    )  # fmt: skip
    assert render(found) == (
        "error[E0304]: the size depends on H\n"
        " --> unet.dl:2:12\n"
        "  |\n"
        "2 | b = -> fc: Linear(classes)\n"
        "  |            ^^^^^^^^^^^^^^^ in this call\n"
        "  = note: for example H = 1\n"
        "note: the rule is written here\n"
        "   --> std/core.dl:103:3\n"
        "103 |   param weight: float[out, D] ~ init\n"
        "  = help: pool first"
    )


def caret_line(diagnostic: Diagnostic) -> str:
    return render(diagnostic).splitlines()[4].removeprefix("  | ").rstrip()


def test_spans_of_all_kinds() -> None:
    assert caret_line(at("x = 3", "x = 3")) == "^^^^^"
    assert caret_line(at("ab = (1,\n  2)", "(1,\n  2)")) == "     ^^^"  # to the end of the first line
    assert caret_line(at("\tx = 3", "x")) == "    ^"
    assert caret_line(at('a = "界界" + b', "b")) == " " * 13 + "^"  # wide characters take two columns
    source = Source("a.dl", "x =")
    assert caret_line(Diagnostic("E0041", "m", Span(source, 3, 3))) == "   ^"
    assert caret_line(Diagnostic("E0041", "m", Span(Source("a.dl", ""), 0, 0))) == "^"


def test_long_lines_are_cut_around_the_caret() -> None:
    text = render(at("a" * 5_000 + " b " + "c" * 5_000, " b "))
    row, carets = text.splitlines()[3:5]
    assert len(row) < 140
    assert row[carets.index("^") :].startswith(" b ")


def test_control_characters_are_shown_not_sent() -> None:
    text = render(at("x = \x1b[31m\u202e$", "$", label="\x1b]0;title\x07"))
    assert "\x1b" not in text and "\u202e" not in text


def test_color() -> None:
    found = at("x = 3", "3", label="here", help="do")
    painted = render(found, color=True)
    assert "\x1b[1;31m" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == render(found)


def test_without_place() -> None:
    found = Diagnostic("E0001", "there is no file `a`", help="look")
    assert render(found) == "error[E0001]: there is no file `a`\n  = help: look"
    assert render_concise(found) == "error[E0001]: there is no file `a`"
    assert as_dict(found)["line"] is None
    assert str(DiagnosticError([found])) == render(found)


def test_one_liners() -> None:
    found = at("x = 3", "3", help="50%\nmore")
    assert render_concise(found) == "unet.dl:1:5: error[E0301]: size `H`"
    assert render_github(found) == (
        "::error file=unet.dl,line=1,endLine=1,col=5,endColumn=6,title=E0301::size `H`%0Ahelp: 50%25%0Amore"
    )


def test_as_dict_is_json() -> None:
    span = at("x = 3", "3").span
    assert span is not None
    data = as_dict(Diagnostic("E0301", "m", span, notes=(Note("n"),), edit=Edit(span, "4")))
    assert json.loads(json.dumps(data)) == data
    assert (data["line"], data["column"], data["end_column"]) == (1, 5, 6)
    assert data["edit"]["replacement"] == "4"


def test_apply_edits() -> None:
    source = Source("a.dl", "abcdef")
    edits = [
        Edit(Span(source, 4, 5), "E"),
        Edit(Span(source, 0, 2), "X"),
        Edit(Span(source, 1, 3), "lost"),
        Edit(Span(source, 6, 6), "!"),
    ]
    assert apply_edits(source.text, edits) == "XcdEf!"


@given(st.text(max_size=200), st.integers(0, 200), st.integers(0, 200))
def test_render_never_fails_and_keeps_its_rows(text: str, start: int, length: int) -> None:
    start = min(start, len(text))
    span = Span(Source("a.dl", text), start, min(len(text), start + length))
    rows = render(Diagnostic("E0001", "m", span)).split("\n")
    assert len(rows) == 5
    assert "^" in rows[4]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xfex\x00", "E0002"),
        (b"a\x00b", "E0002"),
        (b"a = \xe9", "E0002"),
        (b"x" * (2 << 20), "E0003"),
    ],
)
def test_bytes_that_are_no_text(data: bytes, code: str) -> None:
    found = decode(data, "a.dl")
    assert isinstance(found, Diagnostic) and found.code == code


def test_files(tmp_path: Path) -> None:
    for path in (tmp_path / "none.dl", tmp_path, Path("bad\0name"), tmp_path / ("x" * 5_000)):
        found = load_source(path)
        assert isinstance(found, Diagnostic) and found.code == "E0001"
    (tmp_path / "a.dl").write_bytes(b"\xef\xbb\xbfconst a = 1\r\n")
    source = load_source(tmp_path / "a.dl", "a.dl")
    assert isinstance(source, Source)
    assert (source.name, source.text) == ("a.dl", "const a = 1\n")
