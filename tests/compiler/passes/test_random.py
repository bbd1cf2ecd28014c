"""Random programs: whatever is folded, shared and dropped, the numbers stay."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dlc import ir
from dlc.api import open_text
from dlc.passes.pipeline import run_passes, standard_passes
from dlc.reference.interpreter import Interpreter, gradients
from dlc.reference.sampling import SampleSource

NAMES = st.sampled_from(["x", "y", "a", "b", "c", "r"])
UNARY = st.sampled_from(["exp(-abs({}))", "tanh({})", "relu({})", "dropout({}, 0.5)", "{} * 1.0", "{} - 0.0"])
BINARY = st.sampled_from(["{} + {}", "{} * {}", "maximum({}, {})", "({} + {}) * 1.0 + k", "{} - {} * one"])


@st.composite
def statements(draw: st.DrawFn, depth: int = 2) -> str:
    """A few assignments, perhaps in loops, branches and scans."""
    lines = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["assign", "assign", "assign", "for", "if", "scan"]))
        target = draw(st.sampled_from(["a", "b", "c"]))
        if kind == "assign" or depth == 0:
            inner = draw(UNARY).format(draw(NAMES))
            lines.append(f"{target} = {draw(BINARY).format(inner, draw(NAMES))}")
        elif kind == "for":
            lines.append(f"for i in range({draw(st.integers(1, 3))}) {{\n{draw(statements(depth - 1))}\n}}")
        elif kind == "if":
            condition = draw(st.sampled_from(["training", "deep", "not training"]))
            lines.append(f"if {condition} {{\n{draw(statements(depth - 1))}\n}}")
        else:
            inner = f"{draw(statements(0))}\n{target} = {target} + s"
            lines.append(f"scan s in steps carry {target} {{\n{inner}\n}}")
    return "\n".join(lines)


HEAD = """net N(one: float = 1.0, k: float = 2.0, deep: bool = true)
    (x: float[B], y: float[B], steps: float[T, B]) -> float[B] {
  state r: float[3] ~ zeros()
  a = x
  b = y
  c = x * y
"""
TAIL = "\n  if training { update r = r * 0.5 }\n  return a + c\n}\n"


def build(body: str) -> ir.Program:
    module, diagnostics = open_text(HEAD.replace("[B]", "[3]").replace("T, B", "T, 3") + body + TAIL)
    assert module is not None
    assert not diagnostics
    return next(iter(module.nets.values())).program


@settings(max_examples=15, deadline=None, derandomize=True)
@given(statements())
def test_random_programs_keep_their_meaning(body: str) -> None:
    program = build(body)
    made = run_passes(program, standard_passes())
    rng = np.random.default_rng(0)
    inputs = {"x": rng.normal(size=3), "y": rng.normal(size=3), "steps": rng.normal(size=(2, 3))}
    weights = {"r": rng.normal(size=3)}
    for training in (False, True):
        runs = [
            Interpreter(p).run(inputs, weights, training=training, samples=SampleSource(1))
            for p in (program, made)
        ]
        before, after = runs
        np.testing.assert_array_equal(after.outputs[0], before.outputs[0])
        for path, state in before.states.items():
            np.testing.assert_array_equal(after.states[path], state)
        wanted, found = (gradients(run, [np.ones(3)]) for run in runs)
        for name, gradient in wanted.inputs.items():
            np.testing.assert_allclose(found.inputs[name], gradient, rtol=1e-10, atol=1e-10)
