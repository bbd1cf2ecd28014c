"""Shapes as SVG text: one file that needs nothing else, with a background and colours of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

from dlc.drawing.shapes import Line, Rectangle, Shape, Words

CORNER = 7.0
MARGIN = 24.0

PALETTE = {
    "convolution": ("#dce8f7", "#7a9fd0"),
    "linear": ("#e6e0f5", "#9a8bcb"),
    "norm": ("#e2efdc", "#8fb67d"),
    "attention": ("#fce4d1", "#dd9c66"),
    "embedding": ("#f9e0e7", "#d48aa1"),
    "recurrent": ("#d5eeeb", "#68b0aa"),
    "activation": ("#fbf3d2", "#d3bb62"),
    "pooling": ("#f5dfdb", "#cb8376"),
    "shape": ("#eceef2", "#a9b1bd"),
    "sample": ("#f0ebdf", "#b8a988"),
    "loss": ("#f5dfdb", "#cb8376"),
    "other": ("#eceef2", "#a9b1bd"),
    "block": ("#ffffff", "#66707e"),
    "value": ("#ffffff", "#b4bbc6"),
    "frame": ("#ffffff", "#66707e"),
    "join": ("#ffffff", "#4a5361"),
}

STYLE = """
text { font-family: system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; fill: #1d2530 }
.page { fill: #ffffff }
.head { font-size: 17px; font-weight: 600 }
.sub { font-size: 11.5px; fill: #5a6473 }
.title { font-size: 12px; font-weight: 600 }
.plain { font-size: 10.5px }
.small { font-size: 10px; fill: #5a6473 }
.tiny { font-size: 10px }
.size { font-size: 10px; fill: #6a7482 }
.tag { font-size: 10px; font-style: italic; fill: #37475f }
.sign { font-size: 14px }
.frame-title { font-size: 10.5px; font-weight: 600; fill: #3b4553 }
.badge-text { font-size: 10.5px; font-weight: 600; fill: #ffffff }
.badge { fill: #4a5361 }
.frame { fill: #f5f7f9; stroke: #c5ccd6 }
.loop { stroke-dasharray: 4 3 }
.join { fill: #ffffff; stroke: #4a5361; stroke-width: 1.2 }
.wire { fill: none; stroke: #4a5361; stroke-width: 1.2; stroke-linejoin: round }
.arrow { fill: #4a5361 }
""".strip()


def number(value: float) -> str:
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def document(width: float, height: float, title: str, description: str, shapes: Iterable[Shape]) -> str:
    """The file."""
    colours = "\n".join(
        f".{kind} {{ fill: {fill}; stroke: {stroke} }}"
        for kind, (fill, stroke) in PALETTE.items()
        if kind not in ("frame", "join")
    )
    size = f'width="{number(width)}" height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(description)}</desc>',
        f"<style>\n{STYLE}\n{colours}\n</style>",
        f'<rect class="page" width="{number(width)}" height="{number(height)}" rx="8"/>',
    ]
    for shape in shapes:
        lines.extend(element(shape))
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def element(shape: Shape) -> Iterable[str]:
    match shape:
        case Rectangle():
            place = f'x="{number(shape.x)}" y="{number(shape.y)}"'
            size = f'width="{number(shape.width)}" height="{number(shape.height)}"'
            tag = f'<rect class="{shape.style}" {place} {size} rx="{number(shape.radius)}"'
            yield f"{tag}><title>{escape(shape.hint)}</title></rect>" if shape.hint else f"{tag}/>"
        case Words():
            anchor = "" if shape.anchor == "start" else f' text-anchor="{shape.anchor}"'
            place = f'x="{number(shape.x)}" y="{number(shape.y)}"'
            yield f'<text class="{shape.style}" {place}{anchor}>{escape(shape.text)}</text>'
        case Line():
            yield f'<path class="{shape.style}" d="{path(shape)}"/>'
            if shape.arrow:
                yield f'<path class="arrow" d="{arrow(shape.points[-2], shape.points[-1])}"/>'


def path(line: Line) -> str:
    """Straight pieces with round corners; a line with an arrow ends at the arrow's base."""
    points = list(line.points)
    if line.arrow:
        (x0, y0), (x1, y1) = points[-2], points[-1]
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        points[-1] = (x1 - (x1 - x0) / length * 5, y1 - (y1 - y0) / length * 5)
    parts = [f"M{number(points[0][0])} {number(points[0][1])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        a, b = math.dist(before, corner), math.dist(corner, after)
        radius = min(CORNER, a / 2, b / 2)
        x0, y0 = _towards(corner, before, radius, a)
        x1, y1 = _towards(corner, after, radius, b)
        parts.append(f"L{number(x0)} {number(y0)}")
        parts.append(f"Q{number(corner[0])} {number(corner[1])} {number(x1)} {number(y1)}")
    parts.append(f"L{number(points[-1][0])} {number(points[-1][1])}")
    return "".join(parts)


def _towards(
    start: tuple[float, float], end: tuple[float, float], step: float, length: float
) -> tuple[float, float]:
    if not length:
        return start
    return (start[0] + (end[0] - start[0]) * step / length, start[1] + (end[1] - start[1]) * step / length)


def arrow(before: tuple[float, float], tip: tuple[float, float]) -> str:
    length = math.dist(before, tip) or 1.0
    dx, dy = (tip[0] - before[0]) / length, (tip[1] - before[1]) / length
    base = (tip[0] - 6 * dx, tip[1] - 6 * dy)
    a = (base[0] - 3.2 * dy, base[1] + 3.2 * dx)
    b = (base[0] + 3.2 * dy, base[1] - 3.2 * dx)
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in (tip, a, b)) + "Z"
