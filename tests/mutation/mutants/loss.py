"""Bugs of losses, routing and samples."""

from mutation.mutants.table import Mutant, change, each, everywhere, value
from mutation.proving import Place

CLASSES = Place("loss:Classes")
DISTANCES = Place("loss:Distances")
ROUTED = Place("loss:Routed")
LATENT = Place("loss:Latent")
SPOKEN = Place("loss:Spoken")
SPELLED = "return ctc_loss"

MUTANTS = (
    Mutant(
        "ignored targets counted",
        CLASSES,
        "return cross_entropy",
        "the mean is over all targets",
        each(
            torch=change(
                r"return F\.cross_entropy\((.*)\)$",
                r"return F.cross_entropy(\1, reduction='sum') / target.numel()",
            ),
            jax=change(r"/ jnp\.maximum\(live\.sum\(\), 1\.0\)", "/ target.size"),
            keras=change(r"/ ops\.maximum\(ops\.sum\(live\), 1\.0\)", "/ ops.sum(ops.ones_like(live))"),
        ),
    ),
    Mutant(
        "label smoothing over the wrong classes",
        CLASSES,
        "return cross_entropy",
        "the share of the smoothing is V / (V - 1) times too large",
        everywhere(r"(smooth(?:ing)?=(?:self\.)?config\.smooth)", r"\1 * 1.25"),
    ),
    Mutant(
        "bound of the Huber loss",
        DISTANCES,
        "near = huber",
        "delta is 1, the usual default, in place of 0.8",
        everywhere(r"^(    delta: float = )0\.8$", r"\g<1>1.0"),
    ),
    Mutant(
        "half of the squared error",
        DISTANCES,
        "far = mse",
        "the mean squared error is halved",
        everywhere(r"far = (.*)$", r"far = 0.5 * \1"),
    ),
    Mutant(
        "divergence the other way round",
        DISTANCES,
        "apart = kl_div",
        "student and teacher are exchanged",
        everywhere(r"(apart = kl_div\()a, b", r"\1b, a"),
    ),
    Mutant(
        "square of the temperature left out",
        DISTANCES,
        "apart = kl_div",
        "the divergence is not scaled back",
        everywhere(r" \* (?:temperature \*\* 2|4\.0)$", ""),
    ),
    Mutant(
        "shares not normalised",
        ROUTED,
        "weight = values / sum",
        "the shares of the chosen experts do not add up to one",
        value("weight", torch="values", jax="values", keras="values"),
    ),
    Mutant(
        "places of the experts off by one",
        ROUTED,
        "part = sum(where",
        "the share of an expert goes to the one before",
        everywhere(r"places(?: == |, )e\b(.*)$", r"places == (e + 1) % 4\1", None)
        | each(keras=change(r"ops\.equal\(places, e\)", "ops.equal(places, (e + 1) % 4)")),
    ),
    Mutant(
        "router not trained",
        ROUTED,
        "share = softmax(scores)",
        "no gradient flows through the shares",
        value("share", torch="({}).detach()", jax="jax.lax.stop_gradient({})", keras="ops.stop_gradient({})"),
        quantity="gradient",
    ),
    Mutant(
        "binary targets the other way round",
        Place("loss:Binary"),
        "return bce_with_logits",
        "targets 0 and 1 are exchanged",
        everywhere(r"((?:bce|binary_cross_entropy)_with_logits\(logits), target\)$", r"\1, 1.0 - target)"),
    ),
    Mutant(
        "variance in place of deviation",
        LATENT,
        "z = mu + exp(0.5 * logvar)",
        "the noise is scaled by the variance",
        everywhere(r"exp\(0\.5 \* logvar\)", "exp(logvar)"),
    ),
    Mutant(
        "residual dropped",
        LATENT,
        "return x + (z",
        "the input is not added",
        everywhere(r"return x \+ ", "return "),
    ),
    Mutant(
        "noise without gradient",
        LATENT,
        "z = mu + exp(0.5 * logvar)",
        "the deviation is treated as a constant",
        each(
            torch=change(r"(torch\.exp\(0\.5 \* logvar\))", r"\1.detach()"),
            jax=change(r"(jnp\.exp\(0\.5 \* logvar\))", r"jax.lax.stop_gradient(\1)"),
            keras=change(r"(ops\.exp\(0\.5 \* logvar\))", r"ops.stop_gradient(\1)"),
        ),
        quantity="gradient",
    ),
    Mutant(
        "logits not normalised",
        SPOKEN,
        SPELLED,
        "logits are taken for log-probabilities",
        each(
            torch=change(r"F\.log_softmax\(logits, dim=-1\)", "logits"),
            jax=change(r"jax\.nn\.log_softmax\(logits, axis=-1\)", "logits"),
            keras=change(r"ops\.log_softmax\(logits\)", "logits"),
        ),
    ),
    Mutant(
        "blank is the last class",
        SPOKEN,
        SPELLED,
        "as in TensorFlow, not the first one",
        each(
            torch=change(r"reduction='none'", "blank=4, reduction='none'"),
            jax=(
                *change(r"gap = jnp\.zeros\((.*), int\)", r"gap = jnp.full(\1, 4)"),
                *change(r"path != 0", "path != 4"),
            ),
            keras=(
                *change(r"gap = ops\.zeros\((.*), dtype='int32'\)", r"gap = ops.full(\1, 4, dtype='int32')"),
                *change(r"not_equal\(path, 0\)", "not_equal(path, 4)"),
            ),
        ),
    ),
    Mutant(
        "no blank between equal labels",
        SPOKEN,
        SPELLED,
        "the blank between two equal labels may be left out",
        each(
            jax=change(r" & \(path != before\)", ""),
            keras=change(r" & ops\.not_equal\(path, before\)", ""),
        ),
    ),
    Mutant(
        "start behind the first blank",
        SPOKEN,
        SPELLED,
        "paths start one place later",
        each(
            jax=change(r"(arange\(2 \* source \+ 1\)\[None\]) == 0", r"\1 == 1"),
            keras=change(r"(arange\(2 \* source \+ 1, dtype='int32'\), 0\), )0\)", r"\g<1>1)"),
        ),
    ),
    Mutant(
        "end with a blank only",
        SPOKEN,
        SPELLED,
        "paths that end with the last label are left out",
        each(
            jax=change(r"jnp\.where\(target_length > 0, label, -1e\+30\)", "label - 1e+30"),
            keras=change(r"ops\.where\(target_length > 0, label, -1e\+30\)", "label - 1e+30"),
        ),
    ),
    Mutant(
        "end with a label only",
        SPOKEN,
        SPELLED,
        "paths that end with a blank are left out",
        each(
            jax=change(r"(end = jnp\.stack\(\[).*(, jnp\.where)", r"\1label - 1e+30\2"),
            keras=change(r"(end = ops\.stack\(\[).*(, ops\.where)", r"\1label - 1e+30\2"),
        ),
    ),
    Mutant(
        "best path in place of all",
        SPOKEN,
        SPELLED,
        "the largest probability is kept, they are not added up",
        each(
            jax=change(
                r"jax\.nn\.logsumexp\((jnp\.stack\(\[alpha.*?\)), axis=-1, keepdims=False\)",
                r"\1.max(axis=-1)",
            ),
            keras=change(r"ops\.logsumexp\(ops\.stack\(\[alpha", "ops.max(ops.stack([alpha"),
        ),
    ),
    Mutant(
        "last frame left out",
        SPOKEN,
        SPELLED,
        "each example has a frame less",
        each(
            torch=change(r"frames, spelled", "frames - 1, spelled"),
            jax=change(r"< input_length\[:, None\]", "< input_length[:, None] - 1"),
            keras=change(r"< ops\.expand_dims\(input_length, 1\)", "< ops.expand_dims(input_length - 1, 1)"),
        ),
    ),
    Mutant(
        "frames behind the end",
        SPOKEN,
        SPELLED,
        "all frames count for every example",
        each(
            torch=change(r"frames, spelled", "torch.full_like(frames, time), spelled"),
            jax=change(r"^( +live = ).*$", r"\1jnp.ones((batch, time), bool)"),
            keras=change(r"^( +live = ).*$", r"\1ops.ones((batch, time), dtype='bool')"),
        ),
    ),
    Mutant(
        "last label left out",
        SPOKEN,
        SPELLED,
        "each example has a label less",
        each(
            torch=change(r"frames, spelled", "frames, torch.clamp(spelled - 1, min=0)"),
            jax=change(r"x = 2 \* target_length", "x = 2 * jnp.maximum(target_length - 1, 0)"),
            keras=change(r"x = 2 \* target_length", "x = 2 * ops.maximum(target_length - 1, 0)"),
        ),
    ),
    Mutant(
        "divided by the number of labels",
        SPOKEN,
        SPELLED,
        "as the mean of PyTorch does before it takes the mean over the examples",
        each(
            torch=change(r"(return F\.ctc_loss\(.*\))$", r"\1 / torch.clamp(spelled, min=1)"),
            jax=change(r"(return ctc_loss\(.*\))$", r"\1 / jnp.maximum(spelled, 1)"),
            keras=change(
                r"(return ctc_loss\(.*\))$", r"\1 / ops.cast(ops.maximum(spelled, 1), keras.config.floatx())"
            ),
        ),
    ),
)
