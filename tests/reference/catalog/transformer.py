"""The layers of torch.nn's Transformer, between a shared embedding and sinusoidal positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reference.harness import Reference

DIM = 12


def build() -> Any:
    import torch
    from torch import nn

    options = {"d_model": DIM, "nhead": 3, "dim_feedforward": 20, "dropout": 0.0, "batch_first": True}

    def positions(count: int) -> Any:
        rates = 10000.0 ** (-torch.arange(0, DIM, 2) / DIM)
        angle = torch.arange(count)[:, None] * rates
        return torch.cat([angle.sin(), angle.cos()], dim=-1)

    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(29, DIM)
            layer = nn.TransformerEncoderLayer(**options)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(**options), 2)

        def forward(self, source: Any, live: Any, target: Any) -> Any:
            x = self.embed(source) * DIM**0.5 + positions(source.shape[1])
            memory = self.encoder(x, src_key_padding_mask=~live)
            y = self.embed(target) * DIM**0.5 + positions(target.shape[1])
            later = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
            y = self.decoder(y, memory, tgt_mask=later, memory_key_padding_mask=~live)
            return y @ self.embed.weight.T

    return Translator()


def call(model: Any, given: dict[str, Any], training: bool) -> Sequence[Any]:
    return [model(given["source"], given["source_mask"], given["target"])]


def sentences(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "source": rng.integers(0, 29, (2, 5)),
        "source_mask": np.arange(5) < np.array([[5], [3]]),
        "target": rng.integers(0, 29, (2, 7)),
    }


REFERENCES = (
    Reference(
        name="nn.Transformer",
        library="torch",
        spec="specs/language/transformer.dl",
        net="Transformer.tiny",
        map="torch",
        build=build,
        call=call,
        inputs=sentences,
        settings=("drop=0.0",),
        modes=("eval", "train"),
        note="encoder and decoder layers",
    ),
)
