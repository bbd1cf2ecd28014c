"""No input ends in a traceback, takes long, or fills the memory: mutated programs and hand-made bombs."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from dlc import api
from dlc_grammar.diagnostics import render

TESTS = Path(__file__).parent.parent
SEEDS = [
    path.read_text(encoding="utf-8")
    for path in (*(TESTS / "ui").glob("*/*.dl"), *(TESTS / "corpus").glob("*.dl"))
    if path.parent.name != "syntax" and path.stat().st_size < 2_000 and "million" not in path.name
]
TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_]\w*|\d[\d_.eE]*|->|[<>=!]=|\*\*|//|\s+|#[^\n]*|.', re.S)
VALUES = (
    "0",
    "-1",
    "1_000_000_000_000",
    "3",
    "2.5",
    "1e30",
    "10 ** 30",
    "true",
    "none",
    '"x"',
    "[]",
    "[1, 2]",
)
OPERATORS = "+ - * / // % ** @ == != < <= > >= and or in".split()
MUTANTS = 1_500
SECONDS = 15.0
NAMES = sorted({t for text in SEEDS for t in TOKEN.findall(text) if t[0].isalpha()})


def mutate(text: str, rng: random.Random) -> str:
    """Some tokens dropped, doubled, swapped or replaced by others of their kind."""
    tokens = TOKEN.findall(text)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at, other = (rng.randrange(len(tokens)) for _ in range(2))
        token = tokens[at]
        kind = rng.randrange(6)
        if kind == 0:
            tokens[at] = ""
        elif kind == 1:
            tokens[at] = f"{token} {token}"
        elif kind == 2:
            tokens[at], tokens[other] = tokens[other], token
        else:
            replace_one(tokens, rng)
    return "".join(tokens)


def replace_one(tokens: list[str], rng: random.Random) -> None:
    patterns = ((r"[A-Za-z_]", NAMES), (r"\d", VALUES), (r"[-+*/%@=<>]|and|or", OPERATORS))
    pattern, choices = rng.choice(patterns)
    places = [i for i, token in enumerate(tokens) if re.match(pattern, token)]
    if places:
        tokens[rng.choice(places)] = rng.choice(choices)


def test_mutated_programs_get_diagnostics() -> None:
    rng = random.Random(7)
    until = time.process_time() + SECONDS
    for _ in range(MUTANTS):
        text = mutate(rng.choice(SEEDS), rng)
        try:
            found = api.check_text(text, "mutant.dl").diagnostics
        except Exception as error:
            pytest.fail(f"{type(error).__name__}: {error}\n{text}")
        assert all(render(d) and d.message and d.code for d in found)
        if time.process_time() > until:
            break


def net(body: str, inputs: str = "x: float[B, 8]") -> str:
    return f"net A()({inputs}) {{\n{body}\n}}\n"


def chain(count: int, line: str, last: str) -> str:
    return "".join(line.format(i=i, j=i + 1) for i in range(count)) + last


BLOCK = "block B{i}()(x: float[B, D]) -> float[B, D] {{ return x -> a: B{j}() -> b: B{j}() }}\n"
LAST = "block B40()(x: float[B, D]) -> float[B, D] { return x -> fc: Linear(8) }\n"
BOMBS = {
    "range": (net("for i in range(10 ** 9) { x = x }\n return x"), "E0106"),
    "rounds": (net("for i in range(1000) { for j in range(1000) { y = i } }\n return x"), "E0106"),
    "comprehension": (net("n = len([[j for j in range(1000)] for i in range(1000)])\n return x"), "E0106"),
    "tower": (net("return x -> fc: Linear(2 ** 2 ** 2 ** 2 ** 2)"), "E0223"),
    "list": (net("return x -> fc: Linear(len([1] * 10 ** 12))"), "E0106"),
    "layers": (net("xs = [Linear]\n for i in range(64) { xs = xs + xs }\n return x"), "E0106"),
    "text": (net('s = "ab"\n for i in range(64) { s = s + s }\n return x'), "E0106"),
    "polynomial": (net("return zeros([(B + T + H + W) ** 40])", "x: float[B, T, H, W]"), "E0223"),
    "blocks": (chain(40, BLOCK, LAST) + net("return x -> B0()"), "E0106"),
    "constants": (chain(40, "const c{i} = c{j} + c{j}\n", "const c40 = 1\n") + net("return x * c0"), None),
    "constant chain": (
        chain(3000, "const c{i} = c{j} + 1\n", "const c3000 = 1\n") + net("return x * c0"),
        "E0106",
    ),
    "functions": (
        chain(
            30,
            "fn f{i}(n: int) -> int {{ return f{j}(n) + f{j}(n + 1) }}\n",
            "fn f30(n: int) -> int { return n }\n",
        )
        + net("return x * f0(1)"),
        "E0106",
    ),
    "self": ("fn call(f: fn) -> int { return f(f) }\n" + net("return x * call(call)"), "E0106"),
    "numbers": (net(f"return x -> fc: Linear({10**30}) -> out: Linear({10**30})"), None),
    "zip": (net("for a, _ in zip([1, 2, 3], [1]) { x = x + a }\n return x"), None),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_answered_soon(name: str) -> None:
    text, code = BOMBS[name]
    started = time.process_time()
    found = [d.code for d in api.check_text(text).diagnostics]
    assert found == ([code] if code else [])
    assert time.process_time() - started < 10


def test_an_import_through_a_link_to_the_outside(tmp_path: Path) -> None:
    (tmp_path / "secret.dl").write_text("const key = 1\n")
    project = tmp_path / "a" / "b"
    project.mkdir(parents=True)
    (project / "link.dl").symlink_to(tmp_path / "secret.dl")
    (project / "net.dl").write_text("from .link import key\n" + net("return key * x"))
    assert [d.code for d in api.check(project / "net.dl").diagnostics] == ["E0117"]


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    assert [d.code for d in api.check(tmp_path).diagnostics] == ["E0001"]
    assert [d.code for d in api.check(tmp_path / "none.dl").diagnostics] == ["E0001"]
