"""Options of all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

QUICK = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
"""XLA compiles a small network in a fifth of the time without its optimisers. What is computed stays the same
but for the last bits; sweeps compile as users do."""


def pytest_configure(config: pytest.Config) -> None:
    sweep = "sweep" in config.option.markexpr.replace("not sweep", "")
    if not sweep and not Path("/dev/nvidiactl").exists():
        os.environ.setdefault("XLA_FLAGS", QUICK)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bless", action="store_true", help="rewrite expected files: .stderr of tests/ui, tests/snapshots"
    )
