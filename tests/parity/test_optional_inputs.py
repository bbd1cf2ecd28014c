"""A network is proved with its optional inputs and without them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dlc import api
from dlc.backend import find_backend
from dlc.build import generate
from dlc.parity.cases import ParitySettings, points
from dlc.parity.report import Report
from dlc.parity.run import Subject, run_parity
from dlc.parity.targets import Workshop
from dlc.reference.interpreter import Interpreter

TEXT = """
net Pool(width: int = 3)
    (x: float[B, T, width], mask: bool[B, T]? = none, shift: float[T, width]? = none) -> float[B, width] {
  h = if shift == none then x else x + shift
  h = h -> fc: Linear(width) -> tanh
  if mask != none {
    h = h * rearrange(where(mask, 1.0, 0.0), "b t -> b t 1")
  }
  return sum(h, axis=1)
}
"""
SETTINGS = ParitySettings(seeds=(0,), sizes={"B": (2,), "T": (5,)}, dtypes=("float64",))


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> api.Net:
    path = tmp_path_factory.mktemp("pool") / "pool.dl"
    path.write_text(TEXT)
    return api.load(path)["Pool"]


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    with Workshop() as workshop:
        yield workshop


def prove(net: api.Net, workshop: Workshop, path: Path, old: str, new: str) -> Report:
    """The proof of the PyTorch file after a change."""
    backend = find_backend("torch")
    assert backend is not None
    (text,) = generate(net.program, backend).files.values()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return run_parity(
        [Subject(net.program, SETTINGS)], targets=["torch"], workshop=workshop, code={"torch": path}
    )


def test_points_are_with_and_without_them(net: api.Net) -> None:
    found = [(point.training, point.bare) for point in points(net.program, SETTINGS)]
    assert found == [(False, False), (True, False), (False, True), (True, True)]


def test_it_passes_unchanged(net: api.Net, workshop: Workshop, tmp_path: Path) -> None:
    report = prove(net, workshop, tmp_path / "pool.py", "torch.tanh", "torch.tanh")
    assert report.ok, report.render()
    assert {case.point.bare for case in report.cases} == {False, True}


@pytest.mark.parametrize(
    ("old", "new", "bare"),
    [
        ("x if shift is None", "2 * x if shift is None", True),
        ("else x + shift", "else x - shift", False),
    ],
)
def test_a_mistake_on_one_side_is_found_there(
    net: api.Net, workshop: Workshop, tmp_path: Path, old: str, new: str, bare: bool
) -> None:
    report = prove(net, workshop, tmp_path / "pool.py", old, new)
    assert not report.errors
    assert {failure.case.point.bare for failure in report.failures} == {bare}
    assert report.to_json()["failures"][0]["optional_inputs"] is not bare


def test_the_reference_wants_all_of_them_or_none(net: api.Net) -> None:
    some = {"x": np.zeros((1, 2, 3)), "mask": np.ones((1, 2), bool)}
    weights = {"fc.weight": np.zeros((3, 3)), "fc.bias": np.zeros(3)}
    with pytest.raises(ValueError, match="`shift` is missing"):
        Interpreter(net.program).run(some, weights)
    some.pop("mask")
    assert Interpreter(net.program).run(some, weights).outputs[0].shape == (1, 3)
