"""`dlc check`."""

from __future__ import annotations

import json

WRONG = "net A()(x: float[B, 8]) -> float[B, 8] { return x -> norm: LayerNrom() }\n"


def test_table(run, mlp):
    result = run("check", mlp)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "  MLP      x: float[B, 8] -> float[B, 3]   71 params",
        "    .wide                                 467",
        "  1 expectation passed",
    ]
    assert result.stderr.startswith("Checked 1 net, 1 preset in ")


def test_assumptions_and_sections(run, tmp_path):
    path = tmp_path / "a.dl"
    path.write_text(
        "net A()(x: float[B, H]) -> float[B, H] { require H % 32 == 0  return x }\nquantize { mode = 1 }\n"
    )
    result = run("check", path)
    assert "assumes H % 32 == 0" in result.stdout
    assert "`quantize` is kept but not compiled yet" in result.stdout


def test_several_files_and_stdin(run, mlp, two):
    result = run("check", mlp, two)
    assert result.stdout.count(".dl\n") == 2
    assert "Checked 2 files, 3 nets, 1 preset" in result.stderr
    assert "First" in run("check", "-", input=two.read_text()).stdout


def test_one_network_with_other_parameters(run, mlp):
    result = run("check", f"{mlp}:MLP.wide", "--set", "layers=1")
    assert "195 params" in result.stdout
    assert "71" not in result.stdout


def test_a_label_checks_that_network_alone(run, tmp_path):
    path = tmp_path / "a.dl"
    path.write_text(
        "net A(n = 2)(x: float[B, n]) -> float[B, n] { return x }\n"
        "net B()(x: float[B, 3]) -> float[B, 4] { return x }\n"
        "preset A.big { n = 3 }\n"
        "expect param_count(A()) == 1\nexpect param_count(A.big()) == 0\nexpect 1 + 1 == 2\n"
    )
    assert run("check", path).exit_code == 1
    assert "found 0 == 1" in run("check", f"{path}:A").stderr
    result = run("check", f"{path}:A.big")
    assert result.exit_code == 0
    assert "2 expectations passed" in result.stdout


def test_wrong_settings_point_into_the_argument(run, mlp):
    result = run("check", mlp, "--set", "width=2.5")
    assert result.exit_code == 1
    assert "--> --set:1:7" in result.stderr
    assert "E0122" in run("check", mlp, "--set", "width").stderr
    assert "did you mean `width`?" in run("check", mlp, "--set", "widht=3").stderr


def test_formats(run, tmp_path):
    path = tmp_path / "wrong.dl"
    path.write_text(WRONG)
    full = run("check", path)
    assert full.exit_code == 1
    assert "did you mean `LayerNorm`?" in full.stderr
    assert "Found 1 error. 1 fixable with --fix." in full.stderr
    concise = run("check", path, "--output-format", "concise")
    assert f"{path}:1:60: error[E0101]" in concise.stderr
    found = json.loads(run("check", path, "--output-format", "json").stdout)
    assert [d["code"] for d in found] == ["E0101"]
    assert run("check", path, "--output-format", "github").stdout.startswith("::error file=")


def test_json(run, mlp):
    result = json.loads(run("check", mlp, "--json").stdout)
    assert result["ok"] is True
    (file,) = result["files"]
    assert [(n["name"], n["preset"], n["parameters"]) for n in file["nets"]] == [
        ("MLP", None, 71),
        ("MLP", "wide", 467),
    ]
    assert file["expectations_passed"] == 1
    assert file["diagnostics"] == []


def test_fix(run, tmp_path):
    path = tmp_path / "wrong.dl"
    path.write_bytes(WRONG.replace("{ ", "{\r\n").encode())
    result = run("check", "--fix", path)
    assert result.exit_code == 0
    assert b"LayerNorm()" in path.read_bytes()
    assert b"{\r\n" in path.read_bytes()
    fixed = run("check", "--fix", "-", input=WRONG)
    assert fixed.stdout == WRONG.replace("Nrom", "Norm")


def test_parity_sections_are_checked(run, tmp_path):
    path = tmp_path / "a.dl"
    path.write_text("net A()(x: float[B, 8]) -> float[B, 8] { return x }\nparity { sizes { Q = [1] } }\n")
    result = run("check", path)
    assert result.exit_code == 1
    assert result.stderr.count("error[E0602]") == 1
    assert "has no size `Q`" in result.stderr


def test_warnings_stop_nothing(run, tmp_path):
    path = tmp_path / "a.dl"
    path.write_text("net A()(x: float[B, 8]) -> float[B, 8] {\n  y = 2.0 * x\n  return x\n}\n")
    result = run("check", path)
    assert result.exit_code == 0
    assert "warning[W002]: `y` is never used" in result.stderr
    assert "Found 1 warning. 1 fixable with --fix." in result.stderr
    report = json.loads(run("check", path, "--json").stdout)
    assert report["ok"] is True
    assert [(d["code"], d["severity"]) for d in report["files"][0]["diagnostics"]] == [("W002", "warning")]
    assert "W002" not in run("view", path).stderr
    assert run("check", "--fix", path).exit_code == 0
    assert path.read_text() == "net A()(x: float[B, 8]) -> float[B, 8] {\n  return x\n}\n"
