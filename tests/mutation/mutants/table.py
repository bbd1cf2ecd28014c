"""The form of a planted bug.

In: what to change in the generated file of each target. Out: `Mutant`, one bug in every target that it fits.
Edits are regular expressions on the file with one statement on each line (see `proving.generated`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from dlc.parity.cases import Mode
from mutation.proving import TARGETS, Edit, Place

Quantity: TypeAlias = Literal["forward", "gradient", "state"]
Edits: TypeAlias = dict[str, tuple[Edit, ...]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug, where it is planted, and what has to be found.

    `line`: text that only the blamed line of the `.dl` file contains. `quantity`: the first of forward, state and
    gradient that differs. `single`: whether float32 must show it too. `lines`: another line where a target cannot know better (JAX
    traces a `scan` as a whole). `changes`: settings of the network.
    """

    name: str
    place: Place
    line: str
    bug: str
    edits: Edits
    quantity: Quantity = "forward"
    mode: Mode = "eval"
    single: bool = True
    seed: int = 0
    lines: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[str, ...] = ()

    def line_in(self, target: str) -> int:
        """The number of the line that has to be blamed."""
        return self.place.line_of(self.lines.get(target, self.line))


def change(pattern: str, replacement: str, count: int | None = 1) -> tuple[Edit, ...]:
    """One edit."""
    return (Edit(pattern, replacement, count),)


def everywhere(pattern: str, replacement: str, count: int | None = 1) -> Edits:
    """The same edit in every target."""
    return {target: change(pattern, replacement, count) for target in TARGETS}


def each(torch: tuple[Edit, ...] = (), jax: tuple[Edit, ...] = (), keras: tuple[Edit, ...] = ()) -> Edits:
    """An edit of its own in each target; none where the bug does not fit."""
    given = {"torch": torch, "jax": jax, "keras": keras}
    return {target: edits for target, edits in given.items() if edits}


def value(name: str, torch: str = "", jax: str = "", keras: str = "") -> Edits:
    """Another right side of the only assignment to `name`. `{}` in it stands for the old right side."""

    def one(text: str) -> tuple[Edit, ...]:
        if not text:
            return ()
        return change(rf"^( +{name} = )(.*)$", r"\g<1>" + text.replace("{}", r"\g<2>"))

    return each(one(torch), one(jax), one(keras))


def layer(name: str, torch: str = "", jax: str = "", keras: str = "") -> Edits:
    """Another expression for the only application of a layer of the network to one tensor.

    In it `{}` stands for the old application, and `{x}` for its tensor.
    """

    def one(text: str, pattern: str) -> tuple[Edit, ...]:
        if not text:
            return ()
        new = text.replace("{}", r"\g<0>").replace("{x}", r"\g<x>")
        return change(pattern, new)

    called = rf"self\.{name}\((?P<x>\w+)(?P<more>(?:, [^()]*)?)\)"
    applied = rf"(?P<function>\b\w+)\(params\.{name}, (?P<x>\w+)(?P<more>(?:, [^()]*)?)\)"
    return each(one(torch, called), one(jax, applied), one(keras, called))
