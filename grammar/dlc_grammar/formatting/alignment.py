"""What is aligned in neighbouring rows: the `=` after keys, the `{` after heads, trailing comments."""

from __future__ import annotations

from dlc_grammar.formatting.parts import WIDTH, Braces, Leaf, Line, flat_part, flat_text

WIDEST_KEY = 64
"""Keys wider than this do not push the `=` of their neighbours."""


def key_pads(lines: list[Line]) -> list[int]:
    """Widths of the keys of neighbouring `"pattern" = value` lines, to align their `=`."""
    pads = [0] * len(lines)
    i = 0
    while i < len(lines):
        j = i
        while j < len(lines) and _key(lines[j]) and (j == i or not lines[j].blank_before):
            j += 1
        width = max((len(_key(line)) for line in lines[i:j]), default=0)
        if j - i > 1 and width <= WIDEST_KEY:
            pads[i:j] = [width] * (j - i)
        i = max(j, i + 1)
    return pads


def _key(line: Line) -> str:
    """`"pattern"` of `"pattern" = value`, "" for any other line."""
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


def head_pads(lines: list[Line], indent: int) -> list[int]:
    """Widths of the heads of neighbouring one-row sections of one kind, to align their `{`."""
    pads = [0] * len(lines)
    heads = [_one_row_head(line) for line in lines]
    i = 0
    while i < len(lines):
        kind, j = heads[i].split(" ")[0], i + 1
        while j < len(lines) and kind and heads[j].split(" ")[0] == kind and not lines[j].blank_before:
            j += 1
        width = max(map(len, heads[i:j]))
        longest = max((len(flat_part(line.parts[-1]) or "") for line in lines[i:j] if line.parts), default=0)
        if j - i > 1 and indent + width + 1 + longest <= WIDTH:
            pads[i:j] = [width] * (j - i)
        i = j
    return pads


def _one_row_head(line: Line) -> str:
    """`sizes` of `sizes { ... }` on one row, "" for any other line."""
    if len(line.parts) < 2 or not isinstance(line.parts[-1], Braces) or flat_text(line.parts) is None:
        return ""
    first = line.parts[0]
    if not isinstance(first, Leaf) or first.type != "NAME" or first.above:
        return ""
    return flat_text(line.parts[:-1]) or ""


def join_rows(rows: list[tuple[str, str]]) -> str:
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
