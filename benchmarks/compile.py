"""How long compiling takes: whole commands on real networks, and microseconds a node on synthetic ones.

    python benchmarks/compile.py [--runs 5] [--nodes 1000 10000 100000]

Times are medians; machines are noisy, so the ratios (to an empty Python process; to the smallest
synthetic net) are what to compare between runs.
"""

from __future__ import annotations

import argparse
import statistics
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


def seconds(command: list[str], runs: int) -> float:
    """The median wall time of a command, after one warm-up."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def commands(runs: int) -> None:
    """Cold `dlc check` and `dlc build` of each network, as whole processes."""
    empty = seconds([sys.executable, "-c", "pass"], runs)
    print(f"cold commands, seconds (ratio to an empty Python process, {empty:.3f} s)")
    print(f"  {'network':12} {'check':>8} {'':>6} {'build':>8} {'':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for label, path, net in NETWORKS:
            file = str(ROOT / path)
            dlc = [sys.executable, "-m", "dlc"]
            check = seconds([*dlc, "check", f"{file}:{net}"], runs)
            targets = ["--target", "torch,jax,keras", "--output", folder, "--force"]
            build = seconds([*dlc, "build", f"{file}:{net}", *targets], runs)
            print(f"  {label:12} {check:8.3f} {check / empty:5.0f}x {build:8.3f} {build / empty:5.0f}x")


def synthetic(nodes: int, distinct: bool) -> str:
    """A net of about `nodes` element-wise nodes: straight text, or as one block repeated 100 times."""
    steps = ["x = tanh(x * 0.5 + 0.1)", "x = sigmoid(x) - x", "x = x * x + 0.3"]
    per_line = 8 / 3
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
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def scaling(sizes: list[int]) -> None:
    """Parsing, elaboration, passes and emission of synthetic nets, in microseconds a node."""
    from dlc import api
    from dlc.backend import find_backend
    from dlc.lowering import lower

    print("synthetic nets, microseconds a node (both modes elaborated)")
    print(f"  {'kind':10} {'nodes':>8} {'parse':>8} {'elaborate':>10} {'emit x3':>8} {'all':>8}")
    for distinct in (True, False):
        for size in sizes:
            text = synthetic(size, distinct)
            parse, module = timed(lambda text=text: api.open_text(text)[0])
            assert isinstance(module, api.Module)
            net = next(iter(module.nets.values()))
            elaborate, program = timed(lambda net=net: net.program)
            emit, _ = timed(
                lambda net=net: [lower(find_backend(t), net.program) for t in ("torch", "jax", "keras")]
            )
            n = count_nodes(program) if distinct else size
            unit = [1e6 * t / n for t in (parse, elaborate, emit)]
            kind = "straight" if distinct else "repeated"
            print(f"  {kind:10} {n:8} {unit[0]:8.1f} {unit[1]:10.1f} {unit[2]:8.1f} {sum(unit):8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--nodes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    arguments = parser.parse_args()
    commands(arguments.runs)
    scaling(arguments.nodes)


if __name__ == "__main__":
    main()
