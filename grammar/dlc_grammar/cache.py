"""What takes long to compute and is the same in every run, kept in the user's cache folder as JSON.

Nothing here is ever an error: what is not there, is damaged or was made of another text is None, and the
caller computes it; where nothing can be written, nothing is kept.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from zlib import crc32

MOST_KEPT = 30
"""Files of one name."""


def recall(name: str, key: str) -> Any | None:
    """What was kept under a name for exactly this key."""
    try:
        data = _place(name, key).read_bytes()
        digest, _, text = data.partition(b"\n")
        if int(digest, 16) != crc32(text):
            return None
        kept, value = json.loads(text)
    except (OSError, ValueError, TypeError):
        return None
    return value if kept == key else None


def keep(name: str, key: str, value: Any) -> None:
    """Keep a value of plain JSON for `recall`."""
    import tempfile

    text = json.dumps([key, value], separators=(",", ":")).encode()
    path = _place(name, key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(b"%08x\n%b" % (crc32(text), text))
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
        _forget(name)
    except OSError:
        pass


def _forget(name: str) -> None:
    """Drop what was kept longest ago: a library that is being written leaves a file at every change."""
    found = sorted(folder().glob(f"{name}-*.json"), key=lambda path: path.stat().st_mtime)
    for path in found[:-MOST_KEPT]:
        path.unlink(missing_ok=True)


def _place(name: str, key: str) -> Path:
    return folder() / f"{name}-{crc32(key.encode()):08x}.json"


def folder() -> Path:
    """Where dlc may keep what it can compute again."""
    if override := os.environ.get("DLC_CACHE_DIR"):
        return Path(override)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "dlc"
