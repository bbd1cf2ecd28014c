"""`dlc view`: a network as a tree with output shapes, parameters and FLOPs, or as a picture."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from dlc import dims
from dlc.api import paused_collector
from dlc.cli.console import align, plural, say, say_json, style, tell
from dlc.cli.verb import json_option, set_option, verb
from dlc.selecting import select
from dlc.size_text import batch_size
from dlc.sizes import parse_sizes
from dlc.trouble import stop
from dlc.view import Builder, Entry, as_json, flat, input_text, structure

WIDTH = 120
"""The width of a table that no terminal shows."""
LEAST = 22
ENOUGH = 38
"""With less room for titles, counts of operations are shortened."""
"""So much of a title is always shown."""


@click.command("view")
@click.argument("file", metavar="FILE[:NET]")
@click.option("--depth", type=click.IntRange(min=0), help="Open blocks this many levels deep.")
@click.option("--method", default=None, help="The method to show, forward by default.")
@click.option("--size", "sizes", multiple=True, metavar="NAME=N", help="Give a size a number, such as B=1.")
@click.option("--svg", "as_svg", is_flag=True, help="Draw the network as SVG.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Where the picture goes.")
@set_option
@json_option
@verb
@paused_collector()
def command(
    file: str,
    depth: int | None,
    method: str | None,
    sizes: tuple[str, ...],
    as_svg: bool,
    output: str | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> int:
    """Show a network as a tree with shapes, parameters and FLOPs, or draw it."""
    if output is not None and not as_svg:
        raise click.UsageError("-o is for --svg")
    if as_svg and as_json:
        raise click.UsageError("choose one of --svg and --json")
    net = select(file, settings)
    program = net.program
    names = [m.name for m in program.methods]
    if method is not None and method not in names:
        raise stop("E0101", f"`{net.label}` has no method `{method}`", f"its methods are {', '.join(names)}")
    chosen = method or names[0]
    numbers = parse_sizes(sizes, program)
    if as_svg:
        from dlc.drawing.draw import draw

        picture = draw(program, chosen, numbers, depth)
        if output is None:
            say(picture.rstrip("\n"))
        else:
            _write(Path(output), picture)
        return 0
    builder = Builder(program, numbers)
    root = builder.method(chosen)
    inputs = input_text(program, chosen, builder)
    if as_json:
        say_json(_json(net.label, chosen, inputs, root))
        return 0
    batch = batch_size(program.definition(chosen))
    if not isinstance(root.flops, dims.Dim) or batch not in dims.variables(root.flops):
        batch = None
    table = Table(builder, batch, depth)
    width = shutil.get_terminal_size((WIDTH, 0)).columns
    rows = table.rows(root, net.label)
    if width - others(rows) < ENOUGH:
        rows = Table(builder, batch, depth, terms=1).rows(root, net.label)
    for number, line in enumerate(align(fitted(rows, width), right=[2, 3])):
        say(style(line, bold=True) if number == 0 else line)
    say()
    say(f"{net.label}({', '.join(f'{n}: {t}' for n, t in inputs)})")
    say(table.totals(root))
    if any(entry.count > 1 for entry in flat(root.children)):
        tell("A row with ×n stands for n in a row; its numbers are those of one.")
    if table.hidden:
        tell("Blocks like one above are not opened again (--depth 99 opens all).")
    methods = [name for name in names if name != chosen]
    if methods:
        tell(f"Other methods: {', '.join(methods)} (--method)")
    left = sorted(dims.variables(root.flops) - {batch}) if isinstance(root.flops, dims.Dim) else []
    if left:
        tell(f"FLOPs in numbers: {' '.join(f'--size {name}=1' for name in left)}")
    return 0


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise stop(
            "E0804", f"cannot write {path}: {error.strerror}", "choose another file with -o"
        ) from error


class Table:
    """The rows of a tree."""

    def __init__(self, builder: Builder, batch: str | None, depth: int | None, terms: int = 3) -> None:
        self.terms = terms
        self.builder = builder
        self.batch = batch
        self.depth = depth
        self.seen: set[object] = set()
        self.hidden = False

    def rows(self, root: Entry, label: str) -> list[tuple[str, str, str, str]]:
        """One row per entry, indented with lines as a tree."""
        flops = f"FLOPs ({self.batch}=1)" if self.batch else "FLOPs"
        found = [("layer", "output", "params", flops), self.row(root, label)]
        self.walk(root, "", 0, found)
        return found

    def walk(self, entry: Entry, prefix: str, level: int, found: list[tuple[str, str, str, str]]) -> None:
        if self.depth is not None and level >= self.depth:
            return
        if self.depth is None and entry.kind == "layer" and level and entry.children:
            shape = structure(entry)
            if shape in self.seen:
                self.hidden = True
                return
            self.seen.add(shape)
        for number, child in enumerate(entry.children):
            last = number == len(entry.children) - 1
            branch, more = ("└─ ", "   ") if last else ("├─ ", "│  ")
            found.append(self.row(child, prefix + branch + title(child)))
            self.walk(child, prefix + more, level + 1, found)

    def row(self, entry: Entry, name: str) -> tuple[str, str, str, str]:
        parameters = "shared" if entry.shared else f"{entry.parameters:,}" if entry.parameters else "-"
        return name, ", ".join(entry.outputs), parameters, self.flops(entry)

    def flops(self, entry: Entry) -> str:
        flops = entry.flops
        if self.batch and isinstance(flops, dims.Dim):
            flops = dims.substitute(flops, {self.batch: 1})
        return self.builder.text.count(flops, self.terms)

    def totals(self, root: Entry) -> str:
        flops = self.flops(root)
        if flops == "-" or flops.startswith("by "):
            return plural(root.parameters, "parameter")
        each = f" for {self.batch}=1" if self.batch else ""
        return f"{plural(root.parameters, 'parameter')}, {flops} FLOPs{each} (a multiply-add is 2)"


def title(entry: Entry) -> str:
    """`h.0-11: Layer → gelu ×12 ← x, mask`."""
    text = f"{entry.name}: {entry.block}" if entry.name and entry.name != entry.block else entry.block
    text += "".join(f" → {name}" for name in entry.then)
    text += f" ×{entry.count}" if entry.count > 1 else ""
    return f"{text} ← {', '.join(entry.sources)}" if entry.sources else text


def fitted(rows: list[tuple[str, str, str, str]], width: int) -> list[tuple[str, str, str, str]]:
    """Rows whose titles leave room for the other columns."""
    room = max(width - others(rows), LEAST)
    return [(_cut(name, room), *rest) for name, *rest in rows]  # type: ignore[misc]


def others(rows: list[tuple[str, str, str, str]]) -> int:
    """The width of all columns but the titles."""
    return sum(max(len(row[column]) for row in rows) + 2 for column in (1, 2, 3))


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1].rstrip(' ,←')}…"


def _json(label: str, method: str, inputs: list[tuple[str, str]], root: Entry) -> dict[str, object]:
    return {
        "ok": True,
        "net": label,
        "method": method,
        "inputs": [{"name": name, "type": type_} for name, type_ in inputs],
        "tree": as_json(root),
    }
