"""The `Config` of a generated file is free: other values give the network that the spec has for them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from dlc import api, ir
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
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (3, 40, 3, 1)]
SCALED = {
    "vision/mobilenet_v2.dl:MobileNetV2.tiny": {"width": 1.2, "classes": 3, "stages": STAGES},
    "vision/efficientnet.dl:EfficientNet.tiny": {
        "width": 0.6,
        "depth": 1.4,
        "depth_drop": 0.5,
        "classes": 3,
        "stages": [(*stage, 3) for stage in STAGES],
    },
}
"""Networks whose sizes functions of the spec compute."""


@pytest.mark.parametrize("label", OTHERS)
def test_other_values_give_the_other_network(label: str, tmp_path: Path) -> None:
    net = network(label)
    module = generated(net.program, "torch", tmp_path / "generated.py")
    model = getattr(module, net.program.name)(module.Config(**frozen(OTHERS[label])))
    assert isinstance(model, torch.nn.Module)
    wanted = net(**OTHERS[label])
    assert sum(p.numel() for p in model.parameters()) == wanted.param_count


@pytest.mark.parametrize("target", ["torch", "jax", "keras"])
@pytest.mark.parametrize("label", SCALED)
def test_functions_of_the_spec_compute_other_sizes(label: str, target: str, tmp_path: Path) -> None:
    """The file, given other values, trains as the one that the spec has for them: the same weights are drawn,
    and the same examples dropped at the same rates."""
    net = network(label)
    wanted = net(**SCALED[label])
    name = net.program.name
    module = generated(net.program, target, tmp_path / "given.py")
    given = trained(target, name, module, module.Config(**frozen(SCALED[label])))
    module = generated(wanted.program, target, tmp_path / "wanted.py")
    own = trained(target, name, module, module.Config())
    assert given[0] == own[0] == wanted.param_count
    assert np.array_equal(given[1], own[1])


def network(label: str) -> api.Net:
    path, _, name = label.rpartition(":")
    return api.load(SPECS / path)[name]


def generated(program: ir.Program, target: str, file: Path) -> ModuleType:
    """The file of a program for a target, as a module."""
    backend = find_backend(target)
    assert backend is not None
    ((_, text),) = generate(program, backend).files.items()
    file.write_text(text)
    return load_module(file)


def frozen(values: Any) -> Any:
    """Values as a `Config` has them."""
    if isinstance(values, dict):
        return {key: frozen(value) for key, value in values.items()}
    return tuple(map(frozen, values)) if isinstance(values, list) else values


def trained(target: str, name: str, module: ModuleType, config: Any) -> tuple[int, Any]:
    """The number of parameters of a new network, and what it makes of images in training mode."""
    images = np.random.default_rng(0).normal(size=(6, 3, 15, 18)).astype(np.float32)
    if target == "torch":
        torch.manual_seed(0)
        model = getattr(module, name)(config)
        with torch.no_grad():
            made = model(torch.from_numpy(images))
        return sum(p.numel() for p in model.parameters()), made.numpy()
    if target == "jax":
        jax = pytest.importorskip("jax")
        params, state = module.init(jax.random.key(0), config)
        images = images.astype(jax.tree.leaves(params)[0].dtype)  # float64 where another test wants it
        made, _ = module.apply(params, state, images, config=config, training=True, key=jax.random.key(1))
        return sum(leaf.size for leaf in jax.tree.leaves(params)), np.asarray(made)
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    model = getattr(module, name)(config)
    made = np.asarray(model(images, training=True))
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights), made
