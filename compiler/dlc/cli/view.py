"""`dlc view`: a network as a tree with output shapes, parameters and FLOPs."""

from __future__ import annotations

import click

from dlc import dims
from dlc.cli.console import align, plural, say, say_json, style, tell
from dlc.cli.verb import json_option, set_option, verb
from dlc.selecting import select
from dlc.sizes import parse_sizes
from dlc.trouble import stop
from dlc.view import Builder, Entry, as_json, count_text, input_text

HEAD = ("layer", "output", "params", "FLOPs")


@click.command("view")
@click.argument("file", metavar="FILE[:NET]")
@click.option("--depth", type=click.IntRange(min=0), help="Show this many levels.")
@click.option("--method", default=None, help="The method to show, forward by default.")
@click.option("--size", "sizes", multiple=True, metavar="NAME=N", help="Give a size a number, such as B=1.")
@set_option
@json_option
@verb
def command(
    file: str,
    depth: int | None,
    method: str | None,
    sizes: tuple[str, ...],
    settings: tuple[str, ...],
    as_json: bool,
) -> int:
    """Show a network as a tree with shapes, parameters and FLOPs."""
    net = select(file, settings)
    program = net.program
    names = [m.name for m in program.methods]
    if method is not None and method not in names:
        raise stop("E0101", f"`{net.label}` has no method `{method}`", f"its methods are {', '.join(names)}")
    chosen = method or names[0]
    builder = Builder(program, parse_sizes(sizes, program))
    root = builder.method(chosen)
    inputs = input_text(program, chosen, builder)
    if as_json:
        say_json(_json(net.label, chosen, inputs, root))
        return 0
    rows = [HEAD, *rows_of(root, net.label, depth)]
    for number, line in enumerate(align(rows, right=[2, 3])):
        say(style(line, bold=True) if number == 0 else line)
    say()
    say(f"{net.label}({', '.join(f'{n}: {t}' for n, t in inputs)})  {_totals(root)}")
    others = [name for name in names if name != chosen]
    if others:
        tell(f"Other methods: {', '.join(others)} (--method)")
    if isinstance(root.flops, dims.Dim):
        hint = " ".join(f"--size {name}=1" for name in sorted(dims.variables(root.flops)))
        tell(f"FLOPs in numbers: {hint}")
    return 0


def rows_of(root: Entry, label: str, depth: int | None) -> list[tuple[str, str, str, str]]:
    """One row per entry, indented with lines as a tree."""
    found = [row(root, label)]

    def walk(entry: Entry, prefix: str, level: int) -> None:
        if depth is not None and level >= depth:
            return
        for number, child in enumerate(entry.children):
            last = number == len(entry.children) - 1
            branch, more = ("└─ ", "   ") if last else ("├─ ", "│  ")
            name = child.name if child.name == child.block else f"{child.name}: {child.block}"
            times = f" x{child.count}" if child.count > 1 else ""
            again = f" ({child.calls} calls)" if child.calls > 1 else ""
            found.append(row(child, prefix + branch + name + times + again))
            walk(child, prefix + more, level + 1)

    walk(root, "", 0)
    return found


def row(entry: Entry, title: str) -> tuple[str, str, str, str]:
    outputs = ", ".join(entry.outputs)
    return title, outputs, f"{entry.parameters:,}" if entry.parameters else "-", count_text(entry.flops)


def _totals(root: Entry) -> str:
    flops = count_text(root.flops)
    shown = "" if flops == "-" or flops.startswith("by ") else f", {flops} FLOPs (a multiply-add is 2)"
    return plural(root.parameters, "parameter") + shown


def _json(label: str, method: str, inputs: list[tuple[str, str]], root: Entry) -> dict[str, object]:
    return {
        "ok": True,
        "net": label,
        "method": method,
        "inputs": [{"name": name, "type": type_} for name, type_ in inputs],
        "tree": as_json(root),
    }
