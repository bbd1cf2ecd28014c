"""What the parts of one generated file share: names of functions, what they need, helpers used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dlc.emit.naming import snake_case
from dlc.emit.plan import (
    Argument,
    Construction,
    FilePlan,
    FunctionCall,
    MakeConditional,
    MakeLayer,
    MakeLoop,
    MakeWeight,
    MethodPlan,
    Primitive,
    Unit,
)
from dlc.ir import Expr, TensorType
from dlc_jax.walking import all_codes, assigned, draws_in_evaluation, references

RESERVED = frozenset(
    [
        "params",
        "state",
        "key",
        "keys",
        "subkey",
        "training",
        "config",
        "dtype",
        "init",
        "apply",
        "load_weights",
        "init_state",
        "jax",
        "jnp",
        "np",
        "math",
        "Array",
        "Config",
        "NamedTuple",
        "dataclass",
        "load_file",
        "step",
    ]
)
FLOATS = frozenset(("float", "wide"))


def pascal(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


@dataclass
class File:
    """The plan, and what was asked for while its units were written."""

    plan: FilePlan
    helpers: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    functions: dict[tuple[str, str], str] = field(default_factory=dict)
    """The Python name of each (unit, method)."""
    dtype_needed: set[tuple[str, str]] = field(default_factory=set)
    """Functions that make floats and have no tensor or parameter at hand to take the dtype from."""
    evaluation_draws: set[str] = field(default_factory=set)
    """Units that draw when not training."""
    renamed: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.units: Mapping[str, Unit] = {unit.name: unit for unit in self.plan.units}
        local = self.local_names()
        for unit in self.plan.units:
            for method in unit.methods:
                self.functions[unit.name, method.name] = self.function_name(unit, method, local)
        self.function_names = frozenset(self.functions.values())
        for unit in self.plan.units:
            for method in unit.methods:
                if self.lacks_dtype(unit, method):
                    self.dtype_needed.add((unit.name, method.name))
                if method.random and draws_in_evaluation(method.body, frozenset(self.evaluation_draws)):
                    self.evaluation_draws.add(unit.name)

    def local_names(self) -> frozenset[str]:
        """Every name that some function of the file binds, and those of the functions that compute sizes."""
        names: set[str] = set()
        for unit in self.plan.units:
            names.update(function.name for function in unit.functions)
            names.update(table.name for table in unit.tables)
            names.update(argument.name for argument in unit.arguments)
            for method in unit.methods:
                names.update(each.name for each in method.inputs)
                names.update(each.name for each in method.statics)
                names.update(assigned(method.body))
        return frozenset(names)

    def function_name(self, unit: Unit, method: MethodPlan, local: frozenset[str]) -> str:
        main = method.name in ("forward", unit.name)
        if unit is self.plan.model:
            return "apply" if main else method.name
        if unit.kind == "fn":
            taken = unit.name in RESERVED or unit.name in local
            return unit.name + "_" if taken and unit.name in RESERVED else unit.name
        name = snake_case(unit.name)
        is_leaf = not any(isinstance(item, MakeLayer | MakeLoop) for item in unit.construction)
        free = name not in local and name not in RESERVED and name not in self.units
        if main:
            return name if is_leaf and free else f"apply_{name}"
        return f"{name}_{method.name}"

    # ------------------------------------------------------------ dtypes

    def lacks_dtype(self, unit: Unit, method: MethodPlan) -> bool:
        if method.constant or any(is_float_input(each.type) and not each.optional for each in method.inputs):
            return False
        if unit.kind != "fn" and self.first_weight(unit) is not None:
            return False
        return any(
            (
                isinstance(code, Primitive)
                and not code.constant
                and code.type is not None
                and code.type.dtype in FLOATS
            )
            or (
                isinstance(code, FunctionCall)
                and not code.constant
                and (
                    (code.name, code.name) in self.dtype_needed or (code.name, "forward") in self.dtype_needed
                )
            )
            for code in all_codes(method.body)
        )

    def first_weight(self, unit: Unit) -> str | None:
        """The path from a unit's parameters to some parameter: `.embed.weight`."""
        return self.weight_under(unit.construction)

    def weight_under(self, items: tuple[Construction, ...], indexed: str = "") -> str | None:
        for item in items:
            match item:
                case MakeWeight(state=False, name=name):
                    return f".{name}"
                case MakeLayer(name=name, unit=unit, native=False):
                    below = self.first_weight(self.units[unit])
                    if below is not None:
                        return f".{name}{indexed}{below}"
                case MakeLoop(body=body):
                    found = self.weight_under(body, indexed + "[0]")
                    if found is not None:
                        return found
        return None

    # ------------------------------------------------------------ arguments of init

    def init_arguments(self, unit: Unit, state: bool) -> tuple[Argument, ...]:
        """The constructor arguments that making the parameters (or the states) reads."""
        wanted = set(self.init_names(unit.construction, state))
        return tuple(argument for argument in unit.arguments if argument.name in wanted)

    def init_names(self, items: tuple[Construction, ...], state: bool) -> set[str]:
        found: set[str] = set()
        for item in items:
            for expr in self.init_exprs(item, state):
                found.update(ref.name for ref in references(expr))
            match item:
                case MakeLoop(body=body):
                    found |= self.init_names(body, state)
                case MakeConditional(body=body, orelse=orelse):
                    found |= self.init_names((*body, *orelse), state)
        return found

    def init_exprs(self, item: Construction, state: bool) -> tuple[Expr, ...]:
        match item:
            case MakeWeight() if item.state == state:
                return (*item.shape, *item.init.args.values())
            case MakeLayer(native=False) if not state or self.units[item.unit].stateful:
                wanted = self.init_arguments(self.units[item.unit], state)
                return tuple(item.arguments[argument.name] for argument in wanted)
            case MakeLoop() if self.makes(item, state):
                return (item.iterable, *(column.whole for column in item.columns))
            case MakeConditional() if self.makes(item, state):
                return (item.condition,)
        return ()

    def makes(self, item: Construction, state: bool) -> bool:
        """Whether a construction makes parameters (or, with `state`, states)."""
        match item:
            case MakeWeight():
                return item.state == state
            case MakeLayer(native=False, unit=unit):
                return not state or self.units[unit].stateful
            case MakeLoop(body=body):
                return any(self.makes(inner, state) for inner in body)
            case MakeConditional(body=body, orelse=orelse):
                return any(self.makes(inner, state) for inner in (*body, *orelse))
        return False

    def needs_key(self, item: Construction) -> bool:
        """Whether making it draws random numbers."""
        match item:
            case MakeWeight(state=False, init=init):
                return init.name not in ("zeros", "ones", "constant")
            case MakeLayer(native=False, unit=unit):
                return any(map(self.needs_key, self.units[unit].construction))
            case MakeLoop(body=body):
                return any(map(self.needs_key, body))
            case MakeConditional(body=body, orelse=orelse):
                return any(map(self.needs_key, (*body, *orelse)))
        return False


def is_float_input(type_: TensorType) -> bool:
    return type_.dtype in FLOATS


def output_class(unit: Unit, method: MethodPlan) -> str | None:
    """The class of a method's results, where they are several and have names."""
    names = [name for name, _, _ in method.outputs]
    if len(names) < 2 or None in names:
        return None
    main = method.name in ("forward", unit.name)
    return pascal(unit.name) + ("" if main else pascal(method.name)) + "Output"


def parameter_name(file: File, name: str) -> str:
    """The name of a function's parameter in the output."""
    clash = name in RESERVED or name in file.function_names or name in file.helpers
    return name + "_" if clash else name
