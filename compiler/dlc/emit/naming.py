"""Python names: for size variables, units, attributes, loop elements and values that the text leaves unnamed.

In: names of the text and what they must not clash with. Out: names that a reader would choose.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlc.emit.plan import FilePlan

SIZE_NAMES: dict[str, tuple[str, ...]] = {
    "A": ("anchors",),
    "B": ("batch",),
    "C": ("channels", "in_channels"),
    "D": ("dim", "width", "in_dim"),
    "E": ("memory_dim", "embed_dim"),
    "H": ("height",),
    "K": ("head_dim", "kernel"),
    "M": ("rows",),
    "N": ("batch", "count"),
    "O": ("out_channels",),
    "S": ("source", "source_length"),
    "T": ("time", "length"),
    "V": ("vocab", "value_dim"),
    "W": ("width", "image_width"),
    "Z": ("latent",),
}

SIZE_WORDS = frozenset(name for names in SIZE_NAMES.values() for name in names)
"""All names of sizes: as the name of a table they get `in_`."""

PLAIN_VALUES = ("h", "y", "z", "u", "v", "w")
"""Names for intermediate values that have none, in order of preference."""

SHADOWED = frozenset(
    (
        *("abs", "all", "any", "bool", "dict", "enumerate", "float", "int", "isinstance", "len", "list"),
        *("max", "min", "print", "range", "reversed", "round", "self", "set", "str", "sum", "super"),
        *("tuple", "type", "zip"),
    )
)
"""Builtins (and `self`) that generated code uses."""

BUILTINS = frozenset(dir(builtins))


def size_names(sizes: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """A readable Python name for every size variable of one signature."""
    sizes = list(sizes)
    used = set(taken)
    names: dict[str, str] = {}
    for size in sizes:
        candidates = list(SIZE_NAMES.get(size, ()))
        if size == "H" and "K" in sizes:
            candidates.insert(0, "heads")
        if size == "V" and "K" in sizes:
            candidates.insert(0, "value_dim")
        candidates += [size.lower(), f"in_{size.lower()}", f"{size.lower()}_size"]
        names[size] = unused(candidates, used)
        used.add(names[size])
    return names


def unused(candidates: Iterable[str], taken: Collection[str]) -> str:
    """The first candidate that is free, or the last one with a number."""
    last = "value"
    for last in candidates:
        if last not in taken and last.isidentifier() and not keyword.iskeyword(last):
            return last
    number = 2
    while f"{last}{number}" in taken:
        number += 1
    return f"{last}{number}"


def safe(name: str, reserved: Collection[str]) -> str:
    """The name, with an underscore where Python or the file uses it for something else."""
    while keyword.iskeyword(name) or name in SHADOWED or name in reserved:
        name += "_"
    return name


def unit_name(name: str, taken: Collection[str], reserved: Collection[str]) -> str:
    """A class or function name that is free: `Basic`, `Basic2`, `repeat_`."""
    if keyword.iskeyword(name) or name in BUILTINS or name in reserved:
        name += "_"
    return unused([name], taken)


def snake_case(name: str) -> str:
    """`BiLSTM` -> `bi_lstm`, `Conv2d` -> `conv2d`."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def file_stem(plan: FilePlan) -> str:
    """The start of a generated file's name: `lenet5` for LeNet5 of lenet5.dl, else the net in snake case."""
    stem = PurePath(plan.source).stem
    return stem if stem.replace("_", "").lower() == plan.network.lower() else snake_case(plan.network)


def singular(name: str) -> str:
    """`heads` -> `head`; `class`, `bias` and `norm` stay."""
    if name.endswith("ies") and len(name) > 4:
        return name[:-3] + "y"
    if name.endswith("s") and not name.endswith(("ss", "us", "is", "as")) and len(name) > 3:
        return name[:-1]
    return name


def plural(name: str) -> str:
    """`conv` -> `convs`."""
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return name[:-1] + "ies"
    return name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")


def element_name(label: str, unit: str, clashes: Callable[[str], bool]) -> str:
    """The variable that walks a list of layers: `fc` of `self.fc`, `layer` of `self.h: Layer`."""
    own = singular(label)
    candidates = [own] if len(own) > 1 else []
    candidates += [snake_case(unit), f"{own}_layer", f"{own}_{snake_case(unit)}"]
    for candidate in candidates:
        if candidate.isidentifier() and not keyword.iskeyword(candidate) and not clashes(candidate):
            return candidate
    number = 2
    while clashes(f"{candidates[0]}{number}"):
        number += 1
    return f"{candidates[0]}{number}"
