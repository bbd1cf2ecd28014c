"""Writes a whole model file: `plan.FilePlan` in, Python text and the origins of its lines out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dlc.backend import SourceLine
from dlc.emit.expressions import Text, literal
from dlc.emit.header import module_docstring, signature, write_config
from dlc.emit.naming import snake_case
from dlc.emit.plan import (
    Assertion,
    AssignStatic,
    Code,
    Conditional,
    Draw,
    FilePlan,
    FunctionCall,
    ListItem,
    Loop,
    MethodPlan,
    Number,
    Primitive,
    ScanLoop,
    Statement,
    Unit,
)
from dlc.emit.printer import FileWriter
from dlc.emit.size_tables import write_size_functions
from dlc.ir import Expr
from dlc_keras.body import write_body
from dlc_keras.construction import Constructor, Scope
from dlc_keras.file import File, output_class
from dlc_keras.helpers import HELPERS, PADDED_CONVOLUTION
from dlc_keras.loading import write_loading
from dlc_keras.names import method_name
from dlc_keras.walking import all_codes, references, statements_in


def write_module(plan: FilePlan) -> tuple[str, tuple[SourceLine, ...]]:
    """The text of the file. It is written twice: what it imports and defines is known only at its end."""
    file = File(plan)
    write_units(FileWriter(draft=True), file)
    body = FileWriter()
    write_helpers(body, file)
    write_units(body, file)
    write_loading(body, file)
    writer = FileWriter()
    writer.docstring(module_docstring(plan, "keras"))
    writer.blank()
    write_imports(writer, body.text(), bool(plan.config))
    write_config(writer, plan)
    write_helpers(writer, file)
    write_units(writer, file)
    write_loading(writer, file)
    return writer.text(), writer.sources


def write_imports(writer: FileWriter, body: str, config: bool) -> None:
    """Standard library, then the rest, each only where the body uses it."""

    def uses(name: str) -> bool:
        return re.search(rf"\b{name}\b", body) is not None

    typing = ", ".join(name for name in ("Any", "NamedTuple") if uses(name))
    standard = [
        ("import math", uses(r"math\.")),
        (f"from collections.abc import {'Callable, ' if uses('Callable') else ''}Iterator", True),
        ("from dataclasses import dataclass", config),
        (f"from typing import {typing}", bool(typing)),
    ]
    writer.raw("\n".join(line for line, used in standard if used))
    writer.blank()
    names = ", ".join(name for name in ("KerasTensor", "layers", "ops", "tree") if uses(name))
    external = [
        ("import keras", True),
        ("import numpy as np", uses(r"np\.")),
        (f"from keras import {names}", bool(names)),
        ("from safetensors.numpy import load_file", True),
    ]
    writer.raw("\n".join(line for line, used in external if used))


def write_helpers(writer: FileWriter, file: File) -> None:
    for name in sorted(file.helpers):
        writer.blank(2)
        writer.raw(HELPERS[name].replace(f"def {name}(", f"def {file.helper_name(name)}(").rstrip("\n"))
    for name in sorted(file.padded):
        writer.blank(2)
        writer.raw(PADDED_CONVOLUTION.replace("{name}", name).rstrip("\n"))


# ---------------------------------------------------------------- units


def write_units(writer: FileWriter, file: File) -> None:
    for unit in file.plan.units:
        write_size_functions(writer, unit, set())
        for method in unit.methods:
            write_record(writer, unit, method)
        if unit.kind == "fn":
            writer.blank(2)
            write_method(writer, file, unit, unit.methods[0])
        else:
            write_class(writer, file, unit)


def write_class(writer: FileWriter, file: File, unit: Unit) -> None:
    base = "keras.Model" if unit is file.plan.model else "layers.Layer"
    with writer.class_(unit.name, base):
        if unit.doc:
            writer.documentation(unit.doc)
            writer.blank()
        write_constructor(writer, file, unit)
        for method in unit.methods:
            writer.blank()
            write_method(writer, file, unit, method)


def write_record(writer: FileWriter, unit: Unit, method: MethodPlan) -> None:
    name = output_class(unit, method)
    if name is not None:
        with writer.class_(name, "NamedTuple"):
            for field, _, _ in method.outputs:
                writer.statement(f"{field}: KerasTensor")


def write_constructor(writer: FileWriter, file: File, unit: Unit) -> None:
    net = unit is file.plan.model
    parameters = ["self"]
    if net:
        parameters += ["config: Config = Config()"] if file.plan.config else []
    else:
        parameters += [f"{file.variable(each.name)}: {each.annotation}" for each in unit.arguments]
        parameters += ["*", "name: str | None = None"]
    kept = read_names(unit, net)
    label = literal(snake_case(unit.name)) if net else Text("name")
    with writer.definition("__init__", parameters, "None"):
        writer.statement(f"super().__init__(name={label})")
        if net and "config" in kept:
            writer.statement("self.config = config")
        for argument in unit.arguments:
            if not net and argument.name in kept:
                writer.statement(f"self.{file.attribute(argument.name)} = {file.variable(argument.name)}")
        if draws_itself(unit):
            writer.statement("self.seed_generator = keras.random.SeedGenerator()")
        Constructor(file, unit, writer).write(unit.construction, Scope())


def write_method(writer: FileWriter, file: File, unit: Unit, method: MethodPlan) -> None:
    """A function, or a method; `forward` is Keras' `call`."""
    function = unit.kind == "fn"
    parameters = [] if function else ["self"]
    for given in method.inputs:
        kind = "KerasTensor | None = None" if given.optional else "KerasTensor"
        parameters.append(f"{file.variable(given.name)}: {kind}")
    if function:
        parameters += [f"{file.variable(each.name)}: {each.annotation}" for each in method.statics]
        parameters = required_first(parameters)
    if method.training:
        parameters.append("training: bool" if function else "training: bool = False")
    if function and method.random:
        parameters.append("seed: keras.random.SeedGenerator")
    if function:
        parameters = required_first(parameters)
    name = unit.name if function else method_name(method.name)
    with writer.definition(name, parameters, returned(unit, method)):
        if function and unit.doc:
            writer.documentation(unit.doc)
        if unit is file.plan.model:
            writer.docstring(method_doc(method))
        write_body(file, unit, method, writer)


def required_first(parameters: list[str]) -> list[str]:
    """Parameters behind one that has a default are passed by name."""
    optional = [one for one in parameters if one.endswith("= None")]
    place = parameters.index(optional[0]) if optional else len(parameters)
    rest = parameters[place:]
    if "*" in rest or all(one in optional for one in rest):
        return parameters
    last = max(parameters.index(one) for one in optional) + 1
    return [*parameters[:last], "*", *parameters[last:]]


def method_doc(method: MethodPlan) -> str:
    text = signature(method)
    short = "\n" not in text and len(text) <= 74
    return text if short else "Run the network; the shapes are at the top of this file."


def returned(unit: Unit, method: MethodPlan) -> str:
    name = output_class(unit, method)
    if name is not None:
        return name
    kind = "np.ndarray" if method.constant else "KerasTensor"
    return kind if len(method.outputs) == 1 else f"tuple[{', '.join([kind] * len(method.outputs))}]"


# ---------------------------------------------------------------- what a class needs


def draws_itself(unit: Unit) -> bool:
    """Whether the methods of a class draw, or call functions that do."""
    return any(
        isinstance(code, Draw) or (isinstance(code, FunctionCall) and code.random)
        for method in unit.methods
        for code in all_codes(method.body)
    )


def read_names(unit: Unit, net: bool) -> set[str]:
    """The constructor arguments that the methods read; "config" where they read the `Config`."""
    found = set()
    for method in unit.methods:
        for expr in expressions(method.body):
            for ref in references(expr):
                if ref.scope in ("self", "config"):
                    found.add("config" if net and ref.scope == "config" else ref.name)
    return found


def expressions(body: Iterable[Statement]) -> Iterator[Expr]:
    """Every compile-time expression of a body that its text shows."""
    for statement in statements_in(body):
        match statement:
            case AssignStatic(value=expr) | Conditional(condition=expr) | Assertion(condition=expr):
                yield expr
            case ScanLoop(length=expr):
                yield expr
            case Loop(iterable=expr, columns=columns):
                if not (statement.layers and statement.unused >= set(statement.targets)):
                    yield expr
                yield from (column.whole for column in columns)
    for code in all_codes(body):
        yield from code_expressions(code)


def code_expressions(code: Code) -> Iterator[Expr]:
    match code:
        case Number(expr=expr) | ListItem(position=expr):
            yield expr
        case Primitive(attrs=attrs):
            yield from attrs.values()
        case FunctionCall(statics=statics):
            yield from statics.values()
        case Draw(distribution=distribution, type=kind):
            yield from distribution.args.values()
            yield from kind.shape if kind is not None else ()
    condition = getattr(code, "condition", None)
    if condition is not None:
        yield condition
