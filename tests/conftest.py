"""Options of all tests."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from dlc.python_source import ONE_AT_A_TIME

HERE = Path(__file__).parent
QUICK = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
"""XLA compiles a small network in a fifth of the time without its optimisers. What is computed stays the same
but for the last bits; sweeps compile as users do."""


def pytest_configure(config: pytest.Config) -> None:
    sweep = "sweep" in config.option.markexpr.replace("not sweep", "")
    if not sweep and not Path("/dev/nvidiactl").exists():
        os.environ.setdefault("XLA_FLAGS", QUICK)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`pytest -n 2 --dist loadgroup`: the tests of a file stay together, as they share processes."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(HERE))))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """pytest parses the text of a test that failed, while tests/mutation parses in the background."""
    with ONE_AT_A_TIME:
        return (yield)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bless", action="store_true", help="rewrite expected files: .stderr of tests/ui, tests/snapshots"
    )
