"""A network as a tree: its steps with output shapes, parameters and FLOPs; equal rounds are one row.

In: a program, and numbers for some of its sizes. Out: `Entry` values, which print as text or JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from dlc import dims, ir
from dlc.drawing.flow import read
from dlc.drawing.graph import Box, Graph, Link
from dlc.flops import Count, Counter
from dlc.size_text import SizeText


@dataclass(frozen=True)
class Entry:
    """A layer, a method, a loop, or a step without weights; `count` equal ones."""

    name: str
    block: str
    kind: Literal["layer", "method", "loop", "join", "function"]
    outputs: tuple[str, ...]
    parameters: int
    flops: Count
    sources: tuple[str, ...] = ()
    """Where its inputs come from, if that is not just the entry before it."""
    then: tuple[str, ...] = ()
    """Functions of the result that keep its shape: activations."""
    children: tuple[Entry, ...] = ()
    count: int = 1
    shared: bool = False
    """Its weights are those of an earlier entry."""


@dataclass
class Builder:
    """Makes the entries of one program."""

    program: ir.Program
    sizes: Mapping[str, int]

    def __post_init__(self) -> None:
        self.counter = Counter(self.program)
        self.text = SizeText(self.program, self.sizes)
        self.sums: dict[str, int] = {}
        for spec in self.program.weights:
            if spec.kind == "param":
                parts = spec.path.split(".")
                for end in range(len(parts)):
                    prefix = ".".join(parts[:end])
                    self.sums[prefix] = self.sums.get(prefix, 0) + math.prod(spec.shape)

    def method(self, name: str) -> Entry:
        """The whole network, seen from one method."""
        definition = self.program.definition(name)
        return Entry(
            name=self.program.name,
            block="",
            kind="layer",
            outputs=tuple(self.text.type(output.type) for output in definition.outputs),
            parameters=self.sums.get("", 0),
            flops=self.flops(definition),
            children=self.level(read(self.program, definition), definition),
        )

    def flops(self, definition: ir.Definition) -> Count:
        return self.text.fixed(self.counter.definition(definition.id))

    def level(self, graph: Graph, definition: ir.Definition) -> tuple[Entry, ...]:
        """The entries of one level."""
        users = graph.users()
        titles: dict[int, str] = {}
        rows: list[tuple[Box, list[str]]] = []
        then_of: dict[int, list[str]] = {}
        row_of: dict[int, Box] = {}
        for box in graph.boxes:
            host = self.host(box, row_of, users)
            if host is not None:
                row_of[id(box)] = host
                then_of[id(host)].append(box.title)
                continue
            row_of[id(box)] = box
            titles[id(box)] = box.name or box.title
            if box.role == "function" and len(box.links) == 1 and box.links[0].source.role != "input":
                titles[id(box)] = titles[id(row_of[id(box.links[0].source)])]  # `q`, for `split_heads` of q
            if box.role not in ("input", "output"):
                then_of[id(box)] = []
                rows.append((box, then_of[id(box)]))
        entries = []
        inputs = [box for box in graph.boxes if box.role == "input"]
        before = inputs[0] if len(inputs) == 1 else None
        for box, then in rows:
            sources = {id(row_of[id(link.source)]): link for link in box.links}
            plain = not sources if before is None else list(sources) == [id(before)]
            names = dict.fromkeys(self.called(titles[key], link) for key, link in sources.items())
            entries.append(self.entry(box, () if plain else tuple(names), tuple(then), definition))
            before = box
        return tuple(entries)

    @staticmethod
    def called(title: str, link: Link) -> str:
        """How an entry names its source: a sum has no name but that of the variable that holds it."""
        named = title and link.source.role not in ("join", "frame")
        return title if named else link.variable or title or "loop"

    @staticmethod
    def host(box: Box, row_of: Mapping[int, Box], users: Mapping[tuple[Box, int], list[Any]]) -> Box | None:
        """The entry that a function is written behind: it keeps the shape, and is the only reader."""
        if box.role != "function" or len(box.links) != 1 or len(box.outputs) != 1:
            return None
        link = box.links[0]
        host = row_of[id(link.source)]
        same = link.source.outputs[link.port].sizes == box.outputs[0].sizes
        alone = len(users[link.source, link.port]) == 1 and len(host.outputs) == 1
        return host if same and alone and host.role != "input" else None

    def entry(
        self, box: Box, sources: tuple[str, ...], then: tuple[str, ...], definition: ir.Definition
    ) -> Entry:
        types = tuple(self.text.type(type_) for type_ in box.outputs)
        children: tuple[Entry, ...] = ()
        parameters = 0
        flops: Count = 0
        shared = box.detail == "shared"
        if box.inside is not None:
            children = self.level(box.inside, definition)
            parameters = sum(child.parameters * child.count for child in children)
            flops = self.text.fixed(sum(child.flops * child.count for child in children) * box.steps)
            title = "repeated" if not box.title else box.title
            if len(children) == 1 and not box.title:
                return replace(children[0], sources=sources, then=children[0].then + then, count=box.count)
            return Entry("", title, "loop", types, parameters, flops, sources, then, children, box.count)
        if box.definition is not None:
            flops = self.flops(box.definition)
            if box.role != "function":
                path = first_path(box.path)
                parameters = 0 if shared or box.role == "call" else self.sums.get(path, 0)
                graph = read(self.program, box.definition, box.path)
                children = () if shared else self.level(graph, box.definition)
                children = children if any(child.kind == "layer" for child in flat(children)) else ()
        elif box.node is not None:
            flops = self.text.fixed(self.counter.apply(definition, box.node))
        kind: Any = {"layer": "layer", "call": "method", "join": "join"}.get(box.role, "function")
        block = box.title if kind == "layer" else " ".join(filter(None, (box.title, box.detail)))
        return Entry(
            box.name, block, kind, types, parameters, flops, sources, then, children, box.count, shared
        )


def flat(entries: tuple[Entry, ...]) -> list[Entry]:
    """All entries with everything below them."""
    return [found for entry in entries for found in (entry, *flat(entry.children))]


def first_path(path: str) -> str:
    """`h.0-11.attn` stands for all rounds: `h.0.attn`."""
    return ".".join(part.partition("-")[0] if part[:1].isdigit() else part for part in path.split("."))


def structure(entry: Entry) -> tuple[object, ...]:
    """What two entries have in common that are built alike, perhaps with other numbers."""
    return entry.block, tuple((c.name, c.then, structure(c)) for c in entry.children)


def input_text(program: ir.Program, method: str, builder: Builder) -> list[tuple[str, str]]:
    """The inputs of a method, by name, as types."""
    definition = program.definition(method)
    return [(i.name, builder.text.type(i.tensor.type)) for i in definition.inputs if i.tensor]


def as_json(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "block": entry.block,
        "kind": entry.kind,
        "count": entry.count,
        "shared": entry.shared,
        "sources": list(entry.sources),
        "then": list(entry.then),
        "outputs": list(entry.outputs),
        "parameters": entry.parameters,
        "flops": entry.flops if not isinstance(entry.flops, dims.Dim) else str(entry.flops),
        "children": [as_json(child) for child in entry.children],
    }
