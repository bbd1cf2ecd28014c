"""Programs are emitted, accepted by ruff, imported, and agree with the reference in float64."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc import ir
from dlc.api import load
from dlc.lowering import lower
from dlc.parity.loading import load_module
from dlc.parity.worker import Case, Draw, Outcome, SampleQueue
from dlc.reference.interpreter import Interpreter, gradients
from dlc.reference.sampling import SampleSource, random_weights
from dlc_keras import BACKEND
from dlc_keras.names import ATTRIBUTES

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
keras = pytest.importorskip("keras")
safetensors = pytest.importorskip("safetensors.numpy")
runner = pytest.importorskip("dlc_keras.runner")

pytestmark = pytest.mark.filterwarnings("default")
TOLERANCE = 1e-10

TEXTS = {
    "image": """
        block Step(width: int, stride: int = 1)(x: float[N, C, H, W]) {
          y = x -> conv: Conv2d(width, 3, stride=stride, padding=1) -> norm: BatchNorm2d() -> relu
          if C == width and stride == 1 { y = y + x }
          return y -> dropout(0.25)
        }
        net Net(width: int = 4)(x: float[N, 3, 8, 6]) -> float[N, 5] {
          for stride in [1, 2, 1] { x = x -> steps: Step(width, stride=stride) }
          x = x -> group: GroupNorm(2) -> slope: PReLU2d() -> gelu
                -> up: ConvTranspose2d(2, 4, stride=2, padding=1)
          return x -> max_pool2d(3, stride=2, padding=1) -> flatten -> fc: Linear(5)
        }
    """,
    "recurrent": """
        net Net(hidden: int = 5)(x: float[N, T, 3], mask: bool[N, T])
            -> (out: float[N, T, 5], last: float[N, 5]) {
          r = x -> lstm: LSTM(hidden, reverse=true)(mask=mask)
          y, h = r.out -> gru: GRU(hidden)
          return y, h + r.c
        }
    """,
    "listed": """
        net Net(widths: list[int] = [3, 5], hidden: int = 4)(x: float[N, 4], z: float[N, 4]) -> float[N, 4] {
          fcs = [Linear(hidden) for _ in widths]
          for i, fc in enumerate(fcs) { x = x + fc(x)[:, i:i + 1] * z[:, i + 1:i + 2] }
          for y, w in zip([x, z], widths) { x = x + w * y }
          for w, fc in zip(widths, reversed(fcs)) { x = x + w * tanh(fc(x)) }
          return x
        }
    """,
    "scanned": """
        net Net(steps: int = 3)(x: float[N, T, 4], y: float[N, 4]) -> (all: float[N, T, 4], y: float[N, 4]) {
          cell = Linear(4)
          scan x_t in x along 1 carry y {
            z = tanh(x_t + cell(y))
            y = z * y
            emit all = y + z
          }
          scan k in range(steps) carry y { y = y + cell(sin(y)) }
          scan k in range(steps) carry y { y = y * cast(k + 1, float) }
          return all, y
        }
    """,
    "attention": """
        from std.attention import MultiHeadAttention, rope
        net Net(heads: int = 2)(ids: int[N, T], mask: bool[N, 1, 1, T]) -> float[N, T, 7] {
          embed = Embedding(7, 8)
          x = embed(ids)
          x = x + (x -> norm: LayerNorm(use_bias=false)
                     -> attend: MultiHeadAttention(heads, drop=0.1)(mask=mask))
          x = x + (x -> rms: RMSNorm() -> mix: Linear(8, use_bias=false) -> leaky_relu(0.1))
          return x @ transpose(embed.weight)
        }
    """,
    "methods": """
        net Net(latent: int = 2) {
          fn encode(x: float[N, 4]) -> (mu: float[N, latent], spread: float[N, latent]) {
            h = x -> enc: Linear(3) -> tanh
            return h -> mu: Linear(latent), h -> spread: Linear(latent)
          }
          fn decode(z: float[N, latent]) -> float[N, 4] { return z -> dec: Linear(4) -> sigmoid }
          fn forward(x: float[N, 4]) -> float[N, 4] {
            mu, spread = encode(x)
            sample eps: float[N, latent] ~ normal(0.0, 1.0)
            return decode(mu + exp(0.5 * spread) * eps)
          }
          fn loss(x: float[N, 4]) -> float[] {
            mu, spread = encode(x)
            return mse(summary(mu, spread), x[:, :2])
          }
          fn summary(mu: float[N, latent], spread: float[N, latent]) -> float[N, latent] {
            return mu / exp(spread)
          }
        }
    """,
    "sizes": """
        net Net() {
          conv = Conv2d(4, 3)
          fn forward(image: float[N, 3, 6, 5], other: float[M, 3, 6, 5]) -> float[N, M] {
            return global_avg_pool(conv(image)) @ transpose(global_avg_pool(conv(other)))
          }
          fn alike(image: float[N, 3, 6, 5]) -> float[N, N] { return forward(image, image) }
        }
    """,
}
INPUTS: dict[str, dict[str, Any]] = {
    "image": {"x": np.random.default_rng(1).normal(size=(2, 3, 8, 6))},
    "recurrent": {
        "x": np.random.default_rng(1).normal(size=(2, 4, 3)),
        "mask": np.array([[True, True, True, False], [True, True, True, True]]),
    },
    "attention": {
        "ids": np.array([[1, 2, 2], [0, 6, 3]]),
        "mask": np.array([True, True, True, True, False, True]).reshape(2, 1, 1, 3),
    },
    "listed": {name: np.random.default_rng(n).normal(size=(3, 4)) for n, name in enumerate("xz")},
    "scanned": {
        "x": np.random.default_rng(0).normal(size=(3, 5, 4)),
        "y": np.random.default_rng(1).normal(size=(3, 4)),
    },
    "methods": {"x": np.random.default_rng(1).normal(size=(3, 4))},
    "sizes": {
        "image": np.random.default_rng(1).normal(size=(2, 3, 6, 5)),
        "other": np.random.default_rng(2).normal(size=(3, 3, 6, 5)),
    },
}


def program_of(name: str, folder: Path) -> ir.Program:
    path = folder / f"{name}.dl"
    path.write_text(TEXTS[name])
    return load(path)["Net"].program


def emit(program: ir.Program, folder: Path, exact: bool = True) -> Path:
    emitted = lower(BACKEND, program, exact)
    path = folder / emitted.model.name
    path.write_text(emitted.files[emitted.model])
    return path


@pytest.mark.parametrize("name", TEXTS)
def test_ruff_accepts_the_file(name: str, tmp_path: Path) -> None:
    path = emit(program_of(name, tmp_path), tmp_path, exact=False)
    for command in (["check", "--isolated"], ["format", "--check", "--diff", "--isolated"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr + path.read_text()


def run(path: Path, program: ir.Program, inputs: dict[str, Any], **options: Any) -> Outcome:
    weights = {key: np.array(value, order="C") for key, value in options.pop("weights").items()}
    file = path.with_suffix(".safetensors")
    safetensors.save_file(weights, file)
    case = Case(
        module=load_module(path), network=program.name, method=options.pop("method", "forward"),
        device="cpu", inputs=inputs, weights_path=file, **options,
    )  # fmt: skip
    return runner.KerasRunner().run(case)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_agreement(name: str, training: bool, tmp_path: Path) -> None:
    program = program_of(name, tmp_path)
    inputs, weights, source = INPUTS[name], random_weights(program, 1), SampleSource(2)
    expected = Interpreter(program).run(inputs, weights, training=training, samples=source)
    rng = np.random.default_rng(3)
    cotangents = [rng.normal(size=output.shape) for output in expected.outputs]
    slopes = gradients(expected, cotangents)
    draws = [Draw(draw.distribution, draw.array) for draw in source.draws]
    found = run(
        emit(program, tmp_path), program, dict(inputs), weights=weights, dtype="float64",
        training=training, samples=SampleQueue(draws), cotangents=cotangents,
    )  # fmt: skip
    for actual, output in zip(found.outputs, expected.outputs, strict=True):
        np.testing.assert_allclose(actual, output, atol=TOLERANCE)
    assert set(found.weight_gradients) | set(found.states) == set(weights)
    for path, gradient in slopes.weights.items():
        if path in found.weight_gradients:
            np.testing.assert_allclose(found.weight_gradients[path], gradient, atol=TOLERANCE)
    for key, gradient in slopes.inputs.items():
        np.testing.assert_allclose(found.input_gradients[key], gradient, atol=TOLERANCE)
    for key, state in expected.states.items():
        np.testing.assert_allclose(found.states[key], state, atol=TOLERANCE)


def test_methods_may_have_names_that_keras_uses(tmp_path: Path) -> None:
    program = program_of("methods", tmp_path)
    inputs, weights = INPUTS["methods"], random_weights(program, 1)
    expected = Interpreter(program).run(inputs, weights, method="loss")
    found = run(
        emit(program, tmp_path), program, dict(inputs), weights=weights, dtype="float64", method="loss",
        training=False, samples=SampleQueue([]), cotangents=[np.array(1.0)],
    )  # fmt: skip
    np.testing.assert_allclose(found.outputs[0], expected.outputs[0], atol=TOLERANCE)


def test_a_new_model_runs_without_weights_from_a_file(tmp_path: Path) -> None:
    keras.config.set_floatx("float32")
    module = load_module(emit(program_of("image", tmp_path), tmp_path, exact=False))
    model = module.Net()
    y = model(np.zeros((2, 3, 8, 6), np.float32), training=True)
    assert y.shape == (2, 5)
    assert "steps.0.norm.running_mean" in module.named_weights(model)
    assert model(keras.Input((3, 8, 6), batch_size=2)).shape == (2, 5)


def test_the_reserved_attributes_are_those_of_keras() -> None:
    model = keras.Model()
    known = {name for name in {*dir(model), *vars(model)} if not name.startswith("_")}
    assert known <= ATTRIBUTES
