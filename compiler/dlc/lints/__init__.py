"""Lints: what is allowed and probably not meant, as warnings of `dlc check`.

In: a file without errors, and its elaborated networks. Out: diagnostics. Nothing here stops a build or
a proof. Each lint is a function in a file of its own; it reads and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlc import ir
from dlc.lints.dropout import last_dropout
from dlc.lints.labels import unlabelled
from dlc.lints.shadows import shadows
from dlc.lints.tolerances import loose
from dlc.lints.unused import unused
from dlc.modules import LoadedModule
from dlc_grammar.diagnostics import Diagnostic


def lint(
    module: LoadedModule, prelude: LoadedModule | None, programs: Sequence[ir.Program]
) -> list[Diagnostic]:
    """What the lints say about one file (not about what it imports)."""
    return [
        *unlabelled(module, prelude, programs),
        *unused(module, prelude),
        *shadows(module, prelude),
        *last_dropout(module),
        *loose(module),
    ]
