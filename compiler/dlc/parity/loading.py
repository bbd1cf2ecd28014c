"""Imports a generated file as a module of its own, each time afresh.

In: the path of the file and, when tracing, the sites of the emitted file and those wanted. Out: the
module, instrumented when tracing. Errors carry the file's own path and line numbers.
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


def load_module(
    path: Path, sites: Mapping[str, Any] | None = None, recorder: Recorder | None = None
) -> ModuleType:
    """Runs the file under a fresh module name; the module before it is forgotten."""
    text = path.read_text(encoding="utf-8")
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
    return module
