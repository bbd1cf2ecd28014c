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


def lstm_text(options: frozenset[str]) -> str:
    """`nn.LSTM` has two biases that are added: one of them stays zero."""
    reverse = "reverse" in options
    given = "x.flip(1) if self.reverse else x" if reverse else "x"
    out = "out.flip(1) if self.reverse else out" if reverse else "out"
    return f"""\
class LSTMOutput(NamedTuple):
    out: Tensor
    h: Tensor
    c: Tensor


class LSTM(nn.LSTM):
    \"\"\"Long short-term memory with one bias; it returns every state and the last one.\"\"\"

    names = (("w_x", "weight_ih_l0"), ("w_h", "weight_hh_l0"), ("b", "bias_ih_l0"))

{constructor(reverse, ".requires_grad_(False)")}

    def forward(self, x: Tensor) -> LSTMOutput:
        out, (h, c) = super().forward({given})
        return LSTMOutput({out}, h[0], c[0])
"""


def gru_text(options: frozenset[str]) -> str:
    """`nn.GRU` is the specification's: its reset gate comes after the matrix product."""
    reverse, start = "reverse" in options, "h" in options
    out = "out.flip(1) if self.reverse else out" if reverse else "out"
    forward = lines(
        start,
        "    def forward(self, x: Tensor, h: Tensor | None = None) -> GRUOutput:",
        not start,
        "    def forward(self, x: Tensor) -> GRUOutput:",
        reverse,
        "        x = x.flip(1) if self.reverse else x",
        start,
        "        out, h = super().forward(x, None if h is None else h.unsqueeze(0))",
        not start,
        "        out, h = super().forward(x)",
        f"        return GRUOutput({out}, h[0])",
    )
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

{constructor(reverse, "")}

{forward}
"""
