"""How primitives that move data are written in PyTorch.

In: an `Application`. Out: the text of the expression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlc.emit.einops import Rearrangement, rearrangement
from dlc.emit.expressions import Text, binary, call, elements, list_of, literal, method, subscript, tuple_of
from dlc.ir import Expr
from dlc_torch.lowering import Application, Lowering, Operand


def reshape(app: Application) -> Text:
    """`x.reshape(a, b)`; joining all axes from one on is `flatten`."""
    return app.on("reshape", *sizes_or_empty(app, "shape"))


def sizes_or_empty(app: Application, name: str) -> Sequence[Text | str]:
    """The sizes of a shape as arguments; a scalar's shape is one empty tuple."""
    return [app.around.text(size) for size in app.items(name)] or ["()"]


def axes_text(axes: Sequence[int]) -> list[Text]:
    return [literal(axis) for axis in axes]


def transpose(app: Application) -> Text:
    """`.T` of a matrix, `.mT` of more axes, else a swap or a permutation."""
    rank = app.operands[0].rank
    if not app.has("axes"):
        return Text(f"{app.x.atom}.{'T' if rank == 2 else 'mT'}")
    return permute(app.x, [axis % rank for axis in app.value("axes")])


def permute(x: Text, order: Sequence[int]) -> Text:
    moved = [axis for axis, source in enumerate(order) if axis != source]
    if not moved:
        return x
    if len(moved) == 2:
        return method(x, "transpose", *axes_text(moved))
    return method(x, "permute", *axes_text(order))


# ---------------------------------------------------------------- axis patterns


class Pattern:
    """The sizes of the names of a pattern, as text."""

    def __init__(self, app: Application) -> None:
        self.steps: Rearrangement = rearrangement(str(app.value("pattern")))
        self.around = app.around
        self.operand = app.operands[0]
        self.result = app.type
        self.given: dict[str, Expr] = {}
        if "sizes" in app.attrs:
            for entry in elements(app.attrs["sizes"]):
                name, size = elements(entry)
                self.given[str(name.value)] = size

    def size(self, name: str) -> Text:
        """The size of a name: given, an axis of its own on one side, or what is left of a joint one."""
        if name in self.given:
            return self.around.text(self.given[name])
        if name.isdigit():
            return Text(name)
        own = self.own_axis(name)
        if own is not None:
            return self.around.text(own)
        axis = self.steps.axis_of(name)
        assert self.operand.type is not None
        whole = self.around.text(self.operand.type.shape[axis])
        return binary("//", whole, self.product(self.steps.others(name)))

    def own_axis(self, name: str) -> Expr | None:
        """The size of an axis that has no other name in it."""
        sides = ((self.steps.left, self.operand.type), (self.steps.right, self.result))
        for groups, type_ in sides:
            for axis, group in enumerate(groups):
                if group == (name,) and type_ is not None:
                    return type_.shape[axis]
        return None

    def product(self, names: Sequence[str]) -> Text:
        result = self.size(names[0])
        for name in names[1:]:
            result = binary("*", result, self.size(name))
        return result

    def joined(self) -> list[Text]:
        """The sizes of the result."""
        if self.result is not None:
            return [self.around.text(size) for size in self.result.shape]
        return [self.product(group) if group else Text("1") for group in self.steps.right]


def rearrange(app: Application) -> Text:
    """Split, permute, repeat and join, leaving out what does nothing."""
    pattern = Pattern(app)
    steps, x = pattern.steps, app.x
    if not (steps.splits or steps.merges or steps.repeated or steps.order):
        return units(x, steps)
    interleaved = repeat_interleaved(x, pattern)
    if interleaved is not None:
        return interleaved
    if steps.splits:
        alone = unflattened(x, pattern)
        if alone is None and steps.order is None and not steps.repeated:
            return method(x, "reshape", *pattern.joined())
        x = alone or method(x, "reshape", *(pattern.size(name) for name in steps.elements))
    else:
        x = drop(x, steps.dropped)
    if steps.order:
        x = permute(x, steps.order)
    if steps.repeated:
        x = repeat(x, pattern)
    if steps.merges:
        return flattened(x, steps) or method(x, "reshape", *pattern.joined())
    return insert(x, steps.inserted, len(steps.right))


def repeat_interleaved(x: Text, pattern: Pattern) -> Text | None:
    """`b h t -> b (h g) t`: each element of an axis repeated in place."""
    steps = pattern.steps
    if len(steps.repeated) != 1 or steps.splits or steps.order or steps.dropped or steps.inserted:
        return None
    name = steps.result[steps.repeated[0]]
    for axis, group in enumerate(steps.right):
        if len(group) == 2 and group[1] == name and all(len(g) == 1 for g in steps.right if g != group):
            return method(x, "repeat_interleave", pattern.size(name), dim=literal(axis))
    return None


def unflattened(x: Text, pattern: Pattern) -> Text | None:
    """Taking one axis apart is `unflatten`; the size that is not given follows."""
    steps = pattern.steps
    joint = [axis for axis, group in enumerate(steps.left) if len(group) > 1]
    if len(joint) != 1 or steps.dropped:
        return None
    group = steps.left[joint[0]]
    sizes = [pattern.size(name) if name in pattern.given else Text("-1") for name in group]
    axis = literal(-1 if joint[0] == len(steps.left) - 1 else joint[0])
    return method(x, "unflatten", axis, tuple_of(sizes))


def flattened(x: Text, steps: Rearrangement) -> Text | None:
    """Joining neighbours into one axis is `flatten`."""
    joint = [axis for axis, group in enumerate(steps.right) if len(group) != 1]
    if len(joint) != 1:
        return None
    start, count = joint[0], len(steps.right[joint[0]])
    stop = start + count - 1
    if stop == len(steps.result) - 1:
        return method(x, "flatten", literal(start))
    return method(x, "flatten", literal(start), literal(stop))


def units(x: Text, steps: Rearrangement) -> Text:
    """Only axes of size one come and go."""
    return insert(drop(x, steps.dropped), steps.inserted, len(steps.right))


def drop(x: Text, axes: Sequence[int]) -> Text:
    if not axes:
        return x
    dims = literal(axes[0]) if len(axes) == 1 else tuple_of(axes_text(axes))
    return method(x, "squeeze", dims)


def insert(x: Text, axes: Sequence[int], rank: int) -> Text:
    """Axes of size one at these positions of the result: `x[:, None]`."""
    if not axes:
        return x
    if len(axes) == 1 and (axes[0] in (0, rank - 1)):
        return method(x, "unsqueeze", literal(axes[0] if axes[0] == 0 else -1))
    marks = ["None" if axis in axes else ":" for axis in range(rank)]
    while marks and marks[-1] == ":":
        marks.pop()
    return subscript(x, *marks)


def repeat(x: Text, pattern: Pattern) -> Text:
    """New axes, expanded to their size."""
    steps = pattern.steps
    x = insert(x, steps.repeated, len(steps.result))
    sizes = [
        pattern.size(name) if axis in steps.repeated else Text("-1") for axis, name in enumerate(steps.result)
    ]
    return method(x, "expand", *sizes)


# ---------------------------------------------------------------- several tensors


def parts(operands: Sequence[Operand]) -> Text:
    """A list of tensors: the variable that holds one, or written out."""
    if len(operands) == 1 and operands[0].is_list:
        return operands[0].text
    return list_of(operand.text for operand in operands)


def concat(app: Application) -> Text:
    return call("torch.cat", parts(app.operands), dim=app.text("axis"))


def stack(app: Application) -> Text:
    return call("torch.stack", parts(app.operands), dim=app.option("axis", 0))


def split(app: Application) -> Text:
    """`chunk` into equal parts, `split` into others."""
    axis = app.text("axis") if "axis" in app.attrs else Text("-1")
    if not isinstance(app.value("sizes"), tuple):
        return app.on("chunk", app.text("sizes"), dim=axis)
    sizes = app.items("sizes")
    if all(size.value == sizes[0].value for size in sizes):
        return app.on("chunk", literal(len(sizes)), dim=axis)
    return app.on("split", list_of(app.around.text(size) for size in sizes), dim=axis)


# ---------------------------------------------------------------- subscripts


def index(app: Application) -> Text:
    """`x[:, 0]`; PyTorch has no slices that run backwards, so those become an index."""
    subscripts = app.items("subscripts")
    x, rank = app.x, app.operands[0].rank
    texts: list[Text] = []
    for position, item in enumerate(subscripts):
        value = item.value
        if isinstance(value, tuple) and isinstance(value[3], int) and value[3] < 0:
            behind = any(earlier.value == "..." for earlier in subscripts[:position])
            axis = rank - len(subscripts) + position if behind else position
            x = backwards(app, x, axis, elements(item)[1:])
            texts.append(Text(":"))
        elif value == "...":
            texts.append(Text("..."))
        elif isinstance(value, tuple):
            texts.append(slice_text(app, elements(item)[1:]))
        else:
            texts.append(app.around.text(item))
    while texts and texts[-1].code == ":":
        texts.pop()
    return subscript(x, *texts) if texts else x


def slice_text(app: Application, bounds: Sequence[Expr]) -> Text:
    """`start:stop:step`."""
    start, stop, step = ("" if b.value is None else app.around.text(b).item for b in bounds)
    return Text(f"{start}:{stop}" + (f":{step}" if step and step != "1" else ""))


def backwards(app: Application, x: Text, axis: int, bounds: Sequence[Expr]) -> Text:
    if [bound.value for bound in bounds] == [None, None, -1]:
        return method(x, "flip", literal(axis))
    size = subscript(Text(f"{x.atom}.shape"), literal(axis))
    limits = call("slice", *(app.around.text(bound) for bound in bounds))
    positions = Text(f"*{method(limits, 'indices', size)}")
    ids = call("torch.arange", positions, device=app.around.device)
    return method(x, "index_select", literal(axis), ids)


def flip(app: Application) -> Text:
    several = isinstance(app.value("axis"), tuple)
    axes = map(app.around.text, app.items("axis")) if several else (app.text("axis"),)
    return app.on("flip", *axes)


def pad(app: Application) -> Text:
    """`F.pad` wants (before, after) from the last axis on; leading axes without padding are left out."""
    pads = [elements(item) for item in app.items("pads")]
    while pads and all(side.value == 0 for side in pads[0]):
        pads.pop(0)
    if not pads:
        return app.x
    sides = [app.around.text(side) for axis in reversed(pads) for side in axis]
    return call("F.pad", app.x, tuple_of(sides), value=app.option("value", 0.0))


SHAPES: Mapping[str, Lowering] = {
    "reshape": reshape,
    "transpose": transpose,
    "rearrange": rearrange,
    "repeat": rearrange,
    "broadcast": lambda app: app.on("expand", *sizes_or_empty(app, "shape")),
    "concat": concat,
    "stack": stack,
    "split": split,
    "index": index,
    "flip": flip,
    "pad": pad,
}
