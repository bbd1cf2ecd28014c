"""Bugs of convolutions, pooling and resizing."""

from mutation.mutants.table import Mutant, change, each, everywhere, layer, value
from mutation.proving import Place

STRIDED = Place("convolution:Strided")
GROUPED = Place("convolution:Grouped")
CAUSAL = Place("convolution:Causal")
UP = Place("convolution:Up")
POOLS = Place("convolution:Pools")
RESIZED = Place("convolution:Resized")
SHUFFLED = Place("convolution:Shuffled")
FIRST, SECOND = "first: Conv2d", "second: Conv2d"
MIXED = "[0, 2, 4, 6, 1, 3, 5, 7]"

MUTANTS = (
    Mutant(
        "same padding on the low side",
        STRIDED,
        FIRST,
        "the odd zero of padding for stride 2 is put before the image",
        each(
            torch=change(r"total // 2, total - total // 2", "total - total // 2, total // 2"),
            jax=change(r"padding='SAME'", "padding='SAME_LOWER'"),
            keras=(
                *change(r"strides=2, padding='same'", "strides=2, padding='valid'"),
                *change(
                    r"self\.first\(image\)", "self.first(ops.pad(image, ((0, 0), (1, 1), (1, 0), (0, 0))))"
                ),
            ),
        ),
    ),
    Mutant(
        "same padding on both sides",
        STRIDED,
        FIRST,
        "padding for stride 2 is kernel // 2 on every side",
        each(
            torch=change(r"F\.pad\(x, pads\)", "F.pad(x, (1, 1, 1, 1))"),
            jax=change(r"padding='SAME'", "padding=((1, 1), (1, 1))"),
            keras=(
                *change(r"strides=2, padding='same'", "strides=2, padding='valid'"),
                *change(
                    r"self\.first\(image\)", "self.first(ops.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0))))"
                ),
            ),
        ),
    ),
    Mutant(
        "bias of a convolution dropped",
        STRIDED,
        SECOND,
        "the convolution adds no bias",
        layer(
            "second",
            torch="({} - self.second.bias[:, None, None])",
            jax="({} - params.second.bias[:, None, None])",
            keras="({} - self.second.bias)",
        ),
    ),
    Mutant(
        "kernel flipped",
        STRIDED,
        SECOND,
        "a true convolution in place of a cross-correlation",
        layer(
            "second",
            torch="self.second({x}.flip(2, 3)).flip(2, 3)",
            jax=r"jnp.flip(\g<function>(params.second, jnp.flip({x}, (2, 3))\g<more>), (2, 3))",
            keras="ops.flip(self.second(ops.flip({x}, (1, 2))), (1, 2))",
        ),
    ),
    Mutant(
        "kernel transposed",
        STRIDED,
        SECOND,
        "height and width of the kernel are exchanged",
        layer(
            "second",
            torch="self.second({x}.mT).mT",
            jax=r"\g<function>(params.second, {x}.swapaxes(2, 3)\g<more>).swapaxes(2, 3)",
            keras="ops.swapaxes(self.second(ops.swapaxes({x}, 1, 2)), 1, 2)",
        ),
    ),
    Mutant(
        "image shifted by one row",
        STRIDED,
        SECOND,
        "two rows of zeros above the image and none below it",
        layer(
            "second",
            torch="self.second(F.pad({x}, (0, 0, 1, -1)))",
            jax=r"\g<function>(params.second, jnp.pad({x}, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]\g<more>)",
            keras="self.second(ops.pad({x}, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1])",
        ),
    ),
    Mutant(
        "dilation ignored",
        GROUPED,
        "group: Conv2d",
        "a dilated convolution looks at the next pixels",
        each(
            torch=change(r"padding=2, dilation=2", "padding=1, dilation=1"),
            jax=change(r"padding=2, dilation=2", "padding=1, dilation=1"),
            keras=change(r"dilation_rate=2", "dilation_rate=1"),
        ),
    ),
    Mutant(
        "groups interleaved",
        GROUPED,
        "group: Conv2d",
        "channels go to the groups in turn in place of in runs",
        layer(
            "group",
            torch="self.group({x}[:, [0, 2, 1, 3]])",
            jax=r"\g<function>(params.group, {x}[:, jnp.array([0, 2, 1, 3])]\g<more>)",
            keras="self.group(ops.take({x}, [0, 2, 1, 3], axis=3))",
        ),
    ),
    Mutant(
        "causal convolution sees the next step",
        CAUSAL,
        "conv: Conv1d",
        "causal padding is one step short",
        layer(
            "conv",
            torch="self.conv(F.pad({x}, (-1, 1)))",
            jax=r"\g<function>(params.conv, jnp.pad({x}[:, :, 1:], ((0, 0), (0, 0), (0, 1)))\g<more>)",
            keras="self.conv(ops.pad({x}[:, 1:], ((0, 0), (0, 1), (0, 0))))",
        ),
    ),
    Mutant(
        "transposed convolution cropped on the wrong side",
        UP,
        "up: ConvTranspose2d",
        "the output padding is put before the image, as in Keras' SAME",
        each(
            torch=(
                *change(r"padding=1, output_padding=1", "padding=0, output_padding=0"),
                *change(r"self\.up\(x\)", "self.up(x)[:, :, :-1, :-1]"),
            ),
            jax=change(r"\(edge, edge \+ output_padding\)", "(edge + output_padding, edge)"),
            keras=change(
                r"x\[:, padding:sizes\[0\], padding:sizes\[1\]\]",
                "x[:, padding - 1:sizes[0] - 1, padding - 1:sizes[1] - 1]",
            ),
        ),
    ),
    Mutant(
        "transposed convolution with the kernel flipped",
        UP,
        "up: ConvTranspose2d",
        "the kernel of a transposed convolution is not turned around",
        each(
            torch=change(
                r"self\.up\(x\)",
                "F.conv_transpose2d(x, self.up.weight.flip(2, 3), self.up.bias, stride=2, padding=1, output_padding=1)",
            ),
            jax=change(r"jnp\.flip\(weight, \(2, 3\)\)", "weight"),
            keras=change(
                r"ops\.transpose\(weight, \(2, 3, 1, 0\)\)",
                "ops.flip(ops.transpose(weight, (2, 3, 1, 0)), (0, 1))",
            ),
        ),
    ),
    Mutant(
        "max pooling pads with zeros",
        POOLS,
        "a = max_pool2d",
        "padding wins over negative numbers",
        value(
            "a",
            torch="F.max_pool2d(F.pad(x, (1, 1, 1, 1)), self.config.size, stride=2)",
            jax="max_pool(jnp.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), size=config.size, stride=2)",
            keras="ops.max_pool(ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), self.config.size, 2)",
        ),
    ),
    Mutant(
        "average pooling counts the padding",
        POOLS,
        "b = avg_pool2d",
        "windows at the edge are divided by their full size",
        each(
            torch=change(r"count_include_pad=False", "count_include_pad=True"),
            jax=change(r"total\(x\) / total\(.*\)$", "total(x) / size ** 2"),
            keras=change(r"return total / .*$", "return total"),
        ),
    ),
    Mutant(
        "average in place of maximum",
        POOLS,
        "a = max_pool2d",
        "the wrong kind of pooling",
        value(
            "a",
            torch="F.avg_pool2d(x, self.config.size, stride=2, padding=1, count_include_pad=False)",
            jax="avg_pool(x, size=config.size, stride=2, padding=1)",
            keras="avg_pool(x, self.config.size, 2, 1)",
        ),
    ),
    Mutant(
        "bilinear in place of nearest",
        RESIZED,
        "a = upsample2d",
        "the wrong kind of upsampling",
        value(
            "a",
            torch="F.interpolate(torch.tanh(image), scale_factor=2, mode='bilinear', align_corners=False)",
            jax="upsample_bilinear(jnp.tanh(image), 2)",
            keras="upsample_bilinear(ops.tanh(image), 2)",
        ),
    ),
    Mutant(
        "corners aligned",
        RESIZED,
        "b = upsample2d",
        "bilinear upsampling with align_corners=True",
        each(
            torch=change(r"align_corners=False", "align_corners=True"),
            jax=change(
                r"jax\.image\.resize\(x, shape, 'bilinear', antialias=False\)",
                "jax.image.scale_and_translate(x, shape, (2, 3), jnp.array([9 / 4, 11 / 5]), "
                "jnp.array([0.5 - 9 / 8, 0.5 - 11 / 10]), 'linear', antialias=False)",
            ),
            keras=change(
                r"\(np\.arange\(scale \* size\) \+ 0\.5\) / scale - 0\.5",
                "np.arange(scale * size) * (size - 1) / (scale * size - 1)",
            ),
        ),
    ),
    Mutant(
        "alpha not divided by the size",
        Place("convolution:Neighbours"),
        "return local_response_norm",
        "local response normalisation as in TensorFlow",
        each(
            torch=change(r"alpha=0\.3", "alpha=0.9"),
            jax=change(r"alpha / size \*", "alpha *"),
            keras=change(r"alpha / size \*", "alpha *"),
        ),
    ),
    Mutant(
        "channel shuffle the other way round",
        SHUFFLED,
        "x = channel_shuffle",
        "the number of groups and the size of a group are exchanged",
        everywhere(r"(channel_shuffle\(image, groups=)(?:self\.)?config\.groups", r"\g<1>4"),
    ),
    Mutant(
        "pixel shuffle in depth-major order",
        SHUFFLED,
        "y = pixel_shuffle",
        "the order of channels of TensorFlow's depth_to_space",
        each(
            torch=change(r"pixel_shuffle\(x, 2", f"pixel_shuffle(x[:, {MIXED}], 2"),
            jax=change(r"y = pixel_shuffle\(x", f"y = pixel_shuffle(x[:, jnp.array({MIXED})]"),
            keras=change(r"y = pixel_shuffle\(x", f"y = pixel_shuffle(ops.take(x, {MIXED}, axis=1)"),
        ),
    ),
    Mutant(
        "flatten in channels-last order",
        SHUFFLED,
        "z = y -> flatten",
        "an image is flattened with its channels last",
        value(
            "z",
            torch="y.permute(0, 2, 3, 1).flatten(1)",
            jax="y.transpose(0, 2, 3, 1).reshape(y.shape[0], -1)",
            keras="ops.reshape(ops.transpose(y, (0, 2, 3, 1)), (ops.shape(y)[0], -1))",
        ),
    ),
    Mutant(
        "exclusive running sum",
        SHUFFLED,
        "return z * cumsum(z)",
        "each running sum leaves its own element out",
        everywhere(r"return z \* (.*cumsum\(.*\))$", r"return z * (\1 - z)"),
    ),
    Mutant(
        "flatten of the digits in channels-last order",
        Place("vision/lenet5:LeNet5"),
        "-> flatten",
        "the feature maps are flattened with their channels last",
        each(
            torch=change(r"(\w+)\.flatten\(1\)", r"\1.permute(0, 2, 3, 1).flatten(1)"),
            jax=change(r"(\w+)(\.reshape\(\1\.shape\[0\], -1\))", r"\1.transpose(0, 2, 3, 1)\2"),
            keras=change(r"flatten\(ops\.transpose\((\w+), \(0, 3, 1, 2\)\)\)", r"flatten(\1)"),
        ),
    ),
)
