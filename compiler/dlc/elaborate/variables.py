"""Weights and random draws: `param`, `state` and `sample`, and the `update` of a state."""

from __future__ import annotations

from typing import Literal

from dlc import ir
from dlc.dims import Dim
from dlc.elaborate import distributions, signatures
from dlc.elaborate.coerce import expect_tensor, same_type
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame
from dlc.ir import TensorType
from dlc.values import TensorValue
from dlc_grammar import syntax


def declare(frame: Frame, node: syntax.Variable) -> None:
    """`param`, `state` or `sample`: the name stands for a tensor from here on."""
    name = node.name.id
    sampled = frame.builder.samples.get(name)
    if sampled is not None and (node.kind != "sample" or sampled != id(node)):
        raise fail(
            "E0107",
            f"`{name}` already names a sample",
            node.name.span,
            "declared again here",
            help="choose another name; draws are told apart by their names",
        )
    if name in frame.fixed or (node.kind != "sample" and any(w.name == name for w in frame.builder.weights)):
        raise fail(
            "E0107",
            f"`{name}` is already declared",
            node.name.span,
            "declared again here",
            help="choose another name; repeated parameters belong into a block",
        )
    if frame.loops and node.kind != "sample":
        raise fail(
            "E0112",
            f"a {node.kind} inside a loop",
            node.span,
            "each round would need its own",
            help="put the loop's body into a block",
        )
    type_ = signatures.tensor_type(frame, node.type)
    distribution = distributions.ir_distribution(
        evaluate(frame, node.distribution), node.distribution.span, sample=node.kind == "sample"
    )
    if node.kind == "sample":
        _draw(frame, node, type_, distribution)
    else:
        _add_weight(frame, node, node.kind, type_, distribution)


def _draw(frame: Frame, node: syntax.Variable, type_: TensorType, distribution: ir.Distribution) -> None:
    name = node.name.id
    if any(key[0] == name for key in frame.builder.layers):
        raise _names_a_layer(node.name)
    frame.builder.samples[name] = id(node)
    tensor = frame.builder.tensor(type_)
    frame.builder.add(
        ir.Sample(
            origin=frame.session.origin(node),
            at=frame.location(node),
            name=name,
            distribution=distribution,
            output=tensor,
        ),
        node.span,
    )
    frame.names[name] = TensorValue(ir.Use(id=tensor.id, name=name), type_)


def _add_weight(
    frame: Frame,
    node: syntax.Variable,
    kind: Literal["param", "state"],
    type_: TensorType,
    distribution: ir.Distribution,
) -> None:
    name = node.name.id
    unknown = next((size for size in type_.sizes if isinstance(size, Dim)), None)
    if unknown is not None:
        raise fail(
            "E0304",
            f"the size of `{name}` depends on {unknown}, which is only known at run time",
            node.span,
            str(type_),
            help="make the input size a constant, or pool to a fixed size before this layer",
        )
    if (name, frame.loops) in frame.builder.layers:
        raise _names_a_layer(node.name)
    tensor = frame.builder.tensor(type_)
    frame.builder.weights.append(
        ir.WeightDecl(kind=kind, name=name, tensor=tensor, init=distribution, at=frame.location(node))
    )
    frame.names[name] = TensorValue(ir.Weight(path=(name,), id=tensor.id), type_)
    frame.fixed[name] = kind


def _names_a_layer(name: syntax.Ident) -> Failed:
    return fail(
        "E0107",
        f"`{name.id}` already names a layer",
        name.span,
        "named again here",
        help="choose another name",
    )


def update(frame: Frame, node: syntax.Update) -> None:
    """The value that a state has in the next step."""
    declared = next((w for w in frame.builder.weights if w.name == node.name.id and w.kind == "state"), None)
    if declared is None:
        states = [w.name for w in frame.builder.weights if w.kind == "state"]
        if any(w.name == node.name.id for w in frame.builder.weights):
            raise fail(
                "E0113",
                f"`{node.name.id}` is a param, not a state",
                node.name.span,
                "updated here",
                help=f"params are trained; what is updated is declared as: state {node.name.id}: ...",
            )
        raise fail(
            "E0113",
            f"`{node.name.id}` is not a state",
            node.name.span,
            "updated here",
            help=f"the states are {', '.join(states)}"
            if states
            else "declare it: state m: float[C] ~ zeros()",
        )
    if not frame.training:
        raise fail(
            "E0402",
            "`update` outside `if training`",
            node.span,
            "states change in training only",
            help="write if training { update ... }",
        )
    value = expect_tensor(evaluate(frame, node.value), node.value.span)
    same_type(frame, declared.tensor.type, value.type, node.value.span, f"`{node.name.id}`")
    frame.builder.add(
        ir.Update(
            origin=frame.session.origin(node), at=frame.location(node), name=node.name.id, value=value.operand
        ),
        node.span,
    )
    frame.builder.updated[declared.tensor.id] = node.name.id
