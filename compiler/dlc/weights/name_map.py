"""How a library stores the weights of one network: the result of reading a map of names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dlc import ir
from dlc.weights import layout as layouts
from dlc.weights.layout import Layout
from dlc.weights.rules import Kind, Pattern, Rule


@dataclass(frozen=True, eq=False)
class Entry:
    """One tensor of theirs. `names`: its spellings, the first is what export writes."""

    names: tuple[str, ...]
    layout: Layout
    rule: Rule

    @property
    def kind(self) -> Kind:
        return self.rule.kind

    @property
    def paths(self) -> tuple[str, ...]:
        return layouts.paths(self.layout)


@dataclass(frozen=True, eq=False)
class NameMap:
    """How a library stores the weights of one network.

    `entries`: each tensor of theirs that is one, or a part or a joint, of ours. `tied`: copies, which must be
    equal and are never written. `sums`: tensors whose sum is ours; all but the first are written as zeros.
    """

    name: str
    net: str
    weights: Mapping[str, ir.WeightSpec]
    entries: tuple[Entry, ...]
    tied: tuple[Entry, ...]
    sums: tuple[tuple[Entry, ...], ...]
    ignore: tuple[Pattern, ...]
    """Theirs that no rule needs to name."""
    missing: tuple[Pattern, ...]
    """Ours that they may lack."""
    dropped: tuple[Pattern, ...] = ()
    """Theirs that are left out even where a rule names them."""

    def is_ignored(self, name: str) -> bool:
        return any(pattern.matches(name) for pattern in self.ignore)

    def is_dropped(self, name: str) -> bool:
        return any(pattern.matches(name) for pattern in self.dropped)

    def may_be_missing(self, path: str) -> bool:
        return any(pattern.matches(path) for pattern in self.missing)

    @property
    def given(self) -> Iterator[Entry]:
        """The entries that together are all of ours: of a sum, the first."""
        yield from self.entries
        for group in self.sums:
            yield group[0]

    @property
    def written(self) -> Iterator[Entry]:
        """Every tensor that is theirs to store, ties excepted."""
        yield from self.entries
        for group in self.sums:
            yield from group
