"""Writes run-time expressions as JAX: `plan.Code` in, Python text out.

What an expression needs before it (a key to draw with, a layer call that returns a new state) is
written as statements of its own, in evaluation order, through `emit`.
"""

from __future__ import annotations

from collections.abc import Callable

from dlc.emit.expressions import ExpressionPrinter
from dlc.emit.plan import (
    Choice,
    Code,
    Draw,
    FunctionCall,
    LayerCall,
    ListItem,
    MethodPlan,
    Number,
    Primitive,
    Result,
    Sequence,
    Unit,
    Variable,
    WeightRead,
)
from dlc.ir import Expr, Ref, TensorType
from dlc_jax.distributions import draw_text
from dlc_jax.file import FLOATS, RESERVED, File, is_float_input, parameter_name
from dlc_jax.lowering import Application, Operand
from dlc_jax.natives import FUNCTIONS
from dlc_jax.primitives import PRIMITIVES
from dlc_jax.walking import (
    assigned,
    assignments,
    codes_in,
    draws,
    needs_statement,
    reads,
    weight_type,
)

DTYPES = {
    "int": "int",
    "bool": "bool",
    "f64": "jnp.float64",
    "f32": "jnp.float32",
    "bf16": "jnp.bfloat16",
    "f16": "jnp.float16",
}


class Expressions:
    """The expressions of one function; `emit` writes a statement before the one being written."""

    def __init__(self, file: File, unit: Unit, method: MethodPlan) -> None:
        self.file, self.unit, self.method = file, unit, method
        self.constants: set[str] = set()
        self.names: dict[str, str] = {}
        self.types: dict[str, TensorType | None] = {each.name: each.type for each in method.inputs}
        self.used = {
            *assigned(method.body),
            *(each.name for each in method.inputs),
            *(each.name for each in method.statics),
        }
        self.optional = frozenset(each.name for each in method.inputs if each.optional)
        self.printer = ExpressionPrinter(self.resolve, file.imports)
        self.single_key = draws(method.body) == 1
        self.keys_taken = 0
        self.pending_keys: list[str] = []
        """Keys of the statement being written, to be split off in front of it."""
        self.table = method.constant
        """Whether NumPy is written: a table made in advance."""
        self.targets: tuple[str, ...] = ()
        self.whole: tuple[Code, ...] = ()
        self.occupant: Code | None = None
        self.leaving = False
        """Whether the statement ends the function, so that its variables are free."""
        self.collecting = True
        """Whether new states are gathered; inside branches `state` is replaced at once."""
        self.new_states: dict[str, str] = {}
        self.dtype_source = self.find_dtype()

    def emit(self, code: str) -> None:
        raise NotImplementedError

    def emit_choice(self, condition: Expr, branches: tuple[Callable[[], None], Callable[[], None]]) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------ names

    def name(self, name: str) -> str:
        """A variable's name in the output."""
        if name in self.names:
            return self.names[name]
        clash = name in RESERVED or name in self.file.function_names or name in self.file.helpers
        return name + "_" if clash else name

    def fresh(self, name: str) -> str:
        """A name that nothing in the function has."""
        name = self.name(name)
        while name in self.used:
            name += "_"
        self.used.add(name)
        return name

    def resolve(self, ref: Ref) -> str:
        match ref.scope:
            case "config":
                return f"config.{ref.name}"
            case "given":
                return f"{self.name(ref.name)} is not None"
            case "training":
                return "training"
        return self.name(ref.name)

    # ------------------------------------------------------------ what lowerings ask for

    def text(self, expr: Expr) -> str:
        return str(self.printer(expr))

    def helper(self, name: str) -> str:
        self.file.helpers.add(name)
        return name

    def dtype(self, name: str) -> str:
        if name == "wide":
            return f"jnp.promote_types({self.dtype_source}, jnp.float32)"
        return self.dtype_source if name == "float" else DTYPES[name]

    def hold(self, text: str, label: str) -> str:
        name = self.fresh(label) if len(self.targets) != 1 else self.name(self.targets[0])
        if self.occupant is not None or any(reads(each, name) for each in self.whole):
            name = self.fresh(label)
        self.emit(f"{name} = {text}")
        return name

    def find_dtype(self) -> str:
        """Where new floats take their dtype from: an input, a parameter, or an argument."""
        rebound = {
            target
            for code_targets, kind in assignments(self.method)
            if kind != "float"
            for target in code_targets
        }
        for argument in self.method.inputs:
            if is_float_input(argument.type) and not argument.optional and argument.name not in rebound:
                return f"{self.name(argument.name)}.dtype"
        if self.unit.kind != "fn" and (weight := self.file.first_weight(self.unit)) is not None:
            return f"params{weight}.dtype"
        return "dtype"

    # ------------------------------------------------------------ codes

    def code(self, code: Code, dtype: str = "float") -> str:
        """An expression where a tensor is wanted: tables become arrays of `dtype`."""
        if self.table:
            return self.plain(code)
        if self.is_table(code):
            self.table = True
            text = self.plain(code)
            self.table = False
            kind = self.type_of(code)
            wanted = self.dtype(dtype) if kind is None or kind.dtype in FLOATS else None
            return f"jnp.asarray({text}, {wanted})" if wanted else f"jnp.asarray({text})"
        return self.plain(code)

    def is_table(self, code: Code) -> bool:
        match code:
            case Primitive(constant=constant) | FunctionCall(constant=constant):
                return constant
            case Variable(name=name):
                return name in self.constants
            case Choice(then=then, orelse=orelse):
                return self.is_table(then) and self.is_table(orelse)
        return False

    def type_of(self, code: Code) -> TensorType | None:
        """The type of a value, where it is known."""
        match code:
            case Variable(name=name, field=None):
                return self.types.get(name)
            case WeightRead(unit=unit, name=name):
                owner = self.unit if unit is None else self.file.units[unit]
                return weight_type(owner, name)
        return code.type

    def plain(self, code: Code) -> str:
        match code:
            case Variable(name=name, field=field):
                return f"{self.name(name)}.{field}" if field else self.name(name)
            case Number(expr=expr):
                return self.text(expr)
            case WeightRead():
                root = "state" if code.state else "params"
                return ".".join((root, *code.layer, code.name))
            case Primitive():
                return self.primitive(code)
            case FunctionCall():
                return self.function(code)
            case LayerCall():
                return self.layer(code)
            case Draw():
                return self.draw(code)
            case ListItem(name=name, position=position):
                return f"{self.name(name)}[{self.text(position)}]"
            case Result(call=inner, field=field, position=position):
                return f"{self.code(inner)}.{field}" if field else f"({self.code(inner)})[{position}]"
            case Choice():
                return self.choice(code)
            case Sequence(items=items):
                return f"[{', '.join(map(self.code, items))}]"
        raise AssertionError(f"no code: {code!r}")

    def primitive(self, code: Primitive) -> str:
        kind = code.type.dtype if code.type and code.type.dtype in FLOATS else "float"
        listed = None
        args = code.args
        if len(args) == 1 and code.op in ("concat", "stack") and not isinstance(args[0], Sequence):
            if isinstance(args[0], Variable) and self.types.get(args[0].name) is None:
                listed = self.code(args[0])
        elif len(args) == 1 and isinstance(args[0], Sequence):
            args = args[0].items
        if code.op == "cast" and self.is_table(args[0]) and not self.table:
            return self.code(args[0], str(code.attrs["dtype"].value))
        operands = [
            Operand(self.code(each, kind), self.type_of(each), isinstance(each, Number)) for each in args
        ]
        application = Application(
            code.op, operands, code.attrs, code.type, self, "np" if self.table else "jnp", listed
        )
        if self.table:
            self.file.imports.add("np")
        return PRIMITIVES[code.op](application)

    def choice(self, code: Choice) -> str:
        if any(isinstance(c, LayerCall | Draw | FunctionCall) and needs_statement(c) for c in codes_in(code)):
            return self.hoisted_choice(code)
        then, orelse = self.code(code.then), self.code(code.orelse)
        return f"({then}) if ({self.text(code.condition)}) else ({orelse})"

    def hoisted_choice(self, code: Choice) -> str:
        label = next(c.layer for c in codes_in(code) if isinstance(c, LayerCall))
        name = self.place(code, label)

        def branch(side: Code) -> Callable[[], None]:
            def write() -> None:
                saved = self.targets, self.whole, self.occupant
                self.targets, self.whole, self.occupant = (name,), (side,), None
                text = self.code(side)
                self.targets, self.whole, self.occupant = saved
                if text != name:
                    self.emit(f"{name} = {text}")

            return write

        self.emit_choice(code.condition, (branch(code.then), branch(code.orelse)))
        return name

    # ------------------------------------------------------------ calls

    def arguments(self, unit: Unit | None, code: FunctionCall | LayerCall, method: str) -> list[str]:
        """Tensors in order, by name behind an absent one; then what is compile-time."""
        given: list[str] = []
        skipped = False
        for name, value in code.args.items():
            if value is None:
                skipped = True
                continue
            text = self.code(value)
            given.append(f"{parameter_name(self.file, name)}={text}" if skipped else text)
        is_model = unit is self.file.plan.model
        for name, expr in ({} if is_model else code.statics).items():
            given.append(f"{parameter_name(self.file, name)}={self.text(expr)}")
        if is_model and self.file.plan.config:
            given.append("config=config")
        if unit is not None and (unit.name, method) in self.file.dtype_needed:
            given.append(f"dtype={self.dtype('float')}")
        if code.training:
            given.append("training=training")
        if code.random:
            given.append(f"key={self.key()}")
        return given

    def function(self, code: FunctionCall) -> str:
        if code.native:
            arguments = {name: self.code(value) for name, value in code.args.items() if value is not None}
            if code.training:
                arguments["training"] = "training"
            if code.random:
                arguments["key"] = self.key()
            return FUNCTIONS[code.name](arguments, code, self)
        unit = self.file.units[code.name]
        method = unit.methods[0].name
        name = self.file.functions[unit.name, method]
        return f"{name}({', '.join(self.arguments(unit, code, method))})"

    def layer(self, code: LayerCall) -> str:
        unit = self.file.units[code.unit]
        function = self.file.functions[code.unit, code.method]
        root = self.root(code, "params")
        arguments = self.arguments(unit, code, code.method)
        if not code.stateful:
            return f"{function}({', '.join([root, *arguments])})"
        state = self.state_of(code)
        text = f"{function}({', '.join([root, state, *arguments])})"
        return self.stateful(code, text)

    def root(self, code: LayerCall, tree: str) -> str:
        """Where a layer's parameters (or states) are."""
        if code.local:
            return tree if code.layer == "self" else self.name(code.layer)
        return f"{tree}.{code.layer}" + "".join(f"[{self.text(i)}]" for i in code.index)

    def state_of(self, code: LayerCall) -> str:
        if code.layer == "self" or code.index:
            return self.root(code, "state")
        if code.local:
            return self.state_name(code.layer)
        return self.new_states.get(code.layer, f"state.{code.layer}")

    def state_name(self, layer: str) -> str:
        return f"{self.name(layer)}_state"

    def stateful(self, code: LayerCall, text: str) -> str:
        """Writes `x, norm_state = batch_norm(...)` and returns `x`."""
        if self.targets and len(self.whole) == 1 and self.whole[0] is code:
            targets = [self.name(target) for target in self.targets]
            value = targets[0] if len(targets) == 1 else f"({', '.join(targets)})"
        else:
            value = self.place(code, code.layer)
        if code.layer == "self":
            self.emit(f"{value}, state = {text}")
        elif code.local or self.collecting:
            new = self.state_name(code.layer)
            self.emit(f"{value}, {new} = {text}")
            if not code.local:
                self.new_states[code.layer] = new
        else:
            new = self.state_name(code.layer)
            self.emit(f"{value}, {new} = {text}")
            self.emit(f"state = state._replace({code.layer}={new})")
        return value

    def place(self, code: Code, label: str) -> str:
        """A variable for a value that must be computed before the statement in which it stands."""
        if len(self.targets) == 1:
            target = self.targets[0]
            outside = sum(reads(each, target) for each in self.whole) - reads(code, target)
            free = self.occupant is None or any(inner is self.occupant for inner in codes_in(code))
            if not outside and free:
                self.occupant = code
                return self.name(target)
        if self.leaving and isinstance(code, LayerCall):
            first = next(iter(code.args.values()))
            if isinstance(first, Variable) and first.field is None:
                outside = sum(reads(each, first.name) for each in self.whole) - reads(code, first.name)
                if not outside and first.name not in self.optional:
                    return self.name(first.name)
        return self.fresh(label)

    # ------------------------------------------------------------ random numbers

    def key(self) -> str:
        """A key that nothing else uses."""
        if self.single_key:
            return "key"
        self.keys_taken += 1
        name = "subkey" if self.keys_taken == 1 else f"subkey{self.keys_taken}"
        self.pending_keys.append(name)
        return name

    def draw(self, code: Draw) -> str:
        assert code.type is not None
        sizes = [self.text(size) for size in code.type.shape]
        shape = f"({', '.join(sizes)},)" if len(sizes) == 1 else f"({', '.join(sizes)})"
        arguments = {name: self.text(expr) for name, expr in code.distribution.args.items()}
        return draw_text(code.distribution.name, arguments, self.key(), shape, self.dtype("float"))
