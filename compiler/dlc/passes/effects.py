"""What calling a definition does besides its results.

In: a program. Out: for each definition `Effects`, transitive over calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlc import ir
from dlc.passes.nodes import walk


@dataclass(frozen=True, slots=True)
class Effects:
    """`acts`: draws random numbers, changes a state or checks sizes. `stateful`: has states."""

    acts: bool = False
    stateful: bool = False

    @property
    def pure(self) -> bool:
        """Two calls with equal arguments are one."""
        return not self.acts and not self.stateful


ACTING = (ir.Sample, ir.Update, ir.Check, ir.Return)
"""Nodes that stay, whether their values are used or not."""


def effects(program: ir.Program) -> Mapping[str, Effects]:
    """The effects of every definition."""
    found: dict[str, Effects] = {}

    def of(name: str) -> Effects:
        if name not in found:
            definition = program.definitions[name]
            acts = False
            stateful = any(weight.kind == "state" for weight in definition.weights)
            for node in walk(definition.body):
                kind = type(node)
                if kind is ir.Call:
                    inner = of(node.callee)  # type: ignore[union-attr]
                    acts, stateful = acts or inner.acts, stateful or inner.stateful
                elif kind in ACTING and kind is not ir.Return:
                    acts = True
            found[name] = Effects(acts, stateful)
        return found[name]

    for name in program.definitions:
        of(name)
    return found
