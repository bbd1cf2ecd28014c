"""W007: a tolerance in a `parity` section that allows more than the dtype needs, and so says nothing."""

from __future__ import annotations

from collections.abc import Iterator

from dlc.modules import LoadedModule
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic

NEEDED = {"f64": 1e-10, "f32": 1e-2}
"""Relative errors. That of f64 is the gate that holds anyway; f32 has 7 digits, and never loses 5."""
WHOLE = {"f64": "float64 agrees to 1e-10 anyway", "f32": "float32 has 7 digits"}
CHECKED = ("forward", "gradient")


def loose(module: LoadedModule) -> Iterator[Diagnostic]:
    """Tolerances that are wider than any correct program uses."""
    for item in module.tree.items:
        if not isinstance(item, syntax.Section) or item.name.id != "parity":
            continue
        for group in item.items:
            if not isinstance(group, syntax.Section) or not _is_check(group):
                continue
            for setting in group.items:
                if isinstance(setting, syntax.Setting) and isinstance(setting.name, syntax.Ident):
                    yield from _in_setting(setting.name.id, setting.value)


def _is_check(group: syntax.Section) -> bool:
    kind = group.args[0] if len(group.args) == 1 else None
    return group.name.id == "check" and isinstance(kind, tuple) and kind[0].id in CHECKED


def _in_setting(dtype: str, value: syntax.Expr) -> Iterator[Diagnostic]:
    for keyword in value.keywords if dtype in NEEDED and isinstance(value, syntax.Call) else ():
        number = keyword.value.value if isinstance(keyword.value, syntax.Literal_) else None
        if keyword.name.id == "rtol" and isinstance(number, (int, float)) and number > NEEDED[dtype]:
            yield Diagnostic(
                "W007",
                f"a tolerance of {number:g} is looser than {dtype} needs",
                keyword.value.span,
                WHOLE[dtype],
                (),
                f"write at most rtol={NEEDED[dtype]:g}, or leave it out: what is always checked is stricter",
                severity="warning",
            )
