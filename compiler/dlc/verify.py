"""The invariants of the IR, checked: a failure is a mistake of the compiler, never of the user.

In: a program. Out: nothing, or `InvalidIR` with a message that names the definition and the node. Sizes are
compared as values: a callee is elaborated for the sizes of its caller, so both speak of the same variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from dlc import dims, ir
from dlc.dims import Dim
from dlc.size_equations import Refuted, decide_equal

NONE: frozenset[str] = frozenset()
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "reshape": ("shape",),
    "rearrange": ("pattern",),
    "repeat": ("pattern",),
    "einsum": ("equation",),
    "broadcast": ("shape",),
    "concat": ("axis",),
    "split": ("sizes",),
    "index": ("subscripts",),
    "flip": ("axis",),
    "pad": ("pads",),
    "one_hot": ("size",),
    "full": ("shape",),
    "cast": ("dtype",),
    "top_k": ("k",),
    "linspace": ("start", "stop", "count"),
    "segment_sum": ("count",),
    "segment_max": ("count",),
}
"""Attributes without which a primitive means nothing."""


class InvalidIR(AssertionError):
    """A program breaks an invariant of the IR."""


def verify(program: ir.Program, opaque: frozenset[str] = NONE) -> None:
    """Raise InvalidIR if the program is not well formed.

    `opaque` are definitions of which only the signature counts: what a backend writes in its own words.
    """
    facts = divisors(program)
    equal: dict[tuple[Any, Any], bool] = {}
    for key, definition in program.definitions.items():
        if key != definition.id:
            raise InvalidIR(f"{key}: the definition calls itself {definition.id}")
        if key not in opaque:
            _Body(program, definition, facts, equal).verify()
    for method in program.methods:
        for key in method.elaborations:
            if key not in program.definitions:
                raise InvalidIR(f"method {method.name}: {key} is not defined")
            _weights_listed(program, program.definitions[key])


def _weights_listed(program: ir.Program, root: ir.Definition) -> None:
    """Every parameter and state that a method reaches has its entry in the file of weights."""
    listed = {weight.path for weight in program.weights}
    todo = [(root, "")]
    while todo:
        definition, prefix = todo.pop()
        for weight in definition.weights:
            if prefix + weight.name not in listed:
                raise InvalidIR(f"{definition.id}: {prefix}{weight.name} is not among the program's weights")
        for layer in definition.layers:
            path = prefix + ".".join((layer.name, *map(str, layer.index))) + "."
            callees = (program.definitions.get(key) for key in layer.definitions)
            todo.extend((callee, path) for callee in callees if callee is not None)


def divisors(program: ir.Program) -> Mapping[str, int | Dim]:
    """What `require H % 8 == 0` says: each such variable as a multiple of a new one."""
    found: dict[str, int | Dim] = {}
    for requirement in program.requirements:
        match requirement.expr:
            case ir.Operation(op="==", args=(ir.Operation(op="%", args=(size, divisor)), _)):
                if isinstance(size.value, Dim) and isinstance(divisor.value, int):
                    names = dims.variables(size.value)
                    if len(names) == 1 and size.value == dims.variable(*names):
                        found[next(iter(names))] = divisor.value * size.value
    return found


def weight_exists(program: ir.Program, definition: ir.Definition, path: tuple[str, ...]) -> bool:
    """Whether `path` leads to a parameter or state of the definition or of a layer in it."""
    if len(path) == 1 and any(weight.name == path[0] for weight in definition.weights):
        return True
    for layer in definition.layers:
        prefix = (*layer.name.split("."), *map(str, layer.index))
        if path[: len(prefix)] == prefix:
            for key in layer.definitions:
                callee = program.definitions.get(key)
                if callee is None or weight_exists(program, callee, path[len(prefix) :]):
                    return True
    return False


class _Body:
    """One definition while it is checked. `types` are the values made so far that are in scope."""

    def __init__(
        self,
        program: ir.Program,
        definition: ir.Definition,
        facts: Mapping[str, int | Dim],
        equal: dict[tuple[Any, Any], bool],
    ) -> None:
        self.program, self.definition, self.facts, self.equal = program, definition, facts, equal
        self.types: dict[int, ir.TensorType | None] = {}
        self.made: set[int] = set()
        self.layers = {(layer.name, layer.index): layer for layer in definition.layers}
        self.states = {w.name: w.tensor.type for w in definition.weights if w.kind == "state"}
        self.paths: dict[tuple[str, ...], bool] = {}
        self.node: ir.Node | None = None
        self.handlers: Mapping[type, Callable[[Any], None]] = {
            ir.Apply: self._apply,
            ir.Call: self._call,
            ir.Bind: self._bind,
            ir.Sample: self._sample,
            ir.Update: self._update,
            ir.For: self._for,
            ir.Branch: self._branch,
            ir.Scan: self._scan,
            ir.List: self._list,
            ir.Item: self._item,
            ir.Return: self._return,
            ir.Check: self._check,
        }

    def fail(self, message: str) -> NoReturn:
        """Raise InvalidIR for the current node."""
        node = self.node
        where = "" if node is None else f", {node.kind} (origin {node.origin}) at {node.at}"
        raise InvalidIR(f"{self.definition.id}{where}: {message}")

    def verify(self) -> None:
        definition = self.definition
        self.make([item.tensor for item in definition.inputs if item.tensor is not None])
        self.make([weight.tensor for weight in definition.weights])
        for item in definition.inputs:
            if item.tensor is None and not item.optional:
                self.fail(f"the input {item.name} is absent, and not optional")
        for layer in definition.layers:
            for key in layer.definitions:
                if key not in self.program.definitions:
                    self.fail(f"{key} of the layer {layer.name} is not defined")
        self.region(definition.body)
        self.node = None
        if not _returns(definition.body):
            self.fail("the body does not end with a return")
        for output in definition.outputs:
            self.same(output.type, self.operand(output.value), f"the output {output.name or '_'}")

    # ------------------------------------------------------------ values

    def make(self, tensors: Iterable[ir.Tensor]) -> None:
        for tensor in tensors:
            if tensor.id in self.made:
                self.fail(f"%{tensor.id} is made twice")
            self.made.add(tensor.id)
            self.types[tensor.id] = tensor.type

    def operand(self, operand: ir.Operand) -> ir.TensorType | None:
        """The type of an operand that must be in scope; None where a number has several types."""
        if type(operand) is ir.Use:
            if operand.id not in self.types:
                self.fail(f"%{operand.id} is used before it is made")
            return self.types[operand.id]
        if type(operand) is ir.Weight:
            return self.weight(operand)
        return None

    def weight(self, operand: ir.Weight) -> ir.TensorType | None:
        if operand.path not in self.paths:
            self.paths[operand.path] = weight_exists(self.program, self.definition, operand.path)
        if not self.paths[operand.path]:
            self.fail(f"there is no parameter or state {'.'.join(operand.path)}")
        return self.types.setdefault(operand.id, None)

    def same(self, expected: ir.TensorType, actual: ir.TensorType | None, what: str) -> None:
        """Two types are equal by value, given what the program requires of its sizes."""
        if actual is None or actual is expected:
            return
        if expected.dtype != actual.dtype or len(expected.shape) != len(actual.shape):
            self.fail(f"{what} is {actual}, not {expected}")
        for left, right in zip(expected.shape, actual.shape, strict=True):
            if left.value is not right.value and left.value != right.value:
                self._equal(left.value, right.value, f"{what} is {actual}, not {expected}")

    def _equal(self, left: Any, right: Any, message: str) -> None:
        if (left, right) not in self.equal:
            a, b = (dims.substitute(d, self.facts) if isinstance(d, Dim) else d for d in (left, right))
            self.equal[left, right] = a == b or not isinstance(decide_equal(a, b), Refuted)
        if not self.equal[left, right]:
            self.fail(message)

    # ------------------------------------------------------------ nodes

    def region(self, region: ir.Region) -> None:
        handlers = self.handlers
        for node in region:
            self.node = node
            handlers[type(node)](node)

    def _apply(self, node: ir.Apply) -> None:
        for operand in node.inputs:
            self.operand(operand)
        for name in REQUIRED.get(node.op, ()):
            if name not in node.attrs:
                self.fail(f"{node.op} has no attribute {name}")
        if not node.outputs:
            self.fail(f"{node.op} makes nothing")
        self.make(node.outputs)

    def _call(self, node: ir.Call) -> None:
        callee = self.program.definitions.get(node.callee)
        if callee is None:
            self.fail(f"{node.callee} is not defined")
        if node.layer is not None and (node.layer, node.index) not in self.layers:
            self.fail(f"there is no layer {node.layer}{node.index or ''}")
        if node.layer is None and callee.kind != "fn" and callee.family != self.definition.family:
            self.fail(f"{node.callee} is a method of something else")
        if node.method != callee.method:
            self.fail(f"{node.callee} is the method {callee.method}, not {node.method}")
        unknown = node.arguments.keys() - {item.name for item in callee.inputs}
        if unknown:
            self.fail(f"{node.callee} has no input {', '.join(sorted(unknown))}")
        for item in callee.inputs:
            self._argument(node, item)
        if len(node.outputs) != len(callee.outputs):
            self.fail(f"{node.callee} has {len(callee.outputs)} results, not {len(node.outputs)}")
        for tensor, output in zip(node.outputs, callee.outputs, strict=True):
            self.same(output.type, tensor.type, f"the result {output.name or '_'} of {node.callee}")
        self.make(node.outputs)

    def _argument(self, node: ir.Call, item: ir.Input) -> None:
        operand = node.arguments.get(item.name)
        if (operand is None) != (item.tensor is None):
            state = "is missing" if operand is None else "is given, and absent inside"
            self.fail(f"{item.name} of {node.callee} {state}")
        if operand is not None and item.tensor is not None:
            self.same(item.tensor.type, self.operand(operand), f"{item.name} of {node.callee}")

    def _bind(self, node: ir.Bind) -> None:
        self.operand(node.value)

    def _sample(self, node: ir.Sample) -> None:
        self.make((node.output,))

    def _update(self, node: ir.Update) -> None:
        if node.name not in self.states:
            self.fail(f"{node.name} is not a state")
        self.same(self.states[node.name], self.operand(node.value), f"the new {node.name}")

    def _for(self, node: ir.For) -> None:
        for operand in node.over:
            self.operand(operand)
        for step in node.rounds:
            self.region(step.body)
            self.node = node

    def _branch(self, node: ir.Branch) -> None:
        self.region(node.body)
        self.node = node
        if len(node.result) != len(node.outputs):
            self.fail(f"{len(node.result)} results for {len(node.outputs)} values")
        for tensor, operand in zip(node.outputs, node.result, strict=True):
            self.same(tensor.type, self.operand(operand), f"%{tensor.id}")
        self.make(node.outputs)

    def _scan(self, node: ir.Scan) -> None:
        for item in node.inputs:
            if item.operand is not None:
                self.operand(item.operand)
        for carry in node.carries:
            self.same(carry.inside.type, self.operand(carry.initial), f"the initial {carry.name}")
        outside = dict(self.types)
        self.make(item.inside for item in node.inputs)
        self.make(carry.inside for carry in node.carries)
        self.region(node.body)
        self.node = node
        for carry in node.carries:
            self.same(carry.inside.type, self.operand(carry.final), f"the next {carry.name}")
            self.same(carry.inside.type, carry.output.type, f"the last {carry.name}")
        for emission in node.emissions:
            value = self.operand(emission.value)
            if value is not None and value.rank + 1 != emission.output.type.rank:
                self.fail(f"{emission.name} is {emission.output.type}, of steps {value}")
        self.types = outside
        self.make(carry.output for carry in node.carries)
        self.make(emission.output for emission in node.emissions)

    def _list(self, node: ir.List) -> None:
        for operand in node.items:
            self.operand(operand)

    def _item(self, node: ir.Item) -> None:
        self.same(node.output.type, self.operand(node.value), f"%{node.output.id}")
        self.make((node.output,))

    def _return(self, node: ir.Return) -> None:
        if len(node.values) != len(self.definition.outputs):
            self.fail(f"{len(node.values)} values for {len(self.definition.outputs)} outputs")
        for operand in node.values:
            self.operand(operand)

    def _check(self, node: ir.Check) -> None:
        pass


def _returns(region: ir.Region) -> bool:
    """Whether the last node that runs is the return."""
    match region[-1] if region else None:
        case ir.Return():
            return True
        case ir.Branch(body=body):
            return _returns(body)
        case ir.For(rounds=(*_, last)):
            return _returns(last.body)
    return False
