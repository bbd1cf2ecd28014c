"""The trees of texts that are the same in every run: the standard library is parsed once per version.

In: a source. Out: what `parse` gives. The tree is kept as plain JSON: a node is the number of its class,
its offsets and its fields; a tuple is a list that begins with null.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zlib import crc32

from dlc_grammar import cache, syntax
from dlc_grammar.diagnostics import Diagnostic
from dlc_grammar.parse import parse
from dlc_grammar.source import Source, Span

_CLASSES: tuple[type, ...] = (
    Span,
    *(kind for kind in vars(syntax).values() if isinstance(kind, type) and issubclass(kind, syntax.Node)),
)


def parse_library(source: Source) -> tuple[syntax.Module | None, tuple[Diagnostic, ...]]:
    """`parse`, with a tree from an earlier run where there is one."""
    key = f"{_version()}\n{source.text}"
    kept = cache.recall("tree", key)
    if kept is not None:
        try:
            return _decoded(source, kept), ()
        except (LookupError, TypeError, ValueError):
            pass  # damaged: parse it again
    module, diagnostics = parse(source)
    if module is not None and not diagnostics:
        cache.keep("tree", key, _encoded(module))
    return module, diagnostics


def _version() -> int:
    """Changes with the grammar and with the code that makes trees."""
    total = 0
    for path in sorted(Path(__file__).parent.iterdir()):
        if path.suffix in (".py", ".lark"):
            total = crc32(path.read_bytes(), total)
    return total


def _encoded(module: syntax.Module) -> Any:
    numbers = {kind: number for number, kind in enumerate(_CLASSES)}

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [None, *map(plain, value)]
        if isinstance(value, Span):
            return [0, value.start, value.stop]
        if isinstance(value, syntax.Node):
            fields = [getattr(value, field) for field in value.FIELDS[1:]]
            return [numbers[type(value)], value.span.start, value.span.stop, *map(plain, fields)]
        return value

    comments = [[comment.span.start, comment.span.stop] for comment in module.comments]
    return [plain(module.items), comments, module.doc]


def _decoded(source: Source, kept: Any) -> syntax.Module:
    def made(value: Any) -> Any:
        if type(value) is not list:
            return value
        if value[0] is None:
            return tuple([made(item) for item in value[1:]])
        span = Span(source, value[1], value[2])
        if value[0] == 0:
            return span
        return _CLASSES[value[0]](span, *[made(item) for item in value[3:]])

    items, comments, doc = kept
    spans = [Span(source, start, stop) for start, stop in comments]
    return syntax.Module(source, made(items), tuple(map(syntax.Comment, spans)), doc)
