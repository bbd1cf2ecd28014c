"""Bugs of what is added up by index, of codebooks and of draws."""

from mutation.mutants.table import Mutant, change, each, everywhere, value
from mutation.proving import Place

MESSAGES = Place("graph:Messages")
NEIGHBOURS = Place("graph:Neighbours")
CODES = Place("graph:Codes")
DRAWS = Place("graph:Draws")
MEAN = "total = segment_mean"
RECEIVED = "received = segment_sum"


def stopped(pattern: str) -> dict[str, str]:
    """A value without its gradient, in each target."""
    return {
        "torch": f"({pattern}).detach()",
        "jax": f"jax.lax.stop_gradient({pattern})",
        "keras": f"ops.stop_gradient({pattern})",
    }


MUTANTS = (
    Mutant(
        "sum in place of mean",
        MESSAGES,
        MEAN,
        "segments are added up and not divided",
        each(
            torch=change(r"return total / .*$", "return total"),
            jax=change(r"return total / .*$", "return total"),
            keras=change(r"return total / .*$", "return total"),
        ),
        seed=1,
    ),
    Mutant(
        "mean over all rows",
        MESSAGES,
        MEAN,
        "each segment's sum is divided by the number of all rows",
        everywhere(r"return total / .*$", "return total / batch"),
        seed=1,
    ),
    Mutant(
        "empty segments not 0",
        MESSAGES,
        "peak = segment_max",
        "the largest element of no rows is -1",
        everywhere(r"(where\(rows > 0, .*), 0\.0\)$", r"\1, -1.0)"),
        seed=1,
    ),
    Mutant(
        "smallest in place of largest",
        MESSAGES,
        "peak = segment_max",
        "the wrong end of each segment",
        each(
            torch=change(r"peak = (segment_max\()h", r"peak = -\1-h"),
            jax=change(r"peak = (segment_max\()h", r"peak = -\1-h"),
            keras=change(r"peak = (segment_max\()h", r"peak = -\1-h"),
        ),
        seed=1,
    ),
    Mutant(
        "softmax over all rows",
        MESSAGES,
        "share = segment_softmax",
        "shares add up to one over the batch, not within each segment",
        value(
            "share",
            torch="torch.softmax(h, dim=0)",
            jax="jax.nn.softmax(h, axis=0)",
            keras="ops.softmax(h, axis=0)",
        ),
        seed=1,
    ),
    Mutant(
        "edges the other way round",
        NEIGHBOURS,
        RECEIVED,
        "source and target are exchanged",
        each(
            torch=change(r"y\[source\], target", "y[target], source"),
            jax=change(r"y\[source\], target", "y[target], source"),
            keras=change(r"ops\.take\(y, source, axis=0\), target", "ops.take(y, target, axis=0), source"),
        ),
        seed=2,
    ),
    Mutant(
        "last of equal targets wins",
        NEIGHBOURS,
        RECEIVED,
        "rows with one target overwrite each other in place of being added",
        value(
            "received",
            torch="torch.zeros_like(y).index_copy(0, target, y[source])",
            jax="jnp.zeros_like(y).at[target].set(y[source])",
            keras="ops.scatter_update(ops.zeros_like(y), target[:, None], ops.take(y, source, axis=0))",
        ),
        seed=2,
    ),
    Mutant(
        "node counted twice",
        NEIGHBOURS,
        "degree = 1.0 + segment_sum",
        "the degree has two edges from each node to itself",
        everywhere(r"degree = 1\.0 \+ ", "degree = 2.0 + "),
    ),
    Mutant(
        "normalised on one side",
        NEIGHBOURS,
        "return scale * (y + received)",
        "only what is sent is scaled, not what is received",
        everywhere(r"return scale \* \(y \+ received\)", "return y + received"),
    ),
    Mutant(
        "messages without gradient",
        NEIGHBOURS,
        RECEIVED,
        "no gradient flows through what is received",
        value("received", **stopped("{}")),
        quantity="gradient",
    ),
    Mutant(
        "straight through left out",
        CODES,
        "through = z + stop_gradient",
        "the decoder reads the codebook, and the encoder learns nothing from it",
        value("through", torch="near", jax="near", keras="near"),
        quantity="gradient",
    ),
    Mutant(
        "encoder and codebook both trained",
        CODES,
        "through = z + stop_gradient",
        "the difference to the code keeps its gradient",
        value("through", torch="z + (near - z)", jax="z + (near - z)", keras="z + (near - z)"),
        quantity="gradient",
    ),
    Mutant(
        "commitment trains the codebook",
        Place("graph:Commitment"),
        "hold = mse",
        "the gradient stops on the wrong side",
        each(
            torch=change(r"mse_loss\(z, near\.detach\(\)\)", "mse_loss(z.detach(), near)"),
            jax=change(r"mse\(z, jax\.lax\.stop_gradient\(near\)\)", "mse(jax.lax.stop_gradient(z), near)"),
            keras=change(r"mse\(z, ops\.stop_gradient\(near\)\)", "mse(ops.stop_gradient(z), near)"),
        ),
        quantity="gradient",
    ),
    Mutant(
        "farthest code",
        CODES,
        "code = argmin",
        "the largest distance is chosen",
        everywhere(r"argmin", "argmax"),
    ),
    Mutant(
        "temperature left out",
        DRAWS,
        "noisy = logits / temperature + noise",
        "the logits are not divided",
        everywhere(r"logits / (?:self\.)?config\.temperature", "logits"),
    ),
    Mutant(
        "sign of the noise",
        DRAWS,
        "noisy = logits / temperature + noise",
        "the noise is subtracted",
        everywhere(r"config\.temperature \+ noise", "config.temperature - noise"),
    ),
    Mutant(
        "slices one too long",
        Place("graph:Slices"),
        "part = tanh(x[:, i:])",
        "each slice starts one place earlier, the last but one at the same place as the first",
        everywhere(r"x\[:, i:\]", "x[:, i - 1:][:, :5 - i]"),
    ),
)
