"""Tokens, comments and the places where statements begin in; lines out."""

from __future__ import annotations

from collections.abc import Iterator

from dlc_grammar import syntax as s
from dlc_grammar.formatting.parts import Braces, Group, Leaf, Line, Part
from dlc_grammar.formatting.spacing import mark_spaces
from dlc_grammar.lexer import Token
from dlc_grammar.source import Source, Span


class Reader:
    """Groups the tokens of a file into lines."""

    def __init__(self, source: Source, tokens: list[Token], module: s.Module) -> None:
        self.source = source
        self.tokens = tokens
        self.starts = set(_statement_starts(module))
        self.comments = [c.span for c in module.comments]
        self.next_comment = 0
        self.position = 0
        self.line_ends = 0  # offset of the end of what was read last

    def file(self) -> list[Line]:
        return self.lines(None)

    def peek(self) -> Token | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def own_comments(self, before: int) -> list[Span]:
        """Own-line comments that stand before an offset."""
        out = []
        while self.next_comment < len(self.comments) and self.comments[self.next_comment].start < before:
            out.append(self.comments[self.next_comment])
            self.next_comment += 1
        return out

    def lines(self, closer: str | None) -> list[Line]:
        """Statements up to the closing brace, or to the end of the file."""
        out: list[Line] = []
        while True:
            token = self.peek()
            stop = token.start if token else len(self.source.text) + 1
            for comment in self.own_comments(stop):
                out.append(Line([], self.blank(comment.start) and bool(out), comment.text.rstrip()))
                self.line_ends = comment.stop
            if token is None or token.type == closer:
                return out
            blank = self.blank(token.start) and bool(out)
            out.append(Line(self.statement(), blank))

    def blank(self, offset: int) -> bool:
        return self.source.text.count("\n", self.line_ends, offset) > 1

    def statement(self) -> list[Part]:
        parts: list[Part] = []
        while (token := self.peek()) and token.type != "}":
            if parts and token.start in self.starts:
                break
            parts.append(self.part())
        mark_spaces(parts, "{")
        return parts

    def part(self) -> Part:
        leaf = self.leaf()
        if leaf.type == "{":
            return self.braces(leaf)
        if leaf.type not in ("(", "["):
            return leaf
        parts: list[Part] = []
        while (token := self.peek()) and token.type not in (")", "]"):
            parts.append(self.part())
        close = self.leaf()
        mark_spaces(parts, leaf.type)
        return Group(leaf, parts, close)

    def braces(self, opened: Leaf) -> Braces:
        first = self.tokens[self.position - 1]
        lines = self.lines("}")
        last = self.tokens[self.position]
        one_row = "\n" not in self.source.text[first.start : last.stop]
        flat = not lines or (one_row and not any(line.comment for line in lines))
        return Braces(opened, lines, self.leaf(), flat)

    def leaf(self) -> Leaf:
        token = self.tokens[self.position]
        self.position += 1
        above = [c.text.rstrip() for c in self.own_comments(token.start)]
        gap = self.source.text[self.line_ends : token.start]
        leaf = Leaf(token.text, token.type, "\n" in gap, above)
        self.line_ends = token.stop
        if self.next_comment < len(self.comments):
            comment = self.comments[self.next_comment]
            following = self.peek()
            near = following is None or comment.start < following.start
            if near and "\n" not in self.source.text[token.stop : comment.start]:
                leaf.trailing = comment.text.rstrip()
                self.next_comment += 1
                self.line_ends = comment.stop
        return leaf


def _statement_starts(module: s.Module) -> Iterator[int]:
    """Where each item, statement, setting and rule begins."""
    todo: list[s.Node] = list(module.items)
    while todo:
        node = todo.pop()
        yield node.span.start
        match node:
            case s.Function() | s.Block() | s.For() | s.Scan() | s.Step():
                if node.body is not None:
                    todo.extend(node.body.statements)
            case s.If():
                todo.extend(node.body.statements)
                orelse = node.orelse
                while isinstance(orelse, s.If):  # `else if` starts no statement
                    todo.extend(orelse.body.statements)
                    orelse = orelse.orelse
                if orelse is not None:
                    todo.extend(orelse.statements)
            case s.Section() | s.Train():
                todo.extend(node.items)
            case s.Init():
                todo.extend(node.rules)
            case _:
                pass
