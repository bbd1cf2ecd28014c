"""What a picture is made of: shapes with coordinates, back to front."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Rectangle:
    x: float
    y: float
    width: float
    height: float
    style: str
    radius: float = 5.0
    hint: str = ""
    """Shown when the pointer is over it."""


@dataclass(frozen=True)
class Words:
    x: float
    y: float
    text: str
    style: str
    anchor: Literal["start", "middle", "end"] = "middle"


@dataclass(frozen=True)
class Line:
    points: tuple[tuple[float, float], ...]
    arrow: bool
    style: str = "wire"


Shape: TypeAlias = Rectangle | Words | Line


@dataclass
class Drawing:
    """Shapes, back to front, and where tensors enter and leave."""

    left: float
    right: float
    height: float
    shapes: list[Shape] = field(default_factory=list)
    entries: dict[str, float] = field(default_factory=dict)
    exits: dict[int, float] = field(default_factory=dict)
    sides: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Inputs that come in horizontally from the left: where they end."""

    def moved(self, x: float, y: float) -> list[Shape]:
        return [_moved(shape, x, y) for shape in self.shapes]


def _moved(shape: Shape, x: float, y: float) -> Shape:
    if isinstance(shape, Line):
        return replace(shape, points=tuple((a + x, b + y) for a, b in shape.points))
    return replace(shape, x=shape.x + x, y=shape.y + y)
