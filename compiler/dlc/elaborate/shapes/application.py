"""One application of a primitive, as its shape rule sees it.

In: operands and attributes. Out: their types, axes and sizes; equations between sizes are proved, refuted
with an example, or left for run time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dlc import statics
from dlc.dims import Dim
from dlc.elaborate.failure import Failed, fail
from dlc.ir import Const, DType, Expr, Operation, TensorType
from dlc.size_equations import Refuted, Unknown, decide_equal, repair
from dlc.values import TensorValue
from dlc_grammar.diagnostics import Diagnostic, Note
from dlc_grammar.source import Span

FLOATS = ("float", "wide", "f64", "f32", "bf16", "f16")
ONE = Const(value=1)

SIGNS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "floor_divide": "//",
    "remainder": "%",
    "power": "**",
    "matmul": "@",
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "logical_and": "and",
    "logical_or": "or",
    "logical_not": "not",
    "negative": "-",
}


@dataclass
class Application:
    """One primitive applied: `inputs` are tensors or compile-time numbers."""

    op: str
    inputs: list[TensorValue | Expr]
    attrs: dict[str, Expr]
    span: Span
    known: Callable[[int | Dim], int | Dim] = lambda size: size
    checks: list[tuple[Expr, Expr]] = field(default_factory=list)
    """Pairs of sizes that could not be decided and are checked at run time."""

    def fail(
        self, code: str, message: str, label: str, help: str = "", notes: tuple[str, ...] = ()
    ) -> Failed:
        return fail(code, message, self.span, label, help=help, notes=notes)

    @property
    def shown(self) -> str:
        """The operation as the text writes it: `+`, `softmax`."""
        return SIGNS.get(self.op, self.op)

    def type(self, position: int = 0) -> TensorType:
        """The type of an operand; a compile-time number is a scalar."""
        value = self.inputs[position]
        if isinstance(value, TensorValue):
            return value.type
        return TensorType(dtype=number_dtype(value), shape=())

    def types(self) -> list[TensorType]:
        return [self.type(i) for i in range(len(self.inputs))]

    def attr(self, name: str) -> Expr:
        return self.attrs.get(name, Const(value=None))

    def equal(self, a: Expr, b: Expr, message: str, label: str = "") -> None:
        """Prove that two sizes are equal, or raise E0301 with a counterexample, or record a check."""
        left, right = self.known(a.value), self.known(b.value)
        if left == right:
            return
        verdict = decide_equal(left, right)
        if isinstance(verdict, Refuted):
            raise Failed(size_error(verdict, left, right, self.span, message, label))
        if isinstance(verdict, Unknown):
            self.checks.append((a, b))


def number_dtype(value: Expr) -> DType:
    """The dtype that a compile-time number has as a tensor."""
    if isinstance(value.value, bool):
        return "bool"
    return "float" if isinstance(value.value, float) else "int"


def size_error(
    verdict: Refuted, left: int | Dim, right: int | Dim, span: Span, message: str, label: str
) -> Diagnostic:
    """The diagnostic of a refuted size equation, with an example and a repair."""
    notes: tuple[Note, ...] = ()
    remedy = "make the two sizes equal"
    if verdict.witness:
        values = ", ".join(f"{k} = {v}" for k, v in verdict.witness.items())
        notes = (Note(f"for example {values} gives {verdict.left} and {verdict.right}"),)
        repaired = repair(left, right)
        if repaired:
            rules = " and ".join(f"{name} % {m} == 0" for name, m in repaired.items())
            remedy = f"both are equal whenever `{rules}`; add: require {rules}"
    return Diagnostic("E0301", message, span, f"{label}{left} is not {right}", notes, remedy)


def plural_axes(number: int) -> str:
    """`1 axis`, `2 axes`."""
    return "1 axis" if number == 1 else f"{number} axes"


def show_shape(shape: Sequence[Expr]) -> str:
    return "[" + ", ".join(str(size.value) for size in shape) + "]"


def plus(a: Expr, b: Expr) -> Expr:
    return statics.binary("+", a, b)


def times(a: Expr, b: Expr) -> Expr:
    if a.value == 1:
        return b
    if b.value == 1:
        return a
    return statics.binary("*", a, b)


def product(sizes: Sequence[Expr]) -> Expr:
    total: Expr = ONE
    for size in sizes:
        total = times(total, size)
    return total


def axes_of(site: Application, rank: int, name: str = "axis") -> tuple[int, ...]:
    """The non-negative axes an attribute selects; all of them for `none`."""
    value = site.attr(name).value
    if value is None:
        return tuple(range(rank))
    chosen = value if isinstance(value, tuple) else (value,)
    found = []
    for axis in chosen:
        if not isinstance(axis, int) or not -rank <= axis < rank:
            raise site.fail(
                "E0305",
                f"axis {axis} is outside a tensor of {rank} axes",
                f"in `{site.shown}`",
                help=f"axes run from 0 to {rank - 1}, or from -{rank} to -1",
            )
        found.append(axis % rank)
    if len(set(found)) != len(found):
        raise site.fail("E0305", "an axis is named twice", f"in `{site.shown}`", help="name each axis once")
    return tuple(found)


def one_axis(site: Application, rank: int, name: str = "axis") -> int:
    """The one axis an attribute selects."""
    if not isinstance(site.attr(name).value, int):
        raise site.fail("E0305", f"`{site.shown}` needs one axis", "no axis is given", help="write axis=-1")
    return axes_of(site, rank, name)[0]


def sizes_of(site: Application, expr: Expr, what: str = "shape") -> tuple[Expr, ...]:
    """The elements of a list of sizes, each with its own expression."""
    values = expr.value if isinstance(expr.value, tuple) else (expr.value,)
    parts = expr.args if isinstance(expr, Operation) and expr.op == "tuple" else None
    found = []
    for position, value in enumerate(values):
        if not isinstance(value, (int, Dim)) or isinstance(value, bool):
            raise site.fail(
                "E0306",
                f"a {what} is a list of sizes",
                f"{statics.describe(value)} is not a size",
                "write for example [B, 4 * D]; divide sizes with //",
            )
        if isinstance(value, int) and value < 1:
            raise site.fail(
                "E0306",
                f"a size is at least 1, not {value}",
                f"in this {what}",
                "check the numbers that it is computed from",
            )
        if not isinstance(expr.value, tuple):
            return (expr,)
        found.append(parts[position] if parts else statics.item(expr, Const(value=position)))
    return tuple(found)
