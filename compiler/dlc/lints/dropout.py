"""W006: a network whose last step is `dropout`, so that results themselves are set to 0 in training."""

from __future__ import annotations

from collections.abc import Iterator

from dlc.modules import LoadedModule
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic

DROPOUTS = ("dropout", "channel_dropout")


def last_dropout(module: LoadedModule) -> Iterator[Diagnostic]:
    """Networks that end in it, where no other block of the file uses them as a part."""
    nets = [d for d in module.declarations.values() if isinstance(d, syntax.Block) and d.kind == "net"]
    for net in nets:
        for body in _forward(net):
            for call in _returned(body):
                name = _called(call)
                if name is not None and module.find(name.id) is None and not _is_part(module, net):
                    yield Diagnostic(
                        "W006",
                        f"`{net.name.id}` ends with `{name.id}`",
                        call.span,
                        "in training, some of the results are 0",
                        (),
                        "drop values before the last layer, not after it",
                        severity="warning",
                    )


def _forward(net: syntax.Block) -> Iterator[syntax.Body]:
    if net.inputs is not None:
        yield net.body
    for statement in net.body.statements:
        if isinstance(statement, syntax.Function) and statement.name.id == "forward" and statement.body:
            yield statement.body


def _returned(body: syntax.Body) -> Iterator[syntax.Expr]:
    """The last call of each value that a body returns; of a name, that of its assignment just before."""
    for block in syntax.walk(body, (syntax.Function,)):
        statements = block.statements if isinstance(block, syntax.Body) else ()
        before, last = (None, None, *statements)[-2:]
        for value in last.values if isinstance(last, syntax.Return) else ():
            if not isinstance(value, syntax.Name):
                yield _last(value)
            elif isinstance(before, syntax.Assign) and [t.id for t in before.targets] == [value.id]:
                yield _last(before.value)


def _last(value: syntax.Expr) -> syntax.Expr:
    return value.stage if isinstance(value, syntax.Pipe) else value


def _called(value: syntax.Expr) -> syntax.Name | None:
    """The name of a function that drops values."""
    function = value.function if isinstance(value, syntax.Call) else value
    return function if isinstance(function, syntax.Name) and function.id in DROPOUTS else None


def _is_part(module: LoadedModule, net: syntax.Block) -> bool:
    return any(
        isinstance(node, syntax.Name) and node.id == net.name.id
        for declaration in module.declarations.values()
        if declaration is not net
        for node in syntax.walk(declaration)
    )
