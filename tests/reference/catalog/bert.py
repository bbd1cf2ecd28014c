"""BERT of Hugging Face transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.harness import Reference

SIZE = {
    "vocab_size": 37,
    "max_position_embeddings": 11,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 48,
    "pad_token_id": None,
}
DROP = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def masked_lm() -> Any:
    from transformers import BertConfig, BertForMaskedLM

    return BertForMaskedLM(BertConfig(**SIZE, **DROP))


def classifier() -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(BertConfig(**SIZE, **DROP, num_labels=5))


def call(model: Any, given: dict[str, Any], training: bool) -> list[Any]:
    mask = given["mask"].long()
    return [model(given["tokens"], token_type_ids=given["segment"], attention_mask=mask).logits]


def inputs(rng: np.random.Generator) -> dict[str, Any]:
    mask = np.ones((3, 7), bool)
    mask[1, 4:] = mask[2, 1:] = False
    return {"tokens": rng.integers(0, 37, (3, 7)), "segment": rng.integers(0, 2, (3, 7)), "mask": mask}


PADDING = "without `pad_token_id`: theirs gives the embedding of the padding token no gradient"


def reference(name: str, net: str, build: Any) -> Reference:
    return Reference(
        name=name,
        library="transformers",
        spec="specs/language/bert.dl",
        net=net,
        map="huggingface",
        build=build,
        call=call,
        inputs=inputs,
        settings=("drop=0.0",),
        modes=("eval", "train"),
        note=PADDING,
    )


REFERENCES = (
    reference("BERT masked LM", "BertMaskedLM.tiny", masked_lm),
    reference("BERT classifier", "BertClassifier.tiny", classifier),
)
