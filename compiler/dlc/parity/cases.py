"""What a parity run covers: the settings of a spec's `parity` section, opened up into points.

In: `ParitySettings` (made by the elaborator, or by hand) and a program. Out: one `Point` for each
method, mode, seed and combination of sizes. Sizes that the settings leave open get small awkward
values that the program's conditions allow.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from dlc import dims, ir
from dlc.parity.tolerance import Tolerance
from dlc.reference.expressions import compute, concrete

Sizes: TypeAlias = Mapping[str, int]
DType: TypeAlias = Literal["float64", "float32"]
Mode: TypeAlias = Literal["eval", "train"]

DEFAULT_SEEDS = (0, 1, 2)
BATCHES = (1, 3)
LENGTHS = (
    5,
    7,
    6,
    3,
    4,
    2,
    1,
    8,
    9,
    12,
    16,
    17,
    24,
    28,
    32,
    33,
    48,
    64,
    65,
    96,
    97,
    128,
    160,
    192,
    224,
)
"""Values tried for a size that nobody chose, unequal ones first: odd ones show off-by-one
padding."""
SEARCH_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class Check:
    """`check gradient { f32 = tol(...) }`: `kind` is forward, gradient or steps; tolerances by
    dtype."""

    kind: str
    tolerances: Mapping[DType, Tolerance]
    count: int = 1
    at: ir.Location | None = None


@dataclass(frozen=True, slots=True)
class ParitySettings:
    """A `parity` section. Empty fields mean: everything that makes sense.

    `net`: `GPT2` or `GPT2.tiny`, None for every network. `sizes`: values for each size variable,
    all combinations run. `inputs`: how to draw an input, by name. `devices`: `cpu` or `cuda`.
    """

    net: str | None = None
    targets: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    seeds: tuple[int, ...] = DEFAULT_SEEDS
    modes: tuple[Mode, ...] = ("eval", "train")
    sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    inputs: Mapping[str, ir.Distribution] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    dtypes: tuple[DType, ...] = ("float64", "float32")
    at: ir.Location | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One evaluation of one method: everything but the dtype and the target."""

    method: str
    training: bool
    seed: int
    sizes: Sizes
    bare: bool = False
    """Without the optional inputs."""

    @property
    def mode(self) -> str:
        return "train" if self.training else "eval"

    def __str__(self) -> str:
        sizes = " ".join(f"{name}={size}" for name, size in self.sizes.items())
        inputs = "without optional inputs" if self.bare else ""
        return " ".join(filter(None, (self.method, self.mode, f"seed {self.seed}", sizes, inputs)))


def program_label(program: ir.Program) -> str:
    return f"{program.name}.{program.preset}" if program.preset else program.name


def size_variables(definition: ir.Definition) -> tuple[str, ...]:
    """The size variables of a method's inputs, in the order of its signature."""
    found: dict[str, None] = {}
    for item in definition.inputs:
        for size in () if item.tensor is None else item.tensor.type.sizes:
            names = dims.variables(size) if isinstance(size, dims.Dim) else ()
            found.update(dict.fromkeys(sorted(names)))
    return tuple(found)


def points(program: ir.Program, settings: ParitySettings) -> Iterator[Point]:
    """Every point, in order: methods with and without optional inputs, then modes, sizes and seeds."""
    for method in program.methods:
        for bare in (False, True) if method.bare else (False,):
            for mode in settings.modes:
                training = mode == "train"
                definition = program.definition(method.name, training, bare)
                for sizes in size_choices(program, definition, settings.sizes):
                    for seed in settings.seeds:
                        yield Point(method.name, training, seed, sizes, bare)


def size_choices(
    program: ir.Program, definition: ir.Definition, chosen: Mapping[str, Sequence[int]]
) -> list[dict[str, int]]:
    """All combinations of chosen sizes; the others get the first values that are allowed."""
    variables = size_variables(definition)
    given = [name for name in variables if name in chosen]
    found: list[dict[str, int]] = []
    for values in itertools.product(*(chosen[name] for name in given)):
        fixed = dict(zip(given, values, strict=True))
        open_names = [name for name in variables if name not in fixed]
        for batch in BATCHES if "B" in open_names else (None,):
            known = fixed if batch is None else {**fixed, "B": batch}
            sizes = complete(program, definition, known, variables)
            if sizes is not None:
                found.append(sizes)
    return found or [complete(program, definition, {}, variables) or dict.fromkeys(variables, 1)]


def complete(
    program: ir.Program, definition: ir.Definition, known: Sizes, variables: Sequence[str]
) -> dict[str, int] | None:
    """Values for the variables that are not known, all different if possible; None if none is
    allowed."""
    names = [name for name in variables if name not in known]
    combinations = itertools.product(LENGTHS, repeat=len(names))
    distinct = (c for c in combinations if len(set(c)) == len(c))
    for values in itertools.islice(distinct, SEARCH_LIMIT):
        candidate = {**known, **dict(zip(names, values, strict=True))}
        if is_allowed(program, definition, candidate):
            return {name: candidate[name] for name in variables}
    return None


def is_allowed(program: ir.Program, definition: ir.Definition, sizes: Sizes) -> bool:
    """Whether the requirements hold and no tensor of the definition is empty."""
    try:
        if not all(bool(compute(rule.expr, sizes)) for rule in program.requirements):
            return False
        shapes = [concrete(size, sizes) for size in all_sizes(definition)]
    except (dims.DimError, KeyError):
        return True  # a requirement of another method
    return all(int(size) > 0 for size in shapes)


def all_sizes(definition: ir.Definition) -> Iterator[int | dims.Dim]:
    for node in ir.flat(definition.body):
        if isinstance(node, (ir.Apply, ir.Call)):
            for tensor in node.outputs:
                yield from tensor.type.sizes
