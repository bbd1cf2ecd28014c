"""A backend of somebody else: the package in `third_party/` is installed, used and judged like our own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tests" / "third_party" / "dlc_numpy"

EVERYTHING = """\
net Deep(widths: list[int] = [4, 3])(x: float[B, 4], ids: int[B]) -> (y: float[B, 3], h: float[B, 3]) {
  require B < 100, "at most 100 rows"
  param table: float[5, 4] ~ normal(0.0, 1.0)
  x = x + take(table, ids)
  for i, width in enumerate(widths) {
    x = x -> fc: Linear(width) -> tanh
    if i > 0 { x = relu(x) * i }
  }
  sample noise: float[B, 3] ~ normal(0.0, 0.5)
  return softmax(x) + noise -> dropout(0.2), x
}
parity { seeds = [0]  sizes { B = [2] } }
"""
UNSUPPORTED = """\
net Smooth()(x: float[B, 4]) -> float[B, 4] {
  y = x -> fc: Linear(4)
  return erf(y)
}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the package was installed."""
    folder = tmp_path_factory.mktemp("site")
    source = shutil.copytree(PACKAGE, tmp_path_factory.mktemp("source") / "dlc_numpy")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--no-compile", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *options, str(source)]
    subprocess.run(command, check=True, timeout=300)
    return folder


def dlc(site: Path, *arguments: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs `dlc` where the package of `site` is installed."""
    command = [sys.executable, "-m", "dlc", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(site)}
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )


def test_doctor_finds_it(installed: Path) -> None:
    result = dlc(installed, "doctor", "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    targets = {target["name"]: target for target in json.loads(result.stdout)["targets"]}
    assert targets["numpy"]["state"] == "ok"
    assert targets["numpy"]["versions"] == {"dlc-numpy": "0.1.0"}
    assert {"torch", "jax", "keras"} <= set(targets)


def test_its_code_needs_no_dlc(installed: Path, tmp_path: Path) -> None:
    arguments = ("specs/basics/mlp.dl:MLP.tiny", "-t", "numpy", "-o", tmp_path, "--weights", "mlp")
    result = dlc(installed, "build", *arguments)
    assert result.returncode == 0, result.stderr
    program = (
        "import numpy as np, mlp_numpy\n"
        "params = mlp_numpy.load_weights('mlp.safetensors')\n"
        "print(mlp_numpy.apply(params, np.ones((3, 1, 28, 28), np.float32)).shape)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", "import sys; sys.modules['dlc'] = None\n" + program]
    assert subprocess.check_output(command, env=environment, cwd=tmp_path, text=True) == "(3, 5)\n"
    for check in (["check"], ["format", "--check"]):
        lint = [sys.executable, "-m", "ruff", *check, "--isolated", str(tmp_path / "mlp_numpy.py")]
        subprocess.run(lint, check=True, capture_output=True)


def test_it_is_proved(installed: Path) -> None:
    result = dlc(installed, "parity", "specs/basics/mlp.dl", "-t", "numpy", "--seeds", "0")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "PASSED" in result.stdout


def test_everything_that_it_writes_is_proved(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "deep.dl").write_text(EVERYTHING)
    result = dlc(installed, "parity", "deep.dl", "-t", "numpy", folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "right", "wrong"),
    [
        ("primitives", 'f"np.maximum({x}, 0.0)"', 'f"np.maximum({x}, 0.001)"'),
        ("primitives", "({x}).swapaxes(-1, -2)", "(1.000001 * {x}).swapaxes(-1, -2)"),
        ("runner", "1j * STEP", "1.000001j * STEP"),
    ],
    ids=["value", "weight", "gradient"],
)
def test_mistakes_are_found(installed: Path, tmp_path: Path, module: str, right: str, wrong: str) -> None:
    site = shutil.copytree(installed, tmp_path / "site")
    path = site / "dlc_numpy" / f"{module}.py"
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong))
    (tmp_path / "deep.dl").write_text(EVERYTHING)
    result = dlc(site, "parity", "deep.dl", "-t", "numpy", folder=tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "FAILED" in result.stdout


def test_what_it_cannot_express_is_a_diagnostic(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "smooth.dl").write_text(UNSUPPORTED)
    result = dlc(installed, "build", "smooth.dl", "-t", "numpy", folder=tmp_path)
    assert result.returncode == 1
    assert "error[E0702]: the target `numpy` cannot express `erf`" in result.stderr
    assert "smooth.dl:3:3" in result.stderr
    assert "return erf(y)" in result.stderr
    assert not list(tmp_path.glob("*.py"))


def test_states_are_refused_at_their_line(installed: Path, tmp_path: Path) -> None:
    result = dlc(installed, "build", "specs/vision/resnet.dl:ResNet.tiny", "-t", "numpy", "-o", tmp_path)
    assert result.returncode == 1
    assert "error[E0702]: the target `numpy` cannot express" in result.stderr
    assert "std/core.dl:" in result.stderr


def test_it_is_short() -> None:
    """`docs/extending.md` shows it as the example: it must be read in one sitting."""
    files = [PACKAGE / "pyproject.toml", *PACKAGE.glob("dlc_numpy/*.py")]
    assert sum(len(path.read_text().splitlines()) for path in files) < 400
