"""Passes are linear: a body ten times as long costs about ten times as much, and little per node."""

from __future__ import annotations

from time import process_time

import pytest

from dlc import ir
from dlc.api import open_text, paused_collector
from dlc.backend import Pass
from dlc.passes.drop_dead import drop_dead
from dlc.passes.fold_constants import fold_constants
from dlc.passes.lift_samples import lift_samples
from dlc.passes.roll_repeats import roll_repeats
from dlc.passes.share_subexpressions import share_subexpressions
from dlc.verify import verify

LIMIT = 100e-6
"""Seconds per node: generous, as test machines are busy; measured are 2 to 10 millionths."""
ROUNDS = 1250


def long_body() -> ir.Program:
    """A loop of 1250 rounds, each with eight nodes: to fold, to share, to drop."""
    module, _ = open_text(f"""net N()(x: float[B]) -> float[B] {{
      y = x
      for i in range({ROUNDS}) {{
        unused = exp(y)
        y = tanh(y * 1.0) + tanh(y) * (i + 1)
      }}
      return y
    }}""")
    assert module is not None
    return next(iter(module.nets.values())).program


PROGRAM = long_body()
NODES = 2 * 8 * ROUNDS


def verified(program: ir.Program) -> ir.Program:
    verify(program)
    return program


@pytest.mark.parametrize(
    "one",
    [fold_constants, share_subexpressions, drop_dead, roll_repeats, lift_samples, verified],
    ids=lambda one: one.__name__,
)
def test_a_pass_is_fast(one: Pass) -> None:
    best = LIMIT
    for _ in range(2):
        with paused_collector():
            start = process_time()
            one(PROGRAM)
            best = min(best, (process_time() - start) / NODES)
    assert best < LIMIT
    print(f"{one.__name__}: {best * 1e6:.1f} µs per node")
