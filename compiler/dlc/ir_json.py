"""The JSON form of the IR, written and read by pydantic.

In: IR values, or JSON text. Out: JSON text, or IR values; text that is not such a form raises pydantic's
ValidationError, which says where it is wrong. The schema follows the annotations of the classes in `ir`.
Only this module imports pydantic, so that compiling does not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic_core import CoreSchema, SchemaSerializer, SchemaValidator, core_schema

from dlc import dims
from dlc.dims import Dim
from dlc_grammar.record import Struct, as_dict

T = TypeVar("T", bound=Struct)

_PLAIN: Mapping[Any, CoreSchema] = {
    str: core_schema.str_schema(strict=True),
    int: core_schema.int_schema(strict=True),
    bool: core_schema.bool_schema(strict=True),
    float: core_schema.float_schema(),
    type(None): core_schema.none_schema(),
}


def to_json(value: Struct, indent: int | None = None) -> str:
    """An IR value as JSON."""
    return _serializer(type(value)).to_json(value, indent=indent).decode()


def from_json(kind: type[T], text: str) -> T:
    """The IR value of a class. Raises pydantic's ValidationError."""
    made = _validator(kind).validate_json(text)
    assert isinstance(made, kind)
    return made


@cache
def _serializer(kind: type[Struct]) -> SchemaSerializer:
    return SchemaSerializer(_schema(kind))


@cache
def _validator(kind: type[Struct]) -> SchemaValidator:
    return SchemaValidator(_schema(kind))


@cache
def _schema(kind: type[Struct]) -> CoreSchema:
    """The schema of a class, with those of all classes that it is made of."""
    found: dict[str, CoreSchema] = {}
    own = _of(kind, found)
    return core_schema.definitions_schema(own, list(found.values()))


def _of(hint: Any, found: dict[str, CoreSchema]) -> CoreSchema:
    """The schema of an annotation; classes that it mentions are added to `found`."""
    if hint is Any:
        return _VALUE
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _class(hint, found)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is tuple:
        return core_schema.tuple_variable_schema(_of(inner[0], found))
    if origin is Literal:
        return core_schema.literal_schema(list(inner))
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return core_schema.dict_schema(_of(inner[0], found), _of(inner[1], found))
    assert origin in (Union, UnionType), hint
    some = [one for one in inner if one is not type(None)]
    made = _of(some[0], found) if len(some) == 1 else _kinds(some, found)
    return made if len(some) == len(inner) else core_schema.nullable_schema(made)


def _kinds(classes: list[type[Struct]], found: dict[str, CoreSchema]) -> CoreSchema:
    """Classes that are told apart by `kind`."""
    choices = {one.DEFAULTS["kind"]: _of(one, found) for one in classes}
    return core_schema.tagged_union_schema(choices, "kind")


def _class(kind: type[Struct], found: dict[str, CoreSchema]) -> CoreSchema:
    name = kind.__name__
    if name not in found:
        found[name] = core_schema.any_schema()  # it may mention itself
        hints = get_type_hints(kind)
        fields = {
            field: core_schema.typed_dict_field(_of(hints[field], found), required=field not in kind.DEFAULTS)
            for field in kind.FIELDS
        }
        found[name] = core_schema.no_info_after_validator_function(
            lambda given: kind(**given),
            core_schema.typed_dict_schema(fields, extra_behavior="forbid"),
            ref=name,
            serialization=core_schema.wrap_serializer_function_ser_schema(
                lambda value, write: write(as_dict(value))
            ),
        )
    return core_schema.definition_reference_schema(name)


# ---------------------------------------------------------------- compile-time values


def _to_json(value: Any) -> Any:
    """A tuple as a list, a Dim as `{"dim": "2*(H//2)"}`."""
    if isinstance(value, Dim):
        return {"dim": str(value)}
    if isinstance(value, (tuple, list)):
        return [_to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def _from_json(value: Any) -> Any:
    match value:
        case {"dim": text}:
            return dims.parse(text)
        case {"float": text}:
            return float(text)
        case list():
            return tuple(_from_json(item) for item in value)
    return value


_VALUE = core_schema.no_info_plain_validator_function(
    _from_json, serialization=core_schema.plain_serializer_function_ser_schema(_to_json)
)
