"""Bugs of attention, its masks and its positions."""

from mutation.mutants.table import Mutant, change, each, everywhere, value
from mutation.proving import Place

SLIDING = Place("attention:Sliding")
CAUSAL = Place("attention:Causal")
CROSS = Place("attention:Cross")
SLOPES = Place("attention:Slopes")
PLACED = Place("attention:Placed")
ATTENDED = "y = attention(q, k, v, causal=true, window=window)"
SELF = "attn: MultiHeadAttention(heads, causal=true)"
OTHER = "attn: MultiHeadAttention(heads)(memory=memory, mask=mask)"
ROPE_PARTS = "[a * c - b * s, b * c + a * s]"

MUTANTS = (
    Mutant(
        "interleaved rotary positions",
        SLIDING,
        "q = rope(q)",
        "neighbouring features turn together, as in GPT-J",
        each(
            torch=(
                *change(r"a, b = x\.chunk\(.*\)$", "a, b = (x[..., ::2], x[..., 1::2])"),
                *change(r"torch\.cat\(\[a \* c.*$", f"torch.stack({ROPE_PARTS}, dim=-1).flatten(-2)"),
            ),
            jax=(
                *change(r"a, b = jnp\.split\(.*\)$", "a, b = (x[..., ::2], x[..., 1::2])"),
                *change(
                    r"jnp\.concatenate\(\[a \* c.*$", f"jnp.stack({ROPE_PARTS}, axis=-1).reshape(x.shape)"
                ),
            ),
            keras=(
                *change(r"a, b = ops\.split\(.*\)$", "a, b = (x[..., ::2], x[..., 1::2])"),
                *change(
                    r"ops\.concatenate\(\[a \* c.*$",
                    f"ops.reshape(ops.stack({ROPE_PARTS}, axis=-1), ops.shape(x))",
                ),
            ),
        ),
    ),
    Mutant(
        "base of rotary positions",
        SLIDING,
        "q = rope(q)",
        "theta is 1000 in place of 10000",
        everywhere(r"\b10000\.0", "1000.0", None),
    ),
    Mutant(
        "rotated the other way",
        SLIDING,
        "q = rope(q)",
        "positions turn with the wrong sign",
        everywhere(r"a \* c - b \* s, b \* c \+ a \* s", "a * c + b * s, b * c - a * s"),
    ),
    Mutant(
        "exponent of rotary positions",
        SLIDING,
        "q = rope(q)",
        "frequencies go down to 1 / theta, as in Tensor2Tensor",
        everywhere(r"/ head_dim\)", "/ (head_dim - 2))"),
    ),
    Mutant(
        "key heads repeated in turn",
        SLIDING,
        "v = repeat(v",
        "grouped queries read the value heads in the wrong order",
        each(
            torch=change(r"^( +)v = v\.repeat.*$", r"\1v = v.repeat(1, 2, 1, 1)"),
            jax=change(r"^( +)v = v\.repeat.*$", r"\1v = jnp.tile(v, (1, 2, 1, 1))"),
            keras=change(r"^( +)v = ops\.repeat.*$", r"\1v = ops.tile(v, (1, 2, 1, 1))"),
        ),
    ),
    Mutant(
        "window off by one",
        SLIDING,
        ATTENDED,
        "the window is one key wider",
        everywhere(r"k > q - window", "k >= q - window"),
    ),
    Mutant(
        "mask off by one",
        SLIDING,
        ATTENDED,
        "a query does not see its own place",
        everywhere(r"k <= q\b", "k < q"),
    ),
    Mutant(
        "scale of attention",
        SLIDING,
        ATTENDED,
        "scores are scaled by 1.0001 / sqrt(K)",
        everywhere(r"head_dim \*\* \(?-0\.5\)?", "(1.0001 * head_dim ** (-0.5))"),
    ),
    Mutant(
        "scale of the whole width",
        SLIDING,
        ATTENDED,
        "scores are divided by the root of the model's width",
        everywhere(r"head_dim \*\* \(?-0\.5\)?", "16 ** (-0.5)"),
    ),
    Mutant(
        "mask left out",
        CAUSAL,
        SELF,
        "queries see later keys",
        each(
            torch=change(r"is_causal=[\w.]+", "is_causal=False"),
            jax=change(r"live = (causal_mask\(.*\))$", r"live = jnp.ones_like(\1)"),
            keras=change(r"live = (causal_mask\(.*\))$", r"live = ops.ones_like(\1)"),
        ),
    ),
    Mutant(
        "values of the key layer",
        CAUSAL,
        SELF,
        "the values are projected by the layer of the keys",
        each(
            torch=change(r"self\.v\(x\)", "self.k(x)"),
            jax=change(r"params\.v, x", "params.k, x"),
            keras=change(r"self\.v\(x\)", "self.k(x)"),
        ),
    ),
    Mutant(
        "heads split in the wrong order",
        CAUSAL,
        SELF,
        "features go to the heads in turn in place of in runs",
        each(
            torch=change(r"return .*heads, -1.*$", "return x.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2)"),
            jax=change(
                r"return .*heads, -1.*$", "return x.reshape(*x.shape[:2], -1, heads).transpose(0, 3, 1, 2)"
            ),
            keras=change(
                r"return .*heads, -1.*$",
                "return ops.transpose(ops.reshape(x, (*ops.shape(x)[:2], -1, heads)), (0, 3, 1, 2))",
            ),
        ),
    ),
    Mutant(
        "bias of the output layer dropped",
        CAUSAL,
        SELF,
        "the last projection adds no bias",
        each(
            torch=change(r"(return self\.out\(.*\))$", r"\1 - self.out.bias"),
            jax=change(r"(return linear\(params\.out.*\))$", r"\1 - params.out.bias"),
            keras=change(r"(return self\.out\(.*\))$", r"\1 - self.out.bias"),
        ),
    ),
    Mutant(
        "uniform attention without keys",
        CROSS,
        OTHER,
        "a query that may see no key averages all values",
        each(
            torch=change(r"attn_mask=mask", "attn_mask=torch.where(mask, 0.0, -1e+30).to(q.dtype)"),
            jax=change(r"(e = )jnp\.where\(live, e, 0\.0\)", r"\1e"),
            keras=change(r"(e = )ops\.where\(live, e, 0\.0\)", r"\1e"),
        ),
        seed=1,
    ),
    Mutant(
        "mask the other way round",
        CROSS,
        "mask = rearrange(live",
        "true means that a key is hidden",
        value("mask", torch="~{}", jax="~{}", keras="ops.logical_not({})"),
    ),
    Mutant(
        "mask ignored",
        CROSS,
        OTHER,
        "all keys are seen",
        each(
            torch=change(r"attn_mask=mask", "attn_mask=torch.ones_like(mask)"),
            jax=change(r"masked_softmax\(s, mask", "masked_softmax(s, jnp.ones_like(mask)"),
            keras=change(r"masked_softmax\(s, mask", "masked_softmax(s, ops.ones_like(mask)"),
        ),
    ),
    Mutant(
        "slopes of linear biases",
        SLOPES,
        "bias = alibi",
        "the first head has slope 1",
        everywhere(r"arange\(1, heads \+ 1", "arange(0, heads"),
    ),
    Mutant(
        "sign of linear biases",
        SLOPES,
        "bias = alibi",
        "far keys are favoured",
        everywhere(r"\bk - q\b", "q - k"),
    ),
    Mutant(
        "bias of attention left out",
        SLOPES,
        "return attention(q, k, v, bias=bias",
        "the linear biases are not added",
        everywhere(r"s = s \+ bias", "s = s + 0.0 * bias"),
    ),
    Mutant(
        "embedding not scaled",
        PLACED,
        "x = embed(tokens) * sqrt(dim)",
        "the factor sqrt(dim) is left out",
        everywhere(r" \* (?:math\.sqrt\((?:self\.)?config\.dim\)|(?:self\.)?config\.dim \*\* 0\.5)", ""),
    ),
    Mutant(
        "interleaved sinusoids",
        PLACED,
        "y = x + sinusoid",
        "sines and cosines take turns",
        each(
            torch=change(r"torch\.cat\((\[.*?\]), dim=-1\)", r"torch.stack(\1, dim=-1).flatten(-2)"),
            jax=change(r"jnp\.concatenate\((\[.*?\]), axis=-1\)", r"jnp.stack(\1, axis=-1).reshape(n, d)"),
            keras=change(
                r"ops\.concatenate\((\[.*?\]), axis=-1\)", r"ops.reshape(ops.stack(\1, axis=-1), (n, d))"
            ),
        ),
    ),
    Mutant(
        "positions off by one",
        PLACED,
        "y = x + sinusoid",
        "the first position is 1",
        everywhere(r"arange\(n([,)])", r"arange(1, n + 1\1"),
    ),
    Mutant(
        "dropout not scaled",
        PLACED,
        "z = dropout(y",
        "what dropout keeps is not divided by the probability to keep it",
        each(
            torch=change(r"(z = F\.dropout\(.*\))$", r"\1 * (0.75 if self.training else 1.0)"),
            jax=change(r"x / \(1\.0 - rate\)", "x"),
            keras=change(r"(keras\.random\.dropout\(x, rate, seed=seed\))", r"\1 * (1.0 - rate)"),
        ),
        mode="train",
    ),
    Mutant(
        "tied weight detached",
        PLACED,
        "return z @ transpose(embed.weight)",
        "the output layer does not train the table that it shares",
        each(
            torch=change(r"F\.linear\(z, self\.embed\.weight\)", "F.linear(z, self.embed.weight.detach())"),
            jax=change(r"z @ params\.embed\.weight\.T", "z @ jax.lax.stop_gradient(params.embed.weight).T"),
            keras=change(r"(ops\.\w+\(self\.embed\.embeddings.*?\))", r"ops.stop_gradient(\1)"),
        ),
        quantity="gradient",
    ),
    Mutant(
        "exact GELU in GPT-2",
        Place("language/gpt2:GPT2.tiny"),
        'gelu("tanh")',
        "the exact GELU where the approximation is meant",
        each(
            torch=change(r"approximate='tanh'", "approximate='none'"),
            jax=change(r"approximate=True", "approximate=False"),
            keras=change(
                r"0\.5 \* x \* \(1\.0 \+ ops\.tanh\(.*\)\)$|\bops\.gelu\(x, approximate=True\)",
                "0.5 * x * (1.0 + ops.erf(x / 1.4142135623730951))",
            ),
        ),
        changes=("layers=1", "dim=8", "heads=2"),
    ),
    Mutant(
        "epsilon of layer normalisation in GPT-2",
        Place("language/gpt2:GPT2.tiny"),
        "ln_1: LayerNorm()",
        "epsilon is 1e-3, the default of Keras",
        everywhere(r"\b1e-05", "0.001", None)
        | each(
            torch=change(r"(nn\.LayerNorm\((?:dim|8|config\.dim))(?:, eps=1e-05)?\)", r"\1, eps=0.001)", None)
        ),
        changes=("layers=1", "dim=8", "heads=2"),
    ),
)
