"""`dlc check`: parse, resolve, elaborate and check files, and run their expectations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from dlc.api import CheckReport, check_module, paused_collector
from dlc.cli.console import (
    FORMATS,
    Stopwatch,
    align,
    count_findings,
    plural,
    say,
    say_json,
    show_diagnostics,
    tell,
)
from dlc.cli.verb import json_option, set_option, verb
from dlc.elaborate.program import NetFacts
from dlc.selecting import STDIN, Argument, apply_settings, choose, open_argument, parity_sections
from dlc_grammar.diagnostics import Diagnostic, DiagnosticError, as_dict


@dataclass(frozen=True)
class Checked:
    """One file and what was found."""

    argument: Argument
    report: CheckReport
    nets: tuple[NetFacts, ...]
    extra: tuple[Diagnostic, ...] = field(default=())

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return (*self.report.diagnostics, *self.extra)

    @property
    def ok(self) -> bool:
        return not any(d.severity == "error" for d in self.diagnostics)

    @property
    def uncompiled(self) -> tuple[str, ...]:
        return self.report.module.uncompiled if self.report.module else ()


@click.command("check")
@click.argument("files", nargs=-1, required=True, metavar="FILE[:NET]...")
@click.option("--fix", "apply", is_flag=True, help="Make the edits that diagnostics suggest.")
@click.option(
    "--output-format", type=click.Choice(FORMATS), default="full", help="How diagnostics are printed."
)
@set_option
@json_option
@verb
@paused_collector()
def command(
    files: tuple[str, ...], apply: bool, output_format: str, settings: tuple[str, ...], as_json: bool
) -> int:
    """Check files: names, shapes and expectations. `-` reads standard input."""
    watch = Stopwatch()
    arguments = [Argument.of(text) for text in files]
    if apply:
        from dlc.fixing import fix

        text = fix([argument.path for argument in arguments])
        if text is not None:
            say(text.rstrip("\n"))
    results = [] if apply and arguments[0].path == STDIN else [check_one(a, settings) for a in arguments]
    found = [d for result in results for d in result.diagnostics]
    if as_json:
        say_json(_as_json(results))
    elif output_format in ("json", "github"):
        show_diagnostics(found, output_format)
    else:
        for result in results:
            if len(results) > 1 and result.nets:
                say(result.argument.shown)
            for line in summary(result):
                say(line)
        show_diagnostics(found, output_format)
    if found and not as_json:
        tell(count_findings(found, fixable=not apply))
    if results:
        tell(f"Checked {_covered(results)} in {watch}")
    return 0 if all(result.ok for result in results) else 1


def check_one(argument: Argument, settings: tuple[str, ...] = ()) -> Checked:
    """Checks a file; with a label only that network, with settings only that network is reported."""
    module, diagnostics = open_argument(argument)
    only = argument.label if module is not None and argument.label in module.nets and not settings else None
    report = check_module(module, diagnostics, only)
    if report.ok and report.module is not None and parity_sections(report.module):
        from dlc.parity_section import check_sections

        report = replace(report, diagnostics=(*report.diagnostics, *check_sections(report.module, only)))
    if report.module is None or (argument.label is None and not settings):
        return Checked(argument, report, report.nets)
    try:
        net = choose(report.module, argument.label)
        if settings:
            net = apply_settings(net, settings)
        elif not any(facts.label == net.label for facts in report.nets):
            return Checked(argument, report, ())
        return Checked(argument, report, (net.facts,))
    except DiagnosticError as error:
        return Checked(argument, report, (), error.diagnostics)


# ---------------------------------------------------------------- text


def summary(result: Checked) -> list[str]:
    """The table of a file: networks with their presets, then what else the file holds."""
    rows: list[tuple[str, str, str]] = []
    base: NetFacts | None = None
    for facts in result.nets:
        name, _, preset = facts.label.partition(".")
        parent = base if preset and base and base.label == name else None
        title = f"  .{preset}" if parent else facts.label
        same = parent is not None and signature(parent) == signature(facts)
        unit = "" if parent else " params"
        rows.append((title, "" if same else signature(facts), f"{facts.parameters:,}{unit or '       '}"))
        if parent is None or parent.assumptions != facts.assumptions:
            rows += [("", f"assumes {condition}", "") for condition in facts.assumptions]
        if not preset:
            base = facts
    lines = ["  " + line for line in align(rows, right=[2])]
    lines += [f"  `{name}` is kept but not compiled yet" for name in result.uncompiled]
    if result.report.expectations:
        lines.append(f"  {plural(result.report.expectations, 'expectation')} passed")
    return lines


def signature(facts: NetFacts) -> str:
    """`image: float[B, 1, 28, 28] -> float[B, 10]`."""
    inputs = ", ".join(f"{name}: {type_}" for name, type_ in facts.inputs)
    outputs = [f"{name}: {type_}" if name else type_ for name, type_ in facts.outputs]
    result = outputs[0] if len(outputs) == 1 and not facts.outputs[0][0] else f"({', '.join(outputs)})"
    return f"{inputs} -> {result}"


def _covered(results: Iterable[Checked]) -> str:
    results = list(results)
    labels = [facts.label for result in results for facts in result.nets]
    presets = sum("." in label for label in labels)
    parts = [plural(len(results), "file")] if len(results) > 1 or not labels else []
    parts += [plural(n, word) for n, word in ((len(labels) - presets, "net"), (presets, "preset")) if n]
    return ", ".join(parts)


def _as_json(results: list[Checked]) -> dict[str, Any]:
    return {
        "ok": all(result.ok for result in results),
        "files": [
            {
                "file": result.argument.shown
                if result.argument.path == STDIN
                else str(Path(result.argument.path)),
                "ok": result.ok,
                "nets": [facts_json(facts) for facts in result.nets],
                "expectations_passed": result.report.expectations,
                "not_compiled": list(result.uncompiled),
                "diagnostics": [as_dict(d) for d in result.diagnostics],
            }
            for result in results
        ],
    }


def facts_json(facts: NetFacts) -> dict[str, Any]:
    name, _, preset = facts.label.partition(".")
    return {
        "name": name,
        "preset": preset or None,
        "inputs": [{"name": n, "type": t} for n, t in facts.inputs],
        "outputs": [{"name": n, "type": t} for n, t in facts.outputs],
        "parameters": facts.parameters,
        "assumptions": list(facts.assumptions),
    }
