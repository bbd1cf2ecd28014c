"""The neutral plan of a generated file: everything decided, nothing framework-specific.

The planner (`dlc.emit.planner`) merges all elaborations of one block into one `Unit`, so that a backend
prints one class per block, parameterised by the block's own parameters, with the loops and branches of
the text. A backend walks the plan and writes each piece in its framework's words; it decides no names,
no order and no structure.

Compile-time expressions are `dlc.ir.Expr` whose `Ref.scope` says where the value lives in the output:
"self" (an argument of the unit's constructor), "config" (a field of the network's `Config`), "local" (a
local variable: a loop variable, a size read from a shape), "given" (prints as `name is not None`) or
"training" (the mode).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from dlc.emit.forms import skeleton
from dlc.ir import Distribution, Expr, Location, Operation, StaticFunction, TensorType
from dlc_grammar.record import Struct


class Piece(Struct):
    """Whatever a plan is made of, besides values of the IR."""


# ---------------------------------------------------------------- run-time expressions


class Code(Piece):
    """A run-time expression. `type` is its tensor type (None for tuples), in the unit's own terms."""

    type: TensorType | None = None


class Variable(Code):
    """A local variable, or a field of one: `x`, `r.out` (`field` is "out", `position` its place)."""

    name: str
    field: str | None = None
    position: int = 0


class Number(Code):
    """A compile-time number (or a size known only at run time) used as a scalar operand."""

    expr: Expr


class WeightRead(Code):
    """A parameter or state: of this unit (`layer` empty) or of one of its layers (`embed.weight`).

    `layer` is the path of layer names; `unit` names the layer's unit or native (the last of the path).
    """

    layer: tuple[str, ...]
    name: str
    unit: str | None = None
    state: bool = False


class Primitive(Code):
    """A primitive applied: `op`, operands, and compile-time attributes by name (see reference/).

    `constant`: evaluated at construction in float64 NumPy, then cast where it meets a tensor.
    """

    op: str
    args: tuple[Code, ...]
    attrs: Mapping[str, Expr]
    constant: bool = False


class FunctionCall(Code):
    """A function of the file (`native` False: `name` is its unit) or a claimed std function.

    `args`: tensors by the function's own parameter names, None where an optional one is absent.
    `statics`: compile-time arguments by the parameter names of the unit (or of the std definition).
    `values`: how many results; with more than one, `fields` are their names (or None).
    """

    name: str
    native: bool
    args: Mapping[str, Code | None]
    statics: Mapping[str, Expr]
    values: int = 1
    fields: tuple[str | None, ...] = ()
    training: bool = False
    random: bool = False
    constant: bool = False


class LayerCall(Code):
    """A layer applied (or one of its methods).

    `layer` is the attribute, or the loop element variable where `local` is True ("self" for a method of
    the same instance). `index`: positions in the list of layers, outside the loop that walks it. `unit`
    names its unit, or the native. `statics`: what the method needs of its constructor arguments, in this
    method's terms (for frameworks whose layers are functions). `training`/`random`/`stateful`: what the
    callee needs.
    """

    layer: str
    local: bool
    unit: str
    native: bool
    method: str
    args: Mapping[str, Code | None]
    statics: Mapping[str, Expr]
    values: int = 1
    fields: tuple[str | None, ...] = ()
    training: bool = False
    random: bool = False
    stateful: bool = False
    index: tuple[Expr, ...] = ()


class Draw(Code):
    """A random draw of `shape` (in `type`) from `distribution`. `name` is the sample's name.

    Where the shape is that of an input of any rank, `like` names it, and `type` is documentation only.
    """

    name: str
    distribution: Distribution
    like: str | None = None


class ListItem(Code):
    """`name[position]` of a Python list of tensors."""

    name: str
    position: Expr


class Result(Code):
    """One result of a call with several: `call.field`, or `call[position]`."""

    call: Code
    field: str | None
    position: int


class Choice(Code):
    """`then if condition else orelse`, decided at construction."""

    condition: Expr
    then: Code
    orelse: Code


class Sequence(Code):
    """A Python list of tensors written out (`concat([a, b])` has its operands in `args` instead)."""

    items: tuple[Code, ...]


# ---------------------------------------------------------------- statements of a method


class Statement(Piece):
    """`origin` and `at` identify the syntax node whose value the statement computes."""

    origin: int
    at: Location


class ReadSizes(Statement):
    """`batch, time, dim = x.shape`: names of the sizes of `tensor` that are used, None where unused."""

    names: tuple[str | None, ...]
    tensor: str


class Assign(Statement):
    """`a = code`, or `a, b = code` for a call with several results. `comment`: the new shape, if any."""

    targets: tuple[str, ...]
    value: Code
    comment: str = ""


class AssignStatic(Statement):
    """A compile-time local that the text names and that is worth naming here."""

    target: str
    value: Expr


class NewList(Statement):
    name: str
    items: tuple[Code, ...]


class Append(Statement):
    name: str
    item: Code


class Pop(Statement):
    """Drop the last item."""

    name: str


class LoopLayer(Piece):
    """A list of layers walked by a loop: `element` is the variable of one round.

    `source` is the attribute, or (`local`) the element variable of the loop around.
    """

    source: str
    local: bool
    element: str
    unit: str
    native: bool


class SizeLoop(Piece):
    """A loop of a `SizeTable`: at the end of each round the size becomes `update` (None: it stays)."""

    targets: tuple[str, ...]
    iterable: Expr
    update: Expr | None


class SizeTable(Piece):
    """A function of the file: a size in every round of nested loops, each made from the one before.

    It returns a list for one loop, a list of lists for two. All references are local names: the
    parameters, the loops' targets, and `size` itself.
    """

    name: str
    size: str
    parameters: tuple[Argument, ...]
    start: Expr
    loops: tuple[SizeLoop, ...]

    def says(self) -> tuple[object, ...]:
        """Equal for tables of the same text, whatever their names and the values of the parameters."""
        loops = [(skeleton(p.iterable), p.update and skeleton(p.update)) for p in self.loops]
        return skeleton(self.start), *(
            (loop.targets, *said) for loop, said in zip(self.loops, loops, strict=True)
        )


class Column(Piece):
    """Values, one a round, that have no expression in scope: a table beside the loop.

    Where `table` is given, the table is that expression (a column of the loop around, or an argument).
    """

    name: str
    values: tuple[Expr, ...]
    table: Expr | None = None

    @property
    def whole(self) -> Expr:
        """The table as one expression."""
        if self.table is not None:
            return self.table
        return Operation(op="tuple", args=self.values, value=tuple(each.value for each in self.values))


class Loop(Statement):
    """A compile-time loop kept as a loop.

    Rounds are over `iterable` binding `targets` (targets unused in the body are listed in `unused`), beside
    the lists of `layers` and the tables of `columns`. `static_only` names targets and columns that only
    `LayerCall.statics` read: frameworks whose layers carry their own arguments need not bind them.
    `tensors` are variables that walk lists of tensors, beside the rest.
    """

    targets: tuple[str, ...]
    unused: frozenset[str]
    static_only: frozenset[str]
    iterable: Expr
    layers: tuple[LoopLayer, ...]
    columns: tuple[Column, ...]
    body: tuple[Statement, ...]
    rounds: int
    tensors: tuple[tuple[str, Code], ...] = ()


class Conditional(Statement):
    condition: Expr
    body: tuple[Statement, ...]
    orelse: tuple[Statement, ...] = ()


class ScanSource(Piece):
    """`inside` is the slice variable; `value` the scanned tensor, None for the step number."""

    inside: str
    value: Code | None


class ScanLoop(Statement):
    """A run-time loop over `axis`; carried variables keep their names; `emitted` name stacked results.

    `carried` pairs are (variable, initial value); after the loop the variable holds the last value.
    Each emission is (name of the stacked result, code computed at the end of a step).
    `reads`: variables of the surrounding scope that the body uses.
    """

    sources: tuple[ScanSource, ...]
    axis: int
    length: Expr
    carried: tuple[tuple[str, Code], ...]
    body: tuple[Statement, ...]
    emitted: tuple[tuple[str, Code], ...]
    reads: tuple[str, ...]
    training: bool = False
    random: bool = False
    stateful: bool = False


class UpdateState(Statement):
    name: str
    value: Code


class Assertion(Statement):
    """A condition on sizes checked when the method runs."""

    condition: Expr
    message: str


class Return(Statement):
    """`names` are the record's field names where it has them."""

    values: tuple[Code, ...]
    names: tuple[str | None, ...]


# ---------------------------------------------------------------- construction


class MakeWeight(Piece):
    """A parameter or state of the unit itself."""

    name: str
    state: bool
    shape: tuple[Expr, ...]
    init: Distribution
    at: Location


class MakeLayer(Piece):
    """A sublayer: `self.name = unit(**arguments)`; in a loop it is appended to the list `name`.

    For a native, `arguments` has every static and size of its std definition by name; for a unit, exactly
    the unit's constructor parameters.
    """

    name: str
    unit: str
    native: bool
    arguments: Mapping[str, Expr]
    at: Location
    inits: Mapping[str, Distribution] = {}
    """For a native: what each of its weights is drawn from, by name."""


class MakeAbsent(Piece):
    """No layer in this round: lists stay aligned with the loop."""

    name: str


class MakeLoop(Piece):
    """A loop that appends to each list in `lists`; nested loops append lists to lists."""

    targets: tuple[str, ...]
    unused: frozenset[str]
    iterable: Expr
    columns: tuple[Column, ...]
    lists: tuple[str, ...]
    body: tuple[Construction, ...]
    rounds: int


class MakeConditional(Piece):
    condition: Expr
    body: tuple[Construction, ...]
    orelse: tuple[Construction, ...] = ()


Construction: TypeAlias = MakeWeight | MakeLayer | MakeAbsent | MakeLoop | MakeConditional

# ---------------------------------------------------------------- units


class Argument(Piece):
    """A compile-time argument: its Python name, annotation ("int", "float", "bool", "tuple[int, ...]",
    "str", "int | None"), and the .dl name it stands for. `size`: it is a size variable of an input."""

    name: str
    annotation: str
    source: str
    size: bool = False


class TensorArgument(Piece):
    """A tensor input of a method. `shape` are axis names for documentation, from the .dl signature."""

    name: str
    type: TensorType
    optional: bool
    shape: tuple[str, ...]


class MethodPlan(Piece):
    """A method of a unit, or a function's only method.

    `statics` are the constructor arguments that the body needs, itself or in the calls it makes.
    """

    name: str
    inputs: tuple[TensorArgument, ...]
    outputs: tuple[tuple[str | None, TensorType, tuple[str, ...]], ...]
    statics: tuple[Argument, ...]
    body: tuple[Statement, ...]
    training: bool
    random: bool
    stateful: bool
    constant: bool = False


class Unit(Piece):
    """One class (block, net) or function of the generated file."""

    name: str
    kind: Literal["block", "net", "fn"]
    doc: str
    arguments: tuple[Argument, ...]
    construction: tuple[Construction, ...]
    methods: tuple[MethodPlan, ...]
    stateful: bool
    at: Location
    tables: tuple[SizeTable, ...] = ()
    """Functions that compute sizes for its loops."""
    functions: tuple[StaticFunction, ...] = ()
    """Compile-time functions of the text that it is the first to call."""


class ConfigField(Piece):
    name: str
    annotation: str
    value: object


class FilePlan(Piece):
    """A whole model file: units from small to large, the network last."""

    network: str
    preset: str | None
    source: str
    doc: str
    config: tuple[ConfigField, ...]
    units: tuple[Unit, ...]
    parameter_count: int
    natives: frozenset[str] = frozenset()
    """The names of std definitions that the backend's natives stand for in this file."""

    @property
    def model(self) -> Unit:
        return self.units[-1]
