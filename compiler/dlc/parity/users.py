"""Who uses a value, and whose share of its gradient explains a difference.

In: the reference's tape, the slots that were traced, and what a target gave. Out: the users of a
value, and which of their shares is missing or wrong.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from dlc.parity.worker import Array
from dlc.reference.tape import Tape

EXPLAINED = 1e-3


@dataclass(frozen=True, slots=True)
class Others(Container[int]):
    """All members but one."""

    members: Container[int]
    one: int

    def __contains__(self, slot: object) -> bool:
        return slot != self.one and slot in self.members


def users_of(tape: Tape, slot: int, traced: Container[int]) -> list[int]:
    """The traced slots that are computed from a slot with no traced one between."""
    reached, found = {slot}, list[int]()
    for entry in tape.entries:
        if not reached.intersection(entry.inputs):
            continue
        for output in entry.outputs:
            if output in traced:
                found.append(output)
            else:
                reached.add(output)
    return found


def explain(difference: Array, shares: Sequence[Array]) -> int | None:
    """Which share of a gradient a difference is a multiple of: one that is missing before others,
    None if several or none are. Shares of zero explain what no other does."""
    size = float(np.abs(difference).max(initial=0.0))
    factors = [factor(difference, share) for share in shares]
    close = [
        n
        for n, (share, scale) in enumerate(zip(shares, factors, strict=True))
        if scale is not None and np.abs(difference - scale * share).max(initial=0.0) <= EXPLAINED * size
    ]
    missing = [n for n in close if abs((factors[n] or 0.0) + 1.0) <= EXPLAINED]
    silent = [n for n, scale in enumerate(factors) if scale is None]
    for chosen in (missing, close, silent):
        if chosen:
            return chosen[0] if len(chosen) == 1 else None
    return None


def factor(difference: Array, share: Array) -> float | None:
    """The multiple of a share that is nearest to a difference, None for a share of zero."""
    square = float(np.sum(share * share))
    return float(np.sum(difference * share)) / square if square > 0.0 else None
