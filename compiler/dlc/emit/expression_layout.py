"""Documents for Python expressions, in the layout of `ruff format`.

In: expressions of the syntax tree. Out: documents with canonical spacing and only the parentheses that
are needed, and the rules that say where a long value may break.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from dlc.emit.document import SOFT, SPACE, Doc, Group, IfBroken, bracket, join

OPERATORS: dict[type[ast.AST], tuple[str, int]] = {
    ast.Or: ("or", 2), ast.And: ("and", 3), ast.Not: ("not", 4),
    ast.In: ("in", 5), ast.NotIn: ("not in", 5), ast.Is: ("is", 5), ast.IsNot: ("is not", 5),
    ast.Lt: ("<", 5), ast.LtE: ("<=", 5), ast.Gt: (">", 5), ast.GtE: (">=", 5),
    ast.Eq: ("==", 5), ast.NotEq: ("!=", 5),
    ast.BitOr: ("|", 6), ast.BitXor: ("^", 7), ast.BitAnd: ("&", 8),
    ast.LShift: ("<<", 9), ast.RShift: (">>", 9), ast.Add: ("+", 10), ast.Sub: ("-", 10),
    ast.Mult: ("*", 11), ast.Div: ("/", 11), ast.FloorDiv: ("//", 11), ast.Mod: ("%", 11),
    ast.MatMult: ("@", 11), ast.USub: ("-", 12), ast.UAdd: ("+", 12), ast.Invert: ("~", 12),
    ast.Pow: ("**", 13),
}  # fmt: skip
ATOM = 15


def precedence(node: ast.expr) -> int:
    """How tightly the outermost operator of an expression binds; `ATOM` where there is none."""
    match node:
        case ast.Tuple(elts=items):
            return 0 if items else ATOM
        case ast.Lambda() | ast.IfExp():
            return 1
        case ast.BoolOp(op=op) | ast.BinOp(op=op) | ast.UnaryOp(op=op):
            return OPERATORS[type(op)][1]
        case ast.Compare():
            return 5
        case ast.Constant(value=int() | float() as value) if value < 0:
            return 12
    return ATOM


class ExpressionLayout:
    """Documents for the expressions of one statement, whose text is `source`."""

    def __init__(self, source: str) -> None:
        self.source = source

    def doc(self, node: ast.expr, inside: bool) -> Doc:
        """The document of an expression. `inside` brackets, lines may break at operators."""
        match node:
            case ast.Constant():
                return constant(node.value)
            case ast.Name(id=name):
                return name
            case ast.BinOp() | ast.BoolOp() | ast.Compare():
                return self.chain(node, inside)
            case ast.UnaryOp(op=op, operand=operand):
                symbol, level = OPERATORS[type(op)]
                gap = " " if symbol == "not" else ""
                if isinstance(operand, ast.BinOp) and isinstance(operand.op, ast.Pow):
                    level = ATOM
                return (symbol + gap, self.operand(operand, level, inside))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                parts = self.choice(body, test, orelse, inside)
                return Group(parts) if inside else parts
            case ast.Lambda(args=arguments, body=body):
                names = ", ".join(argument.arg for argument in arguments.args)
                return (f"lambda {names}: " if names else "lambda: ", self.operand(body, 1, inside))
        return self.primary(node, inside)

    def choice(self, body: ast.expr, test: ast.expr, orelse: ast.expr, inside: bool) -> Doc:
        """`body if test else orelse`; one that follows `else` breaks together with it."""
        line = SPACE if inside else " "
        match orelse:
            case ast.IfExp(test=test_2, body=body_2, orelse=orelse_2):
                last = self.choice(body_2, test_2, orelse_2, inside)
            case _:
                last = self.operand(orelse, 1, inside)
        first, condition = self.operand(body, 2, inside), self.operand(test, 2, inside)
        return (first, line, "if ", condition, line, "else ", last)

    def primary(self, node: ast.expr, inside: bool) -> Doc:
        if inside and chained(node):
            return self.fluent(node)
        match node:
            case ast.Call(func=function, args=arguments, keywords=keywords):
                return (self.operand(function, ATOM, inside), self.arguments(arguments, keywords))
            case ast.Attribute(value=value, attr=name):
                return (self.operand(value, ATOM, inside), "." + name)
            case ast.Subscript(value=value, slice=index):
                return (self.operand(value, ATOM, inside), bracket("[", self.subscript(index), "]"))
            case ast.Starred(value=value):
                return ("*", self.operand(value, 6, inside))
            case ast.Tuple(elts=[]):
                return "()"
            case ast.Tuple(elts=[item]):
                return ("(", self.doc(item, True), ",)")
            case ast.Tuple(elts=items):
                return self.collection("(", [self.element(item) for item in items], ")")
            case ast.List(elts=items):
                return self.collection("[", [self.element(item) for item in items], "]")
            case ast.Set(elts=items):
                return self.collection("{", [self.element(item) for item in items], "}")
            case ast.Dict(keys=keys, values=values):
                pairs: list[Doc] = [
                    (self.element(key), ": ", self.element(value)) if key else ("**", self.element(value))
                    for key, value in zip(keys, values, strict=True)
                ]
                return self.collection("{", pairs, "}")
            case ast.ListComp(elt=element, generators=loops):
                return bracket("[", self.comprehension(self.element(element), loops), "]")
            case ast.GeneratorExp(elt=element, generators=loops):
                return bracket("(", self.comprehension(self.element(element), loops), ")")
            case ast.DictComp(key=key, value=value, generators=loops):
                pair: Doc = (self.element(key), ": ", self.element(value))
                return bracket("{", self.comprehension(pair, loops), "}")
        return ast.get_source_segment(self.source, node) or ast.unparse(node)

    def fluent(self, node: ast.expr) -> Doc:
        """A chain of method calls, broken before each attribute of a call."""
        parts: list[Doc] = []
        while isinstance(node, ast.Call | ast.Attribute | ast.Subscript):
            match node:
                case ast.Call(func=function, args=arguments, keywords=keywords):
                    parts.append(self.arguments(arguments, keywords))
                    node = function
                case ast.Subscript(value=value, slice=index):
                    parts.append(bracket("[", self.subscript(index), "]"))
                    node = value
                case ast.Attribute(value=value, attr=name):
                    parts.append("." + name)
                    if breaks_before_attribute(value):
                        parts.append(SOFT)
                    node = value
        return Group((self.operand(node, ATOM, True), *reversed(parts)))

    def element(self, node: ast.expr) -> Doc:
        """An item of a bracketed list."""
        return self.operand(node, 1, True)

    def operand(self, node: ast.expr, level: int, inside: bool) -> Doc:
        """An operand of an operator of precedence `level`, parenthesised where it binds less."""
        number = isinstance(node, ast.Constant) and isinstance(node.value, int | float)
        if precedence(node) < level and not isinstance(node, ast.Tuple):
            return bracket("(", self.doc(node, True), ")")
        if number and level == ATOM and isinstance(node, ast.Constant):
            return ("(", constant(node.value), ")")
        return self.doc(node, inside)

    def chain(self, node: ast.BinOp | ast.BoolOp | ast.Compare, inside: bool) -> Doc:
        """Operators of one precedence: lines break before each of them."""
        first, rest = links(node)
        level = precedence(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            base, exponent = self.operand(node.left, 14, inside), self.operand(node.right, 12, inside)
            if precedence(node.left) == ATOM and simple_power(node.left) and simple_power(node.right):
                return (base, "**", exponent)
            return Group((base, SPACE if inside else " ", "** ", exponent))
        line = SPACE if inside else " "
        nested = isinstance(first, ast.Compare | ast.BoolOp)
        parts: list[Doc] = [self.operand(first, level + nested, inside)]
        for symbol, item in rest:
            strict = level if isinstance(node, ast.BoolOp) and precedence(item) > level else level + 1
            parts += (line, symbol + " ", self.operand(item, strict, inside))
        return Group(tuple(parts)) if inside else tuple(parts)

    def arguments(self, arguments: Sequence[ast.expr], keywords: Sequence[ast.keyword]) -> Doc:
        """The parenthesised arguments of a call: all on one line of their own, else one a line."""
        match arguments, keywords:
            case [], []:
                return "()"
            case [ast.GeneratorExp(elt=element, generators=loops)], []:
                return bracket("(", self.comprehension(self.element(element), loops), ")")
        items: list[Doc] = [self.element(argument) for argument in arguments]
        items += [
            (f"{keyword.arg}=" if keyword.arg else "**", self.element(keyword.value)) for keyword in keywords
        ]
        return bracket("(", Group((join((",", SPACE), items), IfBroken(","))), ")")

    def collection(self, opening: str, items: Sequence[Doc], closing: str) -> Doc:
        if not items:
            return opening + closing
        return bracket(opening, (join((",", SPACE), items), IfBroken(",")), closing)

    def subscript(self, index: ast.expr) -> Doc:
        match index:
            case ast.Tuple(elts=[item]):
                return (self.subscript(item), ",")
            case ast.Tuple(elts=items) if items:
                docs = [self.subscript(item) for item in items]
                return (join((",", SPACE), docs), IfBroken(","))
            case ast.Slice(lower=lower, upper=upper, step=step):
                return self.slice(lower, upper, step)
        return self.element(index)

    def slice(self, lower: ast.expr | None, upper: ast.expr | None, step: ast.expr | None) -> Doc:
        """`a:b`, with spaces around the colon where a bound is more than a name or a number."""
        bounds = [bound for bound in (lower, upper, step) if bound is not None]
        colon_space = "" if all(map(simple_bound, bounds)) else " "
        parts: list[Doc] = [self.element(lower), colon_space] if lower else []
        parts.append(":")
        if upper:
            parts += [colon_space, self.element(upper)]
        if step:
            parts += [colon_space, ":", colon_space, self.element(step)]
        return tuple(parts)

    def comprehension(self, element: Doc, loops: Sequence[ast.comprehension]) -> Doc:
        parts: list[Doc] = [element]
        for loop in loops:
            target = self.bare(loop.target)
            parts += (SPACE, "for ", target, " in ", self.operand(loop.iter, 2, True))
            for condition in loop.ifs:
                parts += (SPACE, "if ", self.operand(condition, 2, True))
        return Group(tuple(parts))

    def bare(self, node: ast.expr) -> Doc:
        """A tuple without its parentheses, on one line."""
        if isinstance(node, ast.Tuple) and len(node.elts) > 1:
            return join(", ", [self.element(item) for item in node.elts])
        return self.doc(node, False)


def links(node: ast.BinOp | ast.BoolOp | ast.Compare) -> tuple[ast.expr, list[tuple[str, ast.expr]]]:
    """The first operand, and the operators with their right operands, of a chain of one precedence."""
    match node:
        case ast.BoolOp(op=op, values=values):
            return values[0], [(OPERATORS[type(op)][0], value) for value in values[1:]]
        case ast.Compare(left=left, ops=ops, comparators=right):
            return left, [(OPERATORS[type(op)][0], item) for op, item in zip(ops, right, strict=True)]
    level, rest = precedence(node), []
    if level == 13:
        return node.left, [("**", node.right)]
    current: ast.expr = node
    while isinstance(current, ast.BinOp) and precedence(current) == level:
        rest.append((OPERATORS[type(current.op)][0], current.right))
        current = current.left
    return current, rest[::-1]


def simple_power(node: ast.expr) -> bool:
    """Whether `**` stands without spaces beside this operand."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return simple_power(operand)
        case ast.Attribute(value=value):
            return isinstance(value, ast.Name) or (isinstance(value, ast.Attribute) and simple_power(value))
        case ast.Constant(value=value):
            return isinstance(value, int | float)
    return isinstance(node, ast.Name)


def simple_bound(node: ast.expr) -> bool:
    match node:
        case ast.UnaryOp(operand=operand):
            return simple_bound(operand)
    return isinstance(node, ast.Name | ast.Constant)


def constant(value: object) -> str:
    """A literal: strings in double quotes where that is shorter, `1e-5` for `1e-05`."""
    match value:
        case float():
            mantissa, mark, exponent = repr(value).partition("e")
            return f"{mantissa}e{int(exponent)}" if mark else mantissa
        case str():
            text = repr(value)
            if text[0] == "'" and '"' not in text:
                return '"' + text[1:-1].replace("\\'", "'") + '"'
            return text
    return "..." if value is Ellipsis else repr(value)


# ---------------------------------------------------------------- where expressions may break


def omits_parentheses(node: ast.expr) -> bool:
    """Whether a value may break inside its own brackets, without parentheses around all of it."""
    match node:
        case ast.BinOp() | ast.BoolOp() | ast.Compare():
            first, rest = links(node)
            return len(rest) == 1 and (
                starts_with_bracket(first, precedence(node))
                or ends_with_bracket(rest[-1][1], precedence(node) + 1)
            )
        case ast.UnaryOp(op=op, operand=operand):
            primary = isinstance(operand, ast.Call | ast.Attribute | ast.Subscript) and not chained(operand)
            return primary or ends_with_bracket(operand, OPERATORS[type(op)][1])
    return not isinstance(node, ast.IfExp | ast.Lambda)


def starts_with_bracket(node: ast.expr, level: int) -> bool:
    """Whether the text of an operand of `level` begins with a bracket."""
    if precedence(node) < level:
        return True
    match node:
        case ast.BinOp(left=left):
            return starts_with_bracket(left, precedence(node))
        case ast.Call(func=inner) | ast.Attribute(value=inner) | ast.Subscript(value=inner):
            return starts_with_bracket(inner, ATOM)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return bool(items)
    return isinstance(node, ast.ListComp | ast.GeneratorExp | ast.Dict)


def ends_with_bracket(node: ast.expr, level: int) -> bool:
    """Whether the text of an operand of `level` ends with a bracket that may break."""
    if precedence(node) < level:
        return True
    match node:
        case ast.BinOp(right=right):
            return ends_with_bracket(right, precedence(node) + 1)
        case ast.UnaryOp(operand=operand):
            return ends_with_bracket(operand, precedence(node))
        case ast.Call(args=arguments, keywords=keywords):
            return bool(arguments or keywords)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return bool(items)
        case ast.Subscript(value=value):
            return isinstance(value, ast.Call)
    return isinstance(node, ast.ListComp | ast.GeneratorExp | ast.Dict)


def breaks_before_attribute(value: ast.expr) -> bool:
    return isinstance(value, ast.Call | ast.Subscript) or precedence(value) < ATOM


def chained(node: ast.expr) -> bool:
    """Whether a value is a chain of at least two attributes of calls: `a(x).b(y).c(z)`."""
    count = 0
    while isinstance(node, ast.Call | ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Attribute) and breaks_before_attribute(node.value):
            count += 1
        node = node.func if isinstance(node, ast.Call) else node.value
    return count >= 2
