"""Writes a run-time loop: a function of one step, and a call of the helper `scan`.

A step that draws random numbers or updates states must run in Python, where Keras keeps its generators and
variables: such a loop is written as a Python loop over the slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlc.emit.expressions import Text, call
from dlc.emit.naming import plural
from dlc.emit.plan import Draw, FunctionCall, LayerCall, ScanLoop, UpdateState
from dlc_keras.walking import all_codes, assigned, statements_in

if TYPE_CHECKING:
    from dlc_keras.body import Body


def write_scan(body: Body, loop: ScanLoop) -> None:
    if runs_in_python(loop):
        write_python_loop(body, loop)
    else:
        write_step_loop(body, loop)


def runs_in_python(loop: ScanLoop) -> bool:
    """Whether a step draws or updates a state."""
    if loop.random or loop.stateful or any(isinstance(s, UpdateState) for s in statements_in(loop.body)):
        return True
    return any(
        isinstance(code, Draw)
        or (isinstance(code, FunctionCall | LayerCall) and code.random)
        or (isinstance(code, LayerCall) and code.stateful)
        for code in all_codes((loop,))
    )


def grouped(names: Sequence[str]) -> str:
    """One name, or a tuple of several."""
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def pattern(names: Sequence[str]) -> str:
    """The same as the target of an assignment."""
    return grouped(names) if names else "_"


def write_step_loop(body: Body, loop: ScanLoop) -> None:
    body.file.helpers.add("scan")
    helper = body.file.helper("scan")
    starts = [str(body.code(initial).item) for _, initial in loop.carried]
    scanned, inside = [], []
    for source in loop.sources:
        inside.append(body.name(source.inside))
        if source.value is None:
            scanned.append(str(call("ops.arange", body.text(loop.length), dtype='"int32"')))
        else:
            text = body.code(source.value)
            scanned.append(str(text if loop.axis == 0 else call("ops.moveaxis", text, str(loop.axis), "0")))
    if not scanned:
        scanned.append(str(call("ops.arange", body.text(loop.length), dtype='"int32"')))
    carried = [body.name(name) for name, _ in loop.carried]
    emitted = [body.name(name) for name, _ in loop.emitted]
    step = body.step = body.step or body.fresh("step")
    write_step(body, loop, step, (carried, inside))
    left = f"{pattern(carried)}, {pattern(emitted)}"
    body.line(f"{left} = {call(helper, step, grouped(starts), grouped(scanned))}", loop)
    if loop.axis != 0:
        for name in emitted:
            body.writer.statement(f"{name} = {call('ops.moveaxis', name, '0', str(loop.axis))}")


def write_step(body: Body, loop: ScanLoop, step: str, names: tuple[list[str], list[str]]) -> None:
    """The step reads variables of the function around it; what it binds anew gets another name."""
    carried, inside = names
    before = dict(body.names)
    own = {name for name, _ in loop.carried} | {source.inside for source in loop.sources}
    for name in sorted((set(assigned(loop.body)) & body.bound) - own):
        body.names[name] = body.fresh(f"new_{name}")
    parameters = []
    for group, name in ((carried, "carry"), (inside, "inputs")):
        if len(group) == 1:
            parameters.append(f"{group[0]}: KerasTensor")
        else:
            parameters.append(f"{name if group else '_'}: {kind(group) if group else 'KerasTensor'}")
    body.writer.blank()
    with body.writer.definition(step, parameters, f"tuple[{kind(carried)}, {kind(loop.emitted)}]"):
        for group, name in ((carried, "carry"), (inside, "inputs")):
            if len(group) > 1:
                body.writer.statement(f"{', '.join(group)} = {name}")
        body.write(loop.body)
        results = [str(body.code(code).item) for _, code in loop.emitted]
        body.writer.statement(f"return {grouped(carried)}, {grouped(results)}")
    body.writer.blank()
    body.names = before


def kind(names: Sequence[object]) -> str:
    if len(names) == 1:
        return "KerasTensor"
    return f"tuple[{', '.join(['KerasTensor'] * len(names))}]" if names else "tuple[()]"


def write_python_loop(body: Body, loop: ScanLoop) -> None:
    for name, initial in loop.carried:
        text = body.code(initial)
        if text.code != body.name(name):
            body.line(f"{body.name(name)} = {text}", loop)
    lists = {name: body.fresh(plural(name)) for name, _ in loop.emitted}
    for collected in lists.values():
        body.line(f"{collected} = []", loop)
    before, header = dict(body.names), loop_header(body, loop)
    own = {name for name, _ in loop.carried} | {source.inside for source in loop.sources}
    for name in sorted((set(assigned(loop.body)) & body.bound) - own):
        body.names[name] = body.fresh(f"new_{name}")
    with body.block(header, loop):
        body.write(loop.body)
        for name, code in loop.emitted:
            body.line(f"{lists[name]}.append({body.code(code)})", loop)
    body.names = before
    for name, collected in lists.items():
        stacked = call("ops.stack", collected, axis=str(loop.axis))
        body.line(f"{body.name(name)} = {stacked}", loop)


def loop_header(body: Body, loop: ScanLoop) -> str:
    targets, sources = [], []
    for source in loop.sources:
        targets.append(body.name(source.inside))
        value, axis = Text(""), str(loop.axis)
        if source.value is None:
            value, axis = call("ops.arange", body.text(loop.length), dtype='"int32"'), "0"
        else:
            value = body.code(source.value)
        sources.append(call("ops.unstack", value, axis=None if axis == "0" else axis))
    if not sources:
        return f"for _ in range({body.text(loop.length)})"
    if len(sources) == 1:
        return f"for {targets[0]} in {sources[0]}"
    return f"for {', '.join(targets)} in zip({', '.join(map(str, sources))})"
