"""Products that sum over axes: matmul and einsum.

In: float arrays (1 to 4 for einsum, 2 for matmul). Out: one array. Pairs are contracted as batched
matrix products, so the work is done by BLAS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dlc.reference.patterns import Group, parse_einsum
from dlc.reference.primitive import SUMS, Array, Arrays, Case, define, unbroadcast


def matmul_vjp(g: Array, y: Array, a: Array, b: Array) -> tuple[Array, Array]:
    if b.ndim == 2 and a.ndim >= 2:
        rows, columns = a.reshape(-1, a.shape[-1]), g.reshape(-1, g.shape[-1])
        return g @ b.T, rows.T @ columns
    left = a[None, :] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    full = g[..., None] if b.ndim == 1 else g
    full = np.expand_dims(full, -2) if a.ndim == 1 else full
    gradient_a = unbroadcast(full @ np.swapaxes(right, -1, -2), left.shape)
    gradient_b = unbroadcast(np.swapaxes(left, -1, -2) @ full, right.shape)
    return gradient_a.reshape(a.shape), gradient_b.reshape(b.shape)


def contract(a: Array, names_a: Group, b: Array, names_b: Group, keep: Group) -> tuple[Array, Group]:
    """Multiplies two arrays with named axes and sums the axes that are not in `keep`."""
    a, names_a = reduce_names(a, names_a, tuple(n for n in names_a if n in keep or n in names_b))
    b, names_b = reduce_names(b, names_b, tuple(n for n in names_b if n in keep or n in names_a))
    batch = tuple(n for n in names_a if n in names_b and n in keep)
    inner = tuple(n for n in names_a if n in names_b and n not in keep)
    rows = tuple(n for n in names_a if n not in names_b)
    columns = tuple(n for n in names_b if n not in names_a)
    sizes = dict(zip(names_a, a.shape, strict=True)) | dict(zip(names_b, b.shape, strict=True))

    def arrange(x: Array, names: Group, order: tuple[Group, ...]) -> Array:
        moved = x.transpose([names.index(n) for group in order for n in group])
        return moved.reshape([math.prod(sizes[n] for n in group) for group in order])

    left = arrange(a, names_a, (batch, rows, inner))
    right = arrange(b, names_b, (batch, inner, columns))
    names = (*batch, *rows, *columns)
    return np.matmul(left, right).reshape([sizes[n] for n in names]), names


def reduce_names(x: Array, names: Group, keep: Group) -> tuple[Array, Group]:
    """Sums the axes that are not in `keep`."""
    dropped = tuple(i for i, name in enumerate(names) if name not in keep)
    return (x.sum(axis=dropped) if dropped else x), tuple(n for n in names if n in keep)


def product(operands: Sequence[Array], names: Sequence[Group], result: Group) -> Array:
    """The einsum of operands whose axes are named; `result` may only use names of operands."""
    value, current = operands[0], names[0]
    for i in range(1, len(operands)):
        later = {name for group in names[i + 1 :] for name in group}
        needed = tuple(dict.fromkeys((*current, *names[i])))
        keep = tuple(name for name in needed if name in result or name in later)
        value, current = contract(value, current, operands[i], names[i], keep)
    value, current = reduce_names(value, current, result)
    return value.transpose([current.index(name) for name in result])


def einsum(*operands: Array, equation: str) -> Array:
    names, result = parse_einsum(equation)
    return product(operands, names, result)


def einsum_vjp(g: Array, y: Array, *operands: Array, equation: str) -> Arrays:
    names, result = parse_einsum(equation)
    gradients = []
    for i, operand in enumerate(operands):
        others = [(x, n) for j, (x, n) in enumerate(zip(operands, names, strict=True)) if j != i]
        arrays, groups = [g, *(x for x, _ in others)], [result, *(n for _, n in others)]
        present = {name for group in groups for name in group}
        made = product(arrays, groups, tuple(name for name in names[i] if name in present))
        absent = tuple(k for k, name in enumerate(names[i]) if name not in present)
        gradients.append(np.broadcast_to(np.expand_dims(made, absent), operand.shape))
    return tuple(gradients)


def _matmuls(rng: np.random.Generator) -> Sequence[Case]:
    shapes: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
        ((3, 5), (5, 2)),
        ((2, 3, 5), (5, 4)),
        ((2, 1, 3, 5), (4, 5, 2)),
        ((5,), (5, 2)),
        ((3, 5), (5,)),
        ((5,), (5,)),
        ((5,), (2, 5, 3)),
        ((2, 3, 5), (5,)),
    )
    return [((rng.normal(size=a), rng.normal(size=b)), {}) for a, b in shapes]


def _einsums(rng: np.random.Generator) -> Sequence[Case]:
    sizes = {"b": 2, "h": 3, "t": 4, "s": 5, "k": 2, "e": 3, "dim": 4, "d": 2}
    equations = (
        "b h t k, b h s k -> b h t s",
        "b t e h, e h dim, b t e -> b t dim",
        "b t dim, e dim h -> b t e h",
        "b t -> t",
        "b t, t s, s k, k d -> b d",
        "t, s -> s t",
        "b t, b s -> t",
        "t, t ->",
    )
    return [
        (
            tuple(rng.normal(size=[sizes[n] for n in group]) for group in parse_einsum(equation)[0]),
            {"equation": equation},
        )
        for equation in equations
    ]


CONTRACTION = (
    define("matmul", np.matmul, matmul_vjp, _matmuls, SUMS),
    define("einsum", einsum, einsum_vjp, _einsums, SUMS),
)
