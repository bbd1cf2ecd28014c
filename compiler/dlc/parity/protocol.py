"""The side of a parity run that talks to the processes in which frameworks run.

In: a backend's `runner` module, and requests made of plain values and arrays. Out: outcomes, or
`TargetError` with the framework's own message. One `Worker` is one process for one target and
device; it lives through all cases. Arrays travel in files of one temporary directory.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from dlc.parity.worker import Array, Draw, Outcome, load_outcome, write_arrays

START_SECONDS = 300.0
RUN_SECONDS = 600.0


class TargetError(Exception):
    """A target could not run. `line` and `text` are of the generated file, where they are known;
    `kind` is the name of the exception."""

    def __init__(
        self,
        target: str,
        message: str,
        *,
        file: str = "",
        line: int | None = None,
        text: str = "",
        kind: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.target = target
        self.message = message
        self.file = file
        self.line = line
        self.text = text

    def __str__(self) -> str:
        place = f"\n  {Path(self.file).name}:{self.line}: {self.text.strip()}" if self.line else ""
        return f"{self.target}: {self.message}{place}"


@dataclass(frozen=True, slots=True)
class Arrays:
    """The data of a case, as every target gets it."""

    inputs: Mapping[str, Array | None]
    draws: Sequence[Draw]
    cotangents: Sequence[Array | None]
    weights: Path


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a generated file. `sites` (emitted sites and those wanted) asks for a trace."""

    file: Path
    network: str
    method: str
    dtype: str
    device: str
    training: bool
    arrays: Arrays
    sites: Mapping[str, Any] | None = None


def environment(device: str, keras_backend: str | None = None) -> dict[str, str]:
    """Switches that must be set before a framework is imported: full precision, pinned threads."""
    env = dict(os.environ)
    env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    env.pop("ONEDNN_DEFAULT_FPMATH_MODE", None)
    env |= {
        "JAX_ENABLE_X64": "1",
        "KERAS_BACKEND": keras_backend or "tensorflow",
        "NVIDIA_TF32_OVERRIDE": "0",
        "OMP_WAIT_POLICY": "PASSIVE",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    env.setdefault("OMP_NUM_THREADS", "1")
    env.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    env.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    env.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if device == "cpu":
        env |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    else:
        env["JAX_PLATFORMS"] = ""  # whatever JAX finds
    return env


def normal_device(name: str) -> str:
    """`gpu`, `cuda:0` and the names of graphics cards are `cuda`."""
    return "cpu" if name.lower().startswith(("cpu", "tfrt_cpu")) else "cuda"


@dataclass
class Worker:
    """A process that runs generated code of one target on one device."""

    target: str
    runner: str
    device: str
    keras_backend: str | None = None
    start_seconds: float = START_SECONDS
    run_seconds: float = RUN_SECONDS
    describe: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._replies: queue.Queue[str | None] = queue.Queue()
        self._folder = tempfile.TemporaryDirectory(prefix="dlc-parity-")
        self._log: IO[str] | None = None
        self._count = 0

    @property
    def label(self) -> str:
        return f"{self.target}/{self.device}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ------------------------------------------------------------ the process

    def start(self) -> None:
        """Starts the process and waits until the framework is imported."""
        if self._process is not None:
            return
        log = Path(self._folder.name, "log")
        self._log = log.open("w+", encoding="utf-8", errors="replace")
        self._replies = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.runner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=environment(self.device, self.keras_backend),
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        reply = self._receive(self.start_seconds)
        self._check(reply)
        self.describe = reply["describe"]
        devices = {normal_device(str(name)) for name in self.describe.get("devices", ["cpu"])}
        if self.device not in devices:
            self.stop()
            message = f"{self.target} finds no {self.device} device here"
            raise TargetError(self.label, message, kind="device")

    def _read(self, process: subprocess.Popen[str]) -> None:
        replies = self._replies
        assert process.stdout is not None
        for line in process.stdout:
            replies.put(line)
        replies.put(None)

    def _receive(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._replies.get(timeout=seconds)
        except queue.Empty:
            self.stop()
            message = f"gave no answer within {seconds:.0f} seconds and was ended"
            raise TargetError(self.label, message) from None
        if line is None:
            code = self._process.wait() if self._process else None
            log = self._log_tail()
            self.stop()
            raise TargetError(self.label, f"the process ended with code {code}{log}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _log_tail(self, lines: int = 8) -> str:
        if self._log is None:
            return ""
        self._log.flush()
        text = Path(self._log.name).read_text(encoding="utf-8", errors="replace")
        tail = [line for line in text.splitlines() if line.strip()][-lines:]
        return "".join("\n  " + line for line in tail)

    def _check(self, reply: Mapping[str, Any]) -> None:
        if reply.get("ok"):
            return
        error = reply["error"]
        message = str(error["message"])
        if error["type"] not in message:
            message = f"{error['type']}: {message}"
        raise TargetError(
            self.label,
            message,
            file=error.get("file", ""),
            line=error.get("line"),
            text=error.get("text", ""),
            kind=error["type"],
        )

    def stop(self) -> None:
        """Ends the process; the next run starts a new one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        if self._log is not None:
            self._log.close()
            self._log = None

    def close(self) -> None:
        """Ends the process and removes its files."""
        self.stop()
        self._folder.cleanup()

    # ------------------------------------------------------------ runs

    def run(self, run: Run) -> Outcome:
        """What the generated file computes; raises `TargetError` where it does not run."""
        self.start()
        self._count += 1
        arrays = Path(self._folder.name, "case.safetensors")
        result = Path(self._folder.name, f"result{self._count}.safetensors")
        request = write_request(run, arrays, result)
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the reader says how the process ended
        self._check(self._receive(self.run_seconds))
        try:
            return load_outcome(result)
        finally:
            result.unlink()


def write_request(run: Run, arrays: Path, result: Path) -> dict[str, Any]:
    """Writes the arrays and gives the request that names them."""
    data = run.arrays
    stored: dict[str, Array] = {}
    for group, values in (
        ("inputs", list(data.inputs.values())),
        ("samples", [draw.value for draw in data.draws]),
        ("cotangents", list(data.cotangents)),
    ):
        stored.update({f"{group}.{n}": value for n, value in enumerate(values) if value is not None})
    write_arrays(arrays, stored)
    return {
        "do": "run",
        "file": str(run.file),
        "network": run.network,
        "method": run.method,
        "dtype": run.dtype,
        "device": run.device,
        "training": run.training,
        "inputs": [(name, value is not None) for name, value in data.inputs.items()],
        "samples": [(draw.kind, draw.name) for draw in data.draws],
        "cotangents": [value is not None for value in data.cotangents],
        "weights": str(data.weights),
        "arrays": str(arrays),
        "result": str(result),
        "sites": run.sites,
    }
