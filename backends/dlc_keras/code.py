"""Writes run-time expressions as Keras: `plan.Code` in, Python text out."""

from __future__ import annotations

from dlc.emit.einops import rearrangement
from dlc.emit.expressions import (
    ExpressionPrinter,
    Precedence,
    Text,
    call,
    choice,
    list_of,
    method,
    subscript,
    tuple_of,
)
from dlc.emit.plan import (
    Choice,
    Code,
    Draw,
    FunctionCall,
    LayerCall,
    ListItem,
    MakeWeight,
    MethodPlan,
    Number,
    Primitive,
    Result,
    Sequence,
    Unit,
    Variable,
    WeightRead,
)
from dlc.ir import Const, Expr, Ref, TensorType
from dlc_keras.distributions import draw_text
from dlc_keras.file import FLOATS, File
from dlc_keras.layout_rules import ELEMENTWISE
from dlc_keras.lowering import Application, Operand
from dlc_keras.names import method_name
from dlc_keras.natives import FUNCTIONS, LAYERS
from dlc_keras.primitives import PRIMITIVES
from dlc_keras.walking import assigned

DTYPES = {
    "int": '"int32"',
    "bool": '"bool"',
    "f64": '"float64"',
    "f32": '"float32"',
    "bf16": '"bfloat16"',
    "f16": '"float16"',
}


class Expressions:
    """The expressions of one function or method."""

    def __init__(self, file: File, unit: Unit, plan: MethodPlan) -> None:
        self.file, self.unit, self.method = file, unit, plan
        self.names: dict[str, str] = {}
        self.used = {
            *assigned(plan.body),
            *(one.name for one in plan.inputs),
            *(one.name for one in plan.statics),
        }
        self.printer = ExpressionPrinter(self.resolve, file.imports)
        self.table = plan.constant
        """Whether NumPy is written: a table made in advance."""
        self.tables: dict[str, TensorType | None] = {}
        """Variables that hold NumPy tables."""
        self.choosing = False
        """Whether the expression is one side of a choice, and must not be evaluated before it."""
        self.types: dict[str, TensorType | None] = {one.name: one.type for one in plan.inputs}
        """What is known of the variables so far: ranks and dtypes."""
        if self.table:
            file.imports.add("np")

    # ------------------------------------------------------------ names

    def name(self, name: str) -> str:
        return self.names.get(name) or self.file.variable(name)

    def fresh(self, name: str) -> str:
        """A name that nothing in the function has."""
        name = self.file.variable(name)
        while name in self.used:
            name += "_"
        self.used.add(name)
        return name

    def resolve(self, ref: Ref) -> Text | str:
        match ref.scope:
            case "self":
                return f"self.{self.file.attribute(ref.name)}"
            case "config" if self.unit is self.file.plan.model:
                return f"self.config.{ref.name}"
            case "config":
                return f"self.{self.file.attribute(ref.name)}"
            case "given":
                return Text(f"{self.name(ref.name)} is not None", Precedence.COMPARE)
            case "training":
                return "training"
        return self.name(ref.name)

    # ------------------------------------------------------------ what lowerings ask for

    def text(self, expr: Expr) -> Text:
        return self.printer(expr)

    def named(self, code: Text) -> Text:
        """The expression, or a variable that holds its value, so that it can stand more than once."""
        raise NotImplementedError

    def helper(self, name: str) -> str:
        if name in ("upsample_bilinear", "cumulative_product"):
            self.file.imports.add("np")
        return self.file.helper(name)

    def dtype(self, name: str) -> Text:
        if name not in ("float", "wide"):
            return Text(DTYPES[name])
        plain = "keras.config.floatx()" if self.unit.kind == "fn" else "self.compute_dtype"
        return Text(plain if name == "float" else f'keras.backend.result_type({plain}, "float32")')

    # ------------------------------------------------------------ codes

    def code(self, code: Code, dtype: str = "float") -> Text:
        """An expression where a tensor is wanted: tables become tensors of `dtype`."""
        if self.table or not self.is_table(code):
            return self.plain(code)
        text = self.table_text(code)
        kind = self.table_type(code)
        if kind is None or kind.dtype in FLOATS:
            return call("ops.convert_to_tensor", text, dtype=self.dtype(dtype))
        return call("ops.convert_to_tensor", text, dtype=Text(DTYPES[kind.dtype]))

    def table_text(self, code: Code) -> Text:
        """A constant expression in NumPy."""
        before, self.table = self.table, True
        self.file.imports.add("np")
        text = self.plain(code)
        self.table = before
        return text

    def is_table(self, code: Code) -> bool:
        match code:
            case Primitive(constant=constant) | FunctionCall(constant=constant):
                return constant
            case Variable(name=name):
                return name in self.tables
            case Choice(then=then, orelse=orelse):
                return self.is_table(then) and self.is_table(orelse)
        return False

    def table_type(self, code: Code) -> TensorType | None:
        return self.tables.get(code.name) if isinstance(code, Variable) else code.type

    def plain(self, code: Code) -> Text:
        match code:
            case Variable(name=name, field=field):
                return Text(f"{self.name(name)}.{field}" if field else self.name(name))
            case Number(expr=expr):
                return self.text(expr)
            case WeightRead():
                return self.weight(code)
            case Primitive():
                return self.primitive(code)
            case FunctionCall():
                return self.function(code)
            case LayerCall():
                return self.layer(code)
            case Draw():
                return self.draw(code)
            case ListItem(name=name, position=position):
                return subscript(Text(self.name(name)), self.text(position))
            case Result():
                return self.result(code)
            case Choice(condition=condition, then=then, orelse=orelse):
                before, self.choosing = self.choosing, True
                text = choice(self.text(condition), self.code(then), self.code(orelse))
                self.choosing = before
                return text
            case Sequence(items=items):
                return list_of(self.code(item) for item in items)
        raise AssertionError(f"no code: {code!r}")

    def weight(self, code: WeightRead, transposed: bool = False) -> Text:
        """A weight in the specification's layout; `transposed`: its transpose."""
        path = [self.file.attribute(name) for name in code.layer]
        native = LAYERS.get(code.unit or "") if code.unit not in self.file.units else None
        if native is None or not code.layer:
            return Text(".".join(("self", *path, self.file.attribute(code.name))))
        attribute, axes = native.weights[code.name]
        text = Text(".".join(("self", *path, attribute)))
        if axes == (1, 0):
            return text if transposed else call("ops.transpose", text)
        back = tuple(axes.index(axis) for axis in range(len(axes)))
        return text if back == axes else call("ops.transpose", text, str(back))

    def result(self, code: Result) -> Text:
        inner = self.code(code.call)
        if code.field is None or isinstance(code.call, Primitive):
            return subscript(inner, str(code.position))
        return Text(f"{inner.atom}.{code.field}")

    def primitive(self, code: Primitive) -> Text:
        args = code.args
        if code.op == "transpose" and code.attrs.get("axes", Const(value=None)).value is None:
            match args:
                case (WeightRead(unit="Linear") as weight,) if weight.layer:
                    return self.weight(weight, transposed=True)
        kind = code.type.dtype if code.type and code.type.dtype in FLOATS else "float"
        listed = None
        if code.op in ("concat", "stack") and len(args) == 1 and args[0].type is None:
            if isinstance(args[0], Sequence):
                args = args[0].items
            else:
                listed = self.code(args[0])
        if code.op == "cast" and self.is_table(args[0]) and not self.table:
            return self.code(args[0], str(code.attrs["dtype"].value))
        args = tuple(self.without_leading_ones(arg, args) if code.op in ELEMENTWISE else arg for arg in args)
        operands = [Operand(self.code(arg, kind), self.operand_type(arg)) for arg in args]
        xp = "np" if self.table else "ops"
        return PRIMITIVES[code.op](Application(code.op, operands, code.attrs, code.type, self, xp, listed))

    # ------------------------------------------------------------ calls

    def arguments(self, code: FunctionCall | LayerCall) -> list[Text]:
        """Tensors in order, then what is compile-time. Absent ones are None where others follow.

        (A `mask` by name would be taken by Keras for one that it should pass on.)
        """
        given = [Text("None") if value is None else self.code(value) for value in code.args.values()]
        while given and given[-1].code == "None":
            given.pop()
        if isinstance(code, FunctionCall):
            for name, expr in code.statics.items():
                given.append(Text(f"{self.file.variable(name)}={self.text(expr).item}"))
        if code.training:
            given.append(Text("training=training"))
        return given

    @property
    def seed(self) -> str:
        return "seed" if self.unit.kind == "fn" else "self.seed_generator"

    def function(self, code: FunctionCall) -> Text:
        if code.native:
            arguments = {n: self.code(value) for n, value in code.args.items() if value is not None}
            if code.name == "dropout" and not code.random:
                return arguments["x"]
            if code.random:
                arguments |= {"seed": Text(self.seed), "training": Text("training")}
            return FUNCTIONS[code.name].lower(arguments, code, self)
        given = self.arguments(code)
        if code.random:
            given.append(Text(f"seed={self.seed}"))
        return call(code.name, *given)

    def layer(self, code: LayerCall) -> Text:
        root = self.name(code.layer) if code.local else f"self.{self.file.attribute(code.layer)}"
        root += "".join(f"[{self.text(position)}]" for position in code.index)
        arguments = self.arguments(code)
        if code.method == "forward":
            return call(root, *arguments)
        return method(Text(root), method_name(code.method), *arguments)

    def draw(self, code: Draw) -> Text:
        assert code.type is not None
        shape = tuple_of(self.text(size) for size in code.type.shape)
        arguments = {name: self.text(expr) for name, expr in code.distribution.args.items()}
        return draw_text(code.distribution.name, arguments, shape, self.seed)

    def operand_type(self, code: Code) -> TensorType | None:
        """The type of an operand: its rank and dtype are right, its sizes may be those of one use."""
        match code:
            case Number():
                return None
            case Variable(type=None, field=None):
                return self.types.get(code.name)
            case WeightRead(type=None, layer=()):
                return own_types(self.unit).get(code.name)
        return code.type

    def without_leading_ones(self, code: Code, operands: tuple[Code, ...]) -> Code:
        """An operand without the leading axes of size 1 that broadcasting adds anyway."""
        if not isinstance(code, Primitive) or code.op != "rearrange":
            return code
        how = rearrangement(str(code.attrs["pattern"].value))
        plain = how.order is None and not (how.splits or how.merges or how.dropped or how.repeated)
        leading = plain and how.inserted == tuple(range(len(how.inserted)))
        kinds = [self.operand_type(one) for one in operands if one is not code]
        ranks = [kind.rank for kind in kinds if kind is not None]
        return code.args[0] if leading and max(ranks, default=0) >= len(how.right) else code


def own_types(unit: Unit) -> dict[str, TensorType]:
    """The types of the weights that a unit makes itself."""
    return {
        item.name: TensorType(dtype="float", shape=item.shape)
        for item in unit.construction
        if isinstance(item, MakeWeight)
    }
