"""How the repository is laid out, and what may import what."""

from __future__ import annotations

import ast
import graphlib
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlc.backend import find_backend
from dlc.modules import STD
from dlc.reference.primitives import PRIMITIVES
from dlc_grammar import syntax
from dlc_grammar.files import load_source
from dlc_grammar.parse import parse
from dlc_grammar.source import Source

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORKS = ("torch", "jax", "tensorflow", "keras")
TARGETS = ("torch", "jax", "keras")
SHORTCUTS = ("dlc.api", "dlc.ir", "dlc.parity.report")
"""Modules whose methods may reach ahead: to print a value, or to go on from one."""
MACHINE_PATH = re.compile(r"/(?:home|work|root|Users)/\w")


@pytest.mark.parametrize("root", ["compiler", "grammar", "backends"])
def test_source_roots_hold_only_our_packages(root: str) -> None:
    """They are on the import path: a folder named `torch` in one would hide the framework."""
    entries = (ROOT / root).iterdir()
    names = [path.name for path in entries if not path.name.startswith((".", "__pycache__"))]
    assert names
    assert all(re.fullmatch(r"dlc(_\w+)?", name) for name in names), names


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "specs/vision/resnet.dl"],
        ["build", "specs/vision/lenet5.dl", "--output", "OUTPUT", "--weights", "lenet5"],
        ["view", "specs/language/gpt2.dl:GPT2.tiny"],
        ["doctor"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_compiler_imports_no_framework(arguments: list[str], tmp_path: Path) -> None:
    given = [str(tmp_path) if argument == "OUTPUT" else argument for argument in arguments]
    program = (
        "import sys\n"
        "from dlc.cli.main import main\n"
        f"sys.argv = ['dlc', *{given!r}]\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    code = end.code\n"
        f"found = [name for name in {FRAMEWORKS!r} if name in sys.modules]\n"
        "sys.exit(str(found) if found else code)\n"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_mentions_a_place_on_a_machine() -> None:
    found = []
    for path in tracked_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in MACHINE_PATH.finditer(text)]
    assert not found


def imports(path: Path, *, inside: bool) -> Iterator[tuple[str, str]]:
    """What a module imports, `inside` of functions too: where from, and the name there."""
    todo: list[ast.AST] = [*ast.parse(path.read_text(encoding="utf-8")).body]
    for node in todo:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        elif inside or not isinstance(node, ast.FunctionDef):
            todo += ast.iter_child_nodes(node)


def test_imports_go_one_way() -> None:
    modules: dict[str, Path] = {}
    for package in ("compiler/dlc", "grammar/dlc_grammar"):
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to((ROOT / package).parent).with_suffix("").parts
            modules[".".join(part for part in parts if part != "__init__")] = path
    graph = graphlib.TopologicalSorter[str]()
    for module, path in modules.items():
        for origin, name in imports(path, inside=module not in SHORTCUTS):
            needed = f"{origin}.{name}" if f"{origin}.{name}" in modules else origin
            if needed in modules and needed != module:
                graph.add(module, needed)
    graph.prepare()  # raises CycleError


def declared_primitives() -> Iterator[str]:
    """The functions without a body in the standard library."""
    for path in sorted(STD.glob("*.dl")):
        source = load_source(path, path.name)
        assert isinstance(source, Source)
        tree, _ = parse(source)
        assert tree is not None
        for item in tree.items:
            if isinstance(item, syntax.Function) and item.body is None:
                yield item.name.id


def test_every_declared_primitive_has_a_meaning() -> None:
    assert set(declared_primitives()) <= set(PRIMITIVES)


@pytest.mark.parametrize("target", TARGETS)
def test_every_backend_lowers_every_primitive(target: str) -> None:
    lowerings = importlib.import_module(f"dlc_{target}.primitives").PRIMITIVES
    missing = {*declared_primitives(), *PRIMITIVES} - set(lowerings)
    assert not missing


@pytest.mark.parametrize("target", TARGETS)
def test_natives_are_definitions_of_the_library(target: str) -> None:
    from dlc.library import entries

    backend = find_backend(target)
    assert backend is not None
    assert set(backend.natives) <= set(entries())
