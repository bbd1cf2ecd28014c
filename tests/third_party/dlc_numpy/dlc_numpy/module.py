"""Writes a generated file: a `FilePlan` in, the text of a NumPy module out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from dlc.backend import SourceLine
from dlc.emit import plan as p
from dlc.emit.expressions import ExpressionPrinter
from dlc.emit.header import module_docstring, write_config
from dlc.emit.naming import snake_case
from dlc.emit.printer import FileWriter
from dlc.ir import Location, Ref
from dlc.modules import STD
from dlc_grammar.diagnostics import Diagnostic, DiagnosticError
from dlc_grammar.files import load_source
from dlc_grammar.source import Source, Span
from dlc_numpy.primitives import DRAWS, NATIVES, PRIMITIVES

RESERVED = frozenset(("Config", "apply", "config", "load_weights", "math", "np", "params", "rng", "training"))
IMPORTS = """
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from safetensors.numpy import load_file"""
LOADER = '''\
def load_weights(path):
    """Read a safetensors file as a tree: `params.layers[0].weight`."""
    tree = {}
    for name, tensor in load_file(path).items():
        node = tree
        for part in name.split("."):
            node = node.setdefault(part, {})
        node[""] = tensor
    return branch(tree)


def branch(node):
    if "" in node:
        return node[""]
    if all(name.isdigit() for name in node):
        return [branch(node[name]) for name in sorted(node, key=int)]
    return SimpleNamespace(**{name: branch(node[name]) for name in node})'''


def refused(what: str, at: Location) -> DiagnosticError:
    """The error for what this backend does not write, with its line of the `.dl` file."""
    path = STD.parent / at.file if at.file.startswith("std/") else Path(at.file)
    source = load_source(path, at.file)
    span = Span(source, at.start, at.stop) if isinstance(source, Source) else None
    return DiagnosticError([Diagnostic("E0702", f"the target `numpy` cannot express {what}", span)])


class Module:
    """One file: a function for each function and each method of a block, then the loader."""

    def __init__(self, plan: p.FilePlan) -> None:
        self.plan = plan
        self.units = {unit.name: unit for unit in plan.units}
        self.text = ExpressionPrinter(self.resolve)
        self.writer = FileWriter()
        self.float_dtype = ""
        self.at = plan.model.at

    def write(self) -> tuple[str, tuple[SourceLine, ...]]:
        """The text, and where its lines come from."""
        self.write_functions()  # finds out what is imported
        self.writer = FileWriter()
        self.writer.docstring(module_docstring(self.plan, "numpy"))
        self.writer.raw("\nimport math" + IMPORTS if "math" in self.text.imports else IMPORTS)
        write_config(self.writer, self.plan)
        self.write_functions()
        self.writer.blank(2)
        self.writer.raw(LOADER)
        return self.writer.text(), self.writer.sources

    def write_functions(self) -> None:
        for unit in self.plan.units:
            self.at = unit.at
            self.check(unit.construction)
            for method in unit.methods:
                self.write_method(unit, method)

    def check(self, items: Iterable[p.Construction]) -> None:
        """The file of weights makes the tree: refuses what is not in it."""
        for item in items:
            match item:
                case p.MakeLoop(body=body):
                    self.check(body)
                case p.MakeWeight(state=True) | p.MakeConditional() | p.MakeAbsent():
                    raise refused("states and layers that are not always there", self.at)
                case p.MakeLayer(unit=unit, at=at) if not self.units[unit].construction:
                    raise refused("layers without weights", at)

    def function(self, unit: str, method: str) -> str:
        if unit == self.plan.model.name:
            return "apply" if method == "forward" else method
        name = unit if self.units[unit].kind == "fn" else f"apply_{snake_case(unit)}"
        return name if method in ("forward", unit) else f"{name}_{method}"

    def write_method(self, unit: p.Unit, method: p.MethodPlan) -> None:
        floats = [each.name for each in method.inputs if each.type.dtype == "float"]
        self.float_dtype = f"{floats[0]}.dtype" if floats else "np.float64"
        self.writer.blank(2)
        name = self.function(unit.name, method.name)
        with self.writer.definition(name, list(self.parameters(unit, method)), ""):
            if unit.doc:
                self.writer.documentation(unit.doc.split(". ")[0].rstrip(".") + ".")
            self.write_body(method.body)

    def parameters(self, unit: p.Unit, method: p.MethodPlan) -> Iterator[str]:
        is_model = unit is self.plan.model
        yield from ["params"] if unit.kind != "fn" else []
        yield from (item.name for item in method.inputs)
        if not is_model:
            yield from (argument.name for argument in method.statics)
        elif self.plan.config:
            yield "config=Config()"
        yield from ["training=False" if is_model else "training"] if method.training else []
        yield from ["rng=None" if is_model else "rng"] if method.random else []

    def write_body(self, statements: Iterable[p.Statement]) -> None:
        for statement in statements:
            self.at = statement.at
            match statement:
                case p.Conditional(condition=condition, body=body, orelse=()):
                    with self.writer.block(f"if {self.text(condition)}"):
                        self.write_body(body)
                case p.Loop(tensors=(), columns=()):
                    with self.writer.block(self.loop_header(statement)):
                        self.write_body(statement.body)
                case _:
                    line = self.simple(statement)
                    self.writer.statement(line, origin=statement.origin, at=statement.at)

    def simple(self, statement: p.Statement) -> str:
        match statement:
            case p.ReadSizes(names=names, tensor=tensor):
                return f"{', '.join(name or '_' for name in names)}, = {tensor}.shape"
            case p.Assign(targets=targets, value=value):
                return f"{', '.join(targets)} = {self.code(value)}"
            case p.Assertion(condition=condition, message=message):
                return f"assert {self.text(condition)}, {message!r}"
            case p.Return(values=values):
                return f"return {', '.join(map(self.code, values))}"
        raise refused(f"this ({type(statement).__name__})", statement.at)

    def loop_header(self, loop: p.Loop) -> str:
        """`for layer, width in zip(params.layers, config.widths)`."""
        pairs = [(a.element, a.source if a.local else f"params.{a.source}") for a in loop.layers]
        names = ["_" if name in loop.unused else name for name in loop.targets]
        if set(names) != {"_"} or not pairs:
            pairs.append((f"({', '.join(names)})", str(self.text(loop.iterable))))
        if len(pairs) == 1:
            return f"for {pairs[0][0].strip('()')} in {pairs[0][1]}"
        targets, sources = zip(*pairs, strict=True)
        return f"for {', '.join(targets)} in zip({', '.join(sources)})"

    def resolve(self, ref: Ref) -> str:
        forms = {"config": "config.{}", "given": "{} is not None", "training": "training"}
        return forms.get(ref.scope, "{}").format(ref.name)

    def code(self, code: p.Code) -> str:
        """A run-time expression."""
        match code:
            case p.Variable(name=name, field=field, position=position):
                return f"{name}[{position}]" if field else name
            case p.Number(expr=expr):
                return str(self.text(expr))
            case p.WeightRead(layer=layer, name=name):
                return ".".join(("params", *layer, name))
            case p.Primitive(op=op, constant=False) if op in PRIMITIVES:
                attributes = {name: str(self.text(expr)) for name, expr in code.attrs.items()}
                return PRIMITIVES[op](*map(self.code, code.args), **attributes)
            case p.FunctionCall(native=True, name=name, args=args):
                return NATIVES[name](**{key: self.code(value) for key, value in args.items() if value})
            case p.FunctionCall(name=name):
                return f"{self.function(name, name)}({', '.join(self.arguments(code))})"
            case p.LayerCall(unit=unit, method=method):
                return f"{self.function(unit, method)}({', '.join(self.arguments(code))})"
            case p.Draw(distribution=distribution) if distribution.name in DRAWS:
                return self.draw(code)
        raise refused(f"`{code.op}`" if isinstance(code, p.Primitive) else type(code).__name__, self.at)

    def draw(self, code: p.Draw) -> str:
        sizes = code.type.shape if code.type else ()
        shape = (
            f"{code.like}.shape" if code.like else f"({''.join(f'{self.text(size)}, ' for size in sizes)})"
        )
        arguments = {name: f"({self.text(expr)})" for name, expr in code.distribution.args.items()}
        return DRAWS[code.distribution.name](**arguments, shape=shape, dtype=self.float_dtype)

    def arguments(self, code: p.FunctionCall | p.LayerCall) -> Iterator[str]:
        if isinstance(code, p.LayerCall):
            index = "".join(f"[{self.text(each)}]" for each in code.index)
            path = code.layer + index if code.local else f"params.{code.layer}{index}"
            yield path if code.layer not in ("", "self") else "params"
        yield from ("None" if value is None else self.code(value) for value in code.args.values())
        if isinstance(code, p.LayerCall) and code.unit == self.plan.model.name:
            yield from ["config=config"] if self.plan.config else []
        else:
            yield from (f"{name}={self.text(expr)}" for name, expr in code.statics.items())
        yield from ["training=training"] if code.training else []
        yield from ["rng=rng"] if code.random else []
