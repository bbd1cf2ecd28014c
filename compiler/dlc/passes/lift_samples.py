"""Turns random draws into inputs.

In: a program. Out: the same without `Sample` nodes: each definition has an input for every draw in it and in
what it calls, named by the path of the draw (`h.0.drop.mask`), with `#1`, `#2` where a path is drawn from
again. A draw in a scan becomes an input with the steps along its first axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dlc import ir, statics
from dlc.passes.nodes import changed, results, walk
from dlc.passes.rewriting import with_definitions


def lift_samples(program: ir.Program) -> ir.Program:
    """Lift in every definition, callees first."""
    lifter = _Lifter(program)
    made = {name: lifter.definition(name) for name in program.definitions}
    return with_definitions(program, made)


def lifted_inputs(before: ir.Definition, after: ir.Definition) -> tuple[ir.Input, ...]:
    """The inputs that lifting added, in the order of the draws."""
    return after.inputs[len(before.inputs) :]


@dataclass(slots=True)
class _Lifter:
    """Definitions that are done, by id."""

    program: ir.Program
    done: dict[str, ir.Definition] = field(default_factory=dict)

    def definition(self, name: str) -> ir.Definition:
        if name not in self.done:
            before = self.program.definitions[name]
            body = _Body(self, _first_free(before))
            region = body.region(before.body)
            made = changed(before, body=region, inputs=(*before.inputs, *body.inputs))
            self.done[name] = made if body.inputs else before
        return self.done[name]

    def draws(self, name: str) -> tuple[ir.Input, ...]:
        return lifted_inputs(self.program.definitions[name], self.definition(name))


def _first_free(definition: ir.Definition) -> int:
    made = [tensor.id for node in walk(definition.body) for tensor in results(node)]
    made.extend(item.tensor.id for item in definition.inputs if item.tensor is not None)
    made.extend(weight.tensor.id for weight in definition.weights)
    used = [o.id for node in walk(definition.body) if isinstance(node, ir.Apply)
            for o in node.inputs if isinstance(o, ir.Weight)]  # fmt: skip
    return 1 + max([0, *made, *used])


@dataclass(slots=True)
class _Body:
    """One definition in the making; `inputs` are those of the draws so far."""

    lifter: _Lifter
    free: int
    inputs: list[ir.Input] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, path: str, tensor: ir.Tensor) -> ir.Use:
        """An input for a draw: `path` is drawn from once more."""
        count = self.counts.get(path, 0)
        self.counts[path] = count + 1
        name = f"{path}#{count}" if count else path
        self.inputs.append(ir.Input(name=name, tensor=tensor))
        return ir.Use(id=tensor.id, name=name)

    def number(self) -> int:
        self.free += 1
        return self.free - 1

    def region(self, region: ir.Region) -> ir.Region:
        made: list[ir.Node] = []
        for node in region:
            match node:
                case ir.Sample():
                    self.add(node.name, ir.Tensor(id=node.output.id, type=_closed(node.output.type)))
                case ir.Call():
                    made.append(self.call(node))
                case ir.For():
                    rounds = tuple(changed(step, body=self.region(step.body)) for step in node.rounds)
                    made.append(changed(node, rounds=rounds))
                case ir.Branch():
                    made.append(changed(node, body=self.region(node.body)))
                case ir.Scan():
                    made.append(self.scan(node))
                case _:
                    made.append(node)
        return tuple(made)

    def call(self, node: ir.Call) -> ir.Call:
        draws = self.lifter.draws(node.callee)
        if not draws:
            return node
        prefix = ".".join((node.layer, *map(str, node.index))) + "." if node.layer is not None else ""
        outer = {**node.statics, **node.sizes}
        arguments = dict(node.arguments)
        for draw in draws:
            assert draw.tensor is not None
            tensor = ir.Tensor(id=self.number(), type=_closed(draw.tensor.type, outer))
            arguments[draw.name] = self.add(prefix + draw.name.partition("#")[0], tensor)
        return changed(node, arguments=arguments)

    def scan(self, node: ir.Scan) -> ir.Scan:
        """Draws in the steps: the whole of them is an input, of which each step takes its own."""
        outer, self.inputs = self.inputs, []
        body = self.region(node.body)
        inner, self.inputs = self.inputs, outer
        if not inner:
            return changed(node, body=body)
        step = ir.Tensor(id=self.number(), type=ir.TensorType(dtype="int", shape=()))
        takes: list[ir.Node] = []
        for draw in inner:
            assert draw.tensor is not None
            type_ = draw.tensor.type
            shape = (_close(node.length, {}), *type_.shape)
            whole = ir.Tensor(id=self.number(), type=ir.TensorType(dtype=type_.dtype, shape=shape))
            self.inputs.append(changed(draw, tensor=whole))
            sources = (ir.Use(id=whole.id, name=draw.name), ir.Use(id=step.id))
            takes.append(
                ir.Apply(origin=node.origin, at=node.at, op="take", inputs=sources, outputs=(draw.tensor,))
            )
        steps = ir.ScanInput(name="step", operand=None, inside=step)
        return changed(node, inputs=(*node.inputs, steps), body=(*takes, *body))


def _closed(type_: ir.TensorType, outer: Mapping[str, ir.Expr] | None = None) -> ir.TensorType:
    """A type without loop variables, and in the caller's terms where `outer` gives them."""
    return ir.TensorType(dtype=type_.dtype, shape=tuple(_close(size, outer) for size in type_.shape))


def _close(expr: ir.Expr, outer: Mapping[str, ir.Expr] | None) -> ir.Expr:
    def replace(ref: ir.Ref) -> ir.Expr:
        if ref.scope != "":
            return ir.Const(value=ref.value)
        return ref if not outer else outer.get(ref.name, ir.Const(value=ref.value))

    return statics.substitute(expr, replace)
