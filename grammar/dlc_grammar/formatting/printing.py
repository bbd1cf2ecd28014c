"""Lines in, text out, in rows of limited width.

Layout of a statement that is too wide: break at its loosest operator first (commas, then `then`/`else`,
pipes, `or`, `and`, sums, products), fill the lines, go inside brackets only where a part still does not
fit. Line breaks that the author put before `->` stay.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc_grammar.formatting.alignment import head_pads, join_rows, key_pads
from dlc_grammar.formatting.parts import (
    WIDTH,
    Braces,
    Group,
    Leaf,
    Line,
    Part,
    first_leaf,
    flat_part,
    flat_text,
    last_leaf,
)

INDENT = 2
HANG = 4
FAR = 32
"""A pipe with a longer first value continues under the statement, not under itself."""
NEAR = 24
"""A last operand in brackets stays beside operands not longer than this."""


LEVELS: tuple[tuple[str, frozenset[str]], ...] = (
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


class Printer:
    """Lines of code with their trailing comments; columns are those of the output."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []  # code, comment
        self.text = ""  # of the row being written
        self.comment = ""

    def file(self, lines: list[Line]) -> str:
        self.body(lines, 0)
        return join_rows(self.rows)

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
        pads = key_pads(lines)
        heads = head_pads(lines, indent)
        for line, pad, head in zip(lines, pads, heads, strict=True):
            self.end_row()
            if line.blank_before:
                self.rows.append(("", ""))
            self.text = " " * indent
            if line.comment:
                self.text += line.comment
            elif head:
                self.text += (
                    (flat_text(line.parts[:-1]) or "").ljust(head) + " " + (flat_part(line.parts[-1]) or "")
                )
                self.comment = last_leaf(line.parts[-1]).trailing
            else:
                self.line(line.parts, indent, pad)
        self.end_row()

    def line(self, parts: list[Part], indent: int, pad: int) -> None:
        if pad and isinstance(parts[0], Leaf):
            self.text += parts[0].text.ljust(pad)
            self.comment = parts[0].trailing
            parts = parts[1:]
        flat = flat_text(parts)
        gap = "" if not self.text.strip() else " "
        if flat is not None and not self.comment and len(self.text) + len(gap) + len(flat) <= WIDTH:
            self.text += gap + flat
            self.comment = last_leaf(parts[-1]).trailing
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
        flat = flat_part(part)
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
        self.body(part.lines, indent + INDENT)
        self.newline(indent)
        part.close.glued = True
        self.write(part.close, indent)

    def head(self, parts: list[Part], indent: int, tail: str) -> None:
        first = parts[0]
        if (
            isinstance(first, Leaf)
            and first.type in ("fn", "block", "net", "step", "eval")
            and has_parameters(parts)
        ):
            self.signature(parts, indent, len(tail))
        else:
            self.parts(parts, indent, len(tail))

    def signature(self, parts: list[Part], indent: int, tail: int) -> None:
        """`fn name(...)`, then the second parameters and the result on own rows if need be."""
        pieces: list[list[Part]] = [[]]
        lists = 0
        for part in parts:
            leaf = first_leaf(part)
            lists += isinstance(part, Group) and leaf.type == "("
            starts = (
                lists == 2 and isinstance(part, Group) and leaf.type == "(" and len(pieces) == 1
            ) or leaf.type == "->"
            if starts:
                pieces.append([])
            pieces[-1].append(part)
        for part in parts[1:]:
            if (leaf := first_leaf(part)).type == "->":
                leaf.broken = False
        if (flat := flat_text(parts)) is not None and len(self.text) + len(flat) + tail <= WIDTH:
            self.parts(parts, indent, tail)
            return
        rows = len(self.rows)
        self.parts(pieces[0], indent, tail if len(pieces) == 1 else 0)
        broken = flat_text(pieces[0]) is None or len(self.rows) > rows
        for i, piece in enumerate(pieces[1:], start=1):
            rest = flat_text([p for q in pieces[i:] for p in q])
            own = flat_text(piece)
            used = len(self.text) + (not first_leaf(piece[0]).glued)
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
                    and HANG + indent + len(rest) + tail <= WIDTH
                )
            ):
                self.newline(indent + HANG)
                first_leaf(piece[0]).glued = True
                broken = False
            self.parts(piece, indent + HANG, tail if last else 0)

    # ------------------------------------------------------------ expressions

    def fits(self, parts: Sequence[Part], tail: int, at: int | None = None) -> bool:
        flat = flat_text(parts)
        if flat is None or (last_leaf(parts[-1]).trailing and tail > 2):
            return False
        gap = not first_leaf(parts[0]).glued and bool(self.text.strip())
        start = len(self.text) + gap if at is None else at
        return start + len(flat) + tail <= WIDTH

    def parts(self, parts: Sequence[Part], indent: int, tail: int) -> None:
        """Write parts of one bracket or statement; `tail` columns follow on the last row."""
        if not parts:
            return
        if not self.comment and not first_leaf(parts[0]).above and self.fits(parts, tail):
            gap = "" if first_leaf(parts[0]).glued or not self.text.strip() else " "
            self.text += gap + (flat_text(parts) or "")
            self.comment = last_leaf(parts[-1]).trailing
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
        gap = not first_leaf(parts[0]).glued and bool(self.text.strip())
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
            leaf = first_leaf(segment[0])
            last = i == len(segments) - 1
            if i:
                here = max(least, column - len(leaf.text) - 1) if outdent else column
                room = tail if last else 0
                stays = outdent and last and len(self.text) - start <= NEAR and isinstance(segment[-1], Group)
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
        hanging = arrow - start > FAR - indent
        first = first_leaf(stages[0][0])
        value_flat = flat_text(value)
        if first.broken or hanging or self.comment or value_flat is None:
            arrow = indent + INDENT
            force = True
        else:
            force = False
        for i, stage in enumerate(stages):
            leaf = first_leaf(stage[0])
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
            rest = parts[i + 1 :]
            after = _width_before_brackets(rest)
            if all(isinstance(other, Leaf) for other in rest):
                after += tail
            if isinstance(part, Group):
                self.group(part, indent, after)
            elif isinstance(part, Leaf):
                self.write(part, indent)

    def group(self, group: Group, indent: int, tail: int) -> None:
        if not self.comment and not group.open.above and self.fits([group], tail):
            gap = "" if group.open.glued or not self.text.strip() else " "
            self.text += gap + (flat_part(group) or "")
            self.comment = group.close.trailing
            return
        self.write(group.open, indent)
        inner = len(self.text)
        if group.parts:
            first = first_leaf(group.parts[0])
            first.glued = True
            if self.comment:
                self.newline(inner)
            self.parts(group.parts, inner, 1 + tail)
        group.close.glued = True
        if self.comment or group.close.above:
            self.newline(inner - 1)
        self.write(group.close, inner - 1)


def has_parameters(parts: Sequence[Part]) -> bool:
    """A declaration with parameters, not an alias."""
    return any(isinstance(p, Group) for p in parts) and not any(
        isinstance(p, Leaf) and p.type == "=" for p in parts
    )


def _loosest(parts: Sequence[Part]) -> tuple[str, list[int]]:
    """The loosest operator at this level, and where its segments begin."""
    types = [p.type if isinstance(p, Leaf) else "" for p in parts]
    for name, members in LEVELS:
        if name == ",":
            cuts = [i + 1 for i, t in enumerate(types) if t == "," and i + 1 < len(types)]
        elif name == "=":
            cuts = [i for i, t in enumerate(types) if t in members and 0 < i < len(types) - 1][:1]
        else:
            cuts = [
                i
                for i, (t, p) in enumerate(zip(types, parts, strict=True))
                if t in members and i and (t in ("then", "else", "for") or first_leaf(p).operator)
            ]
        if cuts:
            return name, cuts
    return "", []


def _width_before_brackets(parts: Sequence[Part]) -> int:
    """Columns of what follows without a chance to break: up to the next bracket."""
    width = 0
    for part in parts:
        leaf = first_leaf(part)
        width += len(leaf.text) + (not leaf.glued)
        if not isinstance(part, Leaf):
            break
    return width
