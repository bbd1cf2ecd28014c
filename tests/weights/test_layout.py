"""Layouts: what export makes, import takes apart again, whatever is nested in what."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlc.weights import layout as layouts
from dlc.weights.layout import Layout, LayoutError, Leaf


@st.composite
def nested(draw: Any) -> Layout:
    """A layout over tensors `a`, `b`, ...; each leaf is used once."""
    count = 0

    def leaf(shape: tuple[int, ...]) -> Leaf:
        nonlocal count
        count += 1
        return Leaf(f"t{count}", shape)

    def grow(made: Layout, depth: int) -> Layout:
        if depth == 0:
            return made
        rank = len(made.shape)
        kind = draw(st.sampled_from(["transpose", "reshape", "concat", "stack", "rearrange"]))
        if kind == "transpose":
            made = layouts.transpose(made, draw(st.permutations(range(rank))))
        elif kind == "reshape":
            made = layouts.reshape(made, draw(st.sampled_from([(-1,), (1, *made.shape), (*made.shape, 1)])))
        elif kind == "concat" and rank:
            axis = draw(st.integers(0, rank - 1))
            other = list(made.shape)
            other[axis] = draw(st.integers(1, 3))
            made = layouts.concat([made, leaf(tuple(other))], axis)
        elif kind == "stack":
            made = layouts.stack([leaf(made.shape), made], draw(st.integers(0, rank)))
        elif rank == 2:
            made = layouts.rearrange(made, "a b -> (b a)", {})
        return grow(made, depth - 1)

    start = leaf(tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))))
    return grow(start, draw(st.integers(0, 5)))


def tensors(layout: Layout, rng: np.random.Generator) -> dict[str, Any]:
    return {leaf.path: rng.standard_normal(leaf.shape) for leaf in layout.leaves()}


@given(nested())
@settings(max_examples=200, deadline=None)
def test_a_round_trip_changes_nothing(layout: Layout) -> None:
    ours = tensors(layout, np.random.default_rng(0))
    theirs = layout.gather(ours.__getitem__)
    assert theirs.shape == layout.shape
    back = {path: np.zeros_like(array) for path, array in ours.items()}
    layout.scatter(theirs, back)
    assert all(np.array_equal(back[path], array) for path, array in ours.items())
    assert layouts.volumes(layout) == {path: array.size for path, array in ours.items()}


@given(nested())
@settings(max_examples=100, deadline=None)
def test_one_tensor_can_be_taken_alone(layout: Layout) -> None:
    """As import does, to hold one tensor in memory at a time."""
    ours = tensors(layout, np.random.default_rng(0))
    theirs = layout.gather(ours.__getitem__)
    for path, array in ours.items():
        back = {path: np.zeros_like(array)}
        layout.scatter(theirs, back)
        assert np.array_equal(back[path], array)


@given(nested())
@settings(max_examples=100, deadline=None)
def test_gradients_follow(layout: Layout) -> None:
    """Scattering is the adjoint of gathering: `<gather(x), y> = <x, scatter(y)>`."""
    rng = np.random.default_rng(1)
    ours = tensors(layout, rng)
    cotangent = rng.standard_normal(layout.shape)
    back = {path: np.zeros_like(array) for path, array in ours.items()}
    layout.scatter(cotangent, back, add=True)
    left = float((layout.gather(ours.__getitem__) * cotangent).sum())
    right = sum(float((ours[path] * back[path]).sum()) for path in ours)
    assert math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)


PARTS = [
    (Leaf("w", (6, 4)), (slice(0, 2),), (2, 4)),
    (Leaf("w", (6, 4)), (5,), (4,)),
    (Leaf("w", (6, 4)), (-1,), (4,)),
    (Leaf("w", (6, 4)), (slice(None), 1), (6,)),
    (Leaf("w", (6, 4)), (slice(1, None, 2), slice(0, 3)), (3, 3)),
    (Leaf("w", (6, 4)), (2, 3), ()),
    (layouts.reshape(Leaf("w", (6, 4)), (3, 2, 4)), (slice(None), 1), (3, 4)),
    (layouts.transpose(Leaf("w", (6, 4)), None), (1,), (6,)),
    (layouts.part(Leaf("w", (6, 4)), (2,)), (slice(0, 2),), (2,)),
    (layouts.part(Leaf("w", (6, 4)), (-1, -1)), (), ()),
]


@pytest.mark.parametrize(("of", "subscripts", "shape"), PARTS)
def test_parts(of: Layout, subscripts: tuple[Any, ...], shape: tuple[int, ...]) -> None:
    made = layouts.part(of, subscripts)
    assert made.shape == shape
    whole = np.arange(24.0).reshape(6, 4)
    theirs = made.gather({"w": whole}.__getitem__)
    assert theirs.shape == shape
    back = np.full((6, 4), -1.0)
    made.scatter(theirs, {"w": back})
    assert np.array_equal(back[back >= 0], np.sort(theirs.reshape(-1)))
    assert (back[back >= 0] == whole[back >= 0]).all()
    counts = np.zeros((6, 4))
    made.scatter(np.ones(shape), {"w": counts}, add=True)
    assert counts.sum() == theirs.size


WRONG = [
    (lambda w: layouts.transpose(w, [0, 0]), "are not the axes"),
    (lambda w: layouts.reshape(w, [5]), "has 24 elements"),
    (lambda w: layouts.reshape(w, [-1, -1]), "has 24 elements"),
    (lambda w: layouts.rearrange(w, "a b -> a", {}), "every name"),
    (lambda w: layouts.rearrange(w, "a b", {}), "no '->'"),
    (lambda w: layouts.rearrange(w, "a b -> a b c", {"c": 2}), "repeats"),
    (lambda w: layouts.part(w, (6,)), "no element 6"),
    (lambda w: layouts.part(w, (slice(9, 9),)), "is empty"),
    (lambda w: layouts.part(w, (0, 0, 0)), "no 3 axes"),
    (lambda w: layouts.part(layouts.concat([w], 0), (0,)), "before its elements"),
    (lambda w: layouts.part(layouts.rearrange(w, "a b -> (b a)", {}), (0,)), "before its elements"),
    (lambda w: layouts.concat([w, Leaf("v", (6, 5))], 0), "differ in another axis"),
    (lambda w: layouts.concat([w], 2), "has no axis 2"),
    (lambda w: layouts.stack([w, Leaf("v", (4, 6))], 0), "different shapes"),
    (lambda w: layouts.stack([w], 4), "has no axis 4"),
]


@pytest.mark.parametrize(("make", "text"), WRONG, ids=[text for _, text in WRONG])
def test_wrong_shapes(make: Any, text: str) -> None:
    with pytest.raises(LayoutError, match=text):
        make(Leaf("w", (6, 4)))
