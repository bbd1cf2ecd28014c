"""Prints compile-time expressions as Python, and text with precedence for everything else.

In: `ir.Expr` and a resolver that says how a reference reads in the output. Out: `Text`, Python text that
knows how tightly it binds, so that whoever puts it behind an operator can parenthesise it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from dlc.dims import Dim, Tree, to_tree
from dlc.emit.expression_layout import constant
from dlc.emit.forms import named_values
from dlc.ir import Const, Expr, Operation, Ref


def elements(expr: Expr) -> tuple[Expr, ...]:
    """The elements of a list, each with its own expression."""
    match expr:
        case Operation(op="tuple" | "list"):
            return expr.args
        case Const():
            return tuple(Const(value=item) for item in expr.value)
    places = enumerate(expr.value)
    return tuple(Operation(op="index", args=(expr, Const(value=i)), value=item) for i, item in places)


class Precedence(IntEnum):
    """Python's, from loosest to tightest."""

    TUPLE = 0
    TERNARY = 1
    OR = 2
    AND = 3
    NOT = 4
    COMPARE = 5
    BIT_OR = 6
    BIT_XOR = 7
    BIT_AND = 8
    SHIFT = 9
    ADD = 10
    MULTIPLY = 11
    UNARY = 12
    POWER = 13
    ATOM = 15


BINARY: Mapping[str, Precedence] = {
    "or": Precedence.OR,
    "and": Precedence.AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not"), Precedence.COMPARE),
    "|": Precedence.BIT_OR,
    "^": Precedence.BIT_XOR,
    "&": Precedence.BIT_AND,
    "<<": Precedence.SHIFT,
    ">>": Precedence.SHIFT,
    "+": Precedence.ADD,
    "-": Precedence.ADD,
    **dict.fromkeys(("*", "/", "//", "%", "@"), Precedence.MULTIPLY),
    "**": Precedence.POWER,
}

OPERATOR_OF: Mapping[str, str] = {
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
    "logical_and": "&",
    "logical_or": "|",
}
"""The Python operator of a primitive on tensors. (`logical_not` is `~`, `negative` is `-`.)"""


@dataclass(frozen=True, slots=True)
class Text:
    """Python code of one expression."""

    code: str
    precedence: Precedence = Precedence.ATOM

    def within(self, level: int) -> str:
        """The code as an operand of something that binds as tightly as `level`."""
        return f"({self.code})" if self.precedence < level else self.code

    @property
    def atom(self) -> str:
        """The code as what stands before `.name`, `(...)` or `[...]`."""
        bare_number = self.code[:1].isdigit()
        return f"({self.code})" if bare_number else self.within(Precedence.ATOM)

    @property
    def item(self) -> str:
        """The code as an argument or an item of a list."""
        return self.within(Precedence.TERNARY)

    def __str__(self) -> str:
        return self.code


Argument = Text | str


def text(code: Argument) -> Text:
    """Code that is a name, a call or a literal; `Text` stays as it is."""
    return code if isinstance(code, Text) else Text(code)


def binary(operator: str, left: Text, right: Text) -> Text:
    """`left operator right`."""
    level = BINARY[operator]
    tighter = level + 1
    if operator == "**":
        return Text(f"{left.within(tighter)} ** {right.within(Precedence.UNARY)}", level)
    first = left.within(tighter if level == Precedence.COMPARE else level)
    return Text(f"{first} {operator} {right.within(tighter)}", level)


def negative(operand: Text) -> Text:
    return Text(f"-{operand.within(Precedence.UNARY)}", Precedence.UNARY)


def invert(operand: Text) -> Text:
    """`~operand`."""
    return Text(f"~{operand.within(Precedence.UNARY)}", Precedence.UNARY)


def negation(operand: Text) -> Text:
    """`not operand`."""
    return Text(f"not {operand.within(Precedence.NOT)}", Precedence.NOT)


def choice(condition: Text, then: Text, orelse: Text) -> Text:
    """`then if condition else orelse`."""
    first, second = then.within(Precedence.OR), condition.within(Precedence.OR)
    return Text(f"{first} if {second} else {orelse.within(Precedence.TERNARY)}", Precedence.TERNARY)


def arguments(*positional: Argument, **named: Argument | None) -> str:
    """`a, b, name=c`, without the named ones that are None."""
    parts = [text(argument).item for argument in positional]
    parts += [f"{name}={text(value).item}" for name, value in named.items() if value is not None]
    return ", ".join(parts)


def call(function: str, *positional: Argument, **named: Argument | None) -> Text:
    """`function(a, b, name=c)`; named arguments that are None are left out."""
    return Text(f"{function}({arguments(*positional, **named)})")


def method(value: Text, name: str, *positional: Argument, **named: Argument | None) -> Text:
    """`value.name(a, b, name=c)`."""
    return Text(f"{value.atom}.{name}({arguments(*positional, **named)})")


def subscript(value: Text, *indices: Argument) -> Text:
    """`value[i, j]`."""
    return Text(f"{value.atom}[{', '.join(text(index).item for index in indices)}]")


def tuple_of(items: Iterable[Argument]) -> Text:
    """`(a, b)`, `(a,)` or `()`."""
    codes = [text(item).item for item in items]
    return Text(f"({codes[0]},)" if len(codes) == 1 else f"({', '.join(codes)})")


def list_of(items: Iterable[Argument]) -> Text:
    """`[a, b]`."""
    return Text(f"[{', '.join(text(item).item for item in items)}]")


def literal(value: object) -> Text:
    """A number, string, bool, None or tuple of these as Python writes it."""
    if isinstance(value, tuple | list):
        return tuple_of(literal(item) for item in value)
    code = constant(value)
    return Text(code, Precedence.UNARY if code.startswith("-") else Precedence.ATOM)


# ---------------------------------------------------------------- compile-time expressions

Resolver = Callable[[Ref], Text | str]

MATH = frozenset(
    ["sqrt", "log", "exp", "ceil", "floor", "prod", "sin", "cos", "tan", "tanh", "log2", "gcd", "lcm"]
)
REDUCERS = frozenset(("sum", "max", "min", "prod"))
"""Functions of one list, which may be a generator."""
BUILTIN = frozenset(
    (
        *("range", "enumerate", "zip", "reversed", "len", "sum", "max", "min", "int", "float", "abs"),
        *("round", "sorted", "all", "any", "bool", "str"),
    )
)


@dataclass(slots=True)
class ExpressionPrinter:
    """Prints expressions; `resolve` gives the text of a reference, `imports` collects `math`."""

    resolve: Resolver
    imports: set[str] = field(default_factory=set)

    def __call__(self, expr: Expr) -> Text:
        match expr:
            case Const(value=value):
                return self.constant(value)
            case Ref():
                return text(self.resolve(expr))
            case Operation(op=op, args=args):
                return self.operation(op, args)

    def constant(self, value: object) -> Text:
        """A literal; the sizes of a symbolic dimension are resolved as local variables."""
        if isinstance(value, Dim):
            return self.tree(to_tree(value))
        if isinstance(value, tuple | list):
            return tuple_of(self.constant(item) for item in value)
        return literal(value)

    def tree(self, tree: Tree) -> Text:
        match tree:
            case int():
                return literal(tree)
            case ("var", str(name)):
                return text(self.resolve(Ref(name=name, value=tree, scope="local")))
            case (str(operator), first, *rest):
                result = self.tree(first)
                for item in rest:
                    result = binary(operator, result, self.tree(item))
                return result
        raise AssertionError(f"not a size: {tree!r}")

    def operation(self, op: str, args: tuple[Expr, ...]) -> Text:
        if op in ("==", "!=") and isinstance(args[1], Const) and args[1].value is None:
            return binary("is" if op == "==" else "is not", self(args[0]), Text("None"))
        if op in BINARY and len(args) == 2:
            return binary(op, self(args[0]), self(args[1]))
        if op == "-" and len(args) == 1:
            return negative(self(args[0]))
        if op == "prod" and isinstance(args[0], Operation) and args[0].op == "tuple" and args[0].args:
            return self.product(args[0].args)
        if op == "call" and isinstance(args[0], Const):
            return call(args[0].value, *map(self, args[1:]))
        if op == "comprehension":
            return call("tuple", self.comprehension(args))
        match args:
            case (Operation(op="comprehension", args=inner),) if op in REDUCERS:
                items = [self.comprehension(inner)]
            case _:
                items = [self(argument) for argument in args]
        match op:
            case "neg":
                return negative(items[0])
            case "not":
                return self.negation(args[0], items[0])
            case "if":
                return choice(*items)
            case "shifted":
                return tuple_of([items[0], f"*{items[1].atom}[:-1]"])
            case "index":
                return subscript(items[0], items[1])
            case "tuple":
                return tuple_of(items)
            case "list":
                return list_of(items)
            case "slice":
                return Text(":".join("" if item.code == "None" else item.item for item in items))
            case "reversed":
                return self.backwards(args[0], items[0])
            case "zip":
                return call("zip", *items, strict="True")
        if op in MATH:
            self.imports.add("math")
            return call(f"math.{op}", *items)
        assert op in BUILTIN, f"no Python form of `{op}`"
        return call(op, *items)

    def comprehension(self, args: tuple[Expr, ...]) -> Text:
        """`element for a, b in iterable if condition`, as the only argument of a call."""
        element, targets, iterable, *conditions = args
        assert isinstance(targets, Const)
        read = {name for expr in (element, *conditions) for name, _ in named_values(expr)}
        names = [self.target(name) if name in read else "_" for name in targets.value]
        walked = self(iterable).within(Precedence.OR)
        wanted = "".join(f" if {self(condition).within(Precedence.OR)}" for condition in conditions)
        return Text(f"{self(element).item} for {', '.join(names)} in {walked}{wanted}")

    def target(self, name: str) -> str:
        """A variable of a loop."""
        return str(self.resolve(Ref(name=name, value=None, scope="local")))

    def product(self, factors: tuple[Expr, ...]) -> Text:
        """`channels * 7 * 7`."""
        needed = [factor for factor in factors if not (isinstance(factor, Const) and factor.value == 1)]
        result = self(needed[0] if needed else factors[0])
        for factor in needed[1:]:
            result = binary("*", result, self(factor))
        return result

    def negation(self, operand: Expr, printed: Text) -> Text:
        """`not x`, or `x is None` for the absence of an optional input."""
        if printed.code.endswith(" is not None") and printed.precedence == Precedence.COMPARE:
            return Text(printed.code.removesuffix("is not None") + "is None", Precedence.COMPARE)
        return negation(printed)

    def backwards(self, operand: Expr, printed: Text) -> Text:
        """`reversed(x)`; an `enumerate` or `zip` has no reverse, a list of it has."""
        if isinstance(operand, Operation) and operand.op in ("enumerate", "zip"):
            return call("reversed", call("list", printed))
        return call("reversed", printed)


def message(template: str) -> Text:
    """The message of an assertion: an f-string where it names sizes as `{size}`."""
    quoted = constant(template)
    return Text(f"f{quoted}" if "{" in template else quoted)
