"""The verifier finds each kind of damage, and nothing in what the elaborator makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlc import ir
from dlc.api import load, open_text
from dlc.passes.pipeline import run_passes
from dlc.verify import InvalidIR, verify
from dlc_grammar.record import replace

CORPUS = Path(__file__).parents[1] / "corpus"
TEXT = """
fn twice(x: float[B, D]) -> float[B, D] { return x + x }
net N(dim: int = 4)(x: float[B, 4], mask: bool[B]?) -> float[B, 4] {
  state m: float[4] ~ zeros()
  y = x -> lin: Linear(dim)
  y = twice(y)
  if training { update m = m * 0.5 }
  for i in range(2) { y = y -> layer: Linear(4) }
  k = y[0]
  scan y_t in y carry k {
    k = k + y_t
    emit h = k
  }
  return h
}
"""

Change = Callable[[Any], Any]


def build() -> ir.Program:
    module, diagnostics = open_text(TEXT)
    assert module is not None
    assert not diagnostics
    return next(iter(module.nets.values())).program


def damaged(kind: type, change: Change, training: bool = True) -> ir.Program:
    """The program with the first top-level node of a kind changed."""
    program = build()
    method = program.method()
    name = method.train if training else method.eval
    definition = program.definitions[name]
    at = next(i for i, node in enumerate(definition.body) if isinstance(node, kind))
    node = definition.body[at]
    made = change(node)
    body = (*definition.body[:at], *([] if made is None else [made]), *definition.body[at + 1 :])
    return with_definition(program, replace(definition, body=body))


def with_definition(program: ir.Program, definition: ir.Definition) -> ir.Program:
    definitions = {**program.definitions, definition.id: definition}
    return replace(program, definitions=definitions)


def updated(**fields: Any) -> Change:
    return lambda node: replace(node, **fields)


def retyped(node: Any) -> Any:
    types = ir.TensorType(dtype="float", shape=(ir.Const(value=7),))
    return updated(outputs=tuple(ir.Tensor(id=t.id, type=types) for t in node.outputs))(node)


DAMAGE: dict[str, tuple[type, Change, str]] = {
    "unknown value": (ir.Bind, updated(value=ir.Use(id=999)), "%999 is used before it is made"),
    "made twice": (
        ir.Call, lambda n: updated(outputs=(ir.Tensor(id=1, type=n.outputs[0].type),))(n), "%1 is made twice",
    ),
    "no callee": (ir.Call, updated(callee="Lost#9"), "Lost#9 is not defined"),
    "no layer": (ir.Call, updated(layer="lost"), "there is no layer lost"),
    "no argument": (ir.Call, updated(arguments={}), "x of Linear.train#[0-9]+ is missing"),
    "extra argument": (ir.Call, lambda n: updated(arguments={**n.arguments, "z": None})(n), "has no input z"),
    "wrong argument": (
        ir.Call,
        lambda n: updated(arguments={"x": ir.Weight(path=("m",), id=3)})(n),
        "x of Linear.train#[0-9]+ is float",
    ),
    "wrong result": (ir.Call, retyped, "the result _ of Linear"),
    "no result": (ir.Call, updated(outputs=()), "has 1 results, not 0"),
    "wrong method": (ir.Call, updated(method="encode"), "is the method forward, not encode"),
    "foreign method": (ir.Call, updated(layer=None), "is a method of something else"),
    "no return": (ir.Return, lambda n: None, "does not end with a return"),
    "too many returned": (ir.Return, lambda n: updated(values=n.values * 2)(n), "2 values for 1 outputs"),
    "no attribute": (ir.Apply, updated(attrs={}), "index has no attribute subscripts"),
    "no such weight": (
        ir.Bind, updated(value=ir.Weight(path=("lin", "lost"), id=50)), "no parameter or state lin.lost",
    ),
    "out of a scan": (
        ir.Return, lambda n: updated(values=(ir.Use(id=SCANNED),))(n), "is used before it is made",
    ),
    "wrong branch": (ir.Branch, updated(result=(ir.Use(id=1),)), "1 results for 0 values"),
    "carried type": (
        ir.Scan, lambda n: updated(carries=(replace(n.carries[0], initial=ir.Use(id=1)),))(n),
        "the initial k is",
    ),
}  # fmt: skip


def _scanned() -> int:
    program = build()
    body = program.definitions[program.method().train].body
    return next(node.inputs[0].inside.id for node in body if isinstance(node, ir.Scan))


SCANNED = _scanned()


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found(name: str) -> None:
    kind, change, message = DAMAGE[name]
    with pytest.raises(InvalidIR, match=message) as found:
        verify(damaged(kind, change))
    assert str(found.value).startswith("N.train#")


def test_damage_of_the_program_is_found() -> None:
    program = build()
    lost = ir.Method(name="forward", eval="Lost", train="Lost")
    with pytest.raises(InvalidIR, match="method forward: Lost is not defined"):
        verify(replace(program, methods=(lost,)))
    listed = tuple(weight for weight in program.weights if weight.path != "lin.weight")
    with pytest.raises(InvalidIR, match=r"lin\.weight is not among the program's weights"):
        verify(replace(program, weights=listed))


def test_a_pass_is_blamed() -> None:
    def careless(program: ir.Program) -> ir.Program:
        return damaged(ir.Call, updated(callee="Lost#9"))

    with pytest.raises(InvalidIR, match=r"after careless: .*Lost#9 is not defined"):
        run_passes(build(), [careless])


@pytest.mark.parametrize(
    ("name", "label"),
    [("llama", "Llama.tiny"), ("clip", "CLIP"), ("moe", "MoELM"), ("seq2seq", "Seq2Seq"), ("vit", "ViT")],
)
def test_what_the_elaborator_makes_is_valid(name: str, label: str) -> None:
    verify(load(CORPUS / f"{name}.dl")[label].program)
