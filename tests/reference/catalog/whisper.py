"""Whisper of Hugging Face transformers."""

from __future__ import annotations

from typing import Any

from reference.harness import Reference


def build() -> Any:
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    size = {"vocab_size": 37, "num_mel_bins": 3, "d_model": 12}
    encoder = {"encoder_layers": 2, "encoder_attention_heads": 3, "encoder_ffn_dim": 48}
    decoder = {"decoder_layers": 2, "decoder_attention_heads": 3, "decoder_ffn_dim": 48}
    lengths = {"max_source_positions": 9, "max_target_positions": 11}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    return WhisperForConditionalGeneration(WhisperConfig(**size, **encoder, **decoder, **lengths, **tokens))


def call(model: Any, given: Any, training: bool) -> list[Any]:
    return [model(input_features=given["sound"], decoder_input_ids=given["tokens"]).logits]


REFERENCES = (
    Reference(
        name="Whisper",
        library="transformers",
        spec="specs/multimodal/whisper.dl",
        net="Whisper.mini",
        map="huggingface",
        build=build,
        call=call,
        inputs=lambda rng: {
            "sound": rng.standard_normal((2, 3, 18)),
            "tokens": rng.integers(1, 37, (2, 7)),  # not 0, their padding: its embedding gets no gradient
        },
        modes=("eval", "train"),
        widen=True,
    ),
)
