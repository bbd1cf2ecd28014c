"""What every weight is finally drawn from, seen from the definition that makes it.

In: a program, whose list of weights has the `init` rules of all blocks applied by path. Out: for each
definition, the distributions of its own weights and of its layers' weights, over all instances. Where all
instances agree, a constructor can say it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from dlc.ir import Const, Distribution, Program

Start = tuple[str, tuple[tuple[str, float], ...]]


@dataclass(slots=True)
class Starts:
    """Distributions by (definition, path from there)."""

    found: dict[tuple[str, tuple[str, ...]], set[Start]] = field(default_factory=lambda: defaultdict(set))

    def agreed(self, places: Iterable[tuple[str, tuple[str, ...]]]) -> Distribution | None:
        """The one distribution of a weight at all these places, None where they differ."""
        starts = {start for place in places for start in self.found.get(place, ())}
        if len(starts) != 1:
            return None
        name, args = next(iter(starts))
        return Distribution(name=name, args={key: Const(value=value) for key, value in args})


def find_starts(program: Program) -> Starts:
    """Visits every instance of every layer once."""
    final: dict[str, Start] = {w.path: (w.init, tuple(w.init_args.items())) for w in program.weights}
    starts = Starts()
    seen: set[tuple[str, str]] = set()
    todo = [(key, "") for method in program.methods for key in method.elaborations]
    while todo:
        key, prefix = todo.pop()
        if (key, prefix) in seen:
            continue
        seen.add((key, prefix))
        definition = program.definitions[key]
        for weight in definition.weights:
            path = prefix + weight.name
            if path in final:
                starts.found[key, (weight.name,)].add(final[path])
        for layer in definition.layers:
            segments = (layer.name, *map(str, layer.index))
            inner = prefix + ".".join(segments) + "."
            for callee in layer.definitions:
                todo.append((callee, inner))
                for weight in program.definitions[callee].weights:
                    if inner + weight.name in final:
                        starts.found[key, (*segments, weight.name)].add(final[inner + weight.name])
    return starts
