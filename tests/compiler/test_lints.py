"""The lints: silent about good programs, and their fixes keep the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlc import api
from dlc.fixing import fix_text
from dlc.lints import lint
from dlc.modules import STD, Loader
from dlc_grammar.diagnostics import render

ROOT = Path(__file__).parent.parent.parent
GOOD = sorted([*(ROOT / "specs").rglob("*.dl"), *(ROOT / "tests" / "corpus").glob("*.dl")])


def findings(text: str) -> list[str]:
    """`W002 name` of each finding."""
    return [f"{d.code} {d.span.text if d.span else ''}" for d in api.check_text(text).diagnostics]


def weights(text: str) -> dict[str, tuple[int, ...]]:
    module = api.check_text(text).module
    assert module is not None
    return {path: spec.shape for net in module.nets.values() for path, spec in net.params.items()}


TILE = "fn tile(x: float[B, 4]) -> float[B, 8] { return concat([x, x], axis=1) }\n"


def net(body: str) -> str:
    return f"{TILE if 'tile(' in body else ''}net A()(x: float[B, 8]) -> float[B, 8] {{\n{body}\n}}\n"


@pytest.mark.parametrize("path", GOOD, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_published_models_are_clean(path: Path) -> None:
    """All that needs the text alone; `dlc check` of the same files is in other tests."""
    module, _ = api.open_module(path)
    assert module is not None
    found = lint(module.loaded, module.loader.prelude, [])
    assert not found, "\n".join(map(render, found))


@pytest.mark.parametrize("path", sorted(STD.glob("*.dl")), ids=lambda path: path.stem)
def test_the_library_is_clean(path: Path) -> None:
    loader = Loader()
    module = loader.load(path, label=f"std/{path.name}", user=False)
    assert module is not None
    found = [d for d in lint(module, loader.prelude, []) if d.code != "W004" or path.stem == "core"]
    assert not found, "\n".join(map(render, found))


# ---------------------------------------------------------------- what is reported


def test_a_file_with_errors_has_no_lints() -> None:
    assert findings(net("  y = relu(x)\n  return z")) == ["E0101 z"]


def test_a_warning_is_no_error() -> None:
    text = net("  y = relu(x)\n  return x")
    report = api.check_text(text)
    assert report.ok and [d.severity for d in report.diagnostics] == ["warning"]
    module, _ = api.open_text(text)
    assert module is not None and module["A"].program.name == "A"


def test_what_a_file_imports_is_not_reported(tmp_path: Path) -> None:
    (tmp_path / "parts.dl").write_text("block Half()(x: float[*S]) -> float[*S] { y = x  return 0.5 * x }\n")
    (tmp_path / "facade.dl").write_text("from .parts import Half\n")
    (tmp_path / "net.dl").write_text("from .facade import Half\n" + net("return x -> half: Half()"))
    assert not api.check(tmp_path / "net.dl").diagnostics
    assert not api.check(tmp_path / "facade.dl").diagnostics
    assert [d.code for d in api.check(tmp_path / "parts.dl").diagnostics] == ["W002"]


def test_an_undecided_size_is_told_once_and_at_the_users_line() -> None:
    text = (
        "block Product()(a: float[N], b: float[N]) -> float[N] { return a * b }\n"
        "net A()(x: float[B, H, W, T]) -> float[B, H, W, T] {\n"
        "  a = ones([(H * W + T * B) // 64])\n  b = ones([-((-H * W - T * B + 63) // 64)])\n"
        "  return x * mean(a -> p: Product()(b))\n}\n"
        "expect param_count(A()) == 0\n"
    )
    report = api.check_text(text)
    assert report.ok and report.expectations == 1
    assert [(d.code, d.span.line if d.span else 0) for d in report.diagnostics] == [("W005", 5)]


# ---------------------------------------------------------------- fixes


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  y = relu(x)\n  return x", "  return x"),
        ("  y = x -> relu -> scale(2)\n  return x", None),
        ("  y = [1, 2]  z = sum(y)  return x", "  return x"),
        ("  const t = linspace(0.0, 1.0, 8)\n  return x", "  return x"),
        ("  y = concat(\n    [x, x],\n    axis=1)\n  return x", "  return x"),
        ("  y = 3  # three\n  return x", None),
        ("  if B == 3 { y = 1 }\n  return x", None),
        ("  for i in range(2) { x = -x }\n  return x", "  for _ in range(2) { x = -x }\n  return x"),
        ("  a, b = split(x, 2)\n  return tile(a)", "  a, _ = split(x, 2)\n  return tile(a)"),
        ("  y = x -> fc: Linear(8)\n  return x", None),
        ("  fc = Linear(8)\n  return x", None),
        ("  n = 1\n  for _ in range(2) { n = n + 1 }\n  return x", None),
    ],
)  # fmt: skip
def test_fixes(before: str, after: str | None) -> None:
    """None: nothing is safe, so nothing is changed."""
    assert fix_text(net(before)) == net(before if after is None else after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("rope", None),
        ("MultiHeadAttention, rope", "MultiHeadAttention"),
        ("rope, MultiHeadAttention", "MultiHeadAttention"),
        ("rope, alibi as a, MultiHeadAttention, attention", "MultiHeadAttention"),
    ],
)
def test_imports_are_removed(before: str, after: str | None) -> None:
    used = "attn: MultiHeadAttention(2)" if after else "fc: Linear(8)"
    text = f"net A()(x: float[B, T, 8]) -> float[B, T, 8] {{ return x -> {used} }}\n"
    line = f"from std.attention import {after}\n" if after else ""
    assert fix_text(f"from std.attention import {before}\n{text}") == line + text


def test_labels_keep_every_path() -> None:
    text = (
        "block Tail(Norm: block)(x: float[B, D]) -> float[B, D] { return x -> Norm() -> Linear(D) }\n"
        + net(
            "  x = x -> Linear(8) -> BatchNorm1d() -> Linear(8)\n"
            "  for _ in range(2) { x = x -> Linear(8) -> relu }\n"
            "  return Linear(8)(x) -> Tail(LayerNorm)"
        )
        + "train { model net = A() }\n"
    )
    fixed = fix_text(text)
    assert "-> linear: Linear(8) -> batch_norm1d: BatchNorm1d() -> linear_2: Linear(8)" in fixed
    assert weights(fixed) == weights(text)
    assert findings(fixed) == ["W001 Norm()", "W001 Linear(8)"]
