"""The proof on a GPU: the same gates, where there is one."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from dlc import api
from dlc.parity.cases import ParitySettings
from dlc.parity.run import run_parity

SPECS = Path(__file__).resolve().parents[2] / "specs"
NETS = (
    ("vision/lenet5.dl", "LeNet5"),
    ("language/gpt2.dl", "GPT2.tiny"),
    ("vision/resnet.dl", "ResNet.tiny"),
)


@functools.cache
def has_gpu() -> bool:
    """Whether a framework that is installed sees a CUDA device."""
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


@pytest.mark.gpu
@pytest.mark.parametrize("target", ["torch", "jax", "keras"])
@pytest.mark.parametrize(("spec", "label"), NETS)
def test_gpu_agrees_with_the_reference(spec: str, label: str, target: str) -> None:
    if not has_gpu():
        pytest.skip("no CUDA device is visible here")
    net = api.load(SPECS / spec)[label]
    backend = "jax" if target == "keras" else None
    settings = ParitySettings(seeds=(0, 1, 2))
    report = run_parity(net.program, settings, targets=[target], devices=["cuda"], keras_backend=backend)
    assert report.ok, report.render()


def test_a_gpu_that_is_asked_for_and_absent_is_an_error() -> None:
    if has_gpu():
        pytest.skip("there is a CUDA device here")
    net = api.load(SPECS / NETS[0][0])[NETS[0][1]]
    report = run_parity(net.program, ParitySettings(seeds=(0,)), targets=["torch"], devices=["cuda"])
    assert report.exit_code == 2
    assert "cuda" in report.render()
