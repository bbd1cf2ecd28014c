"""Lowerings of convolutions, pools and resizing of images `[N, H, W, C]` and sequences `[N, T, C]`.

Strides, sizes and paddings are one number for all axes, one for each, or (low, high) pairs. Weights come in
the specification's layout. Padding is written out: the frameworks' own modes differ.
"""

from __future__ import annotations

from collections.abc import Mapping

from dlc.emit.expressions import Text, binary, call, elements, subscript, tuple_of
from dlc.ir import Expr
from dlc_keras.lowering import Application, Lowering

KERNEL_AXES = {1: "(2, 1, 0)", 2: "(2, 3, 1, 0)"}
"""From `[out, in, *kernel]` to `[*kernel, in, out]`."""


def kernel(at: Application, axes: int) -> Text:
    return call("ops.transpose", at[1], KERNEL_AXES[axes])


def pads(at: Application, axes: int) -> Text:
    """(low, high) for each axis: `((0, 0), (1, 1), (1, 1), (0, 0))`."""
    expr = at.attrs["padding"]

    def pair(item: Expr) -> Text:
        text = at.surroundings.text(item)
        return text if isinstance(item.value, tuple) else tuple_of([text, text])

    if not isinstance(expr.value, tuple):
        sides = [pair(expr)] * axes
    else:
        sides = [pair(item) for item in elements(expr)] if axes == 2 else [at.text("padding")]
    return tuple_of(["(0, 0)", *sides, "(0, 0)"])


def padded(at: Application, axes: int) -> Text:
    if at.is_fixed("padding", 0):
        return at[0]
    return call("ops.pad", at[0], pads(at, axes))


def convolution(axes: int) -> Lowering:
    """Groups show in the kernel's shape. With stride and dilation, the stride is taken afterwards."""

    def lower(at: Application) -> Text:
        dilation = at.unless("dilation", 1)
        stride = at.unless("stride", 1)
        text = padded(at, axes)
        if dilation is None or stride is None:
            return call("ops.conv", text, kernel(at, axes), strides=stride, dilation_rate=dilation)
        text = call("ops.conv", text, kernel(at, axes), dilation_rate=dilation)
        return strided(at, text, axes)

    return lower


def strided(at: Application, text: Text, axes: int) -> Text:
    """Every `stride`-th window."""
    steps = [at.text("stride")] * axes
    if isinstance(at.value("stride"), tuple):
        steps = [at.surroundings.text(item) for item in at.items("stride")]
    return subscript(text, ":", *(f"::{step.item}" for step in steps))


def conv2d_same(at: Application) -> Text:
    """TensorFlow's SAME. With stride and dilation, the padding is worked out here."""
    stride, dilation = at.unless("stride", 1), at.unless("dilation", 1)
    if stride is None or dilation is None:
        return call(
            "ops.conv", at[0], kernel(at, 2), strides=stride, padding='"same"', dilation_rate=dilation
        )
    x, weight = at.operands[0].type, at.operands[1].type
    assert x is not None
    assert weight is not None
    sides: list[Text | str] = ["(0, 0)"]
    for size, width in zip(x.sizes[1:3], weight.sizes[2:], strict=True):
        assert isinstance(size, int)
        assert isinstance(width, int)
        step, spread = int(at.value("stride")), int(at.value("dilation"))
        total = max((-(-size // step) - 1) * step + spread * (width - 1) + 1 - size, 0)
        sides.append(f"({total // 2}, {total - total // 2})")
    spaced = call("ops.pad", at[0], tuple_of([*sides, "(0, 0)"]))
    return strided(at, call("ops.conv", spaced, kernel(at, 2), dilation_rate=dilation), 2)


def is_plain(at: Application, *names: str) -> bool:
    """Whether all of these attributes are single numbers."""
    return not any(isinstance(at.value(name), tuple) for name in names)


def conv_transpose(at: Application) -> Text:
    if not is_plain(at, "stride", "padding", "output_padding"):
        return transpose_written_out(at)
    options = {name: at.unless(name, default) for name, default in
               (("stride", 1), ("padding", 0), ("output_padding", 0))}  # fmt: skip
    return call(at.helper("conv_transpose"), at[0], at[1], **options)


def transpose_written_out(at: Application) -> Text:
    """Pairs of strides and paddings: the kernel's and the image's sizes are known here."""
    x, weight = at.operands[0].type, at.operands[1].type
    assert x is not None
    assert weight is not None

    def both(name: str, default: int) -> tuple[int, int]:
        value = at.value(name, default)
        return (value[0], value[1]) if isinstance(value, tuple) else (value, value)

    strides, sides, extras = both("stride", 1), both("padding", 0), both("output_padding", 0)
    text = call("ops.conv_transpose", at[0], call("ops.transpose", at[1], "(2, 3, 1, 0)"), str(strides))
    text = call("ops.pad", text, f"((0, 0), (0, {extras[0]}), (0, {extras[1]}), (0, 0))")
    cuts = []
    for axis in (0, 1):
        size, width = x.sizes[1 + axis], weight.sizes[2 + axis]
        assert isinstance(size, int)
        assert isinstance(width, int)
        stop = (size - 1) * strides[axis] + width - sides[axis] + extras[axis]
        cuts.append(f"{sides[axis]}:{stop}")
    return subscript(text, ":", *cuts)


def pool(helper: str, axes: int) -> Lowering:
    def lower(at: Application) -> Text:
        size = at.text("size")
        stride = at.text("stride") if at.has("stride") else size
        name = "ops.max_pool" if helper == "max_pool" else "ops.average_pool"
        if at.is_fixed("padding", 0):
            return call(name, at[0], size, stride)
        if is_plain(at, "size", "stride", "padding"):
            return call(at.helper(helper), at[0], size, stride, at.text("padding"))
        sides = pads(at, axes)
        if helper == "max_pool":
            spaced = call("ops.pad", at[0], sides, constant_values='float("-inf")')
            return call(name, spaced, size, stride)
        live = call("ops.pad", call("ops.ones_like", at[0]), sides)
        total = call(name, call("ops.pad", at[0], sides), size, stride)
        return binary("/", total, call(name, live, size, stride))

    return lower


def upsample(at: Application) -> Text:
    scales = [at.text("scale")] * 2
    if not is_plain(at, "scale"):
        scales = [at.surroundings.text(item) for item in at.items("scale")]
    if at.value("mode", "nearest") == "nearest":
        return call("ops.repeat", call("ops.repeat", at[0], scales[0], axis="1"), scales[1], axis="2")
    return call(at.helper("upsample_bilinear"), at[0], scales[0])


def local_response_norm(at: Application) -> Text:
    settings = [at.text(name, default) for name, default in (("alpha", 1e-4), ("beta", 0.75), ("k", 1.0))]
    return call(at.helper("local_response_norm"), at[0], at.text("size"), *settings)


WINDOWS: Mapping[str, Lowering] = {
    "conv1d": convolution(1),
    "conv2d": convolution(2),
    "conv2d_same": conv2d_same,
    "conv2d_transpose": conv_transpose,
    "max_pool1d": pool("max_pool", 1),
    "avg_pool1d": pool("avg_pool", 1),
    "max_pool2d": pool("max_pool", 2),
    "avg_pool2d": pool("avg_pool", 2),
    "upsample2d": upsample,
    "local_response_norm": local_response_norm,
}
