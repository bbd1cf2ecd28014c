"""CLIP of Hugging Face transformers."""

from __future__ import annotations

from typing import Any

from reference.harness import Reference


def build() -> Any:
    from transformers import CLIPConfig, CLIPModel

    text = {"vocab_size": 37, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3}
    text |= {"intermediate_size": 48, "max_position_embeddings": 9, "eos_token_id": 2}
    vision = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    vision |= {"image_size": 10, "patch_size": 5}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=7))


def compare(model: Any, given: Any, training: bool) -> list[Any]:
    return [model(input_ids=given["tokens"], pixel_values=given["image"]).logits_per_image]


def loss(model: Any, given: Any, training: bool) -> list[Any]:
    return [model(input_ids=given["tokens"], pixel_values=given["image"], return_loss=True).loss]


def reference(name: str, method: str, texts: int, call: Any) -> Reference:
    return Reference(
        name=name,
        library="transformers",
        spec="specs/multimodal/clip.dl",
        net="CLIP.tiny",
        map="huggingface",
        build=build,
        call=call,
        inputs=lambda rng: {
            "image": rng.standard_normal((3, 3, 10, 10)),
            "tokens": rng.integers(0, 37, (texts, 7)),
        },
        method=method,
        modes=("eval", "train"),
    )


REFERENCES = (
    reference("CLIP", "forward", 2, compare),
    reference("CLIP, contrastive loss", "loss", 3, loss),
)
