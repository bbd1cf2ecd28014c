"""The side of a parity run that imports a framework: what a backend's `runner` module is built on.

In: requests, one JSON object a line, on standard input; arrays in safetensors files. Out: one JSON
reply a line on what was standard output when the process started (`serve` moves everything else that
is printed to standard error) and the results in such a file. This module imports no framework: a
backend gives `serve` a function that makes its `Runner`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from dlc.parity.failure import SampleMismatch, describe_error
from dlc.parity.loading import load_module
from dlc.parity.recorder import Recorder

Array: TypeAlias = NDArray[Any]
T = TypeVar("T")
Traced: TypeAlias = list[tuple[int, Array]]


@dataclass(frozen=True, slots=True)
class Draw:
    """One random draw of the reference: `kind` is normal, uniform, bernoulli or randint."""

    kind: str
    value: Array
    name: str = ""


class SampleQueue:
    """The reference's random draws, handed to the generated code in execution order.

    Draws are standard: normal(0, 1), uniform(0, 1), the mask of a bernoulli, the numbers of a
    randint.
    """

    def __init__(self, draws: list[Draw]) -> None:
        self._draws = draws
        self._position = 0

    def next(self, kind: str, shape: tuple[int, ...]) -> Array:
        """The next draw, which must be of this kind and shape."""
        asked = f"{kind} of shape {tuple(shape)}"
        if self._position >= len(self._draws):
            raise SampleMismatch(f"the code draws {asked}, but the spec draws no more samples")
        draw = self._draws[self._position]
        if draw.kind != kind or tuple(draw.value.shape) != tuple(shape):
            raise SampleMismatch(
                f"the code draws {asked}, but the spec draws `{draw.name or self._position}` here: "
                f"{draw.kind} of shape {draw.value.shape}"
            )
        self._position += 1
        return draw.value

    def restart(self) -> None:
        """Starts over: for frameworks that trace the same code more than once."""
        self._position = 0

    def of(self, values: Sequence[Any]) -> SampleQueue:
        """The same draws with other values, such as the arguments of a compiled function."""
        return SampleQueue([replace(d, value=v) for d, v in zip(self._draws, values, strict=True)])

    @property
    def values(self) -> list[Array]:
        return [draw.value for draw in self._draws]

    @property
    def taken(self) -> int:
        """How many draws were asked for."""
        return self._position

    def take(self, count: int) -> None:
        """Counts the first draws as asked for."""
        self._position = count

    @property
    def left(self) -> tuple[Draw, ...]:
        """The draws that were not asked for."""
        return tuple(self._draws[self._position :])


@dataclass(frozen=True, slots=True)
class Case:
    """One run of a generated file: everything as the specification names and lays it out."""

    module: ModuleType
    """The generated file, imported; instrumented when tracing."""
    network: str
    """The class or network name, such as `GPT2`."""
    method: str
    """`forward`, or another method of the network."""
    dtype: str
    """`float64` or `float32`."""
    device: str
    """`cpu` or `cuda`."""
    training: bool
    inputs: dict[str, Array | None]
    """By input name, in order; None for an optional input that is absent. float64, int64 or
    bool."""
    weights_path: Path
    """safetensors with every parameter and state by its path, float64: for the file's own
    loader."""
    samples: SampleQueue
    cotangents: list[Array | None]
    """One for each output in order, None where it is an integer or bool. The scalar that is
    differentiated is the sum of `<output, cotangent>`."""
    record: Recorder | None = None
    """Set when tracing: give it a `keep` function before the code runs."""

    def signature(self) -> tuple[object, ...]:
        """Equal for cases that run the same compiled function on other numbers."""

        def kind(value: Array | None) -> object:
            return None if value is None else (value.dtype.str, value.shape)

        return (
            *(self.module, self.network, self.method, self.dtype, self.device, self.training),
            tuple((name, kind(value)) for name, value in self.inputs.items()),
            tuple(kind(value) for value in self.samples.values),
            tuple(kind(value) for value in self.cotangents),
        )


class Compiled(Generic[T]):
    """The functions that were compiled last, by the signature of their case.

    Seeds differ in numbers only, and compiling costs far more than running.
    """

    def __init__(self, most: int = 8) -> None:
        self._found: dict[tuple[object, ...], T] = {}
        self._most = most

    def get(self, case: Case, make: Callable[[], T]) -> T:
        """The function of a case; never one of another text, shape, dtype or mode."""
        key = case.signature()
        found = self._found.pop(key, None)
        if found is None:
            found = make()
        self._found[key] = found
        while len(self._found) > self._most:
            del self._found[next(iter(self._found))]
        return found


@dataclass(slots=True)
class Outcome:
    """What the generated code computed, in the specification's layout."""

    outputs: list[Array]
    weight_gradients: dict[str, Array]
    input_gradients: dict[str, Array]
    states: dict[str, Array]
    """All states after the run, by path."""
    forward: Traced = field(default_factory=list)
    """When tracing: each recorded value in execution order."""
    backward: Traced = field(default_factory=list)
    """The cotangent of each value in `forward`."""


class Runner(Protocol):
    """Runs generated code in one framework."""

    name: str

    def describe(self) -> Mapping[str, Any]:
        """Versions, `devices` (a list such as `["cpu", "cuda"]`), precision switches."""
        ...

    def run(self, case: Case) -> Outcome: ...


# ---------------------------------------------------------------- requests and replies

GROUPS = ("weight_gradients", "input_gradients", "states")


def save_outcome(path: Path, outcome: Outcome) -> None:
    """Writes an outcome as one file: numbered arrays, and their names as JSON."""
    arrays: dict[str, Array] = {}
    index: dict[str, Any] = {"outputs": len(outcome.outputs)}
    for number, output in enumerate(outcome.outputs):
        arrays[f"outputs.{number}"] = np.asarray(output)
    for group in GROUPS:
        named: Mapping[str, Array] = getattr(outcome, group)
        index[group] = list(named)
        arrays.update({f"{group}.{n}": np.asarray(a) for n, a in enumerate(named.values())})
    for group in ("forward", "backward"):
        traced: Traced = getattr(outcome, group)
        index[group] = [int(site) for site, _ in traced]
        arrays.update({f"{group}.{n}": np.asarray(a) for n, (_, a) in enumerate(traced)})
    arrays["index"] = np.frombuffer(json.dumps(index).encode(), np.uint8)
    write_arrays(path, arrays)


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Writes arrays as safetensors, which `safetensors.numpy.load_file` reads.

    (Not as npz: NumPy reads the header of an array with `ast.parse`, which threads cannot do at the same
    time in CPython 3.11; see `dlc.python_source`. safetensors would scramble arrays in Fortran's order.)
    """
    save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, path)


def load_outcome(path: Path) -> Outcome:
    """The inverse of `save_outcome`."""
    file = load_file(path)
    index = json.loads(bytes(file["index"]).decode())
    outputs = [file[f"outputs.{n}"] for n in range(index["outputs"])]
    gradients, input_gradients, states = (
        {name: file[f"{group}.{n}"] for n, name in enumerate(index[group])} for group in GROUPS
    )
    forward, backward = (
        [(site, file[f"{group}.{n}"]) for n, site in enumerate(index[group])]
        for group in ("forward", "backward")
    )
    return Outcome(outputs, gradients, input_gradients, states, forward, backward)


def read_case(request: Mapping[str, Any]) -> Case:
    """Imports the generated file and reads the arrays that a `run` request names."""
    recorder = Recorder() if request.get("sites") is not None else None
    module = load_module(Path(request["file"]), request.get("sites"), recorder)
    file = load_file(request["arrays"])
    inputs = {
        name: file[f"inputs.{n}"] if given else None for n, (name, given) in enumerate(request["inputs"])
    }
    draws = [Draw(kind, file[f"samples.{n}"], name) for n, (kind, name) in enumerate(request["samples"])]
    cotangents = [file[f"cotangents.{n}"] if given else None for n, given in enumerate(request["cotangents"])]
    return Case(
        module=module,
        network=request["network"],
        method=request["method"],
        dtype=request["dtype"],
        device=request["device"],
        training=request["training"],
        inputs=inputs,
        weights_path=Path(request["weights"]),
        samples=SampleQueue(draws),
        cotangents=cotangents,
        record=recorder,
    )


def run_request(runner: Runner, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answers one request; what goes wrong in the generated code becomes part of the reply."""
    if request["do"] == "describe":
        return {"ok": True, "describe": dict(runner.describe())}
    try:
        case = read_case(request)
        outcome = runner.run(case)
        if case.samples.left:
            names = ", ".join(f"`{draw.name}`" for draw in case.samples.left[:4])
            raise SampleMismatch(
                f"the code ended with {len(case.samples.left)} samples of the spec not drawn: {names}"
            )
        save_outcome(Path(request["result"]), outcome)
    except (Exception, SystemExit, RecursionError) as error:
        return {"ok": False, "error": describe_error(error, Path(request["file"]))}
    return {"ok": True}


def take_over_streams() -> tuple[IO[str], IO[str]]:
    """Requests and replies on private copies; prints of frameworks go to standard error."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, replies


def serve(make_runner: Callable[[], Runner]) -> None:
    """Answers requests until standard input ends. The first reply says whether the runner
    started."""
    requests, replies = take_over_streams()

    def reply(answer: Mapping[str, Any]) -> None:
        replies.write(json.dumps(answer, default=str) + "\n")
        replies.flush()

    try:
        runner = make_runner()
        started: dict[str, Any] = {"ok": True, "describe": dict(runner.describe())}
    except Exception as error:  # whatever an import of a framework raises
        reply({"ok": False, "error": describe_error(error, None)})
        sys.exit(1)
    reply(started)
    for line in requests:
        if line.strip():
            reply(run_request(runner, json.loads(line)))
