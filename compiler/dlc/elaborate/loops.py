"""Loops that are unrolled: `for`, and comprehensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dlc import ir, statics, values
from dlc.elaborate import binding, layers
from dlc.elaborate.coerce import decision, elements, sequence
from dlc.elaborate.dispatch import evaluate, run
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame, Returned
from dlc.ir import Const, Expr, Ref
from dlc.values import STATIC, AnyValue, BuiltBlock, LayerValue, ListValue, Poison, TensorValue
from dlc_grammar import syntax
from dlc_grammar.source import Span


def loop(frame: Frame, node: syntax.For) -> None:
    """Every round of a `for`, in a `For` node."""
    value, iterable = _iterable(frame, node.iterable)
    rounds: list[ir.Round] = []
    returned = False
    for number, element in enumerate(elements(value, node.iterable.span)):
        with frame.builder.region() as nodes, _round(frame, number) as scope:
            frame.session.count(node.iterable.span)
            variables = _targets(frame, node.targets, element, scope, node.iterable.span)
            try:
                run(frame, node.body.statements)
            except Returned:
                returned = True
        rounds.append(ir.Round(variables=variables, body=tuple(nodes)))
        if returned:
            break
    for target in node.targets:
        frame.names.pop(target.id, None)
        frame.gone[target.id] = (
            "it exists inside the loop only",
            "keep its value under another name inside the loop",
        )
    _add_loop(frame, node, iterable, rounds)
    if returned:
        raise Returned


def comprehension(frame: Frame, node: syntax.Comprehension, label: str | None = None) -> AnyValue:
    """`[e for x in xs if c]`; layers made in it are numbered like those of a loop.

    `label` is the name that the list gets: a list of layers gives it to each.
    """
    value, iterable = _iterable(frame, node.iterable)
    kept = {t.id: frame.names.get(t.id) for t in node.targets}
    found: list[AnyValue] = []
    rounds: list[ir.Round] = []
    for number, element in enumerate(elements(value, node.iterable.span)):
        with frame.builder.region() as nodes, _round(frame, number) as scope:
            frame.session.count(node.iterable.span)
            variables = _targets(frame, node.targets, element, scope, node.iterable.span)
            wanted = True
            if node.condition is not None:
                wanted = decision(frame, node.condition).value
            if wanted:
                element_value = evaluate(frame, node.element)
                if isinstance(element_value, BuiltBlock) and label is not None:
                    element_value = layers.name_layer(frame, element_value, None, node, label)
                found.append(element_value)
        rounds.append(ir.Round(variables=variables, body=tuple(nodes)))
    for name, old in kept.items():
        frame.names.pop(name, None)
        if old is not None:
            frame.names[name] = old
    if any(isinstance(item, LayerValue) for item in found) or any(step.body for step in rounds):
        _add_loop(frame, node, iterable, rounds)
    if found and all(isinstance(item, STATIC) for item in found):
        return Const(value=tuple(item.value for item in found if isinstance(item, STATIC)))
    return sequence(found)


def _iterable(frame: Frame, node: syntax.Expr) -> tuple[AnyValue, Expr | None]:
    """A list, and its expression unless tensors, layers or blocks are in it."""
    value = evaluate(frame, node)
    if isinstance(value, STATIC):
        return value, value
    if isinstance(value, ListValue):
        return value, None
    if isinstance(value, Poison):
        raise Failed(None)
    if isinstance(value, TensorValue):
        raise fail(
            "E0221",
            "`for` loops over compile-time lists, and this is a tensor",
            node.span,
            f"this is {value.type}",
            help="use `scan x_t in x along 1 carry h { ... }` to loop over an axis",
        )
    raise fail(
        "E0221",
        f"{values.describe(value)} is not a list",
        node.span,
        "a list is needed here",
        help="loop over range(n), a list, or enumerate/zip of lists",
    )


@contextmanager
def _round(frame: Frame, number: int) -> Iterator[str]:
    session = frame.session
    session.rounds += 1
    before = frame.loops
    if not frame.in_scan:
        frame.loops = (*before, number)
    try:
        yield str(session.rounds)
    finally:
        frame.loops = before


def _targets(
    frame: Frame, targets: Sequence[syntax.Ident], element: AnyValue, scope: str, span: Span
) -> dict[str, Ref]:
    """Bind the loop variables of one round."""
    if len(targets) == 1:
        items = [element]
    elif isinstance(element, STATIC) and not isinstance(element.value, tuple):
        raise fail(
            "E0215",
            f"{len(targets)} names for one value",
            span,
            f"each element is one value: {statics.show(element.value)}",
            help=f"number them: for {', '.join(t.id for t in targets)} in enumerate({span.text})",
        )
    else:
        items = elements(element, span)
        if len(items) != len(targets):
            raise fail(
                "E0215",
                f"{len(targets)} names for {len(items)} values",
                span,
                "these do not match",
                help="name each value once",
            )
    variables: dict[str, Ref] = {}
    for target, item in zip(targets, items, strict=True):
        if target.id in frame.fixed or target.id[:1].isupper():
            binding.may_bind(frame, target)
        if isinstance(item, STATIC):
            reference = statics.ref(target.id, item.value, scope)
            frame.names[target.id] = reference
            variables[target.id] = reference
        elif isinstance(item, TensorValue):
            frame.names[target.id] = binding.bind_tensor(frame, target.id, item, target)
        else:
            frame.names[target.id] = item
    return variables


def _add_loop(
    frame: Frame, node: syntax.For | syntax.Comprehension, iterable: Expr | None, rounds: Sequence[ir.Round]
) -> None:
    frame.builder.add(
        ir.For(
            origin=frame.session.origin(node),
            at=frame.location(node),
            targets=tuple(target.id for target in node.targets),
            iterable=iterable or _walked(rounds),
            rounds=tuple(rounds),
        ),
        node.span,
    )


def _walked(rounds: Sequence[ir.Round]) -> Expr:
    """What a loop over tensors or layers walks beside them: the values of its compile-time variables."""
    names = rounds[0].variables if rounds else ()
    columns = [tuple(step.variables[name].value for step in rounds) for name in names]
    if len(columns) == 1:
        return Const(value=columns[0])
    return Const(value=tuple(zip(*columns, strict=True)) if columns else tuple(range(len(rounds))))
