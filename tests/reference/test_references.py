"""Every reference of the catalog agrees with ours.

`pytest -m reference` runs all of them on all targets; `-m "reference and not sweep"`, the form of CI, runs
the definition and the generated PyTorch code.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from reference.harness import Bench, Reference, catalog, run_reference

pytestmark = pytest.mark.reference
CATALOG = catalog()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made


def check(bench: Bench, module: str, reference: Reference, targets: tuple[str, ...], folder: Path) -> None:
    if importlib.util.find_spec(reference.library) is None:
        pytest.skip(f"{reference.library} is not installed: pip install '.[reference]'")
    found = run_reference(bench, module, reference, targets, folder)
    assert all(each.ok for each in found), "\n".join(map(str, found))


@pytest.mark.parametrize(("module", "reference"), CATALOG, ids=[each.name for _, each in CATALOG])
def test_it_agrees(module: str, reference: Reference, bench: Bench, tmp_path: Path) -> None:
    check(bench, module, reference, ("torch",), tmp_path)


@pytest.mark.sweep
@pytest.mark.parametrize(("module", "reference"), CATALOG, ids=[each.name for _, each in CATALOG])
def test_all_targets_agree(module: str, reference: Reference, bench: Bench, tmp_path: Path) -> None:
    check(bench, module, reference, ("torch", "jax", "keras"), tmp_path)
