"""Lays out one Python statement as `ruff format` would: statement text in, lines out.

In: a simple statement, or the header of a compound one, as Python text with any spacing and any redundant
parentheses. Out: the same statement within 88 columns where that is possible, with canonical spacing and
only the parentheses that are needed.
"""

from __future__ import annotations

import ast

from dlc.emit.document import WIDTH, bracket, flat, render
from dlc.emit.expression_layout import OPERATORS, ExpressionLayout, chained, omits_parentheses
from dlc.python_source import parse_python


class Statement:
    """One statement at one indentation."""

    def __init__(self, source: str, indent: int) -> None:
        self.expressions = ExpressionLayout(source)
        self.indent = indent

    def value(self, prefix: str, node: ast.expr, suffix: str = "", bare: bool = True) -> str:
        """`prefix value suffix`: flat, else broken at the value's own brackets, else parenthesised."""
        whole = self.expressions.bare(node) if bare else self.expressions.doc(node, False)
        line = prefix + flat(whole) + suffix
        if self.indent + len(line) <= WIDTH or isinstance(node, ast.Name | ast.Constant):
            return line
        if isinstance(node, ast.Tuple):
            return render((prefix, self.expressions.doc(node, False), suffix), self.indent)
        if omits_parentheses(node) and not chained(node):
            own = render((prefix, self.expressions.doc(node, False), suffix), self.indent)
            if not isinstance(node, ast.BinOp | ast.BoolOp | ast.Compare | ast.UnaryOp):
                return own
            lines = own.split("\n")
            if max(map(len, lines[1:]), default=WIDTH + 1) <= WIDTH and (
                self.indent + len(lines[0]) <= WIDTH
            ):
                return own
        content = self.expressions.doc(node, True)
        return render((prefix, bracket("(", content, ")"), suffix), self.indent)

    def lay_out(self, node: ast.stmt) -> str:
        bare = self.expressions.bare
        match node:
            case ast.Assign(targets=targets, value=value):
                left = "".join(flat(bare(target)) + " = " for target in targets)
                return self.value(left, value)
            case ast.AnnAssign(target=target, annotation=annotation, value=ast.expr() as value):
                left = f"{self.flat(target)}: {self.flat(annotation)} = "
                return self.value(left, value, bare=False)
            case ast.AugAssign(target=target, op=op, value=value):
                return self.value(f"{self.flat(target)} {OPERATORS[type(op)][0]}= ", value)
            case ast.Return(value=ast.expr() as value):
                return self.value("return ", value)
            case ast.Expr(value=value):
                return self.value("", value)
            case ast.Assert(test=test, msg=message):
                return self.assertion(test, message)
            case ast.For(target=target, iter=iterable):
                return self.value(f"for {flat(bare(target))} in ", iterable, ":")
            case ast.If(test=test):
                return self.value("if ", test, ":")
            case ast.With(items=[ast.withitem(context_expr=manager, optional_vars=None)]):
                return self.value("with ", manager, ":")
        return self.expressions.source.strip()

    def flat(self, node: ast.expr) -> str:
        return flat(self.expressions.doc(node, False))

    def assertion(self, test: ast.expr, message: ast.expr | None) -> str:
        if message is None:
            return self.value("assert ", test)
        line = f"assert {self.flat(test)}, {self.flat(message)}"
        if self.indent + len(line) <= WIDTH:
            return line
        content = self.expressions.doc(message, True)
        return f"{self.value('assert ', test)}, " + render(bracket("(", content, ")"), self.indent, 0)


def layout(code: str, indent: int = 0) -> str:
    """The statement laid out for `indent` columns; its first line comes without the indentation."""
    header = code.rstrip().endswith(":")
    keyword = code.partition(" ")[0]
    if header and keyword in ("else:", "elif", "try:"):
        return code
    tree = parse_python(code + "\n    pass" if header else code)
    return Statement(code, indent).lay_out(tree.body[0])
