"""GPT-2 of Hugging Face transformers."""

from __future__ import annotations

from typing import Any

from reference.harness import Reference


def build(**changes: Any) -> Any:
    """`changes`: other settings of theirs, to see that a difference is found."""
    from transformers import GPT2Config, GPT2LMHeadModel

    size = {"vocab_size": 97, "n_positions": 16, "n_embd": 32, "n_layer": 2, "n_head": 4}
    drop = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
    return GPT2LMHeadModel(GPT2Config(**size, **drop, bos_token_id=0, eos_token_id=0, **changes))


def reference(name: str, modes: tuple[Any, ...] = ("eval",), **changes: Any) -> Reference:
    return Reference(
        name=name,
        library="transformers",
        spec="specs/language/gpt2.dl",
        net="GPT2.tiny",
        map="huggingface",
        build=lambda: build(**changes),
        call=lambda model, given, training: [model(given["tokens"]).logits],
        inputs=lambda rng: {"tokens": rng.integers(0, 97, (2, 13))},
        settings=("drop=0.0",),
        modes=modes,
    )


REFERENCES = (reference("GPT-2", ("eval", "train")),)
OTHERS = (
    reference("GPT-2, another epsilon", layer_norm_epsilon=1.1e-5),
    reference("GPT-2, exact GELU", activation_function="gelu"),
)
"""Models that are not ours: the comparison must say so."""
