"""A whole PyTorch model file.

In: a `plan.FilePlan`. Out: its text, and which line computes which syntax node.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence

from dlc.backend import SourceLine
from dlc.emit import plan
from dlc.emit.expressions import Text, literal
from dlc.emit.header import module_docstring, signature, write_config
from dlc.emit.printer import FileWriter
from dlc.emit.size_tables import write_size_functions
from dlc_torch.blocks import BLOCKS
from dlc_torch.body import BodyPrinter, is_constant, record_name, write_body
from dlc_torch.code import CodePrinter
from dlc_torch.construction import ConstructionPrinter
from dlc_torch.helpers import HELPERS
from dlc_torch.locals import reads_local
from dlc_torch.names import RESERVED_ATTRIBUTES, method_name
from dlc_torch.scope import FileState, Scope, attribute, attributes, subcodes
from dlc_torch.starts import write_starts

LOAD = '''\
def load_weights(model: nn.Module, path: str) -> None:
    """Load a safetensors file whose names are those of the specification."""
    model.load_state_dict(load_file(path))
'''

LOAD_RENAMED = '''\
def load_weights(model: nn.Module, path: str) -> None:
    """Load a safetensors file whose names are those of the specification."""
    weights = load_file(path)
    for prefix, module in model.named_modules():
        for name, own in getattr(module, "names", ()):
            old, new = (f"{prefix}.{end}".removeprefix(".") for end in (name, own))
            for key in [key for key in weights if f"{key}.".startswith(f"{old}.")]:
                weights[new + key.removeprefix(old)] = weights.pop(key)
    model.load_state_dict(model.state_dict() | weights)
'''


class ModulePrinter:
    """Writes one file, several times: what it defines and imports first is known only at its end."""

    def __init__(self, file_plan: plan.FilePlan) -> None:
        self.plan = file_plan
        self.state = FileState(file_plan)

    def write(self) -> tuple[str, tuple[SourceLine, ...]]:
        self.body(FileWriter(draft=True))  # collects the classes and functions that the file defines
        body = FileWriter()
        self.body(body)
        writer = FileWriter()
        writer.docstring(module_docstring(self.plan, "torch"))
        writer.blank()
        self.imports(writer, body.text())
        self.body(writer)
        return writer.text(), writer.sources

    def imports(self, writer: FileWriter, body: str) -> None:
        """Standard library, then the rest, each only where the body uses it."""

        def uses(pattern: str) -> bool:
            return re.search(pattern, body) is not None

        standard = [
            ("import math", r"\bmath\."),
            ("from dataclasses import dataclass", r"@dataclass"),
            ("from typing import NamedTuple", r"\(NamedTuple\)"),
        ]
        lines = [line for line, pattern in standard if uses(pattern)]
        if lines:
            writer.raw("\n".join(lines))
            writer.blank()
        names = ", ".join(
            name for name, pattern in (("Tensor", r"\bTensor\b"), ("nn", r"\bnn\.")) if uses(pattern)
        )
        external = [
            ("import torch", uses(r"\btorch\.")),
            ("import torch.nn.functional as F", uses(r"\bF\.")),
            ("from safetensors.torch import load_file", uses(r"\bload_file\(")),
            (f"from torch import {names}", bool(names)),
        ]
        writer.raw("\n".join(line for line, used in external if used))

    def body(self, writer: FileWriter) -> None:
        write_config(writer, self.plan)
        for name in sorted(self.state.helpers):
            writer.blank(2)
            writer.raw(HELPERS[name].rstrip())
        for name in sorted(self.state.native_blocks):
            text = BLOCKS[name].text
            if text is not None:
                writer.blank(2)
                writer.raw(text(self.state.options(name)).rstrip())
        for unit in self.plan.units:
            self.unit(writer, unit)
        writer.blank(2)
        renamed = any(BLOCKS[name].names for name in self.state.native_blocks) or any(
            renamed_attributes(unit) for unit in self.plan.units
        )
        writer.raw((LOAD_RENAMED if renamed else LOAD).rstrip())

    # -------------------------------------------------- units

    def unit(self, writer: FileWriter, unit: plan.Unit) -> None:
        write_size_functions(writer, unit, set())
        for method in unit.methods:
            self.record(writer, unit, method)
        if unit.kind == "fn":
            writer.blank(2)
            self.function(writer, unit, unit.methods[0])
            return
        with writer.class_(unit.name, "nn.Module"):
            if unit.doc:
                writer.documentation(unit.doc)
                writer.blank()
            self.names(writer, unit)
            buffers = self.buffers(unit)
            self.constructor(writer, unit, buffers)
            for method in unit.methods:
                writer.blank()
                self.method(writer, unit, method, frozenset(buffers))

    def names(self, writer: FileWriter, unit: plan.Unit) -> None:
        """Layers and weights whose names in the specification every module has already."""
        pairs = renamed_attributes(unit)
        if pairs:
            writer.statement(f"names = {literal(pairs)}")
            writer.blank()

    def record(self, writer: FileWriter, unit: plan.Unit, method: plan.MethodPlan) -> None:
        name = record_name(unit, method)
        if name is not None:
            with writer.class_(name, "NamedTuple"):
                for field, _, _ in method.outputs:
                    writer.statement(f"{field}: Tensor")

    def buffers(self, unit: plan.Unit) -> dict[str, plan.Assign]:
        """Constants of the methods that depend only on constructor arguments."""
        found: dict[str, plan.Assign] = {}
        for method in unit.methods:
            for statement in method.body:
                match statement:
                    case plan.Assign(targets=(name,), value=value) if is_constant(value):
                        if not reads_local(value, frozenset(found)):
                            found[name] = statement
        return found

    def constructor(self, writer: FileWriter, unit: plan.Unit, buffers: dict[str, plan.Assign]) -> None:
        scope = Scope(self.state, unit, None)
        reads = self.reads(unit, frozenset(buffers))
        parameters = ["self"]
        if unit.kind == "net" and self.plan.config:
            parameters.append("config: Config = Config()")
        elif unit.kind == "block":
            parameters += [f"{a.name}: {a.annotation}" for a in unit.arguments]
        with writer.definition("__init__", parameters, "None"):
            writer.statement("super().__init__()")
            if "config" in reads and unit.kind == "net":
                writer.statement("self.config = config")
            for argument in unit.arguments:
                if argument.name in reads and unit.kind == "block":
                    writer.statement(f"self.{attribute(unit, argument.name)} = {argument.name}")
            ConstructionPrinter(scope, writer).items(unit.construction)
            self.keep(writer, scope, buffers)
            write_starts(unit.construction, scope, writer)

    def keep(self, writer: FileWriter, scope: Scope, buffers: dict[str, plan.Assign]) -> None:
        """Constants become buffers that are not saved, in the model's dtype.

        One that others are made from is first a variable, for those start from its float64 values.
        """
        printer = CodePrinter(scope)
        for name, statement in buffers.items():
            assert statement.value.type is not None
            value = printer(statement.value)
            if any(name in variables(other.value) for other in buffers.values()):
                writer.statement(f"{name} = {value}")
                value = Text(name)
            printer.constants[name] = Text(name)
            if statement.value.type.dtype == "float":
                value = Text(f"{value.atom}.to(torch.get_default_dtype())")
            writer.statement(f'self.register_buffer("{name}", {value}, persistent=False)')

    def reads(self, unit: plan.Unit, buffers: frozenset[str]) -> set[str]:
        """The constructor arguments that methods read."""
        names: set[str] = set()
        for method in unit.methods:
            scope = Scope(self.state, unit, method)
            BodyPrinter(scope, FileWriter(draft=True), buffers).statements(method.body)
            names |= scope.reads
        return names

    # -------------------------------------------------- methods and functions

    def method(
        self, writer: FileWriter, unit: plan.Unit, method: plan.MethodPlan, buffers: frozenset[str]
    ) -> None:
        parameters = ["self", *tensors(self.state.inputs(unit, method))]
        with writer.definition(method_name(method.name), parameters, returns(unit, method)):
            if unit is self.plan.model:
                writer.documentation(method_doc(method))
            scope = Scope(self.state, unit, method)
            write_body(scope, writer, buffers)

    def function(self, writer: FileWriter, unit: plan.Unit, method: plan.MethodPlan) -> None:
        given = tensors([a for a in method.inputs if not a.optional])
        optional = tensors([a for a in self.state.inputs(unit, method) if a.optional])
        statics = [f"{a.name}: {a.annotation}" for a in unit.arguments]
        if method.training:
            statics.append("training: bool")
        if self.state.needs_dtype(unit):
            statics.append("dtype: torch.dtype")
        if self.state.needs_device(unit):
            statics.append("device: torch.device")
        with writer.definition(unit.name, [*given, *statics, *optional], returns(unit, method)):
            if unit.doc:
                writer.documentation(unit.doc)
            scope = Scope(self.state, unit, method)
            write_body(scope, writer, frozenset())


def tensors(arguments: Sequence[plan.TensorArgument]) -> list[str]:
    """Parameters for tensors; optional ones are None by default."""
    return [
        f"{argument.name}: Tensor | None = None" if argument.optional else f"{argument.name}: Tensor"
        for argument in arguments
    ]


def returns(unit: plan.Unit, method: plan.MethodPlan) -> str:
    """The annotation of what a method returns."""
    record = record_name(unit, method)
    if record is not None:
        return record
    count = len(method.outputs)
    return "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"


def method_doc(method: plan.MethodPlan) -> str:
    """What a public method takes and returns."""
    text = signature(method).removeprefix(f"{method.name}: ")
    return f"Map {' '.join(text.split()).replace(' -> ', ' to ')}."


def renamed_attributes(unit: plan.Unit) -> tuple[tuple[str, str], ...]:
    """(name in the specification, attribute) where they differ."""
    return tuple(
        (name[:-1], name)
        for name in sorted(attributes(unit.construction))
        if name.endswith("_") and (name[:-1] in RESERVED_ATTRIBUTES or keyword.iskeyword(name[:-1]))
    )


def variables(code: plan.Code) -> set[str]:
    """The variables that an expression reads."""
    return {inner.name for inner in subcodes(code) if isinstance(inner, plan.Variable)}
