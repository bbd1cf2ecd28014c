"""A backend with everything that runs on it: its process, and its files for a program.

In: the names of targets, or files of the user's own. Out: `Target` values that run a point.
Generated files are written once for each program; where a backend's exact and fast texts are equal
there is one file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from safetensors.numpy import save_file

from dlc.backend import Backend, Emitted, SourceLine, find_backend
from dlc.ir import Program
from dlc.lowering import lower
from dlc.parity.instrument import Site, find_sites
from dlc.parity.localise import statement_lines
from dlc.parity.protocol import Arrays, Run, TargetError, Worker, normal_device
from dlc.parity.truth import Truth
from dlc.parity.worker import Outcome

Lower: TypeAlias = Callable[[Backend, Program, bool], Emitted]
"""Emits a program for a backend; the last argument asks for exact natives only."""


@dataclass(frozen=True)
class GeneratedFile:
    """A file to prove, with the emitted text that its statements are recognised by."""

    path: Path
    emitted: Emitted

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return find_sites(self.emitted.files[self.emitted.model])

    @cached_property
    def lines(self) -> dict[int, SourceLine]:
        return statement_lines(self.sites, self.emitted.lines)

    @property
    def trace_request(self) -> Mapping[str, Any]:
        emitted = [
            (site.function, site.target, site.text, site.number, site.line, site.last) for site in self.sites
        ]
        return {"emitted": emitted, "wanted": sorted(self.lines)}


def write_files(emitted: Emitted, folder: Path) -> Path:
    for name, text in emitted.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / emitted.model


def save_weights(truth: Truth, path: Path) -> Path:
    """The weights of a point, in float64 and the spec's layout."""
    save_file({name: array.copy(order="C") for name, array in truth.data.weights.items()}, path)
    return path


@dataclass
class Target:
    """One backend on one device. `code`: a file of the user's to run instead of the generated
    one."""

    backend: Backend
    device: str
    worker: Worker
    folder: Path
    emit: Lower = lower
    code: Path | None = None
    _files: dict[tuple[int, bool], tuple[Program, GeneratedFile]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.worker.label

    def file(self, program: Program, dtype: str) -> GeneratedFile:
        """The file for a dtype: float64 asks for exact natives."""
        exact = dtype == "float64"
        key = (id(program), exact)
        if key not in self._files:
            self._files[key] = (program, self._emit(program, exact))
        return self._files[key][1]

    def _emit(self, program: Program, exact: bool) -> GeneratedFile:
        try:
            emitted = self.emit(self.backend, program, exact)
        except Exception as error:  # a backend may be a third party's
            what = f"the program was not emitted: {type(error).__name__}: {error}"
            raise TargetError(self.label, what, kind="emission") from error
        if self.code is not None:
            return GeneratedFile(self.code.resolve(), emitted)
        other = self._files.get((id(program), not exact))
        if other is not None and other[1].emitted.files == emitted.files:
            return other[1]
        folder = self.folder / f"{len(self._files)}"
        return GeneratedFile(write_files(emitted, folder), emitted)

    def run(self, truth: Truth, dtype: str, weights: Path, *, trace: bool = False) -> Outcome:
        """What this target computes on a point; raises `TargetError`."""
        file = self.file(truth.program, dtype)
        data = truth.data
        run = Run(
            file=file.path,
            network=truth.program.name,
            method=truth.point.method,
            dtype=dtype,
            device=self.device,
            training=truth.point.training,
            arrays=Arrays(data.inputs, data.draws, data.cotangents, weights),
            sites=file.trace_request if trace else None,
        )
        return self.worker.run(run)


@dataclass
class Workshop:
    """Keeps targets between runs, so that hundreds of runs import each framework once.

    A context manager: on leaving, all processes end and all files go.
    """

    keras_backend: str | None = None
    emit: Lower = lower
    find: Callable[[str], Backend | None] = find_backend

    def __post_init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="dlc-parity-")
        self._workers: dict[tuple[str, str], Worker] = {}
        self._count = 0

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        return Path(self._folder.name)

    def target(self, name: str, device: str, code: Path | None = None) -> Target:
        """The target called `name`; raises `TargetError` where no backend has this name."""
        backend = self.find(name)
        if backend is None:
            raise TargetError(f"{name}/{device}", f"no backend called `{name}` is installed")
        device = normal_device(device)
        key = (backend.name, device)
        if key not in self._workers:
            self._workers[key] = Worker(backend.name, backend.runner, device, self.keras_backend)
        self._count += 1
        folder = self.folder / f"target{self._count}"
        return Target(backend, device, self._workers[key], folder, self.emit, code)

    def close(self) -> None:
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()
        self._folder.cleanup()
