"""Layers of torch.nn and keras.layers: recurrent, attention, the CTC loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from reference.harness import Reference

SPEC = "tests/reference/layers.dl"
LENGTHS = [7, 1, 4]
TWO_BIASES = "theirs add two biases where ours have one"


def sequences(rng: np.random.Generator) -> dict[str, Any]:
    return {"x": rng.normal(size=(3, 7, 4)).astype(np.float32), "length": np.array(LENGTHS)}


def recurrent(kind: str) -> Any:
    from torch import nn

    return getattr(nn, kind)(4, 5, num_layers=2, bidirectional=True, batch_first=True)


def packed(model: Any, given: dict[str, Any], training: bool) -> Sequence[Any]:
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    packs = pack_padded_sequence(given["x"], given["length"], batch_first=True, enforce_sorted=False)
    out, last = model(packs)
    return [pad_packed_sequence(out, batch_first=True)[0], last[0] if isinstance(last, tuple) else last]


def stacked(name: str, kind: str, net: str, note: str = "") -> Reference:
    return Reference(
        name=f"{name}, bidirectional, stacked, variable lengths",
        library="torch",
        spec=SPEC,
        net=net,
        map="torch",
        build=partial(recurrent, kind),
        call=packed,
        inputs=sequences,
        modes=("eval", "train"),
        note=note,
    )


def states(rng: np.random.Generator) -> dict[str, Any]:
    sizes = {"x": (3, 6, 4), "h": (3, 5), "c": (3, 5)}
    return {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}


def torch_lstm() -> Any:
    from torch import nn

    return nn.LSTM(4, 5, batch_first=True)


def resume_torch(model: Any, given: dict[str, Any], training: bool) -> Sequence[Any]:
    out, (h, c) = model(given["x"], (given["h"][None], given["c"][None]))
    return [out, h[0], c[0]]


def keras_layer(make: Callable[[Any], Any]) -> Any:
    import keras

    inputs = keras.Input((None, 4))
    layer = make(keras.layers)
    model = keras.Model(inputs, layer(inputs))
    model.rnn = layer
    return model


def keras_lstm(layers: Any) -> Any:
    return layers.LSTM(5, return_sequences=True, return_state=True, name="rnn")


def keras_gru(layers: Any) -> Any:
    options = {"return_sequences": True, "return_state": True, "zero_output_for_mask": True}
    return layers.GRU(5, name="rnn", **options)


def resume_keras(model: Any, given: dict[str, Any], training: bool) -> Sequence[Any]:
    return list(model.rnn(given["x"], initial_state=[given["h"], given["c"]]))


def masked_keras(model: Any, given: dict[str, Any], training: bool) -> Sequence[Any]:
    return list(model.rnn(given["x"], mask=given["mask"]))


def with_gaps(rng: np.random.Generator) -> dict[str, Any]:
    return {"x": rng.normal(size=(3, 7, 4)).astype(np.float32), "mask": rng.random((3, 7)) < 0.7}


def torch_attention() -> Any:
    from torch import nn

    return nn.MultiheadAttention(12, 3, batch_first=True)


def attend(model: Any, given: dict[str, Any], training: bool) -> Sequence[Any]:
    memory = given["memory"]
    return [model(given["x"], memory, memory, key_padding_mask=~given["live"])[0]]


def attended(rng: np.random.Generator) -> dict[str, Any]:
    x, memory = (rng.normal(size=(2, n, 12)).astype(np.float32) for n in (5, 7))
    return {"x": x, "memory": memory, "live": np.arange(7) < np.array([[7], [3]])}


def ctc_head() -> Any:
    from torch import nn

    return nn.Linear(4, 5)


def ctc(model: Any, given: dict[str, Any], training: bool) -> Sequence[Any]:
    from torch import nn

    loss = nn.CTCLoss(blank=0, reduction="none", zero_infinity=True)
    logp = model(given["x"]).log_softmax(-1).transpose(0, 1)
    return [loss(logp, given["targets"], given["frames"], given["count"])]


def spoken(rng: np.random.Generator) -> dict[str, Any]:
    """Repeated labels with just enough frames and with too few, an empty target, one path."""
    return {
        "x": rng.normal(size=(6, 7, 4)).astype(np.float32),
        "targets": np.array([[1, 2, 3], [2, 2, 1], [3, 3, 3], [3, 3, 3], [4, 1, 1], [2, 4, 2]]),
        "frames": np.array([7, 6, 5, 4, 5, 3]),
        "count": np.array([3, 3, 3, 3, 0, 3]),
    }


REFERENCES = (
    stacked("nn.RNN", "RNN", "OneBias.elman", TWO_BIASES),
    stacked("nn.LSTM", "LSTM", "OneBias", TWO_BIASES),
    stacked("nn.GRU", "GRU", "TwoBiases"),
    Reference(
        name="nn.LSTM from given states",
        library="torch",
        spec=SPEC,
        net="Resumed",
        map="torch",
        build=torch_lstm,
        call=resume_torch,
        inputs=states,
        modes=("eval", "train"),
        note=TWO_BIASES,
    ),
    Reference(
        name="keras.layers.LSTM from given states",
        library="keras",
        spec=SPEC,
        net="Resumed",
        map="keras",
        build=partial(keras_layer, keras_lstm),
        call=resume_keras,
        inputs=states,
    ),
    Reference(
        name="keras.layers.GRU with a mask",
        library="keras",
        spec=SPEC,
        net="Masked",
        map="keras",
        build=partial(keras_layer, keras_gru),
        call=masked_keras,
        inputs=with_gaps,
        note="their gates are in another order",
    ),
    Reference(
        name="nn.MultiheadAttention",
        library="torch",
        spec=SPEC,
        net="Attention",
        map="torch",
        build=torch_attention,
        call=attend,
        inputs=attended,
        modes=("eval", "train"),
    ),
    Reference(
        name="nn.CTCLoss",
        library="torch",
        spec=SPEC,
        net="Ctc",
        map="torch",
        build=ctc_head,
        call=ctc,
        inputs=spoken,
        modes=("eval", "train"),
    ),
)
