"""Writes the constructor of a generated class: its weights, layers and lists of layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlc.emit.expressions import ExpressionPrinter, Text, call, literal, text, tuple_of
from dlc.emit.plan import (
    Construction,
    LayerCall,
    MakeAbsent,
    MakeConditional,
    MakeLayer,
    MakeLoop,
    MakeWeight,
    Unit,
    WeightRead,
)
from dlc.emit.printer import FileWriter
from dlc.ir import Const, Expr, Operation, Ref
from dlc_keras.distributions import own_initializer
from dlc_keras.file import File
from dlc_keras.natives import LAYERS, Making, is_padded
from dlc_keras.walking import all_codes


@dataclass(frozen=True)
class Level:
    """A loop around: the variable that counts its rounds, if any, and the lists that it fills."""

    index: str | None
    lists: Mapping[str, str]

    def place(self, name: str) -> str:
        """The number of the round in an f-string."""
        return f"{{{self.index or f'len({self.lists[name]})'}}}"


@dataclass(frozen=True)
class Scope:
    """Where layers go: in attributes, or at the end of the lists of the loops around."""

    levels: tuple[Level, ...] = ()

    @property
    def lists(self) -> Mapping[str, str]:
        return self.levels[-1].lists if self.levels else {}


class Constructor:
    """The constructor of one class."""

    def __init__(self, file: File, unit: Unit, writer: FileWriter) -> None:
        self.file, self.unit, self.writer = file, unit, writer
        self.printer = ExpressionPrinter(self.resolve, file.imports)

    # ------------------------------------------------------------ what natives ask for

    def resolve(self, ref: Ref) -> Text | str:
        if ref.scope == "config" and self.unit is self.file.plan.model:
            return f"config.{ref.name}"
        return self.file.variable(ref.name)

    def text(self, expr: Expr) -> Text:
        return self.printer(expr)

    def dtype(self, name: str) -> Text:
        raise AssertionError("a constructor makes no tensors")

    def named(self, code: Text) -> Text:
        raise AssertionError("a constructor computes no tensors")

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
            if item.native and item.unit == "Embedding" and read_before_applied(self.unit, item.name):
                self.writer.statement(f"self.{attribute}.build()", comment="its table is read first")

    def name(self, item: MakeLayer, scope: Scope) -> Text:
        """`f"h_{i}"`: dots would break Keras' torch backend."""
        places = [level.place(item.name) for level in scope.levels]
        return Text(f'f"{item.name}_{"_".join(places)}"')

    def made(self, item: MakeLayer, name: Text) -> Text:
        if not item.native:
            given = {self.file.variable(key): self.text(value) for key, value in item.arguments.items()}
            return call(item.unit, *given.values(), name=name)
        native = LAYERS[item.unit]
        self.file.layers.add(item.unit)
        options = native.make(Making(item.unit, item.arguments, item.inits, self))
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
        index = self.index(item, scope)
        lists = {name: self.list_text(name, scope) for name in item.lists}
        inner = Scope((*scope.levels, Level(index, lists)))
        only = item.body[0] if len(item.body) == 1 else None
        if isinstance(only, MakeLayer) and index is not None:
            made = str(self.made(only, self.name(only, inner)))
            self.assign(only.name, f"[{made} {self.header(item, index, made)}]", scope)
            return
        draft = FileWriter(draft=True)
        self.drafted(draft, item, inner)
        for name in item.lists:
            self.writer.statement(f"{lists[name]} = []")
        with self.writer.block(self.header(item, index, draft.text())):
            self.write(item.body, inner)
        for name in item.lists:
            if name in scope.lists:
                self.writer.statement(f"{scope.lists[name]}.append({lists[name]})")

    def drafted(self, draft: FileWriter, item: MakeLoop, inner: Scope) -> None:
        """Writes the body elsewhere, to see what it reads."""
        before, self.writer = self.writer, draft
        self.write(item.body, inner)
        self.writer = before

    def index(self, item: MakeLoop, scope: Scope) -> str | None:
        """The variable that counts rounds; one that the text calls `_` gets a name."""
        index = round_index(item)
        if index != "_":
            return None if index is None else self.file.variable(index)
        taken = {argument.name for argument in self.unit.arguments}
        taken |= {level.index for level in scope.levels if level.index is not None}
        return next(letter for letter in "ijklmn" if letter not in taken)

    def list_text(self, name: str, scope: Scope) -> str:
        """An inner list is a variable until it is full: Keras tracks what is appended to an attribute."""
        if name in scope.lists:
            return self.file.variable(name) + "_" * (len(scope.levels) - 1)
        return f"self.{self.file.attribute(name)}"

    def assign(self, name: str, value: str, scope: Scope) -> None:
        if name in scope.lists:
            self.writer.statement(f"{scope.lists[name]}.append({value})")
        else:
            self.writer.statement(f"self.{self.file.attribute(name)} = {value}")

    def header(self, item: MakeLoop, index: str | None, body: str) -> str:
        """`for` with the targets and columns that the body reads."""
        read = words_in(body)
        counted = round_index(item)
        names = [index or "_" if name == counted else self.file.variable(name) for name in item.targets]
        names = [name if name in read else "_" for name in names]
        targets: list[str] = []
        sources: list[Text] = []
        for column in item.columns:
            if (name := self.file.variable(column.name)) in read:
                targets.append(name)
                sources.append(self.text(column.whole))
        if set(names) != {"_"} or not sources:
            together = f"({', '.join(names)})" if len(names) > 1 and sources else ", ".join(names)
            targets.insert(0, together)
            sources.insert(0, self.text(item.iterable))
        if len(sources) == 1:
            return f"for {targets[0]} in {sources[0]}"
        return f"for {', '.join(targets)} in zip({', '.join(text(one).item for one in sources)})"


def read_before_applied(unit: Unit, layer: str) -> bool:
    """Whether a method reads a weight of a layer before it applies the layer: Keras makes weights late."""
    for method in unit.methods:
        for code in all_codes(method.body):
            if isinstance(code, WeightRead) and code.layer == (layer,):
                return True
            if isinstance(code, LayerCall) and code.layer == layer:
                break
    return False


def words_in(code: str) -> frozenset[str]:
    """The names in a piece of Python that are not attributes."""
    return frozenset(re.findall(r"(?<![\w.])[A-Za-z_]\w*", code))


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
