"""`scan`: a loop that runs when the model runs; its body is elaborated once."""

from __future__ import annotations

from dataclasses import replace

from dlc import ir, statics
from dlc.elaborate.coerce import expect_tensor, same_type, static
from dlc.elaborate.dispatch import assigned, emits, evaluate, run
from dlc.elaborate.failure import fail
from dlc.elaborate.frame import Frame, Returned
from dlc.elaborate.shapes.application import Application
from dlc.ir import Expr, Operation, TensorType
from dlc.values import POISON, STATIC, TensorValue
from dlc_grammar import syntax


def scan(frame: Frame, node: syntax.Scan) -> None:
    """The body for one step, in a `Scan` node."""
    builder, session = frame.builder, frame.session
    axis = 0
    if node.along is not None:
        found = static(frame, node.along, "the scanned axis").value
        if not isinstance(found, int) or isinstance(found, bool):
            raise fail(
                "E0305",
                "the scanned axis is an integer",
                node.along.span,
                f"this is {statics.describe(found)}",
                help="write `along 1` for the second axis",
            )
        axis = found
    inputs, length, axis = _scan_inputs(frame, node, axis)
    inner = replace(frame, names=dict(frame.names), in_scan=True, emissions=[], maybe=dict(frame.maybe))
    for scanned in inputs:
        inner.names[scanned.name] = TensorValue(
            ir.Use(id=scanned.inside.id, name=scanned.name), scanned.inside.type
        )
    carries = [_carry_in(frame, inner, name) for name in node.carry]
    with builder.region() as nodes:
        try:
            run(inner, node.body.statements)
        except Returned:
            if not builder.broken:
                raise fail(
                    "E0216",
                    "`return` inside a scan",
                    inner.result_span or node.span,
                    "a scan has no result",
                    help="carry the value, or emit it: emit out = h",
                ) from None
    if builder.broken:
        for name in [*node.carry, *(e.name for e in emits(node.body))]:
            frame.names[name.id] = POISON
        return
    for inside in assigned(node.body.statements):
        if inside not in frame.names:
            frame.gone[inside] = (
                "it exists inside the scan only",
                f"collect it with `emit`, or carry it: write `emit {inside}s = {inside}`",
            )
    made = tuple(_carry_out(frame, inner, *carry) for carry in carries)
    emissions = tuple(_emission(frame, emit, value, axis, length) for emit, value in inner.emissions or [])
    builder.add(
        ir.Scan(
            origin=session.origin(node),
            at=frame.location(node),
            inputs=tuple(inputs),
            axis=axis,
            length=length,
            carries=made,
            body=tuple(nodes),
            emissions=emissions,
        ),
        node.span,
    )


def emit(frame: Frame, node: syntax.Emit) -> None:
    """A value that the scan around it collects."""
    if frame.emissions is None:
        raise fail(
            "E0217",
            "`emit` outside a scan",
            node.span,
            "nothing collects it",
            help="put it into `scan ... { }`",
        )
    value = expect_tensor(evaluate(frame, node.value), node.value.span)
    if any(other.name.id == node.name.id for other, _ in frame.emissions):
        raise fail(
            "E0119",
            f"`{node.name.id}` is emitted twice",
            node.name.span,
            "emitted again here",
            help="choose another name",
        )
    frame.emissions.append((node, value))


def _scan_inputs(frame: Frame, node: syntax.Scan, axis: int) -> tuple[list[ir.ScanInput], Expr, int]:
    inputs: list[ir.ScanInput] = []
    length: Expr | None = None
    for source in node.sources:
        value = evaluate(frame, source.value)
        if isinstance(value, STATIC) and isinstance(value.value, tuple):
            operand: ir.Operand | None = None
            type_ = TensorType(dtype="int", shape=())
            count: Expr = statics.operation("len", (value,), len(value.value))
            if isinstance(value, Operation) and value.op == "range" and len(value.args) == 1:
                count = value.args[0]
        else:
            if isinstance(value, STATIC):
                raise fail(
                    "E0221",
                    f"a scan walks over tensors, not {statics.describe(value.value)}",
                    source.value.span,
                    "nothing to walk over",
                    help="write `scan k in range(8)` for 8 steps",
                )
            tensor = expect_tensor(value, source.value.span)
            rank = tensor.type.rank
            if not -rank <= axis < rank:
                raise fail(
                    "E0305",
                    f"axis {axis} is outside {tensor.type}",
                    source.span,
                    "scanned here",
                    help="write `along 1` for the second axis",
                )
            axis = axis % rank
            operand, count = tensor.operand, tensor.type.shape[axis]
            shape = (*tensor.type.shape[:axis], *tensor.type.shape[axis + 1 :])
            type_ = TensorType(dtype=tensor.type.dtype, shape=shape)
        if length is not None:
            site = Application("scan", [], {}, source.span, frame.session.known)
            site.equal(length, count, "the lengths of what is scanned do not agree", "in `scan`: ")
        length = length or count
        inputs.append(ir.ScanInput(name=source.name.id, operand=operand, inside=frame.builder.tensor(type_)))
    assert length is not None
    return inputs, length, axis


def _carry_in(frame: Frame, inner: Frame, name: syntax.Ident) -> tuple[syntax.Ident, TensorValue, ir.Tensor]:
    if name.id not in frame.names:
        raise fail(
            "E0114",
            f"`{name.id}` has no value before the scan",
            name.span,
            "carried here",
            help=f"give it one: {name.id} = zeros([...])",
        )
    value = expect_tensor(frame.names[name.id], name.span)
    inside = frame.builder.tensor(value.type)
    inner.names[name.id] = TensorValue(ir.Use(id=inside.id, name=name.id), value.type)
    inner.fixed = {k: v for k, v in inner.fixed.items() if k != name.id}
    return name, value, inside


def _carry_out(
    frame: Frame, inner: Frame, name: syntax.Ident, initial: TensorValue, inside: ir.Tensor
) -> ir.Carry:
    final = expect_tensor(inner.names[name.id], name.span)
    same_type(frame, inside.type, final.type, name.span, f"the carried `{name.id}`", "each step leaves")
    output = frame.builder.tensor(initial.type)
    frame.names[name.id] = TensorValue(ir.Use(id=output.id, name=name.id), initial.type)
    return ir.Carry(name=name.id, initial=initial.operand, inside=inside, final=final.operand, output=output)


def _emission(frame: Frame, emit: syntax.Emit, value: TensorValue, axis: int, length: Expr) -> ir.Emission:
    shape = list(value.type.shape)
    shape.insert(min(axis, len(shape)), length)
    type_ = TensorType(dtype=value.type.dtype, shape=tuple(shape))
    output = frame.builder.tensor(type_)
    frame.names[emit.name.id] = TensorValue(ir.Use(id=output.id, name=emit.name.id), type_)
    return ir.Emission(name=emit.name.id, value=value.operand, output=output)
