"""LLaMA and Mistral of Hugging Face transformers."""

from __future__ import annotations

from typing import Any

from reference.harness import Reference


def build_llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    size = {"vocab_size": 37, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 20}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    turning = {"rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0}
    turning |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    config = LlamaConfig(**size, **heads, rms_norm_eps=1e-5, rope_parameters=turning)
    return LlamaForCausalLM(config)


def build_mistral() -> Any:
    from transformers import MistralConfig, MistralForCausalLM

    size = {"vocab_size": 37, "hidden_size": 18, "num_hidden_layers": 2, "intermediate_size": 20}
    heads = {"num_attention_heads": 3, "num_key_value_heads": 1, "sliding_window": 3}
    turning = {"rope_type": "default", "rope_theta": 10_000.0}
    config = MistralConfig(
        **size, **heads, rms_norm_eps=1e-5, rope_parameters=turning, tie_word_embeddings=True
    )
    return MistralForCausalLM(config)


def call(model: Any, given: Any, training: bool) -> list[Any]:
    return [model(given["tokens"]).logits]


def reference(name: str, net: str, build: Any) -> Reference:
    return Reference(
        name=name,
        library="transformers",
        spec="specs/language/llama.dl",
        net=net,
        map="huggingface",
        build=build,
        call=call,
        inputs=lambda rng: {"tokens": rng.integers(0, 37, (2, 13))},
        modes=("eval", "train"),
        widen=True,
    )


REFERENCES = (
    reference("LLaMA 3.1", "Llama.tiny", build_llama),
    reference("Mistral", "Llama.tiny_mistral", build_mistral),
)
