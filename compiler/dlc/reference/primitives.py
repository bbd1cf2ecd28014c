"""The registry of primitives: every `fn` of the standard library that has no body, by name."""

from __future__ import annotations

from collections.abc import Mapping

from dlc.reference.contraction import CONTRACTION
from dlc.reference.creation import CREATION
from dlc.reference.elementwise import ELEMENTWISE
from dlc.reference.indexing import INDEXING
from dlc.reference.pooling import POOLING
from dlc.reference.primitive import UNIT, Primitive
from dlc.reference.reductions import REDUCING
from dlc.reference.shaping import SHAPING
from dlc.reference.spatial import SPATIAL

PRIMITIVES: Mapping[str, Primitive] = {
    primitive.name: primitive
    for group in (ELEMENTWISE, REDUCING, SHAPING, CREATION, CONTRACTION, INDEXING, SPATIAL, POOLING)
    for primitive in group
}

__all__ = ["PRIMITIVES", "UNIT", "Primitive"]
