"""Writes a generated file: a `FilePlan` in, the text of a JAX module out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dlc.backend import SourceLine
from dlc.emit.header import module_docstring, write_config
from dlc.emit.plan import FilePlan, MethodPlan, ReadSizes, TensorArgument, Unit
from dlc.emit.printer import FileWriter
from dlc.emit.size_tables import write_size_functions
from dlc_jax.body import Body
from dlc_jax.construct import Construct, init_name, paragraph
from dlc_jax.file import File, output_class
from dlc_jax.helpers import HELPERS
from dlc_jax.walking import statements_in


class Module:
    """One file. Units are written first: what they use decides what stands above them."""

    def __init__(self, plan: FilePlan) -> None:
        self.plan = plan
        self.file = File(plan)
        self.model = plan.model

    def write(self) -> tuple[str, tuple[SourceLine, ...]]:
        """The text, and where its lines come from."""
        self.write_rest(FileWriter(draft=True))
        writer = FileWriter()
        writer.docstring(module_docstring(self.plan, "jax"))
        self.write_imports(writer)
        write_config(writer, self.plan)
        self.write_rest(writer)
        return writer.text(), writer.sources

    def write_rest(self, writer: FileWriter) -> None:
        for name, text in HELPERS.items():
            if name in self.file.helpers:
                writer.blank(2)
                writer.raw(text.rstrip("\n"))
        for unit in self.plan.units[:-1]:
            self.write_unit(writer, unit)
        self.write_unit(writer, self.model)
        self.write_init(writer)
        for method in self.model.methods:
            self.write_method(writer, self.model, method)
        self.write_loader(writer)

    def write_imports(self, writer: FileWriter) -> None:
        imports = self.file.imports
        writer.blank()
        standard = ["import math"] if "math" in imports else []
        standard += ["from dataclasses import dataclass"] if self.plan.config else []
        standard += ["from typing import NamedTuple"]
        writer.raw("\n".join(standard))
        writer.blank()
        writer.raw("import jax\nimport jax.numpy as jnp")
        if "np" in imports:
            writer.raw("import numpy as np")
        writer.raw("from jax import Array\nfrom jax.tree_util import keystr, tree_map_with_path")
        writer.raw("from safetensors.numpy import load_file")

    # ------------------------------------------------------------ units

    def write_unit(self, writer: FileWriter, unit: Unit) -> None:
        write_size_functions(writer, unit, self.file.imports)
        for method in unit.methods:
            self.write_output_class(writer, unit, method)
        if unit.kind == "fn":
            for method in unit.methods:
                self.write_method(writer, unit, method)
            return
        Construct(self.file, unit, False).write_class(writer)
        if unit.stateful:
            Construct(self.file, unit, True).write_class(writer)
        if unit is self.model:
            return
        Construct(self.file, unit, False).write_function(writer)
        if unit.stateful:
            Construct(self.file, unit, True).write_function(writer)
        for method in unit.methods:
            self.write_method(writer, unit, method)

    def write_output_class(self, writer: FileWriter, unit: Unit, method: MethodPlan) -> None:
        name = output_class(unit, method)
        if name is None:
            return
        with writer.class_(name, "NamedTuple"):
            for field, _, shape in method.outputs:
                writer.statement(f"{field}: Array", comment=f"[{', '.join(shape)}]")

    def write_method(self, writer: FileWriter, unit: Unit, method: MethodPlan) -> None:
        scratch = FileWriter(draft=True)
        Body(self.file, unit, method, scratch).write(method.body)
        body = Body(self.file, unit, method, writer, unread_sizes(method, scratch.text()))
        name = self.file.functions[unit.name, method.name]
        writer.blank(2)
        parameters = list(self.parameters(unit, method, body))
        with writer.definition(name, parameters, self.returns(unit, method)):
            if unit is self.model:
                writer.documentation(summary(method))
            elif unit.doc and unit.kind == "fn":
                writer.docstring(paragraph(unit.doc))
            if unit is self.model and method.random and self.optional_key(unit, method):
                writer.raw("if key is None:")
                writer.raw('    assert not training, "training draws random numbers: pass a key"')
                writer.raw("    key = jax.random.key(0)  # nothing is drawn")
            body.write(method.body)

    def parameters(self, unit: Unit, method: MethodPlan, body: Body) -> Iterator[str]:
        is_model = unit is self.model
        if unit.kind != "fn":
            yield f"params: {unit.name}"
        if method.stateful:
            yield f"state: {unit.name}State"
        for each in method.inputs:
            yield f"{body.name(each.name)}: {annotation(each, method)}"
        named = list(self.named_parameters(unit, method, body, is_model))
        if named:
            if unit.kind == "fn" and not method.inputs:
                yield from named
                return
            yield "*"
            yield from named

    def named_parameters(self, unit: Unit, method: MethodPlan, body: Body, is_model: bool) -> Iterator[str]:
        if is_model:
            if self.plan.config:
                yield "config: Config = Config()"
        else:
            for each in method.statics:
                yield f"{body.name(each.name)}: {each.annotation}"
        if (unit.name, method.name) in self.file.dtype_needed:
            yield "dtype: jnp.dtype"
        if method.training:
            yield "training: bool = False" if is_model else "training: bool"
        if method.random:
            optional = is_model and self.optional_key(unit, method)
            yield "key: Array | None = None" if optional else "key: Array"

    def optional_key(self, unit: Unit, method: MethodPlan) -> bool:
        return method.training and unit.name not in self.file.evaluation_draws

    def returns(self, unit: Unit, method: MethodPlan) -> str:
        kind = "np.ndarray" if method.constant else "Array"
        result = output_class(unit, method)
        if result is None:
            count = len(method.outputs)
            result = kind if count == 1 else f"tuple[{', '.join([kind] * count)}]"
        return f"tuple[{result}, {unit.name}State]" if method.stateful else result

    # ------------------------------------------------------------ the public functions

    @property
    def config(self) -> str:
        return "config: Config = Config()" if self.plan.config else ""

    def write_init(self, writer: FileWriter) -> None:
        params, state = (Construct(self.file, self.model, kind) for kind in (False, True))
        if not self.model.stateful:
            writer.blank(2)
            with writer.definition("init", ["key: Array", *filter(None, [self.config])], self.model.name):
                params.write_body(writer, "Return fresh parameters.")
            return
        params.write_function(writer)
        state.write_function(writer)
        writer.blank(2)
        returns = f"tuple[{self.model.name}, {self.model.name}State]"
        given = ["config"] if self.plan.config else []
        with writer.definition("init", ["key: Array", *filter(None, [self.config])], returns):
            writer.docstring("Return fresh parameters and states.")
            keyed = ["key", *given] if params.needs_key() else given
            made = f"{init_name(self.model, False)}({', '.join(keyed)})"
            writer.statement(f"return {made}, {init_name(self.model, True)}({', '.join(given)})")

    def write_loader(self, writer: FileWriter) -> None:
        name, given = (
            self.model.name,
            ["jax.random.key(0)", *(["config"] if self.plan.config else [])],
        )
        returns = f"tuple[{name}, {name}State]" if self.model.stateful else name
        writer.blank(2)
        parameters = ["path: str", *filter(None, [self.config])]
        with writer.definition("load_weights", parameters, returns):
            writer.docstring("Read a safetensors file whose names are the specification's paths.")
            writer.statement("tensors = load_file(path)")
            writer.blank()
            with writer.definition("read", ["name: tuple", "_: jax.ShapeDtypeStruct"], "Array"):
                writer.statement('return jnp.asarray(tensors[keystr(name, simple=True, separator=".")])')
            writer.blank()
            left = "params, state" if self.model.stateful else "params"
            writer.statement(f"{left} = jax.eval_shape(lambda: init({', '.join(given)}))")
            results = [f"tree_map_with_path(read, {tree})" for tree in left.split(", ")]
            writer.statement(f"return {', '.join(results)}")


def unread_sizes(method: MethodPlan, text: str) -> frozenset[str]:
    """Sizes that occur in the text of a function only where they are read from a shape."""
    sizes = [
        name
        for statement in statements_in(method.body)
        if isinstance(statement, ReadSizes)
        for name in statement.names
        if name is not None
    ]
    return frozenset(name for name in sizes if len(re.findall(rf"\b{name}\b", text)) <= sizes.count(name))


def annotation(argument: TensorArgument, method: MethodPlan) -> str:
    kind = "np.ndarray" if method.constant else "Array"
    return f"{kind} | None = None" if argument.optional else kind


def summary(method: MethodPlan) -> str:
    """What a public function returns, with shapes."""
    outputs = ", ".join(f"{name or 'the result'} [{', '.join(shape)}]" for name, _, shape in method.outputs)
    inputs = ", ".join(f"{each.name} [{', '.join(each.shape)}]" for each in method.inputs)
    line = f"Return {outputs} of {inputs}." if inputs else f"Return {outputs}."
    return line if len(line) <= 78 else f"Return {outputs}."
