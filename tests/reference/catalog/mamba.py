"""Mamba of Hugging Face transformers."""

from __future__ import annotations

from typing import Any

from reference.harness import Reference


def build() -> Any:
    from transformers import MambaConfig, MambaForCausalLM

    size = {"vocab_size": 37, "hidden_size": 20, "state_size": 3, "num_hidden_layers": 2}
    return MambaForCausalLM(MambaConfig(**size, conv_kernel=4, expand=2))


REFERENCES = (
    Reference(
        name="Mamba",
        library="transformers",
        spec="specs/language/mamba.dl",
        net="Mamba.tiny",
        map="huggingface",
        build=build,
        call=lambda model, given, training: [model(given["tokens"]).logits],
        inputs=lambda rng: {"tokens": rng.integers(0, 37, (2, 6))},
        modes=("eval", "train"),
        widen=True,
    ),
)
