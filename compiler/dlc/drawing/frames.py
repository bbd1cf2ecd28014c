"""The boxes of a body in the order and grouping of the picture.

In: boxes with the loops that they are in. Out: those that matter, with loops as frames and sums as one box.
"""

from __future__ import annotations

from dlc.drawing.graph import Box, Graph, Link, Loop


def needed(boxes: list[Box]) -> list[Box]:
    """Without the boxes that no output depends on."""
    live: set[int] = set()

    def visit(box: Box) -> None:
        todo = [box]
        while todo:
            box = todo.pop()
            if id(box) not in live:
                live.add(id(box))
                todo.extend(link.source for link in box.links)

    for box in boxes:
        if box.role == "output":
            visit(box)
    loops = {id(loop) for box in boxes if id(box) in live for loop in box.loops}
    for box in boxes:
        if box.role == "carry" and id(box.loops[0]) in loops:
            visit(box)
    return [box for box in boxes if id(box) in live]


def sums(boxes: list[Box]) -> list[Box]:
    """`(a + b) + c` is one sum, where nobody else reads `a + b`."""
    readers: dict[int, int] = {}
    for box in boxes:
        for link in box.links:
            readers[id(link.source)] = readers.get(id(link.source), 0) + 1
    gone: set[int] = set()
    for box in boxes:
        if box.role != "join" or box.title != "+":
            continue
        links: list[Link] = []
        for link in box.links:
            inner = link.source
            if inner.role == "join" and inner.title == "+" and readers[id(inner)] == 1 and link.times == 1:
                gone.add(id(inner))
                links.extend(inner.links)
            else:
                links.append(link)
        box.links = links
    return [box for box in boxes if id(box) not in gone]


def framed(boxes: list[Box]) -> list[Box]:
    """The boxes with those of one loop as a frame; a loop of one box is that box, times n."""
    result: list[Box] = []
    done: set[int] = set()
    for box in boxes:
        if id(box) in done:
            continue
        if not box.loops:
            result.append(box)
            continue
        loop = box.loops[0]
        members = [other for other in boxes if other.loops and other.loops[0] is loop]
        for member in members:
            member.loops = member.loops[1:]
            done.add(id(member))
        if len(members) == 1 and not loop.title:
            member = members[0]
            member.count *= loop.count
            member.parallel = loop.parallel
            result.extend(framed([member]))
        else:
            result.append(_frame(loop, members, boxes))
    return ordered(result)


def _frame(loop: Loop, members: list[Box], everyone: list[Box]) -> Box:
    """A box with the members inside, and ports where links cross its border."""
    frame = Box("frame", loop.title, "frame", count=loop.count, parallel=loop.parallel, steps=loop.steps)
    inside = {id(box) for box in members}
    ports: dict[tuple[int, int], tuple[Box, Link]] = {}
    for box in members:
        kept = []
        for link in box.links:
            if id(link.source) in inside:
                kept.append(link)
                continue
            if link.instead is not None:  # another source of the same port in some rounds
                port, outer = ports[id(link.instead), -1]
                frame.links.append(Link(link.source, link.port, outer.name, link.times, outer))
                continue
            key = (id(link.source), link.port)
            if key not in ports:
                type_ = link.source.outputs[link.port]
                title = link.variable or link.name or "x"
                while any(port.title == title for port, _ in ports.values()):
                    title += "′"
                port = Box("input", title, "value", outputs=(type_,))
                outer = Link(link.source, link.port, port.title, link.times)
                ports[key] = port, outer
                frame.links.append(outer)
            ports[id(link), -1] = ports[key]
            kept.append(Link(ports[key][0], 0, link.name, variable=link.variable))
        box.links = kept
    exits: dict[tuple[int, int], int] = {}
    outputs: list[Box] = []
    for box in everyone:
        if id(box) in inside:
            continue
        for link in box.links:
            if id(link.source) not in inside:
                continue
            key = (id(link.source), link.port)
            if key not in exits:
                exits[key] = len(outputs)
                type_ = link.source.outputs[link.port]
                inner = Link(link.source, link.port, "")
                outputs.append(Box("output", "", "value", links=[inner], outputs=(type_,)))
            link.source, link.port = frame, exits[key]
    frame.outputs = tuple(box.outputs[0] for box in outputs)
    entries = list(dict.fromkeys(port for port, _ in ports.values()))
    frame.inside = Graph([*entries, *framed(members), *outputs])
    return frame


def ordered(boxes: list[Box]) -> list[Box]:
    """Sources before their users, otherwise as they were."""
    mine = {id(box) for box in boxes}
    done: set[int] = set()
    result: list[Box] = []

    def visit(box: Box) -> None:
        if id(box) in done or id(box) not in mine:
            return
        done.add(id(box))
        for link in box.links:
            visit(link.source)
        result.append(box)

    for box in boxes:
        visit(box)
    return result
