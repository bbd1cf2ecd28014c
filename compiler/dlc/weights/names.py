"""Names with holes: `"h.{i}.attn.{p:q,k,v}.weight"` of ours, `"{transformer.,}h.{i+1}.{p}"` of theirs.

A hole of ours that is a new name captures a part of the path (digits are a number); one that is not new, and
every hole of theirs, is a compile-time expression over captures, file constants and the network's parameters.
`{a,b}` in a name of theirs is either spelling. All functions raise `Failed` (E0613).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from dlc.elaborate.failure import Failed, fail
from dlc_grammar import syntax
from dlc_grammar.parse import parse_setting
from dlc_grammar.source import Span

Value: TypeAlias = int | str
Scope: TypeAlias = Mapping[str, Value]
Evaluate: TypeAlias = Callable[["Hole", Scope], Value]
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
CHOICE = re.compile(r"[A-Za-z_]\w*:.*", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Hole:
    """`{i}`, `{i+1}`, or `{p:q,k,v}` with the values that are meant."""

    span: Span
    name: str | None
    """Where it is a bare name."""
    choices: tuple[str, ...]
    node: syntax.Expr | None
    text: str = ""
    mentions: tuple[str, ...] = ()
    """The names in the expression, captures among them."""


@dataclass(frozen=True, slots=True, eq=False)
class Either:
    """`{transformer.,}`."""

    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A name with holes."""

    text: str
    span: Span
    parts: tuple[str | Hole | Either, ...]

    @property
    def holes(self) -> tuple[Hole, ...]:
        return tuple(part for part in self.parts if isinstance(part, Hole))


def read_template(literal: syntax.Literal_, *, theirs: bool) -> Template:
    """The name in a text."""
    text = str(literal.value)
    parts: list[str | Hole | Either] = []
    at = 0
    while at < len(text):
        opening = text.find("{", at)
        plain = text[at : opening if opening >= 0 else len(text)]
        if "*" in plain or "}" in plain:
            wrong = "*" if "*" in plain else "}"
            raise bad_name(
                literal.span, f"`{wrong}` is no part of a name", "write {i} for a part that varies"
            )
        parts += [plain] if plain else []
        if opening < 0:
            break
        closing = text.find("}", opening)
        if closing < 0:
            raise bad_name(literal.span, "this `{` is not closed", "write {i}")
        span = _inside(literal, opening, closing + 1)
        parts.append(_hole(text[opening + 1 : closing], span, theirs=theirs))
        at = closing + 1
    return Template(text, literal.span, tuple(parts))


def _inside(literal: syntax.Literal_, start: int, stop: int) -> Span:
    """The place of some characters of a text; the whole text where escapes move them."""
    span = literal.span
    if "\\" in span.text:
        return span
    return Span(span.source, span.start + 1 + start, span.start + 1 + stop)


def _hole(text: str, span: Span, *, theirs: bool) -> Hole | Either:
    text = text.strip()
    if IDENTIFIER.fullmatch(text):
        return Hole(span, text, (), None)
    if CHOICE.fullmatch(text):
        name, _, choices = text.partition(":")
        if theirs:
            raise bad_name(span, "a capture is bound on the right", f"write {{{name}}}")
        return Hole(span, name, tuple(choice.strip() for choice in choices.split(",")), None)
    if _has_comma(text):
        if not theirs:
            raise bad_name(span, "these parts have no name", f"write {{p:{text}}}, and {{p}} on the left")
        return Either(tuple(choice.strip() for choice in text.split(",")))
    setting, diagnostics = parse_setting(f"hole = {text}", "the text")
    if setting is None:
        reason = diagnostics[0].message if diagnostics else "not an expression"
        raise bad_name(span, f"this is no expression: {reason}", "write for example {i} or {i+1}")
    return Hole(span, None, (), setting.value, text, tuple(dict.fromkeys(IDENTIFIER.findall(text))))


def _has_comma(text: str) -> bool:
    """A comma outside of brackets."""
    depth = 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and not depth:
            return True
    return False


def fill(template: Template, scope: Scope, evaluate: Evaluate) -> tuple[str, ...]:
    """The name, in every spelling."""
    pieces: list[tuple[str, ...]] = []
    for part in template.parts:
        match part:
            case str():
                pieces.append((part,))
            case Either():
                pieces.append(part.choices)
            case Hole():
                pieces.append((str(value_of(part, scope, evaluate)),))
    return tuple("".join(choice) for choice in product(*pieces))


def value_of(hole: Hole, scope: Scope, evaluate: Evaluate) -> Value:
    """A capture, or what the expression in a hole gives."""
    if hole.name is not None and hole.name in scope:
        return scope[hole.name]
    return evaluate(hole, scope)


def match(
    template: Template, scope: Scope, paths: Mapping[str, object], evaluate: Evaluate
) -> Iterator[tuple[str, dict[str, Value]]]:
    """Every path of ours that fits, with its captures."""
    pattern, new = "", dict[str, str]()
    for part in template.parts:
        if isinstance(part, str):
            pattern += re.escape(part)
        elif isinstance(part, Hole):
            if part.name is not None and part.name in new:
                pattern += f"(?P={new[part.name]})"
            elif part.name is not None and part.name not in scope:
                new[part.name] = f"capture{len(new)}"
                inside = "|".join(map(re.escape, part.choices)) or "[^.]+"
                pattern += f"(?P<{new[part.name]}>{inside})"
            else:
                pattern += re.escape(str(value_of(part, scope, evaluate)))
    if not new:
        (path,) = fill(template, scope, evaluate)
        if path in paths:
            yield path, {}
        return
    compiled = re.compile(pattern)
    for path in paths:
        if found := compiled.fullmatch(path):
            yield path, {name: _number(found[group]) for name, group in new.items()}


def captures(template: Template, scope: Scope) -> bool:
    """Whether the name has a hole that is a new name."""
    return any(hole.name is not None and hole.name not in scope for hole in template.holes)


def _number(text: str) -> Value:
    return int(text) if text.isascii() and text.isdigit() and str(int(text)) == text else text


def bad_name(span: Span, message: str, help: str) -> Failed:
    return fail("E0613", message, span, "in this name", help=help)
