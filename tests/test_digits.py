"""The example in `docs/examples/digits`: real training in PyTorch, and the weights in all three programs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "digits"
COMPARED = re.compile(r"(\w+) +held-out accuracy ([\d.]+)%  logits differ from torch by (\S+)")


def run(*arguments: object) -> str:
    """The output of a Python program that must succeed."""
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, *map(str, arguments)]
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated programs, beside the trained weights."""
    folder = tmp_path_factory.mktemp("digits")
    run("-m", "dlc", "build", "specs/vision/lenet5.dl", "--target", "torch,jax,keras", "--output", folder)
    run(EXAMPLE / "train.py", folder)
    return folder


def test_the_programs_are_there(folder: Path) -> None:
    names = {path.name for path in folder.iterdir() if path.is_file()}
    assert names == {"lenet5_torch.py", "lenet5_jax.py", "lenet5_keras.py", "lenet5.safetensors"}


def test_three_programs_agree_on_real_digits(folder: Path) -> None:
    output = run(EXAMPLE / "compare.py", folder)
    rows = COMPARED.findall(output)
    assert [target for target, _, _ in rows] == ["torch", "jax", "keras"], output
    assert all(float(accuracy) >= 97.0 for _, accuracy, _ in rows), output
    assert all(float(difference) <= 1e-5 for _, _, difference in rows), output
    assert "agree on every digit" in output
