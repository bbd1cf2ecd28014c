"""What the parts of one generated file share: its plan, the helpers and imports it needs, its names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dlc.emit.plan import FilePlan, MethodPlan, Unit
from dlc_keras.names import VARIABLES, attribute

FLOATS = frozenset(("float", "wide"))


@dataclass
class File:
    """The plan, and what was asked for while its units were written."""

    plan: FilePlan
    helpers: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    layers: set[str] = field(default_factory=set)
    """The natives that have a class of `keras.layers`."""
    plain: set[str] = field(default_factory=set)
    """Those of them that are made from Keras' own class."""
    padded: set[str] = field(default_factory=set)
    """Classes of `keras.layers` that pad by a number."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Attributes that are named otherwise than in the specification."""

    def __post_init__(self) -> None:
        self.units: Mapping[str, Unit] = {unit.name: unit for unit in self.plan.units}

    def helper(self, name: str) -> str:
        self.helpers.add(name)
        return self.helper_name(name)

    def helper_name(self, name: str) -> str:
        return f"keras_{name}" if name in self.units else name

    def attribute(self, name: str) -> str:
        """The attribute of a weight or layer that the specification calls `name`."""
        found = attribute(name)
        if found != name:
            self.renamed[found] = name
        return found

    def variable(self, name: str) -> str:
        """A local variable; it hides nothing that the file uses."""
        clash = name in VARIABLES or name in self.units or name in self.helpers
        return f"{name}_" if clash else name

    def is_main(self, unit: Unit, method: MethodPlan) -> bool:
        return method.name in ("forward", unit.name)


def pascal(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def output_class(unit: Unit, method: MethodPlan) -> str | None:
    """The class of a method's results, where they are several and have names."""
    names = [name for name, _, _ in method.outputs]
    if len(names) < 2 or None in names:
        return None
    main = method.name in ("forward", unit.name)
    return pascal(unit.name) + ("" if main else pascal(method.name)) + "Output"
