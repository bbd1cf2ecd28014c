"""A plan as readable text, for tests.

In: `plan.FilePlan`. Out: Python-like text, one line a statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dlc.dims import Dim
from dlc.emit.expressions import OPERATOR_OF
from dlc.emit.plan import (
    Append,
    Assertion,
    Assign,
    AssignStatic,
    Choice,
    Code,
    Conditional,
    Construction,
    Draw,
    FilePlan,
    FunctionCall,
    LayerCall,
    ListItem,
    Loop,
    MakeAbsent,
    MakeConditional,
    MakeLayer,
    MakeLoop,
    MakeWeight,
    MethodPlan,
    NewList,
    Number,
    Pop,
    Primitive,
    ReadSizes,
    Result,
    Return,
    ScanLoop,
    Sequence,
    Statement,
    Unit,
    UpdateState,
    Variable,
    WeightRead,
)
from dlc.ir import Const, Distribution, Expr, Operation, Ref

INDENT = "  "


def describe(plan: FilePlan) -> str:
    """The whole plan as text."""
    lines = [f"file {plan.network} ({plan.parameter_count} parameters)"]
    lines += [f"config {f.name}: {f.annotation} = {f.value!r}" for f in plan.config]
    for unit in plan.units:
        lines += ["", *_unit(unit)]
    return "\n".join(lines) + "\n"


def _unit(unit: Unit) -> Iterator[str]:
    arguments = ", ".join(f"{a.name}: {a.annotation}" for a in unit.arguments)
    yield f"{unit.kind} {unit.name}({arguments})"
    for line in _construction(unit.construction):
        yield INDENT + line
    for method in unit.methods:
        for line in _method(method):
            yield INDENT + line


def _method(method: MethodPlan) -> Iterator[str]:
    inputs = ", ".join(
        f"{i.name}{'?' if i.optional else ''}: {i.type.dtype}[{', '.join(i.shape)}]" for i in method.inputs
    )
    outputs = ", ".join(
        (f"{name}: " if name else "") + f"{type_.dtype}[{', '.join(shape)}]"
        for name, type_, shape in method.outputs
    )
    flags = [n for n in ("training", "random", "stateful", "constant") if getattr(method, n)]
    statics = [argument.name for argument in method.statics]
    extra = "".join(f" {flag}" for flag in flags) + (f" uses {', '.join(statics)}" if statics else "")
    yield f"def {method.name}({inputs}) -> {outputs}{extra}"
    for line in _block(method.body):
        yield INDENT + line


def _block(body: Iterable[Statement]) -> Iterator[str]:
    for statement in body:
        yield from _statement(statement)


def _statement(statement: Statement) -> Iterator[str]:
    match statement:
        case ReadSizes(names=names, tensor=tensor):
            yield f"{', '.join(name or '_' for name in names)} = {tensor}.shape"
        case Assign(targets=targets, value=value):
            yield f"{', '.join(targets)} = {code(value)}"
        case AssignStatic(target=target, value=value):
            yield f"{target} = {expression(value)}"
        case NewList(name=name, items=items):
            yield f"{name} = [{', '.join(map(code, items))}]"
        case Append(name=name, item=item):
            yield f"{name}.append({code(item)})"
        case Pop(name=name):
            yield f"{name}.pop()"
        case Loop():
            yield from _loop(statement)
        case Conditional(condition=condition, body=body, orelse=orelse):
            yield f"if {expression(condition)}:"
            yield from (INDENT + line for line in _block(body))
            if orelse:
                yield "else:"
                yield from (INDENT + line for line in _block(orelse))
        case ScanLoop():
            yield from _scan(statement)
        case UpdateState(name=name, value=value):
            yield f"self.{name} <- {code(value)}"
        case Assertion(condition=condition, message=message):
            yield f"assert {expression(condition)}, {message!r}"
        case Return(values=values, names=names):
            parts = [
                f"{name}={code(value)}" if name else code(value)
                for name, value in zip(names, values, strict=True)
            ]
            yield f"return {', '.join(parts)}"


def _loop(loop: Loop) -> Iterator[str]:
    names = [f"{t}{'(unused)' if t in loop.unused else ''}" for t in loop.targets]
    sources = [expression(loop.iterable)]
    for layer in loop.layers:
        names.append(layer.element)
        sources.append(layer.source if layer.local else f"self.{layer.source}")
    for column in loop.columns:
        names.append(column.name)
        sources.append(expression(column.whole))
    for name, value in loop.tensors:
        names.append(name)
        sources.append(code(value))
    static = f" static {', '.join(sorted(loop.static_only))}" if loop.static_only else ""
    yield f"for {', '.join(names)} in {' | '.join(sources)}:{static}"
    yield from (INDENT + line for line in _block(loop.body))


def _scan(loop: ScanLoop) -> Iterator[str]:
    sources = ", ".join(f"{s.inside} in {code(s.value) if s.value else 'steps'}" for s in loop.sources)
    carried = ", ".join(f"{name} = {code(value)}" for name, value in loop.carried)
    yield (
        f"scan {sources} along {loop.axis} length {expression(loop.length)}"
        f" carry {carried} reads {', '.join(loop.reads)}:"
    )
    yield from (INDENT + line for line in _block(loop.body))
    for name, value in loop.emitted:
        yield f"{INDENT}emit {name} = {code(value)}"


def _construction(body: Iterable[Construction]) -> Iterator[str]:
    for made in body:
        match made:
            case MakeWeight(name=name, shape=shape, init=init, state=state):
                sizes = ", ".join(expression(size) for size in shape)
                yield f"{'state' if state else 'param'} {name}[{sizes}] ~ {_distribution(init)}"
            case MakeLayer(name=name, unit=unit, native=native, arguments=arguments):
                yield f"self.{name} = {'native ' if native else ''}{unit}({_keywords(arguments)})"
            case MakeAbsent(name=name):
                yield f"self.{name} = absent"
            case MakeLoop():
                names = [f"{t}{'(unused)' if t in made.unused else ''}" for t in made.targets]
                sources = [expression(made.iterable)]
                for column in made.columns:
                    names.append(column.name)
                    sources.append(expression(column.whole))
                lists = ", ".join(made.lists)
                yield f"make {lists}: for {', '.join(names)} in {' | '.join(sources)}:"
                yield from (INDENT + line for line in _construction(made.body))
            case MakeConditional(condition=condition, body=inner, orelse=orelse):
                yield f"if {expression(condition)}:"
                yield from (INDENT + line for line in _construction(inner))
                if orelse:
                    yield "else:"
                    yield from (INDENT + line for line in _construction(orelse))


def code(value: Code) -> str:
    """A run-time expression as text."""
    match value:
        case Variable(name=name, field=None, position=position):
            return name if not position else f"{name}[{position}]"
        case Variable(name=name, field=field):
            return f"{name}.{field}"
        case Number(expr=expr):
            return expression(expr)
        case WeightRead(layer=layer, name=name):
            return ".".join(("self", *layer, name))
        case Primitive(op=op, args=args, attrs=attrs):
            if op in OPERATOR_OF and len(args) == 2:
                return f"({code(args[0])} {OPERATOR_OF[op]} {code(args[1])})"
            return f"{op}({_arguments(map(code, args), attrs)})"
        case FunctionCall(name=name, args=args, statics=statics):
            return f"{name}({_arguments(_named(args), statics)})"
        case LayerCall(layer=layer, local=local, method=method, args=args, statics=statics):
            target = layer if local else f"self.{layer}"
            index = "".join(f"[{expression(i)}]" for i in value.index)
            called = "" if method == "forward" else f".{method}"
            static = f" with {_keywords(statics)}" if statics else ""
            return f"{target}{index}{called}({', '.join(_named(args))}{static})"
        case Draw(distribution=distribution, type=type_):
            shape = ", ".join(expression(size) for size in type_.shape) if type_ else ""
            return f"draw {_distribution(distribution)}[{value.like or shape}]"
        case ListItem(name=name, position=place):
            return f"{name}[{expression(place)}]"
        case Result(call=call, field=field, position=place):
            return f"{code(call)}.{field}" if field else f"{code(call)}[{place}]"
        case Choice(condition=condition, then=then, orelse=orelse):
            return f"({code(then)} if {expression(condition)} else {code(orelse)})"
        case Sequence(items=items):
            return f"[{', '.join(map(code, items))}]"
    raise AssertionError(value)


def _named(args: Mapping[str, Code | None]) -> list[str]:
    return [code(value) if value is not None else f"{name}=None" for name, value in args.items()]


def _arguments(args: Iterable[str], statics: Mapping[str, Expr]) -> str:
    return ", ".join([*args, *(f"{name}={expression(value)}" for name, value in statics.items())])


def _keywords(arguments: Mapping[str, Expr]) -> str:
    return _arguments((), arguments)


def _distribution(found: Distribution) -> str:
    return f"{found.name}({', '.join(expression(value) for value in found.args.values())})"


def expression(expr: Expr) -> str:
    """A compile-time expression as text; scopes are spelt out."""
    match expr:
        case Const(value=Dim()):
            return f"<{expr.value}>"
        case Const(value=value):
            return repr(value)
        case Ref(name=name, scope="self" | "config" as scope):
            return f"{scope}.{name}"
        case Ref(name=name, scope="given"):
            return f"given({name})"
        case Ref(name=name, scope="training"):
            return "training"
        case Ref(name=name):
            return name
        case Operation(op="if", args=(condition, then, orelse)):
            return f"({expression(then)} if {expression(condition)} else {expression(orelse)})"
        case Operation(op="call", args=(Const(value=name), *given)):
            return f"{name}({', '.join(map(expression, given))})"
        case Operation(op="tuple", args=args):
            return f"({', '.join(map(expression, args))})"
        case Operation(op=op, args=(left, right)) if not op.isidentifier() or op in ("and", "or", "in"):
            return f"({expression(left)} {op} {expression(right)})"
        case Operation(op=op, args=args):
            return f"{op}({', '.join(map(expression, args))})"
