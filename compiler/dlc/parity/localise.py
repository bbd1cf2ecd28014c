"""Where a target first leaves the reference.

In: the reference's trace on a point, and the trace that the instrumented generated file recorded on
the same point. Out: a `Finding`: the first value that differs in execution order; if all agree, the
first cotangent that differs going backwards; if these agree too, the weight whose gradient differs.

The k-th execution of a statement is compared with the k-th execution of the node that it came from.
Values may have their axes in another order (channels last): the order in which they agree best
counts.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dlc.backend import SourceLine
from dlc.ir import (
    Apply,
    Bind,
    Branch,
    Call,
    For,
    Item,
    Location,
    Node,
    Program,
    Region,
    Return,
    Sample,
    Scan,
    Use,
)
from dlc.parity.compare import Comparison, compare
from dlc.parity.instrument import Site
from dlc.parity.noise import trace_noise
from dlc.parity.truth import Truth
from dlc.parity.worker import Array, Outcome, Traced
from dlc.reference.interpreter import TraceEntry

AUDIT_RUNS = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """`order` is forward, backward or weight; `what` names the value; `line` is of the generated
    file."""

    order: str
    what: str
    at: Location
    comparison: Comparison
    line: int | None = None

    @property
    def title(self) -> str:
        match self.order:
            case "forward":
                return f"the first value that differs is the result of `{self.what}`"
            case "backward":
                return (
                    f"all values agree; going back from the outputs, the first gradient that "
                    f"differs is that of the result of `{self.what}`"
                )
            case _:
                return f"all values and their gradients agree; only that of `{self.what}` differs"


@dataclass(frozen=True, slots=True)
class Match:
    """One recorded value and the execution of the node that it belongs to."""

    line: SourceLine
    entry: TraceEntry
    position: int


def statement_lines(sites: Sequence[Site], lines: Sequence[SourceLine]) -> dict[int, SourceLine]:
    """The origin of each statement that has one, by the statement's number."""
    found: dict[int, SourceLine] = {}
    for line in lines:
        spans = [site for site in sites if site.line <= line.line <= site.last]
        if spans:
            site = min(spans, key=lambda one: (one.line != line.line, one.last - one.line))
            found[site.number] = line
    return found


def all_nodes(region: Region) -> Iterator[Node]:
    """Every node of a body, those of loops and scans included."""
    for node in region:
        yield node
        match node:
            case For():
                for step in node.rounds:
                    yield from all_nodes(step.body)
            case Branch() | Scan():
                yield from all_nodes(node.body)


def producers(program: Program) -> dict[int, int]:
    """For a statement that only names or returns one value, the origin of the node that made it."""
    found: dict[int, int] = {}
    for definition in program.definitions.values():
        made: dict[int, int] = {}
        for node in all_nodes(definition.body):
            match node:
                case Apply() | Call() | Branch():
                    made.update({tensor.id: node.origin for tensor in node.outputs})
                case Sample() | Item():
                    made[node.output.id] = node.origin
                case Bind(value=Use(id=number)) | Return(values=(Use(id=number),)):
                    if number in made:
                        found[node.origin] = made[number]
    return found


def match_traces(
    forward: Traced,
    lines: Mapping[int, SourceLine],
    trace: Sequence[TraceEntry],
    program: Program,
) -> list[Match]:
    """Pairs the k-th executions. Origins that ran another number of times have no counterpart."""
    reference: dict[int, list[TraceEntry]] = defaultdict(list)
    for entry in trace:
        reference[entry.origin].append(entry)
    named = producers(program)
    positions: dict[int, list[int]] = defaultdict(list)
    for position, (site, _) in enumerate(forward):
        if site in lines:
            positions[site].append(position)
    matches = []
    for site, found in positions.items():
        origin = lines[site].origin
        entries = reference[origin] if origin in reference else reference[named.get(origin, -1)]
        if len(entries) == len(found):
            pairs = zip(entries, found, strict=True)
            matches += [Match(lines[site], entry, position) for entry, position in pairs]
    return sorted(matches, key=lambda match: match.position)


def orders(shape: tuple[int, ...], wanted: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The axis orders that give a shape, the unchanged one first."""
    if len(shape) == len(wanted) and len(shape) <= 5:
        for order in itertools.permutations(range(len(shape))):
            if tuple(shape[axis] for axis in order) == wanted:
                yield order


def compare_loosely(name: str, found: Array, expected: Array, sigma: Array, dtype: str) -> Comparison:
    """Like `compare`, for the axis order that agrees best."""
    if found.dtype.kind == "f" and expected.dtype.kind == "f":
        found = found.astype(dtype)
    best: Comparison | None = None
    for order in orders(found.shape, expected.shape):
        result = compare("output", name, found.transpose(order), expected, sigma, dtype)
        if best is None or result.share < best.share:
            best = result
        if result.ok:
            break
    return best or compare("output", name, found, expected, sigma, dtype)


def localise(
    truth: Truth,
    outcome: Outcome,
    lines: Mapping[int, SourceLine],
    failing: Sequence[Comparison],
    dtype: str,
) -> Finding | None:
    """The first difference, None where the traces have nothing to say."""
    matches = match_traces(outcome.forward, lines, truth.result.trace, truth.program)
    slots = frozenset(match.entry.slot for match in matches)
    forward, backward = trace_noise(truth.evaluate, truth.result, truth.gradients, slots, AUDIT_RUNS)
    values = truth.result.tape.values
    for match in matches:
        slot = match.entry.slot
        found = outcome.forward[match.position][1]
        result = compare_loosely(match.entry.label, found, values[slot], forward[slot], dtype)
        if not result.ok:
            return Finding("forward", match.entry.label, match.entry.at, result, match.line.line)
    if any(comparison.kind in ("output", "state") for comparison in failing):
        return None
    for match in reversed(matches if outcome.backward else []):
        slot = match.entry.slot
        expected = truth.gradients.slots.get(slot, np.zeros(values[slot].shape))
        if values[slot].dtype.kind != "f":
            continue
        found = outcome.backward[match.position][1]
        result = compare_loosely(match.entry.label, found, expected, backward[slot], dtype)
        if not result.ok:
            return Finding("backward", match.entry.label, match.entry.at, result, match.line.line)
    return weight_finding(truth, failing)


def weight_finding(truth: Truth, failing: Sequence[Comparison]) -> Finding | None:
    places = {spec.path: spec.at for spec in truth.program.weights}
    for comparison in failing:
        if comparison.kind == "gradient" and comparison.name in places:
            return Finding("weight", comparison.name, places[comparison.name], comparison)
    return None
