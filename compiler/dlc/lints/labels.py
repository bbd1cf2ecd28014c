"""W001: a layer without a label in a network whose weights are kept by name.

The path of such a layer is made of its class and of how many of them come before it, so that another layer
in front of it, or another class, gives its weights another name: a file of weights no longer fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dlc import ir
from dlc.modules import LoadedModule
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic, Edit
from dlc_grammar.source import Span

MODELS = ("model", "frozen")
"""What a `train` section calls its networks."""


def unlabelled(
    module: LoadedModule, prelude: LoadedModule | None, programs: Sequence[ir.Program]
) -> Iterator[Diagnostic]:
    """The layers of this file with weights and no name, in networks that are loaded or trained."""
    kept = _kept(module.tree)
    labels: dict[tuple[int, int], set[str]] = {}
    paths: dict[tuple[int, int], str] = {}
    for program in programs:
        if program.name in kept:
            weights = _owners(program)
            for definition in program.definitions.values():
                for layer in definition.layers:
                    at = (layer.at.start, layer.at.stop)
                    if layer.at.file == module.name and any(d in weights for d in layer.definitions):
                        labels.setdefault(at, set()).add(layer.name)
                        paths.setdefault(at, ".".join((layer.name, *map(str, layer.index))))
    text = module.source.text
    calls = {at: names for at, names in labels.items() if text[at[0] : at[1]] not in names}
    named, stages = _places(module.tree) if calls else ({}, set())
    for at, names in calls.items():
        if any(start <= at[0] < stop and names & targets for (start, stop), targets in named.items()):
            continue
        span = Span(module.source, *at)
        block = span.text.partition("(")[0]
        known = module.find(block) or (prelude.find(block) if prelude is not None else None)
        certain = at[0] in stages and known is not None and len(names) == 1
        (name, *_) = sorted(names)
        yield Diagnostic(
            "W001",
            f"this `{block}` has no label, and its weights are kept by name",
            span,
            f"the path of its weights, {paths[at]}, shifts with the layers before it",
            (),
            f"give it a label: -> {name if certain else 'name'}: {block}(...)",
            Edit(Span(module.source, at[0], at[0]), f"{name}: ") if certain else None,
            severity="warning",
        )


def _kept(tree: syntax.Module) -> set[str]:
    """The networks that a `load` or a `train` section is about."""
    found: set[str] = set()
    for item in tree.items:
        if isinstance(item, syntax.Section) and item.name.id == "load":
            found |= {argument[0].id for argument in item.args if isinstance(argument, tuple)}
        for setting in item.items if isinstance(item, syntax.Train) else ():
            if isinstance(setting, syntax.Setting) and setting.kind and setting.kind.id in MODELS:
                found |= {node.id for node in syntax.walk(setting.value) if isinstance(node, syntax.Name)}
    return found


def _owners(program: ir.Program) -> set[str]:
    """The definitions with weights, their own or of their layers."""
    found = {name for name, definition in program.definitions.items() if definition.weights}
    more = True
    while more:
        more = False
        for name, definition in program.definitions.items():
            inner = {callee for layer in definition.layers for callee in layer.definitions}
            if name not in found and inner & found:
                found.add(name)
                more = True
    return found


def _places(tree: syntax.Module) -> tuple[dict[tuple[int, int], set[str]], set[int]]:
    """Where an assignment names layers, and where the stages of pipes without labels start."""
    named: dict[tuple[int, int], set[str]] = {}
    stages: set[int] = set()
    for node in syntax.walk(tree.items):
        if isinstance(node, syntax.Assign):
            named[node.value.span.start, node.value.span.stop] = {target.id for target in node.targets}
        elif isinstance(node, syntax.Pipe) and node.label is None:
            stages.add(node.stage.span.start)
    return named, stages
