"""Collects every `tests/ui/**/*.dl` as a test: its diagnostics must be the neighbouring `.stderr`.

`pytest tests/ui --bless` rewrites the `.stderr` files; read the difference before committing it.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

_SUPPORT = Path(__file__).parent.parent / "ui_support.py"


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> pytest.Collector | None:
    if file_path.suffix == ".dl":
        return UiFile.from_parent(parent, path=file_path)
    return None


class UiFile(pytest.File):
    """One wrong program."""

    def collect(self) -> Iterator[pytest.Item]:
        yield UiItem.from_parent(self, name=self.path.stem)


class UiMismatch(Exception):
    """The diagnostics are not the expected ones."""


class UiItem(pytest.Item):
    """The comparison of its diagnostics with the expected ones."""

    def runtest(self) -> None:
        expected_path = self.path.with_suffix(".stderr")
        actual = _diagnose(self.path)
        if self.config.getoption("--bless", default=False):
            expected_path.write_text(actual, encoding="utf-8")
            return
        expected = expected_path.read_text(encoding="utf-8") if expected_path.exists() else ""
        if actual != expected:
            raise UiMismatch(
                "".join(
                    difflib.unified_diff(
                        expected.splitlines(True),
                        actual.splitlines(True),
                        expected_path.name,
                        "actual",
                    )
                )
            )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        if isinstance(excinfo.value, UiMismatch):
            return f"{excinfo.value}\nrun `pytest tests/ui --bless` to accept"
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"ui: {self.path.name}"


def _diagnose(path: Path) -> str:
    """Load `ui_support` by its path: the tests are no package and need not be importable."""
    spec = importlib.util.spec_from_file_location("ui_support", _SUPPORT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.diagnose(path))
