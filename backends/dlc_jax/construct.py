"""Writes the NamedTuples that hold parameters and states, and the functions that make them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dlc.emit.document import WIDTH
from dlc.emit.expressions import ExpressionPrinter
from dlc.emit.naming import snake_case
from dlc.emit.plan import (
    Argument,
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
from dlc_jax.distributions import initial_text
from dlc_jax.file import RESERVED, File


@dataclass
class Construct:
    """One unit's parameters (`state` False) or states."""

    file: File
    unit: Unit
    state: bool

    def __post_init__(self) -> None:
        self.printer = ExpressionPrinter(self.resolve, self.file.imports)
        self.suffix = "State" if self.state else ""
        self.is_model = self.unit is self.file.plan.model

    @property
    def class_name(self) -> str:
        return self.unit.name + self.suffix

    @property
    def function(self) -> str:
        return init_name(self.unit, self.state)

    def text(self, expr: Expr) -> str:
        return str(self.printer(expr))

    def resolve(self, ref: Ref) -> str:
        return f"config.{ref.name}" if ref.scope == "config" else argument_name(ref.name)

    # ------------------------------------------------------------ fields

    def fields(self) -> dict[str, str]:
        """Annotations by name, in order."""
        found: dict[str, str] = {}
        self.add_fields(self.unit.construction, found, optional=False, depth=0)
        return found

    def add_fields(
        self, items: Iterable[Construction], found: dict[str, str], optional: bool, depth: int
    ) -> None:
        for item in items:
            match item:
                case MakeWeight(name=name) if self.makes(item):
                    self.add_field(found, name, "Array", optional, depth)
                case MakeLayer(name=name, unit=unit) if self.makes(item):
                    self.add_field(found, name, unit + self.suffix, optional, depth)
                case MakeAbsent(name=name) if name in self.listed():
                    self.add_field(found, name, "None", False, depth)
                case MakeLoop(body=body):
                    self.add_fields(body, found, optional, depth + 1)
                case MakeConditional(body=body, orelse=orelse):
                    both = names_in(body) & names_in(orelse)
                    self.add_fields(body, found, depth == 0 and not names_in(body) <= both, depth)
                    self.add_fields(orelse, found, depth == 0 and not names_in(orelse) <= both, depth)

    def add_field(self, found: dict[str, str], name: str, kind: str, optional: bool, depth: int) -> None:
        kinds = found[name].split(" | ") if name in found and not depth else []
        if depth:
            inner = found.get(name, "").removeprefix("tuple[" * depth).removesuffix(", ..." + "]" * 0)
            inner = inner.split(", ...")[0]
            kinds = inner.split(" | ") if inner else []
        kinds = [*kinds, *([kind] if kind not in kinds else [])]
        if optional and "None" not in kinds:
            kinds.append("None")
        kinds.sort(key=lambda each: each == "None")
        found[name] = "tuple[" * depth + " | ".join(kinds) + ", ...]" * depth

    def listed(self) -> set[str]:
        """Lists of layers that make what is written here."""
        return {
            name
            for item in self.unit.construction
            if isinstance(item, MakeLoop | MakeConditional)
            for name in made_in((item,), self)
        }

    def makes(self, item: Construction) -> bool:
        return self.file.makes(item, self.state)

    # ------------------------------------------------------------ the function

    def write_class(self, writer: FileWriter) -> None:
        with writer.class_(self.class_name, "NamedTuple"):
            if self.unit.doc and not self.state:
                writer.docstring(paragraph(self.unit.doc))
                writer.blank()
            shapes = {
                item.name: item.shape
                for item in self.unit.construction
                if isinstance(item, MakeWeight) and self.makes(item)
            }
            for name, annotation in self.fields().items():
                comment = f"[{', '.join(map(self.text, shapes[name]))}]" if name in shapes else ""
                writer.statement(f"{name}: {annotation}", comment=comment.replace("config.", ""))

    def needs_key(self) -> bool:
        return not self.state and any(map(self.file.needs_key, self.unit.construction))

    def arguments(self) -> tuple[Argument, ...]:
        return self.file.init_arguments(self.unit, self.state)

    def write_function(self, writer: FileWriter) -> None:
        parameters = ["key: Array"] if self.needs_key() else []
        if self.is_model:
            parameters += ["config: Config"] if self.file.plan.config else []
        else:
            parameters += [f"{argument_name(a.name)}: {a.annotation}" for a in self.arguments()]
        writer.blank(2)
        with writer.definition(self.function, parameters, self.class_name):
            self.write_body(writer)

    def write_body(self, writer: FileWriter, docstring: str = "") -> None:
        if docstring:
            writer.docstring(docstring)
        names = list(self.fields())
        sources = {name: self.items_of(name) for name in names}
        drawing = [name for name in names if any(map(self.draws, sources[name]))]
        keys = {name: f"keys[{position}]" for position, name in enumerate(drawing)}
        if len(drawing) == 1:
            keys[drawing[0]] = "key"
        elif drawing:
            writer.statement(f"keys = jax.random.split(key, {len(drawing)})")
        values = [f"{name}={self.value(sources[name], name, keys.get(name, ''))}" for name in names]
        writer.statement(f"return {self.class_name}({', '.join(values)})")

    def draws(self, item: Construction) -> bool:
        return not self.state and self.file.needs_key(item)

    # ------------------------------------------------------------ values

    def items_of(self, name: str) -> tuple[Construction, ...]:
        """The constructions that make a field."""
        return tuple(item for item in self.unit.construction if name in made_in((item,), self))

    def value(self, items: Sequence[Construction], name: str, key: str) -> str:
        """The expression that makes `name`; None where nothing does."""
        for item in items:
            if name not in made_in((item,), self):
                continue
            match item:
                case MakeWeight():
                    return self.weight(item, key)
                case MakeLayer():
                    return self.layer(item, key)
                case MakeConditional(condition=condition, body=body, orelse=orelse):
                    then, other = self.value(body, name, key), self.value(orelse, name, key)
                    return f"({then}) if ({self.text(condition)}) else ({other})"
                case MakeLoop():
                    return self.rounds(item, name, key)
        return "None"

    def weight(self, item: MakeWeight, key: str) -> str:
        if item.init.name == "fan_in_uniform":
            self.file.helpers.add("fan_in_uniform")
            self.file.imports.add("math")
        arguments = {name: self.text(expr) for name, expr in item.init.args.items()}
        return initial_text(item.init.name, arguments, key, [self.text(size) for size in item.shape])

    def layer(self, item: MakeLayer, key: str) -> str:
        unit = self.file.units[item.unit]
        inner = Construct(self.file, unit, self.state)
        given = [key] if inner.needs_key() else []
        for argument in inner.arguments():
            given.append(f"{argument_name(argument.name)}={self.text(item.arguments[argument.name])}")
        return f"{inner.function}({', '.join(given)})"

    def rounds(self, item: MakeLoop, name: str, key: str) -> str:
        """`tuple(init_layer(key, ...) for key in jax.random.split(key, layers))`."""
        drawing = any(self.draws(inner) for inner in item.body if name in made_in((inner,), self))
        element = self.value(item.body, name, "key")
        used = self.names_read(item.body, name)
        targets: list[str] = []
        sources: list[str] = []
        if drawing:
            targets.append("key")
            sources.append(f"jax.random.split({key}, {self.count(item.iterable)})")
        bound = [target for target in item.targets if target in used]
        columns = [column for column in item.columns if column.name in used]
        if bound or not (drawing or columns):
            names = [argument_name(t) if t in used else "_" for t in item.targets]
            targets.append(names[0] if len(names) == 1 else f"({', '.join(names)})")
            sources.append(self.text(item.iterable))
        for column in columns:
            targets.append(argument_name(column.name))
            sources.append(self.text(column.whole))
        if len(sources) == 1:
            return f"tuple({element} for {targets[0]} in {sources[0]})"
        return f"tuple({element} for {', '.join(targets)} in zip({', '.join(sources)}))"

    def names_read(self, items: Iterable[Construction], name: str) -> set[str]:
        """The names that making one list reads."""
        wanted = tuple(item for item in items if name in made_in((item,), self))
        return self.file.init_names(wanted, self.state)

    def count(self, iterable: Expr) -> str:
        """How many rounds a loop has."""
        match iterable:
            case Operation(op="range", args=(stop,)):
                return self.text(stop)
            case Operation(op="range", args=(start, stop)):
                return f"({self.text(stop)}) - ({self.text(start)})"
            case Operation(op="enumerate" | "reversed" | "zip", args=(inner, *_)):
                return self.count(inner)
            case Const(value=tuple() as values):
                return str(len(values))
        return f"len({self.text(iterable)})"


def paragraph(doc: str, indent: int = 4) -> str:
    """A doc comment as the text of a docstring: its first sentence if that fits, else all of it."""
    text = " ".join(doc.split())
    first = text.split(". ")[0].rstrip(".") + "."
    if len(first) <= WIDTH - indent - 6:
        return first
    filled = textwrap.fill(text, WIDTH - indent - 3, initial_indent="   ", break_long_words=False)
    return filled.strip()


def argument_name(name: str) -> str:
    return name + "_" if name in RESERVED else name


def init_name(unit: Unit, state: bool) -> str:
    return f"init_{snake_case(unit.name)}" + ("_state" if state else "")


def names_in(items: Iterable[Construction]) -> set[str]:
    """Every name that constructions make, absent ones too."""
    found: set[str] = set()
    for item in items:
        match item:
            case MakeWeight(name=name) | MakeLayer(name=name) | MakeAbsent(name=name):
                found.add(name)
            case MakeLoop(body=body):
                found |= names_in(body)
            case MakeConditional(body=body, orelse=orelse):
                found |= names_in((*body, *orelse))
    return found


def made_in(items: Iterable[Construction], construct: Construct) -> set[str]:
    """The names that constructions really make, of the kind that is written."""
    found: set[str] = set()
    for item in items:
        match item:
            case MakeWeight(name=name) | MakeLayer(name=name) if construct.makes(item):
                found.add(name)
            case MakeLoop(body=body):
                found |= made_in(body, construct)
            case MakeConditional(body=body, orelse=orelse):
                found |= made_in((*body, *orelse), construct)
    return found
