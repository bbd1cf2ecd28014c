"""The `dlc` command: finds the verb, and turns whatever happens into text and an exit code.

Starting up imports click and nothing else of weight; the module of a verb is imported when it is used.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from dlc import __version__

VERBS = {
    "check": "Check files: names, shapes and expectations.",
    "fmt": "Write files in the canonical layout.",
    "view": "Show a network as a tree with shapes, parameters and FLOPs.",
    "build": "Generate standalone code for PyTorch, JAX and Keras.",
    "run": "Run one forward pass in one target.",
    "parity": "Prove that the generated code of all targets agrees.",
    "import": "Make our weights from a checkpoint of another library.",
    "export": "Make a checkpoint of another library from our weights.",
    "explain": "Explain an error code or a name of the standard library.",
    "doctor": "Show which targets, versions and devices work here.",
}

ELSEWHERE = {"import": ("weights", "import_group"), "export": ("weights", "export_group")}
"""Verbs that are no Python name: their module and what it calls them."""

INTERNAL_ERROR = 70
INTERRUPTED = 130


class Application(click.Group):
    """A group that imports a verb's module only when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, name = ELSEWHERE.get(cmd_name, (cmd_name, "command"))
        command: click.Command = getattr(import_module(f"dlc.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(_unknown_verb(args[0]))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> Any:
        """Runs, and exits with a code that says what happened."""
        _never_fail_to_print()
        code = self._guarded(args)
        gc.freeze()  # the process ends: it need not look for garbage once more
        sys.exit(code)

    def _guarded(self, args: Sequence[str] | None) -> int:
        try:
            code = super().main(args, prog_name="dlc", standalone_mode=False)
            sys.stdout.flush()
            return code if isinstance(code, int) else 0
        except click.exceptions.Abort:
            return INTERRUPTED
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except MemoryError as error:
            return _report_memory(error)
        except Exception as error:
            return _report_bug(error)


def _unknown_verb(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, VERBS, n=1)
    hint = f"did you mean `dlc {close[0]}`?" if close else f"the commands are {', '.join(VERBS)}"
    return f"there is no command `{name}`; {hint}"


def _never_fail_to_print() -> None:
    """A stream that cannot show a character shows a stand-in for it."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _report_memory(error: MemoryError) -> int:
    from dlc_grammar.diagnostics import Diagnostic, render

    reason = f": {error}" if str(error) else ""
    help = "choose smaller sizes, a smaller preset, or give smaller parameters with --set"
    click.echo(render(Diagnostic("E0804", f"out of memory{reason}", help=help)), err=True)
    return 1


def _report_bug(error: BaseException) -> int:
    if os.environ.get("DLC_DEBUG") == "1":
        raise error
    from dlc.cli.bug import describe_bug

    click.echo(describe_bug(error), err=True)
    return INTERNAL_ERROR


@click.group(cls=Application, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="dlc %(version)s")
def application() -> None:
    """A compiler for neural networks.

    One .dl file becomes PyTorch, JAX and Keras code that provably agrees.
    """


def main() -> None:
    """The entry point of the `dlc` script."""
    application.main()
