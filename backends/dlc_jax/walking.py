"""Questions about a plan's code: what it contains, what it draws, which variables it reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dlc.emit.plan import (
    Append,
    Assign,
    Choice,
    Code,
    Conditional,
    Construction,
    Draw,
    FunctionCall,
    LayerCall,
    Loop,
    MakeConditional,
    MakeLoop,
    MakeWeight,
    MethodPlan,
    NewList,
    Primitive,
    Result,
    Return,
    ScanLoop,
    Sequence,
    Statement,
    Unit,
    UpdateState,
    Variable,
)
from dlc.ir import Expr, Operation, Ref, TensorType


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
    """The code and everything in it, operands first."""
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


def is_random(code: Code) -> bool:
    """Whether the code itself draws, or calls what draws."""
    return isinstance(code, Draw) or (isinstance(code, FunctionCall | LayerCall) and code.random)


def draws(body: Iterable[Statement]) -> int:
    """How many keys a body needs; what is in a loop counts twice, a scan once."""
    count = 0
    for statement in body:
        count += sum(is_random(inner) for code in codes_of(statement) for inner in codes_in(code))
        inside = sum(draws(inner) for inner in bodies_of(statement))
        count += (
            2 * inside
            if isinstance(statement, Loop)
            else min(inside, 1)
            if isinstance(statement, ScanLoop)
            else inside
        )
    return count


def is_stateful(code: Code) -> bool:
    return any(isinstance(inner, LayerCall) and inner.stateful for inner in codes_in(code))


def reads(code: Code, name: str) -> int:
    """How often a variable occurs."""
    return sum(isinstance(inner, Variable) and inner.name == name for inner in codes_in(code))


def references(expr: Expr) -> Iterator[Ref]:
    match expr:
        case Ref():
            yield expr
        case Operation(args=args):
            for argument in args:
                yield from references(argument)


def assigned(body: Iterable[Statement]) -> Iterator[str]:
    """Every variable that a body binds."""
    for statement in statements_in(body):
        match statement:
            case Assign(targets=targets):
                yield from targets
            case NewList(name=name):
                yield name
            case Loop(targets=targets, layers=layers, columns=columns, tensors=tensors):
                yield from targets
                yield from (name for name, _ in tensors)
                yield from (layer.element for layer in layers)
                yield from (column.name for column in columns)
            case ScanLoop(sources=sources, carried=carried, emitted=emitted):
                yield from (source.inside for source in sources)
                yield from (name for name, _ in (*carried, *emitted))


def draws_in_evaluation(body: Iterable[Statement], called: frozenset[str] = frozenset()) -> bool:
    """Whether a body draws, or calls one of `called` (units that do), when it is not training."""
    for statement in body:
        for code in codes_of(statement):
            for inner in codes_in(code):
                if isinstance(inner, Draw):
                    return True
                if isinstance(inner, LayerCall) and inner.random and inner.unit in called:
                    return True
                if isinstance(inner, FunctionCall) and inner.random and inner.name in called:
                    return True
        if isinstance(statement, Conditional):
            evaluation = evaluates(statement.condition)
            if evaluation is not False and draws_in_evaluation(statement.body, called):
                return True
            if evaluation is not True and draws_in_evaluation(statement.orelse, called):
                return True
            if evaluation and any(isinstance(inner, Return) for inner in statement.body):
                return False
        elif any(draws_in_evaluation(inner, called) for inner in bodies_of(statement)):
            return True
    return False


def evaluates(condition: Expr) -> bool | None:
    """The value of a condition when `training` is false; None where that does not decide it."""
    match condition:
        case Ref(scope="training"):
            return False
        case Operation(op="not", args=(inner,)):
            value = evaluates(inner)
            return None if value is None else not value
        case Operation(op="and", args=args) if any(evaluates(each) is False for each in args):
            return False
        case Operation(op="or", args=args) if any(evaluates(each) for each in args):
            return True
    return None


def weight_type(unit: Unit, name: str) -> TensorType | None:
    """The type of a unit's own parameter or state."""
    for item in flattened(unit.construction):
        if isinstance(item, MakeWeight) and item.name == name:
            return TensorType(dtype="float", shape=item.shape)
    return None


def flattened(items: Iterable[Construction]) -> Iterator[Construction]:
    for item in items:
        yield item
        match item:
            case MakeLoop(body=body):
                yield from flattened(body)
            case MakeConditional(body=body, orelse=orelse):
                yield from flattened((*body, *orelse))


def needs_statement(code: LayerCall | Draw | FunctionCall) -> bool:
    return isinstance(code, LayerCall) and is_stateful(code)


def assignments(method: MethodPlan) -> list[tuple[tuple[str, ...], str]]:
    """Every assignment of a method, with the dtype of its value."""

    found: list[tuple[tuple[str, ...], str]] = []
    for statement in statements_in(method.body):
        if isinstance(statement, Assign) and statement.value.type is not None:
            found.append((statement.targets, statement.value.type.dtype))
    return found
