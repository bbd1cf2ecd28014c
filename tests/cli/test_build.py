"""`dlc build`: files written whole, inside the folder, and never over a person's own."""

from __future__ import annotations

import ast
import json
from pathlib import PurePath

import numpy as np
import pytest
from safetensors.numpy import load_file

from dlc.reference.sampling import initial_weights
from dlc.selecting import select
from dlc.writing import inside, write_all
from dlc_grammar.diagnostics import DiagnosticError


def test_files(run, mlp, tmp_path):
    out = tmp_path / "out"
    result = run("build", mlp, "-t", "torch,jax", "-t", "tensorflow", "-o", out)
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in out.iterdir()) == ["mlp_jax.py", "mlp_keras.py", "mlp_torch.py"]
    assert result.stderr.startswith("Built MLP for torch, jax, keras in ")
    for path in out.iterdir():
        ast.parse(path.read_text())
    again = run("build", mlp, "-t", "torch", "-o", out, "--json")
    (file,) = json.loads(again.stdout)["files"]
    assert file["target"] == "torch"
    assert file["lines"] == (out / "mlp_torch.py").read_text().count("\n")


def test_own_files_are_kept(run, mlp, tmp_path):
    mine = tmp_path / "mlp_torch.py"
    mine.write_text("print('mine')\n")
    result = run("build", mlp, "-t", "jax,torch", "-o", tmp_path)
    assert result.exit_code == 1
    assert "E0803" in result.stderr
    assert mine.read_text() == "print('mine')\n"
    assert not (tmp_path / "mlp_jax.py").exists()
    assert run("build", mlp, "-t", "torch", "-o", tmp_path, "--force").exit_code == 0
    assert "mine" not in mine.read_text()


def test_unknown_target(run, mlp, tmp_path):
    result = run("build", mlp, "-t", "trch", "-o", tmp_path)
    assert result.exit_code == 1
    assert "did you mean `torch`? installed are" in result.stderr


def test_weights(run, mlp, tmp_path):
    result = run("build", mlp, "-t", "torch", "-o", tmp_path / "out", "--weights", "w", "--seed", "3")
    assert result.exit_code == 0, result.output
    stored = load_file(tmp_path / "out" / "w.safetensors")
    expected = initial_weights(select(str(mlp)).program, 3)
    assert stored.keys() == expected.keys()
    for path, array in expected.items():
        np.testing.assert_array_equal(stored[path], array.astype(np.float32))


@pytest.mark.parametrize("name", ["../w", "/tmp/w", "a/../../w"])
def test_weights_stay_in_the_folder(run, mlp, tmp_path, name):
    result = run("build", mlp, "-t", "torch", "-o", tmp_path / "out", "--weights", name)
    assert result.exit_code == 1
    assert "E0803" in result.stderr
    assert not (tmp_path / "out").exists()


def test_weights_that_no_disk_holds(run, tmp_path):
    path = tmp_path / "huge.dl"
    path.write_text("net A()(x: float[B, 8]) { return x -> fc: Linear(10**30) }\n")
    result = run("build", path, "-t", "torch", "-o", tmp_path / "out", "--weights", "w")
    assert result.exit_code == 1
    assert "more than the disk has left" in result.stderr


def test_program(run, mlp):
    assert json.loads(run("build", mlp, "--emit", "ir", "--json").stdout)["name"] == "MLP"
    assert "MLP" in run("build", mlp, "--emit", "ir").stdout


@pytest.mark.parametrize("name", ["../a.py", "/a.py", "b/../../a.py", ""])
def test_nothing_is_written_outside(tmp_path, name):
    with pytest.raises(DiagnosticError):
        write_all(tmp_path / "out", {PurePath(name): "x"})
    assert not (tmp_path / "a.py").exists()


def test_links_do_not_lead_out(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    with pytest.raises(DiagnosticError):
        inside(tmp_path / "out", PurePath("link/a.py"))


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(DiagnosticError, match="no space left"):
        write_all(tmp_path, {PurePath("a.py"): "x"})
    assert list(tmp_path.iterdir()) == []
