"""Runs a program in float64: the meaning that every backend is compared with.

In: an `ir.Program`, inputs by name, weights by path (`h.0.attn.q.weight`), and a `SampleSource`.
Out: a `Result` with outputs, updated states and a trace; `gradients` adds cotangents of weights and
inputs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlc import ir
from dlc.dims import DimError
from dlc.reference.creation import DTYPES
from dlc.reference.expressions import bind_sizes, compute, evaluate
from dlc.reference.primitive import Array, Arrays, define
from dlc.reference.primitives import PRIMITIVES
from dlc.reference.sampling import SampleSource, generator
from dlc.reference.tape import Tape


def _unstack(x: Array, *, axis: int) -> Arrays:
    return tuple(np.moveaxis(x, axis, 0))


def _unstack_vjp(g: Arrays, y: Arrays, x: Array, *, axis: int) -> Array:
    return np.stack(g, axis=axis)


UNSTACK = define("unstack", _unstack, _unstack_vjp, lambda rng: [])
"""All slices of a scanned tensor at once, so that the backward pass makes its gradient once."""


class CheckError(ValueError):
    """A size condition of the program does not hold for these inputs."""


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One output of one execution of a node; its array and cotangent are found by `slot`.

    `calls`: the places of the calls that it happened in, the outermost first.
    """

    origin: int
    at: ir.Location
    label: str
    slot: int
    calls: tuple[ir.Location, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What one run gave: `outputs` has one array per result, named by `output_names`."""

    outputs: Arrays
    output_names: tuple[str | None, ...]
    states: Mapping[str, Array]
    """New values of the states that were updated, by path."""
    sizes: Mapping[str, int]
    trace: tuple[TraceEntry, ...]
    """Every node output in execution order; the k-th entry of an origin is its k-th execution."""
    tape: Tape
    output_slots: tuple[int, ...]
    weight_slots: Mapping[str, int]
    input_slots: Mapping[str, int]
    places: Mapping[str, tuple[ir.Location, ...]] = field(default_factory=dict)
    """For each weight the calls that its first use is in, the outermost first; for a state that was
    updated, with the place of the update."""

    def traced(self) -> Iterator[tuple[int, ir.Location, Array]]:
        """(origin, place in the text, array) of every node output, in execution order."""
        for entry in self.trace:
            yield entry.origin, entry.at, self.tape.values[entry.slot]


@dataclass(frozen=True, slots=True)
class Gradients:
    """Cotangents: of weights by path, of float inputs by name, and of all values by slot."""

    weights: Mapping[str, Array]
    inputs: Mapping[str, Array]
    slots: Mapping[int, Array]

    def traced(self, result: Result) -> Iterator[tuple[int, ir.Location, Array | None]]:
        """(origin, place, cotangent) of every node output; None where nothing depends on it."""
        for entry in result.trace:
            yield entry.origin, entry.at, self.slots.get(entry.slot)


@dataclass(slots=True)
class _Frame:
    """One call of a definition: its path prefix, the slot of each of its values, and the places of
    the calls that led to it."""

    definition: ir.Definition
    prefix: str
    slots: dict[int, int] = field(default_factory=dict)
    calls: tuple[ir.Location, ...] = ()


class Interpreter:
    """Runs methods of one program.

    `perturb` is a seed: every float result is then moved by about one float32 rounding error,
    forward and backward (see `Tape`); the spread over several seeds predicts the error of a float32
    run.
    """

    def __init__(self, program: ir.Program, perturb: int | None = None) -> None:
        self.program = program
        self.perturb = perturb

    def run(
        self,
        inputs: Mapping[str, Array],
        weights: Mapping[str, Array],
        method: str = "forward",
        training: bool = False,
        samples: SampleSource | None = None,
    ) -> Result:
        """One execution. Optional inputs are given all, or left out of `inputs` all.

        Raises CheckError where a `require` on sizes does not hold, ValueError for wrong shapes and for
        inputs that are missing.
        """
        optional = [i.name for i in self.program.definition(method).inputs if i.optional]
        bare = bool(optional) and not any(name in inputs for name in optional)
        definition = self.program.definition(method, training, bare)
        for item in definition.inputs:
            if item.tensor is not None and item.name not in inputs:
                raise ValueError(f"the input `{item.name}` is missing")
        noise = None if self.perturb is None else generator(self.perturb, "perturb")
        run = _Run(self.program, weights, samples or SampleSource(0), Tape(noise))
        return run.method(definition, inputs)


def gradients(result: Result, cotangents: Sequence[Array | None]) -> Gradients:
    """Reverse mode from one cotangent per output (None: zero).

    A weight or float input that does not influence the outputs gets zeros.
    """
    seeds = [
        (slot, cotangent)
        for slot, cotangent in zip(result.output_slots, cotangents, strict=True)
        if cotangent is not None
    ]
    slots = result.tape.backward(seeds)

    def pick(named: Mapping[str, int]) -> dict[str, Array]:
        return {
            name: slots.get(slot, np.zeros(result.tape.values[slot].shape))
            for name, slot in named.items()
            if result.tape.values[slot].dtype.kind == "f"
        }

    return Gradients(pick(result.weight_slots), pick(result.input_slots), slots)


class _Run:
    """The state of one execution."""

    def __init__(
        self, program: ir.Program, weights: Mapping[str, Array], samples: SampleSource, tape: Tape
    ) -> None:
        self.program, self.weights, self.samples, self.tape = program, weights, samples, tape
        self.sizes: dict[str, int] = {}
        self.weight_slots: dict[str, int] = {}
        self.states: dict[str, int] = {}
        self.places: dict[str, tuple[ir.Location, ...]] = {}
        self.trace: list[TraceEntry] = []
        self.handlers: Mapping[type[ir.NodeBase], Callable[[Any, _Frame], None]] = {
            ir.Apply: self._apply,
            ir.Call: self._call,
            ir.Bind: self._bind,
            ir.Sample: self._sample,
            ir.Update: self._update,
            ir.For: self._for,
            ir.Branch: self._branch,
            ir.Scan: self._scan,
            ir.List: self._skip,
            ir.Item: self._item,
            ir.Return: self._skip,
            ir.Check: self._check,
        }

    def method(self, definition: ir.Definition, inputs: Mapping[str, Array]) -> Result:
        given = {
            item.name: (
                item.tensor,
                np.asarray(inputs[item.name]).astype(DTYPES[item.tensor.type.dtype]),
            )
            for item in definition.inputs
            if item.tensor is not None
        }
        self.sizes = bind_sizes((name, t.type.sizes, array.shape) for name, (t, array) in given.items())
        for requirement in self.program.requirements:
            with suppress(DimError):  # a size of another method
                self._require(requirement.expr, requirement.message)
        frame = _Frame(definition, "")
        input_slots = {name: self.tape.add(array) for name, (_, array) in given.items()}
        frame.slots = {tensor.id: input_slots[name] for name, (tensor, _) in given.items()}
        self._region(definition.body, frame)
        slots = tuple(self._operand(output.value, frame) for output in definition.outputs)
        return Result(
            outputs=tuple(self.tape.values[slot] for slot in slots),
            output_names=tuple(output.name for output in definition.outputs),
            states={path: self.tape.values[slot] for path, slot in self.states.items()},
            sizes=self.sizes,
            trace=tuple(self.trace),
            tape=self.tape,
            output_slots=slots,
            weight_slots=self.weight_slots,
            input_slots=input_slots,
            places=self.places,
        )

    # ------------------------------------------------------------ operands

    def _value(self, expr: ir.Expr) -> Any:
        return evaluate(expr, self.sizes)

    def _operand(self, operand: ir.Operand, frame: _Frame) -> int:
        match operand:
            case ir.Use():
                return self._use(operand.id, frame)
            case ir.Static():
                return self.tape.add(np.asarray(self._value(operand.expr)))
            case ir.Weight():
                return self._weight(frame.prefix + ".".join(operand.path), frame)

    def _use(self, number: int, frame: _Frame) -> int:
        if number not in frame.slots:
            declared = {weight.tensor.id: weight.name for weight in frame.definition.weights}
            return self._weight(frame.prefix + declared[number], frame)
        return frame.slots[number]

    def _bind(self, node: ir.Bind, frame: _Frame) -> None:
        """A name for a weight, its own or a layer's, is read under the weight's number."""
        if isinstance(node.value, ir.Weight):
            frame.slots[node.value.id] = self._operand(node.value, frame)

    def _weight(self, path: str, frame: _Frame) -> int:
        """A state that this run has updated is read as updated."""
        if path in self.states:
            return self.states[path]
        self.places.setdefault(path, frame.calls)
        if path not in self.weight_slots:
            self.weight_slots[path] = self.tape.add(np.asarray(self.weights[path], np.float64))
        return self.weight_slots[path]

    def _define(self, frame: _Frame, node: ir.NodeBase, label: str, tensor: ir.Tensor, slot: int) -> None:
        frame.slots[tensor.id] = slot
        self.trace.append(TraceEntry(node.origin, node.at, label, slot, frame.calls))

    # ------------------------------------------------------------ nodes

    def _region(self, region: ir.Region, frame: _Frame) -> None:
        for node in region:
            self.handlers[type(node)](node, frame)

    def _skip(self, node: ir.NodeBase, frame: _Frame) -> None:
        """Names values that exist already: nothing to do."""

    def _apply(self, node: ir.Apply, frame: _Frame) -> None:
        inputs = tuple(self._operand(operand, frame) for operand in node.inputs)
        attrs = {name: self._value(expr) for name, expr in node.attrs.items()}
        if isinstance(attrs.get("sizes"), tuple) and node.op in ("rearrange", "repeat"):
            attrs["sizes"] = dict(attrs["sizes"])
        try:
            slots = self.tape.apply(PRIMITIVES[node.op], inputs, attrs, node.constant)
        except (ValueError, IndexError, TypeError) as error:
            shapes = ", ".join(str(self.tape.values[slot].shape) for slot in inputs)
            error.add_note(f"in {node.op}({shapes}; {attrs}) at {node.at}")
            raise
        for tensor, slot in zip(node.outputs, slots, strict=True):
            self._define(frame, node, node.op, tensor, slot)

    def _call(self, node: ir.Call, frame: _Frame) -> None:
        callee = self.program.definitions[node.callee]
        prefix = frame.prefix
        if node.layer is not None:
            prefix += ".".join((node.layer, *map(str, node.index))) + "."
        inner = _Frame(callee, prefix, calls=(*frame.calls, node.at))
        for item in callee.inputs:
            operand = node.arguments.get(item.name)
            if item.tensor is not None and operand is not None:
                inner.slots[item.tensor.id] = self._operand(operand, frame)
        self._region(callee.body, inner)
        for tensor, output in zip(node.outputs, callee.outputs, strict=True):
            self._define(frame, node, callee.name, tensor, self._operand(output.value, inner))

    def _sample(self, node: ir.Sample, frame: _Frame) -> None:
        arguments = {name: self._value(expr) for name, expr in node.distribution.args.items()}
        shape = tuple(self._value(size) for size in node.output.type.shape)
        array = self.samples.draw(frame.prefix + node.name, node.distribution.name, arguments, shape)
        slot = self.tape.add(array.astype(DTYPES[node.output.type.dtype]))
        self._define(frame, node, node.name, node.output, slot)

    def _update(self, node: ir.Update, frame: _Frame) -> None:
        self.states[frame.prefix + node.name] = self._operand(node.value, frame)
        self.places[frame.prefix + node.name] = (*frame.calls, node.at)

    def _for(self, node: ir.For, frame: _Frame) -> None:
        for step in node.rounds:
            self._region(step.body, frame)

    def _branch(self, node: ir.Branch, frame: _Frame) -> None:
        self._region(node.body, frame)
        for tensor, operand in zip(node.outputs, node.result, strict=True):
            frame.slots[tensor.id] = self._operand(operand, frame)

    def _item(self, node: ir.Item, frame: _Frame) -> None:
        frame.slots[node.output.id] = self._operand(node.value, frame)

    def _check(self, node: ir.Check, frame: _Frame) -> None:
        shown = re.sub(r"\{(\w+)\}", lambda found: str(self.sizes.get(found[1], found[1])), node.message)
        self._require(node.condition, shown)

    def _require(self, condition: ir.Expr, message: str) -> None:
        if not compute(condition, self.sizes):
            raise CheckError(message or f"the condition {condition} does not hold")

    # ------------------------------------------------------------ scan

    def _scan(self, node: ir.Scan, frame: _Frame) -> None:
        length = int(self._value(node.length))
        slices = [self._slices(item, node.axis, length, frame) for item in node.inputs]
        carried = [self._operand(carry.initial, frame) for carry in node.carries]
        emitted: list[list[int]] = [[] for _ in node.emissions]
        for step in range(length):
            for item, parts in zip(node.inputs, slices, strict=True):
                frame.slots[item.inside.id] = parts[step]
            for carry, slot in zip(node.carries, carried, strict=True):
                frame.slots[carry.inside.id] = slot
            self._region(node.body, frame)
            carried = [self._operand(carry.final, frame) for carry in node.carries]
            for emission, made in zip(node.emissions, emitted, strict=True):
                made.append(self._operand(emission.value, frame))
        for carry, slot in zip(node.carries, carried, strict=True):
            self._define(frame, node, carry.name, carry.output, slot)
        for emission, made in zip(node.emissions, emitted, strict=True):
            (slot,) = self.tape.apply(PRIMITIVES["stack"], tuple(made), {"axis": node.axis})
            self._define(frame, node, emission.name, emission.output, slot)

    def _slices(self, item: ir.ScanInput, axis: int, length: int, frame: _Frame) -> tuple[int, ...]:
        if item.operand is None:
            return tuple(self.tape.add(np.asarray(step)) for step in range(length))
        operand = self._operand(item.operand, frame)
        actual = self.tape.values[operand].shape[axis]
        if actual != length:
            raise ValueError(f"{item.name} has {actual} steps along axis {axis}, not {length}")
        return self.tape.apply(UNSTACK, (operand,), {"axis": axis})
