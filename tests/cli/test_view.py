"""`dlc view`, and the counting of operations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dlc.dims import variable
from dlc.flops import Counter, einsum_count
from dlc.selecting import select
from dlc.size_text import SizeText, short, text_of

CORPUS = Path(__file__).parent.parent / "corpus"
SPECS = Path(__file__).parents[2] / "specs"


def test_tree(run, mlp):
    result = run("view", mlp)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "layer                  output  params  FLOPs (B=1)",
        "MLP                    [B, 3]      71          120",
        "├─ h.0: Linear → relu  [B, 4]      36           64",
        "├─ h.1: Linear → relu  [B, 4]      20           32",
        "└─ out: Linear         [B, 3]      15           24",
        "",
        "MLP(x: [B, 8])",
        "71 parameters, 120 FLOPs for B=1 (a multiply-add is 2)",
    ]


def test_repeats_collapse(run, mlp):
    lines = run("view", mlp, "--set", "width=8", "--set", "layers=5").stdout.splitlines()
    assert lines[2].startswith("├─ h.0-4: Linear → relu ×5")
    assert len(lines) == 7


def test_skips_say_where_they_come_from(run):
    lines = run("view", SPECS / "vision/unet.dl").stdout.splitlines()
    assert any(line.startswith("├─ concat ← enc.3, up.0 ") for line in lines)
    assert all(len(line) <= 80 for line in lines)
    lines = run("view", f"{CORPUS / 'resnet.dl'}:ResNet.r50").stdout.splitlines()
    assert any(line.startswith("│  ├─ down: ConvBN ← x ") for line in lines)
    assert any(line.startswith("│  └─ + → relu ← c, down ") for line in lines)


def test_a_block_is_opened_once(run):
    arguments = ("view", f"{CORPUS / 'resnet.dl'}:ResNet.r50")
    lines = run(*arguments).stdout.splitlines()
    assert sum("a: ConvBN" in line for line in lines) == 2  # with and without `down`
    assert sum("a: ConvBN" in line for line in run(*arguments, "--depth", "9").stdout.splitlines()) == 8


def test_weights_that_are_used_again(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    lines = run("view", CORPUS / "transformer.dl").stdout.splitlines()
    (again,) = [line for line in lines if " shared " in line]
    assert again.startswith("├─ embed: Embedding → × sqrt(dim) ← target ")


def test_tables_fit_the_terminal(run, monkeypatch):
    for columns in (80, 100):
        monkeypatch.setenv("COLUMNS", str(columns))
        table = run("view", CORPUS / "t5.dl").stdout.partition("\n\n")[0].splitlines()
        assert max(map(len, table)) <= columns


def test_sizes(run, mlp, two):
    result = json.loads(run("view", mlp, "--size", "B=2", "--json").stdout)
    assert result["tree"]["flops"] == 240
    assert result["tree"]["outputs"] == ["[2, 3]"]
    assert [child["name"] for child in result["tree"]["children"]] == ["h.0", "h.1", "out"]
    assert "E0121" in run("view", mlp, "--size", "C=2").stderr
    assert "E0121" in run("view", mlp, "--size", "B=0").stderr
    wrong = run("view", f"{two}:Second", "--size", "H=6")
    assert "assumes H % 4 == 0" in wrong.stderr


def test_depth_hides_levels(run):
    lines = run("view", CORPUS / "resnet.dl", "--depth", "0").stdout.splitlines()
    assert len(lines) == 5


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


def test_sizes_for_people():
    size = variable("H")
    shown = [text_of(s) for s in (size // 2, (size + 1) // 2, 2 * ((size + 7) // 8), size * size + 1)]
    assert shown == ["⌊H/2⌋", "⌈H/2⌉", "2⌈H/8⌉", "H² + 1"]
    text = SizeText(select(f"{SPECS / 'vision/unet.dl'}").program)  # needs H and W to be multiples of 16
    assert [text.size(size // 2), text.size(3 * (size // 16)), text.size(2 * size)] == ["H/2", "3H/16", "2H"]


def test_counts_for_people(mlp):
    text = SizeText(select(str(mlp)).program)
    size = variable("T")
    assert text.count(3000 * size * size) == "3.00k T²"
    assert text.count((size + 1) // 2 * 4) == "≈2 T"
    assert text.count(0) == "-"
    assert text.count(7 * size - size * size) == "by T"
