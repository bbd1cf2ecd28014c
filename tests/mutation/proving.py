"""Plants an edit in generated code and proves the result: what the mutation tests and their table share.

In: a network of a `.dl` file and edits of its generated files. Out: the report of `run_parity`. One `Bench`
keeps processes, programs and reference results for all runs.
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from dlc import ir
from dlc.api import load, with_settings
from dlc.backend import find_backend
from dlc.lowering import lower
from dlc.parity.cases import DType, Mode, ParitySettings
from dlc.parity.report import Report
from dlc.parity.run import Truths, run_parity
from dlc.parity.targets import Workshop
from dlc.python_source import parse_python

ROOT = Path(__file__).parents[2]
OWN = Path(__file__).parent / "specs"
TARGETS = ("torch", "jax", "keras")
SIZES: Mapping[str, tuple[int, ...]] = {"B": (3,), "T": (4,), "S": (3,), "H": (5,), "W": (6,)}


IMPORTS = {
    "torch": "import torch\nimport torch.nn.functional as F\n",
    "jax": "import jax.numpy as jnp\n",
    "keras": "from keras import ops\n",
}
"""What planted code may use, put before each file."""


class MutantError(AssertionError):
    """An edit that does not fit the generated text."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces every match of a regular expression; there must be `count` of them, None: at least one."""

    pattern: str
    replacement: str
    count: int | None = 1

    def apply(self, text: str) -> str:
        changed, found = re.subn(self.pattern, self.replacement, text, flags=re.MULTILINE)
        if not found or found != (self.count or found):
            raise MutantError(f"`{self.pattern}` matches {found} times, not {self.count}, in:\n{text}")
        return changed


@dataclass(frozen=True, slots=True)
class Place:
    """A network: `norms:Batch` is of this folder's specs, `vision/lenet5:LeNet5` of the repository's."""

    text: str

    @property
    def path(self) -> Path:
        name = self.text.partition(":")[0]
        return (ROOT / "specs" if "/" in name else OWN) / f"{name}.dl"

    @property
    def label(self) -> str:
        return self.text.partition(":")[2]

    def line_of(self, snippet: str) -> int:
        """The only line that contains a snippet, counted from 1."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        found = [number for number, line in enumerate(lines, 1) if snippet in line]
        if len(found) != 1:
            raise MutantError(f"{len(found)} lines of {self.path.name} contain `{snippet}`")
        return found[0]


@cache
def program_of(place: Place, changes: tuple[str, ...] = ()) -> ir.Program:
    """The program of a network, with settings like `layers=1`."""
    net = load(place.path)[place.label]
    return with_settings(net, changes).program if changes else net.program


@cache
def generated(place: Place, target: str, changes: tuple[str, ...] = ()) -> str:
    """The generated file, one statement on each line, so that edits need not know the layout."""
    backend = find_backend(target)
    assert backend is not None
    emitted = lower(backend, program_of(place, changes), True)
    return IMPORTS[target] + ast.unparse(parse_python(emitted.files[emitted.model]))


def mutate(text: str, edits: Sequence[Edit]) -> str:
    """The text with every edit applied, which must still be Python."""
    for edit in edits:
        text = edit.apply(text)
    parse_python(text)
    return text


@dataclass
class Bench:
    """Runs proofs; a context manager."""

    workshop: Workshop = field(default_factory=Workshop)
    truths: Truths = field(default_factory=Truths)

    def __post_init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="dlc-mutation-")
        self._count = 0

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes and removes the files."""
        self.workshop.close()
        self._folder.cleanup()

    def write(self, text: str) -> Path:
        """A file of the text under a new name."""
        self._count += 1
        path = Path(self._folder.name) / f"mutant_{self._count}.py"
        path.write_text(text, encoding="utf-8")
        return path

    def prove(
        self,
        program: ir.Program,
        code: Mapping[str, Path] | None = None,
        targets: Sequence[str] = TARGETS,
        dtypes: tuple[DType, ...] = ("float64",),
        modes: tuple[Mode, ...] = ("eval", "train"),
        seeds: tuple[int, ...] = (0,),
    ) -> Report:
        """The report on a program at the smallest sizes."""
        settings = ParitySettings(seeds=seeds, sizes=SIZES, dtypes=dtypes, modes=modes)
        return run_parity(
            program,
            settings,
            targets=targets,
            code=code or {},
            workshop=self.workshop,
            truths=self.truths,
        )
