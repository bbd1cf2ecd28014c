"""Image classifiers of torchvision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from reference.harness import Reference


def images(size: int, batch: int = 3) -> Callable[[np.random.Generator], dict[str, Any]]:
    return lambda rng: {"image": rng.standard_normal((batch, 3, size, size))}


def resnet(unit: str, depths: Sequence[int]) -> Any:
    from torchvision.models import resnet as theirs

    return theirs.ResNet(getattr(theirs, unit), list(depths), num_classes=7)


def vgg(norm: bool) -> Any:
    """With a small classifier: theirs has a hundred million weights, whatever the number of classes."""
    from torch import nn
    from torchvision.models.vgg import VGG, make_layers

    model = VGG(make_layers([5, "M", 8, 8, "M"], batch_norm=norm), num_classes=7, init_weights=False)
    model.avgpool = nn.Identity()
    relu, drop = partial(nn.ReLU, True), partial(nn.Dropout, 0.0)
    model.classifier = nn.Sequential(
        nn.Linear(8 * 2 * 2, 17), relu(), drop(), nn.Linear(17, 17), relu(), drop(), nn.Linear(17, 7)
    )
    return model


def mobilenet() -> Any:
    from torchvision.models import MobileNetV2

    settings = [[1, 16, 1, 1], [6, 24, 2, 2]]
    return MobileNetV2(num_classes=7, width_mult=0.25, inverted_residual_setting=settings, dropout=0.0)


def densenet() -> Any:
    from torchvision.models import DenseNet

    return DenseNet(growth_rate=3, block_config=(2, 1), num_init_features=6, num_classes=7)


def efficientnet() -> Any:
    from torchvision.models import efficientnet_b0

    return efficientnet_b0(num_classes=7)


def convnext() -> Any:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    return ConvNeXt([CNBlockConfig(6, 10, 1), CNBlockConfig(10, None, 2)], num_classes=7)


def vit() -> Any:
    from torchvision.models import VisionTransformer

    return VisionTransformer(12, 4, num_layers=2, num_heads=3, hidden_dim=18, mlp_dim=20, num_classes=7)


def reference(name: str, spec: str, net: str, build: Callable[[], Any], size: int, **more: Any) -> Reference:
    return Reference(
        name=f"torchvision {name}",
        library="torchvision",
        spec=f"specs/vision/{spec}.dl",
        net=net,
        map="torchvision",
        build=build,
        call=lambda model, given, training: [model(given["image"])],
        inputs=images(size),
        **more,
    )


BOTH: Any = ("eval", "train")
SEVEN = ("classes=7",)
STILL = ("drop=0.0",)
R18 = partial(resnet, "BasicBlock", (2, 2, 2, 2))
R26 = partial(resnet, "Bottleneck", (1, 2, 1, 1))
SHORT = (*SEVEN, "depths=[1, 2, 1, 1]")

REFERENCES = (
    reference("ResNet-18", "resnet", "ResNet.r18", R18, 40, settings=SEVEN, modes=BOTH),
    reference("ResNet-50, fewer units", "resnet", "ResNet.r50", R26, 40, settings=SHORT, modes=BOTH),
    reference("VGG", "vgg", "VGG.tiny", partial(vgg, False), 11, settings=STILL, modes=BOTH),
    reference("VGG with norms", "vgg", "VGG.tiny_bn", partial(vgg, True), 11, settings=STILL, modes=BOTH),
    reference("MobileNetV2", "mobilenet_v2", "MobileNetV2.tiny", mobilenet, 40, settings=STILL, modes=BOTH),
    reference("DenseNet", "densenet", "DenseNet.tiny", densenet, 64, modes=BOTH),
    reference("EfficientNet-B0", "efficientnet", "EfficientNet.b0", efficientnet, 40, settings=SEVEN),
    reference("ConvNeXt", "convnext", "ConvNeXt.toy", convnext, 32),
    reference("ViT", "vit", "ViT.tiny", vit, 12, settings=STILL, modes=BOTH),
)
