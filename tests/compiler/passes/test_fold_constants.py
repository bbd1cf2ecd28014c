"""Folding is exact, or does not happen."""

from __future__ import annotations

import pytest

from dlc import ir
from dlc.api import open_text
from dlc.passes.fold_constants import fold_constants
from dlc.passes.nodes import walk
from dlc.text import print_operand
from dlc.verify import verify
from dlc_grammar.record import replace


def build(text: str) -> ir.Program:
    module, diagnostics = open_text(text)
    assert module is not None
    assert not diagnostics
    return next(iter(module.nets.values())).program


def operations(program: ir.Program, name: str = "forward") -> list[str]:
    body = program.definitions[program.method(name).eval].body
    return [node.op for node in walk(body) if isinstance(node, ir.Apply)]


def folded(expression: str, type_: str = "float[B, 3]") -> list[str]:
    head = f"net N(one: float = 1.0)(x: {type_}) -> {type_}"
    program = build(f"{head} {{\n  y = {expression}\n  return y\n}}\n")
    made = fold_constants(program)
    verify(made)
    return operations(made)


NEUTRAL = ["x * 1.0", "1.0 * x", "x / 1.0", "x - 0.0", "x * 1", "1.0 * (x / 1) - 0"]


@pytest.mark.parametrize("expression", NEUTRAL)
def test_neutral_numbers_vanish(expression: str) -> None:
    assert folded(expression) == []


@pytest.mark.parametrize("expression", ["x + 0", "x - 0", "x * 1", "0 + x"])
def test_neutral_integers_vanish(expression: str) -> None:
    assert folded(expression, "int[B]") == []


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("x + 0.0", "-0.0 + 0.0 is 0.0"),
        ("0.0 - x", "a sign"),
        ("1.0 / x", "an inverse"),
        ("x * 0.0", "NaN stays"),
        ("x * one", "another number may be given to the generated file"),
    ],
)
def test_what_is_not_exact_stays(expression: str, why: str) -> None:
    assert len(folded(expression)) == 1, why


def test_a_result_of_another_shape_or_dtype_stays() -> None:
    program = build("net N()(x: int[B]) -> float[B] {\n  return x / 1\n}\n")
    assert operations(fold_constants(program)) == ["divide"]


def test_numbers_become_a_number_with_its_expression() -> None:
    program = build("net N(k: float = 3.0)(x: float[B]) -> float[B] {\n  y = x * k\n  return y\n}\n")
    numbers = {name: _with_numbers(d) for name, d in program.definitions.items()}
    made = fold_constants(replace(program, definitions=numbers))
    returned = made.definitions[made.method().eval].outputs[0].value
    assert print_operand(returned) == "k * k"
    assert isinstance(returned, ir.Static)
    assert returned.expr.value == 9.0
    half = {**numbers, made.method().train: program.definitions[made.method().train]}
    kept = replace(program, definitions=half)
    assert fold_constants(kept) is kept, "evaluation and training are one text"


def _with_numbers(definition: ir.Definition) -> ir.Definition:
    """The definition with its one operation on numbers only."""
    number = ir.Static(expr=definition.statics["k"])
    scalar = ir.TensorType(dtype="float", shape=())
    body = []
    for node in definition.body:
        if isinstance(node, ir.Apply):
            outputs = tuple(ir.Tensor(id=tensor.id, type=scalar) for tensor in node.outputs)
            node = replace(node, inputs=(number, number), outputs=outputs)
        body.append(node)
    return replace(definition, body=tuple(body))


def test_nothing_to_fold_is_the_same_program() -> None:
    program = build("net N()(x: float[B]) -> float[B] {\n  return exp(x)\n}\n")
    assert fold_constants(program) is program
