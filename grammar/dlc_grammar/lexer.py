"""Text in, tokens out: the lexical half of the parser.

`tokenize` splits a source into tokens and comments. What other languages write differently (`;`,
`&&`, `|>`, `'text'`) is reported and repaired on the spot, so that the parser goes on as if the
token had been right and one slip costs one message.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from dlc_grammar.diagnostics import Diagnostic, Edit, Note
from dlc_grammar.source import Source, Span

MAX_CHARACTERS = 1 << 20
MAX_BRACKETS = 100
MAX_DIGITS = 300
MAX_REPORTED = 20

KEYWORDS = frozenset(
    "from import as const expect fn block net layer param state sample update for in scan along"
    " carry if else then return require emit init metric wrt using every minimize train step eval"
    " or and not true false none".split()
)


@dataclass(slots=True)
class Token:
    """`type` is the terminal of the grammar: NAME, INT, FLOAT, STRING, CMP, or the text itself.

    The parser overwrites the type of a keyword that stands where only a name can stand.
    """

    type: str
    text: str
    start: int
    stop: int
    first: bool  # nothing but space before it on its line
    depth: int = 0  # open brackets around it


@dataclass
class Lexed:
    """The result of `tokenize`; `usable` is false where no parser should look at the tokens."""

    tokens: list[Token] = field(default_factory=list)
    comments: list[Span] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    usable: bool = True


_TOKEN = re.compile(
    r"""
    (?P<newline>\n)
  | (?P<space>[ \t\r]+)
  | (?P<comment>\#[^\n]*)
  | (?P<name>[^\W\d]\w*)
  | (?P<number>[0-9][0-9_]*(?:\.[0-9][0-9_]*)?(?:[eE][+-]?[0-9]+)?\w*)
  | (?P<string>"(?:[^"\\\n]|\\.)*")
  | (?P<foreign>===|!==|\|>|=>|~>|<>|:=|&&|\|\||(?:\*\*|//|[-+*/%@])=|!(?!=)|[;&^`\\$])
  | (?P<operator>->|\.\.\.|//|\*\*|==|!=|<=|>=|[-<>()\[\]{},:=.+*/%@|~?])
  | (?P<other>.)
    """,
    re.VERBOSE,
)
_COMPARISONS = frozenset(["==", "!=", "<=", ">=", "<", ">"])
_OPENERS = frozenset("([{")
_CLOSERS = frozenset(")]}")
_QUOTED = re.compile(r"'((?:[^'\\\n]|\\.)*)'")
_CURLY = re.compile(
    '[\u201c\u201d\u201e\u00ab\u00bb]([^\u201c\u201d\u201e\u00ab\u00bb"\n]*)[\u201c\u201d\u00ab\u00bb"]'
)
_CURLY_MARKS = frozenset("\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_MARK_REPLACEMENTS = {
    "\u2013": "-",
    "\u2014": "-",
    "\u2212": "-",
    "\u2192": "->",
    "\u00d7": "*",
    "\u00b7": "*",
    "\u2260": "!=",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2026": "...",
    "\uff08": "(",
    "\uff09": ")",
    "\uff0c": ",",
    "\uff1a": ":",
    "\uff1d": "=",
    "\uff5b": "{",
    "\uff5d": "}",
}

# text -> (code, message, help, what the parser reads instead)
_FOREIGN: dict[str, tuple[str, str, str, str]] = {
    ";": ("E0014", "statements need no separator", "remove the `;`", ""),
    "|>": ("E0015", "the pipe is written `->`", "write `->`", "->"),
    "=>": ("E0015", "the arrow is written `->`", "write `->`", "->"),
    "~>": ("E0015", "the arrow is written `->`", "write `->`", "->"),
    "&&": ("E0016", "`&&` is written `and`", "write `and`", "and"),
    "||": ("E0016", "`||` is written `or`", "write `or`", "or"),
    "&": ("E0016", "`&` is written `and`", "write `and`", "and"),
    "!": ("E0016", "`!` is written `not`", "write `not`", "not"),
    "===": ("E0016", "`===` is written `==`", "write `==`", "=="),
    "!==": ("E0016", "`!==` is written `!=`", "write `!=`", "!="),
    "<>": ("E0016", "`<>` is written `!=`", "write `!=`", "!="),
    "^": ("E0016", "`^` is written `**`", "write `**` for powers", "**"),
    ":=": ("E0016", "`:=` is written `=`", "write `=`", "="),
}


class _Lexer:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.out = Lexed()
        self.first = True
        self.depth = 0

    def run(self) -> Lexed:
        text, position = self.source.text, 0
        while position < len(text) and self.out.usable:
            position = self.scan(position)
        for mark in _BIDI.finditer(text):
            self.report(
                "E0007",
                "a hidden character changes the direction of this text",
                mark.start(),
                mark.end(),
                "invisible",
                "remove it; text must read as it is shown",
                "",
            )
        return self.out

    def scan(self, position: int) -> int:
        """Read tokens up to one that the pattern does not know; the position behind it."""
        read = {"name": self.name, "number": self.number, "operator": self.operator, "string": self.string}
        read["foreign"] = self.foreign
        for found in _TOKEN.finditer(self.source.text, position):
            kind = found.lastgroup
            if kind == "space":
                continue
            if kind == "newline":
                self.first = True
                continue
            start, stop = found.span()
            if kind == "comment":
                self.out.comments.append(Span(self.source, start, stop))
                continue
            if kind in read:
                read[kind](found.group(), start, stop)
            else:
                stop = self.other(found.group(), start, stop)
            self.first = False
            if kind not in read or not self.out.usable:
                return stop
        return len(self.source.text)

    def add(self, type_: str, text: str, start: int, stop: int) -> None:
        self.out.tokens.append(Token(type_, text, start, stop, self.first, self.depth))

    def report(
        self,
        code: str,
        message: str,
        start: int,
        stop: int,
        label: str,
        help_: str,
        replacement: str | None = None,
        note: str = "",
    ) -> None:
        if len(self.out.diagnostics) > MAX_REPORTED:
            return
        span = Span(self.source, start, stop)
        edit = None if replacement is None else Edit(span, replacement)
        notes = (Note(note),) if note else ()
        self.out.diagnostics.append(Diagnostic(code, message, span, label, notes, help_, edit))

    # ------------------------------------------------------------ the kinds of token

    def string(self, text: str, start: int, stop: int) -> None:
        self.add("STRING", text, start, stop)

    def name(self, text: str, start: int, stop: int) -> None:
        if not text.isascii():
            plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
            odd = next(c for c in text if not c.isascii())
            self.report(
                "E0005",
                f"the name `{text}` has a letter outside a-z",
                start,
                stop,
                f"`{odd}` is {unicodedata.name(odd, 'not an ASCII letter').lower()}",
                "names use the letters a-z and A-Z, digits and `_`"
                + (f"; for example `{plain}`" if plain.isidentifier() else ""),
            )
        self.add(text if text in KEYWORDS else "NAME", text, start, stop)

    def number(self, text: str, start: int, stop: int) -> None:
        if not _NUMBER.fullmatch(text):
            help_ = "write numbers like `16`, `50_000`, `0.5` or `1e-3`"
            if text[:2].lower() in ("0x", "0b", "0o"):
                help_ = "write the number in decimal"
            elif text[-1:] not in "_0123456789" and "." not in text:
                help_ = "a name cannot start with a digit"
            self.report("E0013", f"`{_short(text)}` is not a number", start, stop, "", help_)
            self.add("INT", "0", start, stop)
            return
        type_ = "INT" if text.replace("_", "").isdecimal() else "FLOAT"
        digits = len(text) if len(text) <= MAX_DIGITS else sum(c.isdecimal() for c in text)
        if digits > MAX_DIGITS:
            self.report(
                "E0011",
                f"this number has {digits} digits",
                start,
                stop,
                f"at most {MAX_DIGITS} are read",
                "write it as a power, such as `10 ** 6`",
            )
            text = "0" if type_ == "INT" else "0.0"
        elif type_ == "FLOAT" and float(text) == float("inf"):
            self.report(
                "E0012",
                f"`{_short(text)}` is too large for a float",
                start,
                stop,
                "this would be infinite",
                "the largest float is about 1.8e308",
            )
            text = "0.0"
        self.add(type_, text, start, stop)

    def operator(self, text: str, start: int, stop: int) -> None:
        if text in _OPENERS:
            self.add(text, text, start, stop)
            self.depth += 1
            if self.depth > MAX_BRACKETS:
                self.report(
                    "E0022",
                    "brackets are nested too deeply",
                    start,
                    stop,
                    f"this is level {self.depth}; at most {MAX_BRACKETS} are read",
                    "give the inner parts names",
                )
                self.out.usable = False
            return
        if text in _CLOSERS:
            self.depth = max(0, self.depth - 1)
        previous = self.out.tokens[-1].text if self.out.tokens else ""
        if text == "..." and previous in ("from", "."):
            for offset in range(start, stop):  # `from ...a import b`
                self.add(".", ".", offset, offset + 1)
            return
        self.add("CMP" if text in _COMPARISONS else text, text, start, stop)

    def foreign(self, text: str, start: int, stop: int) -> None:
        if text in _FOREIGN:
            code, message, help_, instead = _FOREIGN[text]
            tight = text == "!" and self.source.text[stop : stop + 1] not in " \t"
            self.report(code, message, start, stop, "", help_, instead + " " * tight)
            if instead:
                self.add("CMP" if instead in _COMPARISONS else instead, text, start, stop)
        elif text.endswith("="):
            target = self.out.tokens[-1].text if self.out.tokens else "x"
            self.report(
                "E0017",
                f"there is no `{text}`",
                start,
                stop,
                "",
                f"write `{target} = {target} {text[:-1]} ...`",
            )
            self.add("=", text, start, stop)
        else:
            self.report(
                "E0004",
                f"`{text}` has no meaning here",
                start,
                stop,
                "unexpected character",
                "remove it",
            )

    def other(self, text: str, start: int, stop: int) -> int:
        source = self.source.text
        for pattern, code, message in (
            (_QUOTED, "E0009", "strings are written with double quotes"),
            (_CURLY, "E0006", "strings are written with straight quotes"),
        ):
            found = pattern.match(source, start)
            if found and '"' not in found[1]:
                instead = f'"{found[1]}"'
                self.report(code, message, start, found.end(), "", f"write {_short(instead)}", instead)
                self.add("STRING", instead, start, found.end())
                return found.end()
        if text in "\"'" or text in _CURLY_MARKS:
            return self.open_string(text, start)
        if text.isspace() or unicodedata.category(text) in ("Cf", "Zs", "Zl", "Zp"):
            name = _character(text)
            self.report(
                "E0007",
                "there is an invisible character here",
                start,
                stop,
                name,
                "replace it by a space",
                " " if text.isspace() else "",
            )
            return stop
        return self.unknown(text, start)

    def open_string(self, text: str, start: int) -> int:
        end = self.source.text.find("\n", start)
        end = len(self.source.text) if end < 0 else end
        end = start + len(self.source.text[start:end].rstrip())
        self.report(
            "E0008",
            "this string is not closed",
            start,
            end,
            "it starts here",
            'end it with `"` on the same line',
        )
        self.add("STRING", '""', start, end)
        return end

    def unknown(self, text: str, start: int) -> int:
        if instead := _MARK_REPLACEMENTS.get(text):
            self.report(
                "E0004",
                f"`{text}` is not the character you want",
                start,
                start + 1,
                unicodedata.name(text).lower(),
                f"write `{instead}`",
                instead,
            )
            self.operator(instead, start, start + 1)
            return start + 1
        source, stop = self.source.text, start + 1
        while stop < len(source) and not (
            (source[stop].isascii() and source[stop].isprintable()) or source[stop].isspace()
        ):
            stop += 1
        name = _character(text)
        self.report("E0004", "this character has no meaning here", start, stop, name, "remove it")
        return stop


_NUMBER = re.compile(r"[0-9]+(_[0-9]+)*(\.[0-9]+(_[0-9]+)*)?([eE][+-]?[0-9]+)?")


def _short(text: str, limit: int = 40) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _character(char: str) -> str:
    name = unicodedata.name(char, "")
    return name.lower() if name else f"U+{ord(char):04X}"


def tokenize(source: Source) -> Lexed:
    """All tokens and comments of a source, with what was wrong on the way."""
    return _Lexer(source).run()
