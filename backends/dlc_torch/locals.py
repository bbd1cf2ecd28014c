"""Which expressions depend on values that exist only while a method runs."""

from __future__ import annotations

from dlc.emit import plan
from dlc.ir import Expr, Operation, Ref
from dlc_torch.scope import subcodes


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


def has_local(expr: Expr) -> bool:
    match expr:
        case Operation(args=arguments):
            return any(has_local(argument) for argument in arguments)
        case Ref(scope=scope):
            return scope not in ("self", "config")
    return False
