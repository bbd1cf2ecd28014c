"""How one tensor of another library is made of ours: transposed, reshaped, joined, or a part of one.

A `Layout` only moves elements, so it can be carried out in both directions without changing a bit, and
gradients follow the same layout as the weights. Arrays are whatever the caller keeps: numbers, or the
raw bits of any dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # reading a map needs no NumPy
    import numpy as np
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[np.generic]"
Shape: TypeAlias = tuple[int, ...]
Subscript: TypeAlias = int | slice


class LayoutError(Exception):
    """Shapes that do not fit, in words."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A tensor of ours, by its path."""

    path: str
    shape: Shape

    def leaves(self) -> Iterator[Leaf]:
        yield self

    def gather(self, ours: Callable[[str], Array]) -> Array:
        """Their tensor, made of ours."""
        return ours(self.path)

    def scatter(self, theirs: Array, ours: Mapping[str, Array], *, add: bool = False) -> None:
        """Writes their tensor into those of ours that are given."""
        if self.path in ours:
            _write(ours[self.path], theirs, add)

    def view(self, ours: Mapping[str, Array]) -> Array:
        """A view of our tensor to write through."""
        return ours[self.path]


@dataclass(frozen=True, slots=True)
class Transposed:
    of: Layout
    axes: Shape

    @property
    def shape(self) -> Shape:
        return tuple(self.of.shape[axis] for axis in self.axes)

    def leaves(self) -> Iterator[Leaf]:
        yield from self.of.leaves()

    def gather(self, ours: Callable[[str], Array]) -> Array:
        return self.of.gather(ours).transpose(self.axes)

    def scatter(self, theirs: Array, ours: Mapping[str, Array], *, add: bool = False) -> None:
        back = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        self.of.scatter(theirs.transpose(back), ours, add=add)

    def view(self, ours: Mapping[str, Array]) -> Array:
        return self.of.view(ours).transpose(self.axes)


@dataclass(frozen=True, slots=True)
class Reshaped:
    of: Layout
    shape: Shape

    def leaves(self) -> Iterator[Leaf]:
        yield from self.of.leaves()

    def gather(self, ours: Callable[[str], Array]) -> Array:
        return self.of.gather(ours).reshape(self.shape)

    def scatter(self, theirs: Array, ours: Mapping[str, Array], *, add: bool = False) -> None:
        if any(leaf.path in ours for leaf in self.leaves()):
            self.of.scatter(theirs.reshape(self.of.shape), ours, add=add)

    def view(self, ours: Mapping[str, Array]) -> Array:
        whole = self.of.view(ours)
        return whole.reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Part:
    """An element or a slice of each axis of one tensor."""

    of: Layout
    subscripts: tuple[Subscript, ...]

    @property
    def shape(self) -> Shape:
        kept = [
            len(range(*subscript.indices(size)))
            for subscript, size in zip(self.subscripts, self.of.shape, strict=False)
            if isinstance(subscript, slice)
        ]
        return (*kept, *self.of.shape[len(self.subscripts) :])

    def leaves(self) -> Iterator[Leaf]:
        yield from self.of.leaves()

    def gather(self, ours: Callable[[str], Array]) -> Array:
        import numpy as np

        return np.asarray(self.of.gather(ours)[self.subscripts])

    def scatter(self, theirs: Array, ours: Mapping[str, Array], *, add: bool = False) -> None:
        if any(leaf.path in ours for leaf in self.leaves()):
            whole = self.of.view(ours)
            if add:
                whole[self.subscripts] += theirs  # type: ignore[misc]
            else:
                whole[self.subscripts] = theirs

    def view(self, ours: Mapping[str, Array]) -> Array:
        # an element is a slice and then dropped: a view also where all axes are elements
        slices = [s if isinstance(s, slice) else slice(s, s + 1 or None) for s in self.subscripts]
        return self.of.view(ours)[tuple(slices)].reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Joined:
    """Several, one after the other along an axis."""

    parts: tuple[Layout, ...]
    axis: int

    @property
    def shape(self) -> Shape:
        first = list(self.parts[0].shape)
        first[self.axis] = sum(part.shape[self.axis] for part in self.parts)
        return tuple(first)

    def leaves(self) -> Iterator[Leaf]:
        for part in self.parts:
            yield from part.leaves()

    def gather(self, ours: Callable[[str], Array]) -> Array:
        import numpy as np

        return np.concatenate([part.gather(ours) for part in self.parts], self.axis)

    def scatter(self, theirs: Array, ours: Mapping[str, Array], *, add: bool = False) -> None:
        start = 0
        for part in self.parts:
            stop = start + part.shape[self.axis]
            part.scatter(theirs[_at(self.axis, slice(start, stop))], ours, add=add)
            start = stop

    def view(self, ours: Mapping[str, Array]) -> Array:
        raise NotImplementedError("refused by `part`")


@dataclass(frozen=True, slots=True)
class Stacked:
    """Several of one shape, side by side along a new axis."""

    parts: tuple[Layout, ...]
    axis: int

    @property
    def shape(self) -> Shape:
        first = self.parts[0].shape
        return (*first[: self.axis], len(self.parts), *first[self.axis :])

    def leaves(self) -> Iterator[Leaf]:
        for part in self.parts:
            yield from part.leaves()

    def gather(self, ours: Callable[[str], Array]) -> Array:
        import numpy as np

        return np.stack([part.gather(ours) for part in self.parts], self.axis)

    def scatter(self, theirs: Array, ours: Mapping[str, Array], *, add: bool = False) -> None:
        for number, part in enumerate(self.parts):
            part.scatter(theirs[_at(self.axis, number)], ours, add=add)

    def view(self, ours: Mapping[str, Array]) -> Array:
        raise NotImplementedError("refused by `part`")


Layout: TypeAlias = Leaf | Transposed | Reshaped | Part | Joined | Stacked


def _write(target: Array, value: Array, add: bool) -> None:
    if add:
        target += value  # type: ignore[misc]
    else:
        target[...] = value


def _at(axis: int, subscript: Subscript) -> tuple[Subscript, ...]:
    return (*(slice(None) for _ in range(axis)), subscript)


# ---------------------------------------------------------------- making them; all raise LayoutError


def transpose(of: Layout, axes: Sequence[int] | None) -> Layout:
    """Axes in another order; without `axes` the last two change places."""
    rank = len(of.shape)
    if axes is None:
        if rank < 2:
            raise LayoutError(f"{shown(of)} has no two axes to change places")
        axes = (*range(rank - 2), rank - 1, rank - 2)
    order = tuple(axis + rank if axis < 0 else axis for axis in axes)
    if sorted(order) != list(range(rank)):
        raise LayoutError(f"{list(axes)} are not the axes of {shown(of)}")
    return Transposed(of, order)


def reshape(of: Layout, shape: Sequence[int]) -> Layout:
    """The same elements in another shape; one size may be -1."""
    size = math.prod(of.shape)
    found = list(shape)
    known = math.prod(n for n in found if n != -1)
    if found.count(-1) == 1 and known > 0 and size % known == 0:
        found[found.index(-1)] = size // known
    if any(n < 0 for n in found) or math.prod(found) != size:
        raise LayoutError(f"{shown(of)} has {size:,} elements, {list(shape)} has not")
    return Reshaped(of, tuple(found))


def rearrange(of: Layout, pattern: str, sizes: Mapping[str, int]) -> Layout:
    """Axes split, reordered and joined by name."""
    from dlc.reference.patterns import plan

    try:
        steps = plan(pattern, of.shape, sizes)
    except (ValueError, KeyError) as error:
        raise LayoutError(f"{error.args[0]}; this is {shown(of)}") from None
    if steps.unit != steps.spread:
        raise LayoutError(f'pattern "{pattern}" repeats elements')
    return reshape(transpose(reshape(of, steps.split), steps.order), steps.joined)


def part(of: Layout, subscripts: Sequence[Subscript]) -> Layout:
    """An element or slice of the first axes, of one tensor of ours."""
    if not _is_view(of):
        raise LayoutError("a part is taken of one tensor, before its elements are put in another order")
    if len(subscripts) > len(of.shape):
        raise LayoutError(f"{shown(of)} has no {len(subscripts)} axes")
    for subscript, size in zip(subscripts, of.shape, strict=False):
        if isinstance(subscript, int) and not -size <= subscript < size:
            raise LayoutError(f"there is no element {subscript} in an axis of {size}")
        if isinstance(subscript, slice) and not len(range(*subscript.indices(size))):
            raise LayoutError(f"the slice of an axis of {size} is empty")
    return Part(of, tuple(subscripts))


def _is_view(of: Layout) -> bool:
    """Whether writing through `view` reaches our tensor."""
    match of:
        case Leaf():
            return True
        case Transposed() | Part():
            return _is_view(of.of)
        case Reshaped():
            return isinstance(of.of, Leaf) or (isinstance(of.of, Reshaped) and _is_view(of.of))
        case _:
            return False


def concat(parts: Sequence[Layout], axis: int) -> Layout:
    first = parts[0].shape
    place = axis + len(first) if axis < 0 else axis
    if not 0 <= place < len(first):
        raise LayoutError(f"{shown(parts[0])} has no axis {axis}")
    for other in parts[1:]:
        same = len(other.shape) == len(first) and all(
            n == m for at, (n, m) in enumerate(zip(first, other.shape, strict=True)) if at != place
        )
        if not same:
            raise LayoutError(f"{shown(parts[0])} and {shown(other)} differ in another axis than {axis}")
    return Joined(tuple(parts), place)


def stack(parts: Sequence[Layout], axis: int) -> Layout:
    first = parts[0].shape
    place = axis + len(first) + 1 if axis < 0 else axis
    if not 0 <= place <= len(first):
        raise LayoutError(f"a stack of {shown(parts[0])} has no axis {axis}")
    for other in parts[1:]:
        if other.shape != first:
            raise LayoutError(f"{shown(parts[0])} and {shown(other)} have different shapes")
    return Stacked(tuple(parts), place)


def shown(layout: Layout) -> str:
    """`a.weight [4, 8]` of one tensor, otherwise its shape."""
    name = f"`{layout.path}` " if isinstance(layout, Leaf) else ""
    return f"{name}{list(layout.shape)}"


def paths(layout: Layout) -> tuple[str, ...]:
    """The tensors of ours that it uses, each once."""
    return tuple(dict.fromkeys(leaf.path for leaf in layout.leaves()))


def volumes(layout: Layout) -> dict[str, int]:
    """How many elements of each tensor of ours it holds."""
    found: dict[str, int] = {}
    for path, size in _volumes(layout):
        found[path] = found.get(path, 0) + size
    return found


def _volumes(layout: Layout) -> Iterator[tuple[str, int]]:
    match layout:
        case Leaf() | Part():
            yield next(layout.leaves()).path, math.prod(layout.shape)
        case Transposed() | Reshaped():
            yield from _volumes(layout.of)
        case Joined() | Stacked():
            for each in layout.parts:
                yield from _volumes(each)
