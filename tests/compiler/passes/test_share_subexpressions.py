"""What is shared, and what must not be."""

from __future__ import annotations

from dlc import ir
from dlc.api import open_text
from dlc.passes.nodes import walk
from dlc.passes.share_subexpressions import share_subexpressions
from dlc.text import print_operand
from dlc.verify import verify


def build(text: str) -> ir.Program:
    module, diagnostics = open_text(text)
    assert module is not None
    assert not diagnostics
    return next(iter(module.nets.values())).program


def shared(text: str, training: bool = False) -> tuple[list[str], list[str]]:
    """The operations and calls that are left in the net's forward method."""
    made = share_subexpressions(build(text))
    verify(made)
    assert share_subexpressions(made) is made
    method = made.method()
    nodes = list(walk(made.definitions[method.train if training else method.eval].body))
    operations = [node.op for node in nodes if isinstance(node, ir.Apply)]
    return operations, [node.callee.partition("#")[0] for node in nodes if isinstance(node, ir.Call)]


def read(body: ir.Region) -> list[str]:
    """Everything that operations read, in order."""
    return [print_operand(o) for node in body if isinstance(node, ir.Apply) for o in node.inputs]


def test_equal_operations_on_equal_values_are_one() -> None:
    text = """net N()(x: float[B]) -> float[B] {
      a = exp(x)
      b = exp(x)
      return tanh(a) + tanh(b)
    }"""
    assert shared(text) == (["exp", "tanh", "add"], [])


def test_names_stay_and_are_read() -> None:
    text = """net N()(x: float[B]) -> float[B] {
      a = exp(x)
      b = exp(x)
      a = a + 1.0
      return a * b
    }"""
    made = share_subexpressions(build(text))
    body = made.definitions[made.method().eval].body
    assert [(n.name, print_operand(n.value)) for n in body if isinstance(n, ir.Bind)] == [
        ("a", "%2"), ("b", "a%2"), ("a", "%4"),
    ]  # fmt: skip
    assert read(body)[-2:] == ["a%4", "b%2"]


def test_a_name_that_holds_something_else_is_not_read() -> None:
    text = """net N()(x: float[B]) -> float[B] {
      a = exp(x)
      a = a + 1.0
      return a * exp(x)
    }"""
    made = share_subexpressions(build(text))
    body = made.definitions[made.method().eval].body
    assert read(body)[-2:] == ["a%3", "%2"]


def test_pure_functions_are_shared_and_draws_are_not() -> None:
    text = """net N()(x: float[B]) -> float[B] {
      return relu(x) + relu(x) + dropout(x, 0.5) + dropout(x, 0.5)
    }"""
    assert shared(text)[1] == ["relu", "dropout", "dropout"]
    assert shared(text, training=True)[1] == ["relu.train", "dropout.train", "dropout.train"]


def test_parameters_with_equal_numbers_are_not_equal() -> None:
    text = """net N(a: float = 2.0, b: float = 2.0)(x: float[B]) -> float[B] {
      return x * a + x * b
    }"""
    assert shared(text)[0] == ["multiply", "multiply", "add"]


def test_zeros_of_both_signs_and_numbers_of_both_kinds_differ() -> None:
    text = """net N()(x: float[B]) -> float[B] {
      return maximum(x, 0.0) + maximum(x, -0.0) + maximum(x, 0)
    }"""
    assert shared(text)[0].count("maximum") == 3


def test_a_loop_reads_what_stands_before_it_and_not_the_round_before() -> None:
    text = """net N()(x: float[B]) -> float[B] {
      a = exp(x)
      y = x
      for i in range(3) { y = y * exp(x) + tanh(x) }
      return y + a
    }"""
    assert shared(text)[0] == ["exp", *(["multiply", "tanh", "add"] * 3), "add"]


def test_a_branch_keeps_its_values() -> None:
    text = """net N(deep: bool = true)(x: float[B]) -> float[B] {
      y = x
      if deep { y = exp(x) }
      return y + exp(x)
    }"""
    assert shared(text)[0] == ["exp", "exp", "add"]


def test_reading_a_state_is_not_shared() -> None:
    text = """net N()(x: float[4]) -> float[4] {
      state m: float[4] ~ zeros()
      a = m + 1.0
      b = m + 1.0
      if training { update m = a }
      return x * a * b
    }"""
    assert shared(text)[0].count("add") == 2


def test_a_scan_shares_inside_and_with_what_is_outside() -> None:
    text = """net N()(x: float[T, B], w: float[B]) -> float[T, B] {
      e = exp(w)
      h = w
      scan x_t in x carry h {
        h = tanh(h + x_t) + tanh(h + x_t) + exp(w)
        emit out = h
      }
      return out + tanh(h + w) + e
    }"""
    assert shared(text)[0] == ["exp", "add", "tanh", "add", "add", "add", "tanh", "add", "add"]


def test_all_elaborations_of_one_text_agree() -> None:
    text = """fn f(x: float[B], flip: bool) -> float[B] {
      y = if flip then tanh(x) else exp(x)
      return y + exp(x)
    }
    net N()(x: float[B]) -> float[B] {
      e = f(x, true)
      return e + f(x, false)
    }"""
    assert shared(text)[1] == ["f", "f"]
