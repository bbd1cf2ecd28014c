"""Which loops do the same in every round."""

from __future__ import annotations

import pytest

from dlc import ir
from dlc.api import open_text
from dlc.passes.nodes import walk
from dlc.passes.roll_repeats import roll_repeats
from dlc.verify import verify


def uniform(body: str) -> list[bool]:
    module, diagnostics = open_text(f"net N(n: int = 3)(x: float[B, 4]) -> float[B, 4] {{\n{body}\n}}")
    assert module is not None
    assert not diagnostics
    program = next(iter(module.nets.values())).program
    made = roll_repeats(program)
    verify(made)
    assert roll_repeats(made) is made
    body_ = made.definitions[made.method().eval].body
    return [node.uniform for node in walk(body_) if isinstance(node, ir.For)]


@pytest.mark.parametrize(
    "body",
    [
        "y = x\nfor i in range(n) { y = y -> layer: Linear(4) -> relu }\nreturn y",
        "y = x\nfor i in range(n) { y = y + x }\nreturn y",
        "y = x\nfor i in range(n) { y = y -> relu\n y = y * 2.0 + x }\nreturn y + x",
    ],
)
def test_equal_rounds(body: str) -> None:
    assert uniform(body) == [True]


def test_nested_loops() -> None:
    body = "y = x\nfor i in range(n) { for j in range(2) { y = y -> layer: Linear(4) } }\nreturn y"
    assert uniform(body) == [True] * 4
    varied = "y = x\nfor i in range(n) { for j in range(2) { y = y * (j + 1) } }\nreturn y"
    assert uniform(varied) == [True, False, False, False]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("y = x\nfor i in range(n) { y = y * (i + 1) }\nreturn y", "the number differs"),
        ("y = x\nfor i in range(n) { if i == 1 { y = exp(y) } }\nreturn y", "the branch differs"),
        ("y = x\nfor i in range(1) { y = exp(y) }\nreturn y", "one round is no loop"),
        ("y = x\nfor d in [4, 5, 4] { y = y -> layer: Linear(d) }\nreturn y", "the sizes differ"),
        ("y = x\nz = x\nfor i in range(n) { w = y + z\n y = z\n z = w }\nreturn y", "two rounds back"),
    ],
)
def test_unequal_rounds(body: str, why: str) -> None:
    assert uniform(body) == [False], why
