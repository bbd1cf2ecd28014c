"""The standard library as documentation: names in, their text and place out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from dlc.modules import STD
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic
from dlc_grammar.files import load_source
from dlc_grammar.parse import parse

Declaration = syntax.Block | syntax.Alias | syntax.Function | syntax.Const


@dataclass(frozen=True)
class Entry:
    """One declaration of the standard library."""

    name: str
    kind: str
    """`block`, `function`, `primitive` or `constant`."""
    doc: str
    source: str
    file: str
    line: int
    prelude: bool
    """Whether it is in scope without an import."""

    @property
    def module(self) -> str:
        return "std." + self.file.rpartition("/")[2].removesuffix(".dl")


@cache
def entries() -> dict[str, Entry]:
    """Every name of the standard library; the prelude wins."""
    found: dict[str, Entry] = {}
    for path in sorted(STD.glob("*.dl"), key=lambda path: path.stem != "core"):
        source = load_source(path, f"std/{path.name}")
        if isinstance(source, Diagnostic):
            continue
        tree, _ = parse(source)
        for item in _declarations(tree):
            name = item.name.id
            line = item.span.line
            text = item.span.text.rstrip()
            prelude = path.stem == "core"
            found.setdefault(name, Entry(name, _kind(item), item.doc, text, source.name, line, prelude))
    return found


def _declarations(tree: syntax.Module | None) -> Iterator[Declaration]:
    for item in tree.items if tree else ():
        if isinstance(item, Declaration):
            yield item


def _kind(item: Declaration) -> str:
    match item:
        case syntax.Function(body=None):
            return "primitive"
        case syntax.Function():
            return "function"
        case syntax.Const():
            return "constant"
        case _:
            return item.kind
