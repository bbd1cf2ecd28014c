"""Trees that are kept between runs are the trees that parsing gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlc_grammar import cache as store
from dlc_grammar import library, syntax
from dlc_grammar.library import parse_library
from dlc_grammar.source import Source

STD = Path(__file__).parent.parent.parent / "compiler" / "dlc" / "std"


def spans(module: syntax.Module) -> list[tuple[int, int]]:
    found = [node.span for node in syntax.walk(module.items)] + [c.span for c in module.comments]
    return [(span.start, span.stop) for span in found]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kept(cache: Path) -> list[Path]:
    return [path for path in cache.glob("tree-*") if path.suffix == ".json"]


@pytest.mark.parametrize("name", ["core", "attention"])
def test_the_library_survives(
    name: str, structure: Callable[[Any], Any], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(f"std/{name}.dl", (STD / f"{name}.dl").read_text(encoding="utf-8"))
    first, _ = parse_library(source)
    assert len(kept(cache)) == 1
    monkeypatch.setattr(library, "parse", None)
    second, diagnostics = parse_library(source)
    assert first is not None and second is not None and not diagnostics
    assert structure(second) == structure(first)
    assert spans(second) == spans(first)
    assert second.doc == first.doc and second.source is source


def test_all_programs_survive(program: Source, structure: Callable[[Any], Any]) -> None:
    first, _ = parse_library(program)
    assert structure(parse_library(program)[0]) == structure(first)


def test_damage_is_no_error(structure: Callable[[Any], Any], cache: Path) -> None:
    source = Source("a.dl", "fn double(x: float[*S]) -> float[*S] { return 2.0 * x }\n")
    first, _ = parse_library(source)
    (path,) = kept(cache)
    good = path.read_bytes()
    for damage in (b"", b"{", b"zz\n[]", good[:-9], good.replace(b"double", b"triple")):
        path.write_bytes(damage)
        assert structure(parse_library(source)[0]) == structure(first)
        assert path.read_bytes() == good
    key = library._version()
    store.keep("tree", f"{key}\n{source.text}", [[None, [10_000, 0, 1]], [], ""])
    assert structure(parse_library(source)[0]) == structure(first)


def test_a_text_with_errors_is_not_kept(cache: Path) -> None:
    _, diagnostics = parse_library(Source("a.dl", "fn f(x) { return x"))
    assert diagnostics and kept(cache) == []


def test_old_trees_are_dropped(cache: Path) -> None:
    for number in range(store.MOST_KEPT + 3):
        parse_library(Source("a.dl", f"const a = {number}\n"))
    assert len(kept(cache)) == store.MOST_KEPT


def test_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("DLC_CACHE_DIR", str(file))
    assert parse_library(Source("a.dl", "const a = 1\n"))[0] is not None
