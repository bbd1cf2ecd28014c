"""One forward pass of a network: in the float64 reference, or in a target's own process.

In: a program, arrays by input name, weights by path. Out: the outputs by name. What does not fit is a
DiagnosticError.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from dlc import dims, ir
from dlc.backend import Backend
from dlc.build import generate
from dlc.modules import suggest
from dlc.parity.drawing import standardise
from dlc.parity.protocol import Arrays, Run, TargetError, Worker, normal_device
from dlc.parity.targets import write_files
from dlc.reference.expressions import bind_sizes
from dlc.reference.interpreter import CheckError, Interpreter
from dlc.reference.sampling import SampleSource, initial_weights
from dlc.sizes import check_memory
from dlc.trouble import stop
from dlc.weights.checkpoint import misfits, numbers, open_checkpoint
from dlc_grammar.diagnostics import Diagnostic, DiagnosticError, Note

Array = NDArray[Any]
TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*m")
SHOWN_LINES = 8
KINDS = {"int": "iu", "bool": "b"}


@dataclass(frozen=True)
class Request:
    """What to run on which numbers."""

    program: ir.Program
    method: str
    inputs: Mapping[str, Array]
    weights: Mapping[str, Array]
    seed: int

    @property
    def definition(self) -> ir.Definition:
        full = self.program.definition(self.method)
        given = [i.name in self.inputs for i in full.inputs if i.optional]
        return self.program.definition(self.method, bare=bool(given) and not any(given))

    @property
    def output_names(self) -> tuple[str, ...]:
        outputs = self.definition.outputs
        several = len(outputs) > 1
        return tuple(o.name or (f"output{n}" if several else "output") for n, o in enumerate(outputs))


# ---------------------------------------------------------------- reading arrays


def read_array(path: Path) -> Array:
    """A `.npy` file, never a pickle."""
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise stop(
            "E0802", f"there is no file `{path}`", "inputs are .npy files, as numpy.save writes"
        ) from None
    except (OSError, ValueError, EOFError) as error:
        reason = str(error).split("\n")[0]
        raise stop("E0802", f"`{path}` is not an array: {reason}", "write it with numpy.save") from None
    if not isinstance(array, np.ndarray):
        raise stop("E0802", f"`{path}` holds several arrays", "give one .npy file for each input")
    return array


def check_inputs(definition: ir.Definition, given: Mapping[str, Array]) -> dict[str, Array]:
    """The inputs in the dtypes of the signature, in its order. Raises DiagnosticError."""
    names = [item.name for item in definition.inputs]
    for name in given:
        if name not in names:
            hint = suggest(name, names) or f"the inputs are {', '.join(names)}"
            raise stop("E0802", f"the network has no input `{name}`", hint)
    found = {}
    for item in definition.inputs:
        if item.name in given and item.tensor is not None:
            found[item.name] = _typed(item.name, item.tensor.type, given[item.name])
        elif not item.optional:
            type_ = item.tensor.type if item.tensor else ""
            raise stop(
                "E0802", f"input `{item.name}` is missing", f"it is {type_}: --input {item.name}=FILE.npy"
            )
    left_out = [item.name for item in definition.inputs if item.optional and item.name not in found]
    optional = [item.name for item in definition.inputs if item.optional]
    if left_out and left_out != optional:
        hint = f"give all optional inputs ({', '.join(optional)}), or none of them"
        raise stop("E0802", f"the optional input `{left_out[0]}` is missing, and others are given", hint)
    return found


def _typed(name: str, type_: ir.TensorType, array: Array) -> Array:
    kinds = KINDS.get(type_.dtype, "fiu")
    if array.dtype.kind not in kinds:
        raise stop("E0802", f"input `{name}` is {array.dtype}, not {type_.dtype}", f"its type is {type_}")
    return array.astype({"int": np.int64, "bool": np.bool_}.get(type_.dtype, np.float64))


def check_sizes(
    program: ir.Program, definition: ir.Definition, inputs: Mapping[str, Array]
) -> dict[str, int]:
    """The number of each size variable; raises where shapes or the program's conditions do not hold."""
    shapes = [
        (item.name, item.tensor.type.sizes, inputs[item.name].shape)
        for item in definition.inputs
        if item.tensor is not None and item.name in inputs
    ]
    try:
        return bind_sizes(shapes)
    except (ValueError, KeyError, ZeroDivisionError) as error:
        types = ", ".join(f"{i.name}: {i.tensor.type}" for i in definition.inputs if i.tensor)
        raise stop("E0802", f"the shapes do not fit: {error}", f"the inputs are {types}") from None


def read_weights(program: ir.Program, path: Path) -> dict[str, Array]:
    """A safetensors file whose names and shapes are those of the program. Raises DiagnosticError."""
    stored = open_checkpoint(path)
    problems = misfits(program.weights, stored)
    if problems:
        more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise stop(
            "E0801",
            f"`{path}` does not fit: {'; '.join(problems[:3])}{more}",
            "`dlc view` shows the network; `dlc import weights` reads checkpoints of other libraries",
        )
    return {
        spec.path: np.asarray(numbers(stored.read(spec.path), stored.tensors[spec.path].dtype), np.float64)
        for spec in program.weights
    }


def fresh_weights(program: ir.Program, seed: int) -> dict[str, Array]:
    """Initial weights, as numbers that float32 can hold: `dlc build --weights` writes the same."""
    check_memory(program, 2)
    return {
        path: a.astype(np.float32).astype(np.float64) for path, a in initial_weights(program, seed).items()
    }


# ---------------------------------------------------------------- running


def run_reference(request: Request) -> tuple[Array, ...]:
    """The outputs in float64, by the definitions themselves."""
    outputs, _ = _interpret(request)
    return outputs


def _interpret(request: Request) -> tuple[tuple[Array, ...], SampleSource]:
    source = SampleSource(request.seed)
    try:
        result = Interpreter(request.program).run(
            request.inputs, request.weights, request.method, False, source
        )
    except (CheckError, ValueError, IndexError) as error:
        raise stop("E0802", f"the network cannot run on these inputs: {str(error).splitlines()[0]}") from None
    return tuple(result.outputs), source


def draws_samples(program: ir.Program, name: str) -> bool:
    """Whether a definition, or what it calls, draws a sample."""

    def inside(region: ir.Region) -> bool:
        for node in ir.flat(region):
            if isinstance(node, ir.Sample) or (isinstance(node, ir.Scan) and inside(node.body)):
                return True
            if isinstance(node, ir.Call) and draws_samples(program, node.callee):
                return True
        return False

    return inside(program.definitions[name].body)


def run_target(
    request: Request, backend: Backend, device: str, dtype: str, keras_backend: str | None = None
) -> tuple[Array, ...]:
    """The outputs of the generated code, run in a process of its own. Raises DiagnosticError."""
    definition = request.definition
    sizes = check_sizes(request.program, definition, request.inputs)
    draws = []
    if draws_samples(request.program, definition.id):
        draws = [standardise(draw)[0] for draw in _interpret(request)[1].draws]
    worker = Worker(backend.name, backend.runner, normal_device(device), keras_backend)
    with tempfile.TemporaryDirectory(prefix="dlc-run-") as folder, worker:
        model = write_files(generate(request.program, backend), Path(folder))
        weights = Path(folder, "weights.safetensors")
        save_file({name: np.ascontiguousarray(array) for name, array in request.weights.items()}, weights)
        inputs: dict[str, Array | None] = {
            item.name: request.inputs.get(item.name) for item in definition.inputs
        }
        arrays = Arrays(inputs, draws, no_cotangents(definition, sizes), weights)
        run = Run(model, request.program.name, request.method, dtype, worker.device, False, arrays)
        try:
            return tuple(worker.run(run).outputs)
        except TargetError as error:
            raise could_not_run(error) from None


def could_not_run(error: TargetError) -> DiagnosticError:
    """The first line of a framework's message as the title, the next ones as notes."""
    lines = [line.strip() for line in TERMINAL_CODES.sub("", str(error)).splitlines()]
    first, *rest = [line for line in lines if line] or [error.target]
    notes = tuple(Note(line) for line in rest[:SHOWN_LINES])
    help = "`dlc doctor --deep` shows what works, `dlc parity` what agrees"
    return DiagnosticError(
        [Diagnostic("E0702", f"the target could not run it: {first}", None, "", notes, help)]
    )


def no_cotangents(definition: ir.Definition, sizes: Mapping[str, int]) -> list[Array | None]:
    """Zeros for every float output: only the forward pass matters here."""
    found: list[Array | None] = []
    for output in definition.outputs:
        if output.type.dtype in KINDS:
            found.append(None)
        else:
            found.append(np.zeros([dims.evaluate(size, sizes) for size in output.type.sizes]))
    return found


def summarise(array: Array) -> dict[str, Any]:
    """Shape, dtype and the range of an output, as plain values."""
    found: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    if array.size and array.dtype.kind in "fiu":
        finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
        found["not_finite"] = int(array.size - finite.size)
        if finite.size:
            for name in ("min", "max", "mean", "std"):
                found[name] = float(getattr(finite, name)())
    elif array.size:
        found["true"] = int(array.sum())
    return found


def first_numbers(array: Array, count: int = 4) -> Sequence[Any]:
    """The first few elements, as plain values that JSON can hold."""
    values = array.reshape(-1)[:count].tolist()
    return json.loads(json.dumps([v if v == v and abs(v) != float("inf") else str(v) for v in values]))  # type: ignore[no-any-return]
