"""Classes of values with named fields: what frozen dataclasses with slots say, for many small values.

Every command defines a hundred such classes, and a network is made of hundreds of thousands of their
instances. So defining one compiles a single function (a dataclass compiles six, and makes the class
twice), and making an instance is plain assignments: that instances never change is for the type checker
to see.

`Record`s are equal by identity and made by position or name, as nodes of a syntax tree are. `Struct`s are
equal by their fields and made by name. A default is shared by all instances, so an empty mapping will do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar, dataclass_transform

R = TypeVar("R", bound="Record | Struct")


class _Definition(type):
    """Reads the annotations of a class body: they become slots, and the parameters of `__init__`."""

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> _Definition:
        annotations = body.get("__annotations__", {})
        own = [field for field, kind in annotations.items() if not str(kind).startswith("ClassVar")]
        base: Any = bases[0] if bases else None
        fields = tuple(dict.fromkeys((*(base.FIELDS if base else ()), *own)))
        defaults = {**(base.DEFAULTS if base else {}), **{f: body.pop(f) for f in own if f in body}}
        body |= {"__slots__": tuple(own), "__match_args__": fields, "FIELDS": fields, "DEFAULTS": defaults}
        by_name = body.setdefault("BY_NAME", base.BY_NAME if base else False)
        if own:
            body["__init__"] = _initialiser(name, fields, defaults, by_name)
        return super().__new__(cls, name, bases, body)


def _initialiser(name: str, fields: tuple[str, ...], defaults: Mapping[str, Any], by_name: bool) -> Any:
    parameters = [f"{f}=DEFAULTS[{f!r}]" if f in defaults else f for f in fields]
    header = ", ".join(["self", *(["*"] if by_name else []), *parameters])
    lines = [f"def __init__({header}):", *(f"    self.{field} = {field}" for field in fields)]
    names: dict[str, Any] = {"DEFAULTS": defaults}
    exec("\n".join(lines), names)
    made = names["__init__"]
    made.__qualname__ = f"{name}.__init__"
    return made


@dataclass_transform(frozen_default=True, eq_default=False)
class Record(metaclass=_Definition):
    """Equal by identity; made by position or by name."""

    FIELDS: ClassVar[tuple[str, ...]]
    DEFAULTS: ClassVar[Mapping[str, Any]]
    BY_NAME: ClassVar[bool] = False

    def __repr__(self) -> str:
        return _text(self)


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Struct(metaclass=_Definition):
    """Equal by class and fields; made by name."""

    FIELDS: ClassVar[tuple[str, ...]]
    DEFAULTS: ClassVar[Mapping[str, Any]]
    BY_NAME: ClassVar[bool] = True

    def __repr__(self) -> str:
        return _text(self)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, field) == getattr(other, field) for field in self.FIELDS)

    def __hash__(self) -> int:
        return hash((type(self), *[getattr(self, field) for field in self.FIELDS]))


def _text(record: Record | Struct) -> str:
    parts = [f"{field}={getattr(record, field)!r}" for field in record.FIELDS]
    return f"{type(record).__name__}({', '.join(parts)})"


def as_dict(record: Record | Struct) -> dict[str, Any]:
    """The fields by name."""
    return {field: getattr(record, field) for field in record.FIELDS}


def replace(record: R, /, **fields: Any) -> R:
    """A copy with other values for some fields."""
    return type(record)(**{**as_dict(record), **fields})
