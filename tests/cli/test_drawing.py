"""`dlc view --svg`: what is drawn, and that nothing overlaps."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from dlc.drawing.draw import MOST_BESIDE, MOST_BOXES, Painter, boxes_in, draw
from dlc.drawing.flow import read
from dlc.drawing.graph import walk
from dlc.drawing.shapes import Line, Rectangle, Words
from dlc.selecting import select

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*/*.dl"))
CORPUS = Path(__file__).parents[1] / "corpus"
SVG = "{http://www.w3.org/2000/svg}"


def programs(path):
    """One program of each network of a file."""
    from dlc.api import load

    nets = load(str(path)).nets.values()
    return [net.program for net in nets if net.block.preset is None]


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def steps(file):
    program = select(str(file)).program
    return list(walk(read(program, program.definitions[program.methods[0].eval])))


# ---------------------------------------------------------------- the flow


def test_equal_rounds_are_one_box(tmp_path):
    boxes = {box.name: box for box in steps(SPECS[0].parents[1] / "language/gpt2.dl")}
    assert boxes["h.0-11"].count == 12
    boxes = {box.name: box for box in steps(f"{CORPUS / 'resnet.dl'}:ResNet.r50")}
    assert [(name, box.count) for name, box in boxes.items() if name.startswith("stage.2")] == [
        ("stage.2.0", 1),
        ("stage.2.1-5", 5),
    ]


def test_rounds_of_several_boxes_make_a_frame():
    found = steps(CORPUS / "llama.dl")
    (frame,) = [box for box in found if box.role == "frame"]
    assert frame.count == 32
    assert [box.title for box in frame.inside.boxes if box.role == "join"] == ["+", "+"]


def test_parallel_rounds_and_those_that_follow_each_other(tmp_path):
    path = tmp_path / "rounds.dl"
    path.write_text(
        "net A()(x: float[B, 4]) -> float[B, 4] {\n"
        "  outs = []\n"
        "  for _ in range(3) { outs = outs + [x -> expert: Linear(4)] }\n"
        "  for _ in range(2) { x = x -> next: Linear(4) }\n"
        "  return concat(outs + [x], axis=0)[:B]\n}\n".replace("[:B]", " -> last: Linear(4)").replace(
            "float[B, 4] {", "float[4 * B, 4] {"
        )
    )
    boxes = {box.name: box for box in steps(path)}
    assert (boxes["expert.0-2"].count, boxes["expert.0-2"].parallel) == (3, True)
    assert (boxes["next.0-1"].count, boxes["next.0-1"].parallel) == (2, False)


def test_rounds_that_only_get_more_channels_are_one_box_of_a_picture():
    program = select(f"{SPECS[0].parents[1] / 'vision/densenet.dl'}:DenseNet.d121").program
    definition = program.definitions[program.methods[0].eval]
    exact = [box.name for box in read(program, definition).boxes if box.name.startswith("dense.0")]
    assert exact == [f"dense.0.{number}" for number in range(6)]
    (box,) = [b for b in read(program, definition, growing=True).boxes if b.name.startswith("dense.0")]
    assert (box.name, box.count, box.outputs[0].sizes[1]) == ("dense.0.0-5", 6, 64 + 6 * 32)


def test_what_a_scan_carries(tmp_path):
    path = tmp_path / "scan.dl"
    path.write_text(
        "net A()(x: float[B, T, 8]) -> float[B, 8] {\n"
        "  h = zeros([B, 8])\n"
        "  scan s in x along 1 carry h { h = tanh(s + (h -> w: Linear(8))) }\n"
        "  return h\n}\n"
    )
    (frame,) = [box for box in steps(path) if box.role == "frame"]
    titles = [box.title for box in frame.inside.boxes]
    assert frame.title == "scan, T steps"
    assert titles.index("h") < titles.index("next h")


def test_what_does_nothing_in_evaluation_is_left_out():
    titles = [box.title for box in steps(CORPUS / "transformer.dl")]
    assert "dropout" not in titles
    assert "+" in titles


def test_a_sum_of_three_is_one_sum():
    program = select(str(CORPUS / "bert.dl")).program
    definition = next(d for d in program.definitions.values() if d.name == "Bert" and not d.training)
    (total,) = [box for box in read(program, definition).boxes if box.role == "join"]
    assert [link.source.name for link in total.links] == ["word", "position", "kind"]


# ---------------------------------------------------------------- the picture


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_is_drawn(path):
    for program in programs(path):
        for method in program.methods:
            painter = Painter(program, method.name, {}, None)
            main = boxes_in(painter.graph(painter.main))
            assert main + sum(boxes_in(painter.inside(box)) for box in painter.insets.values()) <= max(
                main + MOST_BESIDE, MOST_BOXES + MOST_BESIDE
            )
            svg = painter.svg()
            root = ElementTree.fromstring(svg)
            assert root.find(f"{SVG}title").text.startswith(program.name)
            assert all(float(value) >= 0 for value in root.get("viewBox").split())
            no_overlaps(painter)


def no_overlaps(painter):
    """Boxes lie inside of one another or apart, lines end at the edges, and everything is on the page."""
    root = ElementTree.fromstring(painter.svg())
    width, height = (float(root.get(name)) for name in ("width", "height"))
    boxes = []
    for element in root.iter(f"{SVG}rect"):
        kind = element.get("class")
        if kind in ("page", "badge"):
            continue
        x, y, w, h = (float(element.get(name)) for name in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
        boxes.append((kind, x, y, x + w, y + h))
    for (kind, *a), (other, *b) in itertools.combinations(boxes, 2):
        apart = a[2] <= b[0] + 0.2 or b[2] <= a[0] + 0.2 or a[3] <= b[1] + 0.2 or b[3] <= a[1] + 0.2
        if apart or stacked(a, b):
            continue
        inside = all(p <= q + 0.2 for p, q in zip(a[:2], b[:2])) and all(
            p >= q - 0.2 for p, q in zip(a[2:], b[2:])
        )
        assert inside and kind.startswith("frame"), (painter.program.name, kind, a, other, b)


def stacked(a, b):
    """A strip goes on behind the box above it; cards of parallel rounds lie behind one another."""
    same = abs((a[2] - a[0]) - (b[2] - b[0])) < 0.2
    return same and abs(a[0] - b[0]) <= 6.2


def test_shapes_names_and_counts_are_written():
    program = select(f"{CORPUS / 'resnet.dl'}:ResNet.r50").program
    found = texts(draw(program, sizes={"B": 1, "H": 224, "W": 224}))
    assert {"ResNet.r50", "25.6M parameters · 8.18G FLOPs", "Bottleneck", "×5", "+"} <= set(found)
    assert "1 × 64 × 56 × 56" in found
    assert "N × 4·width × H × W" in found  # the block beside the picture, in its own terms


def test_pictures_do_not_change_from_run_to_run():
    first = draw(select(str(CORPUS / "t5.dl")).program)
    assert draw(select(str(CORPUS / "t5.dl")).program) == first


def test_depth_opens_blocks():
    program = select(str(CORPUS / "bert.dl")).program
    assert "LayerNorm" not in texts(draw(program, depth=0))[4:5]
    closed, opened = texts(draw(program, depth=1)), texts(draw(program, depth=3))
    assert "attention" not in closed and "attention" in opened
    assert "×12" in closed


def test_skips_of_an_hourglass_are_straight():
    program = select(str(SPECS[0].parents[1] / "vision/unet.dl")).program
    painter = Painter(program, "forward", {}, 0)
    drawing = painter.compose()
    lines = [shape for shape in drawing.shapes if isinstance(shape, Line)]
    across = [line for line in lines if len(line.points) == 2 and line.points[0][1] == line.points[1][1]]
    assert len(across) == 5  # four skips and the turn


def test_rounded_lines_meet_their_boxes():
    program = select(str(CORPUS / "gpt2.dl")).program
    drawing = Painter(program, "forward", {}, 2).compose()
    boxes = [s for s in drawing.shapes if isinstance(s, Rectangle)]
    for line in (s for s in drawing.shapes if isinstance(s, Line) and s.arrow):
        x, y = line.points[-1]
        assert any(
            b.x - 0.1 <= x <= b.x + b.width + 0.1 and b.y - 0.1 <= y <= b.y + b.height + 0.1 for b in boxes
        )


def test_texts_fit_their_boxes():
    from dlc.drawing.fonts import width

    drawing = Painter(select(str(CORPUS / "t5.dl")).program, "forward", {}, None).compose()
    boxes = [s for s in drawing.shapes if isinstance(s, Rectangle) and s.style.startswith("box")]
    for words in (s for s in drawing.shapes if isinstance(s, Words) and s.style in ("title", "small")):
        if words.anchor != "middle":
            continue
        (box, *_) = [b for b in boxes if b.x < words.x < b.x + b.width and b.y < words.y < b.y + b.height]
        assert width(words.text, 12 if words.style == "title" else 10, words.style == "title") <= box.width


# ---------------------------------------------------------------- the command line


def test_command_line(run, mlp, tmp_path):
    result = run("view", mlp, "--svg")
    assert result.stdout.startswith("<svg ")
    out = tmp_path / "mlp.svg"
    assert run("view", mlp, "--svg", "-o", out).exit_code == 0
    assert out.read_text() == result.stdout
    assert run("view", mlp, "-o", out).exit_code == 2
    assert run("view", mlp, "--svg", "-o", tmp_path / "missing" / "x.svg").exit_code == 1
