"""`dlc explain` and `dlc doctor`."""

from __future__ import annotations

import json

import pytest

from dlc.cli import doctor, explain
from dlc.cli.codes import EXPLANATIONS


def test_codes(run):
    result = run("explain", "e0019")
    assert result.stdout.startswith("E0019: ")
    assert "This is right:" in result.stdout
    assert json.loads(run("explain", "E0602", "--json").stdout)["code"] == "E0602"


@pytest.mark.parametrize("code", [c for c, e in EXPLANATIONS.items() if e.wrong])
def test_the_examples_are_what_they_say(run, tmp_path, code):
    path = tmp_path / "a.dl"
    path.write_text(EXPLANATIONS[code].wrong)
    assert f"error[{code}]" in run("check", path).stderr
    path.write_text(EXPLANATIONS[code].right)
    assert run("check", path).exit_code == 0


def test_names(run):
    block = run("explain", "Conv2d")
    assert "std/core.dl:" in block.stdout
    assert "block Conv2d(" in block.stdout
    assert "in the framework's own words by" in block.stdout
    assert "from std.attention import rope" in run("explain", "rope").stdout
    assert "primitive" in run("explain", "matmul").stdout
    assert "torch" in json.loads(run("explain", "softmax", "--json").stdout)["natives"]


def test_unknown_names(run):
    assert "did you mean `softmax`?" in run("explain", "sofmax").stderr
    assert run("explain", "E9999").exit_code == 1


def test_missing_tables_are_left_out(monkeypatch):
    monkeypatch.setattr(explain, "TABLES", ("dlc.no_such_table", "dlc.cli.codes"))
    assert explain.explanations() == EXPLANATIONS


def test_doctor(run, monkeypatch):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    result = run("doctor")
    assert "torch" in result.stdout
    assert "warning: NVIDIA_TF32_OVERRIDE=1" in result.stdout
    found = json.loads(run("doctor", "--json").stdout)
    assert {target["name"] for target in found["targets"]} >= {"torch", "jax", "keras"}


def test_a_broken_backend(monkeypatch):
    from importlib.metadata import EntryPoint

    health = doctor.examine(EntryPoint("odd", "no_such_module:BACKEND", "dlc.backends"))
    assert health.state == "broken"
    assert "no_such_module" in health.broken


def test_a_framework_that_is_missing(run, monkeypatch):
    monkeypatch.setattr(doctor, "FRAMEWORKS", dict.fromkeys(("torch", "jax", "keras"), (("no-such-thing",),)))
    result = run("doctor")
    assert result.exit_code == 1
    assert "no target works here" in result.stdout
