"""Statements of a body, run in order; findings in the user's text are reported, and the next one runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from dlc import dims, ir, statics, values
from dlc.dims import Dim
from dlc.elaborate import builtins, calls, shapes, signatures
from dlc.elaborate.expressions import elements, evaluate, sequence, static
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Builder, Frame, InitRule, Returned
from dlc.ir import Const, Expr, Operation, Ref, TensorType
from dlc.text import print_expression
from dlc.values import (
    POISON,
    AnyValue,
    BuiltBlock,
    LayerValue,
    ListValue,
    Poison,
    RecordValue,
    TensorValue,
)
from dlc_grammar import syntax
from dlc_grammar.source import Span

STATIC = (Const, Ref, Operation)


def run(frame: Frame, statements: Sequence[syntax.Statement]) -> bool:
    """Run statements; True if something was wrong. Raises Returned at a `return`, Failed in the library."""
    user = frame.session.is_user(frame.module.source)
    for statement in statements:
        try:
            _RUNNERS[type(statement)](frame, statement)
        except Failed as failed:
            if not user:
                raise
            frame.session.report(failed.diagnostic)
            frame.builder.broken = True
            if isinstance(statement, syntax.Return):
                raise Returned from None
            for name in assigned([statement]):
                frame.names[name] = POISON
    return frame.builder.broken


def run_members(frame: Frame, statements: Sequence[syntax.Statement]) -> bool:
    """Run the statements that all methods of a net share."""
    for statement in statements:
        if isinstance(statement, syntax.Return):
            raise fail(
                "E0216",
                "`return` outside a method",
                statement.span,
                "members have no result",
                help="put it into `fn forward(...)`",
            )
    return run(frame, statements)


def assigned(statements: Sequence[syntax.Statement]) -> list[str]:
    """Names that statements give a value, in order."""
    found: list[str] = []
    for statement in statements:
        match statement:
            case syntax.Assign():
                found.extend(target.id for target in statement.targets)
            case syntax.Const() | syntax.Variable() | syntax.Function():
                found.append(statement.name.id)
            case syntax.For():
                found.extend(assigned(statement.body.statements))
            case syntax.Scan():
                found.extend(name.id for name in statement.carry)
                found.extend(s.name.id for s in _emits(statement.body))
            case syntax.If():
                found.extend(assigned(statement.body.statements))
                found.extend(assigned(_orelse(statement)))
    return list(dict.fromkeys(found))


def _emits(body: syntax.Body) -> Iterator[syntax.Emit]:
    for statement in body.statements:
        match statement:
            case syntax.Emit():
                yield statement
            case syntax.If():
                yield from _emits(statement.body)
            case syntax.For():
                yield from _emits(statement.body)


def _orelse(statement: syntax.If) -> tuple[syntax.Statement, ...]:
    match statement.orelse:
        case None:
            return ()
        case syntax.If():
            return (statement.orelse,)
        case _:
            return statement.orelse.statements


# ---------------------------------------------------------------- binding


def _may_bind(frame: Frame, target: syntax.Ident) -> None:
    name = target.id
    kind = frame.fixed.get(name)
    if kind is not None:
        raise fail(
            "E0111",
            f"`{name}` is a {kind} and cannot be assigned again",
            target.span,
            "assigned here",
            help="choose another name",
        )
    if name[:1].isupper():
        raise fail(
            "E0108",
            "a value has a lower-case name",
            target.span,
            "capitals are for blocks and sizes",
            help=f"write `{name[:1].lower() + name[1:]}`",
        )


def bind(frame: Frame, target: syntax.Ident, value: AnyValue, node: syntax.Node) -> None:
    """Give a name a value; tensors leave a `Bind` node."""
    _may_bind(frame, target)
    name = target.id
    frame.optional.discard(name)
    frame.maybe.pop(name, None)
    frame.gone.pop(name, None)
    match value:
        case TensorValue():
            frame.names[name] = _bind_tensor(frame, name, value, node)
        case RecordValue():
            fields = [field or str(i) for i, field in enumerate(value.names)]
            bound = tuple(
                _bind_tensor(frame, f"{name}.{field}", v, node)
                for field, v in zip(fields, value.values, strict=True)
            )
            frame.names[name] = RecordValue(value.names, bound)
        case ListValue():
            frame.names[name] = _bind_list(frame, name, value, node)
            if any(isinstance(item, LayerValue) for item in value.items):
                frame.fixed[name] = "layer"
        case BuiltBlock():
            frame.names[name] = calls.name_layer(frame, value, None, node, name)
            frame.fixed[name] = "layer"
        case LayerValue():
            frame.names[name] = value
            frame.fixed[name] = "layer"
        case _:
            frame.names[name] = value


def _bind_tensor(frame: Frame, name: str, value: TensorValue, node: syntax.Node) -> TensorValue:
    frame.builder.add(
        ir.Bind(
            origin=frame.session.origin(node, f"bind:{name}"),
            at=frame.location(node),
            name=name,
            value=value.operand,
        ),
        node.span,
    )
    if isinstance(value.operand, ir.Static):
        return value
    return TensorValue(ir.Use(id=value.operand.id, name=name), value.type, value.constant)


def _bind_list(frame: Frame, name: str, value: ListValue, node: syntax.Node) -> ListValue:
    if not all(isinstance(item, TensorValue) for item in value.items):
        return ListValue(value.items, None)
    old = frame.names.get(name)
    edit: Literal["new", "append", "pop"] = "new"
    if isinstance(old, ListValue):
        if value.items[:-1] == old.items and len(value.items) == len(old.items) + 1:
            edit = "append"
        elif value.items == old.items[:-1]:
            edit = "pop"
    elif isinstance(old, STATIC) and old.value == () and len(value.items) == 1:
        edit = "append"
    operands = tuple(item.operand for item in value.items if isinstance(item, TensorValue))
    frame.builder.add(
        ir.List(
            origin=frame.session.origin(node, f"list:{name}"),
            at=frame.location(node),
            name=name,
            items=operands,
            edit=edit,
        ),
        node.span,
    )
    return ListValue(value.items, name)


def _assign(frame: Frame, node: syntax.Assign) -> None:
    label = node.targets[0].id if len(node.targets) == 1 else None
    if isinstance(node.value, syntax.Comprehension):
        value = comprehension(frame, node.value, label)
    else:
        value = evaluate(frame, node.value)
    if isinstance(value, Poison):
        raise Failed(None)
    if len(node.targets) == 1:
        target = node.targets[0]
        bind(frame, target, value, node)
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
    items = elements(frame, value, node.value.span)
    if len(items) != len(node.targets):
        raise fail(
            "E0215",
            f"{len(node.targets)} names for {len(items)} values",
            node.span,
            "these do not match",
            help="name each value once",
        )
    for target, item in zip(node.targets, items, strict=True):
        bind(frame, target, item, node)


def _const(frame: Frame, node: syntax.Const) -> None:
    _may_bind(frame, node.name)
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
        value = _bind_tensor(frame, node.name.id, value, node)
    frame.names[node.name.id] = value
    frame.fixed[node.name.id] = "const"


# ---------------------------------------------------------------- param, state, sample, update


def _variable(frame: Frame, node: syntax.Variable) -> None:
    name = node.name.id
    origin = id(node)
    sampled = frame.builder.samples.get(name)
    if sampled is not None and (node.kind != "sample" or sampled != origin):
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
    distribution = builtins.ir_distribution(
        evaluate(frame, node.distribution), node.distribution.span, sample=node.kind == "sample"
    )
    if node.kind == "sample":
        if any(key[0] == name for key in frame.builder.layers):
            raise fail(
                "E0107",
                f"`{name}` already names a layer",
                node.name.span,
                "named again here",
                help="choose another name",
            )
        frame.builder.samples[name] = origin
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
        return
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
        raise fail(
            "E0107",
            f"`{name}` already names a layer",
            node.name.span,
            "named again here",
            help="choose another name",
        )
    tensor = frame.builder.tensor(type_)
    frame.builder.weights.append(
        ir.WeightDecl(kind=node.kind, name=name, tensor=tensor, init=distribution, at=frame.location(node))
    )
    frame.names[name] = TensorValue(ir.Weight(path=(name,), id=tensor.id), type_)
    frame.fixed[name] = node.kind


def _update(frame: Frame, node: syntax.Update) -> None:
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
    value = calls.expect_tensor(frame, evaluate(frame, node.value), node.value.span)
    _same_type(frame, declared.tensor.type, value.type, node.value.span, f"`{node.name.id}`")
    frame.builder.add(
        ir.Update(
            origin=frame.session.origin(node), at=frame.location(node), name=node.name.id, value=value.operand
        ),
        node.span,
    )
    frame.builder.updated[declared.tensor.id] = node.name.id


def _same_type(
    frame: Frame, expected: TensorType, actual: TensorType, span: Span, what: str, verb: str = "this is"
) -> None:
    if expected.dtype != actual.dtype or expected.rank != actual.rank:
        raise fail("E0303", f"{what} is {expected}", span, f"{verb} {actual}", help="make the types agree")
    session = frame.session
    for a, b in zip(actual.sizes, expected.sizes, strict=True):
        verdict = dims.decide_equal(session.known(a), session.known(b))
        if isinstance(verdict, dims.Refuted):
            raise Failed(shapes.size_error(verdict, a, b, span, f"{what} is {expected}, not {actual}", ""))


# ---------------------------------------------------------------- loops


@contextmanager
def _round(frame: Frame, number: int) -> Iterator[str]:
    session = frame.session
    session.rounds += 1
    before = frame.loops
    if not frame.in_scan:
        frame.loops = (*before, number)
    try:
        yield str(session.rounds)
    finally:
        frame.loops = before


def _targets(
    frame: Frame, targets: Sequence[syntax.Ident], element: AnyValue, scope: str, span: Span
) -> tuple[dict[str, Ref], tuple[ir.Operand, ...]]:
    """Bind the loop variables of one round."""
    if len(targets) == 1:
        items = [element]
    elif isinstance(element, STATIC) and not isinstance(element.value, tuple):
        raise fail(
            "E0215",
            f"{len(targets)} names for one value",
            span,
            f"each element is one value: {statics.show(element.value)}",
            help=f"number them: for {', '.join(t.id for t in targets)} in enumerate({span.text})",
        )
    else:
        items = elements(frame, element, span)
        if len(items) != len(targets):
            raise fail(
                "E0215",
                f"{len(targets)} names for {len(items)} values",
                span,
                "these do not match",
                help="name each value once",
            )
    variables: dict[str, Ref] = {}
    for target, item in zip(targets, items, strict=True):
        if target.id in frame.fixed or target.id[:1].isupper():
            _may_bind(frame, target)
        if isinstance(item, STATIC):
            reference = statics.ref(target.id, item.value, scope)
            frame.names[target.id] = reference
            variables[target.id] = reference
        elif isinstance(item, TensorValue):
            frame.names[target.id] = _bind_tensor(frame, target.id, item, target)
        else:
            frame.names[target.id] = item
    return variables, ()


def _iterable(frame: Frame, node: syntax.Expr) -> tuple[AnyValue, Expr | None]:
    """A list, and its expression unless tensors, layers or blocks are in it."""
    value = evaluate(frame, node)
    if isinstance(value, STATIC):
        return value, value
    if isinstance(value, ListValue):
        return value, None
    if isinstance(value, Poison):
        raise Failed(None)
    if isinstance(value, TensorValue):
        raise fail(
            "E0221",
            "`for` loops over compile-time lists, and this is a tensor",
            node.span,
            f"this is {value.type}",
            help="use `scan x_t in x along 1 carry h { ... }` to loop over an axis",
        )
    raise fail(
        "E0221",
        f"{values.describe(value)} is not a list",
        node.span,
        "a list is needed here",
        help="loop over range(n), a list, or enumerate/zip of lists",
    )


def _walked(rounds: Sequence[ir.Round]) -> Expr:
    """What a loop over tensors or layers walks beside them: the values of its compile-time variables."""
    names = rounds[0].variables if rounds else ()
    columns = [tuple(step.variables[name].value for step in rounds) for name in names]
    if len(columns) == 1:
        return Const(value=columns[0])
    return Const(value=tuple(zip(*columns, strict=True)) if columns else tuple(range(len(rounds))))


def _for(frame: Frame, node: syntax.For) -> None:
    value, iterable = _iterable(frame, node.iterable)
    rounds: list[ir.Round] = []
    returned = False
    for number, element in enumerate(elements(frame, value, node.iterable.span)):
        with frame.builder.region() as nodes, _round(frame, number) as scope:
            frame.session.count(node.iterable.span)
            variables, _ = _targets(frame, node.targets, element, scope, node.iterable.span)
            try:
                run(frame, node.body.statements)
            except Returned:
                returned = True
        rounds.append(ir.Round(variables=variables, body=tuple(nodes)))
        if returned:
            break
    for target in node.targets:
        frame.names.pop(target.id, None)
        frame.gone[target.id] = (
            "it exists inside the loop only",
            "keep its value under another name inside the loop",
        )
    frame.builder.add(
        ir.For(
            origin=frame.session.origin(node),
            at=frame.location(node),
            targets=tuple(t.id for t in node.targets),
            iterable=iterable or _walked(rounds),
            rounds=tuple(rounds),
        ),
        node.span,
    )
    if returned:
        raise Returned


def comprehension(frame: Frame, node: syntax.Comprehension, label: str | None = None) -> AnyValue:
    """`[e for x in xs if c]`; layers made in it are numbered like those of a loop.

    `label` is the name that the list gets: a list of layers gives it to each.
    """
    value, iterable = _iterable(frame, node.iterable)
    kept = {t.id: frame.names.get(t.id) for t in node.targets}
    found: list[AnyValue] = []
    rounds: list[ir.Round] = []
    for number, element in enumerate(elements(frame, value, node.iterable.span)):
        with frame.builder.region() as nodes, _round(frame, number) as scope:
            frame.session.count(node.iterable.span)
            variables, _ = _targets(frame, node.targets, element, scope, node.iterable.span)
            wanted = True
            if node.condition is not None:
                wanted = _decision(frame, node.condition).value
            if wanted:
                element_value = evaluate(frame, node.element)
                if isinstance(element_value, BuiltBlock) and label is not None:
                    element_value = calls.name_layer(frame, element_value, None, node, label)
                found.append(element_value)
        rounds.append(ir.Round(variables=variables, body=tuple(nodes)))
    for name, old in kept.items():
        frame.names.pop(name, None)
        if old is not None:
            frame.names[name] = old
    layers = any(isinstance(item, LayerValue) for item in found)
    if layers or any(step.body for step in rounds):
        frame.builder.add(
            ir.For(
                origin=frame.session.origin(node),
                at=frame.location(node),
                targets=tuple(t.id for t in node.targets),
                iterable=iterable or _walked(rounds),
                rounds=tuple(rounds),
            ),
            node.span,
        )
    if found and all(isinstance(item, STATIC) for item in found):
        return Const(value=tuple(item.value for item in found if isinstance(item, STATIC)))
    return sequence(found)


def _scan(frame: Frame, node: syntax.Scan) -> None:
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
        for name in [*node.carry, *(e.name for e in _emits(node.body))]:
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
            tensor = calls.expect_tensor(frame, value, source.value.span)
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
            site = shapes.Application("scan", [], {}, source.span, frame.session.known)
            site.equal(length, count, "the lengths of what is scanned")
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
    value = calls.expect_tensor(frame, frame.names[name.id], name.span)
    inside = frame.builder.tensor(value.type)
    inner.names[name.id] = TensorValue(ir.Use(id=inside.id, name=name.id), value.type)
    inner.fixed = {k: v for k, v in inner.fixed.items() if k != name.id}
    return name, value, inside


def _carry_out(
    frame: Frame, inner: Frame, name: syntax.Ident, initial: TensorValue, inside: ir.Tensor
) -> ir.Carry:
    final = calls.expect_tensor(inner, inner.names[name.id], name.span)
    _same_type(frame, inside.type, final.type, name.span, f"the carried `{name.id}`", "each step leaves")
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


def _emit(frame: Frame, node: syntax.Emit) -> None:
    if frame.emissions is None:
        raise fail(
            "E0217",
            "`emit` outside a scan",
            node.span,
            "nothing collects it",
            help="put it into `scan ... { }`",
        )
    value = calls.expect_tensor(frame, evaluate(frame, node.value), node.value.span)
    if any(other.name.id == node.name.id for other, _ in frame.emissions):
        raise fail(
            "E0119",
            f"`{node.name.id}` is emitted twice",
            node.name.span,
            "emitted again here",
            help="choose another name",
        )
    frame.emissions.append((node, value))


# ---------------------------------------------------------------- branches


def _decision(frame: Frame, node: syntax.Expr) -> Expr:
    value = evaluate(frame, node)
    if isinstance(value, TensorValue):
        raise fail(
            "E0222",
            "`if` is decided at compile time, but this condition is a tensor",
            node.span,
            f"this is {value.type}",
            help="select element-wise with where(condition, a, b)",
        )
    if isinstance(value, Poison):
        raise Failed(None)
    if not isinstance(value, STATIC) or not isinstance(value.value, bool):
        raise fail(
            "E0223",
            "a condition is true or false",
            node.span,
            f"this is {values.describe(value)}",
            help=f"compare it, for example: {node.span.text} != none"
            if isinstance(value, STATIC) and value.value is None
            else f"compare it, for example: {node.span.text} > 0",
        )
    return value


def _if(frame: Frame, node: syntax.If) -> None:
    condition = _decision(frame, node.condition)
    taken = bool(condition.value)
    before = set(frame.names)
    chosen = node.body.statements if taken else _orelse(node)
    returned = False
    with frame.builder.region() as nodes:
        try:
            run(frame, chosen)
        except Returned:
            returned = True
    frame.builder.add(
        ir.Branch(
            origin=frame.session.origin(node),
            at=frame.location(node),
            condition=condition,
            taken=taken,
            body=tuple(nodes),
        ),
        node.span,
    )
    if returned:
        raise Returned
    both = set(assigned(node.body.statements)) & set(assigned(_orelse(node)))
    ends = _always_returns(_orelse(node) if taken else node.body.statements)
    for name in [*assigned(node.body.statements), *assigned(_orelse(node))]:
        if (
            name not in before
            and name not in both
            and not ends
            and frame.fixed.get(name) not in ("param", "state")
        ):
            frame.names.pop(name, None)
            frame.maybe[name] = node.span


def _always_returns(statements: Sequence[syntax.Statement]) -> bool:
    return any(isinstance(s, syntax.Return) for s in statements)


def if_expression(frame: Frame, node: syntax.IfExpr) -> AnyValue:
    """`if c then a else b`: only the chosen side is elaborated."""
    condition = _decision(frame, node.condition)
    taken = bool(condition.value)
    with frame.builder.region() as nodes:
        value = evaluate(frame, node.then if taken else node.orelse)
    if isinstance(value, STATIC):
        return _static_choice(frame, node, condition, value, taken)
    branch: dict[str, Any] = {
        "origin": frame.session.origin(node),
        "at": frame.location(node),
        "condition": condition,
        "taken": taken,
        "body": tuple(nodes),
    }
    if not isinstance(value, TensorValue):
        if nodes:
            frame.builder.add(ir.Branch(**branch), node.span)
        return value
    output = frame.builder.tensor(value.type)
    frame.builder.add(ir.Branch(**branch, result=(value.operand,), outputs=(output,)), node.span)
    return TensorValue(ir.Use(id=output.id), value.type, value.constant)


def _static_choice(frame: Frame, node: syntax.IfExpr, condition: Expr, value: Expr, taken: bool) -> Expr:
    """Keeps both sides in the expression where the other one has a value too."""
    scratch = replace(frame, builder=Builder(frame.session), names=dict(frame.names))
    try:
        other = evaluate(scratch, node.orelse if taken else node.then)
    except Failed:
        return value
    if not isinstance(other, STATIC):
        return value
    sides = (value, other) if taken else (other, value)
    return statics.operation("if", (condition, *sides), value.value)


# ---------------------------------------------------------------- return, require, init


def _return(frame: Frame, node: syntax.Return) -> None:
    found = tuple(evaluate(frame, value) for value in node.values)
    if any(isinstance(value, Poison) for value in found):
        raise Failed(None)
    frame.result = found
    frame.result_span = node.span
    operands: list[ir.Operand] = []
    flat: list[AnyValue] = []
    for value in found:
        flat.extend(
            value.values
            if isinstance(value, RecordValue) and len(found) == 1
            else (value.items if isinstance(value, ListValue) and len(found) == 1 else (value,))
        )
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


def _require(frame: Frame, node: syntax.Require) -> None:
    for condition in _conjuncts(node.condition):
        _require_one(frame, node, condition)


def _conjuncts(node: syntax.Expr) -> list[syntax.Expr]:
    if isinstance(node, syntax.Binary) and node.op == "and":
        return [*_conjuncts(node.left), *_conjuncts(node.right)]
    return [node]


def _require_one(frame: Frame, node: syntax.Require, condition: syntax.Expr) -> None:
    session = frame.session
    frame.requiring = True
    try:
        decided: bool | None = bool(_decision(frame, condition).value)
        expr: Operation | None = None
    except Failed as failed:
        if failed.diagnostic is None or failed.diagnostic.code != "E0224":
            raise
        decided, expr = None, _undecided(frame, condition)
        if expr is None:
            raise
    finally:
        frame.requiring = False
    if decided is True:
        return
    message = format_message(frame, node)
    if decided is False:
        values_ = _shown_values(frame, condition)
        raise fail(
            "E0310",
            message,
            node.span,
            f"`{condition.span.text}` does not hold{values_}",
            help="change the numbers that enter it",
        )
    if decided is None and expr is not None:
        _learn_fact(frame, condition)
        assumed = print_expression(Operation(op=expr.op, args=tuple(map(_valued, expr.args)), value=True))
        session.requirements.append(
            ir.Requirement(condition=assumed, message=message, expr=expr, at=frame.location(node))
        )
        frame.builder.add(
            ir.Check(
                origin=session.origin(condition, "check"),
                at=frame.location(node),
                condition=expr,
                message=format_message(frame, node, keep_sizes=True),
            ),
            node.span,
        )


def _shown_values(frame: Frame, condition: syntax.Expr) -> str:
    if not isinstance(condition, syntax.Binary):
        return ""
    try:
        left, right = (evaluate(frame, side) for side in (condition.left, condition.right))
    except Failed:
        return ""
    if isinstance(left, STATIC) and isinstance(right, STATIC):
        return f": {left.value} {condition.op} {right.value}"
    return ""


def _valued(expr: Expr) -> Expr:
    """The expression in sizes of the network and numbers, whatever the block calls them."""
    if isinstance(expr, Operation) and isinstance(expr.value, Dim):
        return Operation(op=expr.op, args=tuple(map(_valued, expr.args)), value=expr.value)
    return Const(value=expr.value)


def _undecided(frame: Frame, condition: syntax.Expr) -> Operation | None:
    """A condition on symbolic sizes as an expression, for the check when the model runs."""
    if not isinstance(condition, syntax.Binary):
        return None
    sides = [evaluate(frame, side) for side in (condition.left, condition.right)]
    known = tuple(side for side in sides if isinstance(side, STATIC))
    return Operation(op=condition.op, args=known, value=True) if len(known) == len(sides) else None


def _learn_fact(frame: Frame, condition: syntax.Expr) -> None:
    """`H % 8 == 0` makes H a multiple of 8 from here on; `T <= ctx` is kept as a bound."""
    _learn_bound(frame, condition)
    if not (isinstance(condition, syntax.Binary) and condition.op == "=="):
        return
    side = condition.left
    if not (isinstance(side, syntax.Binary) and side.op == "%"):
        return
    left, right = evaluate(frame, side.left), evaluate(frame, side.right)
    if not (isinstance(left, STATIC) and isinstance(right, STATIC)):
        return
    if isinstance(left.value, Dim) and isinstance(right.value, int):
        names = dims.variables(left.value)
        name = next(iter(names))
        if len(names) == 1 and left.value == dims.variable(name):
            facts = frame.session.facts
            facts[name] = math.lcm(facts.get(name, 1), right.value)


def _learn_bound(frame: Frame, condition: syntax.Expr) -> None:
    if not (isinstance(condition, syntax.Binary) and condition.op in ("<", "<=", ">", ">=")):
        return
    left, right = evaluate(frame, condition.left), evaluate(frame, condition.right)
    if not (isinstance(left, STATIC) and isinstance(right, STATIC)):
        return
    high, low = (left.value, right.value) if condition.op[0] == ">" else (right.value, left.value)
    bound = high - low - (1 if len(condition.op) == 1 else 0)
    if isinstance(bound, Dim):
        frame.session.bounds.append(bound)


def format_message(frame: Frame, node: syntax.Require, keep_sizes: bool = False) -> str:
    """The message of a `require` with its `{expressions}` filled in.

    `keep_sizes` leaves the names of sizes that are only known when the model runs: `{T}`.
    """
    from dlc_grammar.parse import parse_expression

    if node.message is None:
        return f"`{node.condition.span.text}` is required"
    text, out, at = str(node.message.value), "", 0
    while True:
        start = text.find("{", at)
        stop = text.find("}", start)
        if start < 0 or stop < 0:
            return out + text[at:]
        out += text[at:start]
        tree, _ = parse_expression(text[start + 1 : stop], "message")
        shown = text[start : stop + 1]
        if tree is not None:
            try:
                value = evaluate(frame, tree)
                later = keep_sizes and isinstance(tree, syntax.Name)
                if isinstance(value, STATIC) and not (later and isinstance(value.value, Dim)):
                    shown = str(value.value)
            except Failed:
                pass
        out += shown
        at = stop + 1


def _init(frame: Frame, node: syntax.Init) -> None:
    for rule in node.rules:
        value = builtins.ir_distribution(evaluate(frame, rule.value), rule.value.span)
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


_RUNNERS: Mapping[type, Callable[[Frame, Any], None]] = {
    syntax.Assign: _assign,
    syntax.Const: _const,
    syntax.Variable: _variable,
    syntax.Update: _update,
    syntax.For: _for,
    syntax.Scan: _scan,
    syntax.If: _if,
    syntax.Return: _return,
    syntax.Require: _require,
    syntax.Emit: _emit,
    syntax.Init: _init,
    syntax.Function: _function,
    syntax.Metric: _training_only,
    syntax.Minimize: _training_only,
}
