"""Networks over sequences, put together from the layers of torch.nn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from reference.harness import Reference

TWO_BIASES = "torch.nn's LSTM adds two biases where ours has one"
LENGTHS = [6, 1, 4]


def words(vocab: int, rng: np.random.Generator) -> dict[str, Any]:
    return {"tokens": rng.integers(0, vocab, (3, 6)), "length": np.array(LENGTHS)}


def over(kind: str, vocab: int, dim: int, out: int, **options: Any) -> Any:
    """An embedding, recurrent layers and a linear layer."""
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(vocab, dim)
            self.rnn = getattr(nn, kind)(dim, batch_first=True, **options)
            self.head = nn.Linear(options["hidden_size"] * (2 if "bidirectional" in options else 1), out)

    return Network()


def packed(model: Any, given: dict[str, Any], training: bool) -> Sequence[Any]:
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    x = model.embed(given["tokens"])
    packs = pack_padded_sequence(x, given["length"], batch_first=True, enforce_sorted=False)
    return [model.head(pad_packed_sequence(model.rnn(packs)[0], batch_first=True)[0])]


def plain(model: Any, given: dict[str, Any], training: bool) -> Sequence[Any]:
    return [model.head(model.rnn(model.embed(given["tokens"]))[0])]


def embedded(
    name: str, spec: str, net: str, build: Callable[[], Any], vocab: int, note: str = TWO_BIASES
) -> Reference:
    return Reference(
        name=name,
        library="torch",
        spec=spec,
        net=net,
        map="torch",
        build=build,
        call=packed,
        inputs=partial(words, vocab),
        settings=("drop=0.0",),
        modes=("eval", "train"),
        note=note,
    )


def language(kind: str) -> Callable[[], Any]:
    return partial(over, kind, 23, 6, 23, hidden_size=6, num_layers=2)


def characters(rng: np.random.Generator) -> dict[str, Any]:
    return {"tokens": rng.integers(0, 11, (3, 5))}


def forecaster() -> Any:
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(3, 5, num_layers=3, batch_first=True)
            self.centre = nn.Linear(5, 1)
            self.spread = nn.Linear(5, 1)

    return Network()


def forecast(model: Any, given: dict[str, Any], training: bool) -> Sequence[Any]:
    import torch
    from torch import nn

    series = given["series"]
    scale = 1.0 + series.abs().mean(dim=1, keepdim=True)
    before = nn.functional.pad(series / scale, (1, 0))[:, :-1]
    x, _ = model.rnn(torch.cat([before[..., None], given["covariates"]], dim=-1))
    spread = nn.functional.softplus(model.spread(x)[..., 0])
    return [scale * model.centre(x)[..., 0], scale * spread]


def series(rng: np.random.Generator) -> dict[str, Any]:
    sizes = {"series": (3, 5), "covariates": (3, 5, 2)}
    return {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}


def convolutions() -> Any:
    from torch import nn
    from torch.nn.utils.parametrizations import weight_norm

    class Block(nn.Module):
        def __init__(self, size: int, out: int, dilation: int) -> None:
            super().__init__()
            self.conv1 = weight_norm(nn.Conv1d(size, out, 3, padding=2 * dilation, dilation=dilation))
            self.conv2 = weight_norm(nn.Conv1d(out, out, 3, padding=2 * dilation, dilation=dilation))
            self.downsample = nn.Conv1d(size, out, 1) if size != out else nn.Identity()

        def forward(self, x: Any) -> Any:
            y = self.conv1(x)[..., : x.shape[2]].relu()
            y = self.conv2(y)[..., : x.shape[2]].relu()
            return (y + self.downsample(x)).relu()

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = (2, 6, 4, 5)
            blocks = [Block(sizes[i], sizes[i + 1], 2**i) for i in range(3)]
            self.tcn = nn.ModuleDict({"network": nn.ModuleList(blocks)})
            self.linear = nn.Linear(5, 3)

        def forward(self, x: Any) -> Any:
            x = x.transpose(1, 2)
            for block in self.tcn["network"]:
                x = block(x)
            return self.linear(x[:, :, -1])

    return Network()


REFERENCES = (
    embedded("Elman language model", "specs/sequence/rnn_lm.dl", "RNNLM.tiny_elman", language("RNN"), 23),
    embedded("LSTM language model", "specs/sequence/rnn_lm.dl", "RNNLM.tiny", language("LSTM"), 23),
    embedded("GRU language model", "specs/sequence/rnn_lm.dl", "RNNLM.tiny_gru", language("GRU"), 23, ""),
    embedded(
        "BiLSTM tagger",
        "specs/sequence/bilstm_tagger.dl",
        "Tagger.tiny",
        partial(over, "LSTM", 31, 6, 5, hidden_size=7, num_layers=2, bidirectional=True),
        31,
    ),
    Reference(
        name="Character generator",
        library="torch",
        spec="specs/sequence/char_rnn.dl",
        net="CharRNN.tiny",
        map="torch",
        build=partial(over, "LSTM", 11, 5, 11, hidden_size=5, num_layers=2),
        call=plain,
        inputs=characters,
        settings=("drop=0.0",),
        modes=("eval", "train"),
        note=TWO_BIASES,
    ),
    Reference(
        name="DeepAR",
        library="torch",
        spec="specs/sequence/deepar.dl",
        net="DeepAR.tiny",
        map="torch",
        build=forecaster,
        call=forecast,
        inputs=series,
        settings=("drop=0.0",),
        modes=("eval", "train"),
        note=TWO_BIASES,
    ),
    Reference(
        name="TCN",
        library="torch",
        spec="specs/sequence/tcn.dl",
        net="TCN.tiny",
        map="torch",
        build=convolutions,
        call=lambda model, given, training: [model(given["x"])],
        inputs=lambda rng: {"x": rng.normal(size=(2, 11, 2)).astype(np.float32)},
        settings=("drop=0.0",),
        modes=("eval", "train"),
        note="nn.Conv1d with `weight_norm`, cut at the end",
    ),
)
