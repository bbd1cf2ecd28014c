"""Reductions: what the parser makes of a finished grammar rule.

One function per rule or alias of `dl.lark`. In: the children (tokens, nodes, and tuples for rules
that are mere lists) and the span. Out: a node of `syntax`. Findings that need a whole construct
(a literal with a bad escape, `True`, a positional argument after a keyword) are reported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dlc_grammar import syntax as s
from dlc_grammar.diagnostics import Diagnostic, Edit
from dlc_grammar.lexer import Token
from dlc_grammar.source import Source, Span


@dataclass(frozen=True, slots=True)
class Dots:
    """One leading dot of an import path."""


@dataclass(frozen=True, slots=True)
class Path:
    dots: int
    names: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a section head."""

    value: tuple[s.Ident, ...] | s.Literal_


class Builder:
    """Makes nodes; keeps what the nodes of one file share."""

    def __init__(self, source: Source, docs: dict[int, str]) -> None:
        self.source = source
        self.docs = docs  # line of an item -> the doc comment directly above
        self.diagnostics: list[Diagnostic] = []

    def report(
        self,
        code: str,
        message: str,
        span: Span,
        help_: str,
        edit: str | None = None,
        label: str = "",
    ) -> None:
        change = None if edit is None else Edit(span, edit)
        self.diagnostics.append(Diagnostic(code, message, span, label, (), help_, change))

    def span(self, token: Token) -> Span:
        return Span(self.source, token.start, token.stop)

    def ident(self, token: Token) -> s.Ident:
        return s.Ident(self.span(token), token.text)

    def maybe_ident(self, token: Token | None) -> s.Ident | None:
        return None if token is None else self.ident(token)

    def doc(self, span: Span) -> str:
        line = span.line
        return (
            self.docs.get(line, "")
            if self.source.line(line)[: span.column - 1].isspace() or span.column == 1
            else ""
        )

    def string(self, token: Token) -> s.Literal_:
        return s.Literal_(self.span(token), self.unescape(token))

    def unescape(self, token: Token) -> str:
        body = token.text[1:-1]
        if "\\" not in body:
            return body
        out, position = [], 0
        while position < len(body):
            char = body[position]
            position += 1
            if char != "\\":
                out.append(char)
                continue
            escape = body[position]
            position += 1
            if escape == "u" and len(digits := body[position : position + 4]) == 4 and _is_code_point(digits):
                out.append(chr(int(digits, 16)))
                position += 4
            elif escape in _ESCAPES:
                out.append(_ESCAPES[escape])
            else:
                start = token.start + position - 1
                self.report(
                    "E0010",
                    f"`\\{escape}` is not an escape",
                    Span(self.source, start, start + 2),
                    'escapes are `\\n`, `\\t`, `\\r`, `\\"`, `\\\\` and `\\u00e9`; '
                    "for a backslash write `\\\\`",
                )
        return "".join(out)


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_FOREIGN_LITERALS = {
    "True": ("true", True),
    "False": ("false", False),
    "None": ("none", None),
    "TRUE": ("true", True),
    "FALSE": ("false", False),
    "nil": ("none", None),
    "null": ("none", None),
    "NULL": ("none", None),
    "nullptr": ("none", None),
}


def _is_code_point(digits: str) -> bool:
    return all(c in "0123456789abcdefABCDEF" for c in digits) and not 0xD800 <= int(digits, 16) < 0xE000


Children = list[Any]
Reduction = Callable[[Builder, Span, Children, Children], Any]
REDUCTIONS: dict[str, Reduction] = {}


def rule(*names: str) -> Callable[[Reduction], Reduction]:
    """Register a function for rules of the grammar. It gets the children kept and all of them."""

    def register(function: Reduction) -> Reduction:
        for name in names:
            REDUCTIONS[name] = function
        return function

    return register


def _present(children: Children) -> tuple[Any, ...]:
    return tuple(c for c in children if c is not None)


# ---------------------------------------------------------------- lists


@rule("start", "params", "shape", "args", "subscripts")
def _tuple(b: Builder, span: Span, c: Children, raw: Children) -> tuple[Any, ...]:
    return _present(c)


@rule("targets", "dotted")
def _idents(b: Builder, span: Span, c: Children, raw: Children) -> tuple[s.Ident, ...]:
    return tuple(b.ident(t) for t in c)


@rule("block_kw", "kind_kw", "var_kw", "step_kw")
def _keyword(b: Builder, span: Span, c: Children, raw: Children) -> Token:
    token: Token = c[0]
    return token


# ---------------------------------------------------------------- items


@rule("dot")
def _dot(b: Builder, span: Span, c: Children, raw: Children) -> Dots:
    return Dots()


@rule("module_path")
def _module_path(b: Builder, span: Span, c: Children, raw: Children) -> Path:
    names = tuple(t.text for t in c if isinstance(t, Token))
    return Path(sum(isinstance(d, Dots) for d in c), names, span)


@rule("import_name")
def _import_name(b: Builder, span: Span, c: Children, raw: Children) -> s.ImportName:
    return s.ImportName(span, b.ident(c[0]), b.maybe_ident(c[1]))


@rule("import_stmt")
def _import(b: Builder, span: Span, c: Children, raw: Children) -> s.Import:
    return s.Import(span, c[0].dots, c[0].names, c[0].span, tuple(c[1:]))


@rule("const_def")
def _const(b: Builder, span: Span, c: Children, raw: Children) -> s.Const:
    return s.Const(span, b.ident(c[0]), c[1], c[2], b.doc(span))


@rule("expect_stmt")
def _expect(b: Builder, span: Span, c: Children, raw: Children) -> s.Expect:
    return s.Expect(span, c[0])


@rule("fn_def")
def _function(b: Builder, span: Span, c: Children, raw: Children) -> s.Function:
    return s.Function(span, b.ident(c[0]), c[1], c[2], c[3], b.doc(span))


@rule("block_def")
def _block(b: Builder, span: Span, c: Children, raw: Children) -> s.Block:
    kind, name, params, inputs, result, body = c
    return s.Block(span, kind.text, b.ident(name), params, inputs, result, body, b.doc(span))


@rule("alias_def")
def _alias(b: Builder, span: Span, c: Children, raw: Children) -> s.Alias:
    return s.Alias(span, c[0].text, b.ident(c[1]), c[2], b.doc(span))


@rule("param_decl")
def _parameter(b: Builder, span: Span, c: Children, raw: Children) -> s.Parameter:
    return s.Parameter(span, b.ident(c[0]), c[1], c[2])


# ---------------------------------------------------------------- types


@rule("union_type")
def _union(b: Builder, span: Span, c: Children, raw: Children) -> s.UnionType:
    return s.UnionType(span, tuple(c))


@rule("named_type")
def _named_type(b: Builder, span: Span, c: Children, raw: Children) -> s.NamedType:
    return s.NamedType(span, c[0].text, c[1], c[2] is not None)


@rule("literal_type")
def _literal_type(b: Builder, span: Span, c: Children, raw: Children) -> s.LiteralType:
    return s.LiteralType(span, b.unescape(c[0]))


@rule("kind_type")
def _kind_type(b: Builder, span: Span, c: Children, raw: Children) -> s.KindType:
    return s.KindType(span, c[0].text, c[1] is not None)


@rule("tuple_type")
def _tuple_type(b: Builder, span: Span, c: Children, raw: Children) -> s.TupleType:
    return s.TupleType(span, tuple(c))


@rule("field")
def _field(b: Builder, span: Span, c: Children, raw: Children) -> s.Field:
    return s.Field(span, b.maybe_ident(c[0]), c[1])


@rule("dim_pack")
def _dim_pack(b: Builder, span: Span, c: Children, raw: Children) -> s.DimPack:
    return s.DimPack(span, c[0].text)


@rule("dim_any")
def _dim_any(b: Builder, span: Span, c: Children, raw: Children) -> s.DimAny:
    return s.DimAny(span)


# ---------------------------------------------------------------- statements


@rule("body")
def _body(b: Builder, span: Span, c: Children, raw: Children) -> s.Body:
    return s.Body(span, tuple(c))


@rule("assign")
def _assign(b: Builder, span: Span, c: Children, raw: Children) -> s.Assign:
    return s.Assign(span, c[0], c[1])


@rule("var_stmt")
def _variable(b: Builder, span: Span, c: Children, raw: Children) -> s.Variable:
    return s.Variable(span, c[0].text, b.ident(c[1]), c[2], c[3])


@rule("update_stmt")
def _update(b: Builder, span: Span, c: Children, raw: Children) -> s.Update:
    return s.Update(span, b.ident(c[0]), c[1])


@rule("for_stmt")
def _for(b: Builder, span: Span, c: Children, raw: Children) -> s.For:
    return s.For(span, c[0], c[1], c[2])


@rule("scan_stmt")
def _scan(b: Builder, span: Span, c: Children, raw: Children) -> s.Scan:
    *sources, along, carry, body = c
    return s.Scan(span, tuple(sources), along, carry or (), body)


@rule("scan_src")
def _scan_source(b: Builder, span: Span, c: Children, raw: Children) -> s.ScanSource:
    return s.ScanSource(span, b.ident(c[0]), c[1])


@rule("if_stmt")
def _if(b: Builder, span: Span, c: Children, raw: Children) -> s.If:
    return s.If(span, c[0], c[1], c[2])


@rule("return_stmt")
def _return(b: Builder, span: Span, c: Children, raw: Children) -> s.Return:
    return s.Return(span, tuple(c))


@rule("require_stmt")
def _require(b: Builder, span: Span, c: Children, raw: Children) -> s.Require:
    return s.Require(span, c[0], None if c[1] is None else b.string(c[1]))


@rule("emit_stmt")
def _emit(b: Builder, span: Span, c: Children, raw: Children) -> s.Emit:
    return s.Emit(span, b.ident(c[0]), c[1])


@rule("metric_stmt")
def _metric(b: Builder, span: Span, c: Children, raw: Children) -> s.Metric:
    return s.Metric(span, b.ident(c[0]), c[1])


@rule("minimize_stmt")
def _minimize(b: Builder, span: Span, c: Children, raw: Children) -> s.Minimize:
    return s.Minimize(span, c[0], c[1] or (), c[2], c[3])


@rule("init_stmt")
def _init(b: Builder, span: Span, c: Children, raw: Children) -> s.Init:
    return s.Init(span, tuple(c))


@rule("init_rule")
def _init_rule(b: Builder, span: Span, c: Children, raw: Children) -> s.InitRule:
    return s.InitRule(span, b.string(c[0]), c[1])


# ---------------------------------------------------------------- train and sections


@rule("train_def")
def _train(b: Builder, span: Span, c: Children, raw: Children) -> s.Train:
    return s.Train(span, b.maybe_ident(c[0]), tuple(c[1:]), b.doc(span))


@rule("step_def")
def _step(b: Builder, span: Span, c: Children, raw: Children) -> s.Step:
    return s.Step(span, c[0].text, b.maybe_ident(c[1]), c[2], c[3])


@rule("section_arg")
def _section_arg(b: Builder, span: Span, c: Children, raw: Children) -> Argument:
    return Argument(b.string(c[0]) if isinstance(c[0], Token) else c[0])


@rule("section")
def _section(b: Builder, span: Span, c: Children, raw: Children) -> s.Section:
    args = tuple(a.value for a in c[1:] if isinstance(a, Argument))
    items = tuple(i for i in c[1:] if not isinstance(i, Argument))
    return s.Section(span, b.ident(c[0]), args, items, b.doc(span))


@rule("setting", "rule", "kinded")
def _setting(b: Builder, span: Span, c: Children, raw: Children) -> s.Setting:
    kind = b.ident(c[0]) if len(c) == 3 else None
    name = c[-2]
    return s.Setting(span, kind, b.string(name) if name.type == "STRING" else b.ident(name), c[-1])


# ---------------------------------------------------------------- expressions


@rule("if_expr")
def _if_expr(b: Builder, span: Span, c: Children, raw: Children) -> s.IfExpr:
    return s.IfExpr(span, c[0], c[1], c[2])


@rule("labelled")
def _labelled(b: Builder, span: Span, c: Children, raw: Children) -> s.Keyword:
    # Only `pipe` ever sees this: a stage with its label.
    return s.Keyword(span, b.ident(c[0]), c[1])


@rule("pipe")
def _pipe(b: Builder, span: Span, c: Children, raw: Children) -> s.Pipe:
    stage = c[1]
    if isinstance(stage, s.Keyword):
        return s.Pipe(span, c[0], stage.name, stage.value)
    return s.Pipe(span, c[0], None, stage)


_OPERATORS = {
    "or_": "or",
    "and_": "and",
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "floordiv": "//",
    "mod": "%",
    "matmul": "@",
    "pow": "**",
    "contains": "in",
    "not_contains": "not in",
}


def _binary(operator: str) -> Reduction:
    def build(b: Builder, span: Span, c: Children, raw: Children) -> s.Binary:
        op_span = Span(b.source, raw[1].start, raw[-2].stop)
        return s.Binary(span, operator, c[0], c[-1], op_span)

    return build


for _rule, _operator in _OPERATORS.items():
    REDUCTIONS[_rule] = _binary(_operator)


@rule("compare")
def _compare(b: Builder, span: Span, c: Children, raw: Children) -> s.Binary:
    token: Token = c[1]
    # A repaired `===` keeps its text in the token, for the message; the tree wants the operator.
    operator = {"===": "==", "!==": "!=", "<>": "!="}.get(token.text, token.text)
    return s.Binary(span, operator, c[0], c[2], b.span(token))


@rule("not_")
def _not(b: Builder, span: Span, c: Children, raw: Children) -> s.Unary:
    return s.Unary(span, "not", c[0])


@rule("neg")
def _neg(b: Builder, span: Span, c: Children, raw: Children) -> s.Unary:
    return s.Unary(span, "-", c[0])


@rule("call")
def _call(b: Builder, span: Span, c: Children, raw: Children) -> s.Call:
    arguments = c[1] or ()
    keywords = tuple(a for a in arguments if isinstance(a, s.Keyword))
    seen = False
    for argument in arguments:
        if isinstance(argument, s.Keyword):
            seen = True
        elif seen:
            b.report(
                "E0048",
                "a positional argument follows a keyword argument",
                argument.span,
                "move it before the `name=value` arguments, or name it too",
                label="which parameter is this?",
            )
            break
    return s.Call(span, c[0], tuple(a for a in arguments if not isinstance(a, s.Keyword)), keywords)


@rule("kwarg")
def _kwarg(b: Builder, span: Span, c: Children, raw: Children) -> s.Keyword:
    return s.Keyword(span, b.ident(c[0]), c[1])


@rule("spread")
def _spread(b: Builder, span: Span, c: Children, raw: Children) -> s.Spread:
    return s.Spread(span, c[0])


@rule("index")
def _index(b: Builder, span: Span, c: Children, raw: Children) -> s.Index:
    return s.Index(span, c[0], tuple(c[1:]))


@rule("ellipsis")
def _ellipsis(b: Builder, span: Span, c: Children, raw: Children) -> s.Ellipsis_:
    return s.Ellipsis_(span)


@rule("slice")
def _slice(b: Builder, span: Span, c: Children, raw: Children) -> s.Slice:
    return s.Slice(span, c[0], c[1], c[2])


@rule("attr")
def _attribute(b: Builder, span: Span, c: Children, raw: Children) -> s.Attribute:
    return s.Attribute(span, c[0], b.ident(c[1]))


@rule("name")
def _name(b: Builder, span: Span, c: Children, raw: Children) -> s.Name | s.Literal_:
    text = c[0].text
    if text in _FOREIGN_LITERALS:
        ours, value = _FOREIGN_LITERALS[text]
        b.report("E0018", f"`{text}` is written `{ours}`", span, f"write `{ours}`", ours)
        return s.Literal_(span, value)
    return s.Name(span, text)


@rule("int")
def _int(b: Builder, span: Span, c: Children, raw: Children) -> s.Literal_:
    return s.Literal_(span, int(c[0].text))


@rule("float")
def _float(b: Builder, span: Span, c: Children, raw: Children) -> s.Literal_:
    return s.Literal_(span, float(c[0].text))


@rule("string")
def _string(b: Builder, span: Span, c: Children, raw: Children) -> s.Literal_:
    return b.string(c[0])


@rule("true", "false", "none")
def _constant(b: Builder, span: Span, c: Children, raw: Children) -> s.Literal_:
    return s.Literal_(span, {"true": True, "false": False, "none": None}[raw[0].type])


@rule("tuple")
def _tuple_expr(b: Builder, span: Span, c: Children, raw: Children) -> s.Tuple_:
    return s.Tuple_(span, _present(c))


@rule("list")
def _list(b: Builder, span: Span, c: Children, raw: Children) -> s.List_:
    return s.List_(span, _present(c))


@rule("comprehension")
def _comprehension(b: Builder, span: Span, c: Children, raw: Children) -> s.Comprehension:
    return s.Comprehension(span, c[0], c[1], c[2], c[3])
