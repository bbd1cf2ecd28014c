"""Where a target first leaves the reference.

In: the reference's trace on a point, and the trace that the instrumented generated file recorded on
the same point. Out: a `Finding`: the first value that differs in execution order; if all agree, the
first cotangent that differs going backwards, and which user of the value hands back the wrong one;
if these agree too, the weight or input whose gradient differs, or the state.

The k-th execution of a statement is compared with the k-th execution of the node that it came from.
Values may have their axes in another order (channels last): the order in which they agree best
counts.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
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
from dlc.parity.users import Others, explain, users_of
from dlc.parity.worker import Array, Outcome, Traced
from dlc.reference.interpreter import TraceEntry

AUDIT_RUNS = 8
LIBRARY = "std/"


@dataclass(frozen=True, slots=True)
class Finding:
    """`order` is forward, backward, weight, input or state; `what` names the value; `line` is of the
    generated file.

    `at` is in the user's files: where the value is computed inside the standard library, it is the
    call that led there, and `inside` is the place in the library. `through`: what hands back the
    wrong gradient; `at` is then its place.
    """

    order: str
    what: str
    at: Location
    comparison: Comparison
    line: int | None = None
    inside: Location | None = None
    through: str | None = None

    @property
    def title(self) -> str:
        match self.order:
            case "forward":
                return f"the first value that differs is the result of `{self.what}`"
            case "state":
                return f"all values agree; only what is stored in `{self.what}` differs"
            case "backward" if self.through is None:
                return (
                    f"all values agree; going back from the outputs, the first gradient that "
                    f"differs is that of the result of `{self.what}`"
                )
            case _ if self.through is not None:
                return (
                    f"all values agree; going back from the outputs, the first wrong gradient is what "
                    f"`{self.through}` hands back to `{self.what}`"
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


def producers(program: Program) -> tuple[dict[int, int], dict[Location, int]]:
    """For a statement that only names or returns one value, the origin of the node that made it: by
    the statement's origin, and by its place, for what a backend puts there."""
    found: dict[int, int] = {}
    places: dict[Location, int] = {}
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
                        found[node.origin] = places[node.at] = made[number]
    return found, places


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
    named, placed = producers(program)
    positions: dict[int, list[int]] = defaultdict(list)
    for position, (site, _) in enumerate(forward):
        if site in lines:
            positions[site].append(position)
    matches = []
    for site, found in positions.items():
        origin = lines[site].origin
        if origin not in reference:
            origin = named.get(origin, placed.get(lines[site].at, origin))
        entries = reference.get(origin, [])
        if len(entries) == len(found):
            pairs = zip(entries, found, strict=True)
            matches += [Match(lines[site], entry, position) for entry, position in pairs]
    return sorted(matches, key=lambda match: match.position)


def orders(shape: tuple[int, ...], wanted: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The axis orders that give a shape, the unchanged one first.

    Where the shape is right as it is, only channels last is another possibility: with more of them,
    a tensor that is wrongly transposed would pass.
    """
    rank = len(shape)
    if rank != len(wanted) or rank > 5:
        return
    usual = [tuple(range(rank))]
    if rank > 2:
        usual.append((0, rank - 1, *range(1, rank - 1)))
    fitting = itertools.permutations(range(rank)) if shape != wanted else usual
    for order in fitting:
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


def blamed(at: Location, calls: Sequence[Location]) -> tuple[Location, Location | None]:
    """The innermost place in the user's files, and the place in the library that it led to."""
    for place in (at, *reversed(calls)):
        if not place.file.startswith(LIBRARY):
            return place, None if place == at else at
    return at, None


@dataclass
class Search:
    """One failed run and its trace."""

    truth: Truth
    outcome: Outcome
    matches: Sequence[Match]
    failing: Sequence[Comparison]
    dtype: str

    def first(self) -> Finding | None:
        """The first difference, None where the traces have nothing to say."""
        slots = frozenset(match.entry.slot for match in self.matches)
        truth = self.truth
        forward, backward = trace_noise(truth.evaluate, truth.result, truth.gradients, slots, AUDIT_RUNS)
        found = self._forward(forward)
        if found is not None or any(comparison.kind == "output" for comparison in self.failing):
            return found
        if any(comparison.kind == "state" for comparison in self.failing):
            return self._state()
        return self._backward(backward) or self._weight() or self._input()

    def _forward(self, noise: Mapping[int, Array]) -> Finding | None:
        values = self.truth.result.tape.values
        for match in self.matches:
            entry = match.entry
            found = self.outcome.forward[match.position][1]
            result = compare_loosely(entry.label, found, values[entry.slot], noise[entry.slot], self.dtype)
            if not result.ok:
                at, inside = blamed(entry.at, entry.calls)
                return Finding("forward", entry.label, at, result, match.line.line, inside)
        return None

    def _backward(self, noise: Mapping[int, Array]) -> Finding | None:
        values = self.truth.result.tape.values
        for match in reversed(self.matches if self.outcome.backward else []):
            entry = match.entry
            if values[entry.slot].dtype.kind != "f":
                continue
            expected = self.truth.gradients.slots.get(entry.slot, np.zeros(values[entry.slot].shape))
            found = self.outcome.backward[match.position][1]
            result = compare_loosely(entry.label, found, expected, noise[entry.slot], self.dtype)
            if not result.ok:
                user = self._wrong_user(entry.slot, nearest(found, expected), expected)
                if user is not None:
                    return handed_back("backward", entry.label, result, user)
                at, inside = blamed(entry.at, entry.calls)
                return Finding("backward", entry.label, at, result, match.line.line, inside)
        return None

    def _weight(self) -> Finding | None:
        result, gradients = self.truth.result, self.truth.gradients.weights
        places = {spec.path: spec.at for spec in self.truth.program.weights}
        for comparison in self.failing:
            path = comparison.name
            if comparison.kind != "gradient" or path not in places:
                continue
            found = self.outcome.weight_gradients.get(path)
            if found is not None and path in gradients:
                slot = result.weight_slots[path]
                user = self._wrong_user(slot, found, gradients[path], several=True)
                if user is not None:
                    return handed_back("weight", path, comparison, user)
            at, inside = blamed(places[path], result.places.get(path, ()))
            return Finding("weight", path, at, comparison, inside=inside)
        return None

    def _input(self) -> Finding | None:
        result, gradients = self.truth.result, self.truth.gradients.inputs
        for comparison in self.failing:
            found = self.outcome.input_gradients.get(comparison.name)
            if comparison.kind != "input gradient" or found is None:
                continue
            slot, expected = result.input_slots[comparison.name], gradients[comparison.name]
            user = self._wrong_user(slot, found, expected)
            if user is not None:
                return handed_back("input", comparison.name, comparison, user)
        return None

    def _state(self) -> Finding | None:
        places = {spec.path: spec.at for spec in self.truth.program.weights}
        for comparison in self.failing:
            if comparison.kind == "state" and comparison.name in places:
                calls = self.truth.result.places.get(comparison.name, ())
                at, inside = blamed(places[comparison.name], calls)
                return Finding("state", comparison.name, at, comparison, inside=inside)
        return None

    def _wrong_user(self, slot: int, found: Array, expected: Array, several: bool = False) -> Match | None:
        """The only user of a value whose share of the gradient explains the difference.

        `several`: only where users in different places are to choose from.
        """
        traced = {match.entry.slot: match for match in reversed(self.matches)}
        users = [traced[number] for number in users_of(self.truth.result.tape, slot, traced.keys())]
        places = {blamed(user.entry.at, user.entry.calls)[0] for user in users}
        if len(places) == 1 and not several:
            return users[0]
        if len(places) < 2 or found.shape != expected.shape:
            return None
        shares = [self._share(user.entry.slot, slot, traced.keys()) for user in users]
        explaining = explain(found - expected, shares)
        return None if explaining is None else users[explaining]

    def _share(self, user: int, slot: int, traced: Container[int]) -> Array:
        """What one user of a value hands back to it, by the definitions."""
        tape, cotangents = self.truth.result.tape, self.truth.gradients.slots
        nothing = np.zeros(tape.values[slot].shape)
        if user not in cotangents:
            return nothing
        return tape.backward([(user, cotangents[user])], Others(traced, user)).get(slot, nothing)


def nearest(found: Array, expected: Array) -> Array:
    """`found` in the axis order that agrees best with `expected`."""
    turned = [found.transpose(order) for order in orders(found.shape, expected.shape)]
    return min(turned, key=lambda one: float(np.abs(one - expected).max(initial=0.0)), default=found)


def handed_back(order: str, what: str, comparison: Comparison, user: Match) -> Finding:
    """A wrong gradient that a user of a value hands back."""
    at, inside = blamed(user.entry.at, user.entry.calls)
    return Finding(order, what, at, comparison, user.line.line, inside, user.entry.label)


def localise(
    truth: Truth,
    outcome: Outcome,
    lines: Mapping[int, SourceLine],
    failing: Sequence[Comparison],
    dtype: str,
) -> Finding | None:
    """The first difference, None where the traces have nothing to say."""
    matches = match_traces(outcome.forward, lines, truth.result.trace, truth.program)
    return Search(truth, outcome, matches, failing, dtype).first()
