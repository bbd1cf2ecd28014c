"""Bugs of losses, routing and samples."""

from mutation.mutants.table import Mutant, change, each, everywhere, value
from mutation.proving import Place

CLASSES = Place("loss:Classes")
DISTANCES = Place("loss:Distances")
ROUTED = Place("loss:Routed")
LATENT = Place("loss:Latent")

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
)
