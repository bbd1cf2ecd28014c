"""Drops the fields of a file's `Config` that nothing in the file reads.

In: a `FilePlan`. Out: one without options that would change nothing: a flag that elaboration decided, a
width of which only numbers are left. Types that mention such an option say its value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dlc.emit.plan import Draw, FilePlan, MethodPlan
from dlc.emit.specialise import TREES, mapped, substitution
from dlc.emit.units import axis_name
from dlc.ir import Const, Distribution, Expr, Operation, Ref
from dlc_grammar.record import replace


def without_unread(plan: FilePlan) -> FilePlan:
    read: set[str] = set()
    for unit in plan.units:
        collect_options(unit.construction, read)
        for method in unit.methods:
            collect_options(method.body, read)
    unread = {f.name: Const(value=f.value) for f in plan.config if f.name not in read}
    if not unread:
        return plan
    change = substitution(unread, "config")
    units = []
    for unit in plan.units:
        methods = tuple(with_axes(method) for method in mapped(unit.methods, change))
        units.append(replace(unit, methods=methods))
    return replace(plan, config=tuple(f for f in plan.config if f.name in read), units=tuple(units))


def collect_options(value: Any, found: set[str]) -> None:
    """Add the options that code reads."""
    found.update(e.name for e in expressions_of(value) if isinstance(e, Ref) and e.scope == "config")


def expressions_of(value: Any) -> Iterator[Expr]:
    """Every expression in code, and those inside of them. The types in it only document it, except for those
    of draws."""
    stack = [value]
    while stack:
        current = stack.pop()
        if isinstance(current, tuple):
            stack += current
        elif isinstance(current, dict):
            stack += current.values()
        elif isinstance(current, Const | Ref):
            yield current
        elif isinstance(current, Operation):
            yield current
            stack.append(current.args)
        elif isinstance(current, Distribution):
            stack.append(current.args)
        elif isinstance(current, TREES):
            stack += [getattr(current, field) for field in current.FIELDS]
            if isinstance(current, Draw) and current.type is not None:
                stack.append(current.type.shape)


def with_axes(method: MethodPlan) -> MethodPlan:
    """The method with the names of its axes as its types now say."""
    return replace(
        method,
        inputs=tuple(replace(i, shape=tuple(map(axis_name, i.type.shape))) for i in method.inputs),
        outputs=tuple((name, type_, tuple(map(axis_name, type_.shape))) for name, type_, _ in method.outputs),
    )
