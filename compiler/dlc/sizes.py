"""Numbers for the sizes of a network: `--size B=2` in, checked values by name out."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from dlc import dims, ir
from dlc.modules import suggest
from dlc.trouble import stop

NUMBER = re.compile(r"[0-9][0-9_]{0,14}")


def size_variables(program: ir.Program) -> frozenset[str]:
    """The size variables of all methods."""
    found: set[str] = set()
    for definition in program.definitions.values():
        if definition.kind == "net":
            for item in definition.inputs:
                for size in () if item.tensor is None else item.tensor.type.sizes:
                    if isinstance(size, dims.Dim):
                        found |= dims.variables(size)
    return frozenset(found)


def parse_sizes(texts: tuple[str, ...], program: ir.Program) -> dict[str, int]:
    """`--size B=2` as numbers by name. Raises DiagnosticError."""
    known = size_variables(program)
    sizes: dict[str, int] = {}
    for text in texts:
        name, _, number = (part.strip() for part in text.partition("="))
        if not NUMBER.fullmatch(number) or int(number.rstrip("_")) < 1:
            raise stop("E0121", f"`{text}` is not a size", "write for example --size B=2")
        if name not in known:
            hint = suggest(name, known) or f"its sizes are {', '.join(sorted(known)) or 'none'}"
            raise stop("E0121", f"the network has no size `{name}`", hint)
        sizes[name] = int(number.rstrip("_"))
    check_requirements(program, sizes)
    return sizes


def check_requirements(program: ir.Program, sizes: Mapping[str, int]) -> None:
    """Raises where sizes are known and a condition of the network does not hold for them."""
    from dlc.reference.expressions import compute

    for rule in program.requirements:
        try:
            holds = bool(compute(rule.expr, sizes))
        except (dims.DimError, KeyError, TypeError):
            continue  # a size that is not known, or of another method
        if not holds:
            shown = " ".join(f"{name}={size}" for name, size in sizes.items())
            raise stop(
                "E0121", f"the network assumes {rule.condition}, and gets {shown}", "choose another size"
            )


def check_memory(program: ir.Program, copies: int) -> None:
    """Raises where so many float64 copies of the weights are more than the memory of this machine."""
    numbers = 0
    for spec in program.weights:
        size = 1
        for n in spec.shape:
            size *= n
        numbers += size
    needed = 8 * copies * numbers
    if needed > physical_memory():
        raise stop(
            "E0804",
            f"this needs {needed / 2**30:,.0f} GiB of memory for {numbers:,} weights",
            "choose a smaller preset, or give smaller parameters with --set",
        )


def physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**63
