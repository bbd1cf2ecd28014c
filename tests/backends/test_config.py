"""The `Config` of a generated file is free: other values give the network that the spec has for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dlc import api
from dlc.backend import find_backend
from dlc.build import generate
from dlc.parity.loading import load_module

SPECS = Path(__file__).resolve().parents[2] / "specs"
OTHERS = {
    "basics/mlp.dl:MLP": {"hidden": [9, 5, 7], "classes": 3},
    "generative/dcgan.dl:Generator": {"width": 6, "stages": 3},
    "sequence/bilstm_tagger.dl:Tagger.tiny": {"layers": 3, "hidden": 5},
    "language/gpt2.dl:GPT2.tiny": {"dim": 24, "layers": 3},
    "language/transformer.dl:Transformer.tiny": {"dim": 18, "layers": 1},
    "vision/convnext.dl:ConvNeXt": {"depths": [1, 2, 1], "widths": [8, 12, 20]},
    "vision/densenet.dl:DenseNet": {"depths": [1, 3, 2], "growth": 4},
    "vision/resnet.dl:ResNet.tiny": {"width": 6, "depths": [1, 3, 2]},
    "vision/resnet.dl:ResNet.tiny50": {"width": 6, "depths": [2, 1, 3]},
    "vision/unet.dl:UNet.tiny": {"width": 6, "depth": 3},
}


@pytest.mark.parametrize("label", OTHERS)
def test_other_values_give_the_other_network(label: str, tmp_path: Path) -> None:
    path, _, name = label.rpartition(":")
    net = api.load(SPECS / path)[name]
    backend = find_backend("torch")
    assert backend is not None
    ((_, text),) = generate(net.program, backend).files.items()
    file = tmp_path / "generated.py"
    file.write_text(text)
    module = load_module(file)
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in OTHERS[label].items()}
    model = getattr(module, net.program.name)(module.Config(**values))
    assert isinstance(model, torch.nn.Module)
    wanted = net(**OTHERS[label])
    assert sum(p.numel() for p in model.parameters()) == wanted.param_count
