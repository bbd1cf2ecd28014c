"""Reading a file: a `Source`, or a diagnostic that says why there is none."""

from __future__ import annotations

from pathlib import Path

from dlc_grammar.diagnostics import Diagnostic
from dlc_grammar.lexer import MAX_CHARACTERS
from dlc_grammar.source import Source

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def load_source(path: str | Path, name: str | None = None) -> Source | Diagnostic:
    """The text of a file. `name` is what diagnostics print for it, the path if left out."""
    name = str(path) if name is None else name
    try:
        with open(path, "rb") as file:
            data = file.read(4 * MAX_CHARACTERS + 1)
    except FileNotFoundError:
        return Diagnostic(
            "E0001",
            f"there is no file `{name}`",
            help="check the path",
        )
    except IsADirectoryError:
        return Diagnostic("E0001", f"`{name}` is a folder", help="name a `.dl` file in it")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Diagnostic(
            "E0001",
            f"`{name}` cannot be read: {reason.lower()}",
            help="check the path and its permissions",
        )
    return decode(data, name)


def decode(data: bytes, name: str) -> Source | Diagnostic:
    """The text of bytes that were read from a file or a stream."""
    if len(data) > MAX_CHARACTERS:
        return Diagnostic(
            "E0003",
            f"`{name}` is larger than {MAX_CHARACTERS // 1024} KiB",
            help="split it into several files",
        )
    if data.startswith(_UTF16):
        return Diagnostic("E0002", f"`{name}` is UTF-16 text", help="save it as UTF-8")
    if b"\0" in data:
        return Diagnostic(
            "E0002",
            f"`{name}` is not a text file",
            help="dlc reads UTF-8 text; this file has zero bytes",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return Diagnostic(
            "E0002",
            f"`{name}` is not UTF-8 text: line {line} has the byte {data[error.start]:#04x}",
            help="save it as UTF-8",
        )
    return Source(name, text.replace("\r\n", "\n"))
