"""The text form and the JSON form of the IR."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dlc import dims, ir
from dlc.api import load, open_text
from dlc.ir_json import from_json, to_json
from dlc.text import print_expression

CORPUS = Path(__file__).parents[1] / "corpus"
TEXT = """
block Project(out: int)(x: float[B, D]) -> float[B, out] {
  param w: float[out, D] ~ normal(0.0, 0.1)
  return x @ transpose(w)
}
net N(dim: int = 2, k: float = 0.5)(x: float[T, 4], m: bool[T]?) -> float[T, 2] {
  state seen: float[2] ~ zeros()
  sample e: float[T, 2] ~ normal(0.0, k)
  y = x -> proj: Project(dim)
  skips = []
  for i in range(2) {
    y = y * (i + 1)
    skips = skips + [y]
  }
  h = seen
  scan y_t in y carry h {
    h = h + y_t
    emit out = h
  }
  if training { update seen = h * 0.5 }
  return out + skips[-1] + e
}
"""

PRINTED = """\
net N#2 in evaluation, from <text>
  parameter dim = 2
  parameter k = 0.5
  size T = T
  input x%1: float[T, 4]
  input m?%2: bool[T]
  state seen%3: float[2] ~ zeros()
  layer proj: Project(out=dim, B=T, D=4) as Project#1
  sample e%4: float[T, 2] ~ normal(mean=0.0, std=k)
  %5: float[T, dim] = call proj: Project#1(x=x%1) where out=dim, B=T, D=4
  y = %5
  list skips new []
  for i in [0, 1]
    round i=0
      %6: float[T, dim] = multiply(y%5, i + 1)
      y = %6
      list skips append [y%6]
    round i=1
      %7: float[T, dim] = multiply(y%6, i + 1)
      y = %7
      list skips append [y%6, y%7]
  h = seen%3
  scan T along 0
    y_t%8: float[dim] in y%7
    carry h%9: float[2] from h%3
    %10: float[2] = add(h%9, y_t%8)
    h = %10
    carried h%11: float[2] = h%10
    emit out%12: float[T, 2] = h%10
  if training is false
  %13: float[T, dim] = item skips[-1] is y%7
  %14: float[T, 2] = add(out%12, %13)
  %15: float[T, 2] = add(%14, e%4)
  return %15
  output _: float[T, 2] = %15
"""


def build(text: str) -> ir.Program:
    module, diagnostics = open_text(text)
    assert module is not None
    assert not diagnostics
    return next(iter(module.nets.values())).program


def test_a_definition_reads_like_its_text() -> None:
    program = build(TEXT)
    assert str(program.definitions[program.method().eval]) == PRINTED


def test_a_program_has_a_header_and_its_definitions() -> None:
    program = build(TEXT)
    header, *definitions = str(program).split("\n\n")
    assert header.splitlines() == [
        "program N of <text>",
        "  parameter dim = 2",
        "  parameter k = 0.5",
        "  method forward: N#2 in evaluation, N.train#4 in training",
        "    without optional inputs: N#5 in evaluation, N.train#6 in training",
        "  state seen: [2] ~ zeros()",
        "  param proj.w: [2, 4] ~ normal(mean=0.0, std=0.1)",
    ]
    assert [text.split()[1] for text in definitions] == list(program.definitions)


def number(value: ir.Value) -> ir.Const:
    return ir.Const(value=value)


def operation(op: str, *args: ir.Expr) -> ir.Operation:
    return ir.Operation(op=op, args=args, value=None)


A, B, C = (ir.Ref(name=name, value=2) for name in "abc")


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (operation("*", A, operation("+", B, C)), "a * (b + c)"),
        (operation("-", A, operation("-", B, C)), "a - (b - c)"),
        (operation("-", operation("-", A, B), C), "a - b - c"),
        (operation("**", operation("**", A, B), C), "(a ** b) ** c"),
        (operation("**", A, operation("**", B, C)), "a ** b ** c"),
        (operation("neg", operation("+", A, B)), "-(a + b)"),
        (operation("not", operation("in", A, operation("tuple", B, C))), "not a in [b, c]"),
        (operation("if", operation("and", A, B), A, C), "if a and b then a else c"),
        (operation("+", operation("if", A, B, C), A), "(if a then b else c) + a"),
        (operation("index", A, operation("-", B, C)), "a[b - c]"),
        (operation("max", A, B), "max(a, b)"),
        (operation("*", number(dims.variable("H") + 1), A), "(H + 1) * a"),
        (number((1, 2.0, None, True, 'say "x"')), '[1, 2.0, none, true, "say \\"x\\""]'),
        (ir.Ref(name="mask", value=True, scope="given"), "given(mask)"),
    ],
)
def test_expressions(expr: ir.Expr, text: str) -> None:
    assert print_expression(expr) == text


VALUES = [
    1, 1.0, -0.0, True, None, "text", (), (1, (2.5, None)), 10**30, math.inf,
    dims.variable("H"), 2 * ((dims.variable("H") + 1) // 2), (dims.variable("x.0"), 3),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_values_survive_json(value: ir.Value) -> None:
    made = from_json(ir.Const, to_json(number(value))).value
    assert (type(made), repr(made)) == (type(value), repr(value))
    assert made == value


@pytest.mark.parametrize(("name", "label"), [("t5", "T5.tiny"), ("resnet", "ResNet"), ("seq2seq", "Seq2Seq")])
def test_programs_survive_json(name: str, label: str) -> None:
    program = load(CORPUS / f"{name}.dl")[label].program
    text = to_json(program)
    made = from_json(ir.Program, text)
    assert made == program
    assert to_json(made) == text
    assert str(made) == str(program)
