"""What all verbs share: a decorator that prints diagnostics, and the options that several have."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from dlc.cli.console import say_json, show_diagnostics
from dlc_grammar.diagnostics import DiagnosticError, as_dict

Function = TypeVar("Function", bound=Callable[..., Any])


def verb(function: Callable[..., int]) -> Callable[..., int]:
    """Diagnostics that a verb raises are printed, as text or as JSON; the exit code is then 1."""

    @functools.wraps(function)
    def guarded(**options: Any) -> int:
        try:
            return function(**options)
        except DiagnosticError as error:
            if options.get("as_json"):
                say_json({"ok": False, "diagnostics": [as_dict(d) for d in error.diagnostics]})
            else:
                show_diagnostics(error.diagnostics, options.get("output_format") or "full")
            return 1

    return guarded


def json_option(function: Function) -> Function:
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(function)


def set_option(function: Function) -> Function:
    text = "Give a parameter of the network a value; checked as in a file."
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=text)(function)


def target_option(function: Function) -> Function:
    text = "Targets, separated by commas."
    return click.option("-t", "--target", "targets", multiple=True, metavar="NAMES", help=text)(function)


def split_names(values: tuple[str, ...]) -> tuple[str, ...]:
    """`-t torch,jax -t keras` as three names, each once."""
    names = (name.strip() for value in values for name in value.split(","))
    return tuple(dict.fromkeys(name for name in names if name))
