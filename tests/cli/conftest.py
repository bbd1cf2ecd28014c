"""A runner for `dlc`, and small specifications."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dlc.cli.main import application

MLP = """\
## A small network.
net MLP(width: int = 4, layers: int = 2)(x: float[B, 8]) -> float[B, 3] {
  for _ in range(layers) { x = x -> h: Linear(width) -> relu }
  return x -> out: Linear(3)
}
preset MLP.wide { width = 16 }
expect param_count(MLP()) == 71
parity {
  seeds = [0]
  sizes { B = [2] }
}
"""

TWO = """\
net First()(x: float[B, 8]) -> float[B, 8] { return x }
net Second()(x: float[B, H]) -> float[B, H] {
  require H % 4 == 0
  return x
}
"""

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Calls `dlc` in this process."""

    def call(*arguments: object, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(application, [str(a) for a in arguments], input=input)

    return call


@pytest.fixture
def mlp(tmp_path: Path) -> Path:
    path = tmp_path / "mlp.dl"
    path.write_text(MLP)
    return path


@pytest.fixture
def two(tmp_path: Path) -> Path:
    path = tmp_path / "two.dl"
    path.write_text(TWO)
    return path
