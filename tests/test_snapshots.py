"""The generated files of all specs: as they were reviewed, clean, and able to run on their own.

`pytest tests/test_snapshots.py --bless` rewrites `tests/snapshots`; read the difference before
committing it. Each spec is generated for the network that its `parity` section names.
"""

from __future__ import annotations

import ast
import difflib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dlc import api
from dlc.backend import find_backend
from dlc.build import generate
from dlc.cli.main import application
from dlc.parity.cases import size_choices
from dlc.parity_section import read_section
from dlc.reference.expressions import concrete
from dlc.selecting import named_net, parity_sections, plain_nets

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOTS = ROOT / "tests" / "snapshots"
SPECS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "specs").rglob("*.dl"))
TARGETS = ("torch", "jax", "keras")
FILES = [(spec, target) for spec in SPECS for target in TARGETS]
COMMON_IMPORTS = {"collections", "dataclasses", "math", "numpy", "safetensors", "typing"}
ACCEPT = "run `pytest tests/test_snapshots.py --bless` to accept"


def chosen(spec: str) -> api.Net:
    """The network of a spec: the one that its `parity` section names, or the only one."""
    module = api.load(spec)
    labels = [label for section in parity_sections(module) if (label := named_net(section))]
    return module[labels[0]] if labels else plain_nets(module)[0]


@cache
def emitted(spec: str, target: str) -> Mapping[Path, str]:
    """The files of a spec for a target, by their place in the snapshots."""
    backend = find_backend(target)
    assert backend is not None
    files = generate(chosen(spec).program, backend).files
    return {SNAPSHOTS / Path(spec).stem / path: text for path, text in files.items()}


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files name their spec as it was named on the command line."""
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(("spec", "target"), FILES)
def test_snapshot(spec: str, target: str, request: pytest.FixtureRequest) -> None:
    for path, text in emitted(spec, target).items():
        if request.config.getoption("--bless"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            continue
        known = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = difflib.unified_diff(known.splitlines(True), text.splitlines(True), path.name, "now")
        assert text == known, f"{''.join(lines)}\n{ACCEPT}"


def test_nothing_else_is_kept() -> None:
    wanted = {path for spec, target in FILES for path in emitted(spec, target)}
    assert set(SNAPSHOTS.rglob("*.py")) == wanted, ACCEPT


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check", "--diff"]], ids=["check", "format"])
def test_ruff(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--no-cache", str(SNAPSHOTS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", sorted(SNAPSHOTS.rglob("*.py")), ids=lambda path: path.stem)
def test_text(path: Path) -> None:
    """It imports its framework and little else, has no long lines and names no machine."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    compile(tree, path.name, "exec")
    roots = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                roots |= {name.name.partition(".")[0] for name in names}
            case ast.ImportFrom(module=module):
                roots.add(str(module).partition(".")[0])
    framework = path.stem.rpartition("_")[2]
    own = {"tensorflow"} if framework == "keras" and "def tensorflow_scan(" in text else set()
    assert roots <= {framework, *own, *COMMON_IMPORTS}
    assert max(map(len, text.splitlines())) <= 88
    assert str(ROOT) not in text


@pytest.mark.parametrize("path", sorted(SNAPSHOTS.rglob("*.py")), ids=lambda path: path.stem)
def test_its_command_makes_it_again(path: Path, tmp_path: Path) -> None:
    """The command in the docstring of a file is one that works, and a file comes out the same twice."""
    text = path.read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("    dlc build ")]
    result = CliRunner().invoke(application, [*line.split()[1:], "--output", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert (tmp_path / path.name).read_text(encoding="utf-8") == text


# ---------------------------------------------------------------- running without dlc

RUN = """
import importlib.util, inspect, json, sys

class NoCompiler:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("dlc"):
            raise ImportError(f"{name}: generated code stands alone")

sys.meta_path.insert(0, NoCompiler())
target, cases = sys.argv[1], json.loads(sys.argv[2])
import numpy as np

def load(path):
    spec = importlib.util.spec_from_file_location("generated", path)
    module = sys.modules["generated"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def run_torch(module, network, inputs):
    import torch
    with torch.no_grad():
        return getattr(module, network)().eval()(*map(torch.tensor, inputs))

def run_jax(module, network, inputs):
    import jax
    made = jax.jit(module.init)(jax.random.key(0))
    accepted = inspect.signature(module.apply).parameters
    options = {"key": jax.random.key(1)} if "key" in accepted else {}
    stateful = "state" in accepted
    given = (*made, *inputs) if stateful else (made, *inputs)
    result = jax.jit(module.apply)(*given, **options)
    return result[0] if stateful else result

def run_keras(module, network, inputs):
    return getattr(module, network)()(*inputs)

for case in cases:
    inputs = [np.ones(shape, dtype) for dtype, shape in case["inputs"]]
    result = globals()["run_" + target](load(case["file"]), case["network"], inputs)
    outputs = result if isinstance(result, tuple) else (result,)
    print(json.dumps([list(map(int, output.shape)) for output in outputs]))
"""


@cache
def case_of(spec: str, target: str) -> dict[str, Any]:
    """What to run one file on, and the shapes that must come out."""
    net = chosen(spec)
    sections = parity_sections(net.module)
    settings, _ = read_section(sections[0], net)
    definition = net.program.definition()
    sizes = size_choices(net.program, definition, settings.sizes)[0]
    numpy_names = {"int": "int32" if target == "keras" else "int64", "bool": "bool"}
    inputs = [
        (numpy_names.get(item.tensor.type.dtype, "float32"), concrete(item.tensor.type.sizes, sizes))
        for item in definition.inputs
        if item.tensor is not None
    ]
    outputs = [list(concrete(output.type.sizes, sizes)) for output in definition.outputs]
    (path,) = emitted(spec, target)
    return {"file": str(path), "network": net.program.name, "inputs": inputs, "outputs": outputs}


@pytest.mark.parametrize("target", TARGETS)
def test_they_run_without_the_compiler(target: str) -> None:
    """One process for all files of a framework, in which `dlc` cannot be imported."""
    cases = [case_of(spec, target) for spec in SPECS]
    command = [sys.executable, "-I", "-c", RUN, target, json.dumps(cases)]
    environment = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    environment |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": os.environ.get("XLA_FLAGS", "")}
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stderr[-4000:]
    shapes = [json.loads(line) for line in result.stdout.splitlines()]
    assert shapes == [case["outputs"] for case in cases]
