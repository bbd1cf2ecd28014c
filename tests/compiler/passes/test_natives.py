"""What a backend claims, and what is then not needed any more."""

from __future__ import annotations

from dlc import ir
from dlc.api import open_text
from dlc.backend import Native
from dlc.passes.natives import prune, select_natives
from dlc.verify import verify

TEXT = """
fn mine(x: float[B, D]) -> float[B, D] { return softmax(x) }
net N()(x: float[B, 4]) -> float[B, 4] {
  const table = softmax(cast(arange(4), float))
  y = x -> a: Linear(8) -> gelu -> b: Linear(4, use_bias=false)
  return mine(y) + log_softmax(y) * table
}
"""


def build() -> ir.Program:
    module, diagnostics = open_text(TEXT)
    assert module is not None
    assert not diagnostics
    return next(iter(module.nets.values())).program


def names(program: ir.Program, ids: frozenset[str]) -> set[str]:
    return {program.definitions[key].name for key in ids}


def test_a_family_is_claimed_as_a_whole() -> None:
    program = build()
    assert names(program, select_natives(program, {"Linear": Native("Linear")})) == {"Linear"}
    narrow = Native("Linear", accepts=lambda definition: definition.statics["use_bias"].value is True)
    assert select_natives(program, {"Linear": narrow}) == frozenset()


def test_only_the_library_is_claimed_and_exactness_counts() -> None:
    program = build()
    natives = {"mine": Native("mine"), "gelu": Native("gelu", exact=False)}
    assert names(program, select_natives(program, natives)) == {"gelu"}
    assert select_natives(program, natives, exact=True) == frozenset()


def test_what_is_computed_while_compiling_is_not_claimed() -> None:
    program = build()
    claimed = select_natives(program, {"softmax": Native("softmax")})
    constant = {key for key, d in program.definitions.items() if d.family.endswith("#const")}
    assert constant
    assert claimed
    assert not claimed & constant


def test_pruning_drops_what_only_natives_reach() -> None:
    program = build()
    claimed = select_natives(program, {"mine": Native("mine"), "Linear": Native("Linear")})
    assert prune(program, claimed).definitions.keys() == program.definitions.keys()
    made = prune(program, frozenset(key for key, d in program.definitions.items() if d.name == "mine"))
    gone = {program.definitions[key].name for key in program.definitions.keys() - made.definitions.keys()}
    assert gone == {"softmax"}
    verify(made, opaque=frozenset(key for key, d in made.definitions.items() if d.name == "mine"))
