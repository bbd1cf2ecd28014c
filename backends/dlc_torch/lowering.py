"""What a lowering sees of a primitive or native, and what it may ask for.

In: the operands as Python text with their types, and the compile-time attributes. Out: `Text`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from dlc.emit.expressions import Text, elements, method, negative, tuple_of
from dlc.ir import Const, Expr, TensorType, Value


class Surroundings(Protocol):
    """The method or function that is being written."""

    def text(self, expr: Expr) -> Text:
        """A compile-time expression."""
        ...

    def dtype(self, name: str) -> Text:
        """A dtype of the language; `float` is that of a tensor at hand."""
        ...

    @property
    def device(self) -> str | None:
        """The device of a tensor at hand, None for the default one."""
        ...

    @property
    def float_source(self) -> str | None:
        """A tensor at hand that has the model's dtype."""
        ...

    @property
    def training(self) -> Text:
        """Whether the model is training."""
        ...

    def helper(self, name: str) -> str:
        """The name of a function of `dlc_torch.helpers` that the file must then define."""
        ...


@dataclass(frozen=True, slots=True)
class Operand:
    """An operand: its text and its type, which is None for a number, a list, or where it is not known.

    `transposed` is the operand's own operand where it is the transpose of a matrix. `is_list`: it may be a
    Python list of tensors. `is_optional`: it is None in some calls.
    """

    text: Text
    type: TensorType | None
    transposed: Text | None = None
    is_list: bool = False
    is_number: bool = False
    is_optional: bool = False

    @property
    def rank(self) -> int:
        return self.type.rank if self.type else 0

    @property
    def is_float(self) -> bool:
        """Whether it is a tensor of floats; one of unknown type is."""
        return not self.is_number and (self.type is None or self.type.dtype not in ("int", "bool"))


@dataclass(frozen=True, slots=True)
class Application:
    """A primitive applied. `constant`: the result is a float64 table made in advance."""

    op: str
    operands: Sequence[Operand]
    attrs: Mapping[str, Expr]
    type: TensorType | None
    around: Surroundings
    constant: bool = False

    @property
    def x(self) -> Text:
        """The first operand."""
        return self.operands[0].text

    def has(self, name: str) -> bool:
        """Whether the attribute is there and not `none`."""
        return name in self.attrs and self.attrs[name].value is not None

    def text(self, name: str) -> Text:
        return self.around.text(self.attrs[name])

    def value(self, name: str, default: Value = None) -> Value:
        return self.attrs[name].value if name in self.attrs else default

    def is_default(self, name: str, value: Value) -> bool:
        """Whether the attribute is absent or literally this value."""
        expr = self.attrs.get(name)
        return expr is None or (isinstance(expr, Const) and expr.value == value)

    def option(self, name: str, default: Value) -> Text | None:
        """The text of an attribute, None where it is literally the default."""
        return None if self.is_default(name, default) else self.text(name)

    def items(self, name: str) -> tuple[Expr, ...]:
        """The elements of an attribute that is a list."""
        return elements(self.attrs[name])

    def on(self, name: str, *positional: Text | str, **named: Text | str | None) -> Text:
        """A method of the first operand."""
        return method(self.x, name, *positional, **named)

    @property
    def float_dtype(self) -> Text:
        return Text("torch.float64") if self.constant else self.around.dtype("float")

    def dtype(self, name: str) -> Text:
        """A dtype; float types of a constant are float64."""
        if self.constant and name in ("float", "wide"):
            return Text("torch.float64")
        return self.around.dtype(name)

    def axis(self, name: str = "axis") -> Text | None:
        """The `dim` of a reduction: None where all axes are meant."""
        if not self.has(name):
            return None
        value = self.value(name)
        if isinstance(value, tuple) and len(value) == 1:
            return self.around.text(self.items(name)[0])
        return self.text(name)


Lowering: TypeAlias = Callable[[Application], Text]


def to_dtype(operand: Text, dtype: Text) -> Text:
    """`operand.to(dtype)`; a range is made with its dtype at once."""
    if operand.code.startswith("-torch.arange("):
        return negative(to_dtype(Text(operand.code[1:]), dtype))
    if operand.code.startswith("torch.arange(") and operand.code.endswith(")"):
        inside = operand.code[len("torch.arange(") : -1]
        if balanced(inside) and "dtype=" not in inside:
            return Text(f"torch.arange({place(inside, dtype)})")
    return method(operand, "to", dtype)


def place(inside: str, dtype: Text) -> str:
    """The arguments of a creation with a dtype, before the device."""
    arguments, separator, device = inside.partition(", device=")
    return f"{arguments}, dtype={dtype.code}{separator}{device}"


def balanced(code: str) -> bool:
    """Whether no bracket closes that was not opened."""
    depth = 0
    for character in code:
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            return False
    return True


def top_level(code: str) -> list[str]:
    """The arguments of a call: the text between commas that are in no bracket."""
    parts, depth = [""], 0
    for character in code:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def shape_of(around: Surroundings, sizes: Sequence[Expr]) -> Text:
    """A shape as a tuple."""
    return tuple_of(around.text(size) for size in sizes)
