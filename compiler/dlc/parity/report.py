"""The result of a parity run, as values, text and JSON.

In: what `dlc.parity.run` collected. Out: `Report`: `ok`, `worst`, `exit_code`, `to_json()`,
`render()`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlc.parity.cases import Point
from dlc.parity.compare import Comparison
from dlc.parity.localise import Finding
from dlc.parity.protocol import TargetError
from dlc_grammar.record import as_dict

QUANTITIES = (
    ("forward", ("output",)),
    ("gradient", ("gradient", "input gradient")),
    ("state", ("state",)),
)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One run of one target: every tensor."""

    target: str
    program: str
    point: Point
    dtype: str
    comparisons: tuple[Comparison, ...]

    @property
    def failing(self) -> tuple[Comparison, ...]:
        return tuple(comparison for comparison in self.comparisons if not comparison.ok)


@dataclass(frozen=True, slots=True)
class Worst:
    """A comparison and where it is from."""

    case: CaseResult
    comparison: Comparison

    def __str__(self) -> str:
        return f"{describe_tensor(self.comparison)}, {self.case.dtype}, {self.case.target}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed run and, where it was found, the first place that differs."""

    case: CaseResult
    finding: Finding | None = None
    file: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """A program that was run, for the report's heading."""

    label: str
    parameters: int
    points: tuple[Point, ...]
    near_kinks: int = 0


@dataclass
class Report:
    """What `run_parity` found."""

    subjects: list[Heading] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    cases: list[CaseResult] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    errors: list[TargetError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sources: Mapping[str, str] = field(default_factory=dict)
    """Text of `.dl` files by the name in their locations, where they are not files on disk."""

    @property
    def ok(self) -> bool:
        return not self.failures and not self.errors and bool(self.cases)

    @property
    def exit_code(self) -> int:
        """0 passed, 1 failed, 2 something could not run."""
        if self.errors or not self.cases:
            return 2
        return 1 if self.failures else 0

    @property
    def comparisons(self) -> Iterator[Worst]:
        for case in self.cases:
            for comparison in case.comparisons:
                yield Worst(case, comparison)

    @property
    def worst(self) -> Worst | None:
        """The tensor nearest to its limit, or farthest beyond."""
        return max(self.comparisons, key=lambda found: found.comparison.share, default=None)

    # ------------------------------------------------------------ forms

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        worst = self.worst
        return {
            "ok": self.ok,
            "exit_code": self.exit_code,
            "targets": self.targets,
            "programs": [subject.label for subject in self.subjects],
            "comparisons": sum(len(case.comparisons) for case in self.cases),
            "worst": None if worst is None else tensor_json(worst.case, worst.comparison),
            "notes": self.notes,
            "rows": list(self._rows_json()),
            "failures": [failure_json(failure) for failure in self.failures],
            "errors": [
                {
                    "target": e.target,
                    "message": e.message,
                    "file": e.file,
                    "line": e.line,
                    "text": e.text,
                }
                for e in self.errors
            ],
        }

    def _rows_json(self) -> Iterator[dict[str, Any]]:
        for subject in self.subjects:
            for row in rows(self.cases, subject.label):
                cells = {target: cell_json(cell) for target, cell in row.cells.items()}
                yield {"program": subject.label, "quantity": row.quantity, "dtype": row.dtype} | {
                    "cells": cells
                }

    def render(self) -> str:
        """The text for a terminal: a matrix for each program, then failures, then the verdict."""
        from dlc.parity.rendering import render

        return render(self)


# ---------------------------------------------------------------- rows


@dataclass(frozen=True, slots=True)
class Row:
    """The worst comparison of each target for one quantity and dtype."""

    quantity: str
    dtype: str
    cells: Mapping[str, Comparison]

    @property
    def ok(self) -> bool:
        return all(cell.ok for cell in self.cells.values())


def rows(cases: Sequence[CaseResult], label: str) -> Iterator[Row]:
    for quantity, kinds in QUANTITIES:
        for dtype in ("float64", "float32"):
            cells: dict[str, Comparison] = {}
            for case in cases:
                if case.program != label or case.dtype != dtype:
                    continue
                chosen = [c for c in case.comparisons if c.kind in kinds]
                for comparison in chosen:
                    current = cells.get(case.target)
                    if current is None or comparison.share > current.share:
                        cells[case.target] = comparison
            if cells:
                yield Row(quantity, dtype, cells)


def headline(case: CaseResult) -> Comparison:
    """The tensor that a failure is about: an output if any is wrong, else the farthest off."""
    return max(case.failing, key=lambda found: (found.kind == "output", found.share))


def describe_tensor(comparison: Comparison) -> str:
    match comparison.kind:
        case "output" if comparison.name == "output":
            return "output"
        case "output":
            return f"output `{comparison.name}`"
        case "gradient" | "input gradient":
            return f"gradient of `{comparison.name}`"
        case _:
            return f"state `{comparison.name}`"


# ---------------------------------------------------------------- JSON


def cell_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "tensor": comparison.name,
        "kind": comparison.kind,
        "ok": comparison.ok,
        "error": plain(comparison.error),
        "share": plain(comparison.share),
        "noise_rms": comparison.rms,
        "noise_element": comparison.element,
        "units_in_last_place": comparison.units,
        "zero": comparison.zero,
        "problem": comparison.problem,
    }


def plain(number: float) -> float | None:
    """JSON has no infinity."""
    return number if number < float("inf") else None


def tensor_json(case: CaseResult, comparison: Comparison) -> dict[str, Any]:
    point = case.point
    return cell_json(comparison) | {
        "target": case.target,
        "program": case.program,
        "dtype": case.dtype,
        "method": point.method,
        "mode": point.mode,
        "optional_inputs": not point.bare,
        "seed": point.seed,
        "sizes": dict(point.sizes),
    }


def failure_json(failure: Failure) -> dict[str, Any]:
    worst = headline(failure.case)
    found = failure.finding
    return tensor_json(failure.case, worst) | {
        "tensors": [comparison.name for comparison in failure.case.failing],
        "first": None
        if found is None
        else {
            "order": found.order,
            "what": found.what,
            "at": as_dict(found.at),
            "inside": None if found.inside is None else as_dict(found.inside),
            "through": found.through,
            "generated_line": found.line,
            "error": plain(found.comparison.error),
        },
    }
