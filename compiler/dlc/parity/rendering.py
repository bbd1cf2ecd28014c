"""The text of a parity report for a terminal.

In: a `Report`. Out: a matrix for each program (quantities by targets), the first failure of each
target with the place that it comes from, and the verdict.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path

from dlc.ir import Location
from dlc.parity.compare import ELEMENT_GATE, RMS_GATE, SEMANTIC_GATE, Comparison
from dlc.parity.report import Failure, Heading, Report, describe_tensor, headline, rows

LIMITS = {
    "float64": f"limit {SEMANTIC_GATE:.0e}",
    "float32": f"noise limit {RMS_GATE:.0f} ({ELEMENT_GATE:.0f} for one element)",
}
SHOWN_FAILURES = 8


def render(report: Report) -> str:
    """The whole text."""
    lines: list[str] = []
    for subject in report.subjects:
        lines += [*heading(subject), *matrix(report, subject), ""]
    shown = first_failures(report.failures)
    for failure in shown:
        lines += [*render_failure(failure, report.sources), ""]
    hidden = len(report.failures) - len(shown)
    if hidden > 0:
        lines += [f"and {plural(hidden, 'more failed run')}", ""]
    lines += [f"note: {note}" for note in dict.fromkeys(report.notes)]
    for error in report.errors:
        lines += [f"could not run {error}", ""]
    return "\n".join([*lines, verdict(report)]) + "\n"


# ---------------------------------------------------------------- the matrix


def heading(subject: Heading) -> list[str]:
    seeds = sorted({point.seed for point in subject.points})
    sizes: dict[str, set[int]] = {}
    for point in subject.points:
        for name, size in point.sizes.items():
            sizes.setdefault(name, set()).add(size)
    parts = [
        f"{subject.label}  {subject.parameters:,} params",
        f"seeds {' '.join(map(str, seeds))}",
    ]
    parts += [f"{name} = {' '.join(map(str, sorted(values)))}" for name, values in sizes.items()]
    return ["  " + "   ".join([*parts, "reference: numpy float64"])]


def matrix(report: Report, subject: Heading) -> list[str]:
    table = [["", "", *report.targets, "", ""]]
    for row in rows(report.cases, subject.label):
        cells = [render_cell(row.cells.get(target)) for target in report.targets]
        table.append([row.quantity, row.dtype, *cells, "ok" if row.ok else "FAILED", LIMITS[row.dtype]])
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
    plain = finding.order in ("weight", "input", "state")
    what = "" if plain else f", which {describe_difference(finding.comparison)}"
    lines.append(f"  {finding.title}{what}")
    lines += ["  " + line for line in excerpt(finding.at, sources)]
    if finding.inside is not None:
        lines.append(f"  = inside {finding.inside}")
    if finding.order == "backward" and finding.through is None:
        lines.append("  = something that uses this value has the wrong derivative")
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
