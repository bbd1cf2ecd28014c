"""How long compiling takes: whole commands on real networks, and microseconds a node on synthetic ones.

    python benchmarks/compile.py [--runs 5] [--nodes 1000 10000 100000]

Times are processor time (user and system), which other work on the machine disturbs less than wall time, and
the least of several runs. Machines differ, so the ratios (to an empty Python process, to the imports that any
such compiler has; to the smallest synthetic net) are what to compare.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = (
    ("LeNet-5", "specs/vision/lenet5.dl", "LeNet5"),
    ("ResNet-50", "specs/vision/resnet.dl", "ResNet.r50"),
    ("GPT-2 XL", "specs/language/gpt2.dl", "GPT2.xl"),
    ("LLaMA-2-7B", "benchmarks/llama.dl", "Llama.llama2_7b"),
)


def seconds(command: list[str], runs: int, environment: dict[str, str]) -> float:
    """The least processor time of a command, after one warm-up (bytecode and caches are then written)."""
    times = []
    for _ in range(runs + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times[1:])


def commands(runs: int) -> None:
    """Cold `dlc check` and `dlc build` of each network, as whole processes."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPYCACHEPREFIX": f"{folder}/bytecode", "DLC_CACHE_DIR": f"{folder}/cache"}
        python = [sys.executable, "-c"]
        empty = seconds([*python, "pass"], 2 * runs, environment)
        imports = seconds([*python, "import lark, pydantic, numpy, click"], 2 * runs, environment)
        print("cold commands, seconds of processor time (and ratio to an empty Python process)")
        print(f"  empty process {empty:.3f}, with `import lark, pydantic, numpy, click` {imports:.3f}")
        print(f"  {'network':12} {'check':>8} {'':>6} {'build':>8} {'':>6}")
        for label, path, net in NETWORKS:
            file = str(ROOT / path)
            dlc = [sys.executable, "-m", "dlc"]
            check = seconds([*dlc, "check", f"{file}:{net}"], runs, environment)
            targets = ["--target", "torch,jax,keras", "--output", f"{folder}/made", "--force"]
            build = seconds([*dlc, "build", f"{file}:{net}", *targets], runs, environment)
            print(f"  {label:12} {check:8.3f} {check / empty:5.0f}x {build:8.3f} {build / empty:5.0f}x")


def synthetic(nodes: int, distinct: bool) -> str:
    """A net of about `nodes` element-wise nodes: straight text, or as one block repeated 100 times."""
    steps = ["x = tanh(x * 0.5 + 0.1)", "x = sigmoid(x) - x", "x = x * x + 0.3"]
    per_line = 10 / 3
    if distinct:
        lines = [steps[i % 3] for i in range(int(nodes / per_line))]
        text = "\n  ".join(lines)
        return f"net Straight()(x: float[B, 7]) -> float[B, 7] {{\n  {text}\n  return x\n}}\n"
    lines = [steps[i % 3] for i in range(max(1, int(nodes / per_line / 100)))]
    text = "\n  ".join(lines)
    return (
        f"block Part()(x: float[B, D]) {{\n  {text}\n  return x\n}}\n"
        "net Repeated()(x: float[B, 7]) -> float[B, 7] {\n"
        "  for _ in range(100) { x = x -> part: Part() }\n  return x\n}\n"
    )


def count_nodes(program: object) -> int:
    """Nodes of all definitions of one mode."""
    from dlc import ir

    assert isinstance(program, ir.Program)
    return sum(sum(1 for _ in ir.flat(d.body)) for d in program.definitions.values() if not d.training)


def timed(call: Callable[[], object]) -> tuple[float, object]:
    start = time.process_time()
    value = call()
    return time.process_time() - start, value


def scaling(sizes: list[int]) -> None:
    """Parsing, elaboration, passes and emission of synthetic nets, in microseconds a node."""
    print("synthetic nets, microseconds of processor time a node (both modes elaborated)")
    print(
        f"  {'kind':10} {'nodes':>8} {'parse':>8} {'elaborate':>10} {'emit x3':>8} {'all':>8} {'memory':>8}"
    )
    for kind in ("straight", "repeated"):
        for size in sizes:
            command = [sys.executable, __file__, "--one", kind, str(size)]
            print(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout, end="")


def one(kind: str, size: int) -> None:
    """One synthetic net; in a process of its own, as `dlc build` is."""
    from dlc import api
    from dlc.backend import find_backend
    from dlc.lowering import lower_each

    text = synthetic(size, kind == "straight")
    backends = [find_backend(name) for name in ("torch", "jax", "keras")]
    small = api.open_text(synthetic(10, True))[0]
    assert small is not None
    list(lower_each(backends, small["Straight"].program))  # what is loaded and computed once
    with api.paused_collector():
        parse, module = timed(lambda: api.open_text(text)[0])
        assert isinstance(module, api.Module)
        net = next(iter(module.nets.values()))
        elaborate, program = timed(lambda: net.program)
        emit, _ = timed(lambda: list(lower_each(backends, net.program)))
    n = count_nodes(program) if kind == "straight" else size
    unit = [1e6 * t / n for t in (parse, elaborate, emit)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"  {kind:10} {n:8} {unit[0]:8.1f} {unit[1]:10.1f} {unit[2]:8.1f} {sum(unit):8.1f} {memory:5} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--nodes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--one", nargs=2, metavar=("KIND", "NODES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one[0], int(arguments.one[1]))
        return
    commands(arguments.runs)
    scaling(arguments.nodes)


if __name__ == "__main__":
    main()
