"""W002: names that nothing reads.

A name is looked for in the text in which it is known: its loop, its method, or its whole declaration. Two
names that are spelled alike are not told apart there, so a finding is never wrong, and one may be missed.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from dlc.elaborate import builtins
from dlc.modules import LoadedModule
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic, Edit
from dlc_grammar.source import Span

_HOLE = re.compile(r"\{([^{}]*)\}")
_WORD = re.compile(r"[A-Za-z_]\w*")
_WHOLE_LINE = re.compile(r"[ \t]*(#[^\n]*)?(\n|\Z)")


@dataclass
class Uses:
    """What a file reads and applies."""

    reads: dict[str, list[int]] = field(default_factory=dict)
    """Where each name is read, in the order of the text."""
    own: dict[str, list[int]] = field(default_factory=dict)
    """Those of them that only make the next value of the same name: `total = total + n`."""
    members: set[str] = field(default_factory=set)
    """Names after a dot."""
    applied: set[str] = field(default_factory=set)
    """Names that are called, or are a stage of a pipe."""
    handed_on: set[str] = field(default_factory=set)
    """Names that stand for themselves anywhere, as in `Stage(Norm=Mine)`."""
    in_sections: set[str] = field(default_factory=set)
    """Names in sections, where the parameters of a net are known."""
    alone: set[int] = field(default_factory=set)
    """The statements (by identity) whose body has no other."""

    def within(self, name: str, scope: Span) -> int:
        """How often a name is read in a part of the text."""
        return _between(self.reads.get(name, []), scope)

    def only_own(self, name: str, scope: Span) -> bool:
        """Whether a variable is read for nothing but its own next value, or not at all."""
        return self.within(name, scope) == _between(self.own.get(name, []), scope)


def _between(places: list[int], scope: Span) -> int:
    return bisect_left(places, scope.stop) - bisect_left(places, scope.start)


def uses(module: LoadedModule) -> Uses:
    """What the text of a file reads, from one walk over its tree."""
    found = Uses()
    for item in module.tree.items:
        if isinstance(item, (syntax.Section, syntax.Train)):
            found.in_sections |= set(_read(found, item))
        else:
            _read(found, item)
    for places in found.reads.values():
        places.sort()
    return found


def _read(found: Uses, item: syntax.Item) -> list[str]:
    """Notes what one item reads; the names."""
    names: list[str] = []
    applied: set[int] = set()

    def read(name: str, node: syntax.Node) -> None:
        names.append(name)
        found.reads.setdefault(name, []).append(node.span.start)

    in_section = isinstance(item, (syntax.Section, syntax.Train))
    for node in syntax.walk(item):  # what applies a name comes before the name
        match node:
            case syntax.Name():
                read(node.id, node)
                if id(node) in applied:
                    found.applied.add(node.id)
                elif not in_section:
                    found.handed_on.add(node.id)
            case syntax.Call():
                applied.add(id(node.function))
            case syntax.Pipe():
                applied.add(id(node.stage))
            case syntax.Attribute():
                applied.add(id(node.value))
                found.members.add(node.name.id)
            case syntax.DimPack():
                read(node.name, node)
            case syntax.Update():
                read(node.name.id, node)
            case syntax.Scan():
                for name in node.carry:
                    read(name.id, name)
            case syntax.Assign() if len(node.targets) == 1:
                target = node.targets[0].id
                for inner in syntax.walk(node.value):
                    if isinstance(inner, syntax.Name) and inner.id == target:
                        found.own.setdefault(target, []).append(inner.span.start)
            case syntax.Body() if len(node.statements) == 1:
                found.alone.add(id(node.statements[0]))
            case syntax.Require() if node.message is not None:
                for word in _holes(node.message):
                    read(word, node.message)
            case syntax.Section():
                for argument in node.args:
                    for part in argument if isinstance(argument, tuple) else ():
                        read(part.id, part)
                for inner in syntax.walk(node.items) if node.name.id == "load" else ():
                    for word in _holes(inner) if isinstance(inner, syntax.Literal_) else ():
                        read(word, inner)
    return names


def _holes(text: syntax.Literal_) -> list[str]:
    """The names in the `{expressions}` of a text."""
    holes = _HOLE.findall(text.value) if isinstance(text.value, str) else []
    return [word for hole in holes for word in _WORD.findall(hole)]


def unused(module: LoadedModule, prelude: LoadedModule | None) -> Iterator[Diagnostic]:
    """Every name of a file that nothing reads. What is declared may be used by another file."""
    found = uses(module)
    if module.declarations:  # a file of imports alone is there to be imported
        yield from _imports(module, found)
    for declaration in module.declarations.values():
        if isinstance(declaration, syntax.Block):
            yield from _Body(module, prelude, found, declaration).block(declaration)
        elif isinstance(declaration, syntax.Function) and declaration.body is not None:
            yield from _Body(module, prelude, found, declaration).function(declaration)


def _imports(module: LoadedModule, found: Uses) -> Iterator[Diagnostic]:
    for item in module.tree.items:
        if not isinstance(item, syntax.Import):
            continue
        for i, entry in enumerate(item.names):
            name = entry.alias or entry.name
            if name.id not in found.reads and not name.id.startswith("_"):
                only = len(item.names) == 1
                edit = _without_line(item.span) if only else _without_item(item.names, i)
                yield _finding(name, "imported here", "remove it", edit)


@dataclass
class _Body:
    """Looks through one declaration."""

    module: LoadedModule
    prelude: LoadedModule | None
    found: Uses
    declaration: syntax.Block | syntax.Function
    bound: set[str] = field(default_factory=set)

    def block(self, block: syntax.Block) -> Iterator[Diagnostic]:
        yield from self.parameters((*block.params, *(block.inputs or ())), block)
        methods = [s for s in block.body.statements if isinstance(s, syntax.Function)]
        yield from self.statements(block.body, block.span)
        for method in methods:
            yield from self.parameters(method.params, method)
            if method.body is not None:
                yield from self.statements(method.body, method.span)

    def function(self, function: syntax.Function) -> Iterator[Diagnostic]:
        assert function.body is not None
        yield from self.parameters(function.params, function)
        yield from self.statements(function.body, function.span)

    # ------------------------------------------------------------ parameters

    def parameters(
        self, params: tuple[syntax.Parameter, ...], owner: syntax.Block | syntax.Function
    ) -> Iterator[Diagnostic]:
        """Those of a net, and of what this file applies and does not hand on: what is handed on takes what
        its like take."""
        self.bound |= {p.name.id for p in params}
        if not self.is_called():
            return
        for parameter in params:
            name = parameter.name
            if not self.is_unread(name, owner.span) or self.gives_size(parameter, params, owner.span):
                continue
            if not self.is_net() or name.id not in self.found.in_sections:
                label = f"nothing in `{owner.name.id}` depends on it"
                yield _finding(name, label, "use it, or remove it")

    def gives_size(
        self, parameter: syntax.Parameter, params: tuple[syntax.Parameter, ...], scope: Span
    ) -> bool:
        """Whether a size is read that this input alone binds: then its shape is what it is there for."""
        others = {name for other in params if other is not parameter for name in _sizes(other.type)}
        return any(self.found.within(name, scope) > 1 for name in _sizes(parameter.type) - others)

    def is_net(self) -> bool:
        return isinstance(self.declaration, syntax.Block) and self.declaration.kind == "net"

    def is_called(self) -> bool:
        """Whether the declaration is a net or is applied, and is never a value itself."""
        name = self.declaration.name.id
        return (self.is_net() or name in self.found.applied) and name not in self.found.handed_on

    # ------------------------------------------------------------ bodies

    def statements(self, body: syntax.Body, scope: Span) -> Iterator[Diagnostic]:
        """Names that statements bind, and none reads in `scope`."""
        nodes = list(syntax.walk(body.statements, (syntax.Function,)))
        self.bound |= {target.id for node in nodes for target in _targets(node)}
        seen: set[str] = set()
        for node in nodes:
            match node:
                case syntax.Assign():
                    yield from self.assignment(node, scope, seen)
                case syntax.Const() if self.is_unread(node.name, scope):
                    yield _finding(node.name, "nothing needs it", "remove it", self.removal(node, node.value))
                case syntax.Variable() if node.name.id not in self.found.members:
                    if self.is_unread(node.name, scope):
                        label = f"this {node.kind} changes no result"
                        yield _finding(node.name, label, "use it, or remove it")
                case syntax.For() | syntax.Comprehension():
                    for target in node.targets:
                        if self.is_unread(target, node.span):
                            yield _finding(target, "no round reads it", "write `_`", Edit(target.span, "_"))
                case syntax.ScanSource() if not _is_range(node.value) and self.is_unread(node.name, scope):
                    yield _finding(node.name, "no step reads it", "write `_`", Edit(node.name.span, "_"))
                case syntax.Emit() if self.is_unread(node.name, scope):
                    yield _finding(node.name, "emitted here", "use it after the loop, or remove it")

    def is_unread(self, name: syntax.Ident, scope: Span) -> bool:
        return not name.id.startswith("_") and not self.found.within(name.id, scope)

    def assignment(self, node: syntax.Assign, scope: Span, seen: set[str]) -> Iterator[Diagnostic]:
        for target in node.targets:
            name = target.id
            if name.startswith("_") or name in seen or not self.found.only_own(name, scope):
                continue
            seen.add(name)
            free = not self.found.within(name, scope)
            if len(node.targets) > 1:
                edit = Edit(target.span, "_") if free else None
                yield _finding(target, "nothing needs it", "write `_`", edit)
            else:
                edit = self.removal(node, node.value) if free else None
                yield _finding(target, "nothing needs it", "remove it", edit)

    def removal(self, statement: syntax.Node, value: syntax.Expr) -> Edit | None:
        """Taking a statement out, where no layer is in it: no weight goes with it then."""
        if id(statement) in self.found.alone:
            return None
        for node in syntax.walk(value):
            if isinstance(node, syntax.Call) and not self.is_plain(node.function):
                return None
            stage = node.stage if isinstance(node, syntax.Pipe) else None
            if stage is not None and not isinstance(stage, syntax.Call) and not self.is_plain(stage):
                return None
        return _without_line(statement.span)

    def is_plain(self, function: syntax.Expr) -> bool:
        """Whether a call can only be of a function of the compiler or the library."""
        if not isinstance(function, syntax.Name) or function.id in self.bound:
            return False
        if function.id in builtins.NAMES:
            return self.module.find(function.id) is None
        known = self.prelude.find(function.id) if self.prelude is not None else None
        return (
            known is not None
            and isinstance(known[1], syntax.Function)
            and self.module.find(function.id) is None
        )


# ---------------------------------------------------------------- places


def _targets(node: syntax.Node) -> tuple[syntax.Ident, ...]:
    """The names that a statement or a comprehension binds."""
    match node:
        case syntax.Assign() | syntax.For() | syntax.Comprehension():
            return node.targets
        case syntax.Const() | syntax.Variable() | syntax.ScanSource() | syntax.Emit():
            return (node.name,)
    return ()


def _sizes(type_: syntax.Type | None) -> set[str]:
    """The names that a type binds: `B` and `S` of `float[B, *S, 4 * D]`."""
    shape = type_.shape if isinstance(type_, syntax.NamedType) else None
    runs = {dim.name for dim in shape or () if isinstance(dim, syntax.DimPack)}
    return runs | {dim.id for dim in shape or () if isinstance(dim, syntax.Name) and dim.id[:1].isupper()}


def _is_range(value: syntax.Expr) -> bool:
    """`range(n)`: a `scan` that only counts its steps."""
    function = value.function if isinstance(value, syntax.Call) else None
    return isinstance(function, syntax.Name) and function.id == "range"


def _without_line(span: Span) -> Edit | None:
    """Taking a text out, with its line where it is alone there. None where a comment belongs to it."""
    text = span.source.text
    start = text.rfind("\n", 0, span.start) + 1
    rest = _WHOLE_LINE.match(text, span.stop)
    if rest is None or text[start : span.start].strip():
        stop = span.stop
        while text[stop : stop + 1] in (" ", "\t"):
            stop += 1
        return Edit(Span(span.source, span.start, stop), "")
    return None if rest[1] else Edit(Span(span.source, start, rest.end()), "")


def _without_item(items: tuple[syntax.ImportName, ...], i: int) -> Edit:
    """Taking one of several out, with a comma."""
    first, span = items[0].span, items[i].span
    if i == 0:
        return Edit(Span(first.source, first.start, items[1].span.start), "")
    return Edit(Span(first.source, items[i - 1].span.stop, span.stop), "")


def _finding(name: syntax.Ident, label: str, help: str, edit: Edit | None = None) -> Diagnostic:
    return Diagnostic(
        "W002", f"`{name.id}` is never used", name.span, label, (), help, edit, severity="warning"
    )
