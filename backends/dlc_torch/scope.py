"""The surroundings of an expression: how references, dtypes and devices read where it stands.

In: a unit's plan and one of its methods. Out: a `Surroundings` for lowerings, which also notes what the
file needs: imports, helper functions, constructor arguments that methods read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dlc.dims import Dim
from dlc.emit import plan
from dlc.emit.expressions import ExpressionPrinter, Precedence, Text, call
from dlc.ir import Expr, Ref
from dlc_torch.blocks import BLOCKS

CREATES = frozenset(("arange", "linspace", "full"))


@dataclass(slots=True)
class FileState:
    """What the whole file needs, collected while it is written."""

    whole: plan.FilePlan
    imports: set[str] = field(default_factory=set)
    helpers: set[str] = field(default_factory=set)
    native_blocks: set[str] = field(default_factory=set)

    def inputs(self, unit: plan.Unit, method: plan.MethodPlan) -> list[plan.TensorArgument]:
        """The inputs of a method, without optional ones that no call in the file gives."""
        if unit is self.whole.model:
            return list(method.inputs)
        given = self.given()
        return [
            argument
            for argument in method.inputs
            if not argument.optional or (unit.name, method.name, argument.name) in given
        ]

    def given(self) -> set[tuple[str, str, str]]:
        """(unit, method, input) of every tensor that a call passes."""
        found: set[tuple[str, str, str]] = set()
        for unit in self.whole.units:
            for method in unit.methods:
                for code in codes(method.body):
                    match code:
                        case plan.LayerCall(unit=called, method=name, args=arguments):
                            found |= {(called, name, a) for a, code in arguments.items() if code}
                        case plan.FunctionCall(name=called, args=arguments):
                            found |= {(called, called, a) for a, code in arguments.items() if code}
                            found |= {(called, "forward", a) for a, code in arguments.items() if code}
        return found

    def options(self, native: str) -> frozenset[str]:
        """The optional arguments and inputs of a native block that the file uses."""
        used = {name for called, _, name in self.given() if called == native}
        for unit in self.whole.units:
            for layer in made_layers(unit.construction):
                if layer.native and layer.unit == native:
                    used |= {name for name, expr in layer.arguments.items() if expr.value is not False}
        return frozenset(used)

    def unit(self, name: str) -> plan.Unit:
        return next(unit for unit in self.whole.units if unit.name == name)

    def needs_device(self, unit: plan.Unit) -> bool:
        """Whether a function makes tensors but gets none, so that its caller gives the device."""
        if unit.kind != "fn" or required(unit.methods[0]):
            return False
        return any(self.creates(code) for code in codes(unit.methods[0].body))

    def needs_dtype(self, unit: plan.Unit) -> bool:
        """Whether a function makes floats but gets none, so that its caller gives the dtype."""
        floats = [a for a in required(unit.methods[0]) if a.type.dtype == "float"]
        if unit.kind != "fn" or floats:
            return False
        return any(self.makes_floats(code) for code in codes(unit.methods[0].body))

    def makes_floats(self, code: plan.Code) -> bool:
        match code:
            case plan.Primitive(op="cast" | "one_hot" | "full" | "linspace") | plan.Draw():
                return code.type is None or code.type.dtype in ("float", "wide")
            case plan.FunctionCall(native=False, name=name):
                return self.needs_dtype(self.unit(name))
        return False

    def creates(self, code: plan.Code) -> bool:
        match code:
            case plan.Primitive(op=op):
                return op in CREATES
            case plan.FunctionCall(native=False, name=name):
                return self.needs_device(self.unit(name))
        return isinstance(code, plan.Draw)


def required(method: plan.MethodPlan) -> list[plan.TensorArgument]:
    """The inputs that are always given."""
    return [argument for argument in method.inputs if not argument.optional]


def made_layers(items: tuple[plan.Construction, ...]) -> Iterator[plan.MakeLayer]:
    """Every layer of a constructor."""
    for item in items:
        match item:
            case plan.MakeLayer():
                yield item
            case plan.MakeLoop(body=body):
                yield from made_layers(body)
            case plan.MakeConditional(body=body, orelse=orelse):
                yield from made_layers(body)
                yield from made_layers(orelse)


def codes(body: tuple[plan.Statement, ...]) -> Iterator[plan.Code]:
    """Every expression in a body, the inner ones too."""
    for statement in body:
        for code in own_codes(statement):
            yield from subcodes(code)
        match statement:
            case plan.Loop(body=inner) | plan.ScanLoop(body=inner):
                yield from codes(inner)
            case plan.Conditional(body=inner, orelse=orelse):
                yield from codes(inner)
                yield from codes(orelse)


def own_codes(statement: plan.Statement) -> tuple[plan.Code, ...]:
    match statement:
        case plan.Assign(value=value) | plan.UpdateState(value=value):
            return (value,)
        case plan.NewList(items=items):
            return items
        case plan.Append(item=item):
            return (item,)
        case plan.Return(values=values):
            return values
        case plan.ScanLoop(sources=sources, carried=carried, emitted=emitted):
            values = tuple(source.value for source in sources if source.value is not None)
            return (*values, *(code for _, code in carried), *(code for _, code in emitted))
    return ()


def subcodes(code: plan.Code) -> Iterator[plan.Code]:
    yield code
    inner: tuple[plan.Code | None, ...] = ()
    match code:
        case plan.Primitive(args=arguments):
            inner = arguments
        case plan.FunctionCall(args=named) | plan.LayerCall(args=named):
            inner = tuple(named.values())
        case plan.Result(call=called):
            inner = (called,)
        case plan.Choice(then=then, orelse=orelse):
            inner = (then, orelse)
        case plan.Sequence(items=items):
            inner = items
    for item in inner:
        if item is not None:
            yield from subcodes(item)


def assigned(body: tuple[plan.Statement, ...]) -> set[str]:
    """The variables that a body binds."""
    names: set[str] = set()
    for statement in body:
        match statement:
            case plan.Assign(targets=targets):
                names.update(targets)
            case plan.AssignStatic(target=target):
                names.add(target)
            case plan.NewList(name=name):
                names.add(name)
            case plan.Loop(body=inner):
                names |= assigned(inner)
            case plan.Conditional(body=inner, orelse=orelse):
                names |= assigned(inner) | assigned(orelse)
            case plan.ScanLoop(body=inner, emitted=emitted, carried=carried):
                names |= assigned(inner) | {n for n, _ in emitted} | {n for n, _ in carried}
    return names


class Scope:
    """One method or function (`method`), or the constructor (`method` None), of a unit."""

    def __init__(self, file: FileState, unit: plan.Unit, method: plan.MethodPlan | None) -> None:
        self.file = file
        self.unit = unit
        self.method = method
        self.reads: set[str] = set()
        """Constructor arguments that the method reads through `self`; "config" for the config."""
        self.locals: set[str] = set()
        """Sizes and compile-time variables that the printed text reads."""
        self.text = ExpressionPrinter(self.resolve, file.imports)
        self._float = self._find_float_source()
        self._tensor = self._find_tensor()

    # -------------------------------------------------- references

    def resolve(self, ref: Ref) -> Text:
        match ref.scope:
            case "given":
                return Text(f"{ref.name} is not None", Precedence.COMPARE)
            case "training":
                return self.training
            case "config":
                return Text(f"{self.config}.{ref.name}")
            case "self" if self.method is not None and self.unit.kind != "fn":
                self.reads.add(ref.name)
                return Text(f"self.{attribute(self.unit, ref.name)}")
        return self.size_of_input(ref.name) or self.local(ref.name)

    def local(self, name: str) -> Text:
        self.locals.add(name)
        return Text(name)

    def size_of_input(self, name: str) -> Text | None:
        """A size variable that has another name in this unit: the axis of an input with that size."""
        for argument in required(self.method) if self.method is not None else ():
            for axis, size in enumerate(argument.type.shape):
                if isinstance(size.value, Dim) and str(size.value) == name:
                    if isinstance(size, Ref) and size.scope == "local":
                        return self.local(size.name)
                    return Text(f"{argument.name}.shape[{axis}]")
        return None

    @property
    def config(self) -> str:
        if self.method is None:
            return "config"
        self.reads.add("config")
        return "self.config"

    @property
    def training(self) -> Text:
        return Text("training" if self.unit.kind == "fn" else "self.training")

    def helper(self, name: str) -> str:
        self.file.helpers.add(name)
        return name

    # -------------------------------------------------- dtype and device

    def _find_float_source(self) -> str | None:
        """An input with the model's dtype, one that the body does not bind again if there is one."""
        if self.method is None:
            return None
        floats = [a.name for a in required(self.method) if a.type.dtype == "float"]
        bound = assigned(self.method.body)
        return next((name for name in floats if name not in bound), floats[0] if floats else None)

    def _find_tensor(self) -> str | None:
        if self.method is None:
            return None
        if self._float:
            return self._float
        inputs = required(self.method)
        return inputs[0].name if inputs else self._own_weight()

    def _own_weight(self) -> str | None:
        """A weight of the unit with the model's dtype."""
        if self.unit.kind == "fn":
            return None
        for item in self.unit.construction:
            match item:
                case plan.MakeWeight(name=name):
                    return f"self.{name}"
                case plan.MakeLayer(name=name, native=True, unit=unit) if "weight" in BLOCKS[unit].starts:
                    return f"self.{name}.weight"
        return None

    @property
    def float_source(self) -> str | None:
        return self._float

    @property
    def device(self) -> str | None:
        if self.method is not None and self.file.needs_device(self.unit):
            return "device"
        return f"{self._tensor}.device" if self._tensor else None

    def dtype(self, name: str) -> Text:
        """`float` is the dtype of a tensor at hand, `wide` at least float32."""
        match name:
            case "float":
                return self._float_dtype()
            case "wide":
                return call("torch.promote_types", self._float_dtype(), "torch.float32")
        return Text(f"torch.{DTYPES[name]}")

    def _float_dtype(self) -> Text:
        if self.method is not None and self.file.needs_dtype(self.unit):
            return Text("dtype")
        source = self._float or (self._own_weight() if self.method is not None else None)
        return Text(f"{source}.dtype") if source else Text("torch.get_default_dtype()")

    def expr(self, expr: Expr) -> Text:
        return self.text(expr)


DTYPES = {
    "int": "int64", "bool": "bool", "f64": "float64", "f32": "float32", "bf16": "bfloat16",
    "f16": "float16",
}  # fmt: skip


def attributes(items: tuple[plan.Construction, ...]) -> set[str]:
    """The names of layers and weights."""
    names: set[str] = set()
    for item in items:
        match item:
            case plan.MakeLoop(lists=lists):
                names.update(lists)
            case plan.MakeConditional(body=body, orelse=orelse):
                names |= attributes(body) | attributes(orelse)
            case plan.MakeWeight(name=name) | plan.MakeLayer(name=name) | plan.MakeAbsent(name=name):
                names.add(name)
    return names


RESERVED = frozenset(
    ("forward", "training", "config", "type", "float", "half", "double", "to", "train", "eval", "cpu")
)


def attribute(unit: plan.Unit, argument: str) -> str:
    """The attribute that keeps a constructor argument: its name, unless a layer or weight has it."""
    taken = attributes(unit.construction) | {method.name for method in unit.methods} | RESERVED
    while argument in taken:
        argument += "_"
    return argument
