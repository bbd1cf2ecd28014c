"""An example of a backend: multilayer perceptrons and their like as plain NumPy functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from dlc.backend import Emitted, Native, Pass
from dlc.emit.naming import file_stem
from dlc.emit.planner import plan_file
from dlc.ir import Program
from dlc.passes.natives import select_natives
from dlc_numpy.module import RESERVED, Module
from dlc_numpy.primitives import NATIVES


@dataclass(frozen=True)
class NumpyBackend:
    """Emits `NETWORK_numpy.py`."""

    name: str = "numpy"
    runner: str = "dlc_numpy.runner"
    natives: Mapping[str, Native] = field(default_factory=lambda: {name: Native(name) for name in NATIVES})
    passes: Sequence[Pass] = ()

    def emit(self, program: Program, *, exact: bool = False) -> Emitted:
        """The model file. Raises DiagnosticError for what this target cannot express."""
        claimed = select_natives(program, self.natives, exact)
        plan = plan_file(program, native_definitions=claimed, reserved=RESERVED)
        text, lines = Module(plan).write()
        path = PurePosixPath(f"{file_stem(plan)}_numpy.py")
        return Emitted({path: text}, path, lines)


BACKEND = NumpyBackend()
