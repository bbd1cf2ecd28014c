"""The Python API: `load` a file, look at its networks, build and compare them. Diagnostics are data."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dlc import ir
from dlc.elaborate import expectations, names
from dlc.elaborate import program as programs
from dlc.elaborate.failure import Failed
from dlc.elaborate.frame import Session
from dlc.elaborate.resolve import resolve
from dlc.modules import LoadedModule, Loader
from dlc.values import BlockValue
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic, DiagnosticError
from dlc_grammar.source import Source

if TYPE_CHECKING:
    from dlc.weights.convert import Converted

sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))

NOT_COMPILED = ("train", "distribute", "quantize")
"""Sections that are parsed and formatted, and not compiled yet."""


@contextmanager
def paused_collector() -> Iterator[None]:
    """Compiling makes many small values that all live: collecting garbage meanwhile only costs time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True)
class Net:
    """A network of a file, perhaps by a preset, elaborated on demand."""

    module: Module
    block: BlockValue

    @property
    def label(self) -> str:
        return self.block.declaration.name.id + (f".{self.block.preset}" if self.block.preset else "")

    @cached_property
    def program(self) -> ir.Program:
        """The typed program. Raises DiagnosticError."""
        made, diagnostics = self.elaborated
        if made is None:
            raise DiagnosticError(diagnostics)
        return made

    @cached_property
    def elaborated(self) -> tuple[ir.Program | None, tuple[Diagnostic, ...]]:
        """The typed program, or what is wrong with it; worked out once."""
        session = Session(self.module.loader)
        if self.module.cycles:
            return None, self.module.cycles
        with paused_collector():
            made = programs.elaborate_net(session, self.module.loaded, self.block)
        return made, tuple(session.diagnostics)

    @property
    def facts(self) -> programs.NetFacts:
        return programs.facts(self.program)

    @property
    def param_count(self) -> int:
        return programs.parameter_count(self.program)

    @property
    def params(self) -> Mapping[str, ir.WeightSpec]:
        """Every parameter and state by path."""
        return {weight.path: weight for weight in self.program.weights}

    @property
    def inputs(self) -> tuple[tuple[str, str], ...]:
        return self.facts.inputs

    def import_weights(
        self, checkpoint: str | Path, output: str | Path, map: str | None = None, *, dtype: str | None = None
    ) -> Converted:
        """Our file of weights from a checkpoint of another library. Raises DiagnosticError."""
        from dlc.weights.convert import import_weights
        from dlc.weights.maps import find_map

        return import_weights(find_map(self, map), Path(checkpoint), Path(output), dtype=dtype)

    def export_weights(
        self, weights: str | Path, output: str | Path, map: str | None = None, *, dtype: str | None = None
    ) -> Converted:
        """A checkpoint of another library from our file of weights. Raises DiagnosticError."""
        from dlc.weights.convert import export_weights
        from dlc.weights.maps import find_map

        return export_weights(find_map(self, map), Path(weights), Path(output), dtype=dtype)

    def __call__(self, **values: object) -> Net:
        """The same network with other parameters, checked like in `.dl`. Raises DiagnosticError."""
        settings = tuple(f"{name}={_literal(value)}" for name, value in values.items())
        return with_settings(self, settings)


def _literal(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return repr(value)


@dataclass
class Module:
    """A loaded file."""

    loader: Loader
    loaded: LoadedModule
    nets: dict[str, Net] = field(default_factory=dict)

    def __getitem__(self, label: str) -> Net:
        """`module["GPT2.tiny"]`. Raises DiagnosticError for an unknown name."""
        found = self.find(label)
        if isinstance(found, Diagnostic):
            raise DiagnosticError([found])
        return found

    def find(self, label: str) -> Net | Diagnostic:
        """A network by name, `Net` or `Net.preset`."""
        if label in self.nets:
            return self.nets[label]
        from dlc.modules import suggest

        return Diagnostic(
            "E0101",
            f"{self.loaded.name} has no network `{label}`",
            help=suggest(label, self.nets) or f"it has {', '.join(self.nets) or 'none'}",
        )

    def items(self, kind: type) -> list[syntax.Item]:
        return [item for item in self.loaded.tree.items if isinstance(item, kind)]

    def sections(self, name: str) -> list[syntax.Section]:
        """The sections of a kind: `parity`, `load`."""
        found = self.loaded.tree.items
        return [item for item in found if isinstance(item, syntax.Section) and item.name.id == name]

    @cached_property
    def names(self) -> tuple[Diagnostic, ...]:
        """Findings about the names of the file."""
        return tuple(resolve(self.loader, self.loaded))

    @property
    def cycles(self) -> tuple[Diagnostic, ...]:
        """Those that keep every network from being elaborated."""
        return tuple(d for d in self.names if d.code == "E0105")

    @property
    def uncompiled(self) -> tuple[str, ...]:
        """The names of sections that are kept but not compiled yet."""
        found = []
        for item in self.loaded.tree.items:
            if isinstance(item, syntax.Train):
                found.append(f"train {item.name.id}" if item.name else "train")
            elif isinstance(item, syntax.Section) and item.name.id in NOT_COMPILED:
                found.append(item.name.id)
        return tuple(found)


def open_module(path: str | Path) -> tuple[Module | None, tuple[Diagnostic, ...]]:
    """Read a file and what it imports; elaborates nothing."""
    loader = Loader()
    loaded = loader.load(Path(path), label=str(path))
    return _module(loader, loaded)


def open_text(text: str, name: str = "<text>") -> tuple[Module | None, tuple[Diagnostic, ...]]:
    """The same for a text."""
    loader = Loader()
    loaded = loader.load_source(Source(name, text), None)
    return _module(loader, loaded)


def _module(loader: Loader, loaded: LoadedModule | None) -> tuple[Module | None, tuple[Diagnostic, ...]]:
    if loaded is None:
        return None, tuple(loader.diagnostics)
    session = Session(loader)
    module = nets_of(session, loaded)
    return module, (*loader.diagnostics, *session.diagnostics)


def nets_of(session: Session, loaded: LoadedModule) -> Module:
    """A file that is read, with its networks and their presets."""
    module = Module(session.loader, loaded)
    for item in loaded.tree.items:
        if (
            not isinstance(item, syntax.Block)
            or item.kind != "net"
            or item.name.id not in loaded.declarations
        ):
            continue
        block = BlockValue(item, loaded, label=item.name.id)
        module.nets[item.name.id] = Net(module, block)
        frame = programs.scratch_frame(session, loaded)
        for name, section in loaded.presets.get(item.name.id, {}).items():
            try:
                filled = names.named_preset(frame, block, name, section.name.span)
            except Failed as failed:
                session.report(failed.diagnostic)
                continue
            module.nets[f"{item.name.id}.{name}"] = Net(module, filled)
    return module


def load(path: str | Path) -> Module:
    """Read a `.dl` file. Raises DiagnosticError; `str(error)` is the rendered text."""
    module, diagnostics = open_module(path)
    errors = [d for d in diagnostics if d.severity == "error"]
    if module is None or errors:
        raise DiagnosticError(errors or diagnostics)
    return module


@dataclass(frozen=True)
class CheckReport:
    """What `dlc check` found in one file."""

    module: Module | None
    nets: tuple[programs.NetFacts, ...]
    expectations: int
    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        return not any(d.severity == "error" for d in self.diagnostics)


def check_module(
    module: Module | None, diagnostics: tuple[Diagnostic, ...], only: str | None = None
) -> CheckReport:
    """Resolve, elaborate and check every network, run every `expect`, and lint what has no error.

    `only`: just the network of this name, without what is expected of others, and without the maps of
    names, which are about all presets of a network.
    """
    found = list(diagnostics)
    if module is None:
        return CheckReport(None, (), 0, tuple(found))
    names = module.names
    found.extend(names)
    nets, programs_, passed = [], [], 0
    if any(d.code == "E0105" for d in names):
        return CheckReport(module, (), 0, tuple(sorted(found, key=_place)))
    seen = {_key(d) for d in found}

    def add(more: tuple[Diagnostic, ...]) -> None:
        for diagnostic in more:
            if _key(diagnostic) not in seen:
                seen.add(_key(diagnostic))
                found.append(diagnostic)

    for net in module.nets.values() if only is None else [module.nets[only]]:
        program, more = net.elaborated
        add(more)
        if program is not None:
            nets.append(programs.facts(program))
            programs_.append(program)
    if only is None and (module.sections("load") or module.items(syntax.Train)):
        from dlc.weights.maps import check_maps

        add(check_maps(module))
    with paused_collector():
        for item in module.items(syntax.Expect):
            assert isinstance(item, syntax.Expect)
            if only is not None and not _concerns(module, item, only):
                continue
            session, holds = expectations.check(module.loader, module.loaded, item)
            add(tuple(session.diagnostics))
            passed += holds
    if not any(d.severity == "error" for d in found):
        from dlc.lints import lint

        add(tuple(lint(module.loaded, module.loader.prelude, programs_)))
    return CheckReport(module, tuple(nets), passed, tuple(sorted(found, key=_place)))


def _concerns(module: Module, item: syntax.Expect, label: str) -> bool:
    """Whether an `expect` is about this network, or about none."""
    named, parts = set(), set()
    for node in syntax.walk(item):
        if isinstance(node, syntax.Attribute) and isinstance(node.value, syntax.Name):
            named.add(f"{node.value.id}.{node.name.id}")
            parts.add(node.value)
        elif isinstance(node, syntax.Name) and node not in parts:
            named.add(node.id)
    named &= module.nets.keys()
    return not named or label in named


def _key(d: Diagnostic) -> object:
    """One place has one finding of a kind: presets differ in numbers, not in the mistake."""
    return (d.code, id(d.span.source), d.span.start) if d.span else (d.code, d.message)


def _place(d: Diagnostic) -> tuple[str, int]:
    return (d.span.source.name, d.span.start) if d.span else ("", 0)


def check(path: str | Path) -> CheckReport:
    """Check a file."""
    return check_module(*open_module(path))


def check_text(text: str, name: str = "<text>") -> CheckReport:
    """Check a text."""
    return check_module(*open_text(text, name))


def with_settings(net: Net, settings: tuple[str, ...]) -> Net:
    """A network with `key=value` settings applied, as `--set` does. Raises DiagnosticError."""
    from dlc_grammar.parse import parse_setting

    filled = dict(net.block.filled)
    session = Session(net.module.loader)
    frame = programs.scratch_frame(session, net.module.loaded)
    for text in settings:
        setting, diagnostics = parse_setting(text)
        if setting is None or not isinstance(setting.name, syntax.Ident):
            raise DiagnosticError(diagnostics)
        try:
            value = names.static_argument(frame, net.block.declaration, setting.name, setting.value)
        except Failed as failed:
            raise DiagnosticError([failed.diagnostic] if failed.diagnostic else []) from None
        filled[setting.name.id] = value
    block = BlockValue(net.block.declaration, net.block.module, filled, net.block.label, net.block.preset)
    return Net(net.module, block)
