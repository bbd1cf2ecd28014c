"""`dlc fmt`: nothing is lost, nothing changes twice, nothing means something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlc_grammar.format import format_text
from dlc_grammar.formatting.parts import WIDTH
from dlc_grammar.lexer import tokenize
from dlc_grammar.parse import parse
from dlc_grammar.source import Source


def formatted(text: str) -> str:
    out, diagnostics = format_text(Source("a.dl", text))
    assert not diagnostics, diagnostics
    assert out is not None
    return out


def check(text: str, structure: Any) -> str:
    """Format, and check all that must hold; returns the result."""
    out = formatted(text)
    assert formatted(out) == out
    assert structure(parse(Source("a.dl", out))[0]) == structure(parse(Source("a.dl", text))[0])
    before, after = tokenize(Source("a.dl", text)), tokenize(Source("a.dl", out))
    assert [c.text.rstrip() for c in before.comments] == [c.text.rstrip() for c in after.comments]
    return out


def test_corpus(program: Source, structure: Any) -> None:
    out = check(program.text, structure)
    code = [line for line in out.splitlines() if "#" not in line]
    assert max(map(len, code)) <= WIDTH


def test_corpus_on_one_line(program: Source, structure: Any) -> None:
    """The layout does not depend on the lines that the author happened to use."""
    tokens = tokenize(program).tokens
    check(" ".join(t.text for t in tokens), structure)


def test_corpus_one_token_a_line(program: Source, structure: Any) -> None:
    check("\n".join(t.text for t in tokenize(program).tokens), structure)


def test_corpus_with_a_comment_after_every_token(program: Source, structure: Any) -> None:
    tokens = tokenize(program).tokens
    check("".join(f"{t.text} # {i}\n" for i, t in enumerate(tokens)), structure)


def test_corpus_with_a_comment_before_every_token(program: Source, structure: Any) -> None:
    tokens = tokenize(program).tokens
    check("".join(f"# {i}\n{t.text}\n" for i, t in enumerate(tokens)), structure)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_layout(data: st.DataObject, structure: Any) -> None:
    path = data.draw(st.sampled_from(sorted((Path(__file__).parent.parent / "corpus").rglob("*.dl"))))
    gaps = st.sampled_from([" ", " ", " ", " ", "  ", "\n", "\n\n\n", " # c\n", "\n# own\n", "\n\n## doc\n"])
    tokens = tokenize(Source(path.name, path.read_text(encoding="utf-8"))).tokens[
        : data.draw(st.integers(1, 10_000))
    ]
    text = "".join(t.text + data.draw(gaps) for t in tokens)
    if format_text(Source("a.dl", text))[0] is not None:
        check(text, structure)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("# only a comment", "# only a comment\n"),
        ("const a=-1+ - b**-2", "const a = -1 + -b ** -2\n"),
        ("const a=-(b)", "const a = -(b)\n"),
        ("const a = f( x,y = 1 , )", "const a = f(x, y=1)\n"),
        ("const a=(1,)", "const a = (1,)\n"),
        ("const a=x[ :,0 ,1 : 2,...,::2]", "const a = x[:, 0, 1:2, ..., ::2]\n"),
        ("const a=[*b,*c]", "const a = [*b, *c]\n"),
        ("from .a . b import c as d,e", "from .a.b import c as d, e\n"),
        ("from . import c", None),
        ("fn f(x:float[ * S]?=none,k:\"a\"|\"b\"=\"a\")->float[ ]",
         'fn f(x: float[*S]? = none, k: "a" | "b" = "a") -> float[]\n'),
        ("preset A . b{a=1 b=2}", "preset A.b { a = 1  b = 2 }\n"),
        ("preset A.b {\n}", "preset A.b { }\n"),
        ("train t{step(x:int[B]){minimize f(x)}}",
         "train t { step (x: int[B]) { minimize f(x) } }\n"),
        ("block G=GroupNorm(32,eps=1.0)", "block G = GroupNorm(32, eps=1.0)\n"),
        ("fn f(){\n\n\nx=1#c\n\n\n\ny=2\n\n}", "fn f() {\n  x = 1  #c\n\n  y = 2\n}\n"),
        ("fn f(){x=y->l:A(1)->b return x}", "fn f() { x = y -> l: A(1) -> b  return x }\n"),
        ("fn f() {\n  x = y\n -> a\n -> b\n}", "fn f() {\n  x = y\n    -> a\n    -> b\n}\n"),
        ("fn f() {\n  x = y -> a\n -> b\n}", "fn f() {\n  x = y -> a\n        -> b\n}\n"),
        ("fn f() {\n  if a { b = 1 }\n else { b = 2 }\n}",
         "fn f() {\n  if a { b = 1 } else { b = 2 }\n}\n"),
    ],
)  # fmt: skip
def test_layout(text: str, expected: str | None) -> None:
    if expected is None:
        assert format_text(Source("a.dl", text))[0] is None
    else:
        assert formatted(text) == expected
        assert formatted(expected) == expected


def test_errors_come_back() -> None:
    out, diagnostics = format_text(Source("a.dl", "const a = ;"))
    assert out is None and diagnostics
