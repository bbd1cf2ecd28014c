"""Plants every bug and says what parity makes of it, three targets at a time.

In: mutants. Out: a `Kill` for each of them and each target that it fits. Each target has a thread and a
bench of its own: their processes work side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from dlc.parity.cases import DType
from dlc.parity.report import QUANTITIES, Failure, Report
from mutation.mutants import MUTANTS, Mutant
from mutation.proving import TARGETS, Bench, generated, mutate, program_of

ORDER = ("forward", "state", "gradient")


@dataclass(frozen=True)
class Kill:
    """What parity says about one planted bug. `errors`: what could not run; `place`: file and line blamed."""

    mutant: Mutant
    target: str
    report: Report

    @property
    def errors(self) -> tuple[str, ...]:
        return tuple(error.message for error in self.report.errors)

    def failed(self, dtype: str) -> bool:
        """Whether the runs in a dtype failed."""
        return any(failure.case.dtype == dtype for failure in self.report.failures)

    @property
    def failure(self) -> Failure | None:
        """The failure that names a line."""
        found = [failure for failure in self.report.failures if failure.finding is not None]
        return found[0] if found else None

    @property
    def line(self) -> int | None:
        """The blamed line of the `.dl` file, None where another file or nothing is blamed."""
        if self.failure is None or self.failure.finding is None:
            return None
        at = self.failure.finding.at
        return at.line if at.file.endswith(self.mutant.place.path.name) else None

    @property
    def quantity(self) -> str | None:
        """The first of forward, state and gradient that differs in the first failed run."""
        if not self.report.failures:
            return None
        kinds = {comparison.kind for comparison in self.report.failures[0].case.failing}
        names = {name for name, members in QUANTITIES if kinds & set(members)}
        return next(name for name in ORDER if name in names)

    @property
    def deviation(self) -> float:
        """The largest relative error in float64."""
        cases = [failure.case for failure in self.report.failures if failure.case.dtype == "float64"]
        return max((c.error for case in cases for c in case.failing), default=0.0)

    @property
    def right_line(self) -> bool:
        return self.line == self.mutant.line_in(self.target)


def plant(bench: Bench, mutant: Mutant, target: str, dtypes: tuple[DType, ...]) -> Kill:
    """Plants one bug in one target, and proves this target."""
    text = mutate(generated(mutant.place, target, mutant.changes), mutant.edits[target])
    report = bench.prove(
        program_of(mutant.place, mutant.changes),
        {target: bench.write(text)},
        targets=[target],
        dtypes=dtypes,
        modes=(mutant.mode,),
        seeds=(mutant.seed,),
    )
    return Kill(mutant, target, report)


Harvest = dict[tuple[str, str], "Future[Kill]"]


@contextmanager
def harvest(dtypes: tuple[DType, ...], mutants: Sequence[Mutant] = MUTANTS) -> Iterator[Harvest]:
    """Plants all bugs in the background; the results by name and target, as they come."""
    benches = {target: Bench() for target in TARGETS}
    pools = {target: ThreadPoolExecutor(1) for target in TARGETS}
    try:
        yield {
            (mutant.name, target): pools[target].submit(plant, benches[target], mutant, target, dtypes)
            for mutant in mutants
            for target in mutant.edits
        }
    finally:
        for target in TARGETS:
            pools[target].shutdown(cancel_futures=True)
            benches[target].close()
