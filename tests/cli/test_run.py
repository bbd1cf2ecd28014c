"""`dlc run` in the reference, and what it says about wrong inputs."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from dlc.forward import could_not_run
from dlc.parity.protocol import TargetError


@pytest.fixture
def x(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).standard_normal((2, 8)))
    return path


def test_reference(run, mlp, x, tmp_path):
    result = run("run", mlp, "--input", f"x={x}", "--output", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    (output,) = json.loads(result.stdout)["outputs"]
    assert output["shape"] == [2, 3]
    stored = np.load(output["path"])
    assert stored.shape == (2, 3)
    assert output["first"] == stored.reshape(-1)[:4].tolist()
    assert "float64[2, 3]" in run("run", mlp, "--input", f"x={x}").stdout


def test_weights(run, mlp, x, tmp_path):
    assert run("build", mlp, "-t", "torch", "-o", tmp_path, "--weights", "w", "--seed", 5).exit_code == 0
    stored = run("run", mlp, "--input", f"x={x}", "--weights", tmp_path / "w.safetensors")
    assert stored.stdout == run("run", mlp, "--input", f"x={x}", "--seed", 5).stdout
    save_file({"h.0.weight": np.zeros((3, 3)), "other": np.zeros(1)}, tmp_path / "wrong.safetensors")
    wrong = run("run", mlp, "--input", f"x={x}", "--weights", tmp_path / "wrong.safetensors")
    assert wrong.exit_code == 1
    assert "`h.0.weight` is [3, 3], not [4, 8]" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "input `x` is missing"),
        (["--input", "x"], "`x` is not an input"),
        (["--input", "y={x}"], "no input `y`"),
        (["--input", "x=nothing.npy"], "there is no file"),
        (["--input", "x={here}/junk.npy"], "is not an array"),
        (["--input", "x={here}/pickle.npy"], "is not an array"),
        (["--input", "x={here}/words.npy"], "not float"),
        (["--input", "x={here}/thin.npy"], "the shapes do not fit"),
        (["--input", "x={x}", "--input", "x={x}"], "given twice"),
        (["--input", "x={x}", "--weights", "{here}/junk.npy"], "cannot be read"),
        (["--input", "x={x}", "-t", "jaxx"], "did you mean `jax`?"),
        (["--input", "x={x}", "--method", "decode"], "no method `decode`"),
    ],
)
def test_wrong_inputs(run, mlp, x, tmp_path, arguments, message):
    (tmp_path / "junk.npy").write_bytes(b"junk" * 20)
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    np.save(tmp_path / "thin.npy", np.zeros((2, 7)))
    filled = [a.format(x=x, here=tmp_path) for a in arguments]
    result = run("run", mlp, *filled)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_words_of_a_framework_become_notes():
    error = could_not_run(TargetError("keras/cpu", "ValueError: no.\n\n\x1b[1mInput 0\x1b[0m is\n  wrong"))
    (diagnostic,) = error.diagnostics
    assert diagnostic.message == "the target could not run it: keras/cpu: ValueError: no."
    assert [note.message for note in diagnostic.notes] == ["Input 0 is", "wrong"]


def test_a_target_gives_what_the_reference_gives(run, mlp, x, tmp_path):
    pytest.importorskip("torch")
    found = {}
    for target in ("reference", "torch"):
        out = tmp_path / target
        done = run("run", mlp, "-t", target, "--input", f"x={x}", "--output", out, "--dtype", "float64")
        assert done.exit_code == 0, done.output
        found[target] = np.load(out / "output.npy")
    np.testing.assert_allclose(found["torch"], found["reference"], rtol=1e-12)


def test_conditions_on_sizes(run, two, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 6)))
    result = run("run", f"{two}:Second", "--input", f"x={tmp_path}/x.npy")
    assert result.exit_code == 1
    assert "E0802" in result.stderr


def test_weights_of_16_bits(run, mlp, x, tmp_path):
    run("build", mlp, "-t", "torch", "-o", tmp_path, "--weights", "w")
    arrays = load_file(tmp_path / "w.safetensors")
    for dtype in (np.float16, ml_dtypes.bfloat16):
        save_file(
            {name: array.astype(dtype) for name, array in arrays.items()}, tmp_path / "half.safetensors"
        )
        assert run("run", mlp, "--input", f"x={x}", "--weights", tmp_path / "half.safetensors").exit_code == 0


def test_weights_that_no_memory_holds(run, tmp_path, x):
    path = tmp_path / "huge.dl"
    path.write_text("net A()(x: float[B, 8]) { return x -> fc: Linear(10**30) }\n")
    result = run("run", path, "--input", f"x={x}")
    assert result.exit_code == 1
    assert "E0804" in result.stderr
