"""Text in, syntax tree or diagnostics out: the LALR driver and its tables.

`parse` reads a file, `parse_expression` and `parse_setting` read command-line arguments. The tables
come from `dl.lark` by way of lark, the only use of lark in dlc, and are kept as JSON in the user's
cache folder, so that lark is imported once per version. Reductions run as the text is read:
nothing recurses over the input.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cache as once
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from dlc_grammar import cache, messages, syntax
from dlc_grammar.build import REDUCTIONS, Builder
from dlc_grammar.diagnostics import Diagnostic, Note
from dlc_grammar.lexer import KEYWORDS, MAX_CHARACTERS, MAX_REPORTED, Lexed, Token, tokenize
from dlc_grammar.source import Source, Span

MAX_DEPTH = 150
_FORMAT = 1  # of the cached tables
_GRAMMAR = Path(__file__).with_name("dl.lark")
_STARTS = ("start", "expr", "setting")

# Words that are never a value: where the grammar does not allow them, they are the error.
_HARD = frozenset(
    "return for if then else and or not in const require emit minimize fn true false none".split()
)


# ---------------------------------------------------------------- tables


@dataclass(frozen=True, slots=True)
class Rule:
    """How to reduce. `slots`: the children kept (-1: absent), and whether to splice."""

    origin: str
    name: str
    size: int
    inline: bool  # a single child stands for the rule
    slots: tuple[tuple[int, bool], ...]
    renames: bool  # all it does is to give its only child another name


@dataclass(frozen=True)
class Tables:
    """`actions[state][terminal]` is a state to go to, or -1 - r to reduce by rule r."""

    actions: list[dict[str, int]]
    gotos: list[dict[str, int]]
    rules: list[Rule]
    starts: dict[str, int]
    ends: dict[str, int]
    steps: dict[tuple[int, int, str], tuple[int, int | None]] = field(default_factory=dict)

    @cached_property
    def symbols(self) -> dict[int, str]:
        """The symbol that every state but the first is reached by."""
        reached = {to: symbol for row in self.actions for symbol, to in row.items() if to >= 0}
        return reached | {to: symbol for row in self.gotos for symbol, to in row.items()}

    def step(self, below: int, top: int, terminal: str) -> tuple[int, int | None]:
        """What to do at a terminal in state `top`, which was reached from `below`.

        Most reductions only give another name to the symbol on the stack (`sum: product`), often ten in
        a row: they are done once for all places. The result is the state that they end in, and the
        action there.
        """
        start = top
        while True:
            action = self.actions[top].get(terminal)
            if action is None or action >= 0 or not self.rules[-1 - action].renames:
                break
            top = self.gotos[below][self.rules[-1 - action].origin]
        self.steps[below, start, terminal] = top, action
        return top, action


@once
def load_tables() -> Tables:
    """The parser tables, from the cache folder if they are there, else built and kept there."""
    grammar = _GRAMMAR.read_text(encoding="utf-8")
    key = f"{_FORMAT}\n{grammar}"
    kept = cache.recall("grammar", key)
    if kept is not None:
        try:
            return _decode(kept)
        except (ValueError, LookupError, TypeError, AttributeError):
            pass  # damaged: build it again
    encoded = build_tables(grammar)
    cache.keep("grammar", key, encoded)
    return _decode(encoded)


def build_tables(grammar: str, *, strict: bool = False) -> dict[str, Any]:
    """The tables of a grammar as plain JSON values. Fixed terminals go by their text."""
    from lark import Lark

    lark = Lark(grammar, parser="lalr", start=list(_STARTS), maybe_placeholders=True, strict=strict)
    # Lark has no public access to its LALR tables; the tests of trees would show a change.
    table: Any = lark.parser.parser._parse_table
    text = {t.name: t.pattern.value for t in lark.terminals if t.pattern.type == "str"}
    rules = sorted(
        {a for row in table.states.values() for _, a in row.values() if not isinstance(a, int)},
        key=lambda r: (r.origin.name, r.order, str(r)),
    )
    number = {rule: index for index, rule in enumerate(rules)}
    terminals = {t.name for t in lark.terminals} | {"$END"}
    states = sorted(table.states)
    actions: list[dict[str, int]] = []
    gotos: list[dict[str, int]] = []
    for state in states:
        row = table.states[state]
        actions.append(
            {
                text.get(n, n): a if isinstance(a, int) else -1 - number[a]
                for n, (_, a) in row.items()
                if n in terminals
            }
        )
        gotos.append({n: a for n, (_, a) in row.items() if n not in terminals})
    assert states == list(range(len(states)))
    return {
        "actions": actions,
        "gotos": gotos,
        "rules": [_encode_rule(rule) for rule in rules],
        "starts": dict(table.start_states),
        "ends": dict(table.end_states),
    }


def _encode_rule(rule: Any) -> list[Any]:
    """Lark's conventions: fixed texts are dropped, `_names` are spliced, `[x]` leaves a None."""
    options, slots, position = rule.options, [], 0
    for empty in options.empty_indices or [False] * len(rule.expansion):
        if empty:
            slots.append([-1, False])
            continue
        symbol = rule.expansion[position]
        if options.keep_all_tokens or not (symbol.is_term and symbol.filter_out):
            slots.append([position, not symbol.is_term and symbol.name.startswith("_")])
        position += 1
    inline = bool(options.expand1 and not rule.alias)
    return [rule.origin.name, rule.alias or rule.origin.name, len(rule.expansion), inline, slots]


def _decode(data: dict[str, Any]) -> Tables:
    rules = [
        Rule(origin, name, size, inline, tuple((i, s) for i, s in slots), inline and slots == [[0, False]])
        for origin, name, size, inline, slots in data["rules"]
    ]
    return Tables(data["actions"], data["gotos"], rules, data["starts"], data["ends"])


# ---------------------------------------------------------------- the driver


class SyntaxFailure(Exception):
    """Internal: the parser cannot go on at token `index`, or refuses (`diagnostic`)."""

    def __init__(self, index: int, diagnostic: Diagnostic | None = None) -> None:
        super().__init__()
        self.index = index
        self.diagnostic = diagnostic


Entry: TypeAlias = tuple[Any, int, int, int]
"""What the parser has read of one symbol: its value, where it starts and stops, and how deep its tree is."""


class Driver:
    """An LALR automaton over a list of tokens, with the stacks in the open for messages."""

    def __init__(self, builder: Builder, tokens: list[Token], start: str) -> None:
        self.tables = load_tables()
        self.builder = builder
        self.tokens = tokens
        self.start = start
        self.reset()

    def reset(self) -> None:
        self.states = [self.tables.starts[self.start]]
        self.entries: list[Entry] = []  # one less than states

    @property
    def symbols(self) -> list[str]:
        """The grammar's names of the entries."""
        return [self.tables.symbols[state] for state in self.states[1:]]

    def run(self, first: int, last: int) -> Any:
        """Parse tokens `first` to `last` (exclusive); the value of the start symbol."""
        self.reset()
        for index in range(first, last):
            self.shift(index, self.resolve(index))
        return self.finish(last)

    def resolve(self, index: int) -> str:
        """The terminal of a token here: a keyword where the grammar has one, else a name."""
        token = self.tokens[index]
        if token.text not in KEYWORDS or token.type != token.text:
            return token.type
        # The lookahead of LALR states is merged: `from` may reduce here and yet not be acceptable.
        action = self.tables.actions[self.states[-1]].get(token.type)
        if action is not None and (action >= 0 or self.accepts(token.type) or not self.accepts("NAME")):
            return token.type
        if token.text in _HARD:
            previous = self.tokens[index - 1].type if index else ""
            following = self.tokens[index + 1].type if index + 1 < len(self.tokens) else ""
            if previous != "." and following != "=":
                return token.type
        return "NAME"

    def shift(self, index: int, terminal: str) -> None:
        """Reduce until the terminal fits, then take it."""
        token = self.tokens[index]
        action = self.advance(index, terminal)
        token.type = terminal
        self.states.append(action)
        self.entries.append((token, token.start, token.stop, 0))

    def finish(self, index: int) -> Any:
        end = self.tables.ends[self.start]
        self.advance(index, "$END", end)
        return self.entries[-1][0]

    def advance(self, index: int, terminal: str, end: int | None = None) -> int:
        """Reduce until the terminal can be taken, or until state `end`; the state to go to then."""
        tables, states = self.tables, self.states
        steps = tables.steps
        while states[-1] != end:
            below, top = states[-2] if len(states) > 1 else -1, states[-1]
            states[-1], action = steps.get((below, top, terminal)) or tables.step(below, top, terminal)
            if states[-1] == end:
                break
            if action is None or (action >= 0 and end is not None):
                raise SyntaxFailure(index)
            if action >= 0:
                return action
            self.reduce(tables.rules[-1 - action], index)
        return states[-1]

    def reduce(self, rule: Rule, index: int) -> None:
        size = rule.size
        raw: list[Any] = []
        start = stop = depth = 0
        if size:
            read = self.entries[-size:]
            del self.states[-size:], self.entries[-size:]
            raw = [entry[0] for entry in read]
            start, stop = read[0][1], read[-1][2]
            depth = max([entry[3] for entry in read])
        children = _children(rule, raw)
        if rule.name.startswith("_"):
            value: Any = children
        elif rule.inline and len(children) == 1:
            value = children[0]
        else:
            span = Span(self.builder.source, start, stop)
            depth += 1
            if depth > MAX_DEPTH:
                raise SyntaxFailure(index, messages.too_deep(span, MAX_DEPTH))
            value = REDUCTIONS[rule.name](self.builder, span, children, raw)
        self.states.append(self.tables.gotos[self.states[-1]][rule.origin])
        self.entries.append((value, start, stop, depth))

    # ------------------------------------------------------------ for messages

    def accepts(self, terminal: str) -> bool:
        """Would the parser take this terminal now? Simulates the reductions on the states alone."""
        states = list(self.states)
        while True:
            action = self.tables.actions[states[-1]].get(terminal)
            if action is None:
                return False
            if action >= 0:
                return True
            rule = self.tables.rules[-1 - action]
            if rule.size:
                del states[-rule.size :]
            states.append(self.tables.gotos[states[-1]][rule.origin])

    def accepted(self) -> list[str]:
        """All terminals that the parser would take now."""
        return sorted(t for t in self.tables.actions[self.states[-1]] if t != "$END" and self.accepts(t))

    def brace_state(self, position: int) -> dict[str, int]:
        """The actions right after the symbol at `position` of the stack."""
        return self.tables.actions[self.states[position + 1]]


def _children(rule: Rule, raw: list[Any]) -> list[Any]:
    out: list[Any] = []
    for position, splice in rule.slots:
        if position < 0:
            out.append(None)
        elif splice and not out:
            out = raw[position]  # left recursion: extend the list made so far, not a copy of it
        elif splice:
            out.extend(raw[position])
        else:
            out.append(raw[position])
    return out


# ---------------------------------------------------------------- entry points


def parse(source: Source) -> tuple[syntax.Module | None, tuple[Diagnostic, ...]]:
    """The tree of a file; with errors it holds the items that are whole, or is None."""
    module, _, diagnostics = parse_tokens(source)
    return module, diagnostics


def parse_tokens(
    source: Source,
) -> tuple[syntax.Module | None, list[Token], tuple[Diagnostic, ...]]:
    """`parse`, and the tokens of the file with the types they turned out to have."""
    if len(source.text) > MAX_CHARACTERS:
        return None, [], (messages.too_large(source, MAX_CHARACTERS),)
    lexed = tokenize(source)
    if not lexed.usable:
        return None, [], _ordered(lexed.diagnostics)
    module_doc, docs = _docs(source, lexed)
    builder = Builder(source, docs)
    open_strings = [d.span.start for d in lexed.diagnostics if d.code == "E0008" and d.span]
    regions, found = messages.check_brackets(source, lexed.tokens, open_strings)
    driver = Driver(builder, lexed.tokens, "start")
    items: list[syntax.Item] = []
    for first, last in regions:
        items.extend(_parse_region(driver, first, last, found))
    found = _without_echoes(found, lexed.diagnostics)
    diagnostics = _ordered([*lexed.diagnostics, *found, *builder.diagnostics])
    comments = tuple(syntax.Comment(span) for span in lexed.comments)
    return syntax.Module(source, tuple(items), comments, module_doc), lexed.tokens, diagnostics


def _parse_region(driver: Driver, first: int, last: int, found: list[Diagnostic]) -> list[syntax.Item]:
    """All items between two tokens; after an error, from the next item head on."""
    items: list[syntax.Item] = []
    while first <= last:
        try:
            items.extend(driver.run(first, last))
            break
        except SyntaxFailure as failure:
            found.append(failure.diagnostic or messages.explain(driver, failure.index, last))
            if driver.entries and driver.symbols[0].startswith("_"):
                items.extend(driver.entries[0][0])
            first = messages.next_item(driver, failure.index, last)
            if first >= last or len(found) > MAX_REPORTED:
                break
    return items


def _without_echoes(found: list[Diagnostic], lexical: list[Diagnostic]) -> list[Diagnostic]:
    """Drop what follows from a character or string that the lexer already reported."""
    holes = {d.span.line for d in lexical if d.span and d.code in ("E0004", "E0008")}
    return [d for d in found if not (d.span and {d.span.line, d.span.line - 1} & holes)]


def parse_expression(
    text: str, name: str = "<expression>"
) -> tuple[syntax.Expr | None, tuple[Diagnostic, ...]]:
    """The tree of one expression, such as a command-line argument; spans point into `text`."""
    value, diagnostics = _parse_fragment(Source(name, text), "expr")
    return value, diagnostics


def parse_setting(text: str, name: str = "--set") -> tuple[syntax.Setting | None, tuple[Diagnostic, ...]]:
    """The tree of `key = value` as one command-line argument."""
    value, diagnostics = _parse_fragment(Source(name, text), "setting")
    return value, diagnostics


def _parse_fragment(source: Source, start: str) -> tuple[Any, tuple[Diagnostic, ...]]:
    if len(source.text) > MAX_CHARACTERS:
        return None, (messages.too_large(source, MAX_CHARACTERS),)
    lexed = tokenize(source)
    if not lexed.usable:
        return None, _ordered(lexed.diagnostics)
    _, found = messages.check_brackets(source, lexed.tokens)
    builder = Builder(source, {})
    value = None
    if not found and not lexed.diagnostics:
        driver = Driver(builder, lexed.tokens, start)
        try:
            value = driver.run(0, len(lexed.tokens))
        except SyntaxFailure as failure:
            found.append(failure.diagnostic or messages.explain(driver, failure.index, len(lexed.tokens)))
    diagnostics = _ordered([*lexed.diagnostics, *found, *builder.diagnostics])
    return (None if diagnostics else value), diagnostics


def _ordered(diagnostics: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """By position, and not more of them than anyone reads."""
    ordered = sorted(diagnostics, key=lambda d: d.span.start if d.span else -1)
    if len(ordered) <= MAX_REPORTED:
        return tuple(ordered)
    last = ordered[MAX_REPORTED - 1]
    note = Note(f"there are more errors; these are the first {MAX_REPORTED}")
    final = Diagnostic(
        last.code, last.message, last.span, last.label, (*last.notes, note), last.help, last.edit
    )
    return (*ordered[: MAX_REPORTED - 1], final)


def _docs(source: Source, lexed: Lexed) -> tuple[str, dict[int, str]]:
    """The doc comment of the file, and those of items by the line below them."""
    first_token = source.position(lexed.tokens[0].start)[0] if lexed.tokens else sys.maxsize
    runs: list[list[tuple[int, str]]] = []  # own-line doc comments on consecutive lines
    for comment in lexed.comments:
        line, column = source.position(comment.start)
        text = comment.text.rstrip()
        if not text.startswith("##") or source.line(line)[: column - 1].strip():
            continue
        if not runs or runs[-1][-1][0] != line - 1:
            runs.append([])
        runs[-1].append((line, text[3:] if text.startswith("## ") else text[2:]))
    by_line = {run[-1][0] + 1: "\n".join(text for _, text in run) for run in runs}
    module_doc = ""
    if runs and runs[0][0][0] < first_token and runs[0][0][0] == lexed.comments[0].line:
        module_doc = by_line[runs[0][-1][0] + 1]
    return module_doc, by_line
