"""Makes the statements of a generated file record their values.

In: Python text and the sites of the file as it was emitted. Out: a syntax tree in which `x =
<expr>` reads `x = __record__(number, <expr>)`, and `return` likewise, inside functions and methods.
Line numbers stay. Only this file knows how a statement of an edited file is recognised as one of
the emitted file.

The bodies of nested functions run with recording paused: frameworks trace them (scan, vmap), and
what they compute has another meaning than its place in the text.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TypeAlias

from dlc.python_source import parse_python

RECORD = "__record__"

Recordable: TypeAlias = ast.Assign | ast.AnnAssign | ast.Return


@dataclass(frozen=True, slots=True)
class Site:
    """A statement that can record: its function (`GPT2.forward`), target, text, number and line."""

    function: str
    target: str
    text: str
    number: int
    line: int
    last: int


def find_statements(tree: ast.Module) -> Iterator[tuple[str, Recordable]]:
    """Every recordable statement of top-level functions and methods, in the order of the text."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield from ((node.name, statement) for statement in _inside(node.body))
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    name = f"{node.name}.{method.name}"
                    yield from ((name, statement) for statement in _inside(method.body))


def _inside(body: Sequence[ast.stmt]) -> Iterator[Recordable]:
    for statement in body:
        match statement:
            case ast.Assign() | ast.AnnAssign() | ast.Return() if statement.value is not None:
                yield statement
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                pass
            case _:
                for block in ("body", "orelse", "finalbody"):
                    yield from _inside(getattr(statement, block, []))


def target_of(statement: Recordable) -> str:
    match statement:
        case ast.Assign():
            return " = ".join(ast.unparse(target) for target in statement.targets)
        case ast.AnnAssign():
            return ast.unparse(statement.target)
        case _:
            return "return"


def find_sites(text: str) -> tuple[Site, ...]:
    """The sites of a file, numbered in the order of its text."""
    return tuple(
        Site(
            function=function,
            target=target_of(statement),
            text=ast.unparse(statement),
            number=number,
            line=statement.lineno,
            last=statement.end_lineno or statement.lineno,
        )
        for number, (function, statement) in enumerate(find_statements(parse_python(text)))
    )


def align(emitted: Sequence[Site], present: Sequence[Site]) -> dict[int, int]:
    """For each site of a file its number in the emitted file, function by function.

    Statements of the same text match first; between them, statements of the same target in order.
    """
    old, new = defaultdict(list), defaultdict(list)
    for site in emitted:
        old[site.function].append(site)
    for site in present:
        new[site.function].append(site)
    found: dict[int, int] = {}
    for function, sites in new.items():
        before = old[function]
        texts = SequenceMatcher(None, [s.text for s in before], [s.text for s in sites], autojunk=False)
        for tag, a, a_end, b, b_end in texts.get_opcodes():
            if tag == "equal":
                pairs: Iterable[tuple[Site, Site]] = zip(before[a:a_end], sites[b:b_end], strict=True)
            else:
                pairs = _by_target(before[a:a_end], sites[b:b_end])
            found.update({site.number: origin.number for origin, site in pairs})
    return found


def _by_target(before: Sequence[Site], after: Sequence[Site]) -> Iterator[tuple[Site, Site]]:
    names = SequenceMatcher(None, [s.target for s in before], [s.target for s in after], autojunk=False)
    for a, b, size in names.get_matching_blocks():
        yield from zip(before[a : a + size], after[b : b + size], strict=True)


class _Pause(ast.NodeTransformer):
    """Nested functions and lambdas run with recording paused."""

    def __init__(self) -> None:
        self.depth = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1
        if self.depth:
            paused = ast.Call(ast.Attribute(_name(RECORD), "paused", ast.Load()), [], [])
            node.body = [ast.With([ast.withitem(paused)], node.body)]
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        self.generic_visit(node)
        if not self.depth:
            return node
        return ast.Call(ast.Attribute(_name(RECORD), "quiet", ast.Load()), [node], [])


def _name(text: str) -> ast.Name:
    return ast.Name(text, ast.Load())


def instrument(text: str, emitted: Sequence[Site], wanted: frozenset[int]) -> ast.Module:
    """The tree of a file whose statements record under their numbers in the emitted file.

    `wanted`: the numbers to record. Statements without a counterpart in the emitted file record
    nothing.
    """
    tree = parse_python(text)
    numbers = align(emitted, find_sites(text))
    for present, (_, statement) in enumerate(find_statements(tree)):
        number = numbers.get(present)
        if number is not None and number in wanted and statement.value is not None:
            recorded = ast.Call(_name(RECORD), [ast.Constant(number), statement.value], [])
            statement.value = ast.copy_location(recorded, statement.value)
    _Pause().visit(tree)
    return ast.fix_missing_locations(tree)
