"""`dlc import weights` and `dlc export weights`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

NET = """\
net Net(width: int = 4)(x: float[B, 8]) -> float[B, 3] {
  return x -> up: Linear(width) -> relu -> out: Linear(3)
}
preset Net.wide { width = 6 }
"""
MAP = """\
load Net from "other" {
  "first.{p}" = "up.{p}"
  "head.{p}"  = "out.{p}"
  ignore = ["steps"]
}
"""


def theirs(width: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {
        "first.weight": (width, 8),
        "first.bias": (width,),
        "head.weight": (3, width),
        "head.bias": (3,),
    }
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.dl"
    path.write_text(NET + MAP)
    save_file(theirs(4), tmp_path / "theirs.safetensors", {"format": "pt"})
    return path


def test_there_and_back(run, net, tmp_path):
    ours, back = tmp_path / "ours.safetensors", tmp_path / "back.safetensors"
    there = run("import", "weights", net, tmp_path / "theirs.safetensors", "--map", "other", "-o", ours)
    assert there.exit_code == 0
    assert "4 tensors, 51 numbers" in there.stdout
    assert sorted(load_file(ours)) == ["out.bias", "out.weight", "up.bias", "up.weight"]
    found = json.loads(run("export", "weights", net, ours, "-o", back, "--json").stdout)
    assert (found["net"], found["map"], found["tensors"], found["files"]) == ("Net", "other", 4, [str(back)])
    assert back.read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()


def test_the_weights_run(run, net, tmp_path):
    ours = tmp_path / "ours.safetensors"
    run("import", "weights", net, tmp_path / "theirs.safetensors", "-o", ours)
    np.save(tmp_path / "x.npy", np.ones((2, 8)))
    result = run("run", net, "--input", f"x={tmp_path / 'x.npy'}", "--weights", ours, "--output", tmp_path)
    assert result.exit_code == 0
    t = {name: array.astype(np.float64) for name, array in theirs(4).items()}
    hidden = np.maximum(np.ones((2, 8)) @ t["first.weight"].T + t["first.bias"], 0)
    assert np.allclose(np.load(tmp_path / "output.npy"), hidden @ t["head.weight"].T + t["head.bias"])


def test_a_file_on_standard_input(run, net, tmp_path):
    ours = tmp_path / "ours.safetensors"
    result = run("import", "weights", "-", tmp_path / "theirs.safetensors", "-o", ours, input=NET + MAP)
    assert result.exit_code == 0 and ours.exists()


def test_a_map_in_another_file(run, net, tmp_path):
    net.write_text(NET)
    assert "E0816" in run("import", "weights", net, tmp_path / "theirs.safetensors", "-o", "x").stderr
    maps = tmp_path / "maps.dl"
    maps.write_text("from .net import Net\n" + MAP)
    assert run("check", maps).exit_code == 0
    ours = tmp_path / "ours.safetensors"
    result = run(
        "import", "weights", net, tmp_path / "theirs.safetensors", "--map", f"{maps}:other", "-o", ours
    )
    assert result.exit_code == 0
    assert "up.weight" in load_file(ours)


def test_another_head(run, net, tmp_path):
    ours = tmp_path / "ours.safetensors"
    options = ["--ignore", "head.*", "--missing", "out.*", "--seed", 5, "--dtype", "float64", "--json"]
    result = run("import", "weights", net, tmp_path / "theirs.safetensors", "-o", ours, *options)
    found = json.loads(result.stdout)
    assert found["initial"] == ["out.weight", "out.bias"]
    assert found["ignored"] == ["head.bias", "head.weight"]
    assert load_file(ours)["out.weight"].dtype == np.float64
    shown = run("import", "weights", net, tmp_path / "theirs.safetensors", "-o", ours, *options[:4])
    assert "initial values: out.weight, out.bias" in shown.stdout


def test_the_preset_that_fits_is_named(run, net, tmp_path):
    save_file(theirs(6), tmp_path / "wide.safetensors")
    result = run("import", "weights", net, tmp_path / "wide.safetensors", "-o", tmp_path / "x.safetensors")
    assert result.exit_code == 1
    assert "it fits `Net.wide`" in result.stderr
    assert not (tmp_path / "x.safetensors").exists()
    as_json = run("import", "weights", net, tmp_path / "wide.safetensors", "-o", tmp_path / "x", "--json")
    assert json.loads(as_json.stdout)["diagnostics"][0]["code"] == "E0813"


def test_shards(run, net, tmp_path):
    ours = tmp_path / "ours.safetensors"
    run("import", "weights", net, tmp_path / "theirs.safetensors", "-o", ours)
    result = run("export", "weights", net, ours, "-o", tmp_path / "out", "--shard-size", "0.1KB")
    assert "E0122" in result.stderr
    result = run("export", "weights", net, ours, "-o", tmp_path / "out", "--shard-size", "100")
    assert "model.safetensors.index.json" in result.stdout
    again = tmp_path / "again.safetensors"
    assert run("import", "weights", net, tmp_path / "out", "-o", again).exit_code == 0
    assert again.read_bytes() == ours.read_bytes()
    again.unlink()
    parts = sorted((tmp_path / "out").glob("*.safetensors"))
    assert run("import", "weights", net, *parts, "-o", again).exit_code == 0
    assert again.read_bytes() == ours.read_bytes()
    assert "E0810" in run("import", "weights", net, *parts, parts[0], "-o", again).stderr
    assert "E0812" in run("import", "weights", net, *parts[1:], "-o", again).stderr


def test_a_pickle_is_refused(run, net, tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    result = run("import", "weights", net, tmp_path / "pytorch_model.bin", "-o", tmp_path / "x")
    assert result.exit_code == 1
    assert "weights_only=True" in result.stderr


def test_other_files_are_not_replaced(run, net, tmp_path):
    text = net.read_text()
    for output in (net, tmp_path):
        result = run("import", "weights", net, tmp_path / "theirs.safetensors", "-o", output)
        assert "E0803" in result.stderr
    assert net.read_text() == text
    ours = tmp_path / "ours.safetensors"
    for _ in range(2):
        assert run("import", "weights", net, tmp_path / "theirs.safetensors", "-o", ours).exit_code == 0
    assert "E0803" in run("export", "weights", net, ours, "-o", net).stderr
    assert run("export", "weights", net, ours, "-o", tmp_path).exit_code == 0
    assert (tmp_path / "model.safetensors").exists()
