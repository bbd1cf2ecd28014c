"""Right code passes: no seed raises an alarm where nothing is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dlc.api import load
from dlc.cli.parity import find_subjects
from dlc.parity.report import Report
from dlc.parity.run import Subject, run_parity
from dlc.parity.targets import Workshop
from mutation.proving import OWN, ROOT, TARGETS, Bench, Place, program_of

SEEDS = tuple(range(20))
NETWORKS = [Place(f"{path.stem}:{label}") for path in sorted(OWN.glob("*.dl")) for label in load(path).nets]
QUICK = (
    "attention:Cross",
    "convolution:Strided",
    "normalisation:Batch",
    "normalisation:Groups",
    "loss:Classes",
)
SPECS = sorted((ROOT / "specs").glob("*/*.dl"))
LARGE = ("resnet", "unet", "gpt2", "transformer")
"""Specs whose float32 noise takes long to predict: they run with fewer sizes."""


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as bench:
        yield bench


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    with Workshop() as workshop:
        yield workshop


@pytest.mark.parametrize("name", QUICK)
def test_two_seeds(bench: Bench, name: str) -> None:
    """In both dtypes and both modes."""
    report = bench.prove(program_of(Place(name)), dtypes=("float64", "float32"), seeds=(0, 1))
    assert report.ok, report.render()


@pytest.mark.sweep
@pytest.mark.parametrize("place", NETWORKS, ids=lambda place: place.text)
def test_twenty_seeds_of_small_networks(bench: Bench, place: Place) -> None:
    report = bench.prove(program_of(place), dtypes=("float64", "float32"), seeds=SEEDS)
    assert report.ok, report.render()


def prove_spec(workshop: Workshop, path: Path, seeds: tuple[int, ...]) -> Report:
    """A spec with its own section, over other seeds; one choice of sizes where it is large."""
    subjects = []
    for subject in find_subjects(load(path), None, (), False):
        sizes = {name: values[-1:] for name, values in subject.settings.sizes.items()}
        chosen = sizes if path.stem in LARGE else subject.settings.sizes
        subjects.append(Subject(subject.program, replace(subject.settings, seeds=seeds, sizes=chosen)))
    return run_parity(subjects, targets=TARGETS, workshop=workshop)


@pytest.mark.sweep
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_twenty_seeds_of_the_specs(workshop: Workshop, path: Path) -> None:
    report = prove_spec(workshop, path, SEEDS)
    assert report.ok, report.render()
