"""Names, before anything runs: unknown names and cycles in every body, also where no net uses it."""

from __future__ import annotations

from dlc.modules import Loader, LoadedModule
from dlc_grammar.diagnostics import Diagnostic


def resolve(loader: Loader, module: LoadedModule) -> list[Diagnostic]:
    """Findings about the names of one file."""
    return []
