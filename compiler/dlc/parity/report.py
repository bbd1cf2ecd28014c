"""The result of a parity run, as values, text and JSON.

In: what `dlc.parity.run` collected. Out: `Report`: `ok`, `worst`, `exit_code`, `to_json()`, `render()`.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlc.ir import Location
from dlc.parity.cases import Point
from dlc.parity.compare import ELEMENT_GATE, RMS_GATE, SEMANTIC_GATE, Comparison
from dlc.parity.localise import Finding
from dlc.parity.protocol import TargetError

QUANTITIES = (
    ("forward", ("output",)),
    ("gradient", ("gradient", "input gradient")),
    ("state", ("state",)),
)
LIMITS = {
    "float64": f"limit {SEMANTIC_GATE:.0e}",
    "float32": f"noise limit {RMS_GATE:.0f} ({ELEMENT_GATE:.0f} for one element)",
}
SHOWN_FAILURES = 8


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
            "rows": list(self._rows_json()),
            "failures": [failure_json(failure) for failure in self.failures],
            "errors": [
                {"target": e.target, "message": e.message, "file": e.file, "line": e.line, "text": e.text}
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
        lines: list[str] = []
        for subject in self.subjects:
            lines += [*heading(subject), *matrix(self, subject), ""]
        shown = first_failures(self.failures)
        for failure in shown:
            lines += [*render_failure(failure, self.sources), ""]
        hidden = len(self.failures) - len(shown)
        if hidden > 0:
            lines += [f"and {plural(hidden, 'more failed run')}", ""]
        for error in self.errors:
            lines += [f"could not run {error}", ""]
        return "\n".join([*lines, verdict(self)]) + "\n"


# ---------------------------------------------------------------- the matrix


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


def heading(subject: Heading) -> list[str]:
    seeds = sorted({point.seed for point in subject.points})
    sizes: dict[str, set[int]] = {}
    for point in subject.points:
        for name, size in point.sizes.items():
            sizes.setdefault(name, set()).add(size)
    parts = [f"{subject.label}  {subject.parameters:,} params", f"seeds {' '.join(map(str, seeds))}"]
    parts += [f"{name} = {' '.join(map(str, sorted(values)))}" for name, values in sizes.items()]
    return ["  " + "   ".join([*parts, "reference: numpy float64"])]


def matrix(report: Report, subject: Heading) -> list[str]:
    table = [["", "", *report.targets, "", ""]]
    for row in rows(report.cases, subject.label):
        cells = [render_cell(row.cells.get(target)) for target in report.targets]
        table.append(
            [row.quantity, row.dtype, *cells, "ok" if row.ok else "FAILED", LIMITS[row.dtype]]
        )
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    ]
    if subject.near_kinks:
        lines.append(f"  {subject.near_kinks} numbers were nearer to a kink than float32 can tell")
    return lines


def render_cell(comparison: Comparison | None) -> str:
    if comparison is None:
        return "-"
    if comparison.problem is not None:
        return "!"
    noise = "" if comparison.rms is None else f" {comparison.rms:.2g}x"
    return f"{comparison.error:.1e}{noise}"


def verdict(report: Report) -> str:
    count = sum(len(case.comparisons) for case in report.cases)
    worst = report.worst
    if report.errors:
        stopped = plural(len(report.errors), "error")
        return f"COULD NOT RUN  {stopped}, {plural(len(report.failures), 'failed run')}"
    if worst is None:
        return "COULD NOT RUN  nothing was compared"
    if report.failures:
        failed = sum(len(failure.case.failing) for failure in report.failures)
        return f"FAILED  {failed:,} of {count:,} comparisons, in {plural(len(report.failures), 'run')}"
    share = worst.comparison.share
    return f"PASSED  {count:,} comparisons, worst {share:.1%} of its limit ({worst})"


# ---------------------------------------------------------------- failures


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def first_failures(failures: Sequence[Failure]) -> list[Failure]:
    """The first failed run of each program, target and dtype; float64 stands for float32 too."""
    found: dict[tuple[str, str], Failure] = {}
    for failure in failures:
        key = (failure.case.program, failure.case.target)
        known = found.get(key)
        if known is None or (known.case.dtype, failure.case.dtype) == ("float32", "float64"):
            found[key] = failure
    return list(found.values())[:SHOWN_FAILURES]


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


def describe_difference(comparison: Comparison) -> str:
    if comparison.problem is not None:
        return comparison.problem
    if comparison.rms is None:
        return f"differs by {comparison.error:.1e} ({comparison.share:.3g} times its limit)"
    element = comparison.element or 0.0
    return (
        f"differs by {comparison.error:.1e}, {comparison.rms:.3g} times the noise of float32 "
        f"(limit {RMS_GATE:.0f}; worst element {element:.3g}, limit {ELEMENT_GATE:.0f})"
    )


def render_failure(failure: Failure, sources: Mapping[str, str]) -> list[str]:
    case = failure.case
    worst = headline(case)
    title = f"{case.program} {case.dtype} {case.target}, {case.point}"
    lines = [f"FAILED  {title}: {describe_tensor(worst)} {describe_difference(worst)}"]
    others = len(case.failing) - 1
    if others:
        lines.append(f"  and {others} more of {len(case.comparisons)} tensors")
    finding = failure.finding
    if finding is None:
        return lines
    what = "" if finding.order == "weight" else f", which {describe_difference(finding.comparison)}"
    lines.append(f"  {finding.title}{what}")
    lines += ["  " + line for line in excerpt(finding.at, sources)]
    if finding.line is not None:
        lines.append(f"  = generated at {failure.file}:{finding.line}")
    return lines


def excerpt(at: Location, sources: Mapping[str, str]) -> list[str]:
    """The line of a `.dl` file with carets under the range."""
    text = read_source(at.file, sources)
    arrow = f"--> {at}"
    if text is None or at.line > text.count("\n") + 1:
        return [arrow]
    line = text.splitlines()[at.line - 1]
    width = max(1, min(at.stop - at.start, len(line) - at.column + 1))
    margin = " " * len(str(at.line))
    return [
        f"{margin}{arrow}",
        f"{margin} |",
        f"{at.line} | {line}",
        f"{margin} | {' ' * (at.column - 1)}{'^' * width}",
    ]


def read_source(name: str, sources: Mapping[str, str]) -> str | None:
    if name in sources:
        return sources[name]
    try:
        if name.startswith("std/"):
            return importlib.resources.files("dlc").joinpath(name).read_text(encoding="utf-8")
        return Path(name).read_text(encoding="utf-8")
    except OSError:
        return None


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
            "at": found.at.model_dump(),
            "generated_line": found.line,
            "error": plain(found.comparison.error),
        },
    }
