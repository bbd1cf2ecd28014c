"""The initial weights of layers that PyTorch would start otherwise than the specification.

In: the weights of a program and where natives are. Out: a loop over the named parameters at the end of the
model's constructor, with one branch for each distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlc import ir
from dlc.emit.expressions import Text, literal, tuple_of
from dlc.emit.printer import FileWriter
from dlc.ir import Const, Distribution
from dlc_torch.blocks import Start
from dlc_torch.sampling import initialise


@dataclass(frozen=True, slots=True)
class Weight:
    """One parameter of a native: its path, rank, what the spec draws it from and what PyTorch does."""

    path: str
    rank: int
    wanted: Start
    native: Start | None


class Literals:
    """Surroundings for distributions whose arguments are numbers."""

    def text(self, expr: ir.Expr) -> Text:
        return literal(expr.value)


@dataclass(frozen=True, slots=True)
class Starts:
    """All parameters of natives."""

    weights: Sequence[Weight]
    others: Sequence[str]
    """The paths of parameters that their own blocks initialise."""

    def write(self, writer: FileWriter) -> None:
        rules = self.rules()
        if not rules:
            return
        with writer.block("for name, weight in self.named_parameters()"):
            for position, (condition, start, rank) in enumerate(rules):
                with writer.block(f"{'elif' if position else 'if'} {condition}"):
                    name, args = start
                    values = {key: Const(value=value) for key, value in args}
                    distribution = Distribution(name=name, args=values)
                    text = initialise(distribution, Text("weight"), rank, Literals())  # type: ignore[arg-type]
                    writer.statement(str(text))

    def rules(self) -> list[tuple[str, Start, int]]:
        """(condition on `name`, distribution, rank), so that each parameter gets its own."""
        wanted = [weight for weight in self.weights if weight.wanted != weight.native]
        groups: dict[Start, list[Weight]] = {}
        for weight in wanted:
            groups.setdefault(weight.wanted, []).append(weight)
        rules = []
        taken: set[str] = set()
        for start, group in sorted(groups.items(), key=lambda item: (len(item[1]), item[0][0])):
            paths = {weight.path for weight in group}
            settled = {w.path for w in self.weights if w.wanted == start} | taken
            condition = endings(paths, {w.path for w in self.weights} | set(self.others), settled)
            rules.append((condition, start, group[0].rank))
            taken |= paths
        return rules


def endings(paths: set[str], everything: set[str], allowed: set[str]) -> str:
    """The shortest ends of paths that select `paths`, and beside them only `allowed`."""
    chosen: list[str] = []
    for path in sorted(paths):
        if any(matches(path, ending) for ending in chosen):
            continue
        parts = path.split(".")
        for length in range(1, len(parts) + 1):
            ending = ".".join(parts[-length:])
            if all(other in paths | allowed for other in everything if matches(other, ending)):
                break
        chosen.append(ending)
    return condition(sorted(set(chosen)), everything)


def matches(path: str, ending: str) -> bool:
    return path == ending or path.endswith(f".{ending}")


def condition(chosen: Sequence[str], everything: set[str]) -> str:
    """`name.endswith(...)`, with the dot where it keeps other names out."""
    ends = [ending if ending in everything else f".{ending}" for ending in chosen]
    exact = [f'name == "{ending}"' for ending in ends if ending in everything]
    suffixes = [ending for ending in ends if ending not in everything]
    if len(suffixes) == 1:
        exact.insert(0, f'name.endswith("{suffixes[0]}")')
    elif suffixes:
        exact.insert(0, f"name.endswith({tuple_of(literal(s) for s in suffixes)})")
    return " or ".join(exact)


def start_of(name: str, args: Mapping[str, float]) -> Start:
    return name, tuple(sorted(args.items()))
