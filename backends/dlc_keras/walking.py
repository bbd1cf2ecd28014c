"""Questions about a plan's code: what it contains, which variables it binds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dlc.emit.plan import (
    Append,
    Assign,
    AssignStatic,
    Choice,
    Code,
    Conditional,
    FunctionCall,
    LayerCall,
    Loop,
    NewList,
    Primitive,
    ReadSizes,
    Result,
    Return,
    ScanLoop,
    Sequence,
    Statement,
    UpdateState,
    Variable,
)
from dlc.ir import Expr, Operation, Ref


def parts(code: Code) -> tuple[Code, ...]:
    """The operands of a code, in evaluation order."""
    match code:
        case Primitive(args=args):
            return args
        case FunctionCall(args=named) | LayerCall(args=named):
            return tuple(value for value in named.values() if value is not None)
        case Result(call=call):
            return (call,)
        case Choice(then=then, orelse=orelse):
            return (then, orelse)
        case Sequence(items=items):
            return items
    return ()


def codes_in(code: Code) -> Iterator[Code]:
    for part in parts(code):
        yield from codes_in(part)
    yield code


def codes_of(statement: Statement) -> tuple[Code, ...]:
    """The codes of a statement itself, not those of statements inside it."""
    match statement:
        case Assign(value=value) | UpdateState(value=value):
            return (value,)
        case NewList(items=items):
            return items
        case Append(item=item):
            return (item,)
        case Return(values=values):
            return values
        case Loop(tensors=tensors):
            return tuple(code for _, code in tensors)
        case ScanLoop(sources=sources, carried=carried, emitted=emitted):
            given = tuple(source.value for source in sources if source.value is not None)
            return (*given, *(code for _, code in carried), *(code for _, code in emitted))
    return ()


def bodies_of(statement: Statement) -> tuple[tuple[Statement, ...], ...]:
    match statement:
        case Loop(body=body) | ScanLoop(body=body):
            return (body,)
        case Conditional(body=body, orelse=orelse):
            return (body, orelse)
    return ()


def statements_in(body: Iterable[Statement]) -> Iterator[Statement]:
    """All statements, those inside others included."""
    for statement in body:
        yield statement
        for inner in bodies_of(statement):
            yield from statements_in(inner)


def all_codes(body: Iterable[Statement]) -> Iterator[Code]:
    for statement in statements_in(body):
        for code in codes_of(statement):
            yield from codes_in(code)


def bound_by(statement: Statement) -> Iterator[str]:
    """The variables that a statement itself binds."""
    match statement:
        case Assign(targets=targets):
            yield from targets
        case AssignStatic(target=target):
            yield target
        case NewList(name=name):
            yield name
        case ReadSizes(names=names):
            yield from (name for name in names if name is not None)
        case Loop(targets=targets, layers=layers, columns=columns, tensors=tensors):
            yield from targets
            yield from (name for name, _ in tensors)
            yield from (layer.element for layer in layers)
            yield from (column.name for column in columns)
        case ScanLoop(sources=sources, carried=carried, emitted=emitted):
            yield from (source.inside for source in sources)
            yield from (name for name, _ in (*carried, *emitted))


def assigned(body: Iterable[Statement]) -> Iterator[str]:
    """Every variable that a body binds."""
    for statement in statements_in(body):
        yield from bound_by(statement)


def references(expr: Expr) -> Iterator[Ref]:
    match expr:
        case Ref():
            yield expr
        case Operation(args=args):
            for argument in args:
                yield from references(argument)


def lists_in(body: Iterable[Statement]) -> frozenset[str]:
    """The variables that hold Python lists of tensors."""
    return frozenset(one.name for one in statements_in(body) if isinstance(one, NewList))


__all__ = ["Variable", "all_codes", "assigned", "bodies_of", "bound_by", "codes_in", "references"]
