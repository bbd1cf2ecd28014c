"""The initial weights of layers that PyTorch would start otherwise than the specification.

In: the construction of a unit. Out: calls of `nn.init` at the end of its constructor, layers that start
alike in one loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dlc.emit import plan
from dlc.emit.expressions import Text
from dlc.emit.printer import FileWriter
from dlc.ir import Const, Distribution
from dlc_torch.blocks import BLOCKS, Start
from dlc_torch.sampling import initialise
from dlc_torch.scope import Scope

RANKS = {"Conv1d": 3, "Conv2d": 4, "ConvTranspose2d": 4}
"""The axes of `weight` where they are not two; a `bias` has one."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A native layer of a unit, in `depth` nested lists. `optional` weights may be absent."""

    name: str
    unit: str
    inits: tuple[tuple[str, Distribution], ...]
    depth: int
    optional: frozenset[str]
    sparse: bool = False
    """Whether some places of the list have no such layer."""


def start_of(distribution: Distribution) -> Start | None:
    """The distribution as a value, None where it depends on arguments."""
    if not all(isinstance(expr, Const) for expr in distribution.args.values()):
        return None
    return distribution.name, tuple(sorted((k, e.value) for k, e in distribution.args.items()))


def deviations(item: plan.MakeLayer, depth: int) -> Layer:
    """The weights of a native that PyTorch starts otherwise."""
    native = BLOCKS[item.unit]
    inits = tuple(
        (name, distribution)
        for name, distribution in item.inits.items()
        if start_of(distribution) is None or native.starts.get(name) != start_of(distribution)
    )
    flag = item.arguments.get("use_bias")
    open_bias = flag is not None and not isinstance(flag, Const)
    without = flag is not None and isinstance(flag, Const) and not flag.value
    if without:
        inits = tuple(pair for pair in inits if pair[0] != "bias")
    return Layer(item.name, item.unit, inits, depth, frozenset({"bias"} if open_bias else ()))


def layers(items: Sequence[plan.Construction], depth: int = 0) -> Iterator[Layer]:
    """The native layers of a unit that need other starts."""
    for item in items:
        match item:
            case plan.MakeLayer(native=True):
                made = deviations(item, depth)
                if made.inits:
                    yield made
            case plan.MakeLoop(body=body):
                yield from layers(body, depth + 1)
            case plan.MakeConditional(body=body, orelse=orelse) if depth:
                for made in layers((*body, *orelse), depth):
                    yield replace(made, sparse=True)


def write_starts(items: Sequence[plan.Construction], scope: Scope, writer: FileWriter) -> None:
    """One loop for all layers with the same starts; one layer alone needs no loop."""
    groups: dict[tuple[str, ...], list[Layer]] = {}
    for layer in layers(items):
        key = (str(layer.depth), str(layer.sparse), *lines(layer, "layer", scope))
        groups.setdefault(key, []).append(layer)
    for group in groups.values():
        write_group(group, scope, writer)


def write_group(group: Sequence[Layer], scope: Scope, writer: FileWriter) -> None:
    names = [f"self.{layer.name}" for layer in group]
    depth = group[0].depth
    if len(names) == 1 and depth == 0:
        write_lines(group[0], names[0], scope, writer)
        return
    if len(names) == 1:
        headers = [f"for layer in {names[0]}"]
    elif depth == 0:
        headers = [f"for layer in ({', '.join(names)})"]
    else:
        headers = [f"for layer in [{', '.join('*' + name for name in names)}]"]
    for _ in range(depth - 1):
        headers[-1] = headers[-1].replace("for layer", "for layers")
        headers.append("for layer in layers")
    write_nested(headers, group[0], scope, writer)


def write_nested(headers: Sequence[str], layer: Layer, scope: Scope, writer: FileWriter) -> None:
    if not headers and layer.sparse:
        headers = ["if not isinstance(layer, nn.Identity)"]
        layer = replace(layer, sparse=False)
    if not headers:
        write_lines(layer, "layer", scope, writer)
        return
    with writer.block(headers[0]):
        write_nested(headers[1:], layer, scope, writer)


def write_lines(layer: Layer, name: str, scope: Scope, writer: FileWriter) -> None:
    for (weight, _), line in zip(layer.inits, lines(layer, name, scope), strict=True):
        if weight in layer.optional:
            with writer.block(f"if {name}.{weight} is not None"):
                writer.statement(line)
        else:
            writer.statement(line)


def lines(layer: Layer, name: str, scope: Scope) -> list[str]:
    """The calls that start the weights of one layer."""
    native = BLOCKS[layer.unit]
    made = []
    for weight, distribution in layer.inits:
        own = Text(f"{name}.{native.names.get(weight, weight)}")
        rank = RANKS.get(layer.unit, 2) if weight in ("weight", "w_x", "w_h") else 1
        made.append(str(initialise(distribution, own, rank, scope)))
    return made
