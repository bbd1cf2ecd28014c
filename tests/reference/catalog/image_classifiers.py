"""Image classifiers of Hugging Face transformers and of keras.applications."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from reference.harness import Reference


def images(size: int, batch: int = 2) -> Callable[[np.random.Generator], dict[str, Any]]:
    return lambda rng: {"image": rng.standard_normal((batch, 3, size, size))}


# ---------------------------------------------------------------- transformers


def huggingface(name: str, **size: Any) -> Any:
    """`name`ForImageClassification with random weights."""
    import transformers

    config = getattr(transformers, f"{name}Config")(**size)
    return getattr(transformers, f"{name}ForImageClassification")(config)


def mobilenet_v2() -> Any:
    """Their momentum, 0.997, is the weight of the old statistics in TensorFlow, of the new ones in torch."""
    from torch import nn

    model = huggingface("MobileNetV2", depth_multiplier=0.35, num_labels=7, classifier_dropout_prob=0.0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.001
    return model


def logits(model: Any, given: dict[str, Any], training: bool) -> list[Any]:
    return [model(given["image"]).logits]


VIT = {"hidden_size": 18, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20}
CONVNEXT = {"num_stages": 2, "depths": [1, 2], "hidden_sizes": [6, 10], "num_labels": 7}
EFFICIENTNET = {"width_coefficient": 0.5, "depth_coefficient": 0.5, "hidden_dim": 640, "num_labels": 7}

TRANSFORMERS = (
    Reference(
        name="ResNet-18 shape",
        library="transformers",
        spec="specs/vision/resnet.dl",
        net="ResNet.tiny",
        map="huggingface",
        build=partial(
            huggingface,
            "ResNet",
            embedding_size=8,
            hidden_sizes=[8, 16, 32, 64],
            depths=[2, 2, 2, 2],
            layer_type="basic",
            num_labels=11,
        ),
        call=logits,
        inputs=images(40, 3),
        modes=("eval", "train"),
    ),
    Reference(
        name="ResNet-50 shape",
        library="transformers",
        spec="specs/vision/resnet.dl",
        net="ResNet.tiny50",
        map="huggingface",
        build=partial(
            huggingface,
            "ResNet",
            embedding_size=4,
            hidden_sizes=[16, 32, 64, 128],
            depths=[1, 2, 1, 1],
            num_labels=11,
        ),
        call=logits,
        inputs=images(40, 3),
        modes=("eval", "train"),
    ),
    Reference(
        name="MobileNetV2",
        library="transformers",
        spec="specs/vision/mobilenet_v2.dl",
        net="MobileNetV2.same",
        map="huggingface",
        build=mobilenet_v2,
        call=logits,
        inputs=images(64, 3),
        settings=("width=0.35", "classes=7", "drop=0.0"),
        modes=("eval", "train"),
        note="momentum set to 0.001: theirs is TensorFlow's 0.997 given to torch, which means its complement",
    ),
    Reference(
        name="EfficientNet",
        library="transformers",
        spec="specs/vision/efficientnet.dl",
        net="EfficientNet.b0",
        map="huggingface",
        build=partial(huggingface, "EfficientNet", **EFFICIENTNET),
        call=logits,
        inputs=images(64, 3),
        settings=("width=0.5", "depth=0.5", "classes=7", "Conv=ConvBNSame"),
    ),
    Reference(
        name="ConvNeXt",
        library="transformers",
        spec="specs/vision/convnext.dl",
        net="ConvNeXt.toy",
        map="huggingface",
        build=partial(huggingface, "ConvNext", **CONVNEXT),
        call=logits,
        inputs=images(32),
        settings=("drop=0.0", "eps=1e-12"),
        modes=("eval", "train"),
    ),
    Reference(
        name="ViT",
        library="transformers",
        spec="specs/vision/vit.dl",
        net="ViT.tiny",
        map="huggingface",
        build=partial(huggingface, "ViT", **VIT, image_size=12, patch_size=4, num_labels=7),
        call=logits,
        inputs=images(12),
        settings=("drop=0.0", "eps=1e-12"),
        modes=("eval", "train"),
    ),
)

# ---------------------------------------------------------------- keras.applications


def application(name: str, size: int = 32, **options: Any) -> Any:
    import keras

    shape = (size, size, 3)
    return getattr(keras.applications, name)(
        weights=None, input_shape=shape, classifier_activation=None, **options
    )


def channels_last(image: Any) -> Any:
    import keras

    return keras.ops.transpose(image, (0, 2, 3, 1))


def classify(model: Any, given: dict[str, Any], training: bool) -> list[Any]:
    return [model(channels_last(given["image"]), training=training)]


def efficientnet() -> Any:
    """Without its first layers, which divide images by 255 and normalise them."""
    import keras

    model = application("EfficientNetB0", classes=7)
    return keras.Model(model.get_layer("stem_conv_pad").input, model.output)


def convnext() -> Any:
    """Their GELU rounds the square root of 2 to float32: here it is exact."""
    import keras

    model = application("ConvNeXtTiny", classes=7, include_preprocessing=False)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Activation) and layer.name.endswith("_gelu"):
            layer.activation = exact_gelu
    return model


def exact_gelu(x: Any) -> Any:
    import keras

    return 0.5 * x * (1.0 + keras.ops.erf(x / keras.ops.sqrt(keras.ops.full_like(x, 2.0))))


KERAS = (
    Reference(
        name="keras VGG16",
        library="keras",
        spec="specs/vision/vgg.dl",
        net="VGG.vgg16",
        map="keras",
        build=partial(application, "VGG16", classes=7),
        call=classify,
        inputs=images(32, 1),
        settings=("size=32", "classes=7"),
    ),
    Reference(
        name="keras ResNet50",
        library="keras",
        spec="specs/vision/resnet.dl",
        net="ResNet.keras50",
        map="keras",
        build=partial(application, "ResNet50", classes=7),
        call=classify,
        inputs=images(32),
        settings=("classes=7",),
    ),
    Reference(
        name="keras DenseNet121",
        library="keras",
        spec="specs/vision/densenet.dl",
        net="DenseNet.d121",
        map="keras",
        build=partial(application, "DenseNet121", classes=7),
        call=classify,
        inputs=images(32),
        settings=("classes=7", "eps=1.001e-5"),
    ),
    Reference(
        name="keras MobileNetV2",
        library="keras",
        spec="specs/vision/mobilenet_v2.dl",
        net="MobileNetV2.same",
        map="keras",
        build=partial(application, "MobileNetV2", alpha=0.35, classes=7),
        call=classify,
        inputs=images(32),
        settings=("width=0.35", "classes=7"),
    ),
    Reference(
        name="keras EfficientNetB0",
        library="keras",
        spec="specs/vision/efficientnet.dl",
        net="EfficientNet.b0",
        map="keras",
        build=efficientnet,
        call=classify,
        inputs=images(32),
        settings=("classes=7", "Conv=ConvBNSame"),
    ),
    Reference(
        name="keras ConvNeXtTiny",
        library="keras",
        spec="specs/vision/convnext.dl",
        net="ConvNeXt.tiny",
        map="keras",
        build=convnext,
        call=classify,
        inputs=images(32, 1),
        settings=("classes=7",),
        note="with an exact GELU: TensorFlow's rounds the square root of 2 to float32",
    ),
)

REFERENCES = (*TRANSFORMERS, *KERAS)
