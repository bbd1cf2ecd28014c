"""`dlc doctor`: targets, versions, devices, and settings of the environment that change results."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from typing import Any

import click

from dlc import __version__
from dlc.cli.console import align, say, say_json, tell
from dlc.cli.verb import json_option, verb

FRAMEWORKS = {
    "torch": (("torch",),),
    "jax": (("jax",), ("jaxlib",)),
    "keras": (("keras",), ("tensorflow", "tensorflow-cpu", "tensorflow-macos")),
}
"""The distributions of a target's framework; of those in one group one is needed."""

LIBRARIES = ("click", "lark", "numpy", "pydantic", "safetensors")

TRAPS = {
    "ONEDNN_DEFAULT_FPMATH_MODE": "may lower the precision of float32 on the CPU",
    "NVIDIA_TF32_OVERRIDE": "overrides the precision of float32 on NVIDIA GPUs",
    "JAX_DEFAULT_MATMUL_PRECISION": "changes the precision of matrix products in JAX",
    "TF_ENABLE_ONEDNN_OPTS": "changes the order of sums in TensorFlow",
    "XLA_FLAGS": "changes what XLA compiles",
    "KERAS_BACKEND": "chooses what Keras runs on",
}
"""Variables that change numbers. `dlc parity` sets or removes the first two itself."""


@dataclass
class Health:
    """One target: what is installed, and what is broken."""

    name: str
    versions: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    broken: str = ""
    devices: list[str] | None = None
    describe: dict[str, Any] | None = None

    @property
    def state(self) -> str:
        if self.broken:
            return "broken"
        return "not installed" if self.missing else "ok"


@click.command("doctor")
@click.option("--deep", is_flag=True, help="Start every target and ask for its devices (slow).")
@json_option
@verb
def command(deep: bool, as_json: bool) -> int:
    """Show which targets, versions and devices work here. Exit code 1: something is broken."""
    found = [examine(point) for point in sorted(entry_points(group="dlc.backends"), key=lambda p: p.name)]
    if deep:
        for health in found:
            if health.state == "ok":
                tell(f"starting {health.name}")
                start(health)
    libraries = {name: installed(name) or "" for name in LIBRARIES}
    traps = {name: os.environ[name] for name in TRAPS if os.environ.get(name)}
    usable = any(health.state == "ok" for health in found)
    ok = usable and not any(health.broken for health in found) and all(libraries.values())
    if as_json:
        say_json(_json(ok, found, libraries, traps))
    else:
        for line in text(found, libraries, traps, usable):
            say(line)
    return 0 if ok else 1


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def examine(point: EntryPoint) -> Health:
    """Loads a backend, which imports no framework, and looks at the metadata of what it needs."""
    health = Health(point.name)
    for group in FRAMEWORKS.get(point.name, ()):
        found = {name: number for name in group if (number := installed(name))}
        health.versions.update(found)
        if not found:
            health.missing.append(group[0])
    if point.name not in FRAMEWORKS and point.dist is not None:
        health.versions[point.dist.name] = point.dist.version
    try:
        backend = point.load()
        if find_spec(backend.runner) is None:
            health.broken = f"there is no module {backend.runner}"
    except Exception as error:  # whatever a foreign backend raises
        health.broken = f"{type(error).__name__}: {error}".splitlines()[0]
    return health


def start(health: Health) -> None:
    """Starts the process of a target and asks what it finds."""
    from dlc.backend import find_backend
    from dlc.parity.protocol import TargetError, Worker

    backend = find_backend(health.name)
    assert backend is not None
    devices: list[str] = []
    with Worker(backend.name, backend.runner, "cpu") as worker:
        try:
            worker.start()
            health.describe = worker.describe
            devices += ["cpu"]
        except TargetError as error:
            health.broken = error.message.splitlines()[0]
            return
    with Worker(backend.name, backend.runner, "cuda") as worker:
        try:
            worker.start()
            health.describe = worker.describe
            devices += ["cuda"]
        except TargetError:
            pass  # no graphics card is no defect
    health.devices = devices


# ---------------------------------------------------------------- text


def text(
    found: list[Health], libraries: dict[str, str], traps: dict[str, str], usable: bool
) -> Iterator[str]:
    yield f"dlc {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield ", ".join(f"{name} {number or 'MISSING'}" for name, number in libraries.items())
    yield ""
    rows = []
    for health in found:
        numbers = ", ".join(f"{name} {number}" for name, number in health.versions.items())
        detail = health.broken or (f"{', '.join(health.missing)} is not installed" if health.missing else "")
        devices = f"devices {', '.join(health.devices)}" if health.devices else ""
        rows.append((health.name, health.state, numbers, devices or detail))
    yield from align(rows)
    if not usable:
        yield 'no target works here: pip install "dlc[torch]" (or jax, keras, all)'
    for name, value in traps.items():
        yield f"warning: {name}={value} {TRAPS[name]}"


def _json(ok: bool, found: list[Health], libraries: dict[str, str], traps: dict[str, str]) -> dict[str, Any]:
    return {
        "ok": ok,
        "dlc": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "libraries": libraries,
        "targets": [
            {
                "name": health.name,
                "state": health.state,
                "versions": health.versions,
                "missing": health.missing,
                "problem": health.broken,
                "devices": health.devices,
                "describe": health.describe,
            }
            for health in found
        ],
        "environment": traps,
    }
