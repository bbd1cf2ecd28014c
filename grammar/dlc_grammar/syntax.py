"""The syntax tree of a `.dl` file: frozen values, one class per construct, each with its span.

The tree is what the text says, no more: names are unresolved, sizes unknown. Children are tuples,
absent parts are None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from dlc_grammar.source import Source, Span

# ---------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """Base of every node. Compared by identity, so a node can key a table."""

    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Name(Node):
    id: str


@dataclass(frozen=True, slots=True, eq=False)
class Literal_(Node):
    """`1`, `2.5`, `"text"`, `true`, `none`; strings are unescaped."""

    value: int | float | str | bool | None


@dataclass(frozen=True, slots=True, eq=False)
class Unary(Node):
    op: Literal["-", "not"]
    operand: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Node):
    """Arithmetic, comparison and logic: `+ - * / // % ** @ == != < <= > >= and or in "not in"`."""

    op: str
    left: Expr
    right: Expr
    op_span: Span


@dataclass(frozen=True, slots=True, eq=False)
class IfExpr(Node):
    condition: Expr
    then: Expr
    orelse: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Pipe(Node):
    """`value -> stage` or `value -> label: stage`; chains nest to the left."""

    value: Expr
    label: Ident | None
    stage: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Spread(Node):
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Keyword(Node):
    """A keyword argument `name=value`."""

    name: Ident
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    function: Expr
    args: tuple[Expr | Spread, ...]
    keywords: tuple[Keyword, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Ellipsis_(Node):
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Node):
    start: Expr | None
    stop: Expr | None
    step: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Index(Node):
    value: Expr
    subscripts: tuple[Expr | Slice | Ellipsis_, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Attribute(Node):
    value: Expr
    name: Ident


@dataclass(frozen=True, slots=True, eq=False)
class Tuple_(Node):
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class List_(Node):
    items: tuple[Expr | Spread, ...]


@dataclass(frozen=True, slots=True, eq=False)
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


@dataclass(frozen=True, slots=True, eq=False)
class Ident(Node):
    """A name being defined or selected (label, target, attribute, keyword)."""

    id: str


# ---------------------------------------------------------------- types


@dataclass(frozen=True, slots=True, eq=False)
class DimPack(Node):
    """`*S` in a shape."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class DimAny(Node):
    """`...` in a shape. (`_` is a `Name`.)"""


@dataclass(frozen=True, slots=True, eq=False)
class NamedType(Node):
    """`float[B, T]`, `int`, `list[T]`; `shape` is None where there are no brackets, () for `[]`.

    For `list[...]` the bracket holds types; the grammar reads them as dims, so `list[int]` has the
    shape `(Name("int"),)` and `list[(int, int)]` has a `Tuple_` of names.
    """

    name: str
    shape: tuple[Expr | DimPack | DimAny, ...] | None
    optional: bool


@dataclass(frozen=True, slots=True, eq=False)
class LiteralType(Node):
    value: str


@dataclass(frozen=True, slots=True, eq=False)
class KindType(Node):
    kind: Literal["block", "layer", "fn"]
    optional: bool


@dataclass(frozen=True, slots=True, eq=False)
class Field(Node):
    name: Ident | None
    type: Type


@dataclass(frozen=True, slots=True, eq=False)
class TupleType(Node):
    """A result record, or a tuple of values."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, eq=False)
class UnionType(Node):
    members: tuple[Type, ...]


Type: TypeAlias = NamedType | LiteralType | KindType | TupleType | UnionType

# ---------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True, eq=False)
class Assign(Node):
    targets: tuple[Ident, ...]
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Const(Node):
    """`const name: type = value`, in a file or in a body."""

    name: Ident
    type: Type | None
    value: Expr
    doc: str


@dataclass(frozen=True, slots=True, eq=False)
class Variable(Node):
    """`param w: float[out, D] ~ init`, `state ...`, `sample ...`."""

    kind: Literal["param", "state", "sample"]
    name: Ident
    type: Type
    distribution: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Update(Node):
    name: Ident
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class For(Node):
    targets: tuple[Ident, ...]
    iterable: Expr
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class ScanSource(Node):
    name: Ident
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Scan(Node):
    sources: tuple[ScanSource, ...]
    along: Expr | None
    carry: tuple[Ident, ...]
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class If(Node):
    """`orelse` is a Body, a nested If (`else if`), or None."""

    condition: Expr
    body: Body
    orelse: Body | If | None


@dataclass(frozen=True, slots=True, eq=False)
class Return(Node):
    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Require(Node):
    condition: Expr
    message: Literal_ | None


@dataclass(frozen=True, slots=True, eq=False)
class Emit(Node):
    name: Ident
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Metric(Node):
    name: Ident
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Minimize(Node):
    value: Expr
    wrt: tuple[Ident, ...]
    using: Expr | None
    every: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class InitRule(Node):
    pattern: Literal_
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Init(Node):
    rules: tuple[InitRule, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Body(Node):
    statements: tuple[Statement, ...]


# ---------------------------------------------------------------- declarations


@dataclass(frozen=True, slots=True, eq=False)
class Parameter(Node):
    name: Ident
    type: Type | None
    default: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Function(Node):
    """`fn`; without a body it is a primitive. Also the methods of a net."""

    name: Ident
    params: tuple[Parameter, ...]
    result: Type | None
    body: Body | None
    doc: str


@dataclass(frozen=True, slots=True, eq=False)
class Block(Node):
    """`block` or `net`. In the long form (methods inside) `inputs` is None."""

    kind: Literal["block", "net"]
    name: Ident
    params: tuple[Parameter, ...]
    inputs: tuple[Parameter, ...] | None
    result: Type | None
    body: Body
    doc: str


@dataclass(frozen=True, slots=True, eq=False)
class Alias(Node):
    """`block GN32 = GroupNorm(32)`."""

    kind: Literal["block", "net"]
    name: Ident
    value: Expr
    doc: str


@dataclass(frozen=True, slots=True, eq=False)
class ImportName(Node):
    name: Ident
    alias: Ident | None


@dataclass(frozen=True, slots=True, eq=False)
class Import(Node):
    """`from .a.b import X as Y`: `dots` leading dots, then `path`."""

    dots: int
    path: tuple[str, ...]
    path_span: Span
    names: tuple[ImportName, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Expect(Node):
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Setting(Node):
    """`key = value`, `"glob" = value` (pattern) or `kind key = value`, in a section."""

    kind: Ident | None
    name: Ident | Literal_
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Section(Node):
    """`name arg "arg" { ... }`; `preset Model.tiny {}` has one dotted argument."""

    name: Ident
    args: tuple[tuple[Ident, ...] | Literal_, ...]
    items: tuple[Setting | Section, ...]
    doc: str


@dataclass(frozen=True, slots=True, eq=False)
class Step(Node):
    kind: Literal["step", "eval"]
    name: Ident | None
    params: tuple[Parameter, ...]
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
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


@dataclass(frozen=True, slots=True, eq=False)
class Comment:
    """An ordinary or doc comment (`#`, `##`) with its position; the formatter puts it back."""

    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """A parsed file."""

    source: Source
    items: tuple[Item, ...]
    comments: tuple[Comment, ...]
    doc: str
