"""Every pass leaves what the reference computes as it is: outputs, states and gradients, in both modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dlc import ir
from dlc.api import load
from dlc.backend import Pass
from dlc.ir_json import from_json, to_json
from dlc.parity.cases import Point
from dlc.parity.drawing import draw_inputs
from dlc.passes.drop_dead import drop_dead
from dlc.passes.fold_constants import fold_constants
from dlc.passes.lift_samples import lift_samples, lifted_inputs
from dlc.passes.pipeline import run_passes, standard_passes
from dlc.passes.roll_repeats import roll_repeats
from dlc.passes.share_subexpressions import share_subexpressions
from dlc.reference.interpreter import Interpreter, Result, gradients
from dlc.reference.primitive import Array
from dlc.reference.sampling import Draw, SampleSource, generator, random_weights
from dlc.verify import verify

CORPUS = Path(__file__).parents[2] / "corpus"
PASSES: Sequence[Pass] = (fold_constants, share_subexpressions, drop_dead, roll_repeats)

PROGRAMS: Mapping[str, tuple[str, dict[str, object], dict[str, int]]] = {
    "lenet5": ("LeNet5", {}, {"B": 2}),
    "gpt2": ("GPT2.tiny", {"vocab": 11, "dim": 12, "heads": 2, "layers": 2}, {"B": 2, "T": 5}),
    "resnet": ("ResNet", {"depths": [2, 1], "classes": 3}, {"B": 2, "H": 24, "W": 20}),
    "mlp": ("MLP", {"hidden": [5, 4]}, {"B": 3}),
    "vae": ("VAE", {"latent": 2, "hidden": 5}, {"B": 2}),
    "unet": ("UNet", {"width": 2, "depth": 2}, {"B": 1, "H": 16, "W": 8}),
    "bilstm_tagger": ("Tagger", {"vocab": 9, "dim": 4, "hidden": 3, "tags": 3}, {"B": 2, "T": 4}),
    "transformer": (
        "Transformer",
        {"vocab": 11, "dim": 8, "layers": 2, "heads": 2, "hidden": 9},
        {"B": 2, "S": 4, "T": 3},
    ),
    "dcgan": ("Generator", {"noise": 3, "width": 1}, {"B": 2}),
    "t5": ("T5.tiny", {}, {"B": 2, "S": 4, "T": 3}),
    "rnn_lm": ("RNNLM", {"vocab": 7, "dim": 4}, {"B": 2, "T": 3}),
}  # fmt: skip


@cache
def program_of(name: str) -> ir.Program:
    label, settings, _ = PROGRAMS[name]
    net = load(CORPUS / f"{name}.dl")[label]
    known = net.program.parameters
    return net(**{key: value for key, value in settings.items() if key in known}).program


@cache
def case(name: str, method: str, training: bool) -> tuple[dict[str, Array], dict[str, Array]]:
    """Inputs and weights of one run."""
    program = program_of(name)
    weights = random_weights(program, 1)
    point = Point(method, training, 1, PROGRAMS[name][2])
    drawn = draw_inputs(program, point, {}, weights)
    return {key: array for key, array in drawn.items() if array is not None}, weights


def tensors(program: ir.Program, result: Result) -> dict[str, Array]:
    """Everything that a run gives, by name."""
    seeds = [
        generator(n, "seed").standard_normal(y.shape) if y.dtype.kind == "f" else None
        for n, y in enumerate(result.outputs)
    ]
    pulled = gradients(result, seeds)
    found = {f"output {n}": y for n, y in enumerate(result.outputs)}
    found.update((f"state {path}", array) for path, array in result.states.items())
    for spec in program.weights:
        zeros = np.zeros(spec.shape)
        found[f"gradient {spec.path}"] = pulled.weights.get(spec.path, zeros)
    found.update((f"input {key}", array) for key, array in pulled.inputs.items())
    return found


@cache
def expected(name: str, method: str, training: bool) -> tuple[dict[str, Array], tuple[Draw, ...]]:
    inputs, weights = case(name, method, training)
    source = SampleSource(3)
    program = program_of(name)
    result = Interpreter(program).run(inputs, weights, method, training, source)
    return tensors(program, result), tuple(source.draws)


def assert_close(found: Mapping[str, Array], wanted: Mapping[str, Array]) -> None:
    assert found.keys() == wanted.keys()
    for key, array in wanted.items():
        scale = max(1.0, float(np.abs(array).max(initial=0.0))) if array.dtype.kind == "f" else 1.0
        np.testing.assert_allclose(found[key], array, rtol=1e-12, atol=1e-12 * scale, err_msg=key)
        assert found[key].dtype == array.dtype


def assert_same_meaning(name: str, made: ir.Program) -> None:
    for method in program_of(name).methods:
        for training in (False, True):
            inputs, weights = case(name, method.name, training)
            wanted, draws = expected(name, method.name, training)
            source = SampleSource(3)
            result = Interpreter(made).run(inputs, weights, method.name, training, source)
            assert_close(tensors(made, result), wanted)
            assert [(d.path, d.occurrence) for d in source.draws] == [(d.path, d.occurrence) for d in draws]


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_pass_keeps_the_meaning(name: str) -> None:
    program = program_of(name)
    for one in PASSES:
        made = one(program)
        verify(made)
        assert one(made) is made, f"{one.__name__} finds something the second time"
        if made is not program:
            assert_same_meaning(name, made)


@pytest.mark.parametrize("name", PROGRAMS)
def test_all_passes_together_keep_the_meaning(name: str) -> None:
    made = run_passes(program_of(name), standard_passes())
    assert made.weights == program_of(name).weights
    assert_same_meaning(name, made)


@pytest.mark.parametrize("name", PROGRAMS)
def test_injected_draws_are_as_good_as_drawn_ones(name: str) -> None:
    program = program_of(name)
    made = lift_samples(program)
    verify(made)
    for method in program.methods:
        for training, key in ((False, method.eval), (True, method.train)):
            inputs, weights = case(name, method.name, training)
            wanted, draws = expected(name, method.name, training)
            by_name = {f"{d.path}#{d.occurrence}" if d.occurrence else d.path: d.array for d in draws}
            added = {item.name for item in lifted_inputs(program.definitions[key], made.definitions[key])}
            assert added == by_name.keys()
            result = Interpreter(made).run({**inputs, **by_name}, weights, method.name, training)
            found = {k: a for k, a in tensors(made, result).items() if k.removeprefix("input ") not in added}
            assert_close(found, wanted)


def test_round_trip_through_json_keeps_the_meaning() -> None:
    made = from_json(ir.Program, to_json(program_of("gpt2")))
    assert made == program_of("gpt2")
    assert_same_meaning("gpt2", made)
