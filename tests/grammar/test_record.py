"""Classes of values with named fields."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pytest

from dlc_grammar.record import Record, Struct, as_dict, replace


class Point(Record):
    x: int
    y: int = 0


class Named(Point):
    name: str = ""
    count: ClassVar[int] = 3


class Leaf(Struct):
    kind: Literal["leaf"] = "leaf"
    value: Any
    more: Mapping[str, int] = {}


class Tree(Leaf):
    inner: Leaf


def test_records_are_made_by_position_or_name_and_equal_by_identity() -> None:
    point = Named(1, name="a")
    assert (point.x, point.y, point.name, point.count) == (1, 0, "a", 3)
    assert Named.FIELDS == ("x", "y", "name")
    assert point != Named(1, name="a") and len({point, Named(1)}) == 2
    assert repr(point) == "Named(x=1, y=0, name='a')"
    match point:
        case Point(x, y):
            assert (x, y) == (1, 0)
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        point.other = 1  # type: ignore[attr-defined]


def test_structs_are_made_by_name_and_equal_by_fields() -> None:
    tree = Tree(value=(1, 2), inner=Leaf(value=3))
    assert tree == Tree(value=(1, 2), inner=Leaf(value=3))
    assert tree != Leaf(value=(1, 2)) and Leaf(value=1) != Leaf(value=2)
    assert hash(Leaf(value=1, more=None)) == hash(Leaf(value=1, more=None))  # type: ignore[arg-type]
    assert Tree.FIELDS == ("kind", "value", "more", "inner")
    with pytest.raises(TypeError):
        Leaf(1)  # type: ignore[call-arg, arg-type]


def test_copies() -> None:
    leaf = Leaf(value=1)
    assert replace(leaf, value=2) == Leaf(value=2) and leaf.value == 1
    assert as_dict(leaf) == {"kind": "leaf", "value": 1, "more": {}}
    assert copy.deepcopy(leaf) == leaf and pickle.loads(pickle.dumps(leaf)) == leaf
    with pytest.raises(TypeError):
        replace(leaf, other=1)
