"""What a lowering sees of a primitive, and what it may ask for.

In: the operands as Python text with their types, and the compile-time attributes. Out: Python text,
in which operands may stand in redundant parentheses: the statement layout keeps those needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from dlc.emit.expressions import elements
from dlc.ir import Const, Expr, TensorType, Value


class Surroundings(Protocol):
    """The function that is being written."""

    def text(self, expr: Expr) -> str:
        """A compile-time expression as Python text."""
        ...

    def dtype(self, name: str) -> str:
        """A dtype of the language as Python text; `float` is that of a tensor at hand."""
        ...

    def helper(self, name: str) -> str:
        """The name of a function of `dlc_jax.helpers` that the file must then define."""
        ...

    def hold(self, text: str, label: str) -> str:
        """A variable that holds a value which is needed more than once."""
        ...


@dataclass(frozen=True, slots=True)
class Operand:
    """An operand: its text, its type where it is known, and whether it is a Python number."""

    text: str
    type: TensorType | None
    number: bool = False

    @property
    def rank(self) -> int:
        return self.type.rank if self.type else 0

    @property
    def atom(self) -> str:
        """The text, ready for a method or subscript behind it."""
        return self.text if self.text.isidentifier() else f"({self.text})"


@dataclass(frozen=True, slots=True)
class Application:
    """A primitive applied. `xp` is the array module: `jnp`, or `np` for a table made in advance."""

    op: str
    operands: Sequence[Operand]
    attrs: Mapping[str, Expr]
    type: TensorType | None
    surroundings: Surroundings
    xp: str = "jnp"
    listed: str | None = None
    """The operands as one Python list, where they are one."""

    def __getitem__(self, position: int) -> str:
        return self.operands[position].text

    @property
    def x(self) -> str:
        """The first operand, ready for a method behind it."""
        return self.operands[0].atom

    def has(self, name: str) -> bool:
        return name in self.attrs and self.attrs[name].value is not None

    def text(self, name: str, default: str = "None") -> str:
        return self.surroundings.text(self.attrs[name]) if name in self.attrs else default

    def value(self, name: str, default: Value = None) -> Value:
        return self.attrs[name].value if name in self.attrs else default

    def is_fixed(self, name: str, value: Value) -> bool:
        """Whether the attribute is absent or literally this value."""
        expr = self.attrs.get(name)
        return expr is None or (isinstance(expr, Const) and expr.value == value)

    def items(self, name: str) -> tuple[Expr, ...]:
        """The elements of an attribute that is a list."""
        return elements(self.attrs[name])

    def dtype(self, name: str) -> str:
        if self.xp == "np" and name in ("float", "wide"):
            return "np.float64"
        return self.surroundings.dtype(name)

    def helper(self, name: str) -> str:
        return self.surroundings.helper(name)


Lowering: TypeAlias = Callable[[Application], str]


def call(name: str, *arguments: str, **options: str | None) -> str:
    """A call; options that are None are left out."""
    given = [f"{key}={value}" for key, value in options.items() if value is not None]
    return f"{name}({', '.join([*arguments, *given])})"
