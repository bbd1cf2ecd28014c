"""Writes a run-time loop as `jax.lax.scan`: a function of one step, the scan, and the results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlc.emit.plan import ScanLoop, ScanSource
from dlc.ir import TensorType
from dlc_jax.walking import all_codes, assigned, draws, is_random, is_stateful

if TYPE_CHECKING:
    from dlc_jax.body import Body


def grouped(names: Sequence[str]) -> str:
    """One name, or a tuple of several."""
    if len(names) == 1:
        return names[0]
    return f"({', '.join(names)})" if names else "None"


def write_scan(body: Body, loop: ScanLoop) -> None:
    """The step reads variables of the function around it; what it rebinds gets another name."""
    length = body.text(loop.length)
    random = loop.random or any(is_random(code) for code in all_codes((loop,)))
    stateful = any(is_stateful(code) for code in all_codes(loop.body))
    if stateful:
        body.flush_states()
    starts = [body.code(initial) for _, initial in loop.carried]
    body.types.update({name: body.type_of(initial) for name, initial in loop.carried})
    scanned: list[str] = []
    inside: list[str] = []
    for source in loop.sources:
        body.types[source.inside] = slice_type(body, source, loop.axis)
        inside.append(body.name(source.inside))
        if source.value is None:
            scanned.append(f"jnp.arange({length})")
        else:
            text = body.code(source.value)
            scanned.append(text if loop.axis == 0 else f"jnp.moveaxis({text}, {loop.axis}, 0)")
    if random:
        inside.append("key")
        scanned.append(f"jax.random.split({body.key()}, {length})")
    carried = [body.name(name) for name, _ in loop.carried]
    if stateful:
        carried.append("state")
        starts.append("state")
    emitted = [body.name(name) for name, _ in loop.emitted]
    taken = body.used | body.file.function_names
    step = "step" if "step" not in taken else "scan_step"
    body.split_keys()
    write_step(body, loop, step, (carried, inside))
    options = [step, grouped(starts), grouped(scanned)]
    if not scanned:
        options[-1] = f"length={length}"
    left = f"{grouped(carried) if carried else '_'}, {grouped(emitted) if emitted else '_'}"
    body.line(f"{left} = jax.lax.scan({', '.join(options)})", loop)
    if loop.axis != 0:
        for name in emitted:
            body.emit(f"{name} = jnp.moveaxis({name}, 0, {loop.axis})")


def write_step(body: Body, loop: ScanLoop, step: str, names: tuple[list[str], list[str]]) -> None:
    carried, inside = names
    own = {name for name, _ in loop.carried} | {source.inside for source in loop.sources}
    rebound = (set(assigned(loop.body)) & set(loop.reads)) - own
    before = dict(body.names)
    parameters = []
    for group, name in ((carried, "carry"), (inside, "inputs")):
        if not group:
            parameters.append("_: None")
        elif len(group) == 1:
            parameters.append(f"{group[0]}: {annotation(body, group[0])}")
        else:
            parameters.append(f"{name}: tuple[{', '.join(annotation(body, each) for each in group)}]")
    returns = f"tuple[{joined_type(body, carried)}, {joined_type(body, loop.emitted)}]"
    body.writer.blank()
    with body.writer.definition(step, parameters, returns):
        for group, name in ((carried, "carry"), (inside, "inputs")):
            if len(group) > 1:
                body.emit(f"{', '.join(group)} = {name}")
        for name in sorted(rebound):
            body.names[name] = body.fresh(f"new_{name}")
        state = body.collecting, body.single_key
        body.collecting, body.single_key = False, draws(loop.body) == 1
        body.write(loop.body)
        body.begin(loop)
        results = [body.code(code) for _, code in loop.emitted]
        body.collecting, body.single_key = state
        body.emit(f"return {grouped(carried)}, {grouped(results)}")
    body.writer.blank()
    body.names = before


def annotation(body: Body, name: str) -> str:
    return f"{body.unit.name}State" if name == "state" else "Array"


def joined_type(body: Body, names: Sequence[object]) -> str:
    kinds = [annotation(body, str(name)) for name in names]
    return f"tuple[{', '.join(kinds)}]" if len(kinds) > 1 else kinds[0] if kinds else "None"


def slice_type(body: Body, source: ScanSource, axis: int) -> TensorType | None:
    """The type of what one step sees of a scanned tensor."""
    if source.value is None:
        return TensorType(dtype="int", shape=())
    kind = body.type_of(source.value)
    if kind is None:
        return None
    return TensorType(dtype=kind.dtype, shape=(*kind.shape[:axis], *kind.shape[axis + 1 :]))
