"""Every spec of the repository: it checks, all its networks are generated, and the code is proved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dlc import api
from dlc.backend import find_backend
from dlc.build import generate
from dlc.cli.parity import find_subjects
from dlc.parity.run import Subject, Truths, run_parity
from dlc.parity.targets import Workshop
from dlc_grammar import syntax
from dlc_grammar.diagnostics import render

ROOT = Path(__file__).resolve().parent.parent
SPECS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "specs").rglob("*.dl"))
TARGETS = ("torch", "jax", "keras")
NAMED = {
    "specs/language/bert.dl": {
        *("BertMaskedLM.base", "BertMaskedLM.large", "BertClassifier.base", "BertClassifier.large")
    },
    "specs/language/gpt2.dl": {"GPT2.small", "GPT2.medium", "GPT2.large", "GPT2.xl"},
    "specs/language/llama.dl": {
        *("Llama.llama2_7b", "Llama.llama2_13b", "Llama.llama2_70b", "Llama.llama3_8b", "Llama.mistral_7b")
    },
    "specs/language/mamba.dl": {"Mamba.m130"},
    "specs/language/t5.dl": {"T5.small", "T5.base", "T5.large"},
    "specs/language/mixtral.dl": {"Mixtral"},
    "specs/multimodal/clip.dl": {"CLIP.b32"},
    "specs/multimodal/whisper.dl": {"Whisper.tiny", "Whisper.base"},
    "specs/vision/resnet.dl": {"ResNet.r18", "ResNet.r34", "ResNet.r50", "ResNet.r101", "ResNet.r152"},
}
"""Networks that must be there."""


@dataclass
class Spec:
    """A file, checked once for all tests of it."""

    path: str
    report: api.CheckReport

    @property
    def module(self) -> api.Module:
        assert self.report.module is not None
        return self.report.module


@pytest.fixture(
    scope="module", params=[pytest.param(path, marks=pytest.mark.xdist_group(path)) for path in SPECS]
)
def spec(request: pytest.FixtureRequest) -> Spec:
    """Tests run spec by spec, so that what was elaborated is used again and then given up."""
    return Spec(request.param, api.check(ROOT / request.param))


def test_it_checks(spec: Spec) -> None:
    assert spec.report.ok, "\n".join(map(render, spec.report.diagnostics))
    assert not spec.report.diagnostics
    assert spec.report.expectations == len(spec.module.items(syntax.Expect)) > 0


def test_all_its_networks_are_generated(spec: Spec) -> None:
    nets = spec.module.nets
    assert NAMED.get(spec.path, set()) <= set(nets)
    for label, net in nets.items():
        for target in TARGETS:
            backend = find_backend(target)
            assert backend is not None
            for path, text in generate(net.program, backend).files.items():
                compile(text, f"{label}: {path}", "exec")


# ---------------------------------------------------------------- proofs


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    """The processes of all targets, started once."""
    with Workshop() as shop:
        yield shop


def subjects(spec: Spec) -> list[Subject]:
    found = find_subjects(spec.module, None, ())
    assert found
    return found


def smallest(subject: Subject) -> Subject:
    """One seed, and the least value of every size."""
    settings = subject.settings
    sizes = {name: (min(values),) for name, values in settings.sizes.items()}
    return replace(subject, settings=replace(settings, seeds=(0,), sizes=sizes))


def test_it_is_proved(spec: Spec, workshop: Workshop) -> None:
    """Evaluation and training, float64 and float32, on one seed and the smallest sizes."""
    report = run_parity([smallest(each) for each in subjects(spec)], targets=TARGETS, workshop=workshop)
    assert report.ok, report.render()
    found = {(case.target, case.dtype, case.point.training) for case in report.cases}
    assert len(found) == len(TARGETS) * 2 * 2


@pytest.mark.sweep
def test_all_seeds_and_sizes(spec: Spec, workshop: Workshop) -> None:
    """What `dlc parity` proves of a spec."""
    report = run_parity(subjects(spec), targets=TARGETS, workshop=workshop, truths=Truths())
    assert report.ok, report.render()
    assert {case.point.seed for case in report.cases} == {0, 1, 2}
