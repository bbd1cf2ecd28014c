"""Draws become inputs with the names of their paths."""

from __future__ import annotations

import numpy as np

from dlc import ir
from dlc.api import open_text
from dlc.passes.lift_samples import lift_samples, lifted_inputs
from dlc.passes.nodes import walk
from dlc.reference.interpreter import Interpreter
from dlc.reference.sampling import SampleSource
from dlc.verify import verify


def build(text: str) -> ir.Program:
    module, diagnostics = open_text(text)
    assert module is not None
    assert not diagnostics
    return next(iter(module.nets.values())).program


NOISY = """
block Noise(scale: float)(x: float[B, D]) -> float[B, D] {
  sample e: float[B, 2 * D] ~ normal(0.0, scale)
  return x + e[:, :D]
}
net N()(x: float[T, B, 3]) -> float[T, B, 3] {
  y = x[0]
  for i in range(2) { y = y -> noise: Noise(0.5) }
  sample e: float[B, 3] ~ uniform()
  y = dropout(dropout(y, 0.5), 0.25) * e
  scan x_t in x carry y {
    sample u: float[B, 3] ~ normal()
    y = tanh(y + x_t * u)
    emit out = y
  }
  return out
}
"""


def test_names_types_and_meaning() -> None:
    program = build(NOISY)
    made = lift_samples(program)
    verify(made)
    assert not any(isinstance(n, ir.Sample) for d in made.definitions.values() for n in walk(d.body))
    method = program.method()
    added = lifted_inputs(program.definitions[method.train], made.definitions[method.train])
    assert [(item.name, str(item.tensor.type)) for item in added if item.tensor] == [
        ("noise.0.e", "float[B, 6]"),
        ("noise.1.e", "float[B, 6]"),
        ("e", "float[B, 3]"),
        ("keep", "bool[B, 3]"),
        ("keep#1", "bool[B, 3]"),
        ("u", "float[T, B, 3]"),
    ]
    x = np.random.default_rng(0).standard_normal((4, 2, 3))
    source = SampleSource(5)
    wanted = Interpreter(program).run({"x": x}, {}, training=True, samples=source)
    draws = {f"{d.path}#{d.occurrence}" if d.occurrence else d.path: d.array for d in source.draws}
    steps = np.stack([d.array for d in source.draws if d.path == "u"])
    given = {item.name: steps if item.name == "u" else draws[item.name] for item in added}
    result = Interpreter(made).run({"x": x, **given}, {}, training=True)
    np.testing.assert_array_equal(result.outputs[0], wanted.outputs[0])


def test_nothing_drawn_is_the_same_program() -> None:
    program = build("net N()(x: float[B]) -> float[B] {\n  return exp(x)\n}\n")
    assert lift_samples(program) is program
