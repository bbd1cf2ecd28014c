"""From a program to a target's files: the standard passes, the backend's own, then its printer."""

from __future__ import annotations

from dlc.backend import Backend, Emitted
from dlc.ir import Program
from dlc.passes.pipeline import run_passes, standard_passes


def lower(backend: Backend, program: Program, exact: bool = False) -> Emitted:
    """The files of a program for a target. `exact`: natives that are float64-clean only.

    This is what `dlc build` writes and what `dlc parity` proves.
    """
    passes = (*standard_passes(), *backend.passes)
    return backend.emit(run_passes(program, passes, verify=False), exact=exact)
