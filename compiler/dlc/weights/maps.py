"""The maps of names of a file: the one that is meant, and what is wrong with them.

In: a module, and a network. Out: its `NameMap`, or diagnostics.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dlc import ir
from dlc.api import Module, Net, nets_of
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Session
from dlc.elaborate.program import resolve_net
from dlc.elaborate.weight_paths import closest_paths
from dlc.modules import suggest
from dlc.trouble import stop
from dlc.weights.apply import apply_rules
from dlc.weights.name_map import NameMap
from dlc.weights.rules import Rules, read_rules
from dlc.weights.sections import Header, Subject, read_header, read_headers, sections_for
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic, DiagnosticError

MODELS = ("model", "frozen")
TRAINING = ("strict",)
"""What a `load` section inside of `train` may also hold."""


def find_map(net: Net, name: str | None = None, module: Module | None = None) -> NameMap:
    """The map called `name` for a network, from its own file or another. Raises DiagnosticError."""
    module = module or net.module
    known = sections_for(module, net)
    label = net.block.declaration.name.id
    file = module.loaded.name
    if not known:
        help = f'write in {file}: load {label} from "huggingface" {{ "their.name" = "our.name" }}'
        raise stop("E0816", f"{file} has no map of names for `{net.label}`", help)
    if name is None and len(known) > 1:
        raise stop(
            "E0816", f"{file} has {len(known)} maps for `{net.label}`", f"give --map {' or '.join(known)}"
        )
    if name is None:
        (name,) = known
    if name not in known:
        help = suggest(name, known) or f"there are {', '.join(known)}"
        raise stop("E0816", f"{file} has no map `{name}` for `{net.label}`", help)
    rules = read_rules(known[name])
    applied = apply_rules(rules, net, module)
    errors = [d for d in (*rules.diagnostics, *applied.diagnostics) if d.severity == "error"]
    if errors:
        raise DiagnosticError(errors)
    return applied.map


def check_maps(module: Module) -> tuple[Diagnostic, ...]:
    """What is wrong with the maps of a file, for `dlc check`."""
    headers, found = read_headers(module)
    for header in headers:
        rules = read_rules(header.section)
        found += rules.diagnostics
        nets: list[Net] = []
        for subject in header.subjects:
            known = nets_called(module, subject.name)
            meant = [net for net in known if subject.preset in (None, net.block.preset)]
            if not meant:
                found.append(unknown_subject(module, subject, known))
            nets += [net for net in meant if is_for(module, header, net)]
        found += check_rules(rules, module, nets)
    for item in module.items(syntax.Train):
        assert isinstance(item, syntax.Train)
        found += check_training(module, item)
    return tuple(found)


def is_for(module: Module, header: Header, net: Net) -> bool:
    """Whether a section is the one of its name for a network."""
    try:
        return sections_for(module, net).get(header.name) is header.section
    except DiagnosticError:
        return False


def check_training(module: Module, train: syntax.Train) -> list[Diagnostic]:
    """What is wrong with the `load` sections of a `train` section: they are about its models."""
    loads = [item for item in train.items if isinstance(item, syntax.Section) and item.name.id == "load"]
    models: dict[str, syntax.Expr] = {}
    for item in train.items if loads else ():
        if isinstance(item, syntax.Setting) and item.kind is not None and item.kind.id in MODELS:
            models[item.name.id if isinstance(item.name, syntax.Ident) else ""] = item.value
    found: list[Diagnostic] = []
    for section in loads:
        rules = read_rules(section, TRAINING)
        try:
            nets = [model_of(module, subject, models) for subject in read_header(section).subjects]
        except Failed as failed:
            found += [failed.diagnostic] if failed.diagnostic else []
            continue
        found += rules.diagnostics
        if rules.rules:
            found += check_rules(rules, module, nets)
    return found


def model_of(module: Module, subject: Subject, models: Mapping[str, syntax.Expr]) -> Net:
    """The network that a name stands for in a `train` section. Raises Failed."""
    if subject.label not in models:
        hint = suggest(subject.label, models) or f"the models are {', '.join(models) or 'none'}"
        raise fail(
            "E0101", f"unknown model `{subject.label}`", subject.span, "not found in this section", help=hint
        )
    return Net(module, resolve_net(Session(module.loader), module.loaded, models[subject.label]))


def unknown_subject(module: Module, subject: Subject, known: list[Net]) -> Diagnostic:
    if known:
        presets = [net.block.preset for net in known if net.block.preset]
        hint = suggest(subject.preset or "", presets) or f"its presets are {', '.join(presets) or 'none'}"
        text = f"`{subject.name}` has no preset `{subject.preset}`"
        return Diagnostic("E0225", text, subject.span, "not found", (), hint)
    hint = suggest(subject.name, module.nets) or f"the nets are {', '.join(module.nets) or 'none'}"
    text = f"unknown name `{subject.name}`"
    return Diagnostic("E0101", text, subject.span, "not found in this file", (), hint)


def check_rules(rules: Rules, module: Module, nets: list[Net]) -> list[Diagnostic]:
    """What is wrong with rules for these networks; a rule must select something in one of them."""
    found: list[Diagnostic] = []
    used = set[object]()
    some: Mapping[str, ir.WeightSpec] = {}
    for net in nets:
        program, errors = net.elaborated
        if program is None or any(d.severity == "error" for d in errors):
            return []  # reported where the network is checked
        some = some or net.params
        applied = apply_rules(rules, net, module)
        used |= applied.used
        found += applied.diagnostics
    for text, span, key in rules.selectors if nets else ():
        if key not in used:
            help = closest_paths(re.sub(r"\{.*?\}", "", text), some)
            found.append(
                Diagnostic("E0601", f'pattern "{text}" matches no parameter', span, "in load", (), help)
            )
    unique = {(d.code, d.span.start if d.span else 0): d for d in reversed(found)}
    return list(reversed(unique.values()))


def nets_called(module: Module, name: str) -> list[Net]:
    """A network with its presets, declared in the file or imported."""
    if name in module.nets:
        return [net for label, net in module.nets.items() if label.partition(".")[0] == name]
    imported = module.loaded.imported.get(name)
    if imported is None:
        return []
    other = nets_of(Session(module.loader), imported[0])
    return [net for label, net in other.nets.items() if label.partition(".")[0] == imported[1]]
