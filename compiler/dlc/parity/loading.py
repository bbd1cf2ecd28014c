"""Imports a generated file as a module of its own.

In: the path of the file and, when tracing, the sites of the emitted file and those wanted. Out: the
module, instrumented when tracing. Errors carry the file's own path and line numbers. The last few files that
were imported plainly are kept, as long as their text stays the same: what a framework compiled for a module
can then be used again.
"""

from __future__ import annotations

import itertools
import linecache
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from dlc.parity.instrument import RECORD, Site, instrument
from dlc.parity.recorder import Recorder

_numbers = itertools.count(1)
_current: list[str] = []
_kept: dict[tuple[str, str], ModuleType] = {}
MOST_KEPT = 4


def load_module(
    path: Path, sites: Mapping[str, Any] | None = None, recorder: Recorder | None = None
) -> ModuleType:
    """Runs the file under a fresh module name, or hands out the module that is kept of it."""
    text = path.read_text(encoding="utf-8")
    if sites is None and (str(path), text) in _kept:
        return _kept[str(path), text]
    linecache.checkcache(str(path))
    if sites is None:
        code = compile(text, str(path), "exec")
    else:
        emitted = [Site(*site) for site in sites["emitted"]]
        tree = instrument(text, emitted, frozenset(sites["wanted"]))
        code = compile(tree, str(path), "exec")
    module = ModuleType(f"generated_{next(_numbers)}_{path.stem}")
    module.__file__ = str(path)
    if recorder is not None:
        setattr(module, RECORD, recorder)
    while _current:
        sys.modules.pop(_current.pop(), None)
    sys.modules[module.__name__] = module
    _current.append(module.__name__)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    exec(code, module.__dict__)
    if sites is None:
        _kept[str(path), text] = module
        while len(_kept) > MOST_KEPT:
            del _kept[next(iter(_kept))]
    return module
