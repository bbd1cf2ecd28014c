"""The flow of tensors through one level of a picture: boxes, and links between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from dlc import ir
from dlc.dims import Dim
from dlc.drawing.labels import Kind

Role: TypeAlias = Literal["input", "output", "layer", "call", "function", "join", "frame", "carry"]


@dataclass(eq=False)
class Link:
    """A tensor that goes into a box: output `port` of `source`, as the input called `name`."""

    source: Box
    port: int
    name: str
    times: int = 1
    """How many equal links this one stands for."""
    instead: Link | None = None
    """The link in whose place this one stands in some of the rounds."""
    variable: str = ""
    """The variable through which the text reads it."""


@dataclass(eq=False)
class Box:
    """A step of the flow. A layer that may be opened has its `definition`, a frame its `inside`."""

    role: Role
    title: str
    kind: Kind = "other"
    name: str = ""
    detail: str = ""
    links: list[Link] = field(default_factory=list)
    outputs: tuple[ir.TensorType, ...] = ()
    definition: ir.Definition | None = None
    path: str = ""
    count: int = 1
    calls: int = 1
    parallel: bool = False
    inside: Graph | None = None
    steps: int | Dim = 1
    """Of the frame of a scan: how many times it runs."""
    node: ir.Apply | None = None
    """The operation that a step is, if it is a single one."""
    loops: list[Loop] = field(default_factory=list)


@dataclass(eq=False)
class Loop:
    """Rounds that became one, or the body of a scan: a frame around its boxes, the outermost first."""

    title: str = ""
    count: int = 1
    parallel: bool = False
    steps: int | Dim = 1
    """How many times the body of a scan runs."""


@dataclass
class Graph:
    """The boxes of one level in the order of execution, inputs first, outputs last."""

    boxes: list[Box]

    def users(self) -> dict[tuple[Box, int], list[tuple[Box, Link]]]:
        """Who reads each output of each box."""
        found: dict[tuple[Box, int], list[tuple[Box, Link]]] = {}
        for box in self.boxes:
            for link in box.links:
                found.setdefault((link.source, link.port), []).append((box, link))
        return found

    def steps(self) -> list[Box]:
        return [box for box in self.boxes if box.role not in ("input", "output")]


def walk(graph: Graph) -> Iterator[Box]:
    """All boxes, those in frames too."""
    for box in graph.boxes:
        yield box
        if box.inside is not None:
            yield from walk(box.inside)
