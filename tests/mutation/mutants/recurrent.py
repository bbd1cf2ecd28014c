"""Bugs of recurrent layers."""

from mutation.mutants.table import Mutant, change, each, everywhere
from mutation.proving import Place

GATED = Place("recurrent:Gated")
BACKWARD = Place("recurrent:Backward")
ELMAN = Place("recurrent:Elman")
LSTM = "r = y -> rnn: LSTM"
GRU = "r = x -> rnn: GRU"

MUTANTS = (
    Mutant(
        "order of the gates of an LSTM",
        GATED,
        LSTM,
        "input and forget gate are exchanged",
        everywhere(r"i, f, g, o = ", "f, i, g, o = "),
    ),
    Mutant(
        "forget bias",
        GATED,
        LSTM,
        "1 is added to the forget gate, as in old TensorFlow",
        everywhere(r"sigmoid\(f\)", "sigmoid(f + 1.0)"),
    ),
    Mutant(
        "state put out without tanh",
        GATED,
        LSTM,
        "the cell is put out as it is",
        everywhere(r"\w+\.tanh\(c\)", "c"),
    ),
    Mutant(
        "state changes behind the end",
        GATED,
        LSTM,
        "masked steps change the hidden state",
        everywhere(r"(h = )\w+\.where\(m, h_new, h\)", r"\1h_new"),
        seed=1,
    ),
    Mutant(
        "outputs behind the end",
        GATED,
        LSTM,
        "masked outputs are not 0",
        everywhere(r"\w+\.where\(m, h_new, 0\.0\)", "h_new"),
    ),
    Mutant(
        "bias of an LSTM dropped",
        GATED,
        LSTM,
        "the gates have no bias",
        each(
            torch=change(r"self\.w_x, self\.b\)", "self.w_x)"),
            jax=change(r" \+ params\.b\b", ""),
            keras=change(r" \+ self\.b\b", ""),
        ),
    ),
    Mutant(
        "order of the gates of a GRU",
        BACKWARD,
        GRU,
        "reset and update gate are exchanged, as in Keras",
        {
            target: (*change("xr, xz, xn = ", "xz, xr, xn = "), *change("hr, hz, hn = ", "hz, hr, hn = "))
            for target in ("torch", "jax", "keras")
        },
    ),
    Mutant(
        "reset of the input",
        BACKWARD,
        GRU,
        "the reset gate is applied to the share of the input",
        everywhere(r"xn \+ (.*) \* hn\b", r"hn + \1 * xn"),
    ),
    Mutant(
        "sense of the update gate",
        BACKWARD,
        GRU,
        "the update gate keeps the new state",
        everywhere(r"\(1\.0 - z\) \* n \+ z \* h", "z * n + (1.0 - z) * h"),
    ),
    Mutant(
        "results in reversed order",
        BACKWARD,
        GRU,
        "the outputs of the backward layer are not turned around",
        everywhere(r"^( +)out = .*flip\(.*$", r"\1out = out"),
    ),
    Mutant(
        "mask not reversed",
        BACKWARD,
        GRU,
        "the backward layer reads its mask forward",
        everywhere(r"^( +)live = .*flip\(.*$", r"\1live = mask"),
    ),
    Mutant(
        "second bias dropped",
        BACKWARD,
        GRU,
        "a GRU with one bias",
        each(
            torch=change(r"self\.w_h, self\.b_h\)", "self.w_h)"),
            jax=change(r" \+ params\.b_h", ""),
            keras=change(r" \+ self\.b_h", ""),
        ),
    ),
    Mutant(
        "initial state",
        ELMAN,
        "h = zeros([B, hidden])",
        "the state starts with ones",
        each(
            torch=change(r"(h = x\.)new_zeros", r"\1new_ones"),
            jax=change(r"(h = jnp\.)zeros", r"\1ones"),
            keras=change(r"(h = ops\.)zeros", r"\1ones"),
        ),
    ),
    Mutant(
        "gradient cut in time",
        ELMAN,
        "h = tanh((x_t",
        "no gradient flows from a step to the one before",
        each(
            torch=change(r"self\.w_h\(h\)", "self.w_h(h.detach())"),
            jax=change(r"(linear\(params\.w_h, )h\b", r"\1jax.lax.stop_gradient(h)"),
            keras=change(r"self\.w_h\(h\)", "self.w_h(ops.stop_gradient(h))"),
        ),
        quantity="gradient",
        lines=dict.fromkeys(("jax", "keras"), "scan x_t in x along 1 carry h"),
    ),
)
