"""Plans written by hand, emitted, checked by ruff, imported and run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from backends.jax.plans import PLANS
from dlc.emit.plan import FilePlan
from dlc.parity.loading import load_module
from dlc.parity.recorder import Recorder
from dlc.parity.worker import Case, Draw, Outcome, SampleQueue
from dlc_jax.module import Module

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
safetensors = pytest.importorskip("safetensors.numpy")
runner = pytest.importorskip("dlc_jax.runner")


def emitted(name: str, folder: Path) -> tuple[Path, FilePlan]:
    plan = PLANS[name]()
    path = folder / f"{name}_jax.py"
    path.write_text(Module(plan).write()[0])
    return path, plan


def run(path: Path, inputs: Mapping[str, Any], draws: list[Draw] | None = None, **options: Any) -> Outcome:
    """Runs `apply` with random weights and cotangents."""
    module: ModuleType = options.pop("module", None) or load_module(path)
    made = module.init(jax.random.key(0))
    trees = (made,) if hasattr(made, "_fields") else made
    rng = np.random.default_rng(0)
    weights = {
        key: np.abs(rng.normal(size=leaf.shape))
        for tree in trees
        for key, leaf in runner.spec_paths(tree).items()
    }
    file = path.with_suffix(".safetensors")
    safetensors.save_file(weights, file)
    given: dict[str, Any] = {"dtype": "float64", "training": False, "record": None, **options}
    return runner.make_runner().run(
        Case(
            module=module, network="", method="forward", device="cpu", inputs=dict(inputs),
            weights_path=file, samples=SampleQueue(draws or []), **given,
        )
    )  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
def test_ruff_accepts_the_file(name: str, tmp_path: Path) -> None:
    path, _ = emitted(name, tmp_path)
    for command in (["check", "--isolated"], ["format", "--check", "--diff", "--isolated"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_lenet(tmp_path: Path) -> None:
    path, _ = emitted("lenet", tmp_path)
    x = np.random.default_rng(1).normal(size=(2, 3, 8, 8))
    for dtype in ("float32", "float64"):
        outcome = run(path, {"x": x}, cotangents=[np.ones((2, 10))], dtype=dtype)
        assert outcome.outputs[0].dtype == dtype
        assert set(outcome.weight_gradients) == {"kernel", "fc.weight", "fc.bias"}
        np.testing.assert_allclose(outcome.weight_gradients["fc.bias"], 2.0)
        assert outcome.input_gradients["x"].shape == x.shape


def test_states_and_samples(tmp_path: Path) -> None:
    path, _ = emitted("mlp", tmp_path)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(6, 4))
    draws = [Draw("bernoulli", rng.random((6, 4)) < 0.5) for _ in range(3)]
    outcome = run(path, {"x": x}, draws, cotangents=[np.ones((6, 4))], training=True)
    assert set(outcome.states) == {
        f"{layer}.{name}"
        for layer in ("norms.0", "norms.1", "norms.2", "last")
        for name in ("running_mean", "running_var")
    }
    repeated = run(path, {"x": x}, draws, cotangents=[np.ones((6, 4))], training=True)
    np.testing.assert_array_equal(outcome.outputs[0], repeated.outputs[0])
    still = run(path, {"x": x}, cotangents=[np.ones((6, 4))])
    assert not np.allclose(still.states["last.running_mean"], outcome.states["last.running_mean"])


def test_scan_draws_in_order(tmp_path: Path) -> None:
    path, _ = emitted("recurrent", tmp_path)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 3, 4))
    draws = [Draw("normal", rng.normal(size=(2, 4))) for _ in range(3)]
    outcome = run(path, {"x": x}, draws, cotangents=[np.ones((2, 3, 4)), None])
    out, h = outcome.outputs
    np.testing.assert_array_equal(out[:, -1], h)
    silent = run(path, {"x": x}, [Draw("normal", 0 * d.value) for d in draws], cotangents=[None, None])
    np.testing.assert_allclose(out[:, 0] - silent.outputs[0][:, 0], 0.1 * draws[0].value)


def test_a_trace_has_values_and_their_cotangents(tmp_path: Path) -> None:
    path, _ = emitted("lenet", tmp_path)
    text = path.read_text().replace("    return linear(", "    x = __record__(7, x)\n    return linear(")
    path.write_text(text)
    module = load_module(path)
    recorder = Recorder()
    module.__record__ = recorder  # type: ignore[attr-defined]
    x = np.random.default_rng(1).normal(size=(2, 3, 8, 8))
    outcome = run(path, {"x": x}, cotangents=[np.ones((2, 10))], record=recorder, module=module)
    ((site, value),) = outcome.forward
    ((_, cotangent),) = outcome.backward
    weight = safetensors.load_file(path.with_suffix(".safetensors"))["fc.weight"]
    assert site == 7
    assert value.shape == (2, 80)
    np.testing.assert_allclose(cotangent, np.ones((2, 10)) @ weight)
