"""Bugs of normalising layers."""

from mutation.mutants.table import Mutant, change, each, everywhere, layer, value
from mutation.proving import Place

BATCH = Place("normalisation:Batch")
LAYERED = Place("normalisation:Layered")
GROUPS = Place("normalisation:Groups")
INSTANCES = Place("normalisation:Instances")
ROOT = Place("normalisation:Root")
LENGTHS = Place("normalisation:Lengths")
WHITENED = Place("normalisation:Whitened")
BATCH_LINE = "y = x -> norm: BatchNorm2d"
LAYER_LINE = "-> norm: LayerNorm(eps)"
EPS = r"^(    eps: float = )1e-05$"
RUNNING = (
    r"(0\.9|\(1\.0 - (?:self\.)?momentum\)) \* ((?:self|state)\.running_\w+) \+ (0\.1|(?:self\.)?momentum) \*"
)

KERAS_LAYER_NORM = (
    "(({x} - ops.mean({x}, axis=-1, keepdims=True)) * {scale} * self.norm.gamma + self.norm.beta)"
)
TORCH_LAYER_NORM = "(({x} - {x}.mean(-1, keepdim=True)) * {scale} * self.norm.weight + self.norm.bias)"


def torch_layer_norm(scale: str) -> str:
    """Layer normalisation written out, with another factor."""
    return TORCH_LAYER_NORM.replace("{scale}", scale)


def keras_layer_norm(scale: str) -> str:
    """The same for Keras."""
    return KERAS_LAYER_NORM.replace("{scale}", scale)


MUTANTS = (
    Mutant(
        "epsilon of batch normalisation",
        BATCH,
        BATCH_LINE,
        "epsilon is 1.1e-5 in place of 1e-5",
        everywhere(EPS, r"\g<1>1.1e-05"),
        mode="train",
        single=False,
    ),
    Mutant(
        "unbiased variance in batch normalisation",
        BATCH,
        BATCH_LINE,
        "the batch is divided by the unbiased deviation",
        each(
            torch=change(
                r"y = self\.norm\(x\)",
                "y = (self.norm(x) - self.norm.bias[:, None, None]) * (89 / 90) ** 0.5 + self.norm.bias[:, None, None]",
            ),
            jax=change(r"(var = x\.var\(axis=\(0, 2, 3\))\)", r"\1, ddof=1)"),
            keras=change(r"(var = ops\.var\(.*\))$", r"\1 * (90 / 89)"),
        ),
        mode="train",
    ),
    Mutant(
        "biased running variance",
        BATCH,
        BATCH_LINE,
        "the running variance keeps the biased variance",
        each(
            torch=change(
                r"^( +)y = self\.norm\(x\)$",
                r"\g<0>\n\g<1>self.norm.running_var.data.sub_(0.1 * x.detach().var((0, 2, 3)) / 90)",
            ),
            jax=change(r" \* \(batch \* \w+ \* \w+ / \(batch \* \w+ \* \w+ - 1\)\)", ""),
            keras=change(r" \* \(batch \* \w+ \* \w+ / \(batch \* \w+ \* \w+ - 1\)\)", ""),
        ),
        quantity="state",
        mode="train",
    ),
    Mutant(
        "momentum the other way round",
        BATCH,
        BATCH_LINE,
        "momentum is the weight of the old statistics, as in Keras",
        each(
            torch=change(r"momentum=0\.1", "momentum=0.9"),
            jax=change(RUNNING, r"\3 * \2 + \1 *", 2),
            keras=change(RUNNING, r"\3 * \2 + \1 *", 2),
        ),
        quantity="state",
        mode="train",
    ),
    Mutant(
        "running mean never updated",
        BATCH,
        BATCH_LINE,
        "training leaves the running mean as it is",
        each(
            torch=change(
                r"^( +)y = self\.norm\(x\)$",
                r"\1kept = self.norm.running_mean.clone()\n\g<0>\n\1self.norm.running_mean.data.copy_(kept)",
            ),
            jax=change(r"running_mean=.*? \* mu, running_var", "running_var"),
            keras=change(r"^( +)self\.running_mean\.assign\(.*\)$", r"\1pass"),
        ),
        quantity="state",
        mode="train",
    ),
    Mutant(
        "running statistics while training",
        BATCH,
        BATCH_LINE,
        "training normalises with the running statistics",
        each(
            torch=change(
                r"y = self\.norm\(x\)",
                "y = F.batch_norm(x, self.norm.running_mean, self.norm.running_var, self.norm.weight, self.norm.bias, "
                "False, 0.1, self.norm.eps)",
            ),
            jax=change(r"(batch_norm2d\(params\.norm.*training=)training", r"\1False"),
            keras=change(r"(self\.norm\(x, training=)training", r"\1False"),
        ),
        mode="train",
    ),
    Mutant(
        "detached mean of the batch",
        BATCH,
        BATCH_LINE,
        "no gradient flows through the mean",
        each(
            torch=change(
                r"^( +)y = self\.norm\(x\)$",
                r"\1self.norm(x)\n\1y = (x - x.mean((0, 2, 3), keepdim=True).detach()) * torch.rsqrt("
                "x.var((0, 2, 3), correction=0, keepdim=True) + self.norm.eps) * self.norm.weight[:, None, None] "
                "+ self.norm.bias[:, None, None]",
            ),
            jax=change(r"(mu = )(x\.mean\(.*\))$", r"\1jax.lax.stop_gradient(\2)"),
            keras=change(r"(mu = )(ops\.mean\(.*\))$", r"\1ops.stop_gradient(\2)"),
        ),
        quantity="gradient",
        mode="train",
    ),
    Mutant(
        "detached mean",
        WHITENED,
        "middle = mean(x, axis=0)",
        "no gradient flows through the mean",
        value(
            "middle", torch="({}).detach()", jax="jax.lax.stop_gradient({})", keras="ops.stop_gradient({})"
        ),
        quantity="gradient",
    ),
    Mutant(
        "detached variance",
        WHITENED,
        "spread = variance(x, axis=0)",
        "no gradient flows through the variance",
        value(
            "spread", torch="({}).detach()", jax="jax.lax.stop_gradient({})", keras="ops.stop_gradient({})"
        ),
        quantity="gradient",
    ),
    Mutant(
        "epsilon of layer normalisation",
        LAYERED,
        LAYER_LINE,
        "epsilon is 1.1e-5 in place of 1e-5",
        everywhere(EPS, r"\g<1>1.1e-05"),
        single=False,
    ),
    Mutant(
        "unbiased variance in layer normalisation",
        LAYERED,
        LAYER_LINE,
        "the variance is divided by n - 1",
        layer(
            "norm",
            torch=torch_layer_norm("torch.rsqrt({x}.var(-1, keepdim=True) + self.norm.eps)"),
            keras=keras_layer_norm(
                "ops.rsqrt(1.25 * ops.var({x}, axis=-1, keepdims=True) + self.config_eps)"
            ).replace("self.config_eps", "1e-05"),
        )
        | each(jax=change(r"(x\.var\(axis=-1, keepdims=True)\)", r"\1, ddof=1)")),
    ),
    Mutant(
        "epsilon outside the square root",
        LAYERED,
        LAYER_LINE,
        "divided by sqrt(variance) + epsilon",
        layer(
            "norm",
            torch=torch_layer_norm(
                "(1.0 / ({x}.var(-1, correction=0, keepdim=True).sqrt() + self.norm.eps))"
            ),
            keras=keras_layer_norm("(1.0 / (ops.sqrt(ops.var({x}, axis=-1, keepdims=True)) + 1e-05))"),
        )
        | each(jax=change(r"jax\.lax\.rsqrt\((x\.var\(.*?\)) \+ eps\)", r"(1.0 / (jnp.sqrt(\1) + eps))")),
    ),
    Mutant(
        "bias of layer normalisation dropped",
        LAYERED,
        LAYER_LINE,
        "the shift is not added",
        layer(
            "norm",
            torch="({} - self.norm.bias)",
            jax="({} - params.norm.bias)",
            keras="({} - self.norm.beta)",
        ),
    ),
    Mutant(
        "gradient through the variance stopped",
        LAYERED,
        LAYER_LINE,
        "layer normalisation treats its deviation as a constant",
        layer(
            "norm",
            torch=torch_layer_norm(
                "torch.rsqrt({x}.var(-1, correction=0, keepdim=True) + self.norm.eps).detach()"
            ),
            keras=keras_layer_norm(
                "ops.stop_gradient(ops.rsqrt(ops.var({x}, axis=-1, keepdims=True) + 1e-05))"
            ),
        )
        | each(jax=change(r"(jax\.lax\.rsqrt\(x\.var\(.*?\) \+ eps\))", r"jax.lax.stop_gradient(\1)")),
        quantity="gradient",
    ),
    Mutant(
        "one group in place of two",
        GROUPS,
        "-> norm: GroupNorm(groups)",
        "group normalisation over all channels together",
        everywhere(r"^(    groups: int = )2$", r"\g<1>1"),
    ),
    Mutant(
        "epsilon of group normalisation",
        GROUPS,
        "-> norm: GroupNorm(groups)",
        "epsilon is 1.1e-5 in place of 1e-5",
        everywhere(r"1e-05", "1.1e-05"),
        single=False,
    ),
    Mutant(
        "epsilon of instance normalisation",
        INSTANCES,
        "-> norm: InstanceNorm2d",
        "epsilon is 1.1e-5 in place of 1e-5",
        everywhere(EPS, r"\g<1>1.1e-05"),
        single=False,
    ),
    Mutant(
        "statistics of the batch in instance normalisation",
        INSTANCES,
        "-> norm: InstanceNorm2d",
        "each channel is normalised over all images",
        each(
            torch=change(
                r"self\.norm\(x\)",
                "F.batch_norm(x, None, None, self.norm.weight, self.norm.bias, True, 0.1, self.norm.eps)",
            ),
            jax=change(r"axis=\((\d), (\d)\), keepdims=True", r"axis=(0, \1, \2), keepdims=True", 2),
            keras=change(r"axis=\((\d), (\d)\), keepdims=True", r"axis=(0, \1, \2), keepdims=True", 2),
        ),
    ),
    Mutant(
        "epsilon of the dtype",
        ROOT,
        "-> norm: RMSNorm(eps)",
        "epsilon is 1.19e-7, PyTorch's default in 32 bits, in place of 1e-6",
        everywhere(r"^(    eps: float = )1e-06$", r"\g<1>1.19e-07"),
        single=False,
    ),
    Mutant(
        "root mean square of centred numbers",
        ROOT,
        "-> norm: RMSNorm(eps)",
        "the mean is subtracted first, as in layer normalisation",
        layer(
            "norm",
            torch="self.norm({x} - {x}.mean(-1, keepdim=True))",
            jax=r"\g<function>(params.norm, {x} - {x}.mean(axis=-1, keepdims=True)\g<more>)",
            keras="self.norm({x} - ops.mean({x}, axis=-1, keepdims=True))",
        ),
    ),
    Mutant(
        "epsilon bounds the length",
        LENGTHS,
        "return l2_normalize",
        "epsilon bounds the length in place of its square",
        each(
            torch=change(r"(eps=self\.config\.bound) \*\* 0\.5", r"\1"),
            jax=change(r", eps\)\)$", ", eps ** 2))"),
            keras=change(r", eps\)\)$", ", eps ** 2))"),
        ),
    ),
)
