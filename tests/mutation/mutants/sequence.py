"""Bugs of selective state, depthwise convolution, relative positions and branches that are left out."""

from mutation.mutants.table import Mutant, change, each, everywhere, value
from mutation.proving import Place

SELECTIVE = Place("sequence:Selective")
RELATIVE = Place("sequence:Relative")
NEW_STATE = 'h = exp(rearrange(dt_t, "b d -> b d 1") * a) * h'
WHOLE = dict.fromkeys(("jax", "keras"), "scan x_t in x, dt_t in dt")

MUTANTS = (
    Mutant(
        "step left out of what is written",
        SELECTIVE,
        NEW_STATE,
        "the input is not scaled by the step",
        everywhere(r"dt_t \* x_t", "x_t"),
        lines=WHOLE,
    ),
    Mutant(
        "growth in place of decay",
        SELECTIVE,
        NEW_STATE,
        "the sign of the exponent",
        everywhere(r" \* a\) \* h", " * -a) * h"),
        lines=WHOLE,
    ),
    Mutant(
        "step not made positive",
        SELECTIVE,
        "dt = softplus(step)",
        "the step is used as it comes",
        value("dt", torch="step", jax="step_", keras="step"),
    ),
    Mutant(
        "skip of a state space left out",
        SELECTIVE,
        "return y + x * skip",
        "the input is not added to what is read",
        everywhere(r"return y \+ x \* (?:self|params)\.skip", "return y"),
    ),
    Mutant(
        "gradient of a selective state cut in time",
        SELECTIVE,
        NEW_STATE,
        "no gradient flows from a step to the one before",
        each(
            torch=change(r" \* a\) \* h", " * a) * h.detach()"),
            jax=change(r" \* a\) \* h", " * a) * jax.lax.stop_gradient(h)"),
            keras=change(r" \* a\) \* h", " * a) * ops.stop_gradient(h)"),
        ),
        quantity="gradient",
        lines=WHOLE,
    ),
    Mutant(
        "kernel of the next feature",
        Place("sequence:Depthwise"),
        "seen = x -> conv: Conv1d",
        "a depthwise convolution gives each feature the kernel of another",
        value(
            "seen",
            torch="torch.roll(self.conv(torch.roll(x, 1, 1)), -1, 1)",
            jax="jnp.roll(conv1d(params.conv, jnp.roll(x, 1, 1), kernel=config.kernel), -1, 1)",
            keras="ops.roll(self.conv(ops.roll(x, 1, 2)), -1, 2)",
        ),
    ),
    Mutant(
        "distances the other way round",
        RELATIVE,
        "apart = rearrange",
        "query minus key in place of key minus query",
        value("apart", torch="-({})", jax="-({})", keras="-({})"),
    ),
    Mutant(
        "two distances share a bias",
        RELATIVE,
        "place = minimum",
        "odd distances get the bias of the even ones below",
        value("place", torch="({}) // 2 * 2", jax="({}) // 2 * 2", keras="({}) // 2 * 2"),
    ),
    Mutant(
        "relative bias not trained",
        RELATIVE,
        "bias = rearrange(table(place)",
        "no gradient flows to the table",
        value("bias", torch="({}).detach()", jax="jax.lax.stop_gradient({})", keras="ops.stop_gradient({})"),
        quantity="gradient",
    ),
    Mutant(
        "stochastic depth not scaled",
        Place("sequence:Skipped"),
        "z = stochastic_depth",
        "branches that are kept are not divided by the probability to keep them",
        everywhere(r"x / \(1\.0 - \w+\)", "x"),
        mode="train",
    ),
)
