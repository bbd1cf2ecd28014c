"""The classes that a file defines for recurrent blocks: PyTorch's own, with the results of the specification.

In: the options that the file uses: "reverse", and "h" for a given first state. Out: the text of a class.
"""

from __future__ import annotations


def lines(*parts: str | bool) -> str:
    """The lines that follow a true condition; a line without one is always there."""
    kept: list[str] = []
    wanted = True
    for part in parts:
        if isinstance(part, bool):
            wanted = part
        else:
            if wanted:
                kept.append(part)
            wanted = True
    return "\n".join(kept)


def constructor(reverse: bool, last: str) -> str:
    """PyTorch starts all weights of a recurrent layer alike; the specification does not."""
    return lines(
        reverse,
        "    def __init__(self, features: int, hidden: int, reverse: bool = False) -> None:",
        not reverse,
        "    def __init__(self, features: int, hidden: int) -> None:",
        "        super().__init__(features, hidden, batch_first=True)",
        reverse,
        "        self.reverse = reverse",
        "        bound = features**-0.5",
        "        nn.init.uniform_(self.weight_ih_l0, -bound, bound)",
        "        nn.init.orthogonal_(self.weight_hh_l0)",
        "        nn.init.zeros_(self.bias_ih_l0)",
        f"        nn.init.zeros_(self.bias_hh_l0){last}",
    )


def rnn_text(options: frozenset[str]) -> str:
    """`nn.RNN` has two biases that are added: one of them stays zero."""
    return f"""\
class SimpleRNNOutput(NamedTuple):
    out: Tensor
    h: Tensor


class SimpleRNN(nn.RNN):
    \"\"\"Simple recurrent layer with one bias; it returns every state and the last one.\"\"\"

    names = (("w_x", "weight_ih_l0"), ("w_h", "weight_hh_l0"), ("b", "bias_ih_l0"))

{constructor("reverse" in options, ".requires_grad_(False)")}

{forward_text("SimpleRNNOutput", options)}
"""


def lstm_text(options: frozenset[str]) -> str:
    """`nn.LSTM` has two biases that are added: one of them stays zero."""
    reverse = "reverse" in options
    given = "x.flip(1) if self.reverse else x" if reverse else "x"
    out = "out.flip(1) if self.reverse else out" if reverse else "out"
    if "h" in options:
        forward = f"""\
    def forward(
        self, x: Tensor, h: Tensor | None = None, c: Tensor | None = None
    ) -> LSTMOutput:
        start = None if h is None else (h.unsqueeze(0), c.unsqueeze(0))
        out, (h, c) = super().forward({given}, start)"""
    else:
        forward = f"""\
    def forward(self, x: Tensor) -> LSTMOutput:
        out, (h, c) = super().forward({given})"""
    return f"""\
class LSTMOutput(NamedTuple):
    out: Tensor
    h: Tensor
    c: Tensor


class LSTM(nn.LSTM):
    \"\"\"Long short-term memory with one bias; it returns every state and the last one.\"\"\"

    names = (("w_x", "weight_ih_l0"), ("w_h", "weight_hh_l0"), ("b", "bias_ih_l0"))

{constructor(reverse, ".requires_grad_(False)")}

{forward}
        return LSTMOutput({out}, h[0], c[0])
"""


def gru_text(options: frozenset[str]) -> str:
    """`nn.GRU` is the specification's: its reset gate comes after the matrix product."""
    return f"""\
class GRUOutput(NamedTuple):
    out: Tensor
    h: Tensor


class GRU(nn.GRU):
    \"\"\"Gated recurrent unit; it returns every state and the last one.\"\"\"

    names = (
        ("w_x", "weight_ih_l0"),
        ("w_h", "weight_hh_l0"),
        ("b_x", "bias_ih_l0"),
        ("b_h", "bias_hh_l0"),
    )

{constructor("reverse" in options, "")}

{forward_text("GRUOutput", options)}
"""


def forward_text(record: str, options: frozenset[str]) -> str:
    """The method of a layer whose state is one tensor."""
    reverse, start = "reverse" in options, "h" in options
    out = "out.flip(1) if self.reverse else out" if reverse else "out"
    return lines(
        start,
        f"    def forward(self, x: Tensor, h: Tensor | None = None) -> {record}:",
        not start,
        f"    def forward(self, x: Tensor) -> {record}:",
        reverse,
        "        x = x.flip(1) if self.reverse else x",
        start,
        "        out, h = super().forward(x, None if h is None else h.unsqueeze(0))",
        not start,
        "        out, h = super().forward(x)",
        f"        return {record}({out}, h[0])",
    )
