"""What a lowering sees of a primitive, and what it may ask for.

In: the operands as Python text with their types, and the compile-time attributes. Out: Python text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from dlc.emit.expressions import Text, elements, literal
from dlc.ir import Const, Expr, TensorType, Value


class Surroundings(Protocol):
    """The function that is being written."""

    def text(self, expr: Expr) -> Text:
        """A compile-time expression as Python text."""
        ...

    def dtype(self, name: str) -> Text:
        """A dtype of the language as Python text."""
        ...

    def named(self, code: Text) -> Text:
        """The expression, or a variable that holds its value, so that it can stand more than once."""
        ...

    def helper(self, name: str) -> str:
        """The name of a function of `dlc_keras.helpers` that the file must then define."""
        ...


@dataclass(frozen=True, slots=True)
class Operand:
    """An operand: its text and its type (None for a Python number)."""

    text: Text
    type: TensorType | None

    @property
    def rank(self) -> int:
        return self.type.rank if self.type else 0

    @property
    def dtype(self) -> str:
        return self.type.dtype if self.type else ""


@dataclass(frozen=True, slots=True)
class Application:
    """A primitive applied. `xp` is the array module: `ops`, or `np` for a table made in advance.

    `listed`: the text of a Python list that holds the operands, where there is one.
    """

    op: str
    operands: Sequence[Operand]
    attrs: Mapping[str, Expr]
    type: TensorType | None
    surroundings: Surroundings
    xp: str = "ops"
    listed: Text | None = None

    def __getitem__(self, position: int) -> Text:
        return self.operands[position].text

    @property
    def texts(self) -> list[Text]:
        return [operand.text for operand in self.operands]

    def has(self, name: str) -> bool:
        return name in self.attrs and self.attrs[name].value is not None

    def text(self, name: str, default: object = None) -> Text:
        return self.surroundings.text(self.attrs[name]) if name in self.attrs else literal(default)

    def value(self, name: str, default: Value = None) -> Value:
        return self.attrs[name].value if name in self.attrs else default

    def is_fixed(self, name: str, value: Value) -> bool:
        """Whether the attribute is absent or literally this value."""
        expr = self.attrs.get(name)
        return expr is None or (isinstance(expr, Const) and expr.value == value)

    def unless(self, name: str, value: Value) -> Text | None:
        """The attribute's text, None where it is absent or literally this value."""
        return None if self.is_fixed(name, value) else self.text(name)

    def items(self, name: str) -> tuple[Expr, ...]:
        """The elements of an attribute that is a list."""
        return elements(self.attrs[name])

    def dtype(self, name: str) -> Text:
        if self.xp == "np" and name in ("float", "wide"):
            return Text("np.float64")
        return self.surroundings.dtype(name)

    def helper(self, name: str) -> str:
        return self.surroundings.helper(name)

    def function(self, name: str) -> str:
        return f"{self.xp}.{name}"


Lowering: TypeAlias = Callable[[Application], Text]
