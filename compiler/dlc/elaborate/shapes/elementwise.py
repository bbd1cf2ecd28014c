"""Shapes of element-wise operations."""

from __future__ import annotations

from dlc.elaborate.shapes.application import Application
from dlc.elaborate.shapes.broadcasting import broadcast_shape, promote
from dlc.ir import TensorType


def elementwise(site: Application) -> list[TensorType]:
    positions = range(len(site.inputs))
    dtype = promote(site, positions)
    if site.op == "divide" and dtype == "int":
        dtype = "float"
    if dtype == "bool":
        raise site.fail(
            "E0307", f"`{site.shown}` of bool tensors", "these are bool", help="convert them: cast(x, float)"
        )
    return [TensorType(dtype=dtype, shape=broadcast_shape(site, [t.shape for t in site.types()]))]


def comparison(site: Application) -> list[TensorType]:
    promote(site, range(len(site.inputs)))
    return [TensorType(dtype="bool", shape=broadcast_shape(site, [t.shape for t in site.types()]))]


def logical(site: Application) -> list[TensorType]:
    for type_ in site.types():
        if type_.dtype != "bool":
            raise site.fail(
                "E0307",
                f"`{site.shown}` needs bool tensors",
                f"this is {type_}",
                help="compare first: x != 0.0",
            )
    return [TensorType(dtype="bool", shape=broadcast_shape(site, [t.shape for t in site.types()]))]


def where(site: Application) -> list[TensorType]:
    if site.type(0).dtype != "bool":
        raise site.fail(
            "E0307",
            "the condition of `where` is not bool",
            f"this is {site.type(0)}",
            help="compare first: where(x > 0.0, a, b)",
        )
    dtype = promote(site, (1, 2))
    return [TensorType(dtype=dtype, shape=broadcast_shape(site, [t.shape for t in site.types()]))]


def same(site: Application) -> list[TensorType]:
    return [site.type()]


def cast(site: Application) -> list[TensorType]:
    return [TensorType(dtype=site.attrs["dtype"].value, shape=site.type().shape)]
