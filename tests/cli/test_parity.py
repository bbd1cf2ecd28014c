"""`dlc parity`: the section of a file as settings, and the glue around the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dlc import api
from dlc.cli import parity
from dlc.parity.cases import Point
from dlc.parity.compare import Comparison, Tolerance
from dlc.parity.protocol import TargetError
from dlc.parity.report import CaseResult, Failure, Report
from dlc.parity_section import read_section
from dlc.selecting import choose, parity_sections

HEAD = "net A(vocab: int = 9)(x: float[B, 8], n: int[B]) -> float[B, 8] { return x }\n"
POINT = Point("forward", False, 0, {"B": 1})


def settings_of(text):
    module, diagnostics = api.open_text(HEAD + text)
    assert not diagnostics
    (section,) = parity_sections(module)
    return read_section(section, choose(module, None))


def test_everything_at_once():
    found, diagnostics = settings_of(
        "parity {\n"
        "  net = A  targets = [torch, tensorflow]  devices = [cpu, gpu]  seeds = [3]  dtypes = [f32, bf16]\n"
        "  sizes { B = [1, 7] }\n"
        "  inputs { n = randint(0, vocab) }\n"
        "  check forward { f32 = tol(rtol=1e-5, atol=1e-6)  bf16 = tol(rtol=1e-2) }\n"
        "  check steps { count = 5  f32 = tol(rtol=1e-3) }\n"
        "}\n"
    )
    assert [d.severity for d in diagnostics] == ["warning"] * 3
    assert (found.net, found.targets, found.devices) == ("A", ("torch", "keras"), ("cpu", "cuda"))
    assert (found.seeds, found.dtypes, dict(found.sizes)) == ((3,), ("float32",), {"B": (1, 7)})
    assert found.inputs["n"].args["high"].value == 9
    assert found.checks[0].tolerances == {"float32": Tolerance(1e-5, 1e-6)}
    assert found.checks[1].count == 5


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("seed = [0]", "E0602", "`seeds`"),
        ("foo { a = 1 }", "E0602", "sizes"),
        ("sizes { b = [1] }", "E0602", "B"),
        ("sizes { B = [0] }", "E0605", "[1, 7]"),
        ("sizes { B = 10**9 / 2 }", "E0605", "[1, 7]"),
        ("inputs { m = randint(0, 3) }", "E0602", "x, n"),
        ("inputs { n = 3 }", "E0605", "normal"),
        ("targets = [torhc]", "E0602", "`torch`"),
        ("devices = [cup]", "E0602", "`cpu`"),
        ("dtypes = [f31]", "E0602", "`f32`"),
        ("check forwards { f32 = tol(rtol=1) }", "E0602", "`forward`"),
        ("check forward { f32 = 1e-3 }", "E0605", "tol("),
        ("check forward { f32 = tol(rtol=-1) }", "E0605", "tol("),
        ("check forward { f32 = tol(rtl=1) }", "E0602", "`rtol`"),
        ("net = B", "E0101", "A"),
        ("net = 3", "E0605", "Model.tiny"),
        ("seeds = [-1]", "E0605", "[1, 7]"),
    ],
)
def test_wrong_sections(text, code, hint):
    _, diagnostics = settings_of(f"parity {{ {text} }}\n")
    assert [d.code for d in diagnostics] == [code]
    assert hint in diagnostics[0].help
    assert diagnostics[0].span is not None


@pytest.mark.parametrize(
    ("label", "names"),
    [(None, ["A.big", "B"]), ("A", ["A"]), ("A.big", ["A.big"])],
)
def test_networks(label, names):
    text = (
        "net A(n: int = 1)(x: float[B, 8]) -> float[B, 8] { return x }\npreset A.big { n = 2 }\n"
        "net B()(x: float[T, 8]) -> float[T, 8] { return x }\n"
        "parity { net = A.big  sizes { B = [5] } }\nparity { net = B  sizes { T = [6] } }\n"
    )
    module, _ = api.open_text(text)
    subjects = parity.find_subjects(module, label, ())
    assert [
        f"{s.program.name}{'.' * bool(s.program.preset)}{s.program.preset or ''}" for s in subjects
    ] == names
    assert dict(subjects[0].settings.sizes) == {"B": (5,)}


def test_options_reach_the_run(run, mlp, monkeypatch, tmp_path):
    seen = {}

    def fake(subjects, **options):
        seen.update(options, subjects=subjects)
        comparison = Comparison("output", "output", "float64")
        report = Report(targets=["torch/cpu"])
        report.cases.append(CaseResult("torch/cpu", "MLP", POINT, "float64", (comparison,)))
        return report

    monkeypatch.setattr(parity, "run_parity", fake)
    code = tmp_path / "mine.py"
    code.write_text("")
    result = run(
        "parity",
        mlp,
        "-t",
        "pytorch,jax",
        "--device",
        "gpu",
        "--seeds",
        "4,5",
        "--code",
        f"torch={code}",
        "--json",
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["ok"] is True
    assert seen["targets"] == ("torch", "jax")
    assert seen["devices"] == ("cuda",)
    assert seen["code"] == {"torch": Path(code)}
    assert seen["subjects"][0].settings.seeds == (4, 5)


@pytest.mark.parametrize(
    "arguments",
    [["--seeds", "a"], ["--device", "tpu"], ["--code", "torch"], ["--code", "torch=none.py"], ["-t", "x"]],
)
def test_wrong_options(run, mlp, arguments):
    result = run("parity", mlp, *arguments)
    assert result.exit_code == 1
    assert "error[E" in result.stderr


def test_a_proof(run, mlp):
    pytest.importorskip("torch")
    result = run("parity", mlp, "-t", "torch", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["ok"] is True
    assert {row["quantity"] for row in found["rows"]} == {"forward", "gradient"}


def test_a_changed_file_is_found_out(run, mlp, tmp_path):
    pytest.importorskip("torch")
    assert run("build", mlp, "-t", "torch", "-o", tmp_path).exit_code == 0
    changed = tmp_path / "mlp_torch.py"
    text = changed.read_text()
    assert "relu" in text
    changed.write_text(text.replace("F.relu", "F.gelu").replace("nn.ReLU", "nn.GELU"))
    result = run("parity", mlp, "-t", "torch", "--code", f"torch={changed}", "--only", "forward")
    assert result.exit_code == 1
    assert "FAILED" in result.stdout


def test_only():
    good = Comparison("output", "output", "float64")
    bad = Comparison("gradient", "w", "float64", share=2.0)
    case = CaseResult("torch/cpu", "A", POINT, "float64", (good, bad))
    report = Report(cases=[case], failures=[Failure(case)])
    parity.keep_only(report, parity.ONLY["forward"])
    assert report.ok
    assert [c.comparison.name for c in report.comparisons] == ["output"]


def test_devices_that_are_not_here_are_skipped():
    case = CaseResult("torch/cpu", "A", POINT, "float64", (Comparison("output", "output", "float64"),))
    absent = TargetError("torch/cuda", "torch finds no cuda device here")
    report = Report(cases=[case], errors=[absent])
    assert parity.skip_absent(report) == ("torch/cuda: torch finds no cuda device here",)
    assert report.ok
    alone = Report(errors=[absent])
    assert parity.skip_absent(alone) == ()
    assert alone.exit_code == 2
