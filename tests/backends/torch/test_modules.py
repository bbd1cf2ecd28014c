"""Small programs from text to PyTorch: the file is clean, runs, and agrees with the reference in float64."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.torch.programs import PROGRAMS
from dlc.api import open_text
from dlc.ir import Program
from dlc.parity.cases import ParitySettings, points
from dlc.parity.loading import load_module
from dlc.parity.truth import Truth, find_truth
from dlc.parity.worker import Case, Outcome, SampleQueue
from dlc_torch import BACKEND

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.numpy")
runner = pytest.importorskip("dlc_torch.runner")

SETTINGS = ParitySettings(seeds=(0,), dtypes=("float64",), sizes={"B": (3,), "T": (5,)})


def program_of(name: str) -> Program:
    module, diagnostics = open_text(PROGRAMS[name])
    assert module is not None, diagnostics
    return module[name].program


def emitted(name: str, folder: Path) -> tuple[Program, Path]:
    program = program_of(name)
    files = BACKEND.emit(program)
    path = folder / f"{name.lower()}_{folder.name.replace('-', '_')}.py"
    path.write_text(files.files[files.model])
    return program, path


@pytest.mark.parametrize("name", PROGRAMS)
def test_file_is_clean(name: str, tmp_path: Path) -> None:
    _, path = emitted(name, tmp_path)
    for command in (["check"], ["format", "--check", "--diff"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated", str(path)]
        result = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_same_program_same_bytes() -> None:
    first, second = (BACKEND.emit(program_of("Attentive")) for _ in range(2))
    assert first == second


def test_lines_point_at_statements() -> None:
    files = BACKEND.emit(program_of("Mlp"))
    lines = files.files[files.model].split("\n")
    assert files.lines
    for source in files.lines:
        assert lines[source.line - 1].strip()


@pytest.mark.filterwarnings("ignore:Using padding")
@pytest.mark.parametrize("name", PROGRAMS)
def test_agrees_with_reference(name: str, tmp_path: Path) -> None:
    program, path = emitted(name, tmp_path)
    for point in points(program, SETTINGS):
        truth = find_truth(program, point, SETTINGS)
        outcome = run(program, path, truth, tmp_path / "weights.safetensors")
        found = collected(truth, outcome)
        assert set(found) == set(truth.tensors)
        for key, wanted in truth.tensors.items():
            np.testing.assert_allclose(found[key], wanted, rtol=1e-9, atol=1e-11, err_msg=str(key))


def run(program: Program, path: Path, truth: Truth, weights: Path) -> Outcome:
    safetensors.save_file({k: np.ascontiguousarray(a) for k, a in truth.data.weights.items()}, weights)
    samples = SampleQueue(list(truth.data.draws))
    point = truth.point
    case = Case(
        load_module(path), program.name, point.method, "float64", "cpu", point.training,
        dict(truth.data.inputs), weights, samples, list(truth.data.cotangents),
    )  # fmt: skip
    outcome = runner.TorchRunner().run(case)
    assert not samples.left
    assert isinstance(outcome, Outcome)
    return outcome


def collected(truth: Truth, outcome: Outcome) -> dict[Any, Any]:
    found: dict[Any, Any] = {
        ("output", name): array for name, array in zip(truth.output_names, outcome.outputs, strict=True)
    }
    found |= {("gradient", path): array for path, array in outcome.weight_gradients.items()}
    found |= {("input gradient", name): array for name, array in outcome.input_gradients.items()}
    found |= {("state", path): array for path, array in outcome.states.items()}
    return found
