"""Our compiled models against implementations that others wrote, at the same weights.

A `Reference` says how to build one of theirs and what to feed it. Their side runs in a process of its own
(`worker.py`): it builds the model with random numbers in every tensor, lets the library save a checkpoint,
and runs it forward and backward. Here the checkpoint is imported through the map of names that ships with
the spec, and the definition (NumPy, float64) and the generated code of each target are compared with what
they computed: outputs, gradients of the inputs, gradients of the weights in their layout, and in training
mode the updated statistics.

To add one: a file in `catalog/` with `REFERENCES = (Reference(...),)`.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dlc.api import load, with_settings
from dlc.forward import check_sizes
from dlc.parity.cases import Point
from dlc.parity.compare import Comparison, compare
from dlc.parity.protocol import environment
from dlc.parity.run import collect
from dlc.parity.targets import Workshop
from dlc.parity.truth import Data, Truth, evaluate
from dlc.weights.checkpoint import numbers, open_checkpoint
from dlc.weights.convert import export_weights, import_weights
from dlc.weights.maps import find_map
from dlc.weights.name_map import Entry, NameMap

ROOT = Path(__file__).resolve().parents[2]
CATALOG = "reference.catalog"
TORCHVISION = Path(os.environ.get("DLC_TORCHVISION", ROOT / ".torchvision"))
"""Where torchvision is, if not in the environment: beside a CPU build of torch it asks for kernels that are
not there, and transformers cannot be imported. `pip install --no-deps --target .torchvision ...`"""
Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = Mapping[str, Array]
Key: TypeAlias = tuple[str, str]
RUN_SECONDS = 600.0


@dataclass(frozen=True)
class Reference:
    """One network of ours and the same of theirs.

    `build` and `call` run in their process and import their library inside. `call(model, inputs, training)`
    gets the inputs by our names, as tensors of the library, and gives the outputs in the order of ours. The
    harness makes all weights random. `save` is for libraries that have a way of their own.
    """

    name: str
    library: Literal["transformers", "torch", "torchvision", "keras"]
    spec: str
    net: str
    map: str
    build: Callable[[], Any]
    call: Callable[[Any, dict[str, Any], bool], Sequence[Any]]
    inputs: Callable[[np.random.Generator], dict[str, Array]]
    settings: tuple[str, ...] = ()
    method: str = "forward"
    modes: tuple[Literal["eval", "train"], ...] = ("eval",)
    """Training only without dropout: its draws would differ."""
    dtype: Literal["float64", "float32"] = "float64"
    """float32 where their code cannot run in float64: then they must agree up to rounding noise."""
    widen: bool = False
    """Their explicit casts to float32 become casts to float64 (torch): for code that computes norms,
    rotations or a softmax in float32 whatever the dtype of the model is."""
    save: Callable[[Any, Path], None] | None = None
    note: str = ""
    """What a reader of the table should know."""

    @property
    def process(self) -> str:
        """Which process it runs in: transformers and torchvision are kept apart."""
        return "torch" if self.library == "transformers" else self.library

    @property
    def is_here(self) -> bool:
        """Whether its library is installed."""
        beside = self.library == "torchvision" and (TORCHVISION / "torchvision").is_dir()
        return beside or importlib.util.find_spec(self.library) is not None


def catalog() -> list[tuple[str, Reference]]:
    """Every reference, with the module that declares it."""
    package = importlib.import_module(CATALOG)
    found = []
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        module = f"{CATALOG}.{info.name}"
        found += [(module, each) for each in importlib.import_module(module).REFERENCES]
    return found


# ---------------------------------------------------------------- their side


@dataclass
class Theirs:
    """Their process of one library; it lives through all references."""

    process: str

    def __post_init__(self) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        env = environment("cpu") | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        if self.process == "torchvision" and TORCHVISION.is_dir():
            env["PYTHONPATH"] += os.pathsep + str(TORCHVISION)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "reference.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=env,
        )

    def run(self, module: str, reference: Reference, mode: str, folder: Path) -> None:
        """Fills a folder with their checkpoint, outputs and gradients."""
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {"module": module, "name": reference.name, "mode": mode, "folder": str(folder)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        watch = threading.Timer(RUN_SECONDS, self._process.kill)
        watch.start()
        line = self._process.stdout.readline()
        watch.cancel()
        reply = json.loads(line) if line else {"error": "the process ended\n" + self.log()}
        if "error" in reply:
            raise RuntimeError(f"{reference.name}: {reply['error']}")

    def log(self) -> str:
        self._log.seek(0)
        return "".join(self._log.readlines()[-20:])

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait(60)
        self._log.close()


@dataclass
class Bench:
    """Keeps processes between references. A context manager."""

    workshop: Workshop = field(default_factory=Workshop)
    theirs: dict[str, Theirs] = field(default_factory=dict)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.workshop.close()
        for each in self.theirs.values():
            each.close()

    def side(self, process: str) -> Theirs:
        if process not in self.theirs:
            self.theirs[process] = Theirs(process)
        return self.theirs[process]


# ---------------------------------------------------------------- comparing


@dataclass(frozen=True)
class Agreement:
    """How one of ours (`definition`, or a target) compares with theirs."""

    who: str
    mode: str
    dtype: str
    comparisons: tuple[Comparison, ...]

    @property
    def worst(self) -> Comparison:
        return max(self.comparisons, key=lambda c: c.share)

    @property
    def ok(self) -> bool:
        return all(c.ok for c in self.comparisons)

    @property
    def figure(self) -> str:
        """`3.1e-15`, or the multiple of the rounding noise in float32; `exact` for a round trip."""
        if all(c.kind == "weight" for c in self.comparisons):
            return "exact" if self.ok else "not exact"
        if self.dtype == "float64":
            return f"{max(c.error for c in self.comparisons):.1e}"
        return f"{max(c.rms or 0.0 for c in self.comparisons):.1f}x noise"

    def __str__(self) -> str:
        bad = [c for c in self.comparisons if not c.ok]
        count = f"{len(bad)} of {len(self.comparisons)} differ"
        lines = [f"{self.who} {self.mode} {self.dtype}: {self.figure}, {count}"]
        lines += [
            f"  {c.kind} {c.name}: {c.problem or f'{c.error:.1e} (share {c.share:.2g})'}" for c in bad[:12]
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Results:
    """What they computed, in their layout."""

    outputs: tuple[Array, ...]
    cotangents: tuple[Array | None, ...]
    input_gradients: Arrays
    gradients: Arrays
    """By their names."""
    states: Arrays
    """By our paths, after a training step."""


def run_reference(
    bench: Bench, module: str, reference: Reference, targets: Iterable[str], folder: Path
) -> list[Agreement]:
    """Compares one reference in all its modes."""
    found = []
    for mode in reference.modes:
        place = folder / mode
        place.mkdir(parents=True)
        found += run_mode(bench, module, reference, mode, tuple(targets), place)
    return found


def run_mode(
    bench: Bench, module: str, reference: Reference, mode: str, targets: tuple[str, ...], folder: Path
) -> list[Agreement]:
    net = load(ROOT / reference.spec)[reference.net]
    net = with_settings(net, reference.settings) if reference.settings else net
    map = find_map(net, reference.map)
    inputs = reference.inputs(np.random.default_rng(0))
    np.savez(folder / "inputs.npz", **inputs)
    bench.side(reference.process).run(module, reference, mode, folder)
    ours = folder / "ours.safetensors"
    import_weights(map, folder / "checkpoint", ours)
    theirs = read_results(map, folder, mode)
    truth = make_truth(net.program, reference, mode, inputs, load_file(ours), theirs)
    found = [round_trip(map, mode, reference, folder)]
    found += [agreement("definition", mode, reference, map, truth, truth.tensors, 1.0, theirs)]
    for name in targets:
        target = bench.workshop.target(name, "cpu")
        outcome = target.run(truth, reference.dtype, ours)
        tensors = {key: np.asarray(array) for key, array in collect(truth, outcome).items()}
        found.append(agreement(target.label, mode, reference, map, truth, tensors, np.sqrt(2.0), theirs))
    return found


def round_trip(map: NameMap, mode: str, reference: Reference, folder: Path) -> Agreement:
    """Their checkpoint, imported and exported: equal to the byte, but for what the map leaves out or sums."""
    export_weights(map, folder / "ours.safetensors", folder / "back.safetensors")
    first, back = open_checkpoint(folder / "checkpoint"), open_checkpoint(folder / "back.safetensors")
    summed = {name for group in map.sums for entry in group for name in entry.names}
    tied = {name for entry in map.tied for name in entry.names}
    found = []
    for name, stored in first.tensors.items():
        if name in summed or name in tied or map.is_ignored(name):
            continue
        same = name in back.tensors and first.read(name).tobytes() == back.read(name).tobytes()
        same = same and stored.dtype == back.tensors[name].dtype and stored.shape == back.tensors[name].shape
        problem = None if same else "is not the same after import and export"
        share = 0.0 if same else np.inf
        found.append(Comparison("weight", name, reference.dtype, share=share, problem=problem))
    return Agreement("round trip", mode, reference.dtype, tuple(found))


def read_results(map: NameMap, folder: Path, mode: str) -> Results:
    with np.load(folder / "results.npz") as file:
        count = len([name for name in file.files if name.startswith("outputs.")])
        outputs = tuple(file[f"outputs.{n}"] for n in range(count))
        cotangents = tuple(file.get(f"cotangents.{n}") for n in range(count))
        prefix = "input_gradients."
        input_gradients = {n.removeprefix(prefix): file[n] for n in file.files if n.startswith(prefix)}
    checkpoint = open_checkpoint(folder / "gradients")
    gradients = {
        name: np.asarray(numbers(checkpoint.read(name), stored.dtype))
        for name, stored in checkpoint.tensors.items()
        if stored.is_float
    }
    states: Arrays = {}
    if mode == "train":
        import_weights(map, folder / "after", folder / "after.safetensors")
        states = load_file(folder / "after.safetensors")
    return Results(outputs, cotangents, input_gradients, gradients, states)


def make_truth(
    program: Any, reference: Reference, mode: str, inputs: Arrays, weights: Arrays, theirs: Results
) -> Truth:
    """The definition, evaluated on their weights, inputs and cotangents."""
    training = mode == "train"
    method = program.method(reference.method)
    definition = program.definitions[method.train if training else method.eval]
    sizes = check_sizes(program, definition, inputs)
    data = Data(
        inputs={item.name: wide(inputs.get(item.name)) for item in definition.inputs},
        weights={path: wide(array) for path, array in weights.items()},
        draws=(),
        replay=(),
        cotangents=[wide(array) for array in theirs.cotangents],
    )
    point = Point(reference.method, training, 0, sizes)
    return Truth(program, point, data, *evaluate(program, point, data))


def wide(array: Any) -> Any:
    """Floats in float64, integers in int64."""
    if array is None or array.dtype == np.bool_:
        return array
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64)


def noise(truth: Truth, entry: Entry) -> Array:
    """The rounding noise of the gradient of one tensor of theirs."""
    return entry.layout.gather(lambda path: truth.sigma(("gradient", path)))


def agreement(
    who: str,
    mode: str,
    reference: Reference,
    map: NameMap,
    truth: Truth,
    ours: Mapping[Any, Array],
    spread: float,
    theirs: Results,
) -> Agreement:
    """Every tensor of one of ours against theirs. `spread`: how much both sides scatter, in standard
    deviations of one. In float64 the noise says which tensors are zero in exact arithmetic, and is computed
    where that matters.
    """
    dtype = reference.dtype
    found: list[Comparison] = []

    def one(kind: Any, name: str, theirs: Array | None, ours: Array, sigma: Callable[[], Array]) -> None:
        exact = dtype == "float64"
        result = compare(kind, name, theirs, wide(ours), np.zeros(()) if exact else spread * sigma(), dtype)
        if exact and not result.ok and result.problem is None:
            result = compare(kind, name, theirs, wide(ours), spread * sigma(), dtype)
        found.append(result)

    for number, name in enumerate(truth.output_names):
        key = ("output", name)
        given = theirs.outputs[number] if number < len(theirs.outputs) else None
        one("output", name, given, ours[key], partial(truth.sigma, key))
    for name, array in theirs.input_gradients.items():
        key = ("input gradient", name)
        one("input gradient", name, array, ours[key], partial(truth.sigma, key))
    for entry in map.written:
        name = next((name for name in entry.names if name in theirs.gradients), None)
        if name is None or not all(map.weights[path].kind == "param" for path in entry.paths):
            continue
        expected = entry.layout.gather(lambda path: ours["gradient", path])
        one("gradient", name, theirs.gradients[name], expected, partial(noise, truth, entry))
    for path, array in theirs.states.items():
        if map.weights[path].kind == "state":
            one("state", path, array, ours["state", path], partial(truth.sigma, ("state", path)))
    return Agreement(who, mode, dtype, tuple(found))
