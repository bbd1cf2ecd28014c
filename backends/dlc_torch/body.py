"""The statements of a method or function in PyTorch.

In: a `plan.MethodPlan` in its scope. Out: lines in a `FileWriter`.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc.emit import plan
from dlc.emit.expressions import Text, call, list_of, literal, message, method
from dlc.emit.printer import FileWriter
from dlc.ir import Const, Expr, Operation, Ref
from dlc_grammar.record import replace
from dlc_torch.code import CodePrinter
from dlc_torch.construction import iterable_text
from dlc_torch.scope import Scope, assigned, required


class BodyPrinter:
    """Writes one body. `buffers` are the constants that the constructor keeps.

    `live`: the sizes and compile-time variables that the text reads, None where all are to be written.
    """

    def __init__(
        self,
        scope: Scope,
        writer: FileWriter,
        buffers: frozenset[str],
        live: frozenset[str] | None = None,
    ) -> None:
        self.live = live
        self.scope = scope
        self.writer = writer
        self.code = CodePrinter(scope)
        self.buffers = buffers
        for argument in scope.method.inputs if scope.method else ():
            self.code.types[argument.name] = argument.type
        self.used = assigned(scope.method.body) if scope.method else set()

    def statements(self, body: Sequence[plan.Statement]) -> None:
        for statement in body:
            self.statement(statement)

    def line(self, code: str, statement: plan.Statement, comment: str = "") -> None:
        self.writer.statement(code, comment=comment, origin=statement.origin, at=statement.at)

    def statement(self, statement: plan.Statement) -> None:
        match statement:
            case plan.ReadSizes(names=names, tensor=tensor):
                wanted = [name if name and self.reads(name) else None for name in names]
                if any(wanted):
                    self.line(sizes_text(wanted, tensor), statement)
            case plan.Assign():
                self.assign(statement)
            case plan.AssignStatic(target=target, value=value) if self.reads(target):
                self.line(f"{target} = {self.scope.text(value)}", statement)
            case plan.NewList(name=name, items=items):
                self.line(f"{name} = {list_of(self.code(item) for item in items)}", statement)
            case plan.Append(name=name, item=item):
                self.line(f"{name}.append({self.code(item).item})", statement)
            case plan.Pop(name=name):
                self.line(f"{name}.pop()", statement)
            case plan.Loop():
                self.loop(statement)
            case plan.Conditional():
                self.conditional(statement)
            case plan.ScanLoop():
                self.scan(statement)
            case plan.UpdateState(name=name, value=value):
                self.line(f"self.{name} = {method(self.code(value), 'detach')}", statement)
            case plan.Assertion(condition=condition, message=template):
                condition_text, text = self.scope.text(condition).item, message(template)
                self.line(f"assert {condition_text}, {text}", statement)
            case plan.Return(values=values, names=names):
                self.line(f"return {self.returned(values, names)}", statement)

    def reads(self, name: str) -> bool:
        return self.live is None or name in self.live

    def assign(self, statement: plan.Assign) -> None:
        """The value reads its variables as they were before: `x = x.prod(dim=-1)` has another rank."""
        name = statement.targets[0]
        kept = is_constant(statement.value) and name in self.buffers
        value = Text(f"self.{name}") if kept else self.code(statement.value)
        for target in statement.targets:
            self.code.types.pop(target, None)
            self.code.constants.pop(target, None)
        if statement.value.type is not None and len(statement.targets) == 1:
            self.code.types[name] = statement.value.type
        if is_constant(statement.value):
            self.code.constants[name] = value if kept else Text(name)
        if kept:
            return
        if value.code != ", ".join(statement.targets):
            self.line(f"{', '.join(statement.targets)} = {value}", statement, statement.comment)

    def returned(self, values: Sequence[plan.Code], names: Sequence[str | None]) -> str:
        texts = [self.code.operand(value).text for value in values]
        if len(texts) == 1:
            return str(texts[0])
        record = record_name(self.scope.unit, self.scope.method)
        if record:
            return str(call(record, *texts))
        return ", ".join(text.item for text in texts)

    # -------------------------------------------------- branches and loops

    def conditional(self, statement: plan.Conditional, keyword: str = "if") -> None:
        condition = self.scope.text(statement.condition)
        body, orelse = statement.body, statement.orelse
        with self.writer.block(f"{keyword} {condition}"):
            self.statements(body)
        match orelse:
            case (plan.Conditional() as inner,):
                self.conditional(inner, "elif")
            case (_, *_):
                with self.writer.block("else"):
                    self.statements(orelse)

    def loop(self, statement: plan.Loop) -> None:
        skipped = statement.unused | statement.static_only
        skipped |= {target for target in statement.targets if not self.reads(target)}
        sources = [(layer.element, layer_list(layer)) for layer in statement.layers]
        sources += [
            (column.name, self.scope.text(column.whole))
            for column in statement.columns
            if column.name not in statement.static_only and self.reads(column.name)
        ]
        sources += [(name, self.code(code)) for name, code in statement.tensors]
        header = loop_header(statement.targets, skipped, statement.iterable, sources, self.scope)
        with self.writer.block(header):
            self.statements(statement.body)

    def scan(self, statement: plan.ScanLoop) -> None:
        """A loop over slices; emitted values are collected and stacked."""
        for name, initial in statement.carried:
            value = self.code.operand(initial).text
            if value.code != name:
                self.line(f"{name} = {value}", statement)
        lists = {name: self.collection(name) for name, _ in statement.emitted}
        for name in lists.values():
            self.writer.statement(f"{name}: list[Tensor] = []")
        with self.writer.block(self.scan_header(statement)):
            self.statements(statement.body)
            for name, code in statement.emitted:
                self.writer.statement(f"{lists[name]}.append({self.code(code).item})")
        for name, collection in lists.items():
            self.line(f"{name} = torch.stack({collection}, dim={statement.axis})", statement)

    def collection(self, name: str) -> str:
        """The name of the list from which `name` is stacked."""
        plural = f"{name}s"
        while plural in self.used:
            plural += "_"
        return plural

    def scan_header(self, statement: plan.ScanLoop) -> str:
        names: list[str] = []
        slices: list[Text] = []
        for source in statement.sources:
            names.append(source.inside)
            if source.value is None:
                length = self.scope.text(statement.length)
                slices.append(call("torch.arange", length, device=self.scope.device))
            else:
                value = self.code.operand(source.value).text
                slices.append(method(value, "unbind", literal(statement.axis)))
        if not names:
            return f"for _ in range({self.scope.text(statement.length)})"
        if len(names) == 1:
            return f"for {names[0]} in {slices[0]}"
        return f"for {', '.join(names)} in {call('zip', *slices, strict='True')}"


def write_body(scope: Scope, writer: FileWriter, buffers: frozenset[str]) -> None:
    """Writes a body, after a first time that shows which sizes it reads."""
    assert scope.method is not None
    BodyPrinter(scope, FileWriter(draft=True), buffers).statements(scope.method.body)
    body = with_sizes(scope.method, scope.locals)
    BodyPrinter(scope, writer, buffers, frozenset(scope.locals)).statements(body)


def with_sizes(method_plan: plan.MethodPlan, names: set[str]) -> tuple[plan.Statement, ...]:
    """The body, which first reads those sizes of the inputs that our words need beside the plan's."""
    body = list(method_plan.body)
    known = defined(body) | {argument.name for argument in method_plan.inputs}
    for argument in required(method_plan):
        axes = [axis_name(size) for size in argument.type.shape]
        missing = {name for name in axes if name in names and name not in known}
        if not missing:
            continue
        known |= missing
        position = next(
            (
                place
                for place, statement in enumerate(body)
                if isinstance(statement, plan.ReadSizes) and statement.tensor == argument.name
            ),
            None,
        )
        if position is None:
            wanted = tuple(axis if axis in missing else None for axis in axes)
            at = method_plan.body[0].at
            body.insert(0, plan.ReadSizes(names=wanted, tensor=argument.name, origin=-1, at=at))
        else:
            old = body[position]
            assert isinstance(old, plan.ReadSizes)
            both = zip(old.names, axes, strict=True)
            merged = tuple(a or (b if b in missing else None) for a, b in both)
            body[position] = replace(old, names=merged)
    return tuple(body)


def axis_name(size: Expr) -> str | None:
    """The variable that a size is, if it is one."""
    return size.name if isinstance(size, Ref) and size.scope == "local" else None


def defined(body: Sequence[plan.Statement]) -> set[str]:
    """The sizes and compile-time variables that a body binds."""
    names: set[str] = set()
    for statement in body:
        match statement:
            case plan.ReadSizes(names=read):
                names |= {name for name in read if name}
            case plan.AssignStatic(target=target):
                names.add(target)
            case plan.Loop(targets=targets, columns=columns, body=inner):
                names |= {*targets, *(column.name for column in columns)} | defined(inner)
            case plan.Conditional(body=inner, orelse=orelse):
                names |= defined(inner) | defined(orelse)
            case plan.ScanLoop(body=inner, sources=sources):
                names |= {source.inside for source in sources} | defined(inner)
    return names


def is_constant(code: plan.Code) -> bool:
    return isinstance(code, plan.Primitive | plan.FunctionCall) and code.constant


def sizes_text(names: Sequence[str | None], tensor: str) -> str:
    """`batch, time, _ = x.shape`, or one size alone."""
    wanted = [(axis, name) for axis, name in enumerate(names) if name is not None]
    if len(wanted) == 1:
        axis, name = wanted[0]
        return f"{name} = {tensor}.shape[{axis}]"
    return f"{', '.join(name or '_' for name in names)} = {tensor}.shape"


def layer_list(layer: plan.LoopLayer) -> Text:
    return Text(layer.source if layer.local else f"self.{layer.source}")


def loop_header(
    targets: Sequence[str],
    skipped: frozenset[str],
    iterable: Expr,
    sources: Sequence[tuple[str, Text]],
    scope: Scope,
) -> str:
    """`for ... in ...` over the lists, and over the compile-time values where the body reads them."""
    bound = [target for target in targets if target not in skipped]
    counter = counts_from_zero(iterable, targets, bound)
    if counter and len(sources) == 1:
        return f"for {counter}, {sources[0][0]} in enumerate({sources[0][1]})"
    if counter and sources:
        names = ", ".join(name for name, _ in sources)
        together = call("zip", *(text for _, text in sources), strict="True")
        return f"for {counter}, ({names}) in enumerate({together})"
    columns = [(name, text) for name, text in sources]
    if bound or not sources:
        columns.insert(0, iterable_text(targets, skipped, iterable, scope))
    if len(columns) == 1:
        return f"for {columns[0][0]} in {columns[0][1]}"
    names = ", ".join(f"({name})" if "," in name else name for name, _ in columns)
    return f"for {names} in {call('zip', *(text for _, text in columns), strict='True')}"


def counts_from_zero(iterable: Expr, targets: Sequence[str], bound: Sequence[str]) -> str | None:
    """The target that counts rounds, if it is all that the body reads."""
    match iterable:
        case Operation(op="range", args=(_,)) if list(bound) == list(targets):
            return bound[0]
        case Const(value=tuple(numbers)) if list(bound) == list(targets) == [targets[0]]:
            return bound[0] if numbers == tuple(range(len(numbers))) else None
        case Operation(op="enumerate") if list(bound) == [targets[0]]:
            return bound[0]
    return None


def record_name(unit: plan.Unit, method_plan: plan.MethodPlan | None) -> str | None:
    """The NamedTuple that a method returns: where it has several results, each with a name."""
    if method_plan is None or len(method_plan.outputs) < 2:
        return None
    if not all(name for name, _, _ in method_plan.outputs):
        return None
    title = camel(unit.name)
    if unit.kind != "fn" and method_plan.name != "forward":
        title += camel(method_plan.name)
    return f"{title}Output"


def camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
