"""GPT-2 of Hugging Face transformers."""

from __future__ import annotations

from typing import Any

from reference.harness import Reference


def build() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    size = {"vocab_size": 97, "n_positions": 16, "n_embd": 32, "n_layer": 2, "n_head": 4}
    drop = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
    return GPT2LMHeadModel(GPT2Config(**size, **drop, bos_token_id=0, eos_token_id=0))


REFERENCES = (
    Reference(
        name="GPT-2",
        library="transformers",
        spec="specs/language/gpt2.dl",
        net="GPT2.tiny",
        map="huggingface",
        build=build,
        call=lambda model, given, training: [model(given["tokens"]).logits],
        inputs=lambda rng: {"tokens": rng.integers(0, 97, (2, 13))},
        settings=("drop=0.0",),
        modes=("eval", "train"),
    ),
)
