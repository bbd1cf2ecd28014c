"""Bugs of activations and reductions."""

from mutation.mutants.table import Mutant, change, each, everywhere, value
from mutation.proving import Place

CURVES = Place("activation:Curves")
CORNERS = Place("activation:Corners")
SHARES = Place("activation:Shares")
BOUNDED = Place("activation:Bounded")

MUTANTS = (
    Mutant(
        "tanh GELU in place of erf",
        CURVES,
        "a = gelu(x)",
        "the approximation where the exact one is meant",
        each(
            torch=change(r"(a = F\.gelu\(x, approximate=)'none'", r"\1'tanh'"),
            jax=change(r"(a = jax\.nn\.gelu\(x, approximate=)False", r"\1True"),
            keras=change(r"(a = gelu\(x, kind=)'erf'", r"\1'tanh'"),
        ),
    ),
    Mutant(
        "erf GELU in place of tanh",
        CURVES,
        'gelu(a + x, "tanh")',
        "the exact one where the approximation is meant",
        each(
            torch=change(r"(b = F\.gelu\(a \+ x, approximate=)'tanh'", r"\1'none'"),
            jax=change(r"(b = jax\.nn\.gelu\(a \+ x, approximate=)True", r"\1False"),
            keras=change(r"(b = gelu\(a \+ x, kind=)'tanh'", r"\1'erf'"),
        ),
    ),
    Mutant(
        "slope of leaky ReLU",
        CURVES,
        "c = leaky_relu",
        "the slope is 0.2, TensorFlow's default, in place of 0.01",
        everywhere(r"^(    slope: float = )0\.01$", r"\g<1>0.2"),
    ),
    Mutant(
        "alpha of ELU",
        CURVES,
        "d = elu",
        "alpha is 1, the usual default, in place of 0.7",
        everywhere(r"alpha=0\.7", "alpha=1.0"),
    ),
    Mutant(
        "hard swish in place of SiLU",
        CURVES,
        "e = silu(d)",
        "the piecewise approximation",
        value("e", torch="F.hardswish(d)", jax="jax.nn.hard_swish(d)", keras="ops.hard_swish(d)"),
    ),
    Mutant(
        "softplus cut off",
        CURVES,
        "f = softplus",
        "softplus is the identity above 2",
        value(
            "f",
            torch="F.softplus(e - x, threshold=2.0)",
            jax="jnp.where(e - x > 2.0, e - x, {})",
            keras="ops.where(e - x > 2.0, e - x, {})",
        ),
    ),
    Mutant(
        "leaking ReLU",
        CORNERS,
        "a = relu",
        "a slope of 1e-4 below zero",
        value(
            "a",
            torch="F.leaky_relu(self.fc(x), 0.0001)",
            jax="jax.nn.leaky_relu(linear(params.fc, x), 0.0001)",
            keras="ops.leaky_relu(self.fc(x), 0.0001)",
        ),
    ),
    Mutant(
        "hard sigmoid of old Keras",
        CORNERS,
        "b = hard_sigmoid",
        "0.2 x + 0.5 in place of x / 6 + 0.5",
        value(
            "b",
            torch="(0.2 * (a - x) + 0.5).clamp(0.0, 1.0)",
            jax="jnp.clip(0.2 * (a - x) + 0.5, 0.0, 1.0)",
            keras="ops.clip(0.2 * (a - x) + 0.5, 0.0, 1.0)",
        ),
    ),
    Mutant(
        "constants of SELU cut short",
        CORNERS,
        "c = selu",
        "alpha has four digits",
        value(
            "c",
            torch="1.0507009873554805 * F.elu(b - x, alpha=1.673)",
            jax="1.0507009873554805 * jax.nn.elu(b - x, alpha=1.673)",
            keras="1.0507009873554805 * ops.elu(b - x, alpha=1.673)",
        ),
    ),
    Mutant(
        "PReLU on the wrong side",
        CORNERS,
        "slope: PReLU",
        "the slope is learned for positive numbers",
        everywhere(r"where\(x > 0\.0, x, (\S+) \* x\)", r"where(x < 0.0, x, \1 * x)"),
    ),
    Mutant(
        "SiLU in place of mish",
        CORNERS,
        "e = mish(d)",
        "the wrong smooth activation",
        value("e", torch="F.silu(d)", jax="jax.nn.silu(d)", keras="ops.silu(d)"),
    ),
    Mutant(
        "softmax over the wrong axis",
        SHARES,
        "p = softmax",
        "the shares of a feature over time add up to one",
        value(
            "p",
            torch="F.softmax(x / 0.7, dim=1)",
            jax="jax.nn.softmax(x / 0.7, axis=1)",
            keras="ops.softmax(x / 0.7, axis=1)",
        ),
    ),
    Mutant(
        "multiplied by the temperature",
        SHARES,
        "p = softmax",
        "logits are multiplied by the temperature",
        everywhere(r"x / ((?:self\.)?config\.temperature)", r"x * \1"),
    ),
    Mutant(
        "halves of GLU exchanged",
        SHARES,
        "q = glu",
        "the first half gates the second",
        each(
            torch=change(r"(q = .*glu\()x\b", r"\1x.roll(3, -1)"),
            jax=change(r"(q = .*glu\()x\b", r"\1jnp.roll(x, 3, axis=-1)"),
            keras=change(r"(q = .*glu\()x\b", r"\1ops.roll(x, 3, axis=-1)"),
        ),
    ),
    Mutant(
        "logarithm of a bounded softmax",
        SHARES,
        "s = log_softmax",
        "log(softmax(x) + 1e-8)",
        value(
            "s",
            torch="torch.log(F.softmax(x, dim=-1) + 1e-08)",
            jax="jnp.log(jax.nn.softmax(x, axis=-1) + 1e-08)",
            keras="ops.log(ops.softmax(x) + 1e-08)",
        ),
        single=False,
    ),
    Mutant(
        "maximum in place of log-sum-exp",
        SHARES,
        "r = log_sum_exp",
        "the usual approximation",
        value("r", torch="(s * x).amax(-1)", jax="(s * x).max(axis=-1)", keras="ops.max(s * x, axis=-1)"),
    ),
    Mutant(
        "gradient not stopped",
        Place("activation:Stops"),
        "fixed = stop_gradient(b)",
        "the teacher is trained with the student",
        value("fixed", torch="b", jax="b", keras="b"),
        quantity="gradient",
    ),
    Mutant(
        "mean over the wrong axis",
        BOUNDED,
        "return z - mean",
        "the mean of the batch in place of that of the features",
        everywhere(r"(z - .*mean\(.*)=-1", r"\1=0"),
    ),
    Mutant(
        "detached mean in an expression",
        BOUNDED,
        "return z - mean",
        "no gradient flows through the mean",
        each(
            torch=change(r"return z - (.*)$", r"return z - \1.detach()"),
            jax=change(r"return z - (.*)$", r"return z - jax.lax.stop_gradient(\1)"),
            keras=change(r"return z - (.*)$", r"return z - ops.stop_gradient(\1)"),
        ),
        quantity="gradient",
    ),
    Mutant(
        "upper bound of clip ignored",
        BOUNDED,
        "y = clip",
        "numbers are bounded from below only",
        value(
            "y",
            torch="x.clamp(self.config.low)",
            jax="jnp.where(x < config.low, config.low, x)",
            keras="ops.where(x < self.config.low, self.config.low, x)",
        ),
    ),
)
