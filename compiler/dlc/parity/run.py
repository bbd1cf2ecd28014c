"""Runs the proof: every point of every program, on every target, in both dtypes.

In: programs with their settings, the targets, and where they run. Out: a `Report`. The reference is
evaluated once for each point; each target runs in its own process, all targets at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dlc import ir
from dlc.lowering import lower
from dlc.parity.cases import DType, ParitySettings, Point, points, program_label
from dlc.parity.compare import Comparison, Kind, compare
from dlc.parity.localise import localise
from dlc.parity.protocol import TargetError
from dlc.parity.report import CaseResult, Failure, Heading, Report
from dlc.parity.targets import Lower, Target, Workshop, save_weights
from dlc.parity.tolerance import Tolerance
from dlc.parity.truth import Truth, find_truth
from dlc.parity.worker import Array, Outcome

Progress = Callable[[str], None]
DEFAULT_TARGETS = ("torch", "jax", "keras")


@dataclass(frozen=True, slots=True)
class Subject:
    """A program and what its `parity` section says about it."""

    program: ir.Program
    settings: ParitySettings = field(default_factory=ParitySettings)


@dataclass
class Truths:
    """The reference on points that were asked for before: runs on changed targets need it once."""

    _found: dict[tuple[int, str], tuple[ir.Program, Truth]] = field(default_factory=dict)

    def find(self, program: ir.Program, point: Point, settings: ParitySettings) -> Truth:
        key = (id(program), str(point))
        if key not in self._found:
            self._found[key] = (program, find_truth(program, point, settings))
        return self._found[key][1]


def run_parity(
    programs: ir.Program | Sequence[Subject],
    settings: ParitySettings | None = None,
    *,
    targets: Sequence[str] | None = None,
    devices: Sequence[str] | None = None,
    dtypes: Sequence[DType] | None = None,
    code: Mapping[str, Path] | None = None,
    keras_backend: str | None = None,
    emit: Lower = lower,
    workshop: Workshop | None = None,
    truths: Truths | None = None,
    locate: bool = True,
    sources: Mapping[str, str] | None = None,
    progress: Progress = lambda text: None,
) -> Report:
    """Proves programs on targets. What cannot run is in the report's `errors`, never raised.

    `targets`, `devices`, `dtypes` override the settings; `code` runs a file instead of the
    generated one, by target. Give a `workshop` and `truths` to keep processes and reference results
    between calls.
    """
    if isinstance(programs, ir.Program):
        subjects = [Subject(programs, settings or ParitySettings())]
    else:
        subjects = list(programs)
    report = Report(sources=sources or {})
    own = Workshop(keras_backend, emit) if workshop is None else None
    shop = workshop or own
    assert shop is not None
    try:
        for subject in subjects:
            Proof(subject, report, shop, truths or Truths(), locate, progress).run(
                targets, devices, dtypes, code or {}
            )
    finally:
        if own is not None:
            own.close()
    return report


@dataclass
class Proof:
    """One program on all targets."""

    subject: Subject
    report: Report
    workshop: Workshop
    truths: Truths
    locate: bool
    progress: Progress

    def run(
        self,
        targets: Sequence[str] | None,
        devices: Sequence[str] | None,
        dtypes: Sequence[DType] | None,
        code: Mapping[str, Path],
    ) -> None:
        settings = self.subject.settings
        names = targets or settings.targets or DEFAULT_TARGETS
        places = devices or settings.devices or ("cpu",)
        started = list(self._start(names, places, code, asked=bool(devices)))
        program, label = self.subject.program, program_label(self.subject.program)
        covered: list[Point] = []
        near = 0
        for point in points(program, settings):
            self.progress(f"{label} {point}")
            truth = self._truth(point, dtypes or settings.dtypes)
            if truth is None:
                break
            covered.append(point)
            near += truth.kinks
            started = self._point(started, truth, dtypes or settings.dtypes)
            if not started:
                break
        count = sum(math.prod(spec.shape) for spec in program.weights if spec.kind == "param")
        self.report.subjects.append(Heading(label, count, tuple(covered), near))

    def _start(
        self, names: Iterable[str], devices: Iterable[str], code: Mapping[str, Path], *, asked: bool
    ) -> Iterable[Target]:
        """Starts every target on every device. A device that only the spec names may be absent here."""
        for name in names:
            for device in devices:
                try:
                    target = self.workshop.target(name, device, code.get(name))
                    target.worker.start()
                except TargetError as error:
                    if error.kind == "device" and not asked:
                        self.report.notes.append(f"{error.message}: {error.target} was left out")
                    else:
                        self.report.errors.append(error)
                    continue
                if target.label not in self.report.targets:
                    self.report.targets.append(target.label)
                yield target

    def _truth(self, point: Point, dtypes: Sequence[DType]) -> Truth | None:
        """None where the specification itself cannot be evaluated: that is in the report's
        errors."""
        try:
            truth = self.truths.find(self.subject.program, point, self.subject.settings)
            if "float32" in dtypes:
                _ = truth.noise
        except (ValueError, IndexError, ArithmeticError) as error:
            notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", ()))
            self.report.errors.append(TargetError("reference", f"{point}: {error}{notes}"))
            return None
        return truth

    def _point(self, targets: list[Target], truth: Truth, dtypes: Sequence[DType]) -> list[Target]:
        """Runs all targets at the same time; gives those that can go on."""
        weights = save_weights(truth, self.workshop.folder / "weights.safetensors")

        def run(target: Target) -> list[Outcome | TargetError]:
            return list(attempts(target, truth, dtypes, weights))

        with ThreadPoolExecutor(max(1, len(targets))) as pool:
            results = list(pool.map(run, targets))
        going_on = []
        for target, outcomes in zip(targets, results, strict=True):
            for dtype, outcome in zip(dtypes, outcomes, strict=False):
                if isinstance(outcome, TargetError) and outcome.kind != "SampleMismatch":
                    self.report.errors.append(outcome)
                    break
                self._judge(target, truth, dtype, outcome, weights)
            else:
                going_on.append(target)
        return going_on

    def _judge(
        self,
        target: Target,
        truth: Truth,
        dtype: DType,
        outcome: Outcome | TargetError,
        weights: Path,
    ) -> None:
        if isinstance(outcome, TargetError):
            text = f"differ: {outcome.message}"
            comparisons = [Comparison("output", "samples", dtype, math.inf, math.inf, problem=text)]
        else:
            comparisons = list(judge(truth, outcome, dtype, tolerances(self.subject.settings, dtype)))
        label = program_label(truth.program)
        case = CaseResult(target.label, label, truth.point, dtype, tuple(comparisons))
        self.report.cases.append(case)
        if case.failing:
            self.report.failures.append(self._failure(target, truth, case, weights))

    def _failure(self, target: Target, truth: Truth, case: CaseResult, weights: Path) -> Failure:
        """Looks for the first difference, once for each target and program."""
        known = any(
            failure.case.target == case.target
            and failure.case.program == case.program
            and failure.finding is not None
            for failure in self.report.failures
        )
        if not self.locate or known:
            return Failure(case)
        file = target.file(truth.program, case.dtype)
        try:
            outcome = target.run(truth, case.dtype, weights, trace=True)
        except TargetError:
            return Failure(case)
        finding = localise(truth, outcome, file.lines, case.failing, case.dtype)
        return Failure(case, finding, file.path.name)


def attempts(
    target: Target, truth: Truth, dtypes: Sequence[DType], weights: Path
) -> Iterable[Outcome | TargetError]:
    """The outcome for each dtype, or why there is none; ends where the target cannot go on."""
    for dtype in dtypes:
        try:
            yield target.run(truth, dtype, weights)
        except TargetError as error:
            yield error
            if error.kind != "SampleMismatch":
                return


# ---------------------------------------------------------------- judging


CHECKED: Mapping[Kind, str] = {
    "output": "forward",
    "gradient": "gradient",
    "input gradient": "gradient",
}
"""The name of the `check` of a `parity` section that is about a kind of tensor."""


def tolerances(settings: ParitySettings, dtype: DType) -> dict[Kind, Tolerance]:
    """What the spec asks for, by kind of tensor."""
    asked = {check.kind: check.tolerances.get(dtype) for check in settings.checks}
    return {kind: found for kind, name in CHECKED.items() if (found := asked.get(name)) is not None}


def judge(
    truth: Truth, outcome: Outcome, dtype: DType, asked: Mapping[Kind, Tolerance] | None = None
) -> Iterable[Comparison]:
    """Compares every tensor of the reference with the target's."""
    asked = asked or {}
    found = collect(truth, outcome)
    if len(outcome.outputs) != len(truth.output_names):
        text = f"are {len(outcome.outputs)}, not {len(truth.output_names)}"
        yield Comparison("output", "outputs", dtype, math.inf, math.inf, problem=text)
    for key, expected in truth.tensors.items():
        kind, name = key
        if dtype == "float32":
            sigma = truth.sigma(key)
            yield compare(kind, name, found.get(key), expected, sigma, dtype, asked.get(kind))
            continue
        none = np.zeros(())
        result = compare(kind, name, found.get(key), expected, none, dtype, asked.get(kind))
        if not result.ok and result.problem is None:
            sigma = truth.sigma(key)
            result = compare(kind, name, found.get(key), expected, sigma, dtype, asked.get(kind))
        yield result


def collect(truth: Truth, outcome: Outcome) -> dict[tuple[Kind, str], Array]:
    found: dict[tuple[Kind, str], Array] = {}
    for name, array in zip(truth.output_names, outcome.outputs, strict=False):
        found["output", name] = array
    for path, array in outcome.weight_gradients.items():
        found["gradient", path] = array
    for name, array in outcome.input_gradients.items():
        found["input gradient", name] = array
    for path, array in outcome.states.items():
        found["state", path] = array
    return found
