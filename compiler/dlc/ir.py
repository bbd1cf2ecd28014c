"""The typed intermediate representation: what elaboration makes and backends read.

A `Program` is a network's methods, elaborated once in evaluation and once in training mode, and every
`Definition` that they reach. A definition is one `(block or fn, parameters, input types)`; 48 equal
layers are one definition, called 48 times.

A definition's body is a `Region`: a sequence of nodes in execution order. Values are numbered, each is
made once (SSA). Four node kinds only group what was decided while compiling and run straight through:
`For` (one region per round), `Branch` (the taken side of an `if`), and `Bind` (a name given to a value).
So a body can be read flat, as a graph (`flat`), or with the structure of the text, as an emitter does.

Every compile-time value is an `Expr`: a value that remembers the expression it came from, over the
parameters and sizes of its definition, so that `4 * dim` stays `4 * dim`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from dlc.dims import Dim
from dlc_grammar.record import Struct


class Location(Struct):
    """A range of a `.dl` file; `file` is as the user named it, or `std/core.dl`."""

    file: str
    line: int
    column: int
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


# ---------------------------------------------------------------- compile-time expressions


Value: TypeAlias = Any
"""int, float, bool, str, None, Dim (a symbolic size), or a tuple of these."""


class Const(Struct):
    """A value written as itself."""

    kind: Literal["const"] = "const"
    value: Value


class Ref(Struct):
    """A name with a value: a parameter, a size, a loop variable. `scope` says which binding.

    `scope` is "" for the definition's own parameters and sizes, "given" for the presence of an optional
    input (value: bool), "training" for the mode, and a number as text for one round of one loop.
    """

    kind: Literal["ref"] = "ref"
    name: str
    value: Value
    scope: str = ""


class Operation(Struct):
    """An operator or compile-time function applied to expressions.

    `op`: `+ - * / // % ** neg == != < <= > >= and or not in "not in" if index tuple` and the functions
    `range enumerate zip reversed len ceil sum max min int sqrt log ...`; `call` is a `StaticFunction`, whose
    name is the first argument. Only inside of these, `slice` is what an index may be, and `comprehension` has
    its element, targets (a constant), iterable and perhaps a condition.
    """

    kind: Literal["operation"] = "operation"
    op: str
    args: tuple[Expr, ...]
    value: Value


Expr: TypeAlias = Const | Ref | Operation

# ---------------------------------------------------------------- compile-time functions


class Let(Struct):
    """`name = value`; several names take the items of a list."""

    kind: Literal["let"] = "let"
    names: tuple[str, ...]
    value: Expr


class When(Struct):
    """`if`, with what else is done (perhaps nothing)."""

    kind: Literal["when"] = "when"
    condition: Expr
    body: tuple[Step, ...]
    orelse: tuple[Step, ...] = ()


class Each(Struct):
    """`for`."""

    kind: Literal["each"] = "each"
    targets: tuple[str, ...]
    iterable: Expr
    body: tuple[Step, ...]


class Result(Struct):
    """`return`."""

    kind: Literal["result"] = "result"
    value: Expr


Step: TypeAlias = Let | When | Each | Result


class StaticFunction(Struct):
    """A compile-time function of the user, as its text has it: what is called stays a call.

    The expressions in it have no values; their references (scope "local") are its parameters and variables.
    `example` is a value of the result's type, that of a parameter is its reference's.
    """

    name: str
    doc: str = ""
    parameters: tuple[Ref, ...]
    defaults: Mapping[str, Const] = {}
    example: Value
    body: tuple[Step, ...]
    at: Location


# ---------------------------------------------------------------- types and values

DType: TypeAlias = Literal["float", "wide", "f64", "f32", "bf16", "f16", "int", "bool"]
"""`float` is the policy's dtype, `wide` at least f32 (f64 where the policy is f64)."""


class TensorType(Struct):
    """`float[B, T, 4 * dim]`. `shape` holds expressions whose values are int or Dim."""

    dtype: DType
    shape: tuple[Expr, ...]

    @property
    def sizes(self) -> tuple[int | Dim, ...]:
        return tuple(size.value for size in self.shape)

    @property
    def rank(self) -> int:
        return len(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(str(size) for size in self.sizes)}]"


class Tensor(Struct):
    """One SSA value: made by exactly one node (or an input, parameter, state)."""

    id: int
    type: TensorType


class Use(Struct):
    """An operand that is a tensor: the value and the variable through which the text reads it.

    `name` is None for the unnamed value of a nested expression.
    """

    kind: Literal["use"] = "use"
    id: int
    name: str | None = None


class Static(Struct):
    """An operand that is a compile-time number (`0.5`, `K ** -0.5`, or a symbolic size at run time)."""

    kind: Literal["static"] = "static"
    expr: Expr


class Weight(Struct):
    """An operand that is a parameter or state, of this definition (`path` of length 1) or of a named
    layer inside it (`("embed", "weight")`). `id` is its value number."""

    kind: Literal["weight"] = "weight"
    path: tuple[str, ...]
    id: int


Operand: TypeAlias = Use | Static | Weight

# ---------------------------------------------------------------- nodes


class NodeBase(Struct):
    origin: int
    """Identity of the syntax node this came from: equal in all elaborations of the same text."""
    at: Location


class Apply(NodeBase):
    """A primitive applied to operands. `attrs` are its compile-time arguments by name."""

    kind: Literal["apply"] = "apply"
    op: str
    inputs: tuple[Operand, ...]
    attrs: Mapping[str, Expr] = {}
    outputs: tuple[Tensor, ...]
    constant: bool = False
    """Computed while compiling, in float64 (inside `const`)."""


class Call(NodeBase):
    """A definition applied to tensors.

    `layer` is the name of the layer instance in this definition (its path segment, with loop indices in
    `index`); None for a function, and for another method of the same instance (the callee's kind is then
    "block" or "net": `self.encode(x)`, same path, same weights). `method` is a method of the layer's block,
    "forward" by default.
    `arguments` name each input of the callee: an operand, or None where an optional input is absent.
    `statics` and `sizes` give each parameter and size variable of the callee in terms of the caller.
    """

    kind: Literal["call"] = "call"
    callee: str
    layer: str | None = None
    index: tuple[int, ...] = ()
    method: str = "forward"
    arguments: Mapping[str, Operand | None]
    statics: Mapping[str, Expr] = {}
    sizes: Mapping[str, Expr] = {}
    outputs: tuple[Tensor, ...]
    constant: bool = False


class Bind(NodeBase):
    """`name = value` in the text. Lists and records bind element by element (`name` then is `x.out`)."""

    kind: Literal["bind"] = "bind"
    name: str
    value: Operand


class Sample(NodeBase):
    """A random draw with a name."""

    kind: Literal["sample"] = "sample"
    name: str
    distribution: Distribution
    output: Tensor


class Update(NodeBase):
    """The new value of a state, kept after a training step."""

    kind: Literal["update"] = "update"
    name: str
    value: Operand


class Round(Struct):
    """One round of a `For`: the loop variables' values and what the round did."""

    variables: Mapping[str, Ref]
    body: Region


class For(NodeBase):
    """A compile-time loop. All rounds run, one after the other."""

    kind: Literal["for"] = "for"
    targets: tuple[str, ...]
    iterable: Expr
    rounds: tuple[Round, ...]
    over: tuple[Operand, ...] = ()
    """The tensors walked, where the loop is over a list of tensors (then `targets` names one tensor)."""
    uniform: bool = False
    """All rounds do the same but for the layers' index: see the pass `roll_repeats`."""


class Branch(NodeBase):
    """A compile-time `if`; `taken` says which side `body` is.

    An `if` expression has a `result`: `output` is the same value as `result`.
    """

    kind: Literal["branch"] = "branch"
    condition: Expr
    taken: bool
    body: Region
    result: tuple[Operand, ...] = ()
    outputs: tuple[Tensor, ...] = ()


class Carry(Struct):
    """A scan-carried variable: its value before, inside at the start of a step, and at the step's end."""

    name: str
    initial: Operand
    inside: Tensor
    final: Operand
    output: Tensor


class ScanInput(Struct):
    """A scanned tensor (`operand`), whose slice along `axis` is `inside`; operand None: the step index."""

    name: str
    operand: Operand | None
    inside: Tensor


class Emission(Struct):
    name: str
    value: Operand
    output: Tensor


class Scan(NodeBase):
    """A run-time loop: the body runs `length` times; emitted values are stacked along `axis`."""

    kind: Literal["scan"] = "scan"
    inputs: tuple[ScanInput, ...]
    axis: int
    length: Expr
    carries: tuple[Carry, ...]
    body: Region
    emissions: tuple[Emission, ...]


class List(NodeBase):
    """A list of tensors made, extended or shortened at compile time (`skips = skips + [x]`).

    Only names it: `items` are the values the variable `name` holds afterwards. `edit` tells an emitter how
    the text changed it: "new", "append" (the last item is new), or "pop" (the last was dropped).
    """

    kind: Literal["list"] = "list"
    name: str
    items: tuple[Operand, ...]
    edit: Literal["new", "append", "pop"]


class Item(NodeBase):
    """`name[position]` of a list of tensors: `output` is the same value as `value`."""

    kind: Literal["item"] = "item"
    name: str
    position: Expr
    value: Operand
    output: Tensor


class Return(NodeBase):
    """The end of the body: always the last node that runs, perhaps inside a `Branch` (an early return)."""

    kind: Literal["return"] = "return"
    values: tuple[Operand, ...]


class Check(NodeBase):
    """A size condition that could not be decided: checked when the model runs.

    Its message may name sizes: `{T}`.
    """

    kind: Literal["check"] = "check"
    condition: Expr
    message: str


Node: TypeAlias = Apply | Call | Bind | Sample | Update | For | Branch | Scan | List | Item | Return | Check
Region: TypeAlias = tuple[Node, ...]

# ---------------------------------------------------------------- definitions


class Distribution(Struct):
    """What a parameter, state or sample is drawn from: `normal(0.0, 0.02)`."""

    name: str
    args: Mapping[str, Expr] = {}


class Input(Struct):
    """One input: `tensor` is None where an optional input is absent in this elaboration."""

    name: str
    tensor: Tensor | None
    optional: bool = False


class WeightDecl(Struct):
    """A `param` or `state`. Its path in the file of weights is the path of layers, then `name`."""

    kind: Literal["param", "state"]
    name: str
    tensor: Tensor
    init: Distribution
    at: Location


class Layer(Struct):
    """A layer instance: `name` is its path segment, `index` the rounds of the loops around it.

    `block` is the name of the block or native that it is built from, `family` identifies the block's
    text together with its block arguments; `statics` and `sizes` are its parameters in the caller's terms.
    `definitions` are the elaborations of its methods that are called.
    """

    name: str
    index: tuple[int, ...] = ()
    block: str
    family: str
    statics: Mapping[str, Expr]
    sizes: Mapping[str, Expr]
    definitions: tuple[str, ...]
    origin: int
    at: Location


class Output(Struct):
    name: str | None
    value: Operand
    type: TensorType


class Definition(Struct):
    """One elaborated block method or function; see the module's docstring."""

    id: str
    name: str
    """As the user wrote it: `Linear`, `rope`."""
    module: str
    """The file that declares it: `std/core.dl`, or the user's."""
    family: str
    """Equal for all elaborations of the same text with the same block arguments."""
    kind: Literal["block", "net", "fn"]
    method: str = "forward"
    doc: str = ""
    training: bool
    statics: Mapping[str, Expr] = {}
    """Each compile-time parameter by name: a `Ref` to itself, which holds the value."""
    sizes: Mapping[str, Expr] = {}
    """Each size variable bound by the inputs, likewise."""
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    weights: tuple[WeightDecl, ...] = ()
    layers: tuple[Layer, ...] = ()
    body: Region
    at: Location

    def __str__(self) -> str:
        from dlc.text import print_definition

        return print_definition(self)


class WeightSpec(Struct):
    """One tensor of the file of weights, by full path, with its size and initial distribution."""

    path: str
    kind: Literal["param", "state"]
    shape: tuple[int, ...]
    init: str
    init_args: Mapping[str, float] = {}
    at: Location


class Method(Struct):
    """A method of the network: the ids of its evaluation and training elaborations."""

    name: str
    eval: str
    train: str
    bare: tuple[str, str] | None = None
    """The same two without the optional inputs; None where it has none."""

    @property
    def elaborations(self) -> tuple[str, ...]:
        return (self.eval, self.train, *(self.bare or ()))


class Requirement(Struct):
    """A condition on the input sizes that callers must satisfy; part of the network's contract."""

    condition: str
    message: str
    expr: Expr
    at: Location


class Program(Struct):
    """A network, ready for passes and emission."""

    name: str
    """`LeNet5`, or `GPT2` for `GPT2.tiny`."""
    preset: str | None = None
    doc: str = ""
    source: str
    """The spec's file name, as the user wrote it."""
    parameters: Mapping[str, Expr] = {}
    """The network's own parameters and their values (its `Config`)."""
    methods: tuple[Method, ...]
    definitions: Mapping[str, Definition]
    weights: tuple[WeightSpec, ...]
    requirements: tuple[Requirement, ...] = ()
    functions: Mapping[str, StaticFunction] = {}
    """The compile-time functions that expressions call, those that others call first."""

    def method(self, name: str = "forward") -> Method:
        return next(m for m in self.methods if m.name == name)

    def definition(self, method: str = "forward", training: bool = False, bare: bool = False) -> Definition:
        """The elaboration of a method. `bare`: without its optional inputs."""
        found = self.method(method)
        ids = (found.bare or (found.eval, found.train)) if bare else (found.eval, found.train)
        return self.definitions[ids[training]]

    def __str__(self) -> str:
        from dlc.text import print_program

        return print_program(self)


def flat(region: Region) -> Iterator[Node]:
    """All nodes in execution order, `For` and `Branch` opened up (themselves not listed).

    Scans are one node each: their body runs many times.
    """
    for node in region:
        match node:
            case For():
                for step in node.rounds:
                    yield from flat(step.body)
            case Branch():
                yield from flat(node.body)
                yield node
            case _:
                yield node


def callees(region: Region) -> Iterator[str]:
    """The definitions that a region calls, scans included."""
    for node in flat(region):
        if isinstance(node, Call):
            yield node.callee
        elif isinstance(node, Scan):
            yield from callees(node.body)
