"""What a backend is, and how backends are found.

A backend is one value behind the entry-point group `dlc.backends`; own and foreign ones load the same
way. `dlc` never imports a framework: emission is pure text, and everything that runs a framework is in
the backend's `runner` module, started as a subprocess (see `dlc.parity.protocol`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Protocol, runtime_checkable

from dlc.ir import Definition, Location, Program

Pass = Callable[[Program], Program]


@dataclass(frozen=True)
class Native:
    """A claim: this backend writes a std definition in its framework's own words.

    `accepts` says for which elaborations the claim holds; `exact` is False where the framework's own
    implementation is not float64-clean: the float64 proof then runs on the definition instead.
    """

    name: str
    accepts: Callable[[Definition], bool] = field(default=lambda definition: True)
    exact: bool = True


@dataclass(frozen=True)
class SourceLine:
    """The statement at `line` of a generated file computes the value of syntax node `origin`."""

    line: int
    origin: int
    at: Location


@dataclass(frozen=True)
class Emitted:
    """A generated program: files by path, and where each line of the model file comes from."""

    files: Mapping[PurePosixPath, str]
    model: PurePosixPath
    lines: tuple[SourceLine, ...]


@runtime_checkable
class Backend(Protocol):
    """One target. `runner` is the module started as `python -m RUNNER` to run generated code."""

    name: str
    runner: str

    @property
    def natives(self) -> Mapping[str, Native]: ...

    @property
    def passes(self) -> Sequence[Pass]: ...

    def emit(self, program: Program, *, exact: bool = False) -> Emitted:
        """The files for a program. `exact`: use only float64-clean natives. Imports no framework."""
        ...


ALIASES = {"tensorflow": "keras", "tf": "keras", "pytorch": "torch"}


def backend_names() -> tuple[str, ...]:
    """The installed targets, by name."""
    from importlib.metadata import entry_points  # it takes a while, and `dlc check` does without

    return tuple(sorted(point.name for point in entry_points(group="dlc.backends")))


def find_backend(name: str) -> Backend | None:
    """The backend called `name` (or an alias of it), None where there is none."""
    from importlib.metadata import entry_points

    name = ALIASES.get(name, name)
    for point in entry_points(group="dlc.backends"):
        if point.name == name:
            backend: Backend = point.load()
            return backend
    return None
