"""Lowerings of convolutions, pools and resizing.

Strides, sizes and paddings are one number for all axes, one for each, or (low, high) pairs. Helpers
of the generated file take one number; the other forms are written out.
"""

from __future__ import annotations

from collections.abc import Mapping

from dlc.emit.expressions import elements
from dlc.ir import Expr
from dlc_jax.lowering import Application, Lowering, call


def per_axis(at: Application, name: str, axes: int, default: int) -> str:
    """One number for each axis: `(2, 2)`."""
    if name not in at.attrs:
        return f"({', '.join([str(default)] * axes)},)"
    if isinstance(at.value(name), tuple):
        return at.text(name)
    return f"({', '.join([at.text(name)] * axes)},)"


def pads(at: Application, axes: int) -> str:
    """(low, high) for each axis: `[(1, 1), (1, 1)]`."""
    if "padding" not in at.attrs:
        return f"[{', '.join(['(0, 0)'] * axes)}]"
    expr = at.attrs["padding"]
    if not isinstance(expr.value, tuple):
        text = at.text("padding")
        return f"[{', '.join([f'({text}, {text})'] * axes)}]"
    if axes == 1:
        return f"[{at.text('padding')}]"

    def sides(item: Expr) -> str:
        text = at.surroundings.text(item)
        return text if isinstance(item.value, tuple) else f"({text}, {text})"

    return f"[{', '.join(map(sides, elements(expr)))}]"


def convolution(axes: int, padding: str | None = None) -> Lowering:
    """A convolution over `axes` axes; `padding` is a mode of JAX, None for the attribute."""
    letters = "HW"[2 - axes :]
    layout = f'("NC{letters}", "OI{letters}", "NC{letters}")'

    def lower(at: Application) -> str:
        dilated = not at.is_fixed("dilation", 1)
        grouped = not at.is_fixed("groups", 1)
        return call(
            "jax.lax.conv_general_dilated",
            at[0],
            at[1],
            window_strides=per_axis(at, "stride", axes, 1),
            padding=padding or pads(at, axes),
            rhs_dilation=per_axis(at, "dilation", axes, 1) if dilated else None,
            feature_group_count=at.text("groups") if grouped else None,
            dimension_numbers=layout,
        )

    return lower


def is_plain(at: Application, *names: str) -> bool:
    """Whether all of these attributes are single numbers."""
    return not any(isinstance(at.value(name), tuple) for name in names)


def conv_transpose(at: Application) -> str:
    names = ("stride", "padding", "output_padding")
    if not is_plain(at, *names):
        return transpose_written_out(at)
    given = {"stride": 1, "padding": 0, "output_padding": 0}
    options = {name: None if at.is_fixed(name, default) else at.text(name) for name, default in given.items()}
    return call(at.helper("conv_transpose"), at[0], at[1], **options)


def transpose_written_out(at: Application) -> str:
    """The transposed convolution by its recipe; the kernel's size is known here."""
    weight = at.operands[1].type
    assert weight is not None
    stride, padding, extra = (
        at.value(name, default) for name, default in (("stride", 1), ("padding", 0), ("output_padding", 0))
    )

    def both(value: object) -> tuple[object, object]:
        return (value[0], value[1]) if isinstance(value, tuple) else (value, value)

    edges = []
    for size, side, more in zip(weight.sizes[2:], both(padding), both(extra), strict=True):
        low, high = both(side)
        edges.append(f"({size} - 1 - {low}, {size} - 1 - {high} + {more})")
    return call(
        "jax.lax.conv_general_dilated",
        at[0],
        f"jnp.flip({at[1]}, (2, 3))",
        window_strides="(1, 1)",
        padding=f"[{', '.join(edges)}]",
        lhs_dilation=str(both(stride)),
        dimension_numbers='("NCHW", "IOHW", "NCHW")',
    )


def pool(helper: str, axes: int) -> Lowering:
    def lower(at: Application) -> str:
        if not is_plain(at, "size", "stride", "padding"):
            return pool_written_out(at, helper, axes)
        stride = at.text("stride") if at.has("stride") else at.text("size")
        padding = None if at.is_fixed("padding", 0) else at.text("padding")
        return call(at.helper(helper), at[0], size=at.text("size"), stride=stride, padding=padding)

    return lower


def pool_written_out(at: Application, helper: str, axes: int) -> str:
    size = per_axis(at, "size", axes, 1)
    stride = per_axis(at, "stride", axes, 1) if at.has("stride") else size
    settings = (f"(1, 1, *{size})", f"(1, 1, *{stride})", f"[(0, 0), (0, 0), *{pads(at, axes)}]")
    if helper == "max_pool":
        return call("jax.lax.reduce_window", at[0], "-jnp.inf", "jax.lax.max", *settings)
    total = call("jax.lax.reduce_window", at[0], "0.0", "jax.lax.add", *settings)
    ones = f"jnp.ones_like({at[0]})"
    return f"{total} / {call('jax.lax.reduce_window', ones, '0.0', 'jax.lax.add', *settings)}"


def upsample(at: Application) -> str:
    nearest = at.value("mode", "nearest") == "nearest"
    if is_plain(at, "scale"):
        return call(
            at.helper("upsample_nearest" if nearest else "upsample_bilinear"),
            at[0],
            at.text("scale"),
        )
    rows, columns = map(at.surroundings.text, at.items("scale"))
    if nearest:
        return f"{at.x}.repeat({rows}, axis=2).repeat({columns}, axis=3)"
    assert at.type is not None
    shape = f"({', '.join(map(at.surroundings.text, at.type.shape))})"
    return f'jax.image.resize({at[0]}, {shape}, "bilinear", antialias=False)'


def local_response_norm(at: Application) -> str:
    defaults = {"alpha": "1e-4", "beta": "0.75", "k": "1.0"}
    options = {name: at.text(name, default) for name, default in defaults.items()}
    return call(at.helper("local_response_norm"), at[0], size=at.text("size"), **options)


WINDOWS: Mapping[str, Lowering] = {
    "conv2d": convolution(2),
    "conv1d": convolution(1),
    "conv2d_same": convolution(2, '"SAME"'),
    "conv2d_transpose": conv_transpose,
    "max_pool2d": pool("max_pool", 2),
    "avg_pool2d": pool("avg_pool", 2),
    "max_pool1d": pool("max_pool", 1),
    "avg_pool1d": pool("avg_pool", 1),
    "upsample2d": upsample,
    "local_response_norm": local_response_norm,
}
