"""Run-time expressions of the plan as PyTorch text.

In: `plan.Code` and the scope that it stands in. Out: `Text`.
"""

from __future__ import annotations

from collections.abc import Mapping

from dlc.emit import plan
from dlc.emit.expressions import Text, call, choice, list_of, method, subscript
from dlc.ir import Const, TensorType
from dlc_torch.blocks import BLOCKS
from dlc_torch.lowering import Application, Operand
from dlc_torch.names import method_name
from dlc_torch.natives import FUNCTIONS, NativeCall
from dlc_torch.primitives import PRIMITIVES
from dlc_torch.sampling import draw
from dlc_torch.scope import Scope


class CodePrinter:
    """Prints the expressions of one method. `constants` are the variables that hold float64 tables."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.constants: dict[str, Text] = {}
        self.types: dict[str, TensorType] = {}
        """The types of variables, where the plan tells them."""
        self.in_constant = False

    def __call__(self, code: plan.Code) -> Text:
        match code:
            case plan.Variable(name=name, field=field):
                return self.variable(name, field)
            case plan.Number(expr=expr):
                return self.scope.text(expr)
            case plan.WeightRead():
                return weight(code)
            case plan.Primitive():
                return self.primitive(code)
            case plan.FunctionCall():
                return self.function(code)
            case plan.LayerCall():
                return self.layer(code)
            case plan.Draw(distribution=distribution, type=type_):
                assert type_ is not None
                return draw(distribution, type_, self.scope)
            case plan.ListItem(name=name, position=position):
                return subscript(Text(name), self.scope.text(position))
            case plan.Result(call=called, field=field, position=position):
                return self.result(called, field, position)
            case plan.Choice(condition=condition, then=then, orelse=orelse):
                return choice(self.scope.text(condition), self(then), self(orelse))
            case plan.Sequence(items=items):
                return list_of(self(item) for item in items)
        raise AssertionError(f"unknown code {code!r}")

    def variable(self, name: str, field: str | None) -> Text:
        self.scope.locals.add(name)
        if field is not None:
            return Text(f"{name}.{field}")
        return self.constants.get(name, Text(name))

    def result(self, called: plan.Code, field: str | None, position: int) -> Text:
        text = self(called)
        named = isinstance(called, plan.FunctionCall | plan.LayerCall) and all(called.fields)
        if field is not None and named:
            return Text(f"{text.atom}.{field}")
        return subscript(text, str(position))

    # -------------------------------------------------- primitives

    def operand(self, code: plan.Code) -> Operand:
        """An operand; a constant that meets a tensor takes the model's dtype."""
        text = self(code)
        if isinstance(code, plan.Number):
            return Operand(text, None, is_number=True)
        if isinstance(code, plan.Choice) and is_number(code):
            return Operand(text, None, is_number=True)
        transposed = None
        if isinstance(code, plan.Primitive) and code.op == "transpose" and "axes" not in given(code):
            transposed = self(code.args[0])
            inner = self.operand(code.args[0])
            if code.type is None or inner.rank == 2:
                return Operand(text, inner.type, transposed)
        if isinstance(code, plan.WeightRead) and code.type is None:
            return Operand(text, weight_type(code, self.scope))
        type_ = code.type
        if type_ is None and isinstance(code, plan.Variable) and code.field is None:
            type_ = self.types.get(code.name)
        dtype = "float" if type_ is None else type_.dtype
        if not self.in_constant and self.is_constant(code) and dtype in ("float", "int"):
            text = method(text, "to", self.scope.dtype(dtype))
        if type_ is None:
            return Operand(text, None, is_list=isinstance(code, plan.Variable | plan.Sequence))
        return Operand(text, type_, transposed, is_optional=self.is_optional(code))

    def is_optional(self, code: plan.Code) -> bool:
        """Whether the value is an optional input that some calls leave out."""
        method = self.scope.method
        inputs = method.inputs if method is not None else ()
        return isinstance(code, plan.Variable) and any(i.optional and i.name == code.name for i in inputs)

    def is_constant(self, code: plan.Code) -> bool:
        """Whether the value is a float64 table as it stands (a buffer has the model's dtype)."""
        match code:
            case plan.Variable(name=name):
                return name in self.constants and not self.constants[name].code.startswith("self.")
            case plan.Primitive(constant=constant):
                return constant
        return False

    def primitive(self, code: plan.Primitive) -> Text:
        outer = self.in_constant
        self.in_constant = code.constant or (code.op == "cast" and self.is_constant(code.args[0]))
        app = Application(
            code.op,
            [self.operand(argument) for argument in code.args],
            code.attrs,
            code.type,
            self.scope,
            code.constant,
        )
        self.in_constant = outer
        return PRIMITIVES[code.op](app)

    # -------------------------------------------------- calls

    def function(self, code: plan.FunctionCall) -> Text:
        arguments = {
            name: None if argument is None else self.operand(argument) for name, argument in code.args.items()
        }
        if code.native:
            native = NativeCall(arguments, code.statics, code.type, self.scope, code.training)
            return FUNCTIONS[code.name].write(native)
        unit = self.scope.file.unit(code.name)
        positional, named = split_arguments(unit.methods[0], arguments)
        for argument in unit.arguments:
            expr = code.statics.get(argument.name, code.statics.get(argument.source))
            if expr is not None:
                named[argument.name] = self.scope.text(expr)
        if code.training:
            named["training"] = self.scope.training
        if self.scope.file.needs_dtype(unit):
            named["dtype"] = Text("torch.float64") if code.constant else self.scope.dtype("float")
        if self.scope.file.needs_device(unit):
            named["device"] = Text(self.scope.device or "None")
        return call(code.name, *positional, **named)

    def layer(self, code: plan.LayerCall) -> Text:
        callee = code.layer if code.local else f"self.{code.layer}"
        callee += "".join(f"[{self.scope.text(position)}]" for position in code.index)
        if code.method != "forward":
            callee += f".{method_name(code.method)}"
        arguments = {
            name: None if argument is None else self.operand(argument) for name, argument in code.args.items()
        }
        called = None
        if not code.native:
            methods = self.scope.file.unit(code.unit).methods
            called = next((m for m in methods if m.name == code.method), None)
        positional, named = split_arguments(called, arguments)
        return call(callee, *positional, **named)


def given(code: plan.Primitive) -> Mapping[str, object]:
    """The attributes that are not `none`."""
    return {name: expr for name, expr in code.attrs.items() if expr.value is not None}


def is_number(code: plan.Code) -> bool:
    match code:
        case plan.Number():
            return True
        case plan.Choice(then=then, orelse=orelse):
            return is_number(then) and is_number(orelse)
    return False


def split_arguments(
    called: plan.MethodPlan | None, arguments: Mapping[str, Operand | None]
) -> tuple[list[Text], dict[str, Text | str | None]]:
    """Tensors by position, optional ones and those behind a gap by name."""
    optional = {a.name for a in called.inputs if a.optional} if called else set[str]()
    positional: list[Text] = []
    named: dict[str, Text | str | None] = {}
    for name, operand in arguments.items():
        if operand is None:
            optional |= set(arguments)
        elif name in optional:
            named[name] = operand.text
        else:
            positional.append(operand.text)
    return positional, named


def weight(code: plan.WeightRead) -> Text:
    """`self.embed.weight`; positions in lists of layers are subscripts."""
    path = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in code.layer)
    block = BLOCKS.get(code.unit or "")
    own = block.names.get(code.name, code.name) if block else code.name
    return Text(f"self{path}.{own}")


def weight_type(code: plan.WeightRead, scope: Scope) -> TensorType | None:
    """The type of a weight, as far as its declaration in the plan tells."""
    if len(code.layer) == 0:
        return next(
            (
                TensorType(dtype="float", shape=item.shape)
                for item in scope.unit.construction
                if isinstance(item, plan.MakeWeight) and item.name == code.name
            ),
            None,
        )
    rank = {"Linear": 2, "Embedding": 2}.get(code.unit or "") if code.name == "weight" else None
    return None if rank is None else TensorType(dtype="float", shape=(Const(value=0),) * rank)
