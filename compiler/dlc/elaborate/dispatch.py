"""Expressions and statements by the kind of their syntax: how the parts of elaboration reach each other.

In: a frame and syntax. Out: a value; or the nodes that statements leave in the builder. `expressions.py` and
`statements.py` say which part knows which kind; `program.py` fills the tables with that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dlc.elaborate.failure import Failed
from dlc.elaborate.frame import Frame, Returned
from dlc.values import POISON, AnyValue
from dlc_grammar import syntax

EVALUATORS: dict[type, Callable[[Frame, Any], AnyValue]] = {}
RUNNERS: dict[type, Callable[[Frame, Any], None]] = {}


def evaluate(frame: Frame, node: syntax.Expr) -> AnyValue:
    """The value of an expression. Raises Failed."""
    return EVALUATORS[type(node)](frame, node)


def run(frame: Frame, statements: Sequence[syntax.Statement]) -> bool:
    """Run statements; True if something was wrong. Raises Returned at a `return`, Failed in the library."""
    user = frame.session.is_user(frame.module.source)
    for statement in statements:
        try:
            RUNNERS[type(statement)](frame, statement)
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
                found.extend(s.name.id for s in emits(statement.body))
            case syntax.If():
                found.extend(assigned(statement.body.statements))
                found.extend(assigned(orelse(statement)))
    return list(dict.fromkeys(found))


def emits(body: syntax.Body) -> Iterator[syntax.Emit]:
    """What a scan collects, also in branches and unrolled loops."""
    for statement in body.statements:
        match statement:
            case syntax.Emit():
                yield statement
            case syntax.If():
                yield from emits(statement.body)
            case syntax.For():
                yield from emits(statement.body)


def orelse(statement: syntax.If) -> tuple[syntax.Statement, ...]:
    """The statements of the other branch."""
    match statement.orelse:
        case None:
            return ()
        case syntax.If():
            return (statement.orelse,)
        case _:
            return statement.orelse.statements
