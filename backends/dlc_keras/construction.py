"""Writes the constructor of a generated class: its weights, layers and lists of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlc.emit.expressions import ExpressionPrinter, Text, call, literal, text, tuple_of
from dlc.emit.plan import (
    Construction,
    MakeAbsent,
    MakeConditional,
    MakeLayer,
    MakeLoop,
    MakeWeight,
    Unit,
)
from dlc.emit.printer import FileWriter
from dlc.ir import Const, Expr, Operation, Ref
from dlc_keras.distributions import own_initializer
from dlc_keras.file import File
from dlc_keras.natives import LAYERS, Making, is_padded


@dataclass(frozen=True)
class Scope:
    """Where layers go: in attributes, or at the end of the lists of the loops around.

    `lists`: how each list being filled is written. `indices`: the numbers of the rounds around, as they
    stand in f-strings, None where a loop does not count.
    """

    lists: dict[str, str]
    indices: tuple[str | None, ...] = ()


class Constructor:
    """The constructor of one class."""

    def __init__(self, file: File, unit: Unit, writer: FileWriter) -> None:
        self.file, self.unit, self.writer = file, unit, writer
        self.printer = ExpressionPrinter(self.resolve, file.imports)

    # ------------------------------------------------------------ what natives ask for

    def resolve(self, ref: Ref) -> Text | str:
        if ref.scope == "config":
            return f"config.{ref.name}"
        return self.file.variable(ref.name)

    def text(self, expr: Expr) -> Text:
        return self.printer(expr)

    def dtype(self, name: str) -> Text:
        raise AssertionError("a constructor makes no tensors")

    def helper(self, name: str) -> str:
        return self.file.helper(name)

    # ------------------------------------------------------------ items

    def write(self, items: Sequence[Construction], scope: Scope) -> None:
        for item in items:
            match item:
                case MakeWeight():
                    self.weight(item)
                case MakeLayer():
                    self.layer(item, scope)
                case MakeAbsent(name=name):
                    self.writer.statement(f"{scope.lists[name]}.append(None)")
                case MakeLoop():
                    self.loop(item, scope)
                case MakeConditional():
                    with self.writer.block(f"if {self.text(item.condition)}"):
                        self.write(item.body, scope)
                    if item.orelse:
                        with self.writer.block("else"):
                            self.write(item.orelse, scope)

    def weight(self, item: MakeWeight) -> None:
        attribute = self.file.attribute(item.name)
        shape = [self.text(size) for size in item.shape]
        arguments = {name: self.text(value) for name, value in item.init.args.items()}
        made = call(
            "self.add_weight",
            name=literal(item.name),
            shape=tuple_of(shape),
            initializer=own_initializer(item.init.name, arguments, shape),
            trainable="False" if item.state else None,
        )
        self.writer.statement(f"self.{attribute} = {made}")

    def layer(self, item: MakeLayer, scope: Scope) -> None:
        if item.name in scope.lists:
            made = self.made(item, self.name(item, scope))
            self.writer.statement(f"{scope.lists[item.name]}.append({made})")
        else:
            attribute = self.file.attribute(item.name)
            self.writer.statement(f"self.{attribute} = {self.made(item, literal(item.name))}")

    def name(self, item: MakeLayer, scope: Scope) -> Text:
        """`f"h_{i}"`: dots would break Keras' torch backend."""
        places = [index or f"{{len({scope.lists[item.name]})}}" for index in scope.indices]
        return Text(f'f"{item.name}_{"_".join(places)}"')

    def made(self, item: MakeLayer, name: Text) -> Text:
        if not item.native:
            given = {self.file.variable(key): self.text(value) for key, value in item.arguments.items()}
            return call(item.unit, *given.values(), name=name)
        native = LAYERS[item.unit]
        self.file.layers.add(item.unit)
        options = native.make(Making(item.arguments, item.inits, self))
        function = f"layers.{native.keras}"
        if is_padded(options):
            self.file.padded.add(native.keras)
            function = f"Padded{native.keras}"
        else:
            self.file.plain.add(item.unit)
        positional = [options.pop(key) for key in POSITIONAL if key in options]
        return call(function, *(one for one in positional if one is not None), **options, name=name)

    # ------------------------------------------------------------ loops

    def loop(self, item: MakeLoop, scope: Scope) -> None:
        index = round_index(item)
        named = None if index is None else f"{{{self.file.variable(index)}}}"
        lists = {name: self.list_text(name, scope) for name in item.lists}
        inner = Scope(lists, (*scope.indices, named))
        header = self.header(item, index)
        only = item.body[0] if len(item.body) == 1 else None
        if isinstance(only, MakeLayer) and named is not None:
            made = self.made(only, self.name(only, inner))
            self.assign(only.name, f"[{made} {header}]", scope)
            return
        for name in item.lists:
            self.writer.statement(f"{lists[name]} = []")
        with self.writer.block(header):
            self.write(item.body, inner)
        for name in item.lists:
            if name in scope.lists:
                self.writer.statement(f"{scope.lists[name]}.append({lists[name]})")

    def list_text(self, name: str, scope: Scope) -> str:
        """An inner list is a variable until it is full: Keras tracks what is appended to an attribute."""
        if name in scope.lists:
            return self.file.variable(name) + "_" * (len(scope.indices) - 1)
        return f"self.{self.file.attribute(name)}"

    def assign(self, name: str, value: str, scope: Scope) -> None:
        if name in scope.lists:
            self.writer.statement(f"{scope.lists[name]}.append({value})")
        else:
            self.writer.statement(f"self.{self.file.attribute(name)} = {value}")

    def header(self, item: MakeLoop, index: str | None) -> str:
        kept = [name for name in item.targets if name not in item.unused or name == index]
        names = [self.file.variable(name) if name in kept else "_" for name in item.targets]
        targets: list[str] = []
        sources: list[Text] = []
        for column in item.columns:
            targets.append(self.file.variable(column.name))
            sources.append(tuple_of(map(self.text, column.values)))
        if kept or not sources:
            together = f"({', '.join(names)})" if len(names) > 1 and sources else ", ".join(names)
            targets.insert(0, together)
            sources.insert(0, self.text(item.iterable))
        if len(sources) == 1:
            return f"for {targets[0]} in {sources[0]}"
        return f"for {', '.join(targets)} in zip({', '.join(text(one).item for one in sources)})"


POSITIONAL = ("units", "filters", "input_dim", "output_dim", "kernel_size")
"""Options that read well without their names, in Keras' order."""


def round_index(item: MakeLoop) -> str | None:
    """The loop variable that counts rounds from 0, None where there is none."""
    match item.iterable:
        case Operation(op="range", args=(_,)) if len(item.targets) == 1:
            return item.targets[0]
        case Operation(op="range", args=(Const(value=0), _)) if len(item.targets) == 1:
            return item.targets[0]
        case Operation(op="enumerate", args=(_,)):
            return item.targets[0]
    return None
