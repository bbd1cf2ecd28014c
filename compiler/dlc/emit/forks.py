"""An `if` whose sides differ between elaborations: a conditional, or an expression with two values.

In: a `merge.Fork` and the writer of the method. Out: statements, and the results as pending values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlc.emit.frames import Sides
from dlc.emit.merge import Fork, Item
from dlc.emit.operands import Slot, fork_results
from dlc.emit.plan import (
    Assign,
    Choice,
    Conditional,
    Statement,
    Variable,
)
from dlc.emit.trace import Split, Trace, Write
from dlc.emit.writer import Draft, Place
from dlc.ir import Bind, Expr, Operation

if TYPE_CHECKING:
    from dlc.emit.body import BodyWriter


def write_fork(body: BodyWriter, fork: Fork, items: list[Item], following: int) -> int:
    writer = body.writer
    writer.flush_all()
    pairs = [(n, s) for n, s in zip(fork.nodes, writer.block.strands, strict=True) if n is not None]
    condition = writer.terms.express([n.condition for n, _ in pairs], [s for _, s in pairs], "condition")
    writer.terms.forks.append(Sides(condition, {s: n.taken for n, s in pairs}))
    before = dict(writer.holds)
    records = dict(writer.records)
    sides: dict[bool, tuple[list[Statement], Trace, list[Draft]]] = {}
    after: list[dict[str, set[Slot]]] = []
    for side, block in ((True, fork.then), (False, fork.orelse)):
        trace = Trace()
        if fork.returns is not None and side != fork.returns:
            sides[side] = ([], trace, [])
            continue
        writer.holds, writer.records = dict(before), dict(records)
        statements, saved = body.inside(block, trace)
        body.block(block)
        drafts: list[Draft] = []
        writer.position = fork.end
        for operands in fork_results(fork, side, block):
            draft = Draft()
            code = body.reader.read(operands, draft)
            assert code is not None
            if draft.at is None:
                draft.done(code, fork.first)
            draft.code = code
            drafts.append(draft)
        writer.flush_all()
        body.outside(saved)
        sides[side] = (statements, trace, drafts)
        after.append(writer.holds)
    writer.position = fork.position
    writer.holds = before if fork.returns is not None else joined(after)
    writer.records = {k: v for k, v in records.items() if writer.holds.get(k) == before.get(k)}
    return _join(body, fork, condition, sides, items, following)


def _join(
    body: BodyWriter,
    fork: Fork,
    condition: Expr,
    sides: dict[bool, tuple[list[Statement], Trace, list[Draft]]],
    items: list[Item],
    following: int,
) -> int:
    """The `if` itself, with its results: an expression where both sides are one."""
    writer = body.writer
    slots = writer.analysis.slots.get(fork, [])
    then, orelse = sides[True], sides[False]
    single = len(slots) == 1 and not then[0] and not orelse[0]
    if single:
        split = Split(fork.side, then[1], orelse[1])
        draft = Draft(events=[split])
        for _, trace, drafts in (then, orelse):
            trace.events += drafts[0].events
            draft.variables |= drafts[0].variables
            draft.effect |= drafts[0].effect
            draft.depth = max(draft.depth, drafts[0].depth)
        value = Choice(
            condition=condition,
            then=then[2][0].value,
            orelse=orelse[2][0].value,
            type=then[2][0].value.type,
        )
        draft.done(value, fork.first)
        body.keep(slots[0], draft, fork, items, following)
        return 0
    _assign_results(body, fork, slots, sides, items, following)
    writer.trace.events.append(Split(fork.side, then[1], orelse[1]))
    yes, no = tuple(then[0]), tuple(orelse[0])
    place = {"origin": fork.first.origin, "at": fork.first.at}
    if yes:
        statement = Conditional(condition=condition, body=yes, orelse=no, **place)  # type: ignore[arg-type]
        writer.statements.append(statement)
    elif no:
        statement = Conditional(condition=negated(condition), body=no, **place)  # type: ignore[arg-type]
        writer.statements.append(statement)
    return 0


def _assign_results(
    body: BodyWriter,
    fork: Fork,
    slots: list[Slot],
    sides: dict[bool, tuple[list[Statement], Trace, list[Draft]]],
    items: list[Item],
    following: int,
) -> None:
    """Both sides end by assigning the results to the same names."""
    writer = body.writer
    for place, slot in enumerate(slots):
        if body.bound_next(slot, items, following):
            bind = items[following].first
            assert isinstance(bind, Bind)
            name = writer.local(bind.name.replace(".", "_"))
        elif slot in writer.protected:
            name = writer.unique(f"{writer.final_name(slot) or 'value'}_kept")
        else:
            name = writer.temporary(slot, Draft())
        for side, block in ((True, fork.then), (False, fork.orelse)):
            statements, trace, drafts = sides[side]
            draft = drafts[place]
            trace.events += draft.events
            operands = list(fork_results(fork, side, block))[place]
            tokens = [
                None if o is None else writer.analysis.token(s, o)
                for s, o in zip(block.strands, operands, strict=True)
            ]
            trace.events.append(Write(name, tokens))
            if isinstance(draft.code, Variable) and draft.code == Variable(name=name):
                continue
            statements.append(
                Assign(targets=(name,), value=draft.value, origin=draft.origin, at=draft.location)
            )
        writer.hold(name, {slot})
        writer.home[slot] = Place(name)


def negated(condition: Expr) -> Expr:
    """`not condition`, without a double negation."""
    match condition:
        case Operation(op="not", args=(inner,)):
            return inner
        case Operation(op="==" | "!=" | "in" | "not in" as op, args=args, value=value):
            opposite = {"==": "!=", "!=": "==", "in": "not in", "not in": "in"}[op]
            return Operation(op=opposite, args=args, value=not value)
    return Operation(op="not", args=(condition,), value=not condition.value)


def joined(tables: list[dict[str, set[Slot]]]) -> dict[str, set[Slot]]:
    merged: dict[str, set[Slot]] = {}
    for table in tables:
        for name, slots in table.items():
            merged[name] = merged.get(name, set()) | slots
    return merged
