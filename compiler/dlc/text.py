"""The IR as readable text: what tests compare and `dlc build --emit ir` writes.

In: a program, a definition or an expression. Out: lines that depend on nothing else. `%3` is value number
3, `x%3` the same value read through the variable `x`; expressions are written as in the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dlc import ir
from dlc.dims import Dim

PRECEDENCE: Mapping[str, int] = {
    "if": 0,
    "or": 1,
    "and": 2,
    "not": 3,
    "in": 4,
    "not in": 4,
    "==": 4,
    "!=": 4,
    "<": 4,
    "<=": 4,
    ">": 4,
    ">=": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "//": 6,
    "%": 6,
    "neg": 7,
    "**": 8,
}
ATOM = 9


def print_value(value: ir.Value) -> str:
    """A compile-time value as the language writes it."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case tuple() | list():
            return f"[{', '.join(print_value(item) for item in value)}]"
    return str(value)


def print_expression(expr: ir.Expr) -> str:
    """An expression as it stands in the program, with the brackets that it needs."""
    return _expression(expr)[0]


def _expression(expr: ir.Expr) -> tuple[str, int]:
    """The text and how tightly its operator binds."""
    if isinstance(expr, ir.Const):
        text = print_value(expr.value)
        return text, (PRECEDENCE["+"] if " " in text and isinstance(expr.value, Dim) else ATOM)
    if isinstance(expr, ir.Ref):
        return f"given({expr.name})" if expr.scope == "given" else expr.name, ATOM
    own = PRECEDENCE.get(expr.op, ATOM)
    match expr.op, expr.args:
        case "if", (condition, then, orelse):
            parts = [print_expression(part) for part in (condition, then, orelse)]
            return f"if {parts[0]} then {parts[1]} else {parts[2]}", own
        case "neg", (operand,):
            return f"-{_bracketed(operand, own)}", own
        case "not", (operand,):
            return f"not {_bracketed(operand, own)}", own
        case "index", (values, position):
            return f"{_bracketed(values, ATOM)}[{print_expression(position)}]", ATOM
        case (("tuple" | "list"), items):
            return f"[{', '.join(print_expression(item) for item in items)}]", ATOM
        case "slice", bounds:
            return ":".join("" if b == ir.Const(value=None) else print_expression(b) for b in bounds), ATOM
        case "comprehension", (element, ir.Const(value=targets), iterable, *conditions):
            wanted = "".join(f" if {print_expression(condition)}" for condition in conditions)
            loop = f"for {', '.join(targets)} in {print_expression(iterable)}{wanted}"
            return f"[{print_expression(element)} {loop}]", ATOM
        case "call", (ir.Const(value=name), *given):
            return f"{name}({', '.join(map(print_expression, given))})", ATOM
        case op, (left, right) if op in PRECEDENCE:
            first, second = (own + 1, own) if op == "**" else (own, own + 1)
            return f"{_bracketed(left, first)} {op} {_bracketed(right, second)}", own
        case op, arguments:
            return f"{op}({', '.join(print_expression(item) for item in arguments)})", ATOM


def _bracketed(expr: ir.Expr, least: int) -> str:
    text, own = _expression(expr)
    return text if own >= least else f"({text})"


def print_type(type_: ir.TensorType) -> str:
    """`float[B, 4 * dim]`."""
    return f"{type_.dtype}[{', '.join(print_expression(size) for size in type_.shape)}]"


def print_operand(operand: ir.Operand | None) -> str:
    """`x%3`, `%3`, `embed.weight%4`, a number, or `none` for an absent input."""
    match operand:
        case None:
            return "none"
        case ir.Use():
            return f"{operand.name or ''}%{operand.id}"
        case ir.Weight():
            return f"{'.'.join(operand.path)}%{operand.id}"
        case ir.Static():
            return print_expression(operand.expr)


def _operands(operands: Iterable[ir.Operand]) -> str:
    return ", ".join(print_operand(operand) for operand in operands)


def _pairs(items: Mapping[str, ir.Expr]) -> str:
    return ", ".join(f"{name}={print_expression(expr)}" for name, expr in items.items())


def _made(tensor: ir.Tensor, name: str = "") -> str:
    return f"{name}%{tensor.id}: {print_type(tensor.type)}"


def _distribution(distribution: ir.Distribution) -> str:
    return f"{distribution.name}({_pairs(distribution.args)})"


def _path(name: str, index: tuple[int, ...]) -> str:
    return ".".join((name, *map(str, index)))


# ---------------------------------------------------------------- nodes

Lines = Iterator[str]


def _indented(lines: Iterable[str]) -> Lines:
    return (f"  {line}" for line in lines)


def _region(region: ir.Region) -> Lines:
    for node in region:
        yield from _PRINTERS[type(node)](node)


def _apply(node: ir.Apply) -> Lines:
    outputs = ", ".join(_made(tensor) for tensor in node.outputs)
    attrs = f" {{{_pairs(node.attrs)}}}" if node.attrs else ""
    yield f"{outputs} = {node.op}({_operands(node.inputs)}){attrs}{' const' if node.constant else ''}"


def _call(node: ir.Call) -> Lines:
    outputs = ", ".join(_made(tensor) for tensor in node.outputs)
    layer = f"{_path(node.layer, node.index)}: " if node.layer is not None else ""
    arguments = ", ".join(f"{name}={print_operand(operand)}" for name, operand in node.arguments.items())
    given = _pairs({**node.statics, **node.sizes})
    where = f" where {given}" if given else ""
    yield f"{outputs} = call {layer}{node.callee}({arguments}){where}{' const' if node.constant else ''}"


def _for(node: ir.For) -> Lines:
    over = f" over {_operands(node.over)}" if node.over else ""
    uniform = " uniform" if node.uniform else ""
    yield f"for {', '.join(node.targets)} in {print_expression(node.iterable)}{over}{uniform}"
    for step in node.rounds:
        values = ", ".join(f"{name}={print_value(ref.value)}" for name, ref in step.variables.items())
        yield f"  round {values}".rstrip()
        yield from _indented(_indented(_region(step.body)))


def _branch(node: ir.Branch) -> Lines:
    outputs = ", ".join(_made(tensor) for tensor in node.outputs)
    made = f"{outputs} = " if outputs else ""
    result = f" gives {_operands(node.result)}" if node.outputs else ""
    yield f"{made}if {print_expression(node.condition)} is {print_value(node.taken)}{result}"
    yield from _indented(_region(node.body))


def _scan(node: ir.Scan) -> Lines:
    yield f"scan {print_expression(node.length)} along {node.axis}"
    for item in node.inputs:
        source = "step" if item.operand is None else print_operand(item.operand)
        yield f"  {_made(item.inside, item.name)} in {source}"
    for carry in node.carries:
        yield f"  carry {_made(carry.inside, carry.name)} from {print_operand(carry.initial)}"
    yield from _indented(_region(node.body))
    for carry in node.carries:
        yield f"  carried {_made(carry.output, carry.name)} = {print_operand(carry.final)}"
    for emission in node.emissions:
        yield f"  emit {_made(emission.output, emission.name)} = {print_operand(emission.value)}"


def _list(node: ir.List) -> Lines:
    yield f"list {node.name} {node.edit} [{_operands(node.items)}]"


def _item(node: ir.Item) -> Lines:
    position = print_expression(node.position)
    yield f"{_made(node.output)} = item {node.name}[{position}] is {print_operand(node.value)}"


def _bind(node: ir.Bind) -> Lines:
    yield f"{node.name} = {print_operand(node.value)}"


def _sample(node: ir.Sample) -> Lines:
    yield f"sample {_made(node.output, node.name)} ~ {_distribution(node.distribution)}"


def _update(node: ir.Update) -> Lines:
    yield f"update {node.name} = {print_operand(node.value)}"


def _return(node: ir.Return) -> Lines:
    yield f"return {_operands(node.values)}"


def _check(node: ir.Check) -> Lines:
    yield f"check {print_expression(node.condition)}, {print_value(node.message)}"


_PRINTERS: Mapping[type, Callable[[Any], Lines]] = {
    ir.Apply: _apply,
    ir.Call: _call,
    ir.Bind: _bind,
    ir.Sample: _sample,
    ir.Update: _update,
    ir.For: _for,
    ir.Branch: _branch,
    ir.Scan: _scan,
    ir.List: _list,
    ir.Item: _item,
    ir.Return: _return,
    ir.Check: _check,
}

# ---------------------------------------------------------------- definitions


def _definition(definition: ir.Definition) -> Lines:
    mode = "training" if definition.training else "evaluation"
    yield f"{definition.kind} {definition.id} in {mode}, from {definition.module}"
    for kind, table in (("parameter", definition.statics), ("size", definition.sizes)):
        for name, expr in table.items():
            yield f"  {kind} {name} = {print_value(expr.value)}"
    for item in definition.inputs:
        mark = "?" if item.optional else ""
        yield f"  input {_made(item.tensor, item.name + mark) if item.tensor else f'{item.name}? absent'}"
    for weight in definition.weights:
        yield f"  {weight.kind} {_made(weight.tensor, weight.name)} ~ {_distribution(weight.init)}"
    for layer in definition.layers:
        path, given = _path(layer.name, layer.index), _pairs({**layer.statics, **layer.sizes})
        yield f"  layer {path}: {layer.block}({given}) as {', '.join(layer.definitions)}"
    yield from _indented(_region(definition.body))
    for output in definition.outputs:
        yield f"  output {output.name or '_'}: {print_type(output.type)} = {print_operand(output.value)}"


def print_definition(definition: ir.Definition) -> str:
    """One definition: its interface, then its nodes."""
    return "\n".join(_definition(definition)) + "\n"


def _header(program: ir.Program) -> Lines:
    preset = f".{program.preset}" if program.preset else ""
    yield f"program {program.name}{preset} of {program.source}"
    for name, expr in program.parameters.items():
        yield f"  parameter {name} = {print_value(expr.value)}"
    for method in program.methods:
        yield f"  method {method.name}: {method.eval} in evaluation, {method.train} in training"
        if method.bare:
            evaluation, training = method.bare
            yield f"    without optional inputs: {evaluation} in evaluation, {training} in training"
    for requirement in program.requirements:
        yield f"  require {requirement.condition}, {print_value(requirement.message)}"
    for weight in program.weights:
        arguments = ", ".join(f"{name}={value}" for name, value in weight.init_args.items())
        shape = ", ".join(map(str, weight.shape))
        yield f"  {weight.kind} {weight.path}: [{shape}] ~ {weight.init}({arguments})"


def _function(function: ir.StaticFunction) -> Lines:
    parameters = []
    for each in function.parameters:
        default = function.defaults.get(each.name)
        parameters.append(each.name if default is None else f"{each.name}={print_expression(default)}")
    yield f"fn {function.name}({', '.join(parameters)}), from {function.at.file}"
    yield from _indented(_steps(function.body))


def _steps(steps: Iterable[ir.Step]) -> Lines:
    for step in steps:
        match step:
            case ir.Let(names=names, value=value):
                yield f"{', '.join(names)} = {print_expression(value)}"
            case ir.Result(value=value):
                yield f"return {print_expression(value)}"
            case ir.Each(targets=targets, iterable=iterable, body=body):
                yield f"for {', '.join(targets)} in {print_expression(iterable)}"
                yield from _indented(_steps(body))
            case ir.When(condition=condition, body=body, orelse=orelse):
                yield f"if {print_expression(condition)}"
                yield from _indented(_steps(body))
                if orelse:
                    yield "else"
                    yield from _indented(_steps(orelse))


def print_program(program: ir.Program) -> str:
    """The whole program: its header, its compile-time functions, then its definitions in order."""
    parts = ["\n".join(_header(program)) + "\n"]
    parts.extend("\n".join(_function(function)) + "\n" for function in program.functions.values())
    parts.extend(print_definition(definition) for definition in program.definitions.values())
    return "\n".join(parts)
