"""`dlc view`, and the counting of operations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dlc.dims import variable
from dlc.flops import Counter, einsum_count
from dlc.selecting import select
from dlc.view import count_text, short

CORPUS = Path(__file__).parent.parent / "corpus"


def test_tree(run, mlp):
    result = run("view", mlp)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "layer           output       params  FLOPs",
        "MLP             float[B, 3]      71  120 B",
        "├─ h.0: Linear  float[B, 4]      36   64 B",
        "├─ h.1: Linear  float[B, 4]      20   32 B",
        "└─ out: Linear  float[B, 3]      15   24 B",
        "",
        "MLP(x: float[B, 8])  71 parameters, 120 B FLOPs (a multiply-add is 2)",
    ]


def test_repeats_collapse(run, mlp):
    lines = run("view", mlp, "--set", "width=8", "--set", "layers=5").stdout.splitlines()
    assert lines[2].startswith("├─ h.0-4: Linear x5")
    assert len(lines) == 6


def test_sizes(run, mlp, two):
    result = json.loads(run("view", mlp, "--size", "B=2", "--json").stdout)
    assert result["tree"]["flops"] == 240
    assert result["tree"]["outputs"] == ["float[2, 3]"]
    assert [child["name"] for child in result["tree"]["children"]] == ["h.0", "h.1", "out"]
    assert "E0121" in run("view", mlp, "--size", "C=2").stderr
    assert "E0121" in run("view", mlp, "--size", "B=0").stderr
    wrong = run("view", f"{two}:Second", "--size", "H=6")
    assert "assumes H % 4 == 0" in wrong.stderr


def test_depth_hides_levels(run):
    lines = run("view", CORPUS / "resnet.dl", "--depth", "0").stdout.splitlines()
    assert len(lines) == 4


def test_which_network(run, two):
    result = run("view", two)
    assert result.exit_code == 1
    assert "First, Second" in result.stderr
    assert run("view", f"{two}:Second").exit_code == 0
    assert "did you mean `Second`?" in run("view", f"{two}:Secnd").stderr


@pytest.mark.parametrize(
    ("file", "sizes", "flops"),
    [
        # 4,089,184,256 multiply-adds, as fvcore counts for torchvision's resnet50
        ("resnet.dl:ResNet.r50", {"B": 1, "H": 224, "W": 224}, 2 * 4_089_184_256),
        ("lenet5.dl", {"B": 1}, 833_040),
    ],
)
def test_known_counts(run, file, sizes, flops):
    options = [f"--size={name}={size}" for name, size in sizes.items()]
    result = json.loads(run("view", CORPUS / file, *options, "--json").stdout)
    assert result["tree"]["flops"] == flops


def test_scans_count_every_step(mlp, tmp_path):
    path = tmp_path / "scan.dl"
    path.write_text(
        "net A()(x: float[B, T, 8]) -> float[B, T, 4] {\n"
        "  param w: float[8, 4] ~ normal()\n"
        "  scan s in x along 1 { emit y = s @ w }\n"
        "  return y\n}\n"
    )
    program = select(str(path)).program
    count = Counter(program).definition(program.methods[0].eval)
    assert count == 2 * 8 * 4 * variable("B") * variable("T")


def test_einsum():
    assert einsum_count("b t k, b s k -> b t s", [(2, 3, 5), (2, 4, 5)]) == 2 * 2 * 3 * 4 * 5
    assert einsum_count("a, b -> a b", [(3,), (4,)]) == 12


def test_numbers_for_people():
    assert [short(n) for n in (0, 999, 1_000, 12_345, 1_820_000_000)] == [
        "0",
        "999",
        "1.00k",
        "12.3k",
        "1.82G",
    ]
    size = variable("T")
    assert count_text(3000 * size * size) == "3.00k T^2"
    assert count_text((size + 1) // 2 * 4) == "by T"
