"""Every planted bug is found, in its own target only, and blamed on the right line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mutation.mutants import MUTANTS, Mutant
from mutation.planting import Harvest, harvest
from mutation.proving import TARGETS, Bench, Edit, MutantError, generated, mutate, program_of

PLANTED = [(mutant, target) for mutant in MUTANTS for target in mutant.edits]
BYSTANDERS = (
    "epsilon of batch normalisation",
    "order of the gates of an LSTM",
    "mask off by one",
    "same padding on the low side",
    "detached mean",
)
"""Bugs that run beside the right code of the other targets."""


@pytest.fixture(scope="module")
def kills() -> Iterator[Harvest]:
    with harvest(("float64",)) as found:
        yield found


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as bench:
        yield bench


@pytest.mark.parametrize(
    ("mutant", "target"), PLANTED, ids=[f"{mutant.name}-{target}" for mutant, target in PLANTED]
)
def test_found_and_blamed(kills: Harvest, mutant: Mutant, target: str) -> None:
    kill = kills[mutant.name, target].result()
    assert not kill.errors
    assert kill.failed("float64"), "parity did not see this bug"
    assert kill.quantity == mutant.quantity
    assert kill.line == mutant.line_in(target), kill.report.render()


@pytest.mark.parametrize("name", BYSTANDERS)
def test_only_the_changed_target_fails(bench: Bench, name: str) -> None:
    """All three run, each with its float32 runs; one is changed."""
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    target = TARGETS[BYSTANDERS.index(name) % len(TARGETS)]
    text = mutate(generated(mutant.place, target, mutant.changes), mutant.edits[target])
    report = bench.prove(
        program_of(mutant.place, mutant.changes),
        {target: bench.write(text)},
        dtypes=("float64", "float32"),
        modes=(mutant.mode,),
    )
    assert not report.errors
    assert {failure.case.target for failure in report.failures} == {f"{target}/cpu"}
    needed = {"float64", "float32"} if mutant.single else {"float64"}
    assert {failure.case.dtype for failure in report.failures} >= needed
    assert {case.target for case in report.cases} == {f"{other}/cpu" for other in TARGETS}


def test_names_are_unique() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) == len(set(names))


def test_an_edit_that_fits_nowhere_is_an_error() -> None:
    with pytest.raises(MutantError, match="matches 0 times"):
        mutate("x = 1\n", [Edit("y = ", "z = ")])


def test_an_edit_that_fits_too_often_is_an_error() -> None:
    with pytest.raises(MutantError, match="matches 2 times"):
        mutate("x = 1\nx = 2\n", [Edit("x = ", "z = ")])
