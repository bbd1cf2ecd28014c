"""`dlc explain`: the long text of a code, or the documentation and definition of a name."""

from __future__ import annotations

import re
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from dlc.cli.console import say, say_json, style
from dlc.cli.verb import json_option, verb
from dlc.library import Entry, entries
from dlc.modules import suggest
from dlc.trouble import stop

if TYPE_CHECKING:
    from dlc_grammar.codes import Explanation

CODE = re.compile(r"[EeWw]\d{2,4}")
TABLES = ("dlc_grammar.codes", "dlc.codes", "dlc.cli.codes")
"""Modules with `EXPLANATIONS`; of a code in several the first text counts."""


@click.command("explain")
@click.argument("name", metavar="CODE|NAME")
@json_option
@verb
def command(name: str, as_json: bool) -> int:
    """Explain an error code (E0301) or a name of the standard library (Conv2d)."""
    codes = explanations()
    if CODE.fullmatch(name):
        found = codes.get(name.upper())
        if found is None:
            hint = suggest(name.upper(), codes) or "codes look like E0301"
            raise stop("E0101", f"there is no code `{name}`", hint)
        if as_json:
            say_json({"ok": True, **asdict(found)})
        else:
            say(code_text(found))
        return 0
    entry = entries().get(name)
    if entry is None:
        hint = suggest(name, entries()) or "give a code such as E0301, or a name such as Conv2d or softmax"
        raise stop("E0101", f"the standard library has no `{name}`", hint)
    targets = natives(name)
    if as_json:
        say_json({"ok": True, **asdict(entry), "module": entry.module, "natives": targets})
    else:
        say(name_text(entry, targets))
    return 0


def explanations() -> dict[str, Explanation]:
    """All codes. A table that is not there is left out."""
    found: dict[str, Explanation] = {}
    for module in TABLES:
        try:
            table: dict[str, Any] = import_module(module).EXPLANATIONS
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            continue
        for code, explanation in table.items():
            found.setdefault(code, explanation)
    return found


def natives(name: str) -> list[str]:
    """The targets that write a std definition in their framework's own words."""
    from dlc.backend import backend_names, find_backend

    found = []
    for target in backend_names():
        backend = find_backend(target)
        if backend is not None and name in backend.natives:
            found.append(target)
    return found


def code_text(found: Explanation) -> str:
    lines = [style(f"{found.code}: {found.title}", bold=True), "", *fill(found.text)]
    if found.wrong:
        lines += ["", "This is wrong:", "", *indent(found.wrong)]
    if found.right:
        lines += ["", "This is right:", "", *indent(found.right)]
    return "\n".join(lines)


def name_text(entry: Entry, targets: list[str]) -> str:
    where = "always in scope" if entry.prelude else f"from {entry.module} import {entry.name}"
    lines = [f"{style(entry.name, bold=True)}  {entry.kind}, {where}", ""]
    if entry.doc:
        lines += [*fill(entry.doc), ""]
    lines += [f"{entry.file}:{entry.line}", "", *indent(entry.source), ""]
    if entry.kind == "primitive":
        lines.append("Every target writes it in its own words.")
    elif targets:
        lines.append(
            f"Written in the framework's own words by {', '.join(targets)}; elsewhere as defined here."
        )
    else:
        lines.append("Every target writes it as defined here.")
    return "\n".join(lines)


def fill(text: str, width: int = 88) -> list[str]:
    import textwrap

    return textwrap.wrap(" ".join(text.split()), width)


def indent(text: str) -> list[str]:
    return [f"    {line}".rstrip() for line in text.rstrip().splitlines()]
