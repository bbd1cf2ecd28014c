"""Lowerings of what moves elements: reshape, transpose, axis patterns, concatenation, indexing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dlc.emit.einops import Rearrangement, einsum_letters, rearrangement
from dlc.emit.expressions import elements
from dlc.ir import Const, Expr
from dlc_jax.lowering import Application, Lowering, Operand, call


def listed(items: list[str]) -> str:
    return f"({', '.join(items)},)" if len(items) == 1 else f"({', '.join(items)})"


# ---------------------------------------------------------------- axis patterns


def sizes_of(at: Application) -> dict[str, Expr]:
    """The sizes that the pattern's names are given."""
    pairs = (elements(pair) for pair in at.items("sizes")) if "sizes" in at.attrs else iter(())
    return {str(name.value): size for name, size in pairs}


def split_shape(at: Application, how: Rearrangement, sizes: Mapping[str, Expr]) -> str:
    """The shape with one axis a name: leading axes as they are, `-1` for one that is not given."""
    leading = 0
    while leading < len(how.left) and len(how.left[leading]) == 1:
        leading += 1
    parts: list[str] = []
    if leading:
        parts.append(f"*{at[0]}.shape[:{leading}]" if leading > 1 else f"{at[0]}.shape[0]")
    for axis in range(leading, len(how.left)):
        group = how.left[axis]
        if len(group) == 1:
            parts.append(f"{at[0]}.shape[{axis}]")
            continue
        for name in group:
            if name in sizes:
                parts.append(at.surroundings.text(sizes[name]))
            elif "-1" not in parts:
                parts.append("-1")
            else:
                parts.append(quotient(at, axis, [sizes[each] for each in group if each in sizes]))
    return ", ".join(parts)


def quotient(at: Application, axis: int, given: list[Expr]) -> str:
    product = " * ".join(f"({at.surroundings.text(size)})" for size in given)
    whole = f"{at[0]}.shape[{axis}]"
    return f"{whole} // ({product})" if product else whole


def permuted(text: str, order: tuple[int, ...]) -> str:
    """The axes in another order, in the shortest words."""
    rank = len(order)
    if order == (1, 0):
        return f"{text}.T"
    if order[-2:] == (rank - 1, rank - 2) and order[:-2] == tuple(range(rank - 2)):
        return f"{text}.mT"
    moved = [i for i, axis in enumerate(order) if axis != i]
    if len(moved) == 2:
        return f"{text}.swapaxes({moved[0]}, {moved[1]})"
    return f"{text}.transpose({', '.join(map(str, order))})"


def merges(how: Rearrangement) -> Iterator[tuple[int, int]]:
    """Ranges of axes to join, the last first, so that earlier positions stay valid."""
    ranges, position = [], 0
    for group in how.right:
        if len(group) > 1:
            ranges.append((position, position + len(group)))
        position += len(group)
    return reversed(ranges)


def insertions(how: Rearrangement) -> str:
    """`[None, :, None]` where the result has literal ones; `[..., None]` for those at the end."""
    marks = [":" if group else "None" for group in how.right]
    while marks and marks[-1] == ":":
        marks.pop()
    first = next((i for i, mark in enumerate(marks) if mark == "None"), 0)
    tail = marks[first:]
    if len(marks) == len(how.right) and first > 1 and ":" not in tail:
        return f"[..., {', '.join(tail)}]"
    return f"[{', '.join(marks)}]"


def joined_repeat(how: Rearrangement) -> tuple[int, str] | None:
    """(axis, name) where all that happens is `h -> (h g)`."""
    changed = [(i, g) for i, g in enumerate(how.right) if len(g) != 1]
    if len(how.repeated) != 1 or len(changed) != 1 or how.order or how.splits or how.dropped:
        return None
    axis, group = changed[0]
    name = how.result[how.repeated[0]]
    return (axis, name) if len(group) == 2 and group[1] == name else None


def rearrange(at: Application) -> str:
    """Split, permute, repeat, join: only the steps that do something."""
    how = rearrangement(str(at.value("pattern")))
    sizes = sizes_of(at)
    if how.splits and len(how.left) > 1 and not at[0].isidentifier() and at.xp == "jnp":
        operand = at.operands[0]
        held = Operand(at.surroundings.hold(operand.text, "h"), operand.type)
        at = replace(at, operands=[held])
    text = at.x

    def size(name: str) -> str:
        return name if name.isdigit() else at.surroundings.text(sizes[name])

    if (repeated := joined_repeat(how)) is not None:
        return f"{text}.repeat({size(repeated[1])}, axis={repeated[0]})"
    if how.dropped and not how.splits:
        axes = how.dropped
        text = f"{text}.squeeze({axes[0] if len(axes) == 1 else axes})"
    elif how.splits:
        text = f"{text}.reshape({split_shape(at, how, sizes)})"
    if how.order is not None:
        text = permuted(text, how.order)
    for axis in how.repeated:
        text = f"{at.xp}.expand_dims({text}, {axis}).repeat({size(how.result[axis])}, axis={axis})"
    for start, stop in merges(how):
        text = merged(at, text, start, stop)
    return text + insertions(how) if how.inserted else text


def merged(at: Application, text: str, start: int, stop: int) -> str:
    if at.xp == "np":
        return f"{text}.reshape(-1)"
    return call("jax.lax.collapse", text, str(start), str(stop))


def einsum(at: Application) -> str:
    letters = einsum_letters(str(at.value("equation")))
    return call(f"{at.xp}.einsum", f'"{letters}"', *(operand.text for operand in at.operands))


# ---------------------------------------------------------------- shapes and parts


def reshape(at: Application) -> str:
    sizes = [at.surroundings.text(item) for item in at.items("shape")]
    return f"{at.x}.reshape({', '.join(sizes) or '()'})"


def transpose(at: Application) -> str:
    if not at.has("axes"):
        rank = at.operands[0].rank
        if at.xp == "np":
            return f"{at.x}.swapaxes(-1, -2)"
        return f"{at.x}.T" if rank == 2 else f"{at.x}.mT"
    return f"{at.x}.transpose({', '.join(map(at.surroundings.text, at.items('axes')))})"


def broadcast(at: Application) -> str:
    return call(f"{at.xp}.broadcast_to", at[0], at.text("shape"))


def joining(name: str, default: str) -> Lowering:
    def lower(at: Application) -> str:
        parts = ", ".join(operand.text for operand in at.operands)
        axis = at.text("axis", default)
        source = f"[{parts}]" if at.listed is None else at.listed
        return call(f"{at.xp}.{name}", source, axis=None if axis == "0" else axis)

    return lower


def split(at: Application) -> str:
    """Into equal parts, or at the sums of the sizes before."""
    sizes = at.items("sizes")
    if len({str(size.value) for size in sizes}) == 1:
        where = str(len(sizes))
    else:
        texts = [f"({at.surroundings.text(size)})" for size in sizes]
        where = f"[{', '.join(' + '.join(texts[: i + 1]) for i in range(len(texts) - 1))}]"
        if all(isinstance(size, Const) for size in sizes):
            values = [int(size.value) for size in sizes]
            where = str([sum(values[: i + 1]) for i in range(len(values) - 1)])
    return call(f"{at.xp}.split", at[0], where, axis=at.text("axis", "-1"))


def subscript(at: Application, item: Expr) -> str:
    if item.value == "...":
        return "..."
    if isinstance(item.value, tuple) and item.value and item.value[0] == "slice":
        bounds = [at.surroundings.text(bound) for bound in elements(item)[1:]]
        start, stop, step = ("" if bound == "None" else bound for bound in bounds)
        return f"{start}:{stop}" + (f":{step}" if step not in ("", "1") else "")
    return at.surroundings.text(item)


def index(at: Application) -> str:
    items = [subscript(at, item) for item in at.items("subscripts")]
    while len(items) > 1 and items[-1] == ":":
        items.pop()
    if len(items) > 2 and set(items[:-1]) == {":"} and len(items) == at.operands[0].rank:
        items = ["...", items[-1]]
    return f"{at.x}[{', '.join(items)}]"


def flip(at: Application) -> str:
    return call(f"{at.xp}.flip", at[0], axis=at.text("axis"))


def pad(at: Application) -> str:
    value = None if at.is_fixed("value", 0.0) else at.text("value")
    if not at.value("pads"):
        return at[0]
    return call(f"{at.xp}.pad", at[0], at.text("pads"), constant_values=value)


ARRANGEMENT: Mapping[str, Lowering] = {
    "reshape": reshape,
    "transpose": transpose,
    "rearrange": rearrange,
    "repeat": rearrange,
    "einsum": einsum,
    "broadcast": broadcast,
    "concat": joining("concatenate", "0"),
    "stack": joining("stack", "0"),
    "split": split,
    "index": index,
    "flip": flip,
    "pad": pad,
}
