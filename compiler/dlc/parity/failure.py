"""What went wrong while generated code ran, as a few plain facts.

In: an exception and the generated file. Out: the framework's message and the last line of the
generated file that was running, without the frames of the framework.
"""

from __future__ import annotations

import linecache
import traceback
from pathlib import Path
from typing import Any


class SampleMismatch(Exception):
    """The generated code draws other random numbers than the specification."""


def describe_error(error: BaseException, path: Path | None) -> dict[str, Any]:
    """A JSON object: `type`, `message`, and `line` and `text` in the file where they are known."""
    message = str(error).strip() or type(error).__name__
    found: dict[str, Any] = {"type": type(error).__name__, "message": message}
    if path is None:
        return found
    found["file"] = str(path)
    line = last_line(error, path)
    if line is not None:
        linecache.checkcache(str(path))
        found["line"] = line
        found["text"] = linecache.getline(str(path), line).rstrip("\n")
    else:
        found["frames"] = traceback.format_exception(error)[-12:]
    return found


def last_line(error: BaseException, path: Path) -> int | None:
    """The innermost line of `path` among the frames of an error and of what caused it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, SyntaxError) and current.filename == str(path):
            return current.lineno
        frames = traceback.extract_tb(current.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        if lines:
            return lines[-1]
        current = current.__cause__ or current.__context__
    return None
