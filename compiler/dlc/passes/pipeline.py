"""The order of the passes, and running them with the verifier after each."""

from __future__ import annotations

from collections.abc import Sequence

from dlc import ir
from dlc.backend import Pass
from dlc.passes.drop_dead import drop_dead
from dlc.passes.fold_constants import fold_constants
from dlc.passes.roll_repeats import roll_repeats
from dlc.passes.share_subexpressions import share_subexpressions
from dlc.verify import InvalidIR
from dlc.verify import verify as verify_program


def standard_passes() -> tuple[Pass, ...]:
    """What every backend runs before its own passes."""
    return fold_constants, share_subexpressions, drop_dead, roll_repeats


def run_passes(program: ir.Program, passes: Sequence[Pass], verify: bool = True) -> ir.Program:
    """The program after each pass in turn. Raises InvalidIR, naming the pass."""
    if verify:
        verify_program(program)
    for one in passes:
        made = one(program)
        if verify and made is not program:
            try:
                verify_program(made)
            except InvalidIR as error:
                raise InvalidIR(f"after {getattr(one, '__name__', one)}: {error}") from None
        program = made
    return program
