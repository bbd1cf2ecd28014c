"""Lowerings of what moves elements: reshape, transpose, axis patterns, concatenation, indexing."""

from __future__ import annotations

from collections.abc import Mapping

from dlc.emit.einops import Group, Rearrangement, einsum_letters, rearrangement
from dlc.emit.expressions import Text, binary, call, elements, list_of, literal, subscript, tuple_of
from dlc.ir import Const, Expr
from dlc_keras.lowering import Application, Lowering

# ---------------------------------------------------------------- axis patterns


class Pattern:
    """A rearrangement of one operand, with the sizes of its axes as text."""

    def __init__(self, at: Application) -> None:
        self.at = at
        self.how: Rearrangement = rearrangement(str(at.value("pattern")))
        pairs = (elements(pair) for pair in at.items("sizes")) if "sizes" in at.attrs else iter(())
        self.given: dict[str, Expr] = {str(name.value): size for name, size in pairs}
        self.x = at[0]

    def axis_size(self, axis: int) -> Text:
        self.x = self.at.surroundings.named(self.x)
        return subscript(call(self.at.function("shape"), self.x), str(axis))

    def size(self, name: str) -> Text:
        """The size of a name: given, or that of its axis, or its share of it."""
        if name.isdigit():
            return Text(name)
        if name in self.given:
            return self.at.surroundings.text(self.given[name])
        whole = self.axis_size(self.how.axis_of(name))
        for other in self.how.others(name):
            whole = binary("//", whole, self.size(other))
        return whole

    def product(self, group: Group) -> Text:
        sizes = [self.size(name) for name in group] or [Text("1")]
        result = sizes[0]
        for size in sizes[1:]:
            result = binary("*", result, size)
        return result

    def shape(self, groups: list[Group], free: int | None) -> Text:
        """A shape of one axis a group; the axis `free` is -1, leading axes of the operand are `*`."""
        leading = 0
        while leading < len(groups) and leading < len(self.how.left) and leading != free:
            if len(groups[leading]) != 1 or self.how.left[leading] != groups[leading]:
                break
            leading += 1
        items: list[Text | str] = []
        if leading > 1:
            self.x = self.at.surroundings.named(self.x)
            items.append(f"*{call(self.at.function('shape'), self.x)}[:{leading}]")
        else:
            leading = 0
        for axis, group in enumerate(groups[leading:], leading):
            items.append("-1" if axis == free else self.product(group))
        return tuple_of(items)

    def split(self) -> Text:
        """The operand with one axis a name, literal ones dropped."""
        if not self.how.splits:
            dropped = self.how.dropped
            if not dropped:
                return self.x
            axis = literal(dropped[0] if len(dropped) == 1 else dropped)
            return call(self.at.function("squeeze"), self.x, axis=axis)
        groups: list[Group] = [(name,) for name in self.how.elements]
        unknown = [
            axis
            for axis, name in enumerate(self.how.elements)
            if name not in self.given and self.how.others(name)
        ]
        shape = self.shape(groups, unknown[0] if unknown else None)
        return call(self.at.function("reshape"), self.x, shape)

    def write(self) -> Text:
        how, at = self.how, self.at
        if (whole := self.repeated_axis()) is not None:
            return call(at.function("repeat"), self.x, self.size(whole[1]), axis=str(whole[0]))
        merged = [axis for axis, group in enumerate(how.right) if len(group) > 1]
        after = self.shape(list(how.right), merged[0]) if merged else None
        text = self.split()
        if how.order is not None:
            text = call(at.function("transpose"), text, literal(how.order))
        for axis in how.repeated:
            spread = call(at.function("expand_dims"), text, str(axis))
            text = call(at.function("repeat"), spread, self.size(how.result[axis]), axis=str(axis))
        if after is not None:
            return call(at.function("reshape"), text, after)
        if how.inserted:
            ones = literal(how.inserted[0] if len(how.inserted) == 1 else how.inserted)
            return call(at.function("expand_dims"), text, ones)
        return text

    def repeated_axis(self) -> tuple[int, str] | None:
        """(axis, name) where all that happens is `h -> (h g)`."""
        how = self.how
        joined = [(axis, group) for axis, group in enumerate(how.right) if len(group) != 1]
        if len(how.repeated) != 1 or len(joined) != 1 or how.order or how.splits or how.dropped:
            return None
        axis, group = joined[0]
        name = how.result[how.repeated[0]]
        return (axis, name) if len(group) == 2 and group[1] == name else None


def rearrange(at: Application) -> Text:
    return Pattern(at).write()


def einsum(at: Application) -> Text:
    letters = einsum_letters(str(at.value("equation")))
    return call(at.function("einsum"), literal(letters), *at.texts)


# ---------------------------------------------------------------- shapes and parts


def reshape(at: Application) -> Text:
    shape = tuple_of(at.surroundings.text(item) for item in at.items("shape"))
    return call(at.function("reshape"), at[0], shape)


def transpose(at: Application) -> Text:
    if not at.has("axes"):
        if at.operands[0].rank == 2:
            return call(at.function("transpose"), at[0])
        return call(at.function("swapaxes"), at[0], "-1", "-2")
    axes = at.value("axes")
    rank = len(axes)
    if tuple(axis % rank for axis in axes) == tuple(range(rank)):
        return at[0]
    return call(at.function("transpose"), at[0], at.text("axes"))


def broadcast(at: Application) -> Text:
    return call(at.function("broadcast_to"), at[0], at.text("shape"))


def joining(name: str) -> Lowering:
    def lower(at: Application) -> Text:
        source = at.listed or list_of(at.texts)
        return call(at.function(name), source, axis=at.text("axis", 0))

    return lower


def split(at: Application) -> Text:
    """Into equal parts, or at the sums of the sizes before."""
    sizes = at.items("sizes")
    if len({str(size.value) for size in sizes}) == 1:
        where = literal(len(sizes))
    elif all(isinstance(size, Const) for size in sizes):
        values = [int(size.value) for size in sizes]
        where = list_of(str(sum(values[: i + 1])) for i in range(len(values) - 1))
    else:
        ends = [at.surroundings.text(sizes[0])]
        for size in sizes[1:-1]:
            ends.append(binary("+", ends[-1], at.surroundings.text(size)))
        where = list_of(ends)
    return call(at.function("split"), at[0], where, axis=at.text("axis", -1))


def subscript_text(at: Application, item: Expr) -> str:
    if isinstance(item.value, str):
        return "..."
    if isinstance(item.value, tuple):
        bounds = [at.surroundings.text(bound).item for bound in elements(item)[1:]]
        start, stop, step = ("" if bound == "None" else bound for bound in bounds)
        return f"{start}:{stop}" + (f":{step}" if step not in ("", "1") else "")
    return at.surroundings.text(item).item


def index(at: Application) -> Text:
    items = [subscript_text(at, item) for item in at.items("subscripts")]
    while len(items) > 1 and items[-1] == ":":
        items.pop()
    if len(items) > 2 and set(items[:-1]) == {":"} and len(items) == at.operands[0].rank:
        items = ["...", items[-1]]
    return Text(f"{at[0].atom}[{', '.join(items)}]")


def flip(at: Application) -> Text:
    return call(at.function("flip"), at[0], axis=at.text("axis"))


def pad(at: Application) -> Text:
    value = at.unless("value", 0.0)
    if at.operands[0].rank == 0:
        return at[0]
    return call(at.function("pad"), at[0], at.text("pads"), constant_values=value)


ARRANGEMENT: Mapping[str, Lowering] = {
    "reshape": reshape,
    "transpose": transpose,
    "rearrange": rearrange,
    "repeat": rearrange,
    "einsum": einsum,
    "broadcast": broadcast,
    "concat": joining("concatenate"),
    "stack": joining("stack"),
    "split": split,
    "index": index,
    "flip": flip,
    "pad": pad,
}
