"""Evaluation of expressions: a syntax tree and a frame in, a value out (and nodes in the builder)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dlc import ir, statics, values
from dlc.dims import Dim
from dlc.elaborate import calls, shapes
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame
from dlc.ir import Const, Expr, Operation, Ref, TensorType
from dlc.modules import LoadedModule, is_broken, suggest
from dlc.values import (
    POISON,
    AnyValue,
    BlockValue,
    BuiltBlock,
    Builtin,
    DTypeValue,
    FunctionValue,
    LayerPath,
    LayerValue,
    ListValue,
    Poison,
    RecordValue,
    TensorValue,
)
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Edit
from dlc_grammar.source import Span

STATIC = (Const, Ref, Operation)
DTYPES = ("float", "int", "bool", "wide", "f64", "f32", "bf16", "f16")
OPERATORS = {
    "+": "add", "-": "subtract", "*": "multiply", "/": "divide", "//": "floor_divide", "%": "remainder",
    "**": "power", "@": "matmul", "==": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal",
    ">": "greater", ">=": "greater_equal", "and": "logical_and", "or": "logical_or",
}  # fmt: skip


def is_static(value: AnyValue) -> bool:
    """Whether a value is known while compiling."""
    return isinstance(value, STATIC)


def evaluate(frame: Frame, node: syntax.Expr) -> AnyValue:
    """The value of an expression. Raises Failed."""
    return _EVALUATORS[type(node)](frame, node)


def static(frame: Frame, node: syntax.Expr, what: str) -> Expr:
    """The compile-time value of an expression, E0222 where it is a tensor."""
    value = evaluate(frame, node)
    if isinstance(value, STATIC):
        return value
    if isinstance(value, Poison):
        raise Failed(None)
    if isinstance(value, ListValue) and all(isinstance(item, STATIC) for item in value.items):
        return tuple_expr([item for item in value.items if isinstance(item, STATIC)])
    raise fail(
        "E0222", f"{what} is decided at compile time, but this is {values.describe(value)}", node.span,
        f"this is {values.describe(value)}", help="use a number, a parameter or a size here",
    )  # fmt: skip


def tuple_expr(items: list[Expr]) -> Expr:
    """A compile-time list."""
    return statics.operation("tuple", items, tuple(item.value for item in items))


def tensor(frame: Frame, node: syntax.Expr) -> TensorValue:
    """The tensor an expression computes. Raises Failed."""
    return calls.expect_tensor(frame, evaluate(frame, node), node.span)


def lookup(frame: Frame, name: str, span: Span) -> AnyValue:
    """What a name stands for: locals, then methods, the file, the prelude, the compiler's own."""
    if name in frame.names:
        value = frame.names[name]
        if isinstance(value, Poison):
            raise Failed(None)
        if isinstance(value, TensorValue) and not isinstance(value.operand, ir.Static):
            _not_updated(frame, name, value.operand.id, span)
        return value
    if name in frame.maybe:
        raise fail(
            "E0109", f"`{name}` has a value in one branch only", span, "it may be unset here",
            notes=(), help="assign it before the `if`, or in both branches",
        )  # fmt: skip
    if name in frame.methods:
        return FunctionValue(frame.methods[name], frame.module, "self")
    if name in frame.gone:
        label, help_ = frame.gone[name]
        raise fail("E0118", f"`{name}` is not known here", span, label, help=help_)
    found = global_name(frame, frame.module, name)
    if found is not None:
        return found
    if name in calls.BUILTINS:
        return Builtin(name)
    if name in DTYPES:
        return DTypeValue(name)
    if name == "training":
        return statics.ref("training", frame.training, "training")
    raise fail(
        "E0101", f"unknown name `{name}`", span, "not found in this scope",
        help=suggest(name, [*frame.names_in_scope(), *calls.BUILTINS]) or "define it, or import it",
        edit=_did_you_mean(frame, name, span),
    )  # fmt: skip


def _not_updated(frame: Frame, name: str, number: int, span: Span) -> None:
    """A state has one value in a body, the one it had before: reading it after `update` would be ambiguous."""
    state = frame.builder.updated.get(number)
    if state is not None:
        raise fail(
            "E0115", f"`{name}` is read after `update {state}`", span, "the old value or the new one?",
            help="read it before the update, or give the new value a name and use that",
        )  # fmt: skip


def _did_you_mean(frame: Frame, name: str, span: Span) -> Edit | None:
    hint = suggest(name, [*frame.names_in_scope(), *calls.BUILTINS])
    return Edit(span, hint.split("`")[1]) if hint else None


def global_name(frame: Frame, module: LoadedModule, name: str) -> AnyValue | None:
    """A declaration of the file or the prelude as a value."""
    prelude = frame.session.loader.prelude
    for place in (module, prelude):
        if place is None:
            continue
        if name in place.doubtful or (name in place.imported and is_broken(place.imported[name][0])):
            raise Failed(None)
        found = place.find(name)
        if found is not None:
            return declared(frame, *found)
    return None


def declared(frame: Frame, module: LoadedModule, item: Any) -> AnyValue:
    """A declaration as a value."""
    match item:
        case syntax.Block():
            return BlockValue(item, module, label=item.name.id)
        case syntax.Function():
            return FunctionValue(item, module)
        case syntax.Const():
            return _file_constant(frame, module, item)
        case syntax.Alias():
            inner = _module_frame(frame, module)
            value = evaluate(inner, item.value)
            if isinstance(value, BuiltBlock):
                block = value.block
                return BlockValue(block.declaration, block.module, block.filled, item.name.id, block.preset)
            if isinstance(value, BlockValue):
                return value
            raise fail(
                "E0236", f"`{item.name.id}` is not a block", item.value.span,
                f"this is {values.describe(value)}", help="write for example: block Norm = GroupNorm(32)",
            )  # fmt: skip
    raise AssertionError(item)


def _module_frame(frame: Frame, module: LoadedModule) -> Frame:
    return Frame(frame.session, module, frame.builder, frame.training, frame.owner, constant=frame.constant)


def _file_constant(frame: Frame, module: LoadedModule, item: syntax.Const) -> AnyValue:
    active = frame.session.evaluating
    if item in active:
        raise fail(
            "E0105", f"`{item.name.id}` is defined in terms of itself", item.name.span, "the cycle is here",
            help="give it a value of its own",
        )  # fmt: skip
    active.append(item)
    try:
        inner = _module_frame(frame, module)
        inner.constant = True
        return evaluate(inner, item.value)
    finally:
        active.pop()


# ---------------------------------------------------------------- leaves


def _name(frame: Frame, node: syntax.Name) -> AnyValue:
    return lookup(frame, node.id, node.span)


def _literal(frame: Frame, node: syntax.Literal_) -> AnyValue:
    return Const(value=node.value)


def _items(frame: Frame, items: tuple[Any, ...]) -> list[AnyValue]:
    found: list[AnyValue] = []
    for item in items:
        if isinstance(item, syntax.Spread):
            found.extend(elements(frame, evaluate(frame, item.value), item.span))
        else:
            found.append(evaluate(frame, item))
    return found


def sequence(items: list[AnyValue]) -> AnyValue:
    """A list value: a compile-time one where everything in it is."""
    if all(isinstance(item, STATIC) for item in items):
        return tuple_expr(items)  # type: ignore[arg-type]
    return ListValue(tuple(items))


def _list(frame: Frame, node: syntax.List_ | syntax.Tuple_) -> AnyValue:
    return sequence(_items(frame, node.items))


def elements(frame: Frame, value: AnyValue, span: Span) -> list[AnyValue]:
    """The elements of a list. Raises E0221 for anything else."""
    if isinstance(value, ListValue):
        return list(value.items)
    if isinstance(value, STATIC) and isinstance(value.value, tuple):
        return [statics.item(value, Const(value=i)) for i in range(len(value.value))]
    if isinstance(value, RecordValue):
        return list(value.values)
    if isinstance(value, Poison):
        raise Failed(None)
    raise fail(
        "E0221", f"{values.describe(value)} is not a list", span, "a list is needed here",
        help="loop over range(n), a list, or enumerate/zip of lists",
    )  # fmt: skip


def _comprehension(frame: Frame, node: syntax.Comprehension) -> AnyValue:
    from dlc.elaborate import statements

    return statements.comprehension(frame, node)


# ---------------------------------------------------------------- operators


def _unary(frame: Frame, node: syntax.Unary) -> AnyValue:
    value = evaluate(frame, node.operand)
    if isinstance(value, STATIC):
        try:
            return statics.negative(value) if node.op == "-" else statics.invert(value)
        except statics.Wrong as wrong:
            raise fail("E0223", str(wrong), node.span, "this has no value", help=wrong.help) from None
    operand = calls.expect_tensor(frame, value, node.operand.span)
    return calls.apply(frame, "negative" if node.op == "-" else "logical_not", [operand], {}, node)


def _is_none(node: syntax.Expr) -> bool:
    return isinstance(node, syntax.Literal_) and node.value is None


def _given(frame: Frame, node: syntax.Binary) -> Expr | None:
    """`mask != none` for an optional input: decided at compile time per call."""
    if node.op not in ("==", "!=") or not (_is_none(node.left) or _is_none(node.right)):
        return None
    other = node.right if _is_none(node.left) else node.left
    value = evaluate(frame, other)
    if isinstance(value, STATIC) and not (isinstance(other, syntax.Name) and other.id in frame.optional):
        return None
    present = not (isinstance(value, STATIC) and value.value is None)
    if isinstance(other, syntax.Name) and other.id in frame.optional:
        reference: Expr = statics.ref(other.id, present, "given")
    else:
        reference = Const(value=present)
    return reference if node.op == "!=" else statics.invert(reference)


def _binary(frame: Frame, node: syntax.Binary) -> AnyValue:
    given = _given(frame, node)
    if given is not None:
        return given
    left = evaluate(frame, node.left)
    if node.op in ("and", "or") and isinstance(left, STATIC):
        return _logic(frame, node, left)
    right = evaluate(frame, node.right)
    if isinstance(left, STATIC) and isinstance(right, STATIC) and node.op != "@":
        return _static_binary(frame, node, left, right)
    if node.op in ("+", "*") and (isinstance(left, ListValue) or isinstance(right, ListValue)):
        return _list_sum(frame, node, left, right)
    if node.op not in OPERATORS:
        raise fail(
            "E0222", f"`{node.op}` is decided at compile time", node.span,
            f"this is {values.describe(left)}", help="compare tensors element-wise instead",
        )  # fmt: skip
    operands = [calls.expect_operand(frame, left, node.left.span), calls.expect_operand(frame, right, node.right.span)]
    return calls.apply(frame, OPERATORS[node.op], operands, {}, node)


def _logic(frame: Frame, node: syntax.Binary, left: Expr) -> AnyValue:
    if not isinstance(left.value, bool):
        raise fail("E0223", f"`{node.op}` needs true or false", node.left.span, f"this is {statics.describe(left.value)}")
    if left.value == (node.op == "or"):
        return _skipped(frame, node, left)
    right = evaluate(frame, node.right)
    if isinstance(right, STATIC):
        if not isinstance(right.value, bool):
            raise fail(
                "E0223", f"`{node.op}` needs true or false", node.right.span,
                f"this is {statics.describe(right.value)}",
            )  # fmt: skip
        return statics.operation(node.op, (left, right), right.value)
    operands = [calls.expect_operand(frame, v, node.span) for v in (left, right)]
    return calls.apply(frame, OPERATORS[node.op], operands, {}, node)


def _skipped(frame: Frame, node: syntax.Binary, left: Expr) -> Expr:
    """`false and ...`: the right side is kept in the expression where it has a value."""
    try:
        right = evaluate(frame, node.right)
    except Failed:
        return left
    if isinstance(right, STATIC):
        return statics.operation(node.op, (left, right), left.value)
    return left


def _static_binary(frame: Frame, node: syntax.Binary, left: Expr, right: Expr) -> AnyValue:
    try:
        return statics.binary(node.op, left, right, frame.session.known)
    except statics.Wrong as wrong:
        code = "E0106" if "million" in str(wrong) else "E0223"
        raise fail(code, str(wrong), node.span, _computed(node.op, left, right), help=wrong.help) from None
    except statics.Undecided:
        raise fail(
            "E0224", f"`{node.span.text}` depends on a size that is only known when the model runs", node.span,
            f"{left.value} {node.op} {right.value} holds for some sizes only",
            help="use `require` to settle it, or give the size a number",
        ) from None  # fmt: skip
    except statics.Symbolic:
        operands: list[TensorValue | Expr] = [left, right]
        return calls.apply(frame, OPERATORS[node.op], operands, {}, node)


def _computed(op: str, left: Expr, right: Expr) -> str:
    text = f"{statics.show(left.value)} {op} {statics.show(right.value)}"
    return f"this is {text}" if len(text) <= 60 else "this has no value"


def _list_sum(frame: Frame, node: syntax.Binary, left: AnyValue, right: AnyValue) -> AnyValue:
    if node.op != "+":
        raise fail("E0223", f"`{node.op}` of a list of tensors", node.span, "this is a list",
                   help="work on each: [relu(y) for y in ys]")  # fmt: skip
    return ListValue((*elements(frame, left, node.left.span), *elements(frame, right, node.right.span)))


def _if_expr(frame: Frame, node: syntax.IfExpr) -> AnyValue:
    from dlc.elaborate import statements

    return statements.if_expression(frame, node)


# ---------------------------------------------------------------- access


def _attribute(frame: Frame, node: syntax.Attribute) -> AnyValue:
    value = evaluate(frame, node.value)
    name = node.name.id
    match value:
        case RecordValue():
            return _record_field(value, node)
        case BlockValue():
            return preset(frame, value, node)
        case LayerValue() | LayerPath():
            return calls.layer_attribute(frame, value, node)
        case ListValue() | TensorValue():
            raise fail(
                "E0225", f"{values.describe(value)} has no `{name}`", node.name.span, "not found",
                help="sizes are named in the signature (x: float[B, T]); the rest are functions, as in transpose(x)",
            )  # fmt: skip
        case Poison():
            raise Failed(None)
        case _:
            raise fail("E0225", f"{values.describe(value)} has no `{name}`", node.name.span, "not found",
                       help="results, layers and nets with presets have parts; this has none")  # fmt: skip


def _record_field(record: RecordValue, node: syntax.Attribute) -> AnyValue:
    for name, value in zip(record.names, record.values, strict=True):
        if name == node.name.id:
            return value
    names = [name for name in record.names if name]
    raise fail(
        "E0225", f"there is no result `{node.name.id}`", node.name.span, "not found",
        help=suggest(node.name.id, names) or f"the results are {', '.join(names)}",
    )  # fmt: skip


def preset(frame: Frame, block: BlockValue, node: syntax.Attribute) -> BlockValue:
    """`GPT2.tiny`: the net with the preset's values filled in."""
    return named_preset(frame, block, node.name.id, node.name.span)


def named_preset(frame: Frame, block: BlockValue, name: str, span: Span) -> BlockValue:
    """A preset of a block by name. Raises E0225."""
    sections: dict[str, syntax.Section] = {}
    for module in (block.module, frame.module):
        for net, found in module.presets.items():
            target = module.find(net)
            if target is not None and target[1] is block.declaration:
                sections.update(found)
    section = sections.get(name)
    if section is None:
        raise fail(
            "E0225", f"`{block.label}` has no preset `{name}`", span, "not found",
            help=suggest(name, sections) or (
                f"its presets are {', '.join(sections)}" if sections else f"write: preset {block.label}.{name} {{ }}"
            ),
        )  # fmt: skip
    inner = _module_frame(frame, block.module)
    filled = dict(block.filled)
    given: set[str] = set()
    for item in section.items:
        if not isinstance(item, syntax.Setting) or not isinstance(item.name, syntax.Ident) or item.kind:
            raise fail("E0604", "a preset holds `name = value`", item.span, "in this preset",
                       help="write for example: preset Model.large { dim = 1024 }")  # fmt: skip
        if item.name.id in given:
            raise fail("E0212", f"`{item.name.id}` is given twice", item.name.span, "given again here",
                       help="remove one of the two")  # fmt: skip
        given.add(item.name.id)
        filled[item.name.id] = calls.static_argument(inner, block.declaration, item.name, item.value)
    return BlockValue(block.declaration, block.module, filled, block.label, name)


def _index(frame: Frame, node: syntax.Index) -> AnyValue:
    value = evaluate(frame, node.value)
    if isinstance(value, (ListValue, RecordValue)) or (
        isinstance(value, STATIC) and isinstance(value.value, tuple)
    ):
        return _list_index(frame, node, value)
    operand = calls.expect_tensor(frame, value, node.value.span)
    subscripts = tuple(_subscript(frame, s) for s in node.subscripts)
    return calls.apply(frame, "index", [operand], {"subscripts": Const(value=subscripts)}, node)


def _subscript(frame: Frame, node: Any) -> object:
    if isinstance(node, syntax.Ellipsis_):
        return "..."
    if isinstance(node, syntax.Slice):
        return ("slice", *(_bound(frame, part) for part in (node.start, node.stop, node.step)))
    found = static(frame, node, "a position")
    if not isinstance(found.value, int) or isinstance(found.value, bool):
        raise fail(
            "E0305", "a position is an integer", node.span, f"this is {statics.describe(found.value)}",
            help="pick by a tensor of positions with take(x, ids) or gather(x, ids)",
        )  # fmt: skip
    return found.value


def _bound(frame: Frame, node: syntax.Expr | None) -> object:
    if node is None:
        return None
    found = static(frame, node, "a slice bound")
    if not isinstance(found.value, (int, Dim)):
        raise fail("E0305", "a slice bound is an integer", node.span, f"this is {statics.describe(found.value)}")
    return found.value


def _positions(count: int) -> str:
    return f"positions run from 0 to {count - 1}" if count else "the list is empty"


def _list_index(frame: Frame, node: syntax.Index, value: AnyValue) -> AnyValue:
    if len(node.subscripts) != 1:
        raise fail("E0305", "a list has one axis", node.span, f"{len(node.subscripts)} subscripts",
                   help="write x[0][1] for a list in a list")  # fmt: skip
    subscript = node.subscripts[0]
    items = elements(frame, value, node.value.span)
    if isinstance(subscript, syntax.Slice):
        bounds = [_bound(frame, part) for part in (subscript.start, subscript.stop, subscript.step)]
        if bounds[2] == 0 or any(isinstance(bound, Dim) for bound in bounds):
            raise fail("E0305", "a list is cut at numbers, in steps that are not 0", node.span, "in this slice",
                       help="write for example x[1:3]")  # fmt: skip
        return sequence(items[slice(*bounds)])
    if isinstance(subscript, syntax.Ellipsis_):
        raise fail("E0305", "a list has one axis", node.span, "`...` selects axes of a tensor",
                   help="stack a list of tensors first: stack(x)[...]")  # fmt: skip
    position = static(frame, subscript, "a position")
    if isinstance(value, STATIC):
        try:
            return statics.item(value, position)
        except statics.Wrong as wrong:
            raise fail("E0305", str(wrong), node.span, "no such element", help=_positions(len(items))) from None
    where = position.value
    if not isinstance(where, int) or isinstance(where, bool) or not -len(items) <= where < len(items):
        raise fail("E0305", f"position {statics.show(where)} is outside a list of {len(items)}", node.span,
                   "no such element", help=_positions(len(items)))  # fmt: skip
    found = items[where]
    if isinstance(value, ListValue) and value.name is not None and isinstance(found, TensorValue):
        output = frame.builder.tensor(found.type)
        frame.builder.add(
            ir.Item(
                origin=frame.session.origin(node), at=frame.location(node), name=value.name,
                position=position, value=found.operand, output=output,
            ),
            node.span,
        )  # fmt: skip
        return TensorValue(ir.Use(id=output.id), found.type, found.constant)
    return found


# ---------------------------------------------------------------- pipes and calls


def _pipe(frame: Frame, node: syntax.Pipe) -> AnyValue:
    chain = []
    head: syntax.Expr = node
    while isinstance(head, syntax.Pipe):
        chain.append(head)
        head = head.value
    value = evaluate(frame, head)
    for stage in reversed(chain):
        value = calls.pipe_stage(frame, value, stage)
    return value


def _call(frame: Frame, node: syntax.Call) -> AnyValue:
    return calls.call(frame, node)


_EVALUATORS: Mapping[type, Callable[[Frame, Any], AnyValue]] = {
    syntax.Name: _name,
    syntax.Literal_: _literal,
    syntax.List_: _list,
    syntax.Tuple_: _list,
    syntax.Comprehension: _comprehension,
    syntax.Unary: _unary,
    syntax.Binary: _binary,
    syntax.IfExpr: _if_expr,
    syntax.Attribute: _attribute,
    syntax.Index: _index,
    syntax.Pipe: _pipe,
    syntax.Call: _call,
}

__all__ = ["POISON", "TensorType", "elements", "evaluate", "static", "tensor"]
