"""Shapes of `rearrange` and `repeat`; their patterns follow https://einops.rocks."""

from __future__ import annotations

from dlc import dims, statics
from dlc.dims import Dim
from dlc.elaborate.shapes.application import ONE, Application, plural_axes, product, times
from dlc.ir import Const, Expr, Operation, TensorType


def rearrange(site: Application) -> list[TensorType]:
    """Both `rearrange` and `repeat`; sizes of new axes are in the attribute `sizes`."""
    type_ = site.type()
    left, right = _pattern(site)
    if len(left) != type_.rank:
        raise site.fail(
            "E0308",
            f"the pattern has {plural_axes(len(left))} on the left, the tensor {type_.rank}",
            f"this is {type_}",
            "name every axis of the tensor, in order",
        )
    given = _given_sizes(site)
    sizes = dict(given)
    for group, size in zip(left, type_.shape, strict=True):
        _bind_group(site, group, size, sizes)
    names = [name for group in right for name in group if name != "1"]
    seen = [name for group in left for name in group if name != "1"]
    _check_names(site, seen, names, given)
    shape = tuple(product([sizes[n] if n != "1" else ONE for n in group]) for group in right)
    order = [n for n in dict.fromkeys([*seen, *names]) if n in given]
    site.attrs["sizes"] = statics.tuple_of([statics.tuple_of((Const(value=n), given[n])) for n in order])
    return [TensorType(dtype=type_.dtype, shape=shape)]


def _groups(text: str) -> list[list[str]]:
    groups: list[list[str]] = []
    inside: list[str] | None = None
    for word in text.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            inside = []
        elif word == ")":
            groups.append(inside or [])
            inside = None
        elif inside is not None:
            inside.append(word)
        else:
            groups.append([word])
    return groups


def _balanced(side: str) -> bool:
    """Whether brackets close in order, one level deep."""
    depth = 0
    for character in side:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth not in (0, 1):
            return False
    return depth == 0


def _pattern(site: Application) -> tuple[list[list[str]], list[list[str]]]:
    text = site.attrs["pattern"].value
    sides = text.split("->") if isinstance(text, str) else []
    if len(sides) == 2 and not all(_balanced(side) for side in sides):
        raise site.fail(
            "E0308",
            "the brackets of the pattern do not match",
            f"this is {statics.show(text)}",
            help='write for example "b (h w) c -> b h w c"',
        )
    if len(sides) != 2:
        raise site.fail(
            "E0308",
            "a pattern is two lists of axes with `->` between",
            f"this is {statics.show(text)}",
            help='write for example "b (h w) c -> b h w c"',
        )
    return _groups(sides[0]), _groups(sides[1])


def _given_sizes(site: Application) -> dict[str, Expr]:
    found = {}
    for name in [name for name in site.attrs if name.startswith("size:")]:
        found[name[5:]] = site.attrs.pop(name)
    return found


def _bind_group(site: Application, group: list[str], size: Expr, sizes: dict[str, Expr]) -> None:
    if group == ["1"]:
        if size.value != 1:
            raise site.fail(
                "E0308",
                f"the pattern has 1 where the size is {size.value}",
                "in this pattern",
                "give this axis a name",
            )
        return
    unknown = [name for name in group if name not in sizes and name != "1"]
    known = product([sizes[name] for name in group if name in sizes])
    if len(unknown) > 1:
        raise site.fail(
            "E0308",
            f"the sizes of {' and '.join(unknown)} cannot be told apart",
            f"their product is {size.value}",
            help=f"give one of them: {unknown[0]}=...",
        )
    if not unknown:
        site.equal(size, known, f"axis ({' '.join(group)}) of the pattern")
        return
    if known.value == 1:
        sizes[unknown[0]] = size
        return
    if not isinstance(known.value, int):
        quotient = _divide_exactly(size, known)
        if quotient is None:
            raise site.fail(
                "E0308",
                f"the size of {unknown[0]} cannot be told",
                f"{size.value} / {known.value}",
                help=f"give it: {unknown[0]}=...",
            )
        sizes[unknown[0]] = quotient
        return
    share = statics.binary("//", size, known)
    site.equal(
        size,
        times(share, known),
        f"axis ({' '.join(group)}): {size.value} is not a multiple of {known.value}",
    )
    sizes[unknown[0]] = share


def _divide_exactly(size: Expr, known: Expr) -> Expr | None:
    """`size / known` where `size` is written as a product with `known`, e.g. `(H*W) / H`."""
    if isinstance(size, Operation) and size.op == "*":
        for i, factor in enumerate(size.args):
            if factor.value == known.value:
                return size.args[1 - i]
            if isinstance(factor, Operation) and factor.op == "*":
                inner = _divide_exactly(factor, known)
                if inner is not None:
                    return times(inner, size.args[1 - i])
    if isinstance(size.value, Dim):
        for name in sorted(dims.variables(size.value)):
            candidate = dims.substitute(size.value, {name: 1}) if known.value == dims.variable(name) else None
            if candidate is not None and candidate * known.value == size.value:
                return Const(value=candidate)
    return None


def _check_names(site: Application, left: list[str], right: list[str], given: dict[str, Expr]) -> None:
    for side in (left, right):
        double = next((name for name in side if side.count(name) > 1), None)
        if double:
            raise site.fail(
                "E0308",
                f"axis `{double}` is named twice on one side",
                "in this pattern",
                "name each axis once",
            )
    missing = [name for name in left if name not in right]
    if missing:
        raise site.fail(
            "E0308",
            f"axis `{missing[0]}` is lost on the right",
            "in this pattern",
            help="reduce with sum or mean first",
        )
    new = [name for name in right if name not in left]
    if new and site.op == "rearrange":
        raise site.fail(
            "E0308",
            f"axis `{new[0]}` appears from nowhere",
            "in this pattern",
            help="use repeat(x, ...) to repeat values along a new axis",
        )
    unsized = [name for name in new if name not in given]
    if unsized:
        raise site.fail(
            "E0308",
            f"the size of `{unsized[0]}` is not given",
            "in this pattern",
            help=f"add {unsized[0]}=...",
        )
    stray = [name for name in given if name not in left and name not in right]
    if stray:
        raise site.fail(
            "E0308", f"`{stray[0]}` is not in the pattern", "given here", f"remove {stray[0]}=..."
        )
