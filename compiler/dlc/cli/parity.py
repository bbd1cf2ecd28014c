"""`dlc parity`: the proof that the generated code of all targets computes what the file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from dlc.api import Module
from dlc.build import find_target
from dlc.cli.console import Stopwatch, say, say_json, show_diagnostics, tell
from dlc.cli.verb import json_option, set_option, split_names, target_option, verb
from dlc.parity.report import CaseResult, Report
from dlc.parity.run import Subject, run_parity
from dlc.parity_section import DEVICES, fitting, read_section
from dlc.selecting import (
    Argument,
    apply_settings,
    choose,
    covered,
    load_argument,
    named_net,
    parity_sections,
    plain_nets,
)
from dlc.sizes import check_memory
from dlc.trouble import stop
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic, DiagnosticError

ONLY = {"forward": ("output", "state"), "gradient": ("gradient", "input gradient")}


COPIES = 4
"""Weights, their gradients, and what the reference keeps of both."""


@click.command("parity")
@click.argument("file", metavar="FILE[:NET]")
@target_option
@click.option("--device", "devices", multiple=True, help="cpu or cuda; several with commas.")
@click.option(
    "--keras-backend", type=click.Choice(["tensorflow", "jax", "torch"]), help="What Keras runs on."
)
@click.option("--seeds", multiple=True, metavar="NUMBERS", help="Seeds, separated by commas.")
@click.option("--only", type=click.Choice(list(ONLY)), help="Report only this.")
@click.option("--code", "codes", multiple=True, metavar="TARGET=FILE", help="Prove this file of a target.")
@set_option
@json_option
@verb
def command(
    file: str,
    targets: tuple[str, ...],
    devices: tuple[str, ...],
    keras_backend: str | None,
    seeds: tuple[str, ...],
    only: str | None,
    codes: tuple[str, ...],
    settings: tuple[str, ...],
    as_json: bool,
) -> int:
    """Prove that the generated code of all targets agrees.

    Exit code 0: proved; 1: something differs; 2: something could not run.
    """
    watch = Stopwatch()
    names = tuple(find_target(name).name for name in split_names(targets)) or None
    places = tuple(device(name) for name in split_names(devices)) or None
    files = code_files(codes)
    argument = Argument.of(file)
    module = load_argument(argument)
    subjects = find_subjects(module, argument.label, settings, not as_json)
    numbers = seed_numbers(seeds)
    if numbers:
        subjects = [replace(s, settings=replace(s.settings, seeds=numbers)) for s in subjects]
    report = run_parity(
        subjects,
        targets=names,
        devices=places,
        code=files,
        keras_backend=keras_backend,
        sources={module.loaded.name: module.loaded.source.text},
        progress=tell if not as_json else lambda text: None,
    )
    if only:
        keep_only(report, ONLY[only])
    skipped = () if places else skip_absent(report)
    if as_json:
        say_json(report.to_json() | {"skipped": list(skipped)})
    else:
        say(report.render().rstrip("\n"))
    for text in skipped:
        tell(f"Skipped {text}")
    tell(f"Compared in {watch}")
    return report.exit_code


# ---------------------------------------------------------------- options


def device(name: str) -> str:
    if name not in DEVICES:
        raise stop("E0602", f"there is no device `{name}`", "there are cpu and cuda")
    return DEVICES[name]


def seed_numbers(texts: tuple[str, ...]) -> tuple[int, ...]:
    words = split_names(texts)
    if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        raise stop("E0602", f"`{','.join(words)}` are not seeds", "write for example --seeds 0,1,2")
    return tuple(int(word) for word in words)


def code_files(texts: tuple[str, ...]) -> Mapping[str, Path]:
    """`torch=model.py` as paths by target."""
    found = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals:
            raise stop(
                "E0602", f"`{text}` is not a file of a target", "write for example --code torch=model.py"
            )
        if not Path(path).is_file():
            raise stop("E0001", f"there is no file `{path}`", "check the path")
        found[find_target(name).name] = Path(path)
    return found


# ---------------------------------------------------------------- networks and sections


def find_subjects(
    module: Module, label: str | None, settings: tuple[str, ...], warn: bool = True
) -> list[Subject]:
    """The networks to prove and what the file says about each. Raises DiagnosticError."""
    sections = parity_sections(module)
    if label is not None:
        chosen = [(module[label], section_for(label, sections))]
    elif sections:
        chosen = [pair for section in sections for pair in covered(module, section)]
    else:
        chosen = [(net, None) for net in plain_nets(module)] or [(choose(module, None), None)]
    subjects, found = list[Subject](), list[Diagnostic]()
    for net, section in chosen:
        changed = apply_settings(net, settings)
        check_memory(changed.program, COPIES)
        if section is None:
            subjects.append(Subject(changed.program))
            continue
        read, diagnostics = read_section(section, changed)
        found += diagnostics
        subjects.append(Subject(changed.program, fitting(read, changed, named_net(section))))
    errors = [d for d in found if d.severity == "error"]
    if errors:
        raise DiagnosticError(errors)
    if warn:
        show_diagnostics(found)
    return subjects


def section_for(label: str, sections: list[syntax.Section]) -> syntax.Section | None:
    """The section that fits a network best: its own, its family's, or the one for all."""
    base = label.partition(".")[0]

    def distance(section: syntax.Section) -> int:
        name = named_net(section)
        if name == label:
            return 0
        if name is None:
            return 1
        return 2 if name.partition(".")[0] == base else 3

    nearest = min(sections, key=distance, default=None)
    return nearest if nearest is not None and distance(nearest) < 3 else None


# ---------------------------------------------------------------- the report


def skip_absent(report: Report) -> tuple[str, ...]:
    """Takes devices that are not here out of the errors, if others were: a file names all that it wants."""
    absent = [
        error for error in report.errors if error.target.endswith("/cuda") and "finds no" in error.message
    ]
    if not report.cases:
        return ()
    report.errors = [error for error in report.errors if error not in absent]
    return tuple(f"{error.target}: {error.message}" for error in absent)


def keep_only(report: Report, kinds: tuple[str, ...]) -> None:
    """Leaves only comparisons of some kinds, and the failures that are about them."""

    def narrow(case: CaseResult) -> CaseResult:
        return replace(case, comparisons=tuple(c for c in case.comparisons if c.kind in kinds))

    report.cases = [case for case in map(narrow, report.cases) if case.comparisons]
    narrowed = [replace(failure, case=narrow(failure.case)) for failure in report.failures]
    report.failures = [failure for failure in narrowed if failure.case.failing]
