"""`dlc fmt`: a source in, the same program in canonical layout out.

The tree says where statements begin; inside a statement the formatter works on tokens, so that
parentheses, number spellings and comments survive. Layout of a statement that is too wide: break at
its loosest operator first (commas, then `then`/`else`, pipes, `or`, `and`, sums, products), fill
the lines, go inside brackets only where a part still does not fit. Line breaks that the author put
before `->` stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from dlc_grammar import syntax as s
from dlc_grammar.diagnostics import Diagnostic
from dlc_grammar.lexer import Token, tokenize
from dlc_grammar.parse import parse_tokens
from dlc_grammar.source import Source, Span

WIDTH = 110
_INDENT = 2
_HANG = 4
_FAR = 32  # a pipe with a longer first value continues under the statement, not under itself
_NEAR = 24  # a last operand in brackets stays beside operands not longer than this
_MAX_ALIGN = 64  # keys wider than this do not push the `=` of their neighbours

# ---------------------------------------------------------------- the shape of a program


@dataclass(slots=True)
class Leaf:
    """One token, the comments around it, and whether a line break came before it."""

    text: str
    type: str
    broken: bool = False
    above: list[str] = field(default_factory=list)  # own-line comments before it
    trailing: str = ""  # a comment after it on its line
    glued: bool = False  # no space before it
    operator: bool = False  # binary


@dataclass(slots=True)
class Group:
    """`( ... )` or `[ ... ]`."""

    open: Leaf
    parts: list[Part]
    close: Leaf


@dataclass(slots=True)
class Braces:
    """`{ ... }`: statements with their blank lines and comments."""

    open: Leaf
    lines: list[Line]
    close: Leaf
    flat: bool


@dataclass(slots=True)
class Line:
    """A statement, or an own-line comment, in a body or a file."""

    parts: list[Part]
    blank_before: bool
    comment: str = ""


Part: TypeAlias = Leaf | Group | Braces


def format_text(source: Source) -> tuple[str | None, tuple[Diagnostic, ...]]:
    """The canonical layout of a file, or None and its syntax errors."""
    module, tokens, diagnostics = parse_tokens(source)
    if module is None or any(d.severity == "error" for d in diagnostics):
        return None, diagnostics
    text = _Printer().file(_Reader(source, tokens, module).file())
    if not _same_program(tokens, module, Source(source.name, text)):
        message = "the formatter would change this program; nothing was written"
        return None, (Diagnostic("E0901", message, help="this is a bug in dlc; please report the file"),)
    return text, ()


def _same_program(tokens: Sequence[Token], module: s.Module, result: Source) -> bool:
    """Formatting may change white space and trailing commas; all else is lost work."""
    after = tokenize(result)
    comments = [c.span.text.rstrip() for c in module.comments]
    return (
        not after.diagnostics
        and _significant(tokens) == _significant(after.tokens)
        and comments == [c.text.rstrip() for c in after.comments]
    )


def _significant(tokens: Sequence[Token]) -> list[str]:
    following = [*(t.text for t in tokens[1:]), ""]
    pairs = zip(tokens, following, strict=False)
    return [t.text for t, after in pairs if not (t.text == "," and after in (")", "]"))]


# ---------------------------------------------------------------- tokens and tree to lines


class _Reader:
    """Groups the tokens of a file into lines."""

    def __init__(self, source: Source, tokens: list[Token], module: s.Module) -> None:
        self.source = source
        self.tokens = tokens
        self.module = module
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
        _mark(parts, "{")
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
        _mark(parts, leaf.type)
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


_OPERATORS = frozenset("-> or and not CMP in + - * / // % ** @ ~ = | then else if".split())


def _is_value(part: Part | None) -> bool:
    """Can this part end a value, so that `-` after it subtracts and `(` calls?"""
    if isinstance(part, Group):
        return True
    return isinstance(part, Leaf) and part.type in (
        "NAME",
        "INT",
        "FLOAT",
        "STRING",
        "true",
        "false",
        "none",
        "?",
        "...",
        ".",
    )


def _mark(parts: list[Part], inside: str) -> None:
    """Decide the spaces between the parts of one bracket or statement."""
    _drop_trailing_comma(parts, inside)
    first = parts[0].type if parts and isinstance(parts[0], Leaf) else ""
    declares = inside == "{" and first in ("fn", "block", "net", "step", "eval")
    for i, part in enumerate(parts):
        before = parts[i - 1] if i else None
        leaf = part if isinstance(part, Leaf) else part.open
        leaf.operator = leaf.type in _OPERATORS and _is_value(before)
        leaf.glued = i == 0 or _glued(parts, i, leaf, inside)
        if isinstance(part, Group) and leaf.type == "(" and _is_call(parts, i, declares):
            _tighten_keywords(part)


def _is_call(parts: list[Part], i: int, declares: bool) -> bool:
    before = parts[i - 1] if i else None
    if not _is_value(before) or (isinstance(before, Leaf) and before.type in ("...", ".")):
        return False
    equals = any(isinstance(p, Leaf) and p.type == "=" for p in parts[:i])
    return not declares or equals


def _tighten_keywords(group: Group) -> None:
    """`f(name=value)`."""
    for i, part in enumerate(group.parts):
        if isinstance(part, Leaf) and part.type == "=":
            part.glued = True
            part.operator = False
            if i + 1 < len(group.parts):
                _first_leaf(group.parts[i + 1]).glued = True


def _drop_trailing_comma(parts: list[Part], inside: str) -> None:
    if not parts or inside == "{" or not isinstance(parts[-1], Leaf):
        return
    last = parts[-1]
    commas = sum(isinstance(p, Leaf) and p.type == "," for p in parts)
    if last.type == "," and not last.trailing and not last.above and (inside == "[" or commas > 1):
        parts.pop()


def _glued(parts: list[Part], i: int, leaf: Leaf, inside: str) -> bool:
    before = parts[i - 1]
    previous = before.close if isinstance(before, Group | Braces) else before
    if leaf.type in (",", "?") or (leaf.type == "." and previous.type != "from"):
        return True
    if previous.type == ".":
        return leaf.type != "import"
    if previous.type in ("-", "*") and not previous.operator:
        return True
    if previous.type == ":" and leaf.type != ":":
        return inside == "[" and not _is_label(parts, i - 1)
    return (leaf.type == ":" and previous.type != ",") or (leaf.type in ("(", "[") and _is_value(before))


def _is_label(parts: list[Part], colon: int) -> bool:
    arrow = parts[colon - 2] if colon >= 2 else None
    return isinstance(arrow, Leaf) and arrow.type == "->"


def _first_leaf(part: Part) -> Leaf:
    return part if isinstance(part, Leaf) else part.open


def _last_leaf(part: Part) -> Leaf:
    return part if isinstance(part, Leaf) else part.close


# ---------------------------------------------------------------- flat text


def _flat(parts: Sequence[Part]) -> str | None:
    """The parts on one line, or None where a comment or a kept line break forbids it."""
    out: list[str] = []
    for i, part in enumerate(parts):
        leaf, last = _first_leaf(part), _last_leaf(part)
        if i and (leaf.above or (leaf.type == "->" and leaf.operator and leaf.broken)):
            return None
        if i < len(parts) - 1 and last.trailing:
            return None
        text = _flat_part(part)
        if text is None:
            return None
        out.append(text if i == 0 or leaf.glued else " " + text)
    return "".join(out)


def _flat_part(part: Part) -> str | None:
    if isinstance(part, Leaf):
        return part.text
    if part.open.trailing or part.close.above:
        return None
    if isinstance(part, Group):
        if part.parts and (_first_leaf(part.parts[0]).above or _last_leaf(part.parts[-1]).trailing):
            return None
        inner = _flat(part.parts)
        return None if inner is None else part.open.text + inner + part.close.text
    if not part.flat:
        return None
    inside = [_flat(line.parts) for line in part.lines]
    if any(line is None for line in inside) or any(
        _last_leaf(line.parts[-1]).trailing for line in part.lines
    ):
        return None
    return "{ " + "  ".join(str(line) for line in inside) + " }" if inside else "{ }"


# ---------------------------------------------------------------- printing


class _Printer:
    """Lines of code with their trailing comments; columns are those of the output."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []  # code, comment
        self.text = ""  # of the row being written
        self.comment = ""

    def file(self, lines: list[Line]) -> str:
        self.body(lines, 0)
        return _join(self.rows)

    def end_row(self) -> None:
        if self.text.strip() or self.comment:
            self.rows.append((self.text.rstrip(), self.comment))
        self.text = self.comment = ""

    def newline(self, column: int) -> None:
        self.end_row()
        self.text = " " * column

    def write(self, leaf: Leaf, column: int) -> None:
        """One token; `column` is where a new row starts if a comment forces one."""
        if leaf.above:
            self.end_row()
            for comment in leaf.above:
                self.rows.append((" " * column + comment, ""))
            self.text = " " * column
        elif self.comment:
            self.newline(column)
        elif not leaf.glued and self.text.strip():
            self.text += " "
        self.text += leaf.text
        self.comment = leaf.trailing

    # ------------------------------------------------------------ bodies

    def body(self, lines: list[Line], indent: int) -> None:
        pads = _key_pads(lines)
        heads = _head_pads(lines, indent)
        for line, pad, head in zip(lines, pads, heads, strict=True):
            self.end_row()
            if line.blank_before:
                self.rows.append(("", ""))
            self.text = " " * indent
            if line.comment:
                self.text += line.comment
            elif head:
                self.text += (
                    (_flat(line.parts[:-1]) or "").ljust(head) + " " + (_flat_part(line.parts[-1]) or "")
                )
                self.comment = _last_leaf(line.parts[-1]).trailing
            else:
                self.line(line.parts, indent, pad)
        self.end_row()

    def line(self, parts: list[Part], indent: int, pad: int) -> None:
        if pad and isinstance(parts[0], Leaf):
            self.text += parts[0].text.ljust(pad)
            self.comment = parts[0].trailing
            parts = parts[1:]
        flat = _flat(parts)
        gap = "" if not self.text.strip() else " "
        if flat is not None and not self.comment and len(self.text) + len(gap) + len(flat) <= WIDTH:
            self.text += gap + flat
            self.comment = _last_leaf(parts[-1]).trailing
            return
        segment: list[Part] = []
        for i, part in enumerate(parts):
            if isinstance(part, Braces):
                self.head(segment, indent, " {")
                segment = []
                self.braces(part, indent, alone=sum(isinstance(p, Braces) for p in parts) == 1)
            else:
                segment.append(part)
            if i == len(parts) - 1 and segment:
                self.head(segment, indent, "")

    def braces(self, part: Braces, indent: int, *, alone: bool) -> None:
        flat = _flat_part(part)
        row = self.text
        fresh = len(row) - len(row.lstrip()) == indent  # the head is on one row
        if (
            flat is not None
            and alone
            and fresh
            and not part.open.above
            and not self.comment
            and len(row) + 1 + len(flat) <= WIDTH
        ):
            self.text += " " + flat
            self.comment = part.close.trailing
            return
        self.write(part.open, indent)
        if not part.lines and flat == "{ }":
            self.text += " }"
            self.comment = part.close.trailing
            return
        self.body(part.lines, indent + _INDENT)
        self.newline(indent)
        part.close.glued = True
        self.write(part.close, indent)

    def head(self, parts: list[Part], indent: int, tail: str) -> None:
        first = parts[0]
        if (
            isinstance(first, Leaf)
            and first.type in ("fn", "block", "net", "step", "eval")
            and tail_or_signature(parts)
        ):
            self.signature(parts, indent, len(tail))
        else:
            self.parts(parts, indent, len(tail))

    def signature(self, parts: list[Part], indent: int, tail: int) -> None:
        """`fn name(...)`, then the second parameters and the result on own rows if need be."""
        pieces: list[list[Part]] = [[]]
        lists = 0
        for part in parts:
            leaf = _first_leaf(part)
            lists += isinstance(part, Group) and leaf.type == "("
            starts = (
                lists == 2 and isinstance(part, Group) and leaf.type == "(" and len(pieces) == 1
            ) or leaf.type == "->"
            if starts:
                pieces.append([])
            pieces[-1].append(part)
        for part in parts[1:]:
            if (leaf := _first_leaf(part)).type == "->":
                leaf.broken = False
        if (flat := _flat(parts)) is not None and len(self.text) + len(flat) + tail <= WIDTH:
            self.parts(parts, indent, tail)
            return
        rows = len(self.rows)
        self.parts(pieces[0], indent, tail if len(pieces) == 1 else 0)
        broken = _flat(pieces[0]) is None or len(self.rows) > rows
        for i, piece in enumerate(pieces[1:], start=1):
            rest = _flat([p for q in pieces[i:] for p in q])
            own = _flat(piece)
            used = len(self.text) + (not _first_leaf(piece[0]).glued)
            last = i == len(pieces) - 1
            here = own is not None and used + len(own) + (tail if last else 0) <= WIDTH and not self.comment
            # The second parameters and the result stay together where they can.
            if (
                broken
                or not here
                or (
                    not last
                    and rest is not None
                    and used + len(rest) + tail > WIDTH
                    and _HANG + indent + len(rest) + tail <= WIDTH
                )
            ):
                self.newline(indent + _HANG)
                _first_leaf(piece[0]).glued = True
                broken = False
            self.parts(piece, indent + _HANG, tail if last else 0)

    # ------------------------------------------------------------ expressions

    def fits(self, parts: Sequence[Part], tail: int, at: int | None = None) -> bool:
        flat = _flat(parts)
        if flat is None or (_last_leaf(parts[-1]).trailing and tail > 2):
            return False
        gap = not _first_leaf(parts[0]).glued and bool(self.text.strip())
        start = len(self.text) + gap if at is None else at
        return start + len(flat) + tail <= WIDTH

    def parts(self, parts: Sequence[Part], indent: int, tail: int) -> None:
        """Write parts of one bracket or statement; `tail` columns follow on the last row."""
        if not parts:
            return
        if not self.comment and not _first_leaf(parts[0]).above and self.fits(parts, tail):
            gap = "" if _first_leaf(parts[0]).glued or not self.text.strip() else " "
            self.text += gap + (_flat(parts) or "")
            self.comment = _last_leaf(parts[-1]).trailing
            return
        level, cuts = _loosest(parts)
        if not cuts:
            self.sequence(parts, indent, tail)
            return
        if level == "=":
            self.parts(parts[: cuts[0] + 1], indent, 0)
            self.parts(parts[cuts[0] + 1 :], indent, tail)
            return
        segments = [parts[a:b] for a, b in zip([0, *cuts], [*cuts, len(parts)], strict=True)]
        start = self.start_column(parts)
        if level == "->":
            self.pipe(segments, start, indent, tail)
        elif level == "," or level == "then":
            self.fill(segments, start, start, tail)
        else:
            self.fill(segments, start, start, tail, outdent=True, least=indent + 2)

    def start_column(self, parts: Sequence[Part]) -> int:
        gap = not _first_leaf(parts[0]).glued and bool(self.text.strip())
        return len(self.text) + gap

    def fill(
        self,
        segments: list[Sequence[Part]],
        start: int,
        column: int,
        tail: int,
        *,
        outdent: bool = False,
        least: int = 0,
    ) -> None:
        """As many segments on a row as fit; author's breaks are kept."""
        for i, segment in enumerate(segments):
            leaf = _first_leaf(segment[0])
            last = i == len(segments) - 1
            if i:
                here = max(least, column - len(leaf.text) - 1) if outdent else column
                room = tail if last else 0
                stays = (
                    outdent and last and len(self.text) - start <= _NEAR and isinstance(segment[-1], Group)
                )
                if leaf.broken or self.comment or leaf.above or not (stays or self.fits(segment, room)):
                    self.break_before(leaf, here)
            self.parts(segment, column, tail if last else 0)

    def break_before(self, leaf: Leaf, column: int) -> None:
        if leaf.above:
            return  # `write` starts the row, below the comments
        self.newline(column)
        leaf.glued = True

    def pipe(self, segments: list[Sequence[Part]], start: int, indent: int, tail: int) -> None:
        value, stages = segments[0], segments[1:]
        self.parts(value, max(indent, start), 0)
        arrow = len(self.text) + 1
        hanging = arrow - start > _FAR - indent
        first = _first_leaf(stages[0][0])
        value_flat = _flat(value)
        if first.broken or hanging or self.comment or value_flat is None:
            arrow = indent + _INDENT
            force = True
        else:
            force = False
        for i, stage in enumerate(stages):
            leaf = _first_leaf(stage[0])
            room = tail if i == len(stages) - 1 else 0
            if (
                leaf.broken
                or self.comment
                or (i == 0 and force)
                or (i > 0 and not self.fits(stage, room))
                or leaf.above
            ):
                self.break_before(leaf, arrow)
            self.parts(stage, arrow + 3, room)

    def sequence(self, parts: Sequence[Part], indent: int, tail: int) -> None:
        """Parts between which no row can end; brackets may break inside."""
        for i, part in enumerate(parts):
            after = _after(parts[i + 1 :]) + (
                tail if i >= len(parts) - 1 or _after_all(parts[i + 1 :]) else 0
            )
            if isinstance(part, Group):
                self.group(part, indent, after)
            elif isinstance(part, Leaf):
                self.write(part, indent)

    def group(self, group: Group, indent: int, tail: int) -> None:
        if not self.comment and not group.open.above and self.fits([group], tail):
            gap = "" if group.open.glued or not self.text.strip() else " "
            self.text += gap + (_flat_part(group) or "")
            self.comment = group.close.trailing
            return
        self.write(group.open, indent)
        inner = len(self.text)
        if group.parts:
            first = _first_leaf(group.parts[0])
            first.glued = True
            if self.comment:
                self.newline(inner)
            self.parts(group.parts, inner, 1 + tail)
        group.close.glued = True
        if self.comment or group.close.above:
            self.newline(inner - 1)
        self.write(group.close, inner - 1)


def tail_or_signature(parts: Sequence[Part]) -> bool:
    """A declaration with parameters, not an alias."""
    return any(isinstance(p, Group) for p in parts) and not any(
        isinstance(p, Leaf) and p.type == "=" for p in parts
    )


def _after(parts: Sequence[Part]) -> int:
    """Columns of what follows without a chance to break: up to the next bracket."""
    width = 0
    for part in parts:
        leaf = _first_leaf(part)
        width += len(leaf.text) + (not leaf.glued)
        if not isinstance(part, Leaf):
            break
    return width


def _after_all(parts: Sequence[Part]) -> bool:
    return all(isinstance(p, Leaf) for p in parts)


_LEVELS: tuple[tuple[str, frozenset[str]], ...] = (
    (",", frozenset([","])),
    ("for", frozenset(["for"])),
    ("=", frozenset(["=", "~"])),
    ("then", frozenset(["then", "else"])),
    ("->", frozenset(["->"])),
    ("or", frozenset(["or"])),
    ("and", frozenset(["and"])),
    ("cmp", frozenset(["CMP"])),
    ("+", frozenset(["+", "-"])),
    ("*", frozenset(["*", "/", "//", "%", "@"])),
)


def _loosest(parts: Sequence[Part]) -> tuple[str, list[int]]:
    """The loosest operator at this level, and where its segments begin."""
    types = [p.type if isinstance(p, Leaf) else "" for p in parts]
    for name, members in _LEVELS:
        if name == ",":
            cuts = [i + 1 for i, t in enumerate(types) if t == "," and i + 1 < len(types)]
        elif name == "=":
            cuts = [i for i, t in enumerate(types) if t in members and 0 < i < len(types) - 1][:1]
        else:
            cuts = [
                i
                for i, (t, p) in enumerate(zip(types, parts, strict=True))
                if t in members and i and (t in ("then", "else", "for") or _first_leaf(p).operator)
            ]
        if cuts:
            return name, cuts
    return "", []


def _key_pads(lines: list[Line]) -> list[int]:
    """Widths of the keys of neighbouring `"pattern" = value` lines, to align their `=`."""
    pads = [0] * len(lines)
    i = 0
    while i < len(lines):
        j = i
        while j < len(lines) and _pattern(lines[j]) and (j == i or not lines[j].blank_before):
            j += 1
        width = max((len(_pattern(line)) for line in lines[i:j]), default=0)
        if j - i > 1 and width <= _MAX_ALIGN:
            pads[i:j] = [width] * (j - i)
        i = max(j, i + 1)
    return pads


def _head_pads(lines: list[Line], indent: int) -> list[int]:
    """Widths of the heads of neighbouring one-row sections of one kind, to align their `{`."""
    pads = [0] * len(lines)
    heads = [_one_row_head(line) for line in lines]
    i = 0
    while i < len(lines):
        kind, j = heads[i].split(" ")[0], i + 1
        while j < len(lines) and kind and heads[j].split(" ")[0] == kind and not lines[j].blank_before:
            j += 1
        width = max(map(len, heads[i:j]))
        longest = max((len(_flat_part(line.parts[-1]) or "") for line in lines[i:j] if line.parts), default=0)
        if j - i > 1 and indent + width + 1 + longest <= WIDTH:
            pads[i:j] = [width] * (j - i)
        i = j
    return pads


def _one_row_head(line: Line) -> str:
    if len(line.parts) < 2 or not isinstance(line.parts[-1], Braces) or _flat(line.parts) is None:
        return ""
    first = line.parts[0]
    if not isinstance(first, Leaf) or first.type != "NAME" or first.above:
        return ""
    return _flat(line.parts[:-1]) or ""


def _pattern(line: Line) -> str:
    if len(line.parts) > 2 and isinstance(line.parts[0], Leaf) and line.parts[0].type == "STRING":
        second = line.parts[1]
        if (
            isinstance(second, Leaf)
            and second.type == "="
            and not second.above
            and not line.parts[0].trailing
        ):
            return line.parts[0].text
    return ""


def _join(rows: list[tuple[str, str]]) -> str:
    """Rows to text; trailing comments of neighbouring rows are aligned."""
    out: list[str] = []
    i = 0
    while i < len(rows):
        j = i
        while j < len(rows) and rows[j][1]:
            j += 1
        width = max((len(code) for code, _ in rows[i:j]), default=0)
        out += [f"{code.ljust(width)}  {comment}" for code, comment in rows[i:j]]
        if j == i:
            out.append(rows[i][0])
            j += 1
        i = j
    return "\n".join(out) + "\n" if out else ""
