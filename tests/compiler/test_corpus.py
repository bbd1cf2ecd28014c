"""The 25 published models: all are accepted, and their parameter counts are the published ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlc import api
from dlc_grammar.diagnostics import render

CORPUS = Path(__file__).parent.parent / "corpus"
MODELS = sorted(CORPUS.glob("*.dl"))
BAD = sorted((CORPUS / "bad").glob("*.dl"))
EXPECTS = {
    "alexnet",
    "bert",
    "clip",
    "dcgan",
    "efficientnet",
    "gpt2",
    "lenet5",
    "llama",
    "resnet",
    "unet",
    "vgg",
    "vit",
}
"""Models that assert published numbers."""
IN_TRAIN = {"e7_group", "e8_bcast"}
"""Their mistakes are in `train` sections, which are not compiled yet."""


def test_the_corpus_is_complete() -> None:
    assert len(MODELS) == 25
    assert len(BAD) == 10


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_is_accepted(path: Path) -> None:
    report = api.check(path)
    assert report.ok, "\n".join(render(d) for d in report.diagnostics)
    assert report.nets or path.stem == "distill"  # it trains the nets of another file
    if path.stem in EXPECTS:
        assert report.expectations


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_wrong_program_has_one_error(path: Path) -> None:
    found = api.check(path).diagnostics
    assert len(found) == (0 if path.stem in IN_TRAIN else 1)


@pytest.mark.parametrize(
    ("model", "net", "parameters"),
    [
        ("lenet5", "LeNet5", 61_706),
        ("resnet", "ResNet.r50", 25_557_032),
        ("gpt2", "GPT2.small", 124_439_808),
        ("vit", "ViT", 86_567_656),
    ],
)
def test_published_parameter_counts(model: str, net: str, parameters: int) -> None:
    assert api.load(CORPUS / f"{model}.dl")[net].param_count == parameters
