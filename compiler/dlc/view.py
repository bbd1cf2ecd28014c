"""A network as a tree: its layers with output shapes, parameters and FLOPs; equal neighbours are one row.

In: a program, and numbers for some of its sizes. Out: `Entry` values, which print as text or JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dlc import dims, ir
from dlc.flops import Count, Counter

MAX_TERMS = 3


@dataclass(frozen=True)
class Entry:
    """A layer, or several equal ones (`count`). Two layers that only differ in their name are equal."""

    name: str = field(compare=False)
    block: str
    outputs: tuple[str, ...]
    parameters: int
    flops: Count
    calls: int = 1
    children: tuple[Entry, ...] = ()
    count: int = 1


@dataclass
class Builder:
    """Makes the entries of one program."""

    program: ir.Program
    sizes: Mapping[str, int]

    def __post_init__(self) -> None:
        self.counter = Counter(self.program)
        self.sums: dict[str, int] = {}
        for spec in self.program.weights:
            if spec.kind == "param":
                parts = spec.path.split(".")
                for end in range(len(parts)):
                    prefix = ".".join(parts[:end])
                    self.sums[prefix] = self.sums.get(prefix, 0) + math.prod(spec.shape)

    def method(self, name: str) -> Entry:
        """The whole network, seen from one method."""
        definition = self.program.definitions[self.program.method(name).eval]
        return self.entry(self.program.name, "", definition)

    def entry(self, name: str, path: str, definition: ir.Definition) -> Entry:
        return Entry(
            name=name,
            block=definition.name,
            outputs=tuple(self.type_text(output.type) for output in definition.outputs),
            parameters=self.sums.get(path, 0),
            flops=self.fixed(self.counter.definition(definition.id)),
            children=tuple(collapse(self.children(path, definition))),
        )

    def children(self, path: str, definition: ir.Definition) -> list[Entry]:
        """The layers of a definition in the order of their first use; later uses add their FLOPs."""
        found: dict[str, Entry] = {}
        for call in calls(definition.body):
            callee = self.program.definitions[call.callee]
            if call.layer is None:
                inner = self.children(path, callee)
            else:
                name = ".".join((call.layer, *map(str, call.index)))
                inner = [self.entry(name, f"{path}.{name}" if path else name, callee)]
            for entry in inner:
                known = found.get(entry.name)
                if known is None:
                    found[entry.name] = entry
                else:
                    flops = known.flops + entry.flops
                    found[entry.name] = replace(known, flops=flops, calls=known.calls + entry.calls)
        return list(found.values())

    def fixed(self, size: Count) -> Count:
        """A size with the chosen numbers filled in."""
        return dims.substitute(size, dict(self.sizes)) if isinstance(size, dims.Dim) else size

    def type_text(self, type_: ir.TensorType) -> str:
        return f"{type_.dtype}[{', '.join(str(self.fixed(size)) for size in type_.sizes)}]"


def calls(region: ir.Region) -> Iterable[ir.Call]:
    """All calls in execution order, those in scans too."""
    for node in ir.flat(region):
        if isinstance(node, ir.Call):
            yield node
        elif isinstance(node, ir.Scan):
            yield from calls(node.body)


def collapse(entries: Iterable[Entry]) -> list[Entry]:
    """Equal rounds of a loop become one: `h.0`, `h.1`, ... as `h.0-11`, times twelve.

    A round is what follows one another with the same index, so loops over several layers collapse too.
    """
    rounds: list[list[Entry]] = []
    for entry in entries:
        index = split_index(entry.name)[1]
        if rounds and index and split_index(rounds[-1][0].name)[1] == index:
            rounds[-1].append(entry)
        else:
            rounds.append([entry])
    found: list[list[Entry]] = []
    for step in rounds:
        if found and _continues(found[-1], step):
            found[-1] = [_joined(*pair) for pair in zip(found[-1], step, strict=True)]
        else:
            found.append(step)
    return [entry for step in found for entry in step]


def split_index(name: str) -> tuple[str, str]:
    """`("h", "3")` for `h.3`; no index for a layer outside of loops."""
    head, _, tail = name.rpartition(".")
    return (head, tail) if head and tail[:1].isdigit() else (name, "")


def _continues(before: list[Entry], step: list[Entry]) -> bool:
    """Whether a round repeats the one before it."""
    if len(before) != len(step):
        return False
    for a, b in zip(before, step, strict=True):
        base, index = split_index(b.name)
        if not index or split_index(a.name)[0] != base or replace(a, count=1) != b:
            return False
    return True


def _joined(before: Entry, entry: Entry) -> Entry:
    first = before.name.partition("-")[0]
    return replace(before, name=f"{first}-{split_index(entry.name)[1]}", count=before.count + 1)


def input_text(program: ir.Program, method: str, builder: Builder) -> list[tuple[str, str]]:
    """The inputs of a method, by name, as types."""
    definition = program.definitions[program.method(method).eval]
    return [(i.name, builder.type_text(i.tensor.type)) for i in definition.inputs if i.tensor]


# ---------------------------------------------------------------- numbers for people


def short(number: int) -> str:
    """`1.82G`: three digits and a unit."""
    for unit, size in (("P", 10**15), ("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            value = number / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}{unit}"
    return str(number)


def count_text(count: Count) -> str:
    """A count of operations; a polynomial with its numbers shortened, or the sizes it depends on."""
    if not isinstance(count, dims.Dim):
        return short(count) if count else "-"
    terms = list(count.terms())
    texts = [_term_text(number, factors) for number, factors in terms[:MAX_TERMS]]
    if len(terms) > MAX_TERMS or None in texts:
        return f"by {', '.join(sorted(dims.variables(count)))}"
    return " + ".join(text for text in texts if text)


def _term_text(number: int, factors: Iterable[tuple[dims.Tree, int]]) -> str | None:
    """`1.18M B T^2`; None where a factor is not just a size."""
    names = []
    for tree, power in factors:
        if not isinstance(tree, tuple) or tree[0] != "var":
            return None
        names.append(f"{tree[1]}^{power}" if power > 1 else str(tree[1]))
    return None if number < 0 else " ".join([short(number), *names])


def as_json(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "block": entry.block,
        "count": entry.count,
        "calls": entry.calls,
        "outputs": list(entry.outputs),
        "parameters": entry.parameters,
        "flops": entry.flops if isinstance(entry.flops, int) else str(entry.flops),
        "children": [as_json(child) for child in entry.children],
    }
