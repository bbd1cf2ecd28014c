"""What is dropped, and what stays although nobody reads it."""

from __future__ import annotations

from dlc import ir
from dlc.api import open_text
from dlc.passes.drop_dead import drop_dead
from dlc.passes.nodes import walk
from dlc.verify import verify


def build(text: str) -> ir.Program:
    module, diagnostics = open_text(text)
    assert module is not None
    assert not diagnostics
    return next(iter(module.nets.values())).program


def kept(program: ir.Program, training: bool = False) -> list[str]:
    made = drop_dead(program)
    verify(made)
    assert drop_dead(made) is made
    method = made.method()
    found = []
    for node in walk(made.definitions[method.train if training else method.eval].body):
        match node:
            case ir.Apply():
                found.append(node.op)
            case ir.Call():
                found.append(node.callee.split("#")[0])
            case ir.Bind() | ir.Sample() | ir.Update():
                found.append(f"{node.kind} {node.name}")
            case _:
                found.append(node.kind)
    return found


def test_unused_values_names_and_functions_go() -> None:
    program = build("""fn unused(x: float[B]) -> float[B] { return softmax(x) }
    net N()(x: float[B]) -> float[B] {
      a = exp(x)
      b = tanh(a)
      c = unused(b)
      return a
    }""")
    assert kept(program) == ["exp", "bind a", "return"]
    assert {d.name for d in drop_dead(program).definitions.values()} == {"N"}


def test_names_of_one_statement_stay_together() -> None:
    program = build("""net N()(x: float[B, 4]) -> float[B, 2] {
      a, b = split(x, 2)
      c, d = split(x, 2)
      return a
    }""")
    assert kept(program) == ["split", "bind a", "bind b", "return"]


def test_draws_and_updates_stay_with_what_they_need() -> None:
    program = build("""net N()(x: float[4]) -> float[4] {
      state m: float[4] ~ zeros()
      sample e: float[4] ~ normal()
      y = dropout(x, 0.5)
      z = exp(x)
      if training { update m = z }
      return x
    }""")
    assert kept(program, training=True) == [
        "sample e", "dropout.train", "exp", "bind z", "branch", "update m", "return",
    ]  # fmt: skip
    assert kept(program)[:3] == ["sample e", "dropout", "exp"]


def test_what_evaluation_does_not_need_stays_while_training_does() -> None:
    program = build("""net N()(x: float[B]) -> float[B] {
      a = exp(x)
      b = tanh(x)
      y = x
      if training { y = a }
      return y
    }""")
    assert kept(program) == ["exp", "bind a", "bind y", "branch", "return"]
    assert kept(program, training=True)[:2] == ["exp", "bind a"]


def test_a_dead_layer_keeps_its_parameters() -> None:
    program = build("""net N()(x: float[B, 4]) -> float[B, 4] {
      y = x -> a: Linear(3)
      return x -> b: Linear(4)
    }""")
    made = drop_dead(program)
    verify(made)
    assert made.weights == program.weights
    assert kept(program) == ["Linear", "return"]


def test_inside_loops_and_scans() -> None:
    program = build("""net N()(x: float[T, B]) -> float[T, B] {
      for i in range(2) { unused = exp(x) }
      h = x[0]
      scan x_t in x carry h {
        waste = exp(h)
        h = h + x_t
        emit out = h
      }
      return out
    }""")
    assert kept(program) == ["index", "bind h", "scan", "add", "bind h", "return"]


def test_nothing_dead_is_the_same_program() -> None:
    program = build("net N()(x: float[B]) -> float[B] {\n  return exp(x)\n}\n")
    assert drop_dead(program) is program
