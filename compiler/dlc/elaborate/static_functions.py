"""Compile-time functions of the user as `ir.StaticFunction`s, so that what is called stays a call.

In: a declaration, and a frame that knows its file. Out: its text over its own names; None where the text
says something that plain code outside of the compiler cannot (tensors, layers, iterators kept as lists).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dlc import ir, statics
from dlc.dims import Dim
from dlc.elaborate import builtins
from dlc.elaborate.declared_types import returns_tensor
from dlc.elaborate.failure import Failed
from dlc.elaborate.frame import Frame
from dlc.elaborate.names import DTYPES, global_name
from dlc.ir import Const, Expr, Operation, Ref, StaticFunction, Step, Value
from dlc.values import STATIC, AnyValue, Builtin, DTypeValue, FunctionValue
from dlc_grammar import syntax

EXAMPLES: dict[str, Value] = {"int": 0, "float": 0.0, "bool": False, "str": ""}
SAME = {"maximum": "max", "minimum": "min"}
"""Compile-time functions by another name."""
WALKED = frozenset(("range", "enumerate", "reversed"))
"""Lists here, iterators there: only what walks them may use them."""
FRACTIONS = frozenset(("/", "float", "sqrt", "log", "exp", "sin", "cos"))
"""What gives a float, whatever it takes."""


class Untranslatable(Exception):
    """The text has no such form."""


def called(frame: Frame, function: FunctionValue, passed: Sequence[AnyValue], result: Expr) -> Expr:
    """The result of a call, said as that call where all in it are plain values."""
    args = [value for value in passed if isinstance(value, STATIC)]
    plain = len(args) == len(passed) and not any(map(_has_size, [result.value, *(a.value for a in args)]))
    if not plain or function.module.is_std or not any(map(statics.has_reference, args)):
        return result
    found = translated(frame, function)
    if found is None:
        return result
    for parameter in reversed(found.parameters):
        if len(args) < 2 or args[-1] != found.defaults.get(parameter.name):
            break
        args.pop()
    return statics.operation("call", [Const(value=found.name), *args], result.value)


def _has_size(value: Value) -> bool:
    """Whether a size that is only known when the model runs is in a value."""
    return any(map(_has_size, value)) if isinstance(value, tuple) else isinstance(value, Dim)


def translated(frame: Frame, function: FunctionValue) -> StaticFunction | None:
    """The function for the program, which from now on has it; the same one each time."""
    session, declaration = frame.session, function.declaration
    name = session.static_names.get(declaration)
    if name is None:
        name = declaration.name.id
        number = 1
        while name in session.static_functions:
            number += 1
            name = f"{declaration.name.id}_{number}"
        session.static_names[declaration] = name
        session.static_functions[name] = None
        with suppress(Untranslatable, Failed):
            made = Translation(frame, function).function(name)
            del session.static_functions[name]  # after those that it calls
            session.static_functions[name] = made
    return session.static_functions[name]


@dataclass
class Translation:
    """The translation of one function."""

    frame: Frame
    source: FunctionValue
    floats: set[str] = field(default_factory=set)
    """The parameters that hold floats to the end."""
    names: list[str] = field(default_factory=list)
    """Parameters and variables so far."""

    def function(self, name: str) -> StaticFunction:
        declaration = self.source.declaration
        if declaration.body is None or declaration.result is None or self.source.receiver is not None:
            raise Untranslatable
        parameters, defaults = [], {}
        again = {name.id for node in syntax.walk(declaration.body) for name in _targets(node)}
        for parameter in declaration.params:
            own = parameter.name.id
            parameters.append(Ref(name=own, value=_example(parameter.type), scope="local"))
            self.names.append(own)
            if isinstance(parameter.type, syntax.NamedType) and parameter.type.name == "float":
                self.floats.add(own)
            if isinstance(parameter.default, syntax.Literal_):
                value: Any = parameter.default.value
                defaults[own] = Const(value=float(value) if own in self.floats else value)
        self.floats -= again
        return StaticFunction(
            name=name,
            doc=declaration.doc,
            parameters=tuple(parameters),
            defaults=defaults,
            example=_example(declaration.result),
            body=self.steps(declaration.body.statements),
            at=self.frame.session.location(declaration.name.span),
        )

    # ------------------------------------------------------------ statements

    def steps(self, statements: Sequence[syntax.Statement]) -> tuple[Step, ...]:
        return tuple(self.step(statement) for statement in statements)

    def step(self, node: syntax.Statement) -> Step:
        match node:
            case syntax.Assign(targets=targets, value=value):
                made = self.value(value)
                return ir.Let(names=self.bound(targets), value=made)
            case syntax.Const(name=name, value=value):
                made = self.value(value)
                return ir.Let(names=self.bound([name]), value=made)
            case syntax.If(condition=condition, body=body):
                return ir.When(
                    condition=self.value(condition),
                    body=self.steps(body.statements),
                    orelse=self.orelse(node),
                )
            case syntax.For(targets=targets, iterable=iterable, body=body):
                walked = self.iterable(iterable)
                names = self.bound(targets)
                return ir.Each(targets=names, iterable=walked, body=self.steps(body.statements))
            case syntax.Return(values=(value,)):
                return ir.Result(value=self.value(value))
        raise Untranslatable

    def orelse(self, node: syntax.If) -> tuple[Step, ...]:
        match node.orelse:
            case syntax.If() as other:
                return (self.step(other),)
            case syntax.Body(statements=statements):
                return self.steps(statements)
        return ()

    def bound(self, targets: Sequence[syntax.Ident]) -> tuple[str, ...]:
        """New variables."""
        found = tuple(target.id for target in targets)
        self.names += found
        return found

    # ------------------------------------------------------------ expressions

    def value(self, node: Any) -> Expr:
        match node:
            case syntax.Literal_(value=value):
                return Const(value=value)
            case syntax.Name(id=name):
                return self.name(name)
            case syntax.Unary(op=op, operand=operand):
                return self.made("neg" if op == "-" else "not", self.value(operand))
            case syntax.Binary(op=op, left=left, right=right) if op != "@":
                return self.made(op, self.value(left), self.value(right))
            case syntax.IfExpr(condition=condition, then=then, orelse=orelse):
                return self.made("if", self.value(condition), self.value(then), self.value(orelse))
            case syntax.List_(items=items) | syntax.Tuple_(items=items):
                return self.made("tuple", *map(self.value, items))
            case syntax.Index(value=value, subscripts=(subscript,)):
                return self.made("index", self.value(value), self.subscript(subscript))
            case syntax.Comprehension():
                return self.comprehension(node)
            case syntax.Call(function=syntax.Name(id=name), args=args, keywords=keywords):
                return self.call(name, args, keywords)
            case syntax.Pipe(value=value, label=None, stage=syntax.Name(id=name)):
                return self.call(name, (value,), ())
        raise Untranslatable

    def made(self, op: str, *args: Expr) -> Expr:
        return Operation(op=op, args=args, value=None)

    def name(self, name: str) -> Expr:
        if name in self.names:
            return Ref(name=name, value=None, scope="local")
        found = self.outside(name)
        if not isinstance(found, Const):
            raise Untranslatable
        return found

    def outside(self, name: str) -> AnyValue | None:
        """What a name of the file means in the function."""
        found = global_name(self.frame, self.source.module, name)
        if found is not None:
            return found
        if name in builtins.NAMES:
            return Builtin(name)
        return DTypeValue(name) if name in DTYPES else None

    def subscript(self, node: Any) -> Expr:
        if not isinstance(node, syntax.Slice):
            return self.value(node)
        bounds = [node.start, node.stop, *([] if node.step is None else [node.step])]
        return self.made("slice", *(Const(value=None) if b is None else self.value(b) for b in bounds))

    def iterable(self, node: syntax.Expr) -> Expr:
        """What a loop walks."""
        match node:
            case syntax.Call(function=syntax.Name(id=name), args=args, keywords=()) if name in WALKED:
                if name not in self.names and isinstance(self.outside(name), Builtin):
                    inner = self.value if name == "range" else self.iterable
                    return self.made(name, *map(inner, args))  # type: ignore[arg-type]
        return self.value(node)

    def comprehension(self, node: syntax.Comprehension) -> Expr:
        iterable = self.iterable(node.iterable)
        names = list(self.names)
        targets = self.bound(node.targets)
        element = self.value(node.element)
        condition = [] if node.condition is None else [self.value(node.condition)]
        self.names = names
        return self.made("comprehension", element, Const(value=targets), iterable, *condition)

    def call(self, name: str, args: Sequence[Any], keywords: Sequence[syntax.Keyword]) -> Expr:
        if name in self.names:
            raise Untranslatable
        found = self.outside(name)
        if isinstance(found, FunctionValue):
            if found.declaration.name.id not in builtins.NUMERIC:
                return self.call_function(found, args, keywords)
        elif not isinstance(found, Builtin | DTypeValue):
            raise Untranslatable
        if keywords or name in WALKED or name not in builtins.FUNCTIONS:
            raise Untranslatable
        return self.made(SAME.get(name, name), *map(self.value, args))

    def call_function(
        self, function: FunctionValue, args: Sequence[Any], keywords: Sequence[syntax.Keyword]
    ) -> Expr:
        found = translated(self.frame, function)
        if found is None or returns_tensor(function.declaration):
            raise Untranslatable
        given = {keyword.name.id: keyword.value for keyword in keywords}
        made: list[Expr] = []
        for place, parameter in enumerate(found.parameters):
            if place < len(args):
                value = self.value(args[place])
            elif parameter.name in given:
                value = self.value(given.pop(parameter.name))
            elif given and parameter.name in found.defaults:
                value = found.defaults[parameter.name]
            else:
                break
            wanted = isinstance(parameter.value, float) and not self.is_float(value)
            made.append(self.made("float", value) if wanted else value)
        if given or any(p.name not in found.defaults for p in found.parameters[len(made) :]):
            raise Untranslatable
        return self.made("call", Const(value=found.name), *made)

    def is_float(self, expr: Expr) -> bool:
        """Whether a value is known to be a float: an integer given for one becomes one."""
        match expr:
            case Const(value=value):
                return isinstance(value, float)
            case Ref(name=name):
                return name in self.floats
            case Operation(op="+" | "-" | "*" | "//" | "%" | "**" | "neg", args=args):
                return any(map(self.is_float, args))
            case Operation(op="max" | "min", args=args) | Operation(op="if", args=(_, *args)):
                return all(map(self.is_float, args))
        return expr.op in FRACTIONS


def _targets(node: syntax.Node) -> tuple[syntax.Ident, ...]:
    """The names that a node gives a value."""
    match node:
        case syntax.Assign() | syntax.For() | syntax.Comprehension():
            return node.targets
        case syntax.Const():
            return (node.name,)
    return ()


def _example(type_: Any) -> Value:
    """A value of a declared type: a zero of each kind."""
    match type_:
        case syntax.NamedType(name=name, shape=None, optional=False) if name in EXAMPLES:
            return EXAMPLES[name]
        case syntax.NamedType(name="list", shape=(item,), optional=False):
            return (_example(item),)
        case syntax.Name(id=name) if name in EXAMPLES:
            return EXAMPLES[name]
        case syntax.Tuple_(items=items):
            return tuple(map(_example, items))
        case syntax.Index(value=syntax.Name(id="list"), subscripts=(item,)):
            return (_example(item),)
        case syntax.TupleType(fields=fields):
            return tuple(_example(each.type) for each in fields)
    raise Untranslatable
