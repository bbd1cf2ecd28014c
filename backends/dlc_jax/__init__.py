"""The JAX backend: pure functions over NamedTuple parameters, `jax.numpy` and `jax.lax`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from dlc.backend import Emitted, Native, Pass
from dlc.emit.naming import file_stem
from dlc.emit.plan import FilePlan
from dlc.ir import Program
from dlc.passes.natives import select_natives
from dlc_jax.natives import NATIVES


@dataclass(frozen=True)
class JaxBackend:
    """Emits `NETWORK_jax.py`."""

    name: str = "jax"
    runner: str = "dlc_jax.runner"
    natives: Mapping[str, Native] = field(default_factory=lambda: NATIVES)
    passes: Sequence[Pass] = ()

    def emit(self, program: Program, *, exact: bool = False) -> Emitted:
        """The model file. Every native here is float64-clean, so `exact` changes nothing."""
        from dlc.emit.planner import plan_file
        from dlc_jax.file import RESERVED
        from dlc_jax.helpers import HELPERS

        claimed = select_natives(program, NATIVES, exact)
        reserved = RESERVED | frozenset(HELPERS)
        return emit_plan(plan_file(program, native_definitions=claimed, reserved=reserved))


def emit_plan(plan: FilePlan) -> Emitted:
    """The model file of a plan."""
    from dlc_jax.module import Module

    text, lines = Module(plan).write()
    path = PurePosixPath(f"{file_stem(plan)}_jax.py")
    return Emitted({path: text}, path, lines)


BACKEND = JaxBackend()
