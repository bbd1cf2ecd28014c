"""W004: a declaration of the file that takes the name of one of the library."""

from __future__ import annotations

from collections.abc import Iterator

from dlc.elaborate import builtins
from dlc.modules import LoadedModule
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic


def shadows(module: LoadedModule, prelude: LoadedModule | None) -> Iterator[Diagnostic]:
    """Names that mean something else here than everywhere else."""
    if module is prelude:
        return
    library = prelude.declarations if prelude is not None else {}
    for name, declaration in module.declarations.items():
        if name in library or name in builtins.NAMES:
            yield Diagnostic(
                "W004",
                f"`{name}` hides {_what(library.get(name))} of the standard library",
                declaration.name.span,
                f"in this file `{name}` means this one",
                (),
                f"rename it, for example `{'My' if name[:1].isupper() else 'my_'}{name}`",
                severity="warning",
            )


def _what(declaration: object) -> str:
    return "a block" if isinstance(declaration, (syntax.Block, syntax.Alias)) else "a function"
