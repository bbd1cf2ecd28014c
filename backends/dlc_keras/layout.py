"""The channels-last pass: images and sequences are stored as TensorFlow's convolutions want them.

In: a program in the specification's layout (`[N, C, H, W]`). Out: a program of the same meaning in which
the tensors around convolutions, pools and image norms are `[N, H, W, C]` (`[N, T, C]` in one dimension).
Axes, shapes and patterns are rewritten; where an operation needs the specification's order, a `transpose`
stands before it. Weights, and the inputs and outputs of the network, keep the specification's layout.
`layout_classes` decides which tensors change, `layout_rules` how each operation is then written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlc.ir import (
    Apply,
    Bind,
    Branch,
    Call,
    Const,
    Definition,
    Expr,
    For,
    Input,
    Item,
    Location,
    Node,
    Operand,
    Program,
    Region,
    Return,
    Sample,
    Scan,
    Static,
    Tensor,
    TensorType,
    Update,
    Use,
    Weight,
)
from dlc_grammar.record import replace
from dlc_keras.layout_classes import Collector, Orders, every_node, fixed_interfaces, made
from dlc_keras.layout_rules import (
    ELEMENTWISE,
    Order,
    Situation,
    conversion,
    identity,
    permuted,
    rewrite,
    stored_axis,
)

SLOTS = 64
"""How many operations may be inserted beside one operation, each with an origin of its own."""
ALIGNED = 32
"""The first slot of those that make an operand broadcast in the stored order."""
OUTPUTS = 48
"""The first slot of those behind an operation."""


def channels_last(program: Program) -> Program:
    """The program with images stored channels last; the same program where it has none."""
    orders = Collector(program).collect()
    if not orders.classes.marked:
        return program
    public = fixed_interfaces(program)
    definitions = {
        name: Rewriter(program, orders, definition, public).definition()
        for name, definition in program.definitions.items()
    }
    return replace(program, definitions=definitions)


def stored_type(declared: TensorType, order: Order) -> TensorType:
    if order == identity(len(order)):
        return declared
    return TensorType(dtype=declared.dtype, shape=tuple(declared.shape[axis] for axis in order))


class Rewriter:
    """Rewrites one definition."""

    def __init__(
        self, program: Program, orders: Orders, definition: Definition, public: frozenset[str]
    ) -> None:
        self.program, self.orders, self.old = program, orders, definition
        self.fixed, self.public = public, definition.id in public
        tensors = {one.tensor.id: one.tensor for one in definition.inputs if one.tensor}
        tensors |= {one.id: one for node in every_node(definition.body) for one in made(node)}
        self.types = {number: tensor.type for number, tensor in tensors.items()}
        self.results = tuple(one.value for one in definition.outputs)
        """The values returned, in the orders in which they are returned."""
        self.weight_types = _weight_types(program, definition)
        self.next: int = max([*tensors, *self.weight_types, 0]) + 1

    # -------------------------------------------------------- small helpers

    def fresh(self) -> int:
        self.next += 1
        return self.next - 1

    def order(self, number: int) -> Order:
        return self.orders.value(self.old.id, number, self.types[number].rank)

    def stored(self, tensor: Tensor) -> Tensor:
        return replace(tensor, type=stored_type(tensor.type, self.order(tensor.id)))

    def present(self, operand: Operand | None) -> Order | None:
        """The order in which an operand comes; None for scalars."""
        match operand:
            case Use(id=number) if number in self.types:
                return self.order(number)
            case Use(id=number) | Weight(id=number):
                return identity(self.weight_types[number].rank)
        return None

    def declared(self, operand: Operand) -> TensorType:
        match operand:
            case Use(id=number) if number in self.types:
                return self.types[number]
            case Use(id=number) | Weight(id=number):
                return self.weight_types[number]
        raise AssertionError(f"a scalar has no type: {operand}")

    def inserted(
        self, op: str, source: Operand, attrs: Mapping[str, Expr], result: Tensor, near: Node, slot: int
    ) -> Apply:
        return Apply(
            origin=-(abs(near.origin) * SLOTS + slot),
            at=near.at,
            op=op,
            inputs=(source,),
            attrs=attrs,
            outputs=(result,),
            constant=isinstance(near, Apply) and near.constant,
        )

    def converted(
        self, operand: Operand, wanted: Order, near: Node, slot: int, before: list[Node]
    ) -> Operand:
        """The operand in the wanted order: itself, or a transpose put into `before`."""
        present = self.present(operand)
        if present is None or present == wanted:
            return operand
        axes = {"axes": Const(value=conversion(present, wanted))}
        result = Tensor(id=self.fresh(), type=stored_type(self.declared(operand), wanted))
        before.append(self.inserted("transpose", operand, axes, result, near, slot))
        return Use(id=result.id)

    def delivered(self, tensor: Tensor, comes: Order, near: Node, slot: int, behind: list[Node]) -> Tensor:
        """The result that the operation makes, and behind it the transpose to the order of its class."""
        wanted = self.order(tensor.id)
        if comes == wanted:
            return self.stored(tensor)
        raw = Tensor(id=self.fresh(), type=stored_type(tensor.type, comes))
        axes = {"axes": Const(value=conversion(comes, wanted))}
        source = Use(id=raw.id)
        behind.append(self.inserted("transpose", source, axes, self.stored(tensor), near, slot))
        return raw

    # -------------------------------------------------------- the definition

    def definition(self) -> Definition:
        body: list[Node] = []
        at = _Anchor(self.old.at)
        inputs = tuple(self._input(one, at.node(i), body) for i, one in enumerate(self.old.inputs))
        body += self.region(self.old.body)
        outputs = tuple(
            replace(one, value=value, type=stored_type(one.type, self._result(position)))
            for position, (one, value) in enumerate(zip(self.old.outputs, self.results, strict=True))
        )
        update = {"inputs": inputs, "outputs": outputs, "body": tuple(body)}
        return replace(self.old, **update, statics=self._statics())

    def _statics(self) -> Mapping[str, Expr]:
        """The parameters; `axis` counts in the stored order of the first input."""
        order = self._axis_order(self.old)
        if order is None:
            return self.old.statics
        return {**self.old.statics, "axis": stored_axis(self.old.statics["axis"], order)}

    def _axis_order(self, definition: Definition) -> Order | None:
        """The order of the tensor that the parameter `axis` of a definition is about."""
        first = next((one for one in definition.inputs if one.tensor is not None), None)
        if "axis" not in definition.statics or first is None or first.tensor is None:
            return None
        return self.orders.input(definition.id, first.name, first.tensor.type.rank)

    def _input(self, one: Input, near: Node, body: list[Node]) -> Input:
        if one.tensor is None:
            return one
        if not self.public:
            return replace(one, tensor=self.stored(one.tensor))
        order = self.order(one.tensor.id)
        if order == identity(len(order)):
            return one
        entry = Tensor(id=self.fresh(), type=one.tensor.type)
        axes = {"axes": Const(value=order)}
        source = Use(id=entry.id, name=one.name)
        body.append(self.inserted("transpose", source, axes, self.stored(one.tensor), near, 0))
        renamed = Use(id=one.tensor.id)
        origin = -(abs(near.origin) * SLOTS + 1)
        body.append(Bind(origin=origin, at=near.at, name=one.name, value=renamed))
        return replace(one, tensor=entry)

    def _result(self, position: int) -> Order:
        """The order of one result."""
        rank = self.old.outputs[position].type.rank
        return identity(rank) if self.public else self.orders.output(self.old.id, position, rank)

    def _return(self, node: Return) -> list[Node]:
        before: list[Node] = []
        self.results = tuple(
            self.converted(value, self._result(position), node, position, before)
            for position, value in enumerate(node.values)
        )
        return [*before, replace(node, values=self.results)]

    # -------------------------------------------------------- nodes

    def region(self, region: Region) -> tuple[Node, ...]:
        return tuple(after for node in region for after in self.node(node))

    def node(self, node: Node) -> list[Node]:
        match node:
            case Apply():
                return self._apply(node)
            case Call():
                return self._call(node)
            case Sample():
                return [replace(node, output=self.stored(node.output))]
            case Update():
                before: list[Node] = []
                rank = len(self.present(node.value) or ())
                value = self.converted(node.value, identity(rank), node, 0, before)
                return [*before, replace(node, value=value)]
            case For():
                rounds = tuple(replace(one, body=self.region(one.body)) for one in node.rounds)
                return [replace(node, rounds=rounds)]
            case Branch():
                outputs = tuple(self.stored(one) for one in node.outputs)
                changed = {"body": self.region(node.body), "outputs": outputs}
                return [replace(node, **changed)]
            case Item():
                return [replace(node, output=self.stored(node.output))]
            case Scan():
                return self._scan(node)
            case Return():
                return self._return(node)
        return [node]

    def _apply(self, node: Apply) -> list[Node]:
        wanted = tuple(self.order(one.id) for one in node.outputs)
        if node.op in ELEMENTWISE or node.op == "broadcast":
            return self._elementwise(node, wanted[0])
        present = tuple(self.present(operand) for operand in node.inputs)
        result = rewrite(node.op, Situation(node.attrs, present, wanted))
        before: list[Node] = []
        behind: list[Node] = []
        inputs = tuple(
            operand if order is None else self.converted(operand, order, node, slot, before)
            for slot, (operand, order) in enumerate(zip(node.inputs, result.inputs, strict=True))
        )
        outputs = tuple(
            self.delivered(one, comes, node, OUTPUTS + slot, behind)
            for slot, (one, comes) in enumerate(zip(node.outputs, result.outputs, strict=True))
        )
        changed = {"inputs": inputs, "outputs": outputs, "attrs": result.attrs}
        return [*before, replace(node, **changed), *behind]

    def _elementwise(self, node: Apply, wanted: Order) -> list[Node]:
        before: list[Node] = []
        inputs = tuple(
            self._aligned(operand, wanted, node, slot, before) for slot, operand in enumerate(node.inputs)
        )
        changed: dict[str, object] = {"inputs": inputs}
        if node.op == "broadcast" and (shape := permuted(node.attrs["shape"], wanted)):
            changed["attrs"] = {**node.attrs, "shape": shape}
        outputs = tuple(self.stored(one) for one in node.outputs)
        return [*before, replace(node, **changed, outputs=outputs)]

    def _aligned(self, operand: Operand, wanted: Order, node: Node, slot: int, before: list[Node]) -> Operand:
        """An operand that broadcasts against a result of order `wanted`."""
        present = self.present(operand)
        if present is None or not present:
            return operand
        missing = len(wanted) - len(present)
        if missing == 0:
            return self.converted(operand, wanted, node, slot, before)
        plain, declared = identity(len(present)), self.declared(operand)
        operand = self.converted(operand, plain, node, slot, before)
        names = "abcd"
        axes = [names[axis - missing] if axis >= missing else "1" for axis in wanted]
        while axes[0] == "1":
            axes.pop(0)
        if axes == [names[axis] for axis in plain]:
            return operand
        pattern = Const(value=f"{' '.join(names[: len(plain)])} -> {' '.join(axes)}")
        sizes = tuple(Const(value=1) if axis == "1" else declared.shape[names.index(axis)] for axis in axes)
        result = Tensor(id=self.fresh(), type=TensorType(dtype=declared.dtype, shape=sizes))
        attrs: Mapping[str, Expr] = {"pattern": pattern, "sizes": Const(value=())}
        before.append(self.inserted("rearrange", operand, attrs, result, node, ALIGNED + slot))
        return Use(id=result.id)

    def _call(self, node: Call) -> list[Node]:
        callee = self.program.definitions[node.callee]
        public = callee.id in self.fixed
        before: list[Node] = []
        behind: list[Node] = []
        arguments: dict[str, Operand | None] = {}
        for slot, (name, operand) in enumerate(sorted(node.arguments.items())):
            arguments[name] = operand
            order = self.present(operand)
            if operand is not None and order is not None:
                wanted = identity(len(order))
                if not public:
                    wanted = self.orders.input(callee.id, name, len(order))
                arguments[name] = self.converted(operand, wanted, node, slot, before)
        outputs = []
        for slot, one in enumerate(node.outputs):
            rank = one.type.rank
            comes = identity(rank) if public else self.orders.output(callee.id, slot, rank)
            outputs.append(self.delivered(one, comes, node, OUTPUTS + slot, behind))
        statics = dict(node.statics)
        order = None if public else self._axis_order(callee)
        if order is not None and "axis" in statics:
            statics["axis"] = stored_axis(statics["axis"], order)
        kept = {name: arguments[name] for name in node.arguments}
        changed = {"arguments": kept, "outputs": tuple(outputs), "statics": statics}
        return [*before, replace(node, **changed), *behind]

    def _scan(self, node: Scan) -> list[Node]:
        """Scanned and emitted tensors keep the specification's order; carried ones their class's."""
        before: list[Node] = []
        start: list[Node] = []
        behind: list[Node] = []
        inputs = []
        for slot, source in enumerate(node.inputs):
            operand = source.operand
            if operand is not None:
                rank = self.declared(operand).rank
                operand = self.converted(operand, identity(rank), node, slot, before)
            plain = identity(source.inside.type.rank)
            inside = self.delivered(source.inside, plain, node, 16 + slot, start)
            inputs.append(replace(source, operand=operand, inside=inside))
        body = [*start, *self.region(node.body)]
        emissions = []
        for slot, emission in enumerate(node.emissions):
            rank = emission.output.type.rank
            value = self.converted(emission.value, identity(rank - 1), node, 32 + slot, body)
            output = self.delivered(emission.output, identity(rank), node, OUTPUTS + slot, behind)
            emissions.append(replace(emission, value=value, output=output))
        carries = []
        for slot, carry in enumerate(node.carries):
            order = self.order(carry.inside.id)
            ends = {
                "initial": self.converted(carry.initial, order, node, 24 + slot, before),
                "final": self.converted(carry.final, order, node, 40 + slot, body),
                "inside": self.stored(carry.inside),
                "output": self.stored(carry.output),
            }
            carries.append(replace(carry, **ends))
        changed = {
            "inputs": tuple(inputs),
            "body": tuple(body),
            "emissions": tuple(emissions),
            "carries": tuple(carries),
        }
        return [*before, replace(node, **changed), *behind]


class _Anchor:
    """Places at the border of a definition, to which transposes are attached."""

    def __init__(self, at: Location) -> None:
        self.at = at

    def node(self, position: int) -> Node:
        origin = (1 << 40) + position
        return Bind(origin=origin, at=self.at, name="", value=Static(expr=Const(value=0)))


def _weight_types(program: Program, definition: Definition) -> Mapping[int, TensorType]:
    """The types of the weights that a definition reads, its own and those of its layers."""
    types = {one.tensor.id: one.tensor.type for one in definition.weights}
    for node in every_node(definition.body):
        for operand in _operands(node):
            if isinstance(operand, Weight) and operand.id not in types:
                types[operand.id] = _find_weight(program, definition, operand.path)
    return types


def _operands(node: Node) -> Sequence[Operand | None]:
    match node:
        case Apply():
            return node.inputs
        case Call():
            return tuple(node.arguments.values())
        case Bind() | Update() | Item():
            return (node.value,)
        case Branch():
            return node.result
        case Return():
            return node.values
        case Scan():
            ends = [end for carry in node.carries for end in (carry.initial, carry.final)]
            return [*(one.operand for one in node.inputs), *ends]
    return ()


def _find_weight(program: Program, definition: Definition, path: Sequence[str]) -> TensorType:
    """The type of `embed.weight`, as seen from the unit that has the layer `embed`."""
    if len(path) == 1:
        return next(one.tensor.type for one in definition.weights if one.name == path[0])
    layer = next(one for one in definition.layers if path[0] == one.name)
    rest = path[1 + len(layer.index) :] if path[1].isdigit() else path[1:]
    for inner in (program.definitions[name] for name in layer.definitions):
        if len(rest) > 1 or any(one.name == rest[0] for one in inner.weights):
            return _find_weight(program, inner, rest)
    raise AssertionError(f"no weight {'.'.join(path)} in {definition.name}")
