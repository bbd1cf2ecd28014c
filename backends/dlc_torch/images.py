"""How convolution, pooling and resizing are written in PyTorch (images [N, C, H, W]).

In: an `Application`. Out: the text of the expression.
"""

from __future__ import annotations

from collections.abc import Mapping

from dlc.emit.expressions import Text, binary, call, literal
from dlc.ir import Value
from dlc_torch.lowering import Application, Lowering


def sides(padding: Value, axes: int) -> tuple[tuple[int, int], ...]:
    """(before, after) for each axis."""
    if not isinstance(padding, tuple):
        return ((padding, padding),) * axes
    if axes == 1 and not isinstance(padding[0], tuple):
        return ((padding[0], padding[1]),)
    return tuple(side if isinstance(side, tuple) else (side, side) for side in padding)


def padded(app: Application, axes: int, value: str | None = None) -> tuple[Text, Text | None]:
    """The operand and its `padding=`: one number or one for each axis, else padded beforehand."""
    padding = app.value("padding", 0)
    if not isinstance(padding, tuple):
        return app.x, app.option("padding", 0)
    each = sides(padding, axes)
    if all(before == after for before, after in each):
        return app.x, literal(tuple(before for before, _ in each))
    amounts = tuple(amount for side in reversed(each) for amount in side)
    return call("F.pad", app.x, literal(amounts), value=value), None


def convolution(app: Application) -> Text:
    axes = 1 if app.op == "conv1d" else 2
    x, padding = padded(app, axes)
    return call(
        f"F.{app.op}",
        x,
        app.operands[1].text,
        stride=app.option("stride", 1),
        padding=padding,
        dilation=app.option("dilation", 1),
        groups=app.option("groups", 1),
    )


def conv2d_same(app: Application) -> Text:
    """With stride 1 PyTorch has it; else the image is padded first, an odd zero on the high side."""
    dilation = app.option("dilation", 1)
    groups = app.option("groups", 1)
    weight = app.operands[1].text
    if app.is_default("stride", 1):
        return call("F.conv2d", app.x, weight, padding='"same"', dilation=dilation, groups=groups)
    stride = app.text("stride")
    x = call(app.around.helper("pad_same"), app.x, Text(f"{weight.atom}.shape[2:]"), stride, dilation or "1")
    return call("F.conv2d", x, weight, stride=stride, dilation=dilation, groups=groups)


def conv2d_transpose(app: Application) -> Text:
    return call(
        "F.conv_transpose2d",
        app.x,
        app.operands[1].text,
        stride=app.option("stride", 1),
        padding=app.option("padding", 0),
        output_padding=app.option("output_padding", 0),
    )


def window(app: Application) -> tuple[Text, Text | None]:
    """The size and, where it differs, the stride."""
    size = app.text("size")
    stride = app.text("stride") if app.has("stride") else None
    return size, None if stride is None or stride.code == size.code else stride


def max_pool(app: Application) -> Text:
    size, stride = window(app)
    x, padding = padded(app, 1 if app.op.endswith("1d") else 2, value='float("-inf")')
    return call(f"F.{app.op}", x, size, stride=stride, padding=padding)


def avg_pool(app: Application) -> Text:
    """Padding does not count; uneven padding needs the mean of what is there."""
    size, stride = window(app)
    x, padding = padded(app, 1 if app.op.endswith("1d") else 2)
    if x is app.x:
        excluded = "False" if padding is not None else None
        return call(f"F.{app.op}", x, size, stride=stride, padding=padding, count_include_pad=excluded)
    ones = Text(x.code.replace(app.x.code, f"torch.ones_like({app.x.code})", 1))
    total, live = (call(f"F.{app.op}", operand, size, stride=stride) for operand in (x, ones))
    return binary("/", total, live)


def upsample2d(app: Application) -> Text:
    mode = str(app.value("mode", "nearest"))
    corners = "False" if mode == "bilinear" else None
    return call(
        "F.interpolate",
        app.x,
        scale_factor=app.text("scale"),
        mode=literal(mode),
        align_corners=corners,
    )


def local_response_norm(app: Application) -> Text:
    options = {name: app.text(name) for name in ("alpha", "beta", "k") if name in app.attrs}
    return call("F.local_response_norm", app.x, app.text("size"), **options)


IMAGES: Mapping[str, Lowering] = {
    "conv1d": convolution,
    "conv2d": convolution,
    "conv2d_same": conv2d_same,
    "conv2d_transpose": conv2d_transpose,
    "max_pool1d": max_pool,
    "max_pool2d": max_pool,
    "avg_pool1d": avg_pool,
    "avg_pool2d": avg_pool,
    "upsample2d": upsample2d,
    "local_response_norm": local_response_norm,
}
