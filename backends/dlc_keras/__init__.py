"""The Keras 3 backend: model files as an expert of Keras would write them.

In: a `dlc.ir.Program`. Out: `Emitted` files, which run with TensorFlow, JAX and PyTorch below Keras. Keras
itself is imported only by `dlc_keras.runner`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from dlc.backend import Emitted, Native, Pass
from dlc.emit.naming import file_stem
from dlc.emit.plan import FilePlan
from dlc.ir import Program
from dlc.passes.natives import select_natives
from dlc_keras.helpers import HELPERS
from dlc_keras.layout import channels_last
from dlc_keras.module import write_module
from dlc_keras.names import UNITS
from dlc_keras.natives import NATIVES


@dataclass(frozen=True)
class KerasBackend:
    """Keras 3."""

    name: str = "keras"
    runner: str = "dlc_keras.runner"

    @property
    def natives(self) -> Mapping[str, Native]:
        return NATIVES

    @property
    def passes(self) -> Sequence[Pass]:
        return (channels_last,)

    def emit(self, program: Program, *, exact: bool = False) -> Emitted:
        """The model file of a program. `exact`: only natives that are float64-clean."""
        from dlc.emit.planner import plan_file

        claimed = select_natives(program, NATIVES, exact)
        reserved = UNITS | frozenset(HELPERS)
        return emit_plan(plan_file(program, native_definitions=claimed, reserved=reserved))


def emit_plan(plan: FilePlan) -> Emitted:
    """The model file of a plan."""
    text, lines = write_module(plan)
    path = PurePosixPath(f"{file_stem(plan)}_keras.py")
    return Emitted({path: text}, path, lines)


BACKEND = KerasBackend()
