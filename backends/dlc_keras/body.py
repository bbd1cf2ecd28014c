"""Writes the statements of one function or method: `plan.Statement` in, lines of a `FileWriter` out."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from contextlib import AbstractContextManager

from dlc.emit.expressions import Text, call, list_of, message
from dlc.emit.naming import PLAIN_VALUES, unused
from dlc.emit.plan import (
    Append,
    Assertion,
    Assign,
    AssignStatic,
    Conditional,
    Loop,
    MethodPlan,
    NewList,
    Pop,
    ReadSizes,
    Return,
    ScanLoop,
    Statement,
    Unit,
    UpdateState,
    WeightRead,
)
from dlc.emit.printer import FileWriter
from dlc.ir import Const, Expr, Operation
from dlc_keras.code import Expressions
from dlc_keras.construction import words_in
from dlc_keras.file import File, output_class
from dlc_keras.scanning import write_scan
from dlc_keras.walking import bound_by


class Body(Expressions):
    """The statements of one function."""

    def __init__(
        self,
        file: File,
        unit: Unit,
        plan: MethodPlan,
        writer: FileWriter,
        read: frozenset[str] | None = None,
    ) -> None:
        """`read`: the sizes that the text reads; None to leave out where they come from."""
        super().__init__(file, unit, plan)
        self.writer, self.read = writer, read
        self.bound = {each.name for each in plan.inputs}
        """The variables that have a value so far."""
        self.step: str | None = None
        """What the steps of run-time loops are called."""

    def write(self, statements: Iterable[Statement]) -> None:
        for statement in statements:
            self.statement(statement)
            self.bound.update(bound_by(statement))
            if not isinstance(statement, Assign):
                self.types.update(dict.fromkeys(bound_by(statement)))

    def line(self, code: Text | str, statement: Statement, comment: str = "") -> None:
        self.writer.statement(str(code), comment=comment, origin=statement.origin, at=statement.at)

    def statement(self, statement: Statement) -> None:
        match statement:
            case ReadSizes():
                self.read_sizes(statement)
            case Assign():
                self.assign(statement)
            case AssignStatic(target=target, value=value):
                self.line(f"{self.name(target)} = {self.text(value)}", statement)
            case NewList(name=name, items=items):
                self.line(f"{self.name(name)} = {list_of(map(self.code, items))}", statement)
            case Append(name=name, item=item):
                self.line(f"{self.name(name)}.append({self.code(item)})", statement)
            case Pop(name=name):
                self.line(f"{self.name(name)}.pop()", statement)
            case Loop():
                with self.block(self.loop_header(statement), statement):
                    self.write(statement.body)
            case Conditional():
                self.conditional(statement)
            case ScanLoop():
                write_scan(self, statement)
            case UpdateState(name=name, value=value):
                self.line(f"self.{self.file.attribute(name)}.assign({self.code(value)})", statement)
            case Assertion(condition=condition, message=template):
                self.line(f"assert {self.text(condition)}, {message(template)}", statement)
            case Return():
                self.returned(statement)

    def named(self, code: Text) -> Text:
        """A variable that holds the value of an expression, assigned before the present statement."""
        if code.code.isidentifier() or self.choosing:
            return code
        name = self.fresh(unused(PLAIN_VALUES[1:], self.used | self.bound))
        self.writer.statement(f"{name} = {code}")
        return Text(name)

    def block(self, header: str, statement: Statement) -> AbstractContextManager[None]:
        return self.writer.block(header, origin=statement.origin, at=statement.at)

    # ------------------------------------------------------------ simple statements

    def read_sizes(self, statement: ReadSizes) -> None:
        """`batch, time, _ = ops.shape(x)`, without the sizes that only other frameworks need."""
        known = self.read or frozenset()
        names = [self.name(name) if name is not None else "_" for name in statement.names]
        names = [name if name in known else "_" for name in names]
        used = [axis for axis, name in enumerate(names) if name != "_"]
        shape = f"{'np' if self.table else 'ops'}.shape({self.name(statement.tensor)})"
        if len(used) == 1:
            self.line(f"{names[used[0]]} = {shape}[{used[0]}]", statement)
        elif used:
            self.line(f"{', '.join(names)} = {shape}", statement)

    def assign(self, statement: Assign) -> None:
        value = statement.value
        constant = self.is_table(value) and not self.table
        text = self.table_text(value) if constant else self.code(value)
        if isinstance(value, WeightRead) and value.state:
            text = call("ops.convert_to_tensor", text)
        targets = ", ".join(map(self.name, statement.targets))
        if text.code != targets:
            self.line(f"{targets} = {text}", statement, statement.comment)
        for target in statement.targets:
            self.tables.pop(target, None)
            self.types[target] = self.operand_type(value) if len(statement.targets) == 1 else None
            if constant:
                self.tables[target] = value.type

    def returned(self, statement: Return) -> None:
        values = [self.code(value) for value in statement.values]
        name = output_class(self.unit, self.method)
        if name is not None:
            fields = [field for field, _, _ in self.method.outputs]
            self.line(f"return {call(name, **dict(zip(map(str, fields), values, strict=True)))}", statement)
        else:
            self.line(f"return {', '.join(value.item for value in values)}", statement)

    def conditional(self, statement: Conditional) -> None:
        tables = dict(self.tables)
        with self.block(f"if {self.text(statement.condition)}", statement):
            self.write(statement.body)
        if statement.orelse:
            with self.writer.block("else"):
                self.write(statement.orelse)
        self.tables = {name: kind for name, kind in self.tables.items() if name in tables}

    # ------------------------------------------------------------ loops

    def words_of(self, statements: Iterable[Statement]) -> frozenset[str]:
        """The names that statements will have in their text."""
        draft = copy.copy(self)
        draft.writer = FileWriter(draft=True)
        draft.bound, draft.used = set(self.bound), set(self.used)
        draft.names, draft.tables = dict(self.names), dict(self.tables)
        draft.write(statements)
        return words_in(draft.writer.text())

    def loop_header(self, loop: Loop) -> str:
        """`for i, layer in enumerate(self.h)`, or a zip of what the body reads."""
        read = self.words_of(loop.body)
        names = [self.name(target) if self.name(target) in read else "_" for target in loop.targets]
        targets: list[str] = []
        sources: list[Text] = []
        for layer in loop.layers:
            targets.append(self.name(layer.element))
            own = self.name(layer.source) if layer.local else f"self.{self.file.attribute(layer.source)}"
            sources.append(Text(own))
        for column in loop.columns:
            if self.name(column.name) in read:
                targets.append(self.name(column.name))
                sources.append(self.text(column.whole))
        for name, walked in loop.tensors:
            targets.append(self.name(name))
            sources.append(self.code(walked))
        if set(names) != {"_"} or not sources:
            if counts(loop.iterable) and len(sources) == 1:
                return f"for {names[0]}, {targets[0]} in enumerate({sources[0]})"
            nested = len(names) > 1 and bool(sources)
            targets.insert(0, f"({', '.join(names)})" if nested else ", ".join(names))
            sources.insert(0, self.text(loop.iterable))
        if len(sources) == 1:
            return f"for {targets[0]} in {sources[0]}"
        return f"for {', '.join(targets)} in zip({', '.join(s.item for s in sources)})"


def counts(iterable: Expr) -> bool:
    """Whether it is `range(n)`, or its numbers."""
    match iterable:
        case Operation(op="range", args=(_,)):
            return True
        case Const(value=tuple(numbers)):
            return numbers == tuple(range(len(numbers)))
    return False


def write_body(file: File, unit: Unit, plan: MethodPlan, writer: FileWriter) -> None:
    """The statements of a method. They are written twice: the first time to see what they read."""
    draft = FileWriter(draft=True)
    Body(file, unit, plan, draft).write(plan.body)
    read = words_in(draft.text())
    Body(file, unit, plan, writer, read).write(plan.body)
