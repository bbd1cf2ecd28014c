"""The parser: tables, trees, docs, and input that is out to break it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlc_grammar import parse as parse_module
from dlc_grammar import syntax as s
from dlc_grammar.codes import EXPLANATIONS
from dlc_grammar.lexer import tokenize
from dlc_grammar.parse import build_tables, parse, parse_expression, parse_setting
from dlc_grammar.source import Source

GRAMMAR = Path(parse_module.__file__).with_name("dl.lark")


def codes(text: str) -> list[str]:
    return [d.code for d in parse(Source("a.dl", text))[1]]


def expression(text: str) -> Any:
    value, diagnostics = parse_expression(text)
    assert not diagnostics
    return value


def test_the_grammar_has_no_conflicts() -> None:
    build_tables(GRAMMAR.read_text(encoding="utf-8"), strict=True)


def test_every_rule_has_a_reduction() -> None:
    from dlc_grammar.build import REDUCTIONS

    made = {r.name for r in parse_module.load_tables().rules if not r.name.startswith("_") and not r.inline}
    assert made <= set(REDUCTIONS)


def test_corpus(program: Source) -> None:
    module, diagnostics = parse(program)
    assert not diagnostics
    assert module is not None and module.items


def test_tokens_agree_with_lark(program: Source) -> None:
    """Our tokens are those that lark's contextual lexer finds with the terminals of dl.lark."""
    from lark import Lark, Token

    lark = Lark(
        GRAMMAR.read_text(encoding="utf-8"),
        parser="lalr",
        maybe_placeholders=True,
        keep_all_tokens=True,
    )
    theirs = [
        (t.start_pos, t.end_pos) for t in lark.parse(program.text).scan_values(lambda v: isinstance(v, Token))
    ]
    assert [(t.start, t.stop) for t in tokenize(program).tokens] == theirs


def test_spans_hold_their_text(program: Source) -> None:
    module, _ = parse(program)
    assert module is not None
    for item in module.items:
        text = item.span.text
        assert text == text.strip()
        if isinstance(item, s.Block | s.Section | s.Train):
            assert text.endswith("}")


def test_precedence(structure: Any) -> None:
    for short, long in [
        ("a + b * c", "a + (b * c)"),
        ("-a ** b", "-(a ** b)"),
        ("a ** -b ** c", "a ** (-(b ** c))"),
        ("not a == b and c or d", "((not (a == b)) and c) or d"),
        ("a + b -> f -> g", "((a + b) -> f) -> g"),
        ("if a then b else c -> d", "if a then b else (c -> d)"),
        ("a @ b // c % d", "((a @ b) // c) % d"),
        ("a - b - c", "(a - b) - c"),
        ("a not in b", "(a not in b)"),
    ]:
        assert structure(expression(short)) == structure(expression(long))


def test_operator_spans() -> None:
    value = expression("a not in b")
    assert isinstance(value, s.Binary)
    assert (value.op, value.op_span.text) == ("not in", "not in")
    assert expression("(a)*(b)").span.text == "(a)*(b)"


def test_subscripts() -> None:
    value = expression("x[..., 1:, ::2, 3]")
    assert isinstance(value, s.Index)
    assert [type(p) for p in value.subscripts] == [s.Ellipsis_, s.Slice, s.Slice, s.Literal_]


def test_keywords_are_soft() -> None:
    assert isinstance(expression("net.step(init=3).update"), s.Attribute)
    assert codes("train t { data train = f()  model net = N()  from = 3 }") == []


def test_string_escapes() -> None:
    assert expression(r'"a\n\"\\\u00e9"').value == 'a\n"\\é'


def test_docs() -> None:
    text = "## File.\n\n## First\n## line.\nconst a = 1\nconst b = 2\n"
    text += "# no doc\nconst c = 3 ## not a doc\nconst d = 4\n"
    module, _ = parse(Source("a.dl", text))
    assert module is not None
    assert module.doc == "File."
    assert [i.doc for i in module.items if isinstance(i, s.Const)] == ["First\nline.", "", "", ""]


def test_a_doc_right_above_the_first_item_is_both() -> None:
    module, _ = parse(Source("a.dl", "## Both.\nconst a = 1\n"))
    assert module is not None and isinstance(module.items[0], s.Const)
    assert module.doc == module.items[0].doc == "Both."


def test_setting_and_expression_point_into_the_argument() -> None:
    setting, found = parse_setting("depths=[1, 2]")
    assert setting is not None and not found
    _, found = parse_expression("1 +", "--set depth")
    assert [str(d.span) for d in found] == ["--set depth:1:3"]
    for text in ["", "=", "a", "a=", "a=1 b=2", "(", 'a="', "a: 1"]:
        assert parse_setting(text)[1]


@pytest.mark.parametrize("code", [c for c, e in EXPLANATIONS.items() if e.wrong])
def test_explanations(code: str) -> None:
    assert codes(EXPLANATIONS[code].wrong) == [code]
    assert codes(EXPLANATIONS[code].right) == []


def test_recovery_reports_every_broken_item_once() -> None:
    text = "const a = \nnet B()(x) { return x relu }\nconst c = 1\n"
    text += "block D()(x) { y = f(x\n return y }\nfn e() { x.y = 3 }\nconst f = 2\n"
    module, found = parse(Source("a.dl", text))
    assert [d.code for d in found] == ["E0037", "E0028", "E0019", "E0044"]
    assert module is not None
    assert [i.name.id for i in module.items if isinstance(i, s.Const)][-1] == "f"


def test_at_most_twenty() -> None:
    found = parse(Source("a.dl", "x = 3;\n" * 500))[1]
    assert len(found) == 20 and found[-1].notes


def test_edits_mend() -> None:
    from dlc_grammar.diagnostics import apply_edits

    wrong = "train t { epochs: 10 lr 3 }\nnet A()(x) { y = x |> f; return !y && True relu }\n"
    text = wrong
    for _ in range(4):
        text = apply_edits(text, [d.edit for d in parse(Source("a.dl", text))[1] if d.edit])
    assert codes(text) == []


# ---------------------------------------------------------------- hostile input


@pytest.mark.parametrize(
    "text",
    [
        "(" * 900_000,
        "const a = " + "[" * 99 + "]" * 99,
        "const a = " + "f(" * 5_000,
        "const a = 1" + " + 1" * 5_000,
        "const a = x" + " -> f" * 5_000,
        "const a = " + "-" * 5_000 + "1",
        "const a = " + "not " * 5_000 + "b",
        "const a = b" + ".c" * 5_000,
        "const a = " + "if a then b else " * 3_000 + "c",
        "fn f() { " + "if a { } else " * 3_000 + "{ } }",
        "const a = " + "9" * 5_000,
        "const a = 1" + "0" * 400 + ".0",
        "x" * (2 << 20),
        "}" * 10_000,
        "import x\n" * 20_000,
        "##\n" * 20_000,
        '"' * 9_999,
        "'" * 9_999,
    ],
    ids=lambda text: text[:24],
)
def test_large_input_ends_in_a_diagnostic(text: str) -> None:
    module, found = parse(Source("a.dl", text))
    assert found or module


def test_limits_are_errors() -> None:
    assert codes("const a = 1" + " + 1" * 200) == ["E0022"]
    assert codes("const a = 1" + " + 1" * 100) == []
    assert codes("fn f() { " + "if a { " * 60 + "} " * 60 + "}") == []


ALPHABET = st.sampled_from(
    "net block fn train const if then else for in return A b x ( ) [ ] { } , : = -> ~ + - * ** // @"
    " . ... ? ! ; \" ' # ## \n"
    " 1 2.5 1e9 == < \u201c \u00a0 \u0000 \\ $"
    " True and or not param scan carry emit lambda |> &&".split(" ")
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ALPHABET, max_size=40).map(" ".join))
def test_any_words_parse_or_explain(text: str) -> None:
    check(text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_any_text_parses_or_explains(text: str) -> None:
    check(text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_parse_or_explain(data: bytes) -> None:
    check(data.decode("latin-1"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_programs(data: st.DataObject) -> None:
    text = (Path(__file__).parent.parent / "corpus" / "tour.dl").read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 30)))
    check(
        text[:start] + data.draw(st.sampled_from(["", "(", "}", '"', "->", "if", "= =", ","])) + text[stop:]
    )


def check(text: str) -> None:
    from dlc_grammar.diagnostics import render

    module, found = parse(Source("a.dl", text))
    assert found or module is not None
    for diagnostic in found:
        assert diagnostic.code in EXPLANATIONS
        assert "__" not in diagnostic.message + diagnostic.label + diagnostic.help or "__" in text
        render(diagnostic)
    parse_expression(text)
    parse_setting(text)


# ---------------------------------------------------------------- the cache


def test_cache_is_made_used_and_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLC_CACHE_DIR", str(tmp_path / "new"))
    parse_module.load_tables.cache_clear()
    tables = parse_module.load_tables()
    (file,) = (tmp_path / "new").iterdir()
    for damage in ["", "{", json.dumps({"actions": 3})]:
        file.write_text(damage)
        parse_module.load_tables.cache_clear()
        assert parse_module.load_tables().rules == tables.rules
    monkeypatch.setenv("DLC_CACHE_DIR", str(file))  # a file where a folder should be
    parse_module.load_tables.cache_clear()
    assert parse_module.load_tables().rules == tables.rules
    parse_module.load_tables.cache_clear()


def test_no_lark_without_need(tmp_path: Path) -> None:
    program = "import sys, dlc_grammar.parse as p\n{}print('lark' in sys.modules)"
    first = "p.load_tables()\n"
    environment = {"DLC_CACHE_DIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    for code, expected in [("", "False"), (first, "True"), (first, "False")]:
        done = subprocess.run(
            [sys.executable, "-c", program.format(code)],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == expected, done.stderr
