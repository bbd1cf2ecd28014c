"""The command itself: help, wrong usage, bugs, interrupts, and what is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlc import __version__, api
from dlc.cli.main import VERBS

DLC = [sys.executable, "-c", "from dlc.cli.main import main; main()"]
FRAMEWORKS = "{'torch', 'jax', 'tensorflow', 'keras'}"


def test_help_lists_every_verb(run):
    result = run("--help")
    assert result.exit_code == 0
    assert all(f"  {verb} " in result.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_json(run, verb):
    inner = ["weights"] if verb in ("import", "export") else []
    result = run(verb, *inner, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_version(run):
    assert run("--version").stdout == f"dlc {__version__}\n"


def test_unknown_verb(run):
    result = run("chek")
    assert result.exit_code == 2
    assert "did you mean `dlc check`?" in result.stderr


def test_wrong_usage(run):
    assert run("check").exit_code == 2
    assert run("view", "a.dl", "--depth", "x").exit_code == 2


def test_start_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from dlc.cli.main import main\n"
        "sys.argv = ['dlc', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pydantic', 'rich', 'lark', 'dlc.api'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "FILE"],
        ["view", "FILE"],
        ["fmt", "--check", "FILE"],
        ["build", "FILE", "-o", "OUT"],
        ["explain", "Conv2d"],
        ["doctor"],
    ],
)
def test_no_framework_is_imported(arguments, mlp, tmp_path):
    real = [{"FILE": str(mlp), "OUT": str(tmp_path / "out")}.get(a, a) for a in arguments]
    code = (
        "import sys\n"
        "from dlc.cli.main import main\n"
        f"sys.argv = ['dlc', *{real!r}]\n"
        "try: main()\n"
        "except SystemExit as done: assert not done.code, done.code\n"
        f"found = {FRAMEWORKS} & sys.modules.keys()\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_bug_is_one_line(run, mlp, monkeypatch):
    def broken(*_: object) -> None:
        raise KeyError("surprise\n" * 100)

    monkeypatch.setattr(api.Module, "find", broken)
    result = run("view", f"{mlp}:MLP")
    assert result.exit_code == 70
    assert result.stderr.startswith("error[E0900]: internal error: KeyError: ")
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 2


def test_debugging_shows_the_traceback(run, mlp, monkeypatch):
    monkeypatch.setattr(api.Module, "find", lambda *_: 1 / 0)
    monkeypatch.setenv("DLC_DEBUG", "1")
    result = run("view", f"{mlp}:MLP")
    assert isinstance(result.exception, ZeroDivisionError)


def test_out_of_memory_is_no_bug(run, mlp, monkeypatch):
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(api.Module, "find", full)
    result = run("view", f"{mlp}:MLP")
    assert result.exit_code == 1
    assert result.stderr.startswith("error[E0804]: out of memory")


def test_interrupt(run, mlp, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api.Module, "find", interrupted)
    assert run("view", f"{mlp}:MLP").exit_code == 130


def test_interrupt_from_the_keyboard(tmp_path):
    """The process ends with 130 and without a word."""
    code = (
        "import os, signal, sys\n"
        "from dlc.cli import main, check\n"
        "check.check_one = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv = ['dlc', 'check', 'x.dl']\n"
        "main.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 130
    assert b"Traceback" not in done.stderr


def test_closed_pipe(mlp):
    """A reader that goes away early is no error to talk about."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*DLC, "view", str(mlp)], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_streams_that_cannot_show_a_character(mlp):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*DLC, "view", str(mlp)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0
    assert " out: Linear " in done.stdout


def test_no_colour_outside_a_terminal(run, tmp_path):
    path = tmp_path / "wrong.dl"
    path.write_text("net A()(x: float[B, 8]) { return y }\n")
    assert "\x1b[" not in run("check", path).output


HOSTILE = {
    "parentheses": "(" * 2_000_000,
    "deep": "net A()(x: float[B, 8]) { return " + "(" * 9_000 + "x" + ")" * 9_000 + " }",
    "long sum": "net A()(x: float[B, 8]) { return " + " + ".join(["x"] * 20_000) + " }",
    "range": "net A()(x: float[B, 8]) { for i in range(10**9) { x = x + 1.0 }  return x }",
    "power": "const n = 10**10**10\nexpect n == 1\n",
    "recursion": "block R(n: int)(x: float[B, 8]) { return x -> a: R(n + 1) }\n"
    "net A()(x: float[B, 8]) { return x -> r: R(0) }",
    "zero bytes": "net A\0()",
    "unclosed": "net A()(x: float[B, 8]) { return x",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("verb", ["check", "view", "fmt"])
def test_hostile_files(run, tmp_path, name, verb):
    path = tmp_path / "hostile.dl"
    path.write_text(HOSTILE[name])
    result = run(verb, path)
    syntax = name not in ("range", "power", "recursion")
    assert result.exit_code == (0 if verb == "fmt" and not syntax else 1)
    assert verb == "fmt" or "error[E" in result.stderr
    assert "internal" not in result.stderr


@pytest.mark.parametrize("verb", ["check", "view", "fmt", "build", "run", "parity"])
@pytest.mark.parametrize("what", ["missing", "folder", "binary", "long name"])
def test_what_is_not_a_file(run, tmp_path, verb, what):
    path = {"missing": "nothing.dl", "folder": "", "binary": "junk.dl", "long name": "x" * 5000}[what]
    Path(tmp_path, "junk.dl").write_bytes(bytes(range(256)) * 10)
    result = run(verb, tmp_path / path)
    assert result.exit_code == 1
    assert "error[E000" in result.stderr
