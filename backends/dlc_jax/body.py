"""Writes the body of one function: `plan.Statement` in, lines in a `FileWriter` out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile

from dlc.emit.expressions import message
from dlc.emit.plan import (
    Append,
    Assertion,
    Assign,
    AssignStatic,
    Choice,
    Code,
    Conditional,
    FunctionCall,
    LayerCall,
    Loop,
    MakeConditional,
    MakeLayer,
    MakeLoop,
    MakeWeight,
    MethodPlan,
    NewList,
    Pop,
    Primitive,
    ReadSizes,
    Return,
    ScanLoop,
    Statement,
    Unit,
    UpdateState,
)
from dlc.emit.printer import FileWriter
from dlc.ir import Const, Expr, Operation, TensorType
from dlc_jax.code import Expressions
from dlc_jax.file import File, output_class
from dlc_jax.walking import all_codes, is_stateful, statements_in


class Body(Expressions):
    """The statements of one function."""

    def __init__(
        self,
        file: File,
        unit: Unit,
        method: MethodPlan,
        writer: FileWriter,
        unused: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(file, unit, method)
        self.unused = unused
        """Sizes that nothing in the printed function reads."""
        self.writer = writer
        self.inner_lists: dict[str, str] = {}
        """The list of new states of a nested loop, by the element of the loop around."""

    def split_keys(self) -> None:
        """Splits off the keys that the statement to be written uses."""
        if self.pending_keys:
            names = ", ".join(["key", *self.pending_keys])
            count = "" if len(self.pending_keys) == 1 else f", {len(self.pending_keys) + 1}"
            self.pending_keys.clear()
            self.writer.statement(f"{names} = jax.random.split(key{count})")

    def emit(self, code: str) -> None:
        self.split_keys()
        if code.partition(" = ")[0] != code.partition(" = ")[2]:
            self.writer.statement(code)

    def write(self, statements: Iterable[Statement]) -> None:
        pending = list(statements)
        while pending:
            updates = list(takewhile(lambda each: isinstance(each, UpdateState), pending))
            if updates:
                self.updates([each for each in updates if isinstance(each, UpdateState)])
                pending = pending[len(updates) :]
                continue
            self.begin(pending[0])
            self.statement(pending.pop(0))

    def begin(self, statement: Statement) -> None:
        """Forgets what belonged to the statement before."""
        self.targets, self.whole, self.occupant, self.keys_taken = (), (), None, 0
        self.leaving = isinstance(statement, Return)
        if isinstance(statement, Assign):
            self.targets, self.whole = statement.targets, (statement.value,)
        elif isinstance(statement, Return):
            self.whole = statement.values

    def line(self, code: str, statement: Statement, comment: str = "") -> None:
        self.split_keys()
        self.writer.statement(code, comment=comment, origin=statement.origin, at=statement.at)

    def statement(self, statement: Statement) -> None:
        match statement:
            case ReadSizes():
                self.read_sizes(statement)
            case Assign():
                self.assign(statement)
            case AssignStatic(target=target, value=value):
                self.line(f"{self.name(target)} = {self.text(value)}", statement)
            case NewList(name=name, items=items):
                self.line(f"{self.name(name)} = [{', '.join(map(self.code, items))}]", statement)
            case Append(name=name, item=item):
                self.line(f"{self.name(name)}.append({self.code(item)})", statement)
            case Pop(name=name):
                self.line(f"{self.name(name)}.pop()", statement)
            case Loop():
                self.loop(statement)
            case Conditional():
                self.conditional(statement)
            case ScanLoop():
                self.scan(statement)
            case Assertion(condition=condition, message=template):
                self.line(f"assert {self.text(condition)}, {message(template)}", statement)
            case Return():
                self.returned(statement)

    # ------------------------------------------------------------ simple statements

    def read_sizes(self, statement: ReadSizes) -> None:
        used = [None if name in self.unused else name for name in statement.names]
        named = [(axis, name) for axis, name in enumerate(used) if name is not None]
        if not named:
            return
        tensor = self.name(statement.tensor)
        if len(named) == 1 and len(statement.names) > 1:
            axis, name = named[0]
            self.line(f"{self.name(name)} = {tensor}.shape[{axis}]", statement)
            return
        targets = ["_" if name is None else self.name(name) for name in used]
        left = f"({targets[0]},)" if len(targets) == 1 else ", ".join(targets)
        self.line(f"{left} = {tensor}.shape", statement)

    def assign(self, statement: Assign) -> None:
        value = statement.value
        if isinstance(value, Choice) and is_stateful(value):
            name = self.code(value)
            self.emit(f"{self.name(statement.targets[0])} = {name}")
            return
        constant = self.is_table(value) and not self.table
        if constant:
            self.table = True
        text = self.code(value)
        if constant:
            self.table = False
        targets = ", ".join(map(self.name, statement.targets))
        if text not in (targets, f"({targets})"):
            self.line(f"{targets} = {text}", statement, statement.comment)
        kinds = self.result_types(value, len(statement.targets))
        for target, kind in zip(statement.targets, kinds, strict=True):
            self.types[target] = kind
            self.constants.discard(target)
            if constant:
                self.constants.add(target)

    def result_types(self, value: Code, count: int) -> Sequence[TensorType | None]:
        """The types of what an assignment binds."""
        match value:
            case Primitive(op="split", args=(operand,)) if count > 1:
                return [self.type_of(operand)] * count
            case FunctionCall(native=False, name=unit) if count > 1:
                return [kind for _, kind, _ in self.file.units[unit].methods[0].outputs]
            case LayerCall(unit=unit, method=name) if count > 1:
                methods = {method.name: method for method in self.file.units[unit].methods}
                return [kind for _, kind, _ in methods[name].outputs]
        return [self.type_of(value)] * count

    def updates(self, statements: Sequence[UpdateState]) -> None:
        """New values of the unit's own states, replaced together."""
        self.begin(statements[0])
        values = ", ".join(f"{each.name}={self.code(each.value)}" for each in statements)
        self.line(f"state = state._replace({values})", statements[0])

    def returned(self, statement: Return) -> None:
        values = [self.code(value) for value in statement.values]
        name = output_class(self.unit, self.method)
        if name is not None:
            fields = [field for field, _, _ in self.method.outputs]
            pairs = zip(fields, values, strict=True)
            result = f"{name}({', '.join(f'{field}={value}' for field, value in pairs)})"
        elif len(values) == 1:
            result = values[0]
        else:
            result = f"({', '.join(values)})" if self.method.stateful else ", ".join(values)
        if self.method.stateful:
            result = f"{result}, {self.final_state()}"
        self.line(f"return {result}", statement)

    def final_state(self) -> str:
        """The new state: every layer's, in order, or the old one where nothing is new."""
        if not self.new_states:
            return "state"
        fields = state_fields(self.file, self.unit)
        if set(fields) <= set(self.new_states):
            given = ", ".join(f"{field}={self.new_states[field]}" for field in fields)
            return f"{self.unit.name}State({given})"
        given = ", ".join(f"{field}={value}" for field, value in self.new_states.items())
        return f"state._replace({given})"

    # ------------------------------------------------------------ branches

    def conditional(self, statement: Conditional) -> None:
        before, tables = self.collecting, set(self.constants)
        with self.inside_branch():
            with self.writer.block(f"if {self.text(statement.condition)}", origin=statement.origin,
                                   at=statement.at):  # fmt: skip
                self.write(statement.body)
            if statement.orelse:
                with self.writer.block("else"):
                    self.write(statement.orelse)
        self.collecting = before
        self.constants &= tables

    def inside_branch(self) -> Gathering:
        return Gathering(self)

    def emit_choice(self, condition: Expr, branches: tuple[Callable[[], None], Callable[[], None]]) -> None:
        with self.inside_branch():
            with self.writer.block(f"if {self.text(condition)}"):
                branches[0]()
            with self.writer.block("else"):
                branches[1]()

    def flush_states(self) -> None:
        """Puts gathered states into `state`, where code that runs conditionally replaces it."""
        if self.new_states:
            given = ", ".join(f"{field}={value}" for field, value in self.new_states.items())
            self.emit(f"state = state._replace({given})")
            self.new_states.clear()

    # ------------------------------------------------------------ loops

    def loop(self, statement: Loop) -> None:
        lists = [layer for layer in statement.layers if self.is_stateful_list(statement, layer.element)]
        gathered = {}
        for layer in lists:
            gathered[layer.element] = self.fresh(f"{layer.element if layer.local else layer.source}_states")
            self.emit(f"{gathered[layer.element]} = []")
        with self.writer.block(self.loop_header(statement, [layer.element for layer in lists])):
            before, self.collecting = self.collecting, False
            self.write(statement.body)
            self.collecting = before
            for layer in lists:
                new = self.state_name(layer.element)
                inner = self.inner_lists.pop(layer.element, None)
                self.emit(f"{gathered[layer.element]}.append({f'tuple({inner})' if inner else new})")
        for layer in lists:
            name = gathered[layer.element]
            if layer.local:
                self.inner_lists[layer.source] = name
            elif self.collecting:
                self.new_states[layer.source] = f"tuple({name})"
            else:
                self.emit(f"state = state._replace({layer.source}=tuple({name}))")

    def is_stateful_list(self, loop: Loop, element: str) -> bool:
        """Whether layers of a list (or of lists in it) return new states."""
        inner = {element}
        for statement in statements_in(loop.body):
            if isinstance(statement, Loop):
                inner |= {each.element for each in statement.layers if each.local and each.source in inner}
        return any(
            isinstance(code, LayerCall) and code.stateful and code.local and code.layer in inner
            for code in all_codes(loop.body)
        )

    def loop_header(self, loop: Loop, stateful: Sequence[str]) -> str:
        bound = [target for target in loop.targets if target not in loop.unused]
        targets: list[str] = []
        sources: list[str] = []
        for layer in loop.layers:
            targets.append(self.name(layer.element))
            sources.append(self.name(layer.source) if layer.local else f"params.{layer.source}")
        for layer in loop.layers:
            if layer.element in stateful:
                targets.append(self.state_name(layer.element))
                known = self.new_states.get(layer.source, f"state.{layer.source}")
                sources.append(self.state_name(layer.source) if layer.local else known)
        for name, tensors in loop.tensors:
            targets.append(self.name(name))
            sources.append(self.code(tensors))
        for column in loop.columns:
            targets.append(self.name(column.name))
            sources.append(self.text(column.whole))
        if bound or not sources:
            names = [self.name(target) if target in bound else "_" for target in loop.targets]
            counted = counts(loop.iterable) and len(names) == 1 and len(sources) == 1
            if counted:
                return f"for {names[0]}, {targets[0]} in enumerate({sources[0]})"
            targets.insert(0, names[0] if len(names) == 1 else f"({', '.join(names)})")
            sources.insert(0, self.text(loop.iterable))
        if len(sources) == 1:
            return f"for {targets[0].strip('()')} in {sources[0]}"
        return f"for {', '.join(targets)} in zip({', '.join(sources)})"

    def scan(self, statement: ScanLoop) -> None:
        from dlc_jax.scanning import write_scan

        write_scan(self, statement)


class Gathering:
    """While it lasts, new states replace `state` at once instead of being gathered."""

    def __init__(self, body: Body) -> None:
        self.body = body

    def __enter__(self) -> None:
        self.before = self.body.collecting
        if self.body.collecting and self.body.method.stateful:
            self.body.flush_states()
        self.body.collecting = False

    def __exit__(self, *_: object) -> None:
        self.body.collecting = self.before


def counts(iterable: Expr) -> bool:
    """Whether it is `range(n)`, or its numbers."""
    match iterable:
        case Operation(op="range", args=(_,)):
            return True
        case Const(value=tuple(numbers)):
            return numbers == tuple(range(len(numbers)))
    return False


def state_fields(file: File, unit: Unit) -> tuple[str, ...]:
    """The names of a unit's states and stateful layers, in order."""
    found: dict[str, None] = {}

    def walk(items: Iterable[object]) -> None:
        for item in items:
            match item:
                case MakeWeight(state=True, name=name):
                    found[name] = None
                case MakeLayer(native=False, name=name, unit=inner) if file.units[inner].stateful:
                    found[name] = None
                case MakeLoop(body=body):
                    walk(body)
                case MakeConditional(body=body, orelse=orelse):
                    walk((*body, *orelse))

    walk(unit.construction)
    return tuple(found)
