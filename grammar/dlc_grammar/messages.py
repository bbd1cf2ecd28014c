"""From a parser that is stuck to a sentence that helps.

In: the driver with its stacks in the open, and the token it cannot take. Out: one diagnostic. The
checks in `_CHECKS` are tried in order, each for one habit from another language or one slip; the
last says what could come here. No message ever shows the name of a terminal or a rule.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from dlc_grammar.diagnostics import Diagnostic, Edit, Note
from dlc_grammar.lexer import KEYWORDS, Token
from dlc_grammar.source import Source, Span

if TYPE_CHECKING:
    from dlc_grammar.parse import Driver

Context = Literal["file", "body", "train", "section", "init"]

ITEM_KEYWORDS = frozenset("from const expect fn block net train".split())
STATEMENT_KEYWORDS = frozenset(
    "return for if scan require emit metric minimize update param state sample init".split()
)
_LONGEST_SEARCH = 1000  # tokens
_CLOSER = {"(": ")", "[": "]", "{": "}"}
_OPENER = {closer: opener for opener, closer in _CLOSER.items()}
_VALUE_STARTS = frozenset(
    ["NAME", "INT", "FLOAT", "STRING", "(", "[", "true", "false", "none", "-", "not", "if"]
)
_VALUE_ENDS = frozenset(["NAME", "INT", "FLOAT", "STRING", ")", "]", "true", "false", "none", "?"])

_DECLARE = "functions are `fn`, layers are `block`, whole networks are `net`"
_FOREIGN_HEADS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        ["def", "func", "function", "fun", "proc"],
        ("E0027", "write `fn name(...) { ... }`; " + _DECLARE),
    ),
    **dict.fromkeys(
        ["class", "struct", "module", "object"],
        ("E0027", "write `net Name(...)(...) { ... }`; " + _DECLARE),
    ),
    **dict.fromkeys(
        ["let", "var", "val", "auto", "mut", "local"],
        ("E0027", "values need no keyword: write `name = value`"),
    ),
    **dict.fromkeys(
        ["while", "loop", "do", "repeat", "until"],
        ("E0031", "repeat with `for i in range(n) { ... }`, or at run time with `scan`"),
    ),
    **dict.fromkeys(
        ["break", "continue", "goto"],
        ("E0031", "loops run over a whole list; filter the list instead"),
    ),
    **dict.fromkeys(
        ["try", "raise", "throw", "except", "catch"],
        ("E0031", "state what must hold with `require`"),
    ),
    **dict.fromkeys(
        ["switch", "match", "case"],
        ("E0031", "write `if a { ... } else if b { ... } else { ... }`"),
    ),
    **dict.fromkeys(["elif", "elseif", "elsif"], ("E0034", "write `else if`")),
    "assert": ("E0031", 'write `require condition, "message"`'),
    "print": ("E0031", "in a step, write `metric name = value` to record a value"),
    "pass": ("E0031", "leave the body empty: `{ }`"),
    "with": ("E0031", "nothing needs to be opened or closed; remove the `with`"),
    "global": ("E0031", "file-level names are always visible; remove the line"),
    "del": ("E0031", "values need no deleting; remove the line"),
    "yield": ("E0031", "in a `scan`, write `emit name = value`"),
    "async": ("E0031", "remove the `async`"),
    "import": ("E0049", "write `from module import Name`"),
    "include": ("E0049", "write `from module import Name`"),
    "using": ("E0049", "write `from module import Name`"),
    "require": ("E0032", "put the `require` into the body of a `net`, `block` or `fn`"),
}

_FOREIGN_ITEMS = frozenset(word for word, (code, _) in _FOREIGN_HEADS.items() if code in ("E0027", "E0049"))

# The reader's words for terminals; what is not here is shown as its own text.
_WORDS = {
    "NAME": "a name",
    "INT": "a number",
    "FLOAT": "a number",
    "STRING": "a string",
    "CMP": "a comparison",
}


# ---------------------------------------------------------------- whole-file findings


def too_large(source: Source, limit: int) -> Diagnostic:
    """The file has more characters than the parser takes."""
    message = f"this file has {len(source.text)} characters; at most {limit} are read"
    return Diagnostic(
        "E0003",
        message,
        None,
        help="split it into several files",
        notes=(Note(f"in {source.name}"),),
    )


def too_deep(span: Span, limit: int) -> Diagnostic:
    """An expression or body nests deeper than the compiler follows."""
    return Diagnostic(
        "E0022",
        "this expression is nested too deeply",
        span,
        f"more than {limit} operators or brackets inside each other",
        help="split it: give the parts names",
    )


def is_item_head(tokens: Sequence[Token], index: int) -> bool:
    """Does a declaration or section start at this token, judged by its first few tokens?"""
    token = tokens[index]
    following = tokens[index + 1].type if index + 1 < len(tokens) else ""
    if token.text in ITEM_KEYWORDS and (following not in ("=", ",", "->", "(") or token.text == "expect"):
        return True
    if not token.text.isidentifier() or token.text in STATEMENT_KEYWORDS | {"else", "then", "in"}:
        return False
    for later in tokens[index + 1 : index + 20]:
        if later.type == "{":
            return True
        if later.type not in ("STRING", ".") and not later.text.isidentifier():
            return False
    return False


def check_brackets(
    source: Source, tokens: list[Token], open_strings: Sequence[int] = ()
) -> tuple[list[tuple[int, int]], list[Diagnostic]]:
    """Token ranges in which all brackets match, and one finding for each item where they do not.

    `open_strings` are the offsets of strings that never end: they swallow brackets, so an item with
    one of them is left out without a second finding.
    """
    if _bracket_fault(source, tokens) is None:
        return [(0, len(tokens))], []
    starts = [
        i
        for i, t in enumerate(tokens)
        if t.first and (t.start == 0 or source.text[t.start - 1] == "\n") and is_item_head(tokens, i)
    ]
    bounds = sorted({0, *starts, len(tokens)})
    regions: list[tuple[int, int]] = []
    found: list[Diagnostic] = []
    for first, last in itertools.pairwise(bounds):
        fault = _bracket_fault(source, tokens[first:last])
        low, high = tokens[first].start, tokens[last - 1].stop
        if fault is None:
            base = tokens[first].depth
            for token in tokens[first:last]:
                token.depth -= base
            regions.append((first, last))
        elif not any(low <= offset <= high for offset in open_strings):
            found.append(fault)
    return regions, found


def _bracket_fault(source: Source, tokens: Sequence[Token]) -> Diagnostic | None:
    stack: list[Token] = []
    suspect: Token | None = None
    for token in tokens:
        if token.type in _CLOSER:
            stack.append(token)
        elif opener := _OPENER.get(token.type):
            if not stack:
                return _stray(source, token)
            if stack[-1].type == opener:
                opened = stack.pop()
                if token.first and opener == "{" and _indent(source, token) < _indent(source, opened):
                    suspect = suspect or opened  # this `}` looks like the end of something further out
            elif any(t.type == opener for t in stack):
                return _unclosed(source, stack[-1])
            else:
                return _mismatched(source, stack[-1], token)
    if not stack:
        return None
    return _unclosed(source, suspect if suspect and stack[-1].type == "{" else stack[-1])


def _indent(source: Source, token: Token) -> int:
    line = source.line(source.position(token.start)[0])
    return len(line) - len(line.lstrip())


def _unclosed(source: Source, token: Token) -> Diagnostic:
    return Diagnostic(
        "E0019",
        f"this `{token.type}` is never closed",
        Span(source, token.start, token.stop),
        "opened here",
        help=f"add the missing `{_CLOSER[token.type]}`",
    )


def _stray(source: Source, token: Token) -> Diagnostic:
    span = Span(source, token.start, token.stop)
    return Diagnostic(
        "E0021",
        f"this `{token.type}` closes nothing",
        span,
        "nothing is open here",
        help=f"remove it, or add the missing `{_OPENER[token.type]}`",
    )


def _mismatched(source: Source, opened: Token, token: Token) -> Diagnostic:
    right = _CLOSER[opened.type]
    span = Span(source, token.start, token.stop)
    return Diagnostic(
        "E0020",
        f"`{opened.type}` is closed by `{token.type}`",
        span,
        f"expected `{right}`",
        (Note("it was opened here", Span(source, opened.start, opened.stop)),),
        f"write `{right}`",
        Edit(span, right),
    )


def next_item(driver: Driver, index: int, last: int) -> int:
    """The token where the parser can start afresh after an error at `index`.

    The search begins behind the head of the broken item, because some words that belong to the
    next one may have been taken for a part of this one.
    """
    tokens = driver.tokens
    head = Stuck(driver, index, last).head_index
    # A head that runs on for ages is no item; searching in it again and again would take forever.
    index = head + 1 if head <= index < head + _LONGEST_SEARCH else index + 1
    while index < last:
        token = tokens[index]
        if token.first and token.depth == 0 and is_item_head(tokens, index):
            return index
        if token.text in _FOREIGN_ITEMS and driver.builder.source.position(token.start)[1] == 1:
            return index
        index += 1
    return last


# ---------------------------------------------------------------- where the parser is


class Stuck:
    """The place of a syntax error, in the terms that the checks need."""

    def __init__(self, driver: Driver, index: int, last: int) -> None:
        self.driver = driver
        self.source = driver.builder.source
        self.tokens = driver.tokens
        self.index = index
        end = len(self.source.text.rstrip())
        # An item may end before the file does: then the next item stands in the way.
        beyond = driver.tokens[last].text if last < len(driver.tokens) else ""
        after = Token("$END", beyond, end, end, False)
        self.token = driver.tokens[index] if index < last else after
        self.previous = driver.tokens[index - 1] if index else None
        self.following = driver.tokens[index + 1] if index + 1 < last else None
        symbols = driver.symbols
        brackets = [i for i, s in enumerate(symbols) if s in _CLOSER]
        braces = [i for i in brackets if symbols[i] == "{"]
        self.inside = symbols[brackets[-1]] if brackets else ""
        self.context = self._context(braces[-1] if braces else None)
        position = braces[-1] + 1 if braces else 0
        if position < len(symbols) and symbols[position].startswith("__"):
            position += 1
        self.head: Token | None = None  # the first token of the unfinished statement
        self.head_index = index
        if position < len(symbols):
            self.head_index = bisect_left(self.tokens, driver.entries[position][1], key=lambda t: t.start)
            self.head = self.tokens[self.head_index]

    def _context(self, brace: int | None) -> Context:
        if brace is None:
            return "file"
        actions = self.driver.brace_state(brace)
        if "return" in actions:
            return "body"
        if "step" in actions:
            return "train"
        return "section" if "NAME" in actions else "init"

    # ------------------------------------------------------------ questions

    @property
    def after_head(self) -> bool:
        """The statement consists of its first token only."""
        return self.head is not None and self.head_index == self.index - 1

    @property
    def same_level(self) -> bool:
        """No bracket was opened since the statement began."""
        return self.head is not None and self.token.depth == self.head.depth

    @property
    def before_head(self) -> Token | None:
        return self.tokens[self.head_index - 1] if self.head_index else None

    def accepts(self, *terminals: str) -> bool:
        return any(self.driver.accepts(t) for t in terminals)

    def line(self, token: Token) -> int:
        return self.source.position(token.start)[0]

    def rest_of_line(self) -> list[Token]:
        line = self.line(self.token)
        out: list[Token] = []
        for token in self.tokens[self.index :]:
            if self.line(token) != line:
                break
            out.append(token)
        return out

    # ------------------------------------------------------------ answers

    def span(self, token: Token) -> Span:
        return Span(self.source, token.start, token.stop)

    def say(
        self,
        code: str,
        message: str,
        help_: str = "",
        *,
        at: Token | Span | None = None,
        label: str = "",
        edit: Edit | None = None,
    ) -> Diagnostic:
        where = at if isinstance(at, Span) else self.span(at or self.token)
        return Diagnostic(code, message, where, label, (), help_, edit)

    def insert(self, offset: int, text: str) -> Edit:
        return Edit(Span(self.source, offset, offset), text)

    def replace(self, token: Token, text: str) -> Edit:
        return Edit(self.span(token), text)


def show(token: Token) -> str:
    """A token as messages quote it."""
    if token.type == "$END":
        return f"`{token.text}`" if token.text else "the end of the file"
    text = token.text if len(token.text) <= 30 else token.text[:27] + "..."
    return text if token.type == "STRING" else f"`{text}`"


# ---------------------------------------------------------------- the checks


def _half_number(p: Stuck) -> Diagnostic | None:
    t, n = p.token, p.following
    if t.type == "." and n and n.type in ("INT", "FLOAT") and n.start == t.stop:
        span = Span(p.source, t.start, n.stop)
        return p.say(
            "E0013",
            f"`.{n.text}` is not a number",
            f"write `0.{n.text}`",
            at=span,
            edit=Edit(span, "0." + n.text),
        )
    if p.previous and p.previous.type == "." and p.index > 1 and p.tokens[p.index - 2].type == "INT":
        whole = p.tokens[p.index - 2]
        span = Span(p.source, whole.start, p.previous.stop)
        return p.say(
            "E0013",
            f"`{whole.text}.` is not a number",
            f"write `{whole.text}.0`",
            at=span,
            edit=Edit(span, whole.text + ".0"),
        )
    return None


def _lambda(p: Stuck) -> Diagnostic | None:
    for token in p.tokens[max(0, p.index - 3) : p.index]:
        if token.text == "lambda":
            return p.say(
                "E0030",
                "there is no `lambda`",
                "declare a function, `fn name(x) { return ... }`, and pass its name",
                at=token,
            )
    return None


def _string_prefix(p: Stuck) -> Diagnostic | None:
    before = p.previous
    if (
        p.following
        and p.following.type == "STRING"
        and p.token.stop == p.following.start
        and p.token.type == "NAME"
    ):
        return p.say(
            "E0046",
            "strings have no prefix",
            "remove the prefix; in the message of a `require`, `{name}` is filled in anyway",
            edit=p.replace(p.token, ""),
        )
    if (
        p.token.type == "STRING"
        and before
        and before.stop == p.token.start
        and before.text.lower() in ("f", "r", "b", "rf", "fr", "u")
    ):
        help_ = "remove the prefix; in the message of a `require`, `{name}` is filled in anyway"
        return p.say("E0046", "strings have no prefix", help_, at=before, edit=p.replace(before, ""))
    return None


def _foreign_comment(p: Stuck) -> Diagnostic | None:
    line = p.line(p.head or p.token)
    for i in range(p.index, max(-1, p.index - 40), -1):
        if i >= len(p.tokens):
            continue
        token = p.tokens[i]
        if p.line(token) != line and i < p.index:
            break
        following = p.tokens[i + 1] if i + 1 < len(p.tokens) else None
        slashes = token.type == "//" and (i == p.index or (p.head is not None and i < p.head_index))
        stars = (
            token.type == "/"
            and following is not None
            and following.start == token.stop
            and following.text in ("*", "**")
        )
        if slashes or stars:
            return p.say(
                "E0047",
                "comments start with `#`",
                "write `#` and the comment up to the end of the line",
                at=token,
                edit=p.replace(token, "#") if slashes else None,
            )
    return None


def _foreign_head(p: Stuck) -> Diagnostic | None:
    head = p.head
    if head is None or head.text not in _FOREIGN_HEADS or p.token.type == "=" or head.type != "NAME":
        return None
    if head.text == "require" and p.context == "body":
        return None
    code, help_ = _FOREIGN_HEADS[head.text]
    if head.text == "require":
        return p.say(code, "`require` is a statement; it needs a body around it", help_, at=head)
    edit = p.replace(head, "else if") if code == "E0034" else None
    what = "imports are written `from ... import ...`" if code == "E0049" else f"there is no `{head.text}`"
    return p.say(code, what, help_, at=head, edit=edit)


def _import_all(p: Stuck) -> Diagnostic | None:
    if p.token.type == "*" and p.previous and p.previous.type == "import":
        return p.say("E0049", "names are imported one by one", "write `from module import Name, Other`")
    return None


def _reserved(p: Stuck) -> Diagnostic | None:
    before, t = p.previous, p.token
    help_ = "choose another name"
    if (
        before
        and p.after_head
        and before.type in KEYWORDS
        and t.type in ("=", ",", "->")
        and p.context != "file"
    ):
        return p.say(
            "E0038",
            f"`{before.text}` is a reserved word",
            help_,
            at=before,
            label="a statement keyword, not a name",
        )
    names_only = p.head is not None and p.accepts("NAME") and not p.accepts("INT", "{", "=")
    if t.type in KEYWORDS and t.type == t.text and names_only and before and before.type != ".":
        if t.type == "in":
            return p.say("E0037", "a name is missing before `in`", "write `for name in list { ... }`")
        return p.say("E0038", f"`{t.text}` is a reserved word", help_, label="expected a name")
    return None


def _equals(p: Stuck) -> Diagnostic | None:
    head = p.head
    if p.token.type != "=" or head is None:
        return None
    if head.type in ("param", "state", "sample"):
        return p.say(
            "E0042",
            f"a `{head.type}` is drawn from a distribution",
            f"write `{head.type} name: float[n] ~ zeros()`",
            label="expected `~`",
            edit=p.replace(p.token, "~") if p.accepts("~") else None,
        )
    comparing = head.type in ("if", "require", "expect", "minimize", "return") and p.same_level
    grouped = p.inside in ("(", "[") and p.accepts("CMP") and not p.same_level
    if comparing or grouped or (p.inside != "{" and p.accepts("then")):
        return p.say(
            "E0029",
            "`=` does not compare",
            "write `==`",
            label="a single `=` gives a value to a name",
            edit=p.replace(p.token, "=="),
        )
    if head.type in ("fn", "block", "net") and p.same_level:
        return p.say("E0024", "a body is written in `{ }`", "write `{ return ... }`", label="expected `{`")
    if p.context == "file" and not p.after_head and head.type == "NAME":
        return p.say(
            "E0032",
            "a setting needs a section around it",
            "put it into a section such as `train { ... }`",
            at=head,
            label="only declarations stand at the top of a file",
        )
    if p.context == "file" and p.after_head and head.type == "NAME":
        return p.say(
            "E0032",
            "a value cannot be given to a name here",
            f"write `const {head.text} = ...`",
            at=head,
            label="only declarations stand at the top of a file",
            edit=p.insert(head.start, "const "),
        )
    return None


def _colon(p: Stuck) -> Diagnostic | None:
    head = p.head
    if p.token.type != ":" or head is None or p.previous is None:
        return None
    name = p.previous.text
    if (
        p.context in ("section", "train")
        and p.same_level
        and p.previous.type in ("NAME", "STRING")
        and not p.accepts("{") | (head.type in ("step", "eval"))
    ):
        return _setting(p)
    if p.context in ("section", "train") and p.after_head:
        return _setting(p)
    if p.accepts("{") and p.same_level and not (p.after_head and head.type == "NAME"):
        return p.say(
            "E0024",
            "a body is written in `{ }`",
            "write `{` here and `}` after the last statement",
            label="expected `{`",
        )
    if p.accepts("then"):
        return p.say("E0035", "an `if` inside an expression needs `then`", "write `if c then a else b`")
    if p.after_head and head.type == "NAME" and p.context == "body":
        return p.say(
            "E0036",
            "a type cannot be written here",
            f"write `{name} = ...`; types of values are inferred",
            label=f"`{name}` gets its type from its value",
        )
    if p.after_head and head.type == "NAME" and p.context == "file":
        return p.say(
            "E0032",
            "a value cannot be given to a name here",
            f"write `const {name} = ...`",
            at=head,
            label="only declarations stand at the top of a file",
        )
    if p.inside == "(" and p.previous.type == "NAME" and p.accepts("="):
        return p.say(
            "E0023",
            "keyword arguments are written with `=`",
            f"write `{name}=...`",
            edit=p.replace(p.token, "="),
        )
    return None


def _setting(p: Stuck) -> Diagnostic:
    """`epochs: 10`, `epochs 10`."""
    t, before = p.token, p.previous
    assert before is not None
    if t.type == ":":
        value = p.following.text if p.following else "..."
        return p.say(
            "E0023",
            "settings are written with `=`",
            f"write `{before.text} = {value}`",
            edit=p.replace(t, " ="),
        )
    return p.say(
        "E0023",
        "settings are written with `=`",
        f"write `{before.text} = {t.text}`",
        label="`=` is missing before this",
        edit=p.insert(before.stop, " ="),
    )


def _setting_value(p: Stuck) -> Diagnostic:
    """`data train mnist("train")`: the value was read as one more name of the head."""
    value = p.previous
    assert value is not None
    key = " ".join(t.text for t in p.tokens[p.head_index : p.index - 1])
    return p.say(
        "E0023",
        "settings are written with `=`",
        f"write `{key} = {value.text}...`",
        at=value,
        label="`=` is missing before this",
        edit=p.insert(value.start, "= "),
    )


def _conditional(p: Stuck) -> Diagnostic | None:
    t, symbols = p.token, p.driver.symbols
    help_ = "write `if c then a else b`"
    if t.type == "?":
        return p.say("E0025", "there is no `? :`", help_)
    if (t.type == "if" and p.previous and p.previous.type in _VALUE_ENDS and p.context != "file") or (
        t.type == "if" and p.inside in ("(", "[") and p.accepts(",")
    ):
        return p.say("E0025", "the condition comes first", help_)
    if t.type == "else" and "if" in symbols and not p.accepts("then"):
        place = len(symbols) - 1 - symbols[::-1].index("if")
        index = bisect_left(p.tokens, p.driver.entries[place][1], key=lambda k: k.start)
        opened = p.tokens[index]
        if not opened.first and index and p.tokens[index - 1].type in _VALUE_ENDS:
            condition = p.source.text[opened.stop : t.start].strip()
            return p.say(
                "E0025",
                "the condition comes first",
                f"write `if {condition} then a else b`",
                at=Span(p.source, opened.start, t.stop),
                label="not after the value",
            )
    if p.accepts("then") and "if" in symbols:
        return p.say("E0035", "an `if` inside an expression needs `then`", help_, label="expected `then`")
    if "then" in symbols and p.accepts("else") and not p.accepts("{"):
        return p.say(
            "E0035",
            "an `if` inside an expression needs an `else`",
            help_,
            label="expected `else`",
            at=p.token if t.type != "$END" else p.previous,
        )
    if t.type == "else":
        return p.say("E0034", "this `else` belongs to no `if`", "write it right after the `}` of an `if`")
    return None


def _chain(p: Stuck) -> Diagnostic | None:
    symbols = p.driver.symbols
    if p.token.type not in ("CMP", "in") or len(symbols) < 3 or symbols[-2] not in ("CMP", "in"):
        return None
    (_, first, _, _), _, (_, start, stop, _) = p.driver.entries[-3:]
    middle, left = p.source.text[start:stop], p.source.text[first:stop]
    right = p.following.text if p.following else "..."
    return p.say(
        "E0026",
        "comparisons cannot be chained",
        f"write `{left} and {middle} {p.token.text} {right}`",
        label="a second comparison",
        edit=p.insert(p.token.start, f"and {middle} "),
    )


def _pipe(p: Stuck) -> Diagnostic | None:
    if p.token.type == "->" and not p.after_head and p.accepts("or", "+"):
        return p.say(
            "E0045",
            "a pipe needs parentheses here",
            "write `(value -> stage)`",
            label="the pipe binds loosest",
        )
    return None


def _missing_arrow(p: Stuck) -> Diagnostic | None:
    t, head, before = p.token, p.head, p.before_head
    if t.type == "NAME" and p.accepts("->") and p.accepts("{") and p.previous and p.previous.type == ")":
        return p.say(
            "E0028",
            f"is `->` missing before `{t.text}`?",
            f"write `-> {t.text}`",
            label="a result type follows `->`",
            edit=p.insert(t.start, "-> "),
        )
    if not (head and p.after_head and head.type == "NAME" and before) or t.type in ("=", ","):
        return None
    if head.first or before.type not in _VALUE_ENDS or p.context not in ("file", "body"):
        return None
    return p.say(
        "E0028",
        f"`{head.text}` starts a new {'statement' if p.context == 'body' else 'item'} here"
        " - is `->` missing before it?",
        f"write `-> {head.text}`",
        at=head,
        edit=p.insert(head.start, "-> "),
    )


def _misplaced(p: Stuck) -> Diagnostic | None:
    """Statements at file level or in sections, declarations in bodies."""
    head = p.head if p.head is not None else p.token
    if head.text in STATEMENT_KEYWORDS and head.type in ("NAME", head.text) and p.context != "body":
        where = "a `step` or `eval`" if p.context == "train" else "a `net`, `block` or `fn`"
        return p.say(
            "E0032",
            f"`{head.text}` is a statement; it needs a body around it",
            f"put it into the body of {where}",
            at=head,
            label="not allowed here",
        )
    if (
        p.context == "body"
        and head.text in ("net", "block", "train", "from", "expect", "layer")
        and head.type == "NAME"
        and p.token.type != "="
    ):
        return p.say(
            "E0033",
            f"`{head.text}` cannot stand inside a body",
            "move it out, to the top of the file",
            at=head,
            label="this body is still open",
        )
    if (
        p.context in ("section", "train")
        and head.text in ITEM_KEYWORDS
        and head.type in ("NAME", head.text)
        and not p.same_level | p.after_head
    ):
        return None
    if (
        p.context in ("section", "train")
        and head.text in ("fn", "net", "block", "const", "expect")
        and p.token.type != "="
    ):
        return p.say(
            "E0033",
            f"`{head.text}` cannot stand inside a section",
            "move it out, to the top of the file",
            at=head,
            label="this section is still open",
        )
    return None


def _no_effect(p: Stuck) -> Diagnostic | None:
    head, t = p.head, p.token
    if head is None or not p.after_head or head.type != "NAME":
        return None
    if p.context in ("section", "train") and t.type in _VALUE_STARTS - {"(", "["}:
        return _setting(p)
    if p.context == "body":
        if t.type in (".", "[", "(") and any(
            k.type == "=" and k.depth == head.depth for k in p.rest_of_line()
        ):
            return p.say(
                "E0044",
                "only a name can be given a value",
                "make a new value and give it a name",
                at=Span(p.source, head.start, t.stop),
                label="a part of a value cannot be changed",
            )
        return p.say(
            "E0043",
            f"nothing is done with `{head.text}`"
            if t.type != "NAME"
            else f"`{head.text}` starts no statement",
            "write `name = ...`, or `return ...`",
            at=head,
            label="a statement starts with a name and `=`, or a keyword",
        )
    if p.context == "file":
        return p.say(
            "E0032",
            f"`{head.text}` starts no declaration",
            "a file holds `net`, `block`, `fn`, `const`, `expect`,"
            " imports, and sections such as `train { ... }`",
            at=head,
            label="only declarations stand at the top of a file",
        )
    return None


def _setting_later(p: Stuck) -> Diagnostic | None:
    """`data train flowers(...)`: a kind and a name, then no `=`."""
    if (
        p.context in ("section", "train")
        and p.same_level
        and p.accepts("=")
        and p.token.type in _VALUE_STARTS
        and p.previous
    ):
        return _setting(p)
    return None


def _variable(p: Stuck) -> Diagnostic | None:
    head = p.head
    if head is None or head.type not in ("param", "state", "sample") or not p.same_level or p.accepts("INT"):
        return None
    return p.say(
        "E0042",
        f"a `{head.type}` needs a type and a distribution",
        f"write `{head.type} name: float[n] ~ zeros()`",
        label="expected `:`" if p.accepts(":") else "expected `~`" if p.accepts("~") else "",
    )


def _separator(p: Stuck) -> Diagnostic | None:
    """`{ dim = 3, width = 4 }`."""
    if p.token.type != "," or p.head is None or not p.same_level or p.context == "file":
        return None
    rest = p.tokens[p.index + 1 : p.index + 3]
    if not rest or rest[0].type == "}" or rest[0].type in KEYWORDS or rest[-1].type == "=":
        what = "statements" if p.context == "body" else "settings"
        return p.say("E0014", f"{what} need no separator", "remove the `,`", edit=p.replace(p.token, ""))
    return None


def _missing_comma(p: Stuck) -> Diagnostic | None:
    if p.inside in ("(", "[") and p.accepts(",") and p.token.type in _VALUE_STARTS and p.previous:
        closer = _CLOSER[p.inside]
        return p.say(
            "E0039",
            f"a comma is missing before {show(p.token)}",
            f"write `,` between the two, or `{closer}` before it",
            label=f"expected a comma or `{closer}`",
            edit=p.insert(p.previous.stop, ","),
        )
    return None


def _missing_value(p: Stuck) -> Diagnostic | None:
    before, t = p.previous, p.token
    if before and before.type in ("->", ":", "|") and p.accepts("layer") and not p.accepts("INT"):
        return p.say(
            "E0037",
            f"a type is missing after `{before.text}`",
            "write the type, such as `float[B, 10]`",
            at=before,
            label=f"followed by {show(t)}",
        )
    if before is None or not p.accepts("INT") or t.type in _VALUE_STARTS:
        return None
    if before.type in (
        "=",
        "->",
        "return",
        "minimize",
        ",",
        "~",
        "in",
        "(",
        "[",
        ":",
        "then",
        "else",
        "if",
        "and",
        "or",
        "not",
        "require",
        "expect",
        "using",
        "every",
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "@",
        "**",
        "CMP",
    ):
        return p.say(
            "E0037",
            f"a value is missing after `{before.text}`",
            "write the value",
            at=before,
            label=f"followed by {show(t)}",
        )
    return None


def _missing_body(p: Stuck) -> Diagnostic | None:
    t = p.token
    if (
        p.accepts("{")
        and p.same_level | (t.type == "$END")
        and p.head is not None
        and p.inside not in ("(", "[")
    ):
        if p.head.type == "NAME" and p.context != "file" and t.type in ("(", ".", "->", "["):
            return _setting_value(p)
        if p.head.type == "NAME":
            return p.say("E0040", f"{show(t)} cannot come here", "", label="expected `{` or `=`")
        return p.say(
            "E0024",
            "a body is missing" if t.type == "$END" else "a body is written in `{ }`",
            "write `{ ... }`",
            label="expected `{`",
            at=t if t.type != "$END" else p.previous,
        )
    return None


def _end(p: Stuck) -> Diagnostic | None:
    if p.token.type != "$END":
        return None
    return p.say(
        "E0041",
        "the text ends too early",
        _expected(p) and f"expected {_expected(p)}",
        at=p.previous,
        label="nothing follows this",
    )


def _expected(p: Stuck) -> str:
    """A short list of what could come, or "" where it would be long."""
    accepted = p.driver.accepted()
    words = list(dict.fromkeys(_WORDS.get(t, f"`{t}`") for t in accepted))
    if not 0 < len(words) <= 4:
        what = {"file": "item", "body": "statement"}.get(p.context, "setting")
        if p.accepts("+"):
            closer = f" or `{_CLOSER[p.inside]}`" if p.inside in ("(", "[") else f", or the next {what}"
            return "an operator" + closer
        if p.accepts("return", "net"):
            return f"the next {what}"
        return "a value" if p.accepts("INT") else ""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _anything(p: Stuck) -> Diagnostic:
    expected = _expected(p)
    return p.say(
        "E0040",
        f"{show(p.token)} cannot come here",
        label=f"expected {expected}" if expected else "not expected here",
        at=p.token if p.token.type != "$END" else p.previous,
    )


Check = Callable[[Stuck], Diagnostic | None]
_CHECKS: tuple[Check, ...] = (
    _half_number,
    _lambda,
    _string_prefix,
    _foreign_comment,
    _foreign_head,
    _import_all,
    _reserved,
    _equals,
    _colon,
    _chain,
    _conditional,
    _pipe,
    _misplaced,
    _missing_arrow,
    _no_effect,
    _setting_later,
    _separator,
    _missing_comma,
    _missing_value,
    _variable,
    _missing_body,
    _end,
)


def explain(driver: Driver, index: int, last: int) -> Diagnostic:
    """Why the parser cannot take token `index` of the tokens before `last`."""
    place = Stuck(driver, index, last)
    for check in _CHECKS:
        if found := check(place):
            return found
    return _anything(place)
