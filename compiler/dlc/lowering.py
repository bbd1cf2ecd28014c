"""From a program to a target's files: the standard passes, the backend's own, then its printer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dlc.backend import Backend, Emitted
from dlc.ir import Program
from dlc.passes.pipeline import run_passes, standard_passes


def lower(backend: Backend, program: Program, exact: bool = False) -> Emitted:
    """The files of a program for a target. `exact`: natives that are float64-clean only.

    This is what `dlc build` writes and what `dlc parity` proves.
    """
    return next(lower_each([backend], program, exact))


def lower_each(backends: Iterable[Backend], program: Program, exact: bool = False) -> Iterator[Emitted]:
    """The files of a program for several targets; what they have in common is done once."""
    simple = run_passes(program, standard_passes(), verify=False)
    for backend in backends:
        yield backend.emit(run_passes(simple, backend.passes, verify=False), exact=exact)
