"""Writes the functions that compute sizes: plain Python, the same for all targets."""

from __future__ import annotations

from dlc.emit.expressions import ExpressionPrinter
from dlc.emit.forms import named_values
from dlc.emit.plan import SizeTable, Unit
from dlc.emit.printer import FileWriter
from dlc.emit.static_functions import write_function
from dlc.ir import Operation


def write_size_functions(writer: FileWriter, unit: Unit, imports: set[str]) -> None:
    """Those of the text that a unit is the first to call, and those for its loops; `imports` collects the
    modules that they need."""
    for function in unit.functions:
        write_function(writer, function, imports)
    for table in unit.tables:
        writer.blank(2)
        kind = "int"
        for _ in table.loops:
            kind = f"list[{kind}]"
        with writer.definition(table.name, [f"{a.name}: {a.annotation}" for a in table.parameters], kind):
            TableWriter(writer, table, imports).write()


class TableWriter:
    """Writes the body of one function."""

    def __init__(self, writer: FileWriter, table: SizeTable, imports: set[str]) -> None:
        self.writer = writer
        self.table = table
        self.printer = ExpressionPrinter(lambda ref: ref.name, imports)
        taken = {table.size, *(a.name for a in table.parameters)}
        taken |= {name for loop in table.loops for name in loop.targets}
        self.lists = ["sizes", *("row" + "_" * i for i in range(len(table.loops) - 1))]
        self.lists = [name + "_" * (name in taken) for name in self.lists]

    def write(self) -> None:
        size = self.table.size
        self.writer.documentation(f"What `{size}` is in each round: a round starts where the last one ended.")
        start = str(self.printer(self.table.start))
        if start != size:
            self.writer.statement(f"{size} = {start}")
        self.loop(0)
        self.writer.statement(f"return {self.lists[0]}")

    def loop(self, level: int) -> None:
        loop = self.table.loops[level]
        used = self.names_from(level)
        names, iterable = [name if name in used else "_" for name in loop.targets], loop.iterable
        if isinstance(iterable, Operation) and iterable.op == "enumerate" and names[0] == "_":
            names, iterable = names[1:], iterable.args[0]
        writer, size = self.writer, self.table.size
        writer.statement(f"{self.lists[level]} = []")
        with writer.block(f"for {', '.join(names)} in {self.printer(iterable)}"):
            if level + 1 < len(self.table.loops):
                self.loop(level + 1)
                writer.statement(f"{self.lists[level]}.append({self.lists[level + 1]})")
            else:
                writer.statement(f"{self.lists[level]}.append({size})")
            if loop.update is not None:
                writer.statement(f"{size} = {self.printer(loop.update)}")

    def names_from(self, level: int) -> set[str]:
        """The names that the body of a loop reads."""
        inner = self.table.loops[level + 1 :]
        read = [loop.iterable for loop in inner] + [loop.update for loop in self.table.loops[level:]]
        return {name for expr in read if expr is not None for name, _ in named_values(expr)}
