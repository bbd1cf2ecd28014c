"""Random data for one point: inputs, weights, draws of samples, cotangents.

In: a program and a point. Out: float64 arrays whose numbers are all float32 numbers, so that a
float32 run and a float64 run see the same data, and the float32 error is the error of computing
alone.

Every tensor of weights is random (an initial bias of zeros hides mistakes). Integer inputs get the
range that the settings give them; where they give none, the range of the tables that the input
indexes, found by following the input through a run on zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dlc import ir
from dlc.parity.cases import Point
from dlc.parity.worker import Array
from dlc.parity.worker import Draw as StandardDraw
from dlc.reference.expressions import concrete, evaluate
from dlc.reference.interpreter import Interpreter, Result
from dlc.reference.sampling import Draw, SampleSource, draw, generator, random_weights

INDEXED_AXIS = {"take": 0, "gather": -1, "gather_rows": 1}
"""The axis of the first operand that the second one indexes."""
COUNTED = {"one_hot": "size", "segment_sum": "count", "segment_max": "count"}
"""The attribute that bounds the last operand."""
LOOSE_BOUND = 4
FLOATS = ("float", "wide")


def single(array: Array) -> Array:
    """The nearest float32 numbers, as float64; other dtypes as they are."""
    if array.dtype.kind != "f":
        return array
    return np.asarray(array.astype(np.float32).astype(np.float64))


@dataclass(frozen=True, slots=True)
class Shapes:
    """The inputs of a method at given sizes: dtype and shape by name, None where one is absent."""

    items: Mapping[str, tuple[str, tuple[int, ...]] | None]

    @staticmethod
    def of(definition: ir.Definition, sizes: Mapping[str, int]) -> Shapes:
        return Shapes(
            {
                item.name: None
                if item.tensor is None
                else (
                    item.tensor.type.dtype,
                    tuple(concrete(s, sizes) for s in item.tensor.type.sizes),
                )
                for item in definition.inputs
            }
        )


def weights_of(program: ir.Program, seed: int) -> dict[str, Array]:
    return {path: single(array) for path, array in random_weights(program, seed).items()}


def draw_inputs(
    program: ir.Program,
    point: Point,
    chosen: Mapping[str, ir.Distribution],
    weights: Mapping[str, Array],
    attempt: int = 0,
    full_rows: bool = False,
) -> dict[str, Array | None]:
    """Inputs by name, in order. Another `attempt` gives other numbers.

    `full_rows`: every row of a bool input has a true value, even where a row of false is due.
    """
    definition = program.definition(point.method, point.training, point.bare)
    shapes = Shapes.of(definition, point.sizes)
    open_integers = [
        name for name, item in shapes.items.items() if item and item[0] == "int" and name not in chosen
    ]
    bounds = index_bounds(program, point, shapes, weights) if open_integers else {}
    found: dict[str, Array | None] = {}
    for name, item in shapes.items.items():
        if item is None:
            found[name] = None
            continue
        dtype, shape = item
        rng = generator(point.seed, f"input {name}", attempt)
        if name in chosen:
            arguments = {key: evaluate(e, point.sizes) for key, e in chosen[name].args.items()}
            drawn = draw(rng, chosen[name].name, arguments, shape)
            found[name] = single(drawn.astype(np.float64) if dtype in FLOATS else drawn)
        elif dtype == "int":
            found[name] = indices(rng, bounds.get(name, LOOSE_BOUND), shape)
        elif dtype == "bool":
            found[name] = random_mask(rng, shape, false_row=point.seed % 2 == 1 and not full_rows)
        else:
            found[name] = single(np.asarray(rng.standard_normal(shape)))
    return found


def indices(rng: np.random.Generator, bound: int, shape: tuple[int, ...]) -> Array:
    """Integers from 0 to below `bound`, not all equal if that can be: with all rows in one segment a mean
    over all rows would be that of each segment."""
    drawn = rng.integers(0, bound, shape)
    if drawn.size > 1 and bound > 1 and np.all(drawn == drawn.flat[0]):
        drawn.flat[rng.integers(drawn.size)] += 1 + rng.integers(bound - 1)
        drawn %= bound
    return np.asarray(drawn)


def random_mask(rng: np.random.Generator, shape: tuple[int, ...], *, false_row: bool) -> Array:
    """About two thirds true; at least one true in each row, but for one row if `false_row`."""
    mask = np.asarray(rng.random(shape) < 0.67)
    if not shape or mask.size == 0:
        return np.ones(shape, bool) if not shape else mask
    rows = mask.reshape(-1, shape[-1])
    columns = rng.integers(0, shape[-1], len(rows))
    rows[np.arange(len(rows)), columns] = True
    if false_row and len(rows) > 1:
        rows[rng.integers(0, len(rows))] = False
    return rows.reshape(shape)


def index_bounds(
    program: ir.Program, point: Point, shapes: Shapes, weights: Mapping[str, Array]
) -> dict[str, int]:
    """For each integer input the size of the smallest table that it indexes, directly or computed
    with.

    A run on zeros shows which tables: the integers that depend on the input are followed on the
    tape. An offset that the program adds shows as the value that arrives for zero.
    """
    zeros = {
        name: neutral(dtype, shape)
        for name, item in shapes.items.items()
        if item is not None
        for dtype, shape in [item]
    }
    samples = SampleSource(point.seed)
    result = Interpreter(program).run(zeros, weights, point.method, point.training, samples)
    found = {}
    for name, slot in result.input_slots.items():
        if result.tape.values[slot].dtype.kind in "iu":
            sizes = list(indexed_sizes(result, slot))
            counted = [n for axis in shapes.items.values() if axis for n in axis[1][1:]]
            found[name] = max(1, min(sizes)) if sizes else max([LOOSE_BOUND, *counted])
    return found


def neutral(dtype: str, shape: tuple[int, ...]) -> Array:
    """Zeros that are in the range of every table; masks that keep everything."""
    if dtype == "bool":
        return np.ones(shape, np.bool_)
    return np.zeros(shape, np.int64 if dtype == "int" else np.float64)


def indexed_sizes(result: Result, start: int) -> Sequence[int]:
    tainted, sizes = {start}, []
    values = result.tape.values
    for entry in result.tape.entries:
        if not tainted.intersection(entry.inputs):
            continue
        name = entry.primitive.name
        if name in INDEXED_AXIS and entry.inputs[1] in tainted:
            table, ids = (values[slot] for slot in entry.inputs[:2])
            sizes.append(table.shape[INDEXED_AXIS[name]] - int(ids.max(initial=0)))
        elif name in COUNTED and entry.inputs[-1] in tainted:
            sizes.append(int(entry.attrs[COUNTED[name]]) - int(values[entry.inputs[-1]].max(initial=0)))
        tainted.update(slot for slot in entry.outputs if values[slot].dtype.kind in "iu")
    return sizes


# ---------------------------------------------------------------- samples and cotangents


def with_defaults(arguments: Sequence[float]) -> tuple[float, float]:
    """The two parameters of a normal or uniform: 0 and 1 where they are left out."""
    first, second = (list(arguments) + [0.0, 1.0][len(arguments) :])[:2]
    return first, second


def standardise(one: Draw) -> tuple[StandardDraw, Draw]:
    """The standard draw that a target is given, in float32 numbers, and what the reference replays.

    Targets draw normal(0, 1) and uniform(0, 1) and compute the rest. A gumbel is `-log(-log(u))`
    and an exponential `-log1p(-u) / rate` of a uniform `u`.
    """
    array, arguments = one.array, list(one.arguments.values())
    match one.distribution:
        case "normal" | "truncated_normal":
            mean, std = with_defaults(arguments)
            standard = single((array - mean) / std if std else np.zeros(array.shape))
            kind, value = "normal", mean + std * standard
        case "uniform":
            low, high = with_defaults(arguments)
            standard = single((array - low) / (high - low) if high != low else np.zeros(array.shape))
            kind, value = "uniform", low + (high - low) * standard
        case "gumbel":
            standard = single(np.exp(-np.exp(-array)))
            kind, value = "uniform", -np.log(-np.log(standard))
        case "exponential":
            rate = arguments[0] if arguments else 1.0
            standard = single(-np.expm1(-array * rate))
            kind, value = "uniform", -np.log1p(-standard) / rate
        case other:
            kind, standard, value = other, array, array
    replayed = Draw(one.path, one.occurrence, one.distribution, one.arguments, np.asarray(value))
    return StandardDraw(kind, np.asarray(standard), one.path), replayed


def draw_cotangents(point: Point, outputs: Sequence[Array], attempt: int = 0) -> list[Array | None]:
    """A random direction for each float output, None for the others."""
    return [
        single(np.asarray(generator(point.seed, f"cotangent {n}", attempt).standard_normal(y.shape)))
        if y.dtype.kind == "f"
        else None
        for n, y in enumerate(outputs)
    ]
