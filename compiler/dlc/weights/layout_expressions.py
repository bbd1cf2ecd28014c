"""The right sides of rules: how a tensor of theirs is made of ours, as an expression.

In: an expression, with the captures in scope. Out: its `Layout` in one network, or the names of ours in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dlc import statics
from dlc.api import Module, Net
from dlc.elaborate.coerce import static
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Session
from dlc.elaborate.program import scratch_frame
from dlc.elaborate.weight_paths import closest_paths
from dlc.modules import suggest
from dlc.weights import layout as layouts
from dlc.weights.layout import Layout, LayoutError, Leaf, Subscript
from dlc.weights.names import Hole, Scope, Template, Value, bad_name, fill
from dlc.weights.rules import bad_layout, parts
from dlc_grammar import syntax

SIGNATURES = {
    "transpose": ("axes",),
    "reshape": ("shape",),
    "rearrange": ("pattern",),
    "concat": ("axis",),
    "stack": ("axis",),
}
"""The arguments after the first."""


class LayoutReader:
    """Evaluates the expressions of rules in one network; all methods raise `Failed`.

    File constants and the network's parameters are in scope, and the captures that a method is given.
    """

    def __init__(self, net: Net, module: Module, templates: Mapping[int, Template]) -> None:
        self.net = net
        self.module = module
        self.templates = templates
        self.weights = net.params
        self.frame = scratch_frame(Session(module.loader), module.loaded)
        self.base = {**self.frame.names, **net.block.filled, **net.program.parameters}
        self.holes: dict[object, Value] = {}
        """What expressions in names give, by their text and captures."""

    def is_known(self, name: str, scope: Scope) -> bool:
        return name in scope or name in self.base or self.module.loaded.find(name) is not None

    # ------------------------------------------------------------ compile-time values

    def value(self, node: syntax.Expr, scope: Scope) -> Any:
        """A compile-time value, with captures in scope."""
        if isinstance(node, syntax.Literal_):
            return node.value
        if isinstance(node, syntax.Name) and node.id in scope:
            return scope[node.id]
        self.frame.names = {**self.base, **{name: statics.const(value) for name, value in scope.items()}}
        return static(self.frame, node, "a layout").value

    def numbers(self, node: syntax.Expr, scope: Scope) -> list[int]:
        found = self.value(node, scope)
        items = found if isinstance(found, tuple) else (found,)
        if not all(isinstance(n, int) and not isinstance(n, bool) for n in items):
            raise bad_layout(node.span, "these are not whole numbers", "write for example [0, 2, 1]")
        return list(items)

    def number(self, node: syntax.Expr, scope: Scope) -> int:
        found = self.numbers(node, scope)
        if len(found) != 1:
            raise bad_layout(node.span, "this is a list, not one number", "write for example [0:4]")
        return found[0]

    def fill_hole(self, hole: Hole, scope: Scope) -> Value:
        """What is in a hole of a name; the same in every rule that says the same of the same captures."""
        if hole.node is None:
            return self._in_hole(hole, scope)
        key = (hole.text, *((name, scope[name]) for name in hole.mentions if name in scope))
        if key not in self.holes:
            self.holes[key] = self._in_hole(hole, scope)
        return self.holes[key]

    def _in_hole(self, hole: Hole, scope: Scope) -> Value:
        node = hole.node or syntax.Name(hole.span, hole.name or "")
        try:
            found = self.value(node, scope)
        except Failed as failed:
            if hole.node is None:
                known = [*scope, *self.base]
                help = suggest(hole.name or "", known) or f"write {{{hole.name}}} on the right too"
                raise bad_name(hole.span, f"`{hole.name}` is not bound on the right", help) from None
            reason = failed.diagnostic.message if failed.diagnostic else "it has no value"
            help = failed.diagnostic.help if failed.diagnostic else ""
            raise bad_name(hole.span, reason, help) from None
        if isinstance(found, bool) or not isinstance(found, (int, str)):
            raise bad_name(hole.span, "this is neither a whole number nor a text", "write for example {i+1}")
        return found

    # ------------------------------------------------------------ names of ours

    def occurrences(
        self, node: syntax.Expr | syntax.Spread, local: dict[str, Value]
    ) -> Iterator[tuple[Template, dict[str, Value]]]:
        """Every name of ours in an expression, with the loop variables around it."""
        match node:
            case syntax.Comprehension():
                for inner in self.rounds(node, local):
                    yield from self.occurrences(node.element, {**local, **inner})
            case syntax.Literal_():
                if id(node) in self.templates:
                    yield self.templates[id(node)], local
            case _:
                for part in parts(node):
                    yield from self.occurrences(part, local)

    def rounds(self, node: syntax.Comprehension, local: Scope) -> Iterator[dict[str, Value]]:
        """The loop variables of a comprehension, round by round."""
        values = self.value(node.iterable, local)
        if not isinstance(values, tuple):
            raise bad_layout(node.iterable.span, "this is not a list", "write for example range(4)")
        for value in values:
            items = value if isinstance(value, tuple) and len(node.targets) > 1 else (value,)
            if len(items) != len(node.targets):
                raise bad_layout(node.iterable.span, f"each item has {len(items)} parts")
            inner = {target.id: item for target, item in zip(node.targets, items, strict=True)}
            if node.condition is None or self.value(node.condition, {**local, **inner}):
                yield inner

    def not_there(self, template: Template, scope: Scope) -> Failed:
        """A name of ours that the network does not have."""
        (path,) = fill(template, scope, self.fill_hole)
        text = f"`{self.net.label}` has no weight `{path}`"
        return fail("E0601", text, template.span, "in load", help=closest_paths(path, self.weights))

    # ------------------------------------------------------------ layouts

    def read(self, node: syntax.Expr | syntax.Spread, scope: Scope) -> Layout:
        """The layout that an expression says (E0612)."""
        try:
            return self._layout(node, scope)
        except LayoutError as error:
            raise bad_layout(node.span, str(error), "`dlc view` shows the shapes of our weights") from None

    def _layout(self, node: syntax.Expr | syntax.Spread, scope: Scope) -> Layout:
        match node:
            case syntax.Literal_() if id(node) in self.templates:
                (path,) = fill(self.templates[id(node)], scope, self.fill_hole)
                if path not in self.weights:
                    raise self.not_there(self.templates[id(node)], scope)
                return Leaf(path, self.weights[path].shape)
            case syntax.Index():
                of = self.read(node.value, scope)
                return layouts.part(of, self._subscripts(node, len(of.shape), scope))
            case syntax.Pipe() if node.label is None:
                stage = node.stage
                call = stage if isinstance(stage, syntax.Call) else syntax.Call(node.span, stage, (), ())
                arguments = (node.value, *call.args)
                return self._call(syntax.Call(node.span, call.function, arguments, call.keywords), scope)
            case syntax.Call():
                return self._call(node, scope)
        raise bad_layout(node.span, "this is not a layout of our weights")

    def _several(self, node: syntax.Expr | syntax.Spread, scope: Scope) -> list[Layout]:
        """The items of a list, written out or made by a comprehension."""
        found: list[Layout] = []
        match node:
            case syntax.List_():
                found = [self.read(item, scope) for item in node.items]
            case syntax.Comprehension():
                found = [self.read(node.element, {**scope, **inner}) for inner in self.rounds(node, scope)]
        if not found:
            raise bad_layout(node.span, "this is not a list of our weights", 'write ["q.weight", "k.weight"]')
        return found

    def _subscripts(self, node: syntax.Index, rank: int, scope: Scope) -> list[Subscript]:
        found: list[Subscript] = []
        for subscript in node.subscripts:
            match subscript:
                case syntax.Ellipsis_():
                    found += [slice(None)] * (rank - len(node.subscripts) + 1)
                case syntax.Slice():
                    ends = (subscript.start, subscript.stop, subscript.step)
                    start, stop, step = (None if end is None else self.number(end, scope) for end in ends)
                    if step is not None and step < 1:
                        raise bad_layout(node.span, "a slice goes forward")
                    found.append(slice(start, stop, step))
                case _:
                    found.append(self.number(subscript, scope))
        return found

    def _call(self, node: syntax.Call, scope: Scope) -> Layout:
        """`transpose(x)` and the others, with the arguments that they have in a network."""
        name = node.function.id if isinstance(node.function, syntax.Name) else ""
        given: dict[str, syntax.Expr] = {keyword.name.id: keyword.value for keyword in node.keywords}
        signature = SIGNATURES.get(name)
        if signature is None:
            hint = suggest(name, SIGNATURES)
            raise bad_layout(node.function.span, f"`{name or node.function.span.text}` is no layout", hint)
        if not node.args:
            raise bad_layout(node.span, f"`{name}` is applied to nothing", f'write {name}("h.weight")')
        for parameter, argument in zip(signature, node.args[1:], strict=False):
            if isinstance(argument, syntax.Spread) or parameter in given:
                raise bad_layout(argument.span, f"`{parameter}` is not given like this")
            given[parameter] = argument
        stray = [key for key in given if key not in signature] if name != "rearrange" else []
        if stray or len(node.args) > 1 + len(signature):
            raise bad_layout(node.span, f"`{name}` has no such argument", f"it has {', '.join(signature)}")
        return self._apply(name, node, given, scope)

    def _apply(self, name: str, node: syntax.Call, given: dict[str, syntax.Expr], scope: Scope) -> Layout:
        def needed(key: str) -> syntax.Expr:
            if key not in given:
                raise bad_layout(node.span, f"`{name}` needs `{key}`", f"add {key}=...")
            return given[key]

        if name in ("concat", "stack"):
            of_all = self._several(node.args[0], scope)
            if name == "concat":
                return layouts.concat(of_all, self.number(needed("axis"), scope))
            return layouts.stack(of_all, self.number(given["axis"], scope) if "axis" in given else 0)
        of = self.read(node.args[0], scope)
        if name == "transpose":
            return layouts.transpose(of, self.numbers(given["axes"], scope) if "axes" in given else None)
        if name == "reshape":
            return layouts.reshape(of, self.numbers(needed("shape"), scope))
        pattern = self.value(needed("pattern"), scope)
        sizes = {key: self.number(value, scope) for key, value in given.items() if key != "pattern"}
        return layouts.rearrange(of, str(pattern), sizes)
