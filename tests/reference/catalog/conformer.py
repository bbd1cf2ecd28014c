"""The Conformer layers of Hugging Face transformers, between a subsampling and a head in plain torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reference.harness import Reference


def build() -> Any:
    from torch import nn
    from transformers import Wav2Vec2ConformerConfig
    from transformers.models.wav2vec2_conformer import modeling_wav2vec2_conformer as theirs

    config = Wav2Vec2ConformerConfig(
        hidden_size=8,
        num_attention_heads=2,
        intermediate_size=16,
        conv_depthwise_kernel_size=3,
        hidden_act="silu",
        position_embeddings_type="relative",
        attn_implementation="eager",
        **dict.fromkeys(("hidden_dropout", "activation_dropout", "attention_dropout"), 0.0),
        conformer_conv_dropout=0.0,
    )

    class Recogniser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.subsampling = nn.ModuleDict(
                {
                    "conv1": nn.Conv2d(1, 8, 3, stride=2),
                    "conv2": nn.Conv2d(8, 8, 3, stride=2),
                    "out": nn.Linear(16, 8),
                }
            )
            self.positions = theirs.Wav2Vec2ConformerRelPositionalEmbedding(config)
            self.layers = nn.ModuleList(theirs.Wav2Vec2ConformerEncoderLayer(config) for _ in range(2))
            self.head = nn.Linear(8, 6)

        def forward(self, x: Any) -> Any:
            x = self.subsampling["conv1"](x[:, None]).relu()
            x = self.subsampling["conv2"](x).relu()
            x = self.subsampling["out"](x.transpose(1, 2).flatten(2))
            positions = self.positions(x)
            for layer in self.layers:
                x = layer(x, relative_position_embeddings=positions)
            return self.head(x)

    return Recogniser()


def call(model: Any, given: dict[str, Any], training: bool) -> Sequence[Any]:
    return [model(given["x"])]


def frames(rng: np.random.Generator) -> dict[str, Any]:
    """Without padding: theirs leaves what is behind the end in its convolutions."""
    return {"x": rng.normal(size=(2, 23, 11)).astype(np.float32), "length": np.array([23, 23])}


REFERENCES = (
    Reference(
        name="Conformer",
        library="transformers",
        spec="specs/sequence/conformer.dl",
        net="Conformer.tiny",
        map="huggingface",
        build=build,
        call=call,
        inputs=frames,
        settings=("drop=0.0",),
        modes=("eval", "train"),
        widen=True,
        note="layers of Wav2Vec2-Conformer, whose convolutions have no biases",
    ),
)
