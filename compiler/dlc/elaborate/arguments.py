"""The arguments of a call: evaluated in the order of the text, and bound to parameters by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlc.elaborate.coerce import elements
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame
from dlc.modules import plural, suggest
from dlc.values import AnyValue, Poison
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Edit
from dlc_grammar.source import Span


@dataclass(frozen=True)
class Arguments:
    """Evaluated arguments of a call, with where each stands."""

    positional: tuple[tuple[AnyValue, Span], ...]
    keywords: Mapping[str, tuple[AnyValue, Span]]

    def values(self) -> list[AnyValue]:
        return [v for v, _ in self.positional] + [v for v, _ in self.keywords.values()]


def arguments(
    frame: Frame, node: syntax.Call | None, first: tuple[AnyValue, Span] | None = None
) -> Arguments:
    """Evaluate the arguments of a call; `first` is what a pipe passes in."""
    positional: list[tuple[AnyValue, Span]] = [first] if first else []
    keywords: dict[str, tuple[AnyValue, Span]] = {}
    if node is not None:
        for argument in node.args:
            if isinstance(argument, syntax.Spread):
                spread = elements(evaluate(frame, argument.value), argument.span)
                positional.extend((value, argument.span) for value in spread)
            else:
                positional.append((evaluate(frame, argument), argument.span))
        for keyword in node.keywords:
            if keyword.name.id in keywords:
                raise fail(
                    "E0212",
                    f"`{keyword.name.id}` is given twice",
                    keyword.span,
                    "given again here",
                    help="remove one of the two",
                )
            keywords[keyword.name.id] = (evaluate(frame, keyword.value), keyword.span)
    for value in [v for v, _ in positional] + [v for v, _ in keywords.values()]:
        if isinstance(value, Poison):
            raise Failed(None)
    return Arguments(tuple(positional), keywords)


Bound = dict[str, tuple[AnyValue, Span]]


def bind(
    frame: Frame,
    declaration: Any,
    params: Sequence[syntax.Parameter],
    given: Arguments,
    what: str,
    span: Span,
) -> Bound:
    """Values for parameters by name; defaults see the parameters before them. Raises E021x."""
    names = [p.name.id for p in params]
    if len(given.positional) > len(names):
        raise fail(
            "E0211",
            f"{what} takes {plural(len(names), 'argument')}, {len(given.positional)} given",
            given.positional[len(names)][1],
            "too many",
            help=f"its arguments are {', '.join(names)}" if names else "it takes none",
        )
    bound: Bound = dict(zip(names, given.positional, strict=False))
    for key_, pair in given.keywords.items():
        if key_ not in names:
            raise fail(
                "E0210",
                f"{what} has no argument `{key_}`",
                pair[1],
                "not an argument",
                help=suggest(key_, names) or f"its arguments are {', '.join(names)}",
                edit=keyword_edit(pair[1], key_, names),
            )
        if key_ in bound:
            raise fail(
                "E0212", f"`{key_}` is given twice", pair[1], "given again here", help="remove one of the two"
            )
        bound[key_] = pair
    for parameter in params:
        name = parameter.name.id
        if name in bound:
            continue
        if parameter.default is None:
            raise fail(
                "E0213",
                f"{what} needs `{name}`",
                span,
                f"`{name}` is missing",
                help=f"add `{name}=...`; its arguments are {', '.join(names)}",
            )
        inner = Frame(
            frame.session,
            frame.module_of(declaration),
            frame.builder,
            frame.training,
            frame.owner,
            constant=frame.constant,
        )
        inner.names.update({k: v for k, (v, _) in bound.items()})
        bound[name] = (evaluate(inner, parameter.default), span)
    return bound


def keyword_edit(span: Span, name: str, known: Sequence[str]) -> Edit | None:
    """The edit that writes the keyword at `span` as the known name that is close to it."""
    hint = suggest(name, known)
    return Edit(Span(span.source, span.start, span.start + len(name)), hint.split("`")[1]) if hint else None
