"""Which expressions depend on values that exist only while a method runs."""

from __future__ import annotations

from collections.abc import Iterator

from dlc.emit import plan
from dlc.ir import Expr, Operation, Ref
from dlc_torch.scope import own_codes, subcodes


def reads_local(code: plan.Code, kept: frozenset[str]) -> bool:
    """Whether an expression reads a local variable other than those in `kept`."""
    for inner in subcodes(code):
        match inner:
            case plan.Variable(name=name) if name not in kept:
                return True
            case plan.Number(expr=expr) if has_local(expr):
                return True
            case plan.Primitive(attrs=exprs) | plan.FunctionCall(statics=exprs):
                if any(has_local(expr) for expr in exprs.values()):
                    return True
            case plan.WeightRead() | plan.LayerCall() | plan.Draw() | plan.ListItem():
                return True
    return False


def read_after_update(body: tuple[plan.Statement, ...]) -> set[str]:
    """The states of a unit that its method reads after it gave them a new value."""
    updated: set[str] = set()
    found: set[str] = set()
    for statement in in_order(body):
        for outer in own_codes(statement):
            for code in subcodes(outer):
                if isinstance(code, plan.WeightRead) and not code.layer and code.name in updated:
                    found.add(code.name)
        if isinstance(statement, plan.UpdateState):
            updated.add(statement.name)
    return found


def in_order(body: tuple[plan.Statement, ...]) -> Iterator[plan.Statement]:
    for statement in body:
        yield statement
        match statement:
            case plan.Loop(body=inner) | plan.ScanLoop(body=inner):
                yield from in_order(inner)
            case plan.Conditional(body=inner, orelse=orelse):
                yield from in_order((*inner, *orelse))


def has_local(expr: Expr) -> bool:
    match expr:
        case Operation(args=arguments):
            return any(has_local(argument) for argument in arguments)
        case Ref(scope=scope):
            return scope not in ("self", "config")
    return False
