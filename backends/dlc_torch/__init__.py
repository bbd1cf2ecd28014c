"""The PyTorch backend: model files as an expert of PyTorch would write them.

In: a `dlc.ir.Program`. Out: `Emitted` files. PyTorch itself is imported only by `dlc_torch.runner`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from dlc.backend import Emitted, Native, Pass
from dlc.emit.naming import file_stem
from dlc.emit.plan import FilePlan
from dlc.emit.planner import plan_file
from dlc.ir import Program
from dlc.passes.natives import select_natives
from dlc_torch.blocks import BLOCKS
from dlc_torch.module import ModulePrinter
from dlc_torch.names import RESERVED, RESERVED_ATTRIBUTES
from dlc_torch.natives import natives


@dataclass(frozen=True)
class TorchBackend:
    """PyTorch."""

    name: str = "torch"
    runner: str = "dlc_torch.runner"

    @property
    def natives(self) -> Mapping[str, Native]:
        return natives({name: block.accepts for name, block in BLOCKS.items()})

    @property
    def passes(self) -> Sequence[Pass]:
        return ()

    def emit(self, program: Program, *, exact: bool = False) -> Emitted:
        """The model file of a program. All natives of this backend are float64-clean."""
        plan = plan_file(
            program,
            native_definitions=select_natives(program, self.natives, exact),
            reserved=RESERVED,
            reserved_attributes=RESERVED_ATTRIBUTES,
        )
        return emit_plan(plan)


def emit_plan(plan: FilePlan) -> Emitted:
    """The model file of a plan."""
    text, lines = ModulePrinter(plan).write()
    path = PurePosixPath(f"{file_stem(plan)}_torch.py")
    return Emitted({path: text}, path, lines)


BACKEND = TorchBackend()
