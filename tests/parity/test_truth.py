"""Data, noise floor and kink audit, on a small hand-built network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlc import dims, ir
from dlc.api import open_text
from dlc.parity.cases import ParitySettings, Point, points, size_choices, size_variables
from dlc.parity.compare import UNIT32
from dlc.parity.drawing import indices, random_mask, single, standardise, weights_of
from dlc.parity.noise import changes, measure
from dlc.parity.truth import find_truth
from dlc.reference.interpreter import Result
from dlc.reference.primitives import PRIMITIVES
from dlc.reference.sampling import Draw
from dlc.reference.tape import Tape
from dlc_grammar.record import replace
from parity.toy import PROGRAM_SIZES, program

PROGRAM = program()
TRAIN = Point("forward", True, 0, PROGRAM_SIZES)
SETTINGS = ParitySettings()


def test_points_cover_modes_sizes_and_seeds() -> None:
    settings = ParitySettings(seeds=(0, 1), sizes={"B": (1, 2), "T": (4,), "Z": (9,)})
    found = list(points(PROGRAM, settings))
    assert len(found) == 2 * 2 * 2
    assert {tuple(point.sizes.items()) for point in found} == {
        (("B", 1), ("T", 4)),
        (("B", 2), ("T", 4)),
    }
    assert str(found[-1]) == "forward train seed 1 B=2 T=4"


def test_open_sizes_are_awkward_and_allowed() -> None:
    definition = PROGRAM.definitions["toyTrue"]
    assert size_variables(definition) == ("B", "T")
    assert size_choices(PROGRAM, definition, {}) == [{"B": 1, "T": 5}, {"B": 3, "T": 5}]
    multiple = ir.Operation(
        op="==",
        value=None,
        args=(
            ir.Operation(
                op="%",
                value=None,
                args=(ir.Const(value=dims.variable("T")), ir.Const(value=32)),
            ),
            ir.Const(value=0),
        ),
    )
    rule = ir.Requirement(condition="T % 32 == 0", message="", expr=multiple, at=definition.at)
    strict = replace(PROGRAM, requirements=(rule,))
    assert size_choices(strict, definition, {"B": (2,)}) == [{"B": 2, "T": 32}]


def test_integers_stay_inside_the_table_they_index() -> None:
    seen = set()
    for seed in range(6):
        truth = find_truth(PROGRAM, Point("forward", False, seed, PROGRAM_SIZES), SETTINGS)
        tokens = truth.data.inputs["tokens"]
        assert tokens is not None
        seen |= set(tokens.ravel().tolist())
    assert max(seen) == 10
    assert min(seen) == 0


def test_chosen_inputs() -> None:
    arguments = {"low": ir.Const(value=2), "high": ir.Const(value=4)}
    chosen = {"tokens": ir.Distribution(name="randint", args=arguments)}
    truth = find_truth(PROGRAM, TRAIN, ParitySettings(inputs=chosen))
    tokens = truth.data.inputs["tokens"]
    assert tokens is not None
    assert set(tokens.ravel().tolist()) == {2, 3}


def test_coins_for_a_float_input_are_floats() -> None:
    """Targets like 0 and 1 for a loss; and indices of segments stay below their number."""
    text = """
net A()(x: float[B], ids: int[B]) -> float[2] { return segment_sum(x, ids, 2) }
"""
    module, _ = open_text(text)
    assert module is not None
    chosen = {"x": ir.Distribution(name="bernoulli", args={"p": ir.Const(value=0.5)})}
    truth = find_truth(
        module["A"].program, Point("forward", False, 0, {"B": 20}), ParitySettings(inputs=chosen)
    )
    x, ids = truth.data.inputs["x"], truth.data.inputs["ids"]
    assert x is not None
    assert x.dtype == np.float64
    assert set(x.tolist()) == {0.0, 1.0}
    assert ids is not None
    assert set(ids.tolist()) == {0, 1}


def test_all_data_are_float32_numbers_and_random() -> None:
    weights = weights_of(PROGRAM, 0)
    assert set(weights) == {"table", "fc.weight", "fc.bias", "mean"}
    for array in weights.values():
        assert np.array_equal(array, single(array))
        assert len(np.unique(array)) == array.size
    truth = find_truth(PROGRAM, TRAIN, SETTINGS)
    (cotangent,) = truth.data.cotangents
    assert cotangent is not None
    assert np.array_equal(cotangent, single(cotangent))


@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 5)])
def test_masks(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    assert random_mask(rng, shape, false_row=False).any(axis=-1).all()
    rows = random_mask(rng, shape, false_row=True).any(axis=-1)
    assert (~rows).sum() == 1
    assert random_mask(rng, (1, 6), false_row=True).any()


@pytest.mark.parametrize(
    ("distribution", "arguments", "kind"),
    [
        ("normal", {"mean": 1.0, "std": 2.0}, "normal"),
        ("uniform", {"low": -1.0, "high": 3.0}, "uniform"),
        ("gumbel", {}, "uniform"),
        ("exponential", {"rate": 2.0}, "uniform"),
        ("bernoulli", {"p": 0.5}, "bernoulli"),
        ("randint", {"low": 0, "high": 3}, "randint"),
    ],
)
def test_standard_draws(distribution: str, arguments: dict[str, float], kind: str) -> None:
    array = np.array([0.25, 1.5, 2.0])
    if kind == "bernoulli":
        array = array > 1
    standard, replayed = standardise(Draw("path", 0, distribution, arguments, array))
    assert standard.kind == kind
    assert np.array_equal(standard.value, single(standard.value))
    assert np.allclose(replayed.array, array, atol=1e-6)


def test_the_noise_is_that_of_float32() -> None:
    truth = find_truth(PROGRAM, TRAIN, SETTINGS)
    for key, sigma in truth.noise.tensors.items():
        largest = np.abs(truth.tensors[key]).max()
        assert sigma.shape == truth.tensors[key].shape
        assert 0.01 * UNIT32 < sigma.max() / largest < 30 * UNIT32, key


def test_constants_are_rounded_once_when_they_are_stored() -> None:
    """`1 - a ** 2` is exactly 0 at the end, and never below, as `a` is not rounded on the way."""
    module, diagnostics = open_text(
        """
net N()(x: float[B, 5]) -> float[B, 5] {
  const a = linspace(0.0, 1.0, 5)
  const b = sqrt(1.0 - a ** 2)
  return x * b
}
"""
    )
    assert module is not None, diagnostics
    truth = find_truth(module["N"].program, Point("forward", False, 0, {"B": 2}), SETTINGS)
    (output,) = (sigma for (kind, _), sigma in truth.noise.tensors.items() if kind == "output")
    assert np.isfinite(output).all()
    assert (output[:, 4] == 0.0).all()


def test_noise_is_reproducible() -> None:
    truth = find_truth(PROGRAM, TRAIN, SETTINGS)
    again = measure(truth.evaluate, 3)
    once = measure(truth.evaluate, 3)
    for key, sigma in again.tensors.items():
        assert np.array_equal(sigma, once.tensors[key])


def near(op: str, *inputs: np.ndarray, sigma: float = 1e-8, **attrs: Any) -> int:
    """How many decisions of one operation change if its float inputs have this noise."""
    tape = Tape()
    slots = tuple(tape.add(np.asarray(array)) for array in inputs)
    tape.apply(PRIMITIVES[op], slots, attrs)
    result = Result.__new__(Result)
    object.__setattr__(result, "tape", tape)
    sigmas = {slot: np.full(tape.values[slot].shape, sigma) for slot in slots}
    return changes(tape.entries[0], result, sigmas, np.random.default_rng(0))


APART = np.array([[3.0, 1.0, -2.0], [0.5, 7.0, -1.0]])
CLOSE = np.array([[3.0, 1.0, -2.0], [5e-8, 7.0, -1.0]])
TIED = np.array([[3.0, 3.0 + 5e-8, -2.0], [0.5, 7.0, -1.0]])


@pytest.mark.parametrize(
    ("op", "inputs", "attrs"),
    [
        ("maximum", (CLOSE, np.zeros(1)), {}),
        ("greater", (CLOSE, np.zeros(())), {}),
        ("abs", (CLOSE,), {}),
        ("sign", (CLOSE,), {}),
        ("floor", (CLOSE,), {}),
        ("max", (TIED,), {"axis": 1}),
        ("argmax", (TIED,), {"axis": 1}),
        ("sort", (TIED,), {}),
        ("top_k", (TIED,), {"k": 1}),
        ("max_pool2d", (np.pad(TIED, ((0, 0), (0, 1)))[None, None],), {"size": 2}),
    ],
)
def test_kinks(op: str, inputs: tuple[np.ndarray, ...], attrs: dict[str, Any]) -> None:
    calm = tuple(APART + 0.25 if array.ndim == 2 else array for array in inputs)
    if op == "max_pool2d":
        calm = (np.arange(8.0).reshape(1, 1, 2, 4),)
    assert near(op, *inputs, **attrs) > 0
    assert near(op, *calm, **attrs) == 0


def test_smooth_networks_have_no_kinks() -> None:
    assert find_truth(PROGRAM, TRAIN, SETTINGS).kinks == 0


@pytest.mark.parametrize(("bound", "shape"), [(2, (2,)), (3, (3,)), (4, (2, 2)), (2, (5,))])
def test_indices_are_not_all_equal(bound: int, shape: tuple[int, ...]) -> None:
    """Rows that are all of one segment would hide what happens between segments."""
    for seed in range(60):
        drawn = indices(np.random.default_rng(seed), bound, shape)
        assert drawn.shape == shape
        assert 0 <= drawn.min() < drawn.max() < bound
    assert indices(np.random.default_rng(0), 1, (3,)).tolist() == [0, 0, 0]
    assert indices(np.random.default_rng(0), 3, ()).shape == ()
