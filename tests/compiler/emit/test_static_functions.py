"""Compile-time functions of the user: elaborator, planner and printed code agree on every value."""

from __future__ import annotations

from typing import Any

import pytest

from dlc.api import open_text
from dlc.build import generate
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.frame import Frame, Session
from dlc.elaborate.program import scratch_frame
from dlc.elaborate.static_functions import translated
from dlc.emit.describe import describe
from dlc.emit.evaluation import callables
from dlc.emit.planner import plan_file
from dlc.emit.printer import FileWriter
from dlc.emit.static_functions import write_function
from dlc.values import FunctionValue
from dlc_grammar.parse import parse_expression
from dlc_torch import BACKEND as TORCH

FUNCTIONS = """
const least = 8

## The multiple of 8 that is nearest to c, but not less than 9/10 of it.
fn round8(c: float) -> int {
  r = max(least, int(c + 4) // 8 * 8)
  return if r < 0.9 * c then r + 8 else r
}
fn halved(n: float) -> float { return n // 2 }
fn half_of_int(n: int) -> float { return halved(n) + halved(n=n + 1) }
fn arithmetic(a: int, b: int) -> float { return a // b - a % b + (a - (b - 1)) / 4 - -a ** 2 + 2 ** (a % 3) }
fn rounded(x: float) -> list[float] { return [round(x), floor(x), ceil(x), int(x), abs(int(-x)), -(-x // 1)] }
fn compared(a: float, b: float) -> bool { return not (a < b and b <= 2 * a) or a == b or a in [1.0, b] }
fn kind(n: int) -> str {
  if n % 2 == 0 {
    return "even"
  } else if n % 3 == 0 {
    return "three"
  }
  return if n > 10 then (if n > 20 then "huge" else "large") else "small"
}
fn total(stages: list[(int, int)], scale: float = 1.5, skip: int = 1) -> int {
  counts = [ceil(n * scale) for _, n in stages[skip:] if n > 1]
  return sum(counts) + len(counts) + max([n for _, n in stages])
}
fn running(widths: list[int]) -> list[int] {
  sums = [0]
  for i, width in enumerate(reversed(widths)) {
    last, more = [sums[-1], i * width]
    sums = sums + [last + more]
  }
  for i in range(2, 7, 2) { sums = sums + [i] * 2 }
  return sums[1:]
}
fn products(n: int) -> int { return prod([max(1, k) for k in range(n)]) + total([(1, n), (2, 3)], skip=0) }
fn len_(sum: int, max: int) -> int { return sum * max }
fn curve(x: float) -> float { return sqrt(x) + log(x) * exp(-x) + sin(x) - cos(x) }
net Net()(x: float[B, 4]) -> float[B, 4] { return x }
"""
CALLS = [
    *(f"round8({c})" for c in ("3.2", "4.0", "11.2", "12.0", "19.9", "44.8", "60.0", "1000.1")),
    *(f"half_of_int({n})" for n in (-3, 7, 8)),
    *(f"arithmetic({a}, {b})" for a, b in ((7, 2), (-7, 2), (7, -3), (0, 5))),
    *(f"rounded({x})" for x in ("2.5", "3.5", "-2.5", "0.49", "-7.99", "4.0")),
    *(f"compared({a}, {b})" for a, b in ((1, 2), (2, 1), (1.5, 1.5), (3.0, 7))),
    *(f"kind({n})" for n in (4, 9, 7, 13, 25)),
    *(f"total([(1, 1), (2, 3), (5, 2)]{more})" for more in ("", ", 1.1", ", scale=2, skip=2", ", skip=0")),
    *(f"running({widths})" for widths in ("[]", "[5]", "[1, 2, 3]")),
    *(f"products({n})" for n in (0, 1, 6)),
    "len_(3, 4)",
    "curve(1.75)",
]


def value(frame: Frame, text: str) -> Any:
    tree, _ = parse_expression(text)
    assert tree is not None
    return evaluate(frame, tree)


def frame_of(text: str) -> Frame:
    module, diagnostics = open_text(text)
    assert module is not None, diagnostics
    return scratch_frame(Session(module.loader), module.loaded)


def python_of(frame: Frame) -> str:
    """The text of all functions that were translated."""
    writer = FileWriter()
    writer.raw("import math")
    for function in frame.session.static_functions.values():
        if function is not None:
            write_function(writer, function, set())
    return writer.text()


@pytest.mark.parametrize("call", CALLS)
def test_a_call_has_the_same_value_everywhere(call: str) -> None:
    frame = frame_of(FUNCTIONS)
    wanted = value(frame, call).value
    function = value(frame, call.partition("(")[0])
    assert isinstance(function, FunctionValue)
    assert translated(frame, function) is not None
    names: dict[str, Any] = {}
    exec(python_of(frame), names)
    planned = callables({name: made for name, made in frame.session.static_functions.items() if made})
    given = call.replace("[", "listed(").replace("]", ")")
    for known in (names, dict(planned)):
        if "=" not in call or known is names:
            made = eval(given, {**known, "listed": lambda *items: items})
            assert made == wanted
            assert type(made) is type(wanted)


def test_the_python_is_what_a_person_would_write() -> None:
    frame = frame_of(FUNCTIONS)
    for name in ("round8", "half_of_int", "total", "len_"):
        translated(frame, value(frame, name))
    assert (
        python_of(frame)
        == '''import math


def round8(c: float) -> int:
    """The multiple of 8 that is nearest to c, but not less than 9/10 of it."""
    r = max(8, int(c + 4) // 8 * 8)
    return r + 8 if r < 0.9 * c else r


def halved(n: float) -> float:
    return n // 2


def half_of_int(n: int) -> float:
    return halved(float(n)) + halved(float(n + 1))


def total(
    stages: tuple[tuple[int, ...], ...], scale: float = 1.5, skip: int = 1
) -> int:
    counts = tuple(math.ceil(n * scale) for _, n in stages[skip:] if n > 1)
    return sum(counts) + len(counts) + max(n for _, n in stages)


def len_(sum_: int, max_: int) -> int:
    return sum_ * max_
'''
    )


@pytest.mark.parametrize(
    "body",
    [
        "fn f(n: int) -> int { return len(range(n)) }",
        "fn f(n: int) -> int { for a, b in zip([n], [1, 2]) { n = a + b } return n }",
        "fn f(n: int) -> int { require n > 0 return n }",
        "fn f(n: int, m: int? = none) -> int { return n }",
        "fn f(n) -> int { return n }",
        "fn f(n: int) -> list[int] { return [*[n], 1] }",
        "fn g(n: int) -> int { return len(range(n)) } fn f(n: int) -> int { return g(n) }",
        "fn f(n: int, B: block = Linear) -> int { return n }",
    ],
)
def test_what_has_no_such_form_stays_what_it_makes_of_its_arguments(body: str) -> None:
    frame = frame_of(body + " net Net()(x: float[B, 4]) -> float[B, 4] { return x }")
    assert translated(frame, value(frame, "f")) is None


NET = """
fn even(c: float) -> int { return int(c) // 2 * 2 }
fn twice(n: int) -> int { return 2 * n }
block Layer(out: int)(x: float[N, D]) -> float[N, out] { return x -> fc: Linear(out) -> relu }
net Net(scale: float = 1.5, widths: list[int] = [4, 8, 6])(x: float[B, T, 3]) -> float[B, even(5 * scale)] {
  x = x -> reshape([B, twice(T) * 3 // 2])
  for w in widths { x = x -> layer: Layer(even(w * scale)) }
  return x -> last: Linear(even(5 * scale))
}
"""


def test_a_size_of_the_round_before_is_a_call_in_the_function_of_the_loop() -> None:
    text = NET.replace("[B, T, 3]", "[B, 2, 3]").replace("twice(T)", "twice(2)")
    module, diagnostics = open_text(text)
    assert module is not None, diagnostics
    ((_, code),) = generate(module["Net"].program, TORCH).files.items()
    assert "channels" not in code
    assert "        dim = even(w * scale)\n" in code
    assert "Layer(dim, even(w * config.scale))" in code
    assert "            even(config.widths[-1] * config.scale), even(5 * config.scale)\n" in code
    assert "to float [batch, even(5 * scale)]." in code
    assert code.count("def even(c: float) -> int:") == 1
    assert "def twice" not in code  # nothing calls it


def test_of_a_size_that_is_known_at_run_time_a_function_is_what_it_makes_of_it() -> None:
    text = "fn twice(n: int) -> int { return 2 * n } "
    text += "net Net()(x: float[B, T]) -> float[twice(B), T] { return concat([x, x], axis=0) }"
    module, diagnostics = open_text(text)
    assert module is not None, diagnostics
    assert module["Net"].program.functions == {}


def test_a_function_whose_name_the_file_needs_gets_another() -> None:
    text = "fn jump(n: int) -> int { return n + 1 } "
    text += "net Net(width: int = 4)(x: float[B, 4]) -> float[B, jump(width)] "
    text += "{ return x -> fc: Linear(jump(width)) }"
    module, diagnostics = open_text(text)
    assert module is not None, diagnostics
    program = module["Net"].program
    natives = frozenset(k for k, d in program.definitions.items() if d.name == "Linear")
    plan = plan_file(program, native_definitions=natives, reserved=frozenset(("jump",)))
    assert [function.name for function in plan.model.functions] == ["jump_"]
    assert "jump_(config.width)" in describe(plan)
