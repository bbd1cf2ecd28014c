"""T5 of Hugging Face transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.harness import Reference


def build() -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    size = {"vocab_size": 37, "d_model": 12, "d_kv": 5, "d_ff": 18, "num_layers": 2, "num_heads": 2}
    config = T5Config(**size, dropout_rate=0.0, decoder_start_token_id=0)
    return T5ForConditionalGeneration(config)


def call(model: Any, given: Any, training: bool) -> list[Any]:
    out = model(
        input_ids=given["source"],
        attention_mask=given["source_mask"].long(),
        decoder_input_ids=given["target"],
    )
    return [out.logits]


def inputs(rng: np.random.Generator) -> dict[str, Any]:
    """Longer than the distance from which all positions share a bucket, in both stacks."""
    return {
        "source": rng.integers(0, 37, (2, 150)),
        "source_mask": np.arange(150) < np.array([[150], [141]]),
        "target": rng.integers(0, 37, (2, 140)),
    }


REFERENCES = (
    Reference(
        name="T5",
        library="transformers",
        spec="specs/language/t5.dl",
        net="T5.tiny",
        map="huggingface",
        build=build,
        call=call,
        inputs=inputs,
        settings=("drop=0.0",),
        modes=("eval", "train"),
        widen=True,
    ),
)
