"""Shapes of products that sum over an axis."""

from __future__ import annotations

from dlc import statics
from dlc.elaborate.shapes.application import Application, plural_axes
from dlc.elaborate.shapes.broadcasting import broadcast_shape, promote
from dlc.ir import Expr, TensorType
from dlc.modules import plural


def matmul(site: Application) -> list[TensorType]:
    a, b = site.type(0), site.type(1)
    dtype = promote(site, (0, 1))
    if a.rank == 0 or b.rank < 2:
        side = "the right side needs two axes or more" if a.rank else "the left side has no axis"
        raise site.fail("E0302", f"`@` of {a} and {b}", side, help="a matrix product is [..., m, k] @ [k, n]")
    message = f"`@` of {a} and {b}: the inner sizes differ"
    site.equal(a.shape[-1], b.shape[-2], message)
    if a.rank == 1:
        return [TensorType(dtype=dtype, shape=(*b.shape[:-2], b.shape[-1]))]
    batch: tuple[Expr, ...] = a.shape[:-2]
    if b.rank > 2:
        batch = broadcast_shape(site, [a.shape[:-2], b.shape[:-2]])
    return [TensorType(dtype=dtype, shape=(*batch, a.shape[-2], b.shape[-1]))]


def einsum(site: Application) -> list[TensorType]:
    equation = site.attrs["equation"].value
    sides = equation.split("->") if isinstance(equation, str) else []
    if len(sides) != 2:
        raise site.fail(
            "E0308",
            "an equation needs `->`",
            f"this is {statics.show(equation)}",
            help='write for example "b i k, b k j -> b i j"',
        )
    operands = [side.split() for side in sides[0].split(",")]
    if len(operands) != len(site.inputs):
        raise site.fail(
            "E0308",
            f"the equation names {plural(len(operands), 'tensor')}, {len(site.inputs)} given",
            "in this equation",
            "separate the axes of each tensor by a comma",
        )
    sizes: dict[str, Expr] = {}
    for position, names in enumerate(operands):
        type_ = site.type(position)
        if len(names) != type_.rank:
            raise site.fail(
                "E0308",
                f"operand {position + 1} has {plural_axes(type_.rank)}, the equation names {len(names)}",
                f"it is {type_}",
                "name every axis, separated by spaces",
            )
        for name, size in zip(names, type_.shape, strict=True):
            if name in sizes:
                site.equal(sizes[name], size, f"axis `{name}` of the equation")
            sizes.setdefault(name, size)
    result = sides[1].split()
    stray = next((name for name in result if name not in sizes), None)
    if stray:
        raise site.fail(
            "E0308",
            f"axis `{stray}` of the result is in no operand",
            "in this equation",
            "name an axis of an operand, or repeat the result afterwards",
        )
    if len(set(result)) != len(result):
        raise site.fail(
            "E0308", "an axis of the result is named twice", "in this equation", "name each axis once"
        )
    dtype = promote(site, range(len(site.inputs)))
    return [TensorType(dtype=dtype, shape=tuple(sizes[name] for name in result))]
