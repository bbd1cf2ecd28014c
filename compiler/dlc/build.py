"""From a program to the files of a target."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from typing import IO, Any

from dlc import ir
from dlc.backend import ALIASES, Backend, Emitted, backend_names, find_backend
from dlc.modules import suggest
from dlc.trouble import stop
from dlc_grammar.diagnostics import Diagnostic, DiagnosticError


def find_target(name: str) -> Backend:
    """The backend of a target. Raises DiagnosticError where none is installed."""
    backend = find_backend(name)
    if backend is None:
        installed = backend_names()
        hint = suggest(name, (*installed, *ALIASES))
        listed = f"installed are {', '.join(installed)}" if installed else "no target is installed"
        raise stop("E0701", f"there is no target `{name}`", f"{hint} {listed}".strip())
    return backend


def find_targets(names: tuple[str, ...]) -> list[Backend]:
    """The backends of several targets, each once; all targets that are missing are reported."""
    found: dict[str, Backend] = {}
    missing: list[Diagnostic] = []
    for name in names or backend_names():
        try:
            backend = find_target(name)
            found[backend.name] = backend
        except DiagnosticError as error:
            missing += error.diagnostics
    if missing:
        raise DiagnosticError(missing)
    if not found:
        raise stop("E0701", "no target is installed", 'install one: pip install "dlc[torch]"')
    return list(found.values())


def generate(program: ir.Program, backend: Backend) -> Emitted:
    """The files of a program for a target: the same that `dlc parity` proves."""
    from dlc.lowering import lower

    return lower(backend, program)


def generate_each(program: ir.Program, backends: Sequence[Backend]) -> Iterator[tuple[Backend, Emitted]]:
    """`generate` for several targets."""
    from dlc.lowering import lower_each

    return zip(backends, lower_each(backends, program), strict=True)


# ---------------------------------------------------------------- initial weights


def write_initial_weights(file: IO[bytes], program: ir.Program, seed: int) -> int:
    """Writes a safetensors file with weights drawn from the spec's distributions; gives their number.

    Tensors are drawn and written one at a time, in float32, so that the largest network needs the memory
    of its largest tensor. The layout of the file: https://github.com/huggingface/safetensors#format
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt", "seed": str(seed)}}
    offset = 0
    for spec in program.weights:
        size = 4
        for n in spec.shape:
            size *= n
        header[spec.path] = {
            "dtype": "F32",
            "shape": list(spec.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for data in draw_initial(program, seed):
        file.write(data)
    return offset // 4


def draw_initial(program: ir.Program, seed: int) -> Iterator[memoryview]:
    """The numbers of every weight in order, as little-endian float32."""
    import numpy as np

    from dlc.reference.sampling import draw, generator

    for spec in program.weights:
        drawn = draw(generator(seed, spec.path), spec.init, spec.init_args, spec.shape)
        yield np.ascontiguousarray(drawn, "<f4").data.cast("B") if drawn.size else memoryview(b"")
