"""Axis patterns taken apart, and einsum equations in single letters."""

from __future__ import annotations

import pytest

from dlc.emit.einops import einsum_letters, rearrangement


def test_split_and_swap() -> None:
    steps = rearrangement("b t (h k) -> b h t k")
    assert steps.elements == ("b", "t", "h", "k")
    assert steps.order == (0, 2, 1, 3)
    assert steps.splits
    assert not steps.merges
    assert steps.others("h") == ("k",)


def test_ones_come_and_go() -> None:
    steps = rearrangement("b 1 t -> t b 1")
    assert (steps.dropped, steps.inserted, steps.order) == ((1,), (2,), (1, 0))


def test_new_names_repeat() -> None:
    steps = rearrangement("b h t -> b (h g) t")
    assert steps.repeated == (2,)
    assert steps.order is None
    assert steps.merges


@pytest.mark.parametrize(
    ("equation", "wanted"),
    [
        ("b h t k, b h s k -> b h t s", "bhtk,bhsk->bhts"),
        ("batch dim, dim out -> batch out", "bd,do->bo"),
        ("batch big -> big", "bB->B"),
        ("a b -> ", "ab->"),
    ],
)
def test_letters(equation: str, wanted: str) -> None:
    assert einsum_letters(equation) == wanted
