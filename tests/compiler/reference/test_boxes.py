"""Functions of the standard library on boxes and images, against naive definitions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dlc.api import open_text
from dlc.reference.interpreter import Interpreter

RNG = np.random.default_rng(8)
Array = np.ndarray[Any, Any]


def run(text: str, **inputs: Array) -> tuple[Array, ...]:
    """The outputs of the net `N`."""
    module, diagnostics = open_text(text)
    assert module is not None, diagnostics
    return tuple(Interpreter(module["N"].program).run(inputs, {}).outputs)


def boxes(*shape: int) -> Array:
    """Boxes that overlap often."""
    low = RNG.uniform(0.0, 6.0, size=(*shape, 2))
    return np.concatenate([low, low + RNG.uniform(1.0, 5.0, size=(*shape, 2))], axis=-1)


def naive_iou(a: Array, b: Array) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return float(width * height / (sum(areas) - width * height))


def naive_ciou(a: Array, b: Array) -> float:
    """Zheng et al. (2020), equations 6 to 10."""
    iou = naive_iou(a, b)
    (ax, ay, aw, ah), (bx, by, bw, bh) = (
        ((x[0] + x[2]) / 2, (x[1] + x[3]) / 2, x[2] - x[0], x[3] - x[1]) for x in (a, b)
    )
    hull = (max(a[2], b[2]) - min(a[0], b[0])) ** 2 + (max(a[3], b[3]) - min(a[1], b[1])) ** 2
    v = 4 / math.pi**2 * (math.atan(bw / bh) - math.atan(aw / ah)) ** 2
    return iou - ((ax - bx) ** 2 + (ay - by) ** 2) / hull - v / (1 - iou + v) * v


@pytest.mark.parametrize(("name", "naive"), [("iou", naive_iou), ("ciou", naive_ciou)])
def test_overlap(name: str, naive: Any) -> None:
    a, b = boxes(40), boxes(40)
    (found,) = run(f"net N()(a: float[M, 4], b: float[M, 4]) -> float[M] {{ return {name}(a, b) }}", a=a, b=b)
    np.testing.assert_allclose(found, [naive(*pair) for pair in zip(a, b, strict=True)], atol=1e-6)


def naive_nms(box: Array, score: Array, label: Array | None, most: int, overlap: float) -> list[int]:
    chosen: list[int] = []
    for place in np.argsort(-score, kind="stable"):
        rivals = [c for c in chosen if label is None or label[c] == label[place]]
        free = all(naive_iou(box[place], box[c]) <= overlap for c in rivals)
        if score[place] > 0 and free and len(chosen) < most:
            chosen.append(int(place))
    return chosen


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("most", [4, 30])
def test_non_maximum_suppression(labelled: bool, most: int) -> None:
    box, score = boxes(3, 25), RNG.uniform(-0.3, 1.0, size=(3, 25))
    score[2] = -1.0
    label = RNG.integers(0, 3, size=(3, 25))
    given = "labels, " if labelled else ""
    index, count = run(
        f"""
net N()(boxes: float[B, M, 4], scores: float[B, M], labels: int[B, M])
    -> (index: int[B, {most}], count: int[B]) {{
  return nms(boxes, scores, {given}most={most}, overlap=0.3)
}}
""",
        boxes=box,
        scores=score,
        labels=label,
    )
    for b in range(3):
        wanted = naive_nms(box[b], score[b], label[b] if labelled else None, most, 0.3)
        assert index[b].tolist() == wanted + [0] * (most - len(wanted))
        assert count[b] == len(wanted)


def test_rows_of_each_example() -> None:
    x, ids = RNG.normal(size=(2, 5, 3)), np.array([[4, 0, 0, 2], [1, 1, 3, 4]])
    text = "net N()(x: float[B, M, 3], ids: int[B, 4]) -> float[B, 4, 3] { return take_each(x, ids) }"
    np.testing.assert_array_equal(run(text, x=x, ids=ids)[0], np.stack([x[b][ids[b]] for b in range(2)]))


@pytest.mark.parametrize("n", [1, 3])
def test_mirrored_borders(n: int) -> None:
    x = RNG.normal(size=(2, 3, 4, 5))
    text = f"net N()(x: float[2, 3, 4, 5]) {{ return reflect_pad2d(x, {n}) }}"
    wanted = np.pad(x, ((0, 0), (0, 0), (n, n), (n, n)), mode="reflect")
    np.testing.assert_array_equal(run(text, x=x)[0], wanted)
