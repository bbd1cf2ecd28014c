"""The whole proof, on a backend that needs no framework."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlc.backend import Backend
from dlc.parity.cases import ParitySettings
from dlc.parity.report import Report
from dlc.parity.run import Truths, run_parity
from dlc.parity.targets import Workshop
from parity.toy import CODE, SOURCE, TapeBackend, program

SETTINGS = ParitySettings(seeds=(0, 1), sizes={"B": (1, 3), "T": (5,)})
QUICK = ParitySettings(seeds=(0,), sizes={"B": (3,), "T": (5,)})
PROGRAM = program()
TRUTHS = Truths()


class Shop:
    """Finds the backend that a test wants, over one process."""

    def __init__(self) -> None:
        self.backend: Backend = TapeBackend()
        self.workshop = Workshop(find=lambda name: self.backend if name == "tape" else None)

    def prove(self, settings: ParitySettings = QUICK, **options: object) -> Report:
        return run_parity(
            PROGRAM,
            settings,
            targets=["tape"],
            workshop=self.workshop,
            truths=TRUTHS,
            sources={"toy.dl": SOURCE},
            **options,  # type: ignore[arg-type]
        )


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    shop = Shop()
    with shop.workshop:
        yield shop


def broken(shop: Shop, old: str, new: str, **options: object) -> Report:
    shop.backend = TapeBackend({old: new})
    return shop.prove(**options)  # type: ignore[arg-type]


def test_right_code_passes(shop: Shop) -> None:
    shop.backend = TapeBackend()
    report = shop.prove(SETTINGS)
    assert report.ok, report.render()
    assert report.exit_code == 0
    assert len(report.cases) == 2 * 2 * 2 * 2
    assert "PASSED" in report.render()
    json.dumps(report.to_json(), allow_nan=False)


def test_a_slightly_wrong_number_fails_only_in_float64(shop: Shop) -> None:
    report = broken(shop, "0.75), 0.0)", "0.7500000002), 0.0)")
    assert report.exit_code == 1
    assert {failure.case.dtype for failure in report.failures} == {"float64"}
    assert all(failure.case.point.training for failure in report.failures)


def test_the_first_wrong_value_is_found(shop: Shop) -> None:
    report = broken(shop, 'h = tape.apply("tanh", h)', 'h = tape.apply("erf", h)')
    finding = report.failures[0].finding
    assert finding is not None
    assert (finding.order, finding.what) == ("forward", "tanh")
    text = report.render()
    assert "toy.dl:10:46" in text
    assert "^^^^" in text
    assert "toy_tape.py:25" in text


def test_a_wrong_gradient_is_found(shop: Shop) -> None:
    stopped = 'tape.apply("add", y, tape.apply("stop_gradient", self.bias))'
    report = broken(shop, 'tape.apply("add", y, self.bias)', stopped)
    finding = report.failures[0].finding
    assert finding is not None
    assert (finding.order, finding.what) == ("weight", "fc.bias")
    assert finding.at.line == 3


def test_a_wrong_gradient_of_a_value_is_found(shop: Shop) -> None:
    half = 'h = tape.apply("take", self.table, tokens)\n'
    worse = half + '        h = tape.apply("add", tape.apply("multiply", h, 0.5), '
    worse += 'tape.apply("stop_gradient", tape.apply("multiply", h, 0.5)))\n'
    report = broken(shop, half, worse)
    finding = report.failures[0].finding
    assert finding is not None
    assert finding.order == "backward"


def test_missing_draws_fail(shop: Shop) -> None:
    report = broken(shop, "keep = tape.bernoulli(0.75, h.shape)", "keep = True")
    assert report.exit_code == 1
    assert "1 samples of the spec not drawn: `keep`" in report.render()


def test_draws_of_another_shape_fail(shop: Shop) -> None:
    report = broken(shop, "0.75, h.shape)", "0.75, h.shape[1:])")
    assert "the code draws bernoulli of shape (5, 3)" in report.render()


def test_nan_fails(shop: Shop) -> None:
    report = broken(shop, "out = ", 'h = tape.apply("divide", h, 0.0)\n        out = ')
    assert report.exit_code == 1
    assert "is not finite" in report.render()


def test_a_wrong_shape_fails(shop: Shop) -> None:
    report = broken(shop, "h, axis=1)", "h, axis=1, keep=True)")
    assert report.exit_code == 2 or "has shape" in report.render()


def test_exceptions_name_the_generated_line(shop: Shop) -> None:
    report = broken(shop, "h = self.fc.forward(h)", "h = self.fc.forwards(h)")
    assert report.exit_code == 2
    text = report.render()
    assert "no attribute 'forwards'" in text
    assert "toy_tape.py:24: h = self.fc.forwards(h)" in text
    assert "Traceback" not in text


def test_a_file_of_the_user(shop: Shop, tmp_path: Path) -> None:
    shop.backend = TapeBackend()
    path = tmp_path / "mine.py"
    path.write_text(CODE.replace('h = tape.apply("tanh", h)', 'z = 1\n        h = tape.apply("sin", h)'))
    report = shop.prove(code={"tape": path})
    assert report.exit_code == 1
    finding = report.failures[0].finding
    assert finding is not None
    assert finding.what == "tanh"


def test_an_unknown_target(shop: Shop) -> None:
    report = run_parity(PROGRAM, QUICK, targets=["abacus"], workshop=shop.workshop, truths=TRUTHS)
    assert report.exit_code == 2
    assert "no backend called `abacus`" in report.render()


def test_a_missing_device(shop: Shop) -> None:
    shop.backend = TapeBackend()
    report = shop.prove(devices=["cuda"])
    assert report.exit_code == 2
    assert "finds no cuda device" in report.render()


def test_a_device_that_only_the_spec_names(shop: Shop) -> None:
    shop.backend = TapeBackend()
    both = ParitySettings(seeds=(0,), sizes=QUICK.sizes, devices=("cpu", "gpu"))
    report = shop.prove(both)
    assert report.ok
    assert "tape finds no cuda device here: tape/cuda was left out" in report.render()


def test_a_process_that_dies(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPE_DIES", "1")
    with Workshop(find=lambda name: TapeBackend()) as workshop:
        report = run_parity(PROGRAM, QUICK, targets=["tape"], workshop=workshop, truths=TRUTHS)
    assert report.exit_code == 2
    assert "the process ended with code 3" in report.render()
