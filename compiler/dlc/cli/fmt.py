"""`dlc fmt`: files in the canonical layout."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import click

from dlc.cli.console import plural, say, say_json, show_diagnostics, tell
from dlc.cli.verb import json_option, verb
from dlc.writing import write_text
from dlc_grammar.diagnostics import Diagnostic, as_dict
from dlc_grammar.files import load_source
from dlc_grammar.format import format_text
from dlc_grammar.source import Source

STDIN = "-"


@dataclass(frozen=True)
class Formatted:
    """One file before and after; `after` is None where it has errors."""

    path: str
    before: str
    after: str | None
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def changed(self) -> bool:
        return self.after is not None and self.after != self.before


@click.command("fmt")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a file is not formatted.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
@json_option
@verb
def command(files: tuple[str, ...], check: bool, diff: bool, as_json: bool) -> int:
    """Write files in the canonical layout. `-` formats standard input to standard output."""
    results = [format_file(path) for path in dict.fromkeys(files)]
    dry = check or diff
    for result in results:
        if diff and not as_json:
            say_difference(result)
        elif not dry and result.path == STDIN and result.after is not None:
            if not as_json:
                click.echo(result.after, nl=False)
        elif not dry and result.changed and result.after is not None:
            write_text(Path(result.path), result.after)
    if as_json:
        say_json(_json(results, dry))
    elif check and not diff:
        for result in results:
            if result.changed:
                say(f"would reformat {result.path}")
    for result in results if not as_json else ():
        show_diagnostics(result.diagnostics)
    tell(verdict(results, dry))
    broken = any(result.after is None for result in results)
    return 1 if broken or (dry and any(result.changed for result in results)) else 0


def format_file(path: str) -> Formatted:
    source = _read(path)
    if isinstance(source, Diagnostic):
        return Formatted(path, "", None, (source,))
    after, diagnostics = format_text(source)
    before = source.text if path == STDIN else _raw(path, source)
    return Formatted(path, before, after, tuple(d for d in diagnostics if after is None))


def _read(path: str) -> Source | Diagnostic:
    if path == STDIN:
        from dlc.selecting import read_stdin

        return read_stdin()
    return load_source(path)


def _raw(path: str, source: Source) -> str:
    """The text as it is on disk, so that other line ends count as a change."""
    try:
        return Path(path).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return source.text


def say_difference(result: Formatted) -> None:
    lines = difflib.unified_diff(
        result.before.splitlines(),
        (result.after if result.after is not None else result.before).splitlines(),
        result.path,
        f"{result.path} (formatted)",
        lineterm="",
    )
    for line in lines:
        say(line)


def verdict(results: list[Formatted], dry: bool) -> str:
    """`1 file reformatted, 3 unchanged`."""
    changed = sum(result.changed for result in results)
    broken = sum(result.after is None for result in results)
    unchanged = len(results) - changed - broken
    parts = []
    if changed:
        parts.append(f"{plural(changed, 'file')} {'would be reformatted' if dry else 'reformatted'}")
    if unchanged:
        parts.append(f"{unchanged if changed else plural(unchanged, 'file')} unchanged")
    if broken:
        parts.append(f"{plural(broken, 'file')} with errors")
    return ", ".join(parts)


def _json(results: list[Formatted], dry: bool) -> dict[str, object]:
    return {
        "ok": not any(r.after is None or (dry and r.changed) for r in results),
        "files": [
            {
                "file": result.path,
                "changed": result.changed,
                "text": result.after if result.path == STDIN else None,
                "diagnostics": [as_dict(d) for d in result.diagnostics],
            }
            for result in results
        ],
    }
