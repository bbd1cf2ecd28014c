"""What names stand for while a program is elaborated.

A compile-time value is an `ir.Expr`; everything else (tensors, layers, blocks, functions, lists that hold
such) is one of the classes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from dlc.ir import Const, Expr, Operand, Operation, Ref, TensorType
from dlc_grammar import syntax
from dlc_grammar.source import Span

if TYPE_CHECKING:
    from dlc.modules import LoadedModule


@dataclass(frozen=True, slots=True, eq=False)
class TensorValue:
    """A tensor: how the definition's nodes refer to it, and its type."""

    operand: Operand
    type: TensorType
    constant: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ListValue:
    """A list or tuple holding tensors, layers or records. `name`: the variable it is bound to."""

    items: tuple[AnyValue, ...]
    name: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RecordValue:
    """Several named results of one call."""

    names: tuple[str | None, ...]
    values: tuple[TensorValue, ...]


@dataclass(frozen=True, slots=True, eq=False)
class BlockValue:
    """A block with some of its compile-time arguments filled in; `label` is how the text names it."""

    declaration: syntax.Block
    module: LoadedModule
    filled: Mapping[str, AnyValue] = field(default_factory=dict)
    label: str = ""
    preset: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BuiltBlock:
    """`Linear(10)`: a layer that has no name yet."""

    block: BlockValue
    span: Span


@dataclass(slots=True, eq=False)
class LayerValue:
    """A named layer. `weights` are its tensors' types by path, known once it has been applied."""

    block: BlockValue
    name: str
    index: tuple[int, ...]
    span: Span
    origin: int
    weights: dict[tuple[str, ...], TensorType] = field(default_factory=dict)
    definitions: list[str] = field(default_factory=list)
    statics: Mapping[str, Expr] = field(default_factory=dict)
    sizes: Mapping[str, Expr] = field(default_factory=dict)
    family: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class LayerPath:
    """A layer inside a layer (`bert.word`), on the way to one of its tensors."""

    layer: LayerValue
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FunctionValue:
    """A function; `receiver` is the layer a method belongs to, "self" for the surrounding instance."""

    declaration: syntax.Function
    module: LoadedModule
    receiver: LayerValue | str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Builtin:
    """A function of the compiler: `range`, `len`, `param_count`, ..."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class DistributionValue:
    """`normal(0.0, 0.02)`."""

    name: str
    args: Mapping[str, Expr]


@dataclass(frozen=True, slots=True, eq=False)
class DTypeValue:
    """`float`, `int`, `wide`, ... as an argument of `cast`."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Poison:
    """The value of something that was already reported; using it is silent."""


AnyValue: TypeAlias = (
    Const
    | Ref
    | Operation
    | TensorValue
    | ListValue
    | RecordValue
    | BlockValue
    | BuiltBlock
    | LayerValue
    | LayerPath
    | FunctionValue
    | Builtin
    | DistributionValue
    | DTypeValue
    | Poison
)

POISON = Poison()
STATIC = (Const, Ref, Operation)
"""The classes of what is known while compiling."""


def describe(value: AnyValue) -> str:
    """A value's kind for messages: `a tensor float[B, 3]`, `a block`, `a layer`."""
    from dlc import statics

    match value:
        case TensorValue():
            return f"a tensor {value.type}"
        case ListValue():
            return f"a list of {len(value.items)}"
        case RecordValue():
            return f"a record of {len(value.values)} results"
        case BlockValue():
            return f"the block `{value.declaration.name.id}`"
        case BuiltBlock() | LayerValue() | LayerPath():
            return "a layer"
        case FunctionValue():
            return f"the function `{value.declaration.name.id}`"
        case Builtin():
            return f"the function `{value.name}`"
        case DistributionValue():
            return f"the distribution `{value.name}`"
        case DTypeValue():
            return f"the type `{value.name}`"
        case Poison():
            return "an unknown value"
        case _:
            return statics.describe(value.value)
