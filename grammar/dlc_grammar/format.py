"""`dlc fmt`: a source in, the same program in canonical layout out.

The tree says where statements begin; inside a statement the formatter works on tokens, so that
parentheses, number spellings and comments survive.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc_grammar import syntax as s
from dlc_grammar.diagnostics import Diagnostic
from dlc_grammar.formatting.printing import Printer
from dlc_grammar.formatting.reading import Reader
from dlc_grammar.lexer import Token, tokenize
from dlc_grammar.parse import parse_tokens
from dlc_grammar.source import Source


def format_text(source: Source) -> tuple[str | None, tuple[Diagnostic, ...]]:
    """The canonical layout of a file, or None and its syntax errors."""
    module, tokens, diagnostics = parse_tokens(source)
    if module is None or any(d.severity == "error" for d in diagnostics):
        return None, diagnostics
    text = Printer().file(Reader(source, tokens, module).file())
    if not _same_program(tokens, module, Source(source.name, text)):
        message = "the formatter would change this program; nothing was written"
        return None, (Diagnostic("E0901", message, help="this is a bug in dlc; please report the file"),)
    return text, ()


def _same_program(tokens: Sequence[Token], module: s.Module, result: Source) -> bool:
    """Formatting may change white space and trailing commas; all else is lost work."""
    after = tokenize(result)
    comments = [c.span.text.rstrip() for c in module.comments]
    return (
        not after.diagnostics
        and _significant(tokens) == _significant(after.tokens)
        and comments == [c.text.rstrip() for c in after.comments]
    )


def _significant(tokens: Sequence[Token]) -> list[str]:
    following = [*(t.text for t in tokens[1:]), ""]
    pairs = zip(tokens, following, strict=False)
    return [t.text for t, after in pairs if not (t.text == "," and after in (")", "]"))]
