"""Every reference of the catalog agrees with ours.

`pytest -m reference` runs all of them on all targets; `-m "reference and not sweep"`, the form of CI, runs
the definition and the generated PyTorch code.
"""

from __future__ import annotations

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
    if not reference.is_here:
        pytest.skip(f"{reference.library} is not installed, see docs/weights.md")
    found = run_reference(bench, module, reference, targets, folder)
    assert all(each.ok for each in found), "\n".join(map(str, found))


@pytest.mark.parametrize(("module", "reference"), CATALOG, ids=[each.name for _, each in CATALOG])
def test_it_agrees(module: str, reference: Reference, bench: Bench, tmp_path: Path) -> None:
    check(bench, module, reference, ("torch",), tmp_path)


@pytest.mark.sweep
@pytest.mark.parametrize(("module", "reference"), CATALOG, ids=[each.name for _, each in CATALOG])
def test_the_other_targets_agree(module: str, reference: Reference, bench: Bench, tmp_path: Path) -> None:
    check(bench, module, reference, ("jax", "keras"), tmp_path)


@pytest.mark.parametrize("which", ["GPT-2, another epsilon", "GPT-2, exact GELU"])
def test_a_difference_is_found(which: str, bench: Bench, tmp_path: Path) -> None:
    """The comparison is not vacuous: an epsilon of 1.1e-5 instead of 1e-5 on their side is seen."""
    from reference.catalog import gpt2

    reference = next(each for each in gpt2.OTHERS if each.name == which)
    if not reference.is_here:
        pytest.skip("transformers is not installed, see docs/weights.md")
    found = run_reference(bench, gpt2.__name__, reference, (), tmp_path)
    compared = [each for each in found if each.who == "definition"]
    assert compared and not any(each.ok for each in compared)
