"""Statements: which part runs which kind; assignments, `return` and `init` are run here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dlc import ir
from dlc.elaborate import binding, branches, distributions, loops, requirements, scans, variables
from dlc.elaborate.coerce import elements
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame, InitRule, Returned
from dlc.values import STATIC, AnyValue, ListValue, Poison, RecordValue, TensorValue
from dlc_grammar import syntax


def _assign(frame: Frame, node: syntax.Assign) -> None:
    label = node.targets[0].id if len(node.targets) == 1 else None
    if isinstance(node.value, syntax.Comprehension):
        value = loops.comprehension(frame, node.value, label)
    else:
        value = evaluate(frame, node.value)
    if isinstance(value, Poison):
        raise Failed(None)
    if len(node.targets) == 1:
        target = node.targets[0]
        binding.bind(frame, target, value, node)
        if isinstance(value, STATIC) and value.value == ():
            frame.builder.add(
                ir.List(
                    origin=frame.session.origin(node, f"list:{target.id}"),
                    at=frame.location(node),
                    name=target.id,
                    items=(),
                    edit="new",
                ),
                node.span,
            )
        return
    items = elements(value, node.value.span)
    if len(items) != len(node.targets):
        raise fail(
            "E0215",
            f"{len(node.targets)} names for {len(items)} values",
            node.span,
            "these do not match",
            help="name each value once",
        )
    for target, item in zip(node.targets, items, strict=True):
        binding.bind(frame, target, item, node)


def _const(frame: Frame, node: syntax.Const) -> None:
    binding.may_bind(frame, node.name)
    before = frame.constant
    frame.constant = True
    try:
        value = evaluate(frame, node.value)
    finally:
        frame.constant = before
    if isinstance(value, TensorValue):
        if not value.constant:
            raise fail(
                "E0222",
                f"`const {node.name.id}` is computed while compiling",
                node.value.span,
                "this depends on a tensor of the model",
                help="remove `const`",
            )
        value = binding.bind_tensor(frame, node.name.id, value, node)
    frame.names[node.name.id] = value
    frame.fixed[node.name.id] = "const"


def _return(frame: Frame, node: syntax.Return) -> None:
    found = tuple(evaluate(frame, value) for value in node.values)
    if any(isinstance(value, Poison) for value in found):
        raise Failed(None)
    frame.result = found
    frame.result_span = node.span
    operands: list[ir.Operand] = []
    flat: Sequence[AnyValue] = found
    if len(found) == 1 and isinstance(found[0], RecordValue):
        flat = found[0].values
    elif len(found) == 1 and isinstance(found[0], ListValue):
        flat = found[0].items
    for value in flat:
        if isinstance(value, TensorValue):
            operands.append(value.operand)
        elif isinstance(value, STATIC):
            operands.append(ir.Static(expr=value))
    frame.builder.add(
        ir.Return(origin=frame.session.origin(node), at=frame.location(node), values=tuple(operands)),
        node.span,
    )
    raise Returned


def _init(frame: Frame, node: syntax.Init) -> None:
    for rule in node.rules:
        value = distributions.ir_distribution(evaluate(frame, rule.value), rule.value.span)
        frame.builder.init_rules.append(InitRule(str(rule.pattern.value), value, rule.pattern.span))


def _function(frame: Frame, node: syntax.Function) -> None:
    raise fail(
        "E0233",
        f"`fn {node.name.id}` inside a body that has inputs of its own",
        node.name.span,
        "methods belong to a net without inputs",
        help="move it out to the file, or make the body a method too",
    )


def _training_only(frame: Frame, node: Any) -> None:
    raise fail(
        "E0401",
        "this belongs into the `step` of a `train` section",
        node.span,
        "outside a step",
        help="write train name { step (...) { ... } }",
    )


STATEMENTS: Mapping[type, Callable[[Frame, Any], None]] = {
    syntax.Assign: _assign,
    syntax.Const: _const,
    syntax.Variable: variables.declare,
    syntax.Update: variables.update,
    syntax.For: loops.loop,
    syntax.Scan: scans.scan,
    syntax.If: branches.branch,
    syntax.Return: _return,
    syntax.Require: requirements.require,
    syntax.Emit: scans.emit,
    syntax.Init: _init,
    syntax.Function: _function,
    syntax.Metric: _training_only,
    syntax.Minimize: _training_only,
}
