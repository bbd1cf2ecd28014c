"""Compile-time functions of the user in a generated file: plain Python, the same for all targets.

In: the functions of a program, and what calls them. Out: a plan that has those that are called, each with
the first unit that needs it; and their text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dlc.emit.arguments import annotate
from dlc.emit.expressions import ExpressionPrinter
from dlc.emit.naming import safe, unit_name
from dlc.emit.plan import FilePlan
from dlc.emit.printer import FileWriter
from dlc.emit.specialise import mapped
from dlc.emit.unread import expressions_of
from dlc.ir import Const, Each, Expr, Let, Operation, Ref, Result, StaticFunction, Step, When
from dlc_grammar.record import replace


def with_functions(
    plan: FilePlan, functions: Mapping[str, StaticFunction], reserved: Collection[str]
) -> FilePlan:
    """The plan with the functions that it calls, by names that are free in its file."""
    written: set[str] = set()
    units = []
    for unit in plan.units:
        called = calls((unit.construction, tuple(method.body for method in unit.methods), unit.tables))
        for name in reversed(list(functions)):  # those that others call come before them
            called |= calls(functions[name]) if name in called else set()
        needed = tuple(function for name, function in functions.items() if name in called - written)
        written |= called
        units.append(replace(unit, functions=needed))
    taken = {*functions, *(unit.name for unit in units)}
    names = {name: unit_name(name, taken - {name}, reserved) for name in functions}
    if any(new != name for name, new in names.items()):
        units = [renamed(unit, names) for unit in units]
    return replace(plan, units=tuple(units))


def calls(code: Any) -> set[str]:
    """The functions that code calls."""
    found = (expr for expr in expressions_of(code) if isinstance(expr, Operation) and expr.op == "call")
    return {expr.args[0].value for expr in found if isinstance(expr.args[0], Const)}


def renamed(unit: Any, names: Mapping[str, str]) -> Any:
    """The unit with other names of functions."""

    def change(expr: Expr) -> Expr:
        match expr:
            case Operation(op="call", args=(Const(value=name), *rest), value=value):
                args = (Const(value=names.get(name, name)), *map(change, rest))
                return Operation(op="call", args=args, value=value)
            case Operation(op=op, args=args, value=value):
                return Operation(op=op, args=tuple(map(change, args)), value=value)
        return expr

    unit = mapped(unit, change)
    return replace(unit, functions=tuple(replace(f, name=names[f.name]) for f in unit.functions))


# ---------------------------------------------------------------- text


def write_function(writer: FileWriter, function: StaticFunction, imports: set[str]) -> None:
    """One function; `imports` collects the modules that it needs."""
    called = calls(function)

    def name_of(name: str) -> str:
        return safe(name, {"math", *called})

    printer = ExpressionPrinter(lambda ref: name_of(ref.name), imports)
    read = {expr.name for expr in expressions_of(function.body) if isinstance(expr, Ref)}
    parameters = []
    for each in function.parameters:
        default = function.defaults.get(each.name)
        text = f"{name_of(each.name)}: {annotate([each.value])}"
        parameters.append(text if default is None else f"{text} = {printer(default)}")
    writer.blank(2)
    with writer.definition(function.name, parameters, annotate([function.example])):
        if function.doc:
            writer.documentation(function.doc)
        write_steps(writer, function.body, printer, read)


def write_steps(
    writer: FileWriter, steps: Sequence[Step], printer: ExpressionPrinter, read: Collection[str]
) -> None:
    """Statements; `read` are the names that the function reads."""
    for step in steps:
        match step:
            case Let(names=names, value=value):
                writer.statement(f"{', '.join(map(printer.target, names))} = {printer(value)}")
            case Result(value=value):
                writer.statement(f"return {printer(value)}")
            case Each(targets=targets, iterable=iterable, body=body):
                names = tuple(printer.target(name) if name in read else "_" for name in targets)
                with writer.block(f"for {', '.join(names)} in {printer(iterable)}"):
                    write_steps(writer, body, printer, read)
            case When(condition=condition, body=body, orelse=orelse):
                with writer.block(f"if {printer(condition)}"):
                    write_steps(writer, body, printer, read)
                if orelse:
                    with writer.block("else"):
                        write_steps(writer, orelse, printer, read)
