"""The rules of a `load` section as they are written.

In: a section. Out: its `Rules`, with diagnostics; no network is needed yet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.weight_paths import glob
from dlc.modules import suggest
from dlc.weights.names import Template, read_template
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic
from dlc_grammar.source import Span

Kind: TypeAlias = Literal["one", "tied", "sum"]
GROUPS: dict[str, Kind] = {"tied": "tied", "sum": "sum"}
LISTS = ("ignore", "missing")


@dataclass(frozen=True)
class Pattern:
    """One text of `ignore` or `missing`."""

    text: str
    span: Span | None
    regex: re.Pattern[str]

    @staticmethod
    def of(text: str, span: Span | None = None) -> Pattern:
        return Pattern(text, span, glob(text))

    def matches(self, name: str) -> bool:
        return self.regex.fullmatch(name) is not None


@dataclass(frozen=True, eq=False)
class Rule:
    """`"theirs" = ours` as it is written."""

    kind: Kind
    theirs: Template
    ours: syntax.Expr


@dataclass(frozen=True)
class Rules:
    """A section, read as far as no network is needed."""

    section: syntax.Section
    name: str
    rules: tuple[Rule, ...]
    templates: Mapping[int, Template]
    """The names of ours, by the identity of their text's node."""
    ignore: tuple[Pattern, ...]
    missing: tuple[Pattern, ...]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def selectors(self) -> Iterator[tuple[str, Span, object]]:
        """Everything that must select a weight of ours: text, place, and what marks it as used."""
        for rule in self.rules:
            literal = next(named(rule.ours))
            yield str(literal.value), literal.span, rule
        for pattern in self.missing:
            assert pattern.span is not None
            yield pattern.text, pattern.span, pattern


def read_rules(section: syntax.Section, more: tuple[str, ...] = ()) -> Rules:
    """A section's rules and lists; what is wrong with one is reported, and the rest is read.

    `more`: settings that are allowed and mean nothing here.
    """
    rules: list[Rule] = []
    templates: dict[int, Template] = {}
    lists: dict[str, tuple[Pattern, ...]] = {}
    diagnostics: list[Diagnostic] = []

    def attempt(action: Callable[[], None]) -> None:
        try:
            action()
        except Failed as failed:
            if failed.diagnostic is not None:
                diagnostics.append(failed.diagnostic)

    def rule(kind: Kind, item: syntax.Setting) -> None:
        assert isinstance(item.name, syntax.Literal_)
        theirs = read_template(item.name, theirs=True)
        literals = list(named(item.value))
        if not literals:
            raise bad_layout(
                item.value.span, "no weight of ours is named here", 'write for example "h.weight"'
            )
        for literal in literals:
            templates[id(literal)] = read_template(literal, theirs=False)
        rules.append(Rule(kind, theirs, item.value))

    def one(item: syntax.Setting | syntax.Section, kind: Kind) -> None:
        if isinstance(item, syntax.Section):
            if item.name.id not in GROUPS or kind != "one":
                raise unknown(item.name.id, item.name.span)
            for inner in item.items:
                attempt(lambda inner=inner: one(inner, GROUPS[item.name.id]))  # type: ignore[misc]
        elif isinstance(item.name, syntax.Literal_):
            rule(kind, item)
        elif item.name.id in LISTS and item.kind is None and kind == "one":
            lists[item.name.id] = lists.get(item.name.id, ()) + read_patterns(item.value)
        elif item.name.id in more:
            return
        else:
            raise unknown(item.name.id, item.name.span)

    for item in section.items:
        attempt(lambda item=item: one(item, "one"))  # type: ignore[misc]
    last = section.args[-1] if section.args else None
    name = str(last.value) if isinstance(last, syntax.Literal_) else ""
    return Rules(
        section,
        name,
        tuple(rules),
        templates,
        lists.get("ignore", ()),
        lists.get("missing", ()),
        tuple(diagnostics),
    )


def read_patterns(value: syntax.Expr) -> tuple[Pattern, ...]:
    """`["fc.*"]` as patterns."""
    found: list[Pattern] = []
    for item in value.items if isinstance(value, (syntax.List_, syntax.Tuple_)) else (value,):
        if not isinstance(item, syntax.Literal_) or not isinstance(item.value, str):
            raise fail("E0605", "this is not a list of patterns", item.span, "in load", help='write ["fc.*"]')
        found.append(Pattern.of(item.value, item.span))
    return tuple(found)


def unknown(name: str, span: Span) -> Failed:
    known = (*LISTS, *GROUPS)
    hint = suggest(name, known) or f'there are {", ".join(known)}, and rules: "their.name" = "our.name"'
    return fail("E0602", f"a load section has no setting `{name}`", span, "not known here", help=hint)


def parts(node: syntax.Expr | syntax.Spread) -> tuple[syntax.Expr | syntax.Spread, ...]:
    """What a layout is made of: of a call its first argument, which is not the pattern of a `rearrange`."""
    match node:
        case syntax.Call():
            return node.args[:1]
        case syntax.Pipe() | syntax.Index():
            return (node.value,)
        case syntax.List_() | syntax.Tuple_():
            return node.items
        case _:
            return ()


def named(node: syntax.Expr | syntax.Spread) -> Iterator[syntax.Literal_]:
    """The texts in a layout that are names of ours, in order."""
    match node:
        case syntax.Literal_() if isinstance(node.value, str):
            yield node
        case syntax.Comprehension():
            yield from named(node.element)
        case _:
            for part in parts(node):
                yield from named(part)


def subscripted(node: syntax.Expr | syntax.Spread) -> Iterator[syntax.Index]:
    """The subscripts in a layout, outside of comprehensions; inner ones first."""
    for part in parts(node):
        yield from subscripted(part)
    if isinstance(node, syntax.Index):
        yield node


def bad_layout(span: Span, message: str, help: str = "") -> Failed:
    text = help or "tensors are moved by transpose, reshape, rearrange, concat, stack and subscripts"
    return fail("E0612", message, span, "in this layout", help=text)
