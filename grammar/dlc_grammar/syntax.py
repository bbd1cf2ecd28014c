"""The syntax tree of a `.dl` file: frozen values, one class per construct, each with its span.

The tree is what the text says, no more: names are unresolved, sizes unknown. Children are tuples,
absent parts are None.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from dlc_grammar.record import Record
from dlc_grammar.source import Source, Span

# ---------------------------------------------------------------- expressions


class Node(Record):
    """Base of every node. Compared by identity, so a node can key a table."""

    span: Span


class Name(Node):
    id: str


class Literal_(Node):
    """`1`, `2.5`, `"text"`, `true`, `none`; strings are unescaped."""

    value: int | float | str | bool | None


class Unary(Node):
    op: Literal["-", "not"]
    operand: Expr


class Binary(Node):
    """Arithmetic, comparison and logic: `+ - * / // % ** @ == != < <= > >= and or in "not in"`."""

    op: str
    left: Expr
    right: Expr
    op_span: Span


class IfExpr(Node):
    condition: Expr
    then: Expr
    orelse: Expr


class Pipe(Node):
    """`value -> stage` or `value -> label: stage`; chains nest to the left."""

    value: Expr
    label: Ident | None
    stage: Expr


class Spread(Node):
    value: Expr


class Keyword(Node):
    """A keyword argument `name=value`."""

    name: Ident
    value: Expr


class Call(Node):
    function: Expr
    args: tuple[Expr | Spread, ...]
    keywords: tuple[Keyword, ...]


class Ellipsis_(Node):
    pass


class Slice(Node):
    start: Expr | None
    stop: Expr | None
    step: Expr | None


class Index(Node):
    value: Expr
    subscripts: tuple[Expr | Slice | Ellipsis_, ...]


class Attribute(Node):
    value: Expr
    name: Ident


class Tuple_(Node):
    items: tuple[Expr, ...]


class List_(Node):
    items: tuple[Expr | Spread, ...]


class Comprehension(Node):
    element: Expr
    targets: tuple[Ident, ...]
    iterable: Expr
    condition: Expr | None


Expr: TypeAlias = (
    Name
    | Literal_
    | Unary
    | Binary
    | IfExpr
    | Pipe
    | Call
    | Index
    | Attribute
    | Tuple_
    | List_
    | Comprehension
)


class Ident(Node):
    """A name being defined or selected (label, target, attribute, keyword)."""

    id: str


# ---------------------------------------------------------------- types


class DimPack(Node):
    """`*S` in a shape."""

    name: str


class DimAny(Node):
    """`...` in a shape. (`_` is a `Name`.)"""


class NamedType(Node):
    """`float[B, T]`, `int`, `list[T]`; `shape` is None where there are no brackets, () for `[]`.

    For `list[...]` the bracket holds types; the grammar reads them as dims, so `list[int]` has the
    shape `(Name("int"),)` and `list[(int, int)]` has a `Tuple_` of names.
    """

    name: str
    shape: tuple[Expr | DimPack | DimAny, ...] | None
    optional: bool


class LiteralType(Node):
    value: str


class KindType(Node):
    kind: Literal["block", "layer", "fn"]
    optional: bool


class Field(Node):
    name: Ident | None
    type: Type


class TupleType(Node):
    """A result record, or a tuple of values."""

    fields: tuple[Field, ...]


class UnionType(Node):
    members: tuple[Type, ...]


Type: TypeAlias = NamedType | LiteralType | KindType | TupleType | UnionType

# ---------------------------------------------------------------- statements


class Assign(Node):
    targets: tuple[Ident, ...]
    value: Expr


class Const(Node):
    """`const name: type = value`, in a file or in a body."""

    name: Ident
    type: Type | None
    value: Expr
    doc: str


class Variable(Node):
    """`param w: float[out, D] ~ init`, `state ...`, `sample ...`."""

    kind: Literal["param", "state", "sample"]
    name: Ident
    type: Type
    distribution: Expr


class Update(Node):
    name: Ident
    value: Expr


class For(Node):
    targets: tuple[Ident, ...]
    iterable: Expr
    body: Body


class ScanSource(Node):
    name: Ident
    value: Expr


class Scan(Node):
    sources: tuple[ScanSource, ...]
    along: Expr | None
    carry: tuple[Ident, ...]
    body: Body


class If(Node):
    """`orelse` is a Body, a nested If (`else if`), or None."""

    condition: Expr
    body: Body
    orelse: Body | If | None


class Return(Node):
    values: tuple[Expr, ...]


class Require(Node):
    condition: Expr
    message: Literal_ | None


class Emit(Node):
    name: Ident
    value: Expr


class Metric(Node):
    name: Ident
    value: Expr


class Minimize(Node):
    value: Expr
    wrt: tuple[Ident, ...]
    using: Expr | None
    every: Expr | None


class InitRule(Node):
    pattern: Literal_
    value: Expr


class Init(Node):
    rules: tuple[InitRule, ...]


class Body(Node):
    statements: tuple[Statement, ...]


# ---------------------------------------------------------------- declarations


class Parameter(Node):
    name: Ident
    type: Type | None
    default: Expr | None


class Function(Node):
    """`fn`; without a body it is a primitive. Also the methods of a net."""

    name: Ident
    params: tuple[Parameter, ...]
    result: Type | None
    body: Body | None
    doc: str


class Block(Node):
    """`block` or `net`. In the long form (methods inside) `inputs` is None."""

    kind: Literal["block", "net"]
    name: Ident
    params: tuple[Parameter, ...]
    inputs: tuple[Parameter, ...] | None
    result: Type | None
    body: Body
    doc: str


class Alias(Node):
    """`block GN32 = GroupNorm(32)`."""

    kind: Literal["block", "net"]
    name: Ident
    value: Expr
    doc: str


class ImportName(Node):
    name: Ident
    alias: Ident | None


class Import(Node):
    """`from .a.b import X as Y`: `dots` leading dots, then `path`."""

    dots: int
    path: tuple[str, ...]
    path_span: Span
    names: tuple[ImportName, ...]


class Expect(Node):
    value: Expr


class Setting(Node):
    """`key = value`, `"glob" = value` (pattern) or `kind key = value`, in a section."""

    kind: Ident | None
    name: Ident | Literal_
    value: Expr


class Section(Node):
    """`name arg "arg" { ... }`; `preset Model.tiny {}` has one dotted argument."""

    name: Ident
    args: tuple[tuple[Ident, ...] | Literal_, ...]
    items: tuple[Setting | Section, ...]
    doc: str


class Step(Node):
    kind: Literal["step", "eval"]
    name: Ident | None
    params: tuple[Parameter, ...]
    body: Body


class Train(Node):
    name: Ident | None
    items: tuple[Setting | Section | Step, ...]
    doc: str


Statement: TypeAlias = (
    Assign
    | Const
    | Function
    | Variable
    | Update
    | For
    | Scan
    | If
    | Return
    | Require
    | Emit
    | Metric
    | Minimize
    | Init
)
Item: TypeAlias = Import | Const | Function | Block | Alias | Expect | Train | Section


class Comment(Record):
    """An ordinary or doc comment (`#`, `##`) with its position; the formatter puts it back."""

    span: Span


class Module(Record):
    """A parsed file."""

    source: Source
    items: tuple[Item, ...]
    comments: tuple[Comment, ...]
    doc: str


def walk(root: Any, closed: tuple[type[Node], ...] = ()) -> Iterator[Node]:
    """All nodes from `root` (a node, or a tuple of such) down, in the order of the text.

    What is inside nodes of the classes `closed` is left out. Nothing recurses.
    """
    stack = [root]
    while stack:
        current = stack.pop()
        if isinstance(current, Node):
            yield current
            if not isinstance(current, closed):
                for field in reversed(current.FIELDS[1:]):
                    inner = getattr(current, field)
                    if isinstance(inner, (Node, tuple)):
                        stack.append(inner)
        elif isinstance(current, tuple):
            stack.extend(reversed(current))
