"""Mixtral of Hugging Face transformers."""

from __future__ import annotations

from typing import Any

from reference.harness import Reference


def build() -> Any:
    from transformers import MixtralConfig, MixtralForCausalLM

    size = {"vocab_size": 37, "hidden_size": 18, "num_hidden_layers": 2, "intermediate_size": 7}
    heads = {"num_attention_heads": 3, "num_key_value_heads": 1}
    experts = {"num_local_experts": 5, "num_experts_per_tok": 2, "output_router_logits": True}
    turning = {"rope_type": "default", "rope_theta": 1e6}
    config = MixtralConfig(**size, **heads, **experts, rms_norm_eps=1e-5, rope_parameters=turning)
    model = MixtralForCausalLM(config)
    model.set_experts_implementation("eager")  # the grouped matrix product knows no float64
    return model


def call(model: Any, given: Any, training: bool) -> list[Any]:
    out = model(given["tokens"])
    return [out.logits, out.aux_loss]


REFERENCES = (
    Reference(
        name="Mixtral",
        library="transformers",
        spec="specs/language/mixtral.dl",
        net="Mixtral.tiny",
        map="huggingface",
        build=build,
        call=call,
        inputs=lambda rng: {"tokens": rng.integers(0, 37, (2, 13))},
        modes=("eval", "train"),
        widen=True,
        note="outputs: the logits, and the loss that balances the experts",
    ),
)
