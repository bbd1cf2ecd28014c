"""Which network is meant: `FILE`, `FILE:Net` or `FILE:Net.preset` in, a `Net` out.

`-` stands for standard input. What cannot be found is a DiagnosticError.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from dlc.api import Module, Net, open_module, open_text, with_settings
from dlc.trouble import stop
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic, DiagnosticError
from dlc_grammar.files import decode
from dlc_grammar.lexer import MAX_CHARACTERS
from dlc_grammar.source import Source

LABEL = re.compile(r"[A-Za-z_]\w*(\.\w+)?")
STDIN = "-"


@dataclass(frozen=True)
class Argument:
    """A command-line argument that names a file, and perhaps a network in it."""

    path: str
    label: str | None = None

    @staticmethod
    def of(text: str) -> Argument:
        """A name after the last colon is a network, unless there is a file of the whole name."""
        path, colon, label = text.rpartition(":")
        if not colon or not path or not LABEL.fullmatch(label) or _is_file(text):
            return Argument(text)
        return Argument(path, label)

    @property
    def shown(self) -> str:
        return "<stdin>" if self.path == STDIN else self.path


def _is_file(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def read_stdin() -> Source | Diagnostic:
    """The text on standard input."""
    data = sys.stdin.buffer.read(4 * MAX_CHARACTERS + 1)
    return decode(data, "<stdin>")


def open_argument(argument: Argument) -> tuple[Module | None, tuple[Diagnostic, ...]]:
    """The file that an argument names; elaborates nothing."""
    if argument.path != STDIN:
        return open_module(argument.path)
    source = read_stdin()
    if isinstance(source, Diagnostic):
        return None, (source,)
    return open_text(source.text, source.name)


def load_argument(argument: Argument) -> Module:
    """The same; raises DiagnosticError for a file with errors."""
    module, diagnostics = open_argument(argument)
    errors = [d for d in diagnostics if d.severity == "error"]
    if module is None or errors:
        raise DiagnosticError(errors or diagnostics)
    return module


def choose(module: Module, label: str | None) -> Net:
    """The network called `label`; without one the only network, or the one that `parity` names."""
    if label is not None:
        return module[label]
    plain = [net for net in module.nets.values() if net.block.preset is None]
    if len(plain) == 1:
        return plain[0]
    if not plain:
        help = "write one: net Model()(x: float[B, 8]) { ... }"
        raise stop("E0120", f"{module.loaded.name} has no network", help)
    named = [label for section in parity_sections(module) if (label := named_net(section))]
    if len(set(named)) == 1 and named[0] in module.nets:
        return module.nets[named[0]]
    file = module.loaded.name
    help = f"write {file}:{plain[0].label}; there are {', '.join(module.nets)}"
    raise stop("E0120", f"{file} has {len(plain)} networks; say which one is meant", help)


def parity_sections(module: Module) -> list[syntax.Section]:
    found = module.items(syntax.Section)
    return [item for item in found if isinstance(item, syntax.Section) and item.name.id == "parity"]


def named_net(section: syntax.Section) -> str | None:
    """The label in `net = GPT2.tiny`, None where a section names no network."""
    for item in section.items:
        if isinstance(item, syntax.Setting) and isinstance(item.name, syntax.Ident) and item.name.id == "net":
            return net_label(item.value)
    return None


def plain_nets(module: Module) -> list[Net]:
    return [net for net in module.nets.values() if net.block.preset is None]


def covered(module: Module, section: syntax.Section) -> list[tuple[Net, syntax.Section]]:
    """The networks that a section is about: the one that it names, or all."""
    label = named_net(section)
    if label is None or label not in module.nets:
        return [(net, section) for net in plain_nets(module)]
    return [(module.nets[label], section)]


def net_label(value: syntax.Expr) -> str | None:
    if isinstance(value, syntax.Name):
        return value.id
    if isinstance(value, syntax.Attribute) and isinstance(value.value, syntax.Name):
        return f"{value.value.id}.{value.name.id}"
    return None


def select(text: str, settings: tuple[str, ...] = ()) -> Net:
    """The network that an argument names, with `--set` applied. Raises DiagnosticError."""
    argument = Argument.of(text)
    return apply_settings(choose(load_argument(argument), argument.label), settings)


def apply_settings(net: Net, settings: tuple[str, ...]) -> Net:
    """A network with the values of `--set`. Raises DiagnosticError."""
    for text in settings:
        if "=" not in text:
            raise stop("E0122", f"`{text}` gives no value", "write for example --set dim=64")
    return with_settings(net, settings) if settings else net
