"""The constructor of a class in PyTorch.

In: the construction of a `plan.Unit`. Out: statements in a `FileWriter`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dlc.emit import plan
from dlc.emit.expressions import Text, call, choice
from dlc.emit.printer import FileWriter
from dlc.ir import Const, Expr, Operation
from dlc_torch.blocks import BLOCKS, Arguments
from dlc_torch.sampling import EMPTY, filled, initialise
from dlc_torch.scope import Scope
from dlc_torch.starts import write_starts

POSITIONAL = 4
"""More arguments than this are passed by name."""


class ConstructionPrinter:
    """Writes the layers and weights of one unit."""

    def __init__(self, scope: Scope, writer: FileWriter) -> None:
        self.scope = scope
        self.writer = writer

    def items(self, items: Sequence[plan.Construction]) -> None:
        for item in items:
            match item:
                case plan.MakeWeight():
                    self.weight(item)
                case plan.MakeLayer(name=name):
                    self.writer.statement(f"self.{name} = {self.layer(item)}")
                case plan.MakeAbsent(name=name):
                    self.writer.statement(f"self.{name} = nn.Identity()")
                case plan.MakeLoop(lists=lists):
                    for name in lists:
                        self.writer.statement(f"self.{name} = {self.module_list(name, item)}")
                case plan.MakeConditional():
                    self.conditional(item)

    def weight(self, item: plan.MakeWeight) -> None:
        sizes = [self.scope.text(size) for size in item.shape]
        whole = filled(item.init, sizes, self.scope)
        value = whole or call("torch.empty", *(sizes or [EMPTY]))
        if item.state:
            self.writer.statement(f'self.register_buffer("{item.name}", {value})')
        else:
            self.writer.statement(f"self.{item.name} = nn.Parameter({value})")
        if whole is None:
            name = Text(f"self.{item.name}")
            self.writer.statement(str(initialise(item.init, name, len(item.shape), self.scope)))

    def conditional(self, item: plan.MakeConditional) -> None:
        with self.writer.block(f"if {self.scope.text(item.condition)}"):
            self.items(item.body)
            write_starts(item.body, self.scope, self.writer)
        if item.orelse:
            with self.writer.block("else"):
                self.items(item.orelse)
                write_starts(item.orelse, self.scope, self.writer)

    # -------------------------------------------------- layers

    def layer(self, item: plan.MakeLayer) -> Text:
        if item.native:
            self.scope.file.native_blocks.add(item.unit)
            return BLOCKS[item.unit].build(Arguments(item.arguments, self.scope))
        unit = self.scope.file.unit(item.unit)
        positional: list[Text] = []
        named: dict[str, Text] = {}
        for argument in unit.arguments:
            expr = item.arguments.get(argument.name, item.arguments.get(argument.source))
            if expr is None:
                continue
            plain = isinstance(expr, Const) and (len(positional) >= 2 or not is_size(expr.value))
            if named or plain or len(unit.arguments) > POSITIONAL:
                named[argument.name] = self.scope.text(expr)
            else:
                positional.append(self.scope.text(expr))
        return call(item.unit, *positional, **named)

    def module_list(self, name: str, loop: plan.MakeLoop) -> Text:
        """`nn.ModuleList(Layer(...) for ... in ...)`, nested as the loops are."""
        element = self.element(name, loop.body)
        read = frozenset(re.findall(r"\w+", element.code))
        unread = frozenset(t for t in loop.targets if t not in read)
        sources = [iterable_text(loop.targets, unread, loop.iterable, self.scope)]
        sources += [
            (column.name, self.scope.text(column.whole)) for column in loop.columns if column.name in read
        ]
        if len(sources) > 1 and unread == frozenset(loop.targets):
            sources = sources[1:]
        names = ", ".join(f"({n})" if "," in n and len(sources) > 1 else n for n, _ in sources)
        values = [value for _, value in sources]
        iterable = values[0] if len(values) == 1 else call("zip", *values, strict="True")
        return Text(f"nn.ModuleList({element.item} for {names} in {iterable.within(2)})")

    def element(self, name: str, body: Sequence[plan.Construction]) -> Text:
        """What one round appends to the list `name`."""
        for item in body:
            match item:
                case plan.MakeLayer(name=own) if own == name:
                    return self.layer(item)
                case plan.MakeAbsent(name=own) if own == name:
                    return Text("nn.Identity()")
                case plan.MakeLoop(lists=lists) if name in lists:
                    return self.module_list(name, item)
                case plan.MakeConditional(condition=condition) if makes(name, item):
                    then, orelse = (self.side(name, side) for side in (item.body, item.orelse))
                    return choice(self.scope.text(condition), then, orelse)
        raise AssertionError(f"no layer for the list {name}")

    def side(self, name: str, body: Sequence[plan.Construction]) -> Text:
        if any(makes(name, item) for item in body):
            return self.element(name, body)
        return Text("nn.Identity()")


def makes(name: str, item: plan.Construction) -> bool:
    """Whether an item makes a layer called `name`."""
    match item:
        case plan.MakeConditional(body=body, orelse=orelse):
            return any(makes(name, inner) for inner in (*body, *orelse))
        case plan.MakeLoop(lists=lists):
            return name in lists
        case plan.MakeWeight():
            return False
    return item.name == name


def is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def iterable_text(
    targets: Sequence[str], skipped: frozenset[str], iterable: Expr, scope: Scope
) -> tuple[str, Text]:
    """The targets of a loop and what it runs over, without a counter that nobody reads."""
    match iterable:
        case Operation(op="enumerate", args=(inner,)) if len(targets) == 2 and targets[0] in skipped:
            return ("_" if targets[1] in skipped else targets[1]), scope.text(inner)
        case Operation(op="reversed", args=(Operation(op="enumerate", args=(inner,)),)) if (
            len(targets) == 2 and targets[0] in skipped
        ):
            return ("_" if targets[1] in skipped else targets[1]), call("reversed", scope.text(inner))
        case Operation(op="reversed", args=(Operation(op="enumerate", args=(inner,)),)) if (
            len(targets) == 2 and targets[1] in skipped
        ):
            return targets[0], call("reversed", call("range", call("len", scope.text(inner))))
    names = ", ".join("_" if target in skipped else target for target in targets)
    return names, scope.text(iterable)
