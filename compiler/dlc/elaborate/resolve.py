"""Names, before anything runs: unknown names and cycles in every body, also where no net uses it.

In: a loaded file. Out: diagnostics (E0101, E0102, E0105, E0108, and E0602, E0606 for the names in sections).
What a name *is* (block, tensor, number) is decided when its body is elaborated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dlc.elaborate import builtins, names
from dlc.modules import Declaration, LoadedModule, Loader, library_with, suggest, unknown_name_help
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic, Edit, Note
from dlc_grammar.source import Span

MOST_HINTS = 50
"""Searching a name that is close takes time: a file with more unknown names has another problem."""
ALWAYS = frozenset(
    {*builtins.NAMES, *names.DTYPES, "training", "int", "float", "bool", "str", "num", "list", "dtype"}
)


def resolve(loader: Loader, module: LoadedModule) -> list[Diagnostic]:
    """Findings about the names of one file."""
    known = set(module.declarations) | set(module.imported) | set(ALWAYS)
    if loader.prelude is not None:
        known |= set(loader.prelude.declarations)
    found: list[Diagnostic] = []
    hints: dict[str, str] = {}
    for declaration in module.declarations.values():
        for name, span, scope in _unknown(declaration, known):
            if name not in hints:
                hints[name] = suggest(name, scope) if len(hints) < MOST_HINTS else ""
            hint = hints[name]
            edit = Edit(span, hint.split("`")[1]) if hint and not library_with(name) else None
            help_ = unknown_name_help(name, hint)
            found.append(
                Diagnostic(
                    "E0101", f"unknown name `{name}`", span, "not found in this scope", (), help_, edit
                )
            )
    found.extend(_cycles(module))
    for declaration in module.declarations.values():
        found.extend(_parameters(declaration))
        found.extend(_alias(loader, module, declaration))
    found.extend(_sections(module))
    return found


def _alias(loader: Loader, module: LoadedModule, declaration: Declaration) -> Iterator[Diagnostic]:
    """`block Act = relu`, also where nothing uses it. The elaborator says the same."""
    value = declaration.value if isinstance(declaration, syntax.Alias) else None
    name = value.function if isinstance(value, syntax.Call) else value
    if value is None or not isinstance(name, syntax.Name):
        return
    target = module.find(name.id) or (loader.prelude.find(name.id) if loader.prelude else None)
    if target is not None and isinstance(target[1], syntax.Function):
        yield Diagnostic(
            "E0236",
            f"`{declaration.name.id}` is not a block",
            value.span,
            f"this is the function `{name.id}`",
            (),
            "write for example: block Norm = GroupNorm(32)",
        )


def _parameters(declaration: Declaration) -> Iterator[Diagnostic]:
    """Parameters have different names, and capitals only for blocks."""
    if not isinstance(declaration, (syntax.Function, syntax.Block)):
        return
    params = declaration.params
    if isinstance(declaration, syntax.Block):
        params = (*params, *(declaration.inputs or ()))
        for statement in declaration.body.statements:
            if isinstance(statement, syntax.Function):
                yield from _parameters(statement)
    seen: dict[str, Span] = {}
    for parameter in params:
        name = parameter.name.id
        if name in seen:
            yield Diagnostic(
                "E0102",
                f"`{name}` is declared twice",
                parameter.name.span,
                "declared again here",
                (Note("first declared here", seen[name]),),
                "rename one of the two",
            )
        seen.setdefault(name, parameter.name.span)
        if name[:1].isupper() and not (
            isinstance(parameter.type, syntax.KindType) and parameter.type.kind == "block"
        ):
            yield Diagnostic(
                "E0108",
                "a parameter has a lower-case name",
                parameter.name.span,
                "capitals are for blocks and sizes",
                (),
                f"write `{name[:1].lower() + name[1:]}`",
            )


# ---------------------------------------------------------------- sections

SECTIONS = ("preset", "train", "parity", "distribute", "quantize", "load")
PARITY = ("net", "targets", "devices", "seeds", "dtypes", "sizes", "inputs", "check")
"""What a `parity` section holds; the values are read when it runs."""


def _sections(module: LoadedModule) -> Iterator[Diagnostic]:
    for item in module.tree.items:
        if not isinstance(item, syntax.Section):
            continue
        name = item.name.id
        if name not in SECTIONS:
            hint = suggest(name, SECTIONS)
            yield Diagnostic(
                "E0606",
                f"unknown section `{name}`",
                item.name.span,
                "not known here",
                (),
                hint or f"the sections are {', '.join(SECTIONS)}",
                Edit(item.name.span, hint.split("`")[1]) if hint else None,
            )
        elif name == "parity":
            yield from _parity(module, item)


def _parity(module: LoadedModule, section: syntax.Section) -> Iterator[Diagnostic]:
    """Names in a `parity` section: of its settings, and of the network."""
    for item in section.items:
        name = item.kind or item.name if isinstance(item, syntax.Setting) else item.name
        if isinstance(name, syntax.Ident) and name.id not in PARITY:
            hint = suggest(name.id, PARITY)
            yield Diagnostic(
                "E0602",
                f"a parity section has no setting `{name.id}`",
                name.span,
                "not known here",
                (),
                hint or f"there are {', '.join(PARITY)}",
                Edit(name.span, hint.split("`")[1]) if hint else None,
            )
        if isinstance(item, syntax.Setting) and isinstance(name, syntax.Ident) and name.id == "net":
            yield from _named_net(module, item.value)


def _named_net(module: LoadedModule, value: syntax.Expr) -> Iterator[Diagnostic]:
    preset = value.name.id if isinstance(value, syntax.Attribute) else None
    name = value.value if isinstance(value, syntax.Attribute) else value
    if not isinstance(name, syntax.Name):
        return
    found = module.find(name.id)
    if found is None and name.id not in module.imported:
        names = [n for n, d in module.declarations.items() if isinstance(d, syntax.Block)]
        yield Diagnostic(
            "E0101",
            f"unknown name `{name.id}`",
            name.span,
            "not found in this file",
            (),
            suggest(name.id, names) or f"the nets are {', '.join(names) or 'none'}",
        )
    elif preset is not None and found is not None and isinstance(value, syntax.Attribute):
        known = {**found[0].presets.get(found[1].name.id, {}), **module.presets.get(name.id, {})}
        if preset not in known:
            yield Diagnostic(
                "E0225",
                f"`{name.id}` has no preset `{preset}`",
                value.name.span,
                "not found",
                (),
                suggest(preset, known) or f"its presets are {', '.join(known) or 'none'}",
            )


# ---------------------------------------------------------------- unknown names

_CLOSED = (
    syntax.NamedType,
    syntax.LiteralType,
    syntax.KindType,
    syntax.TupleType,
    syntax.UnionType,
    syntax.Function,
)
"""What `_names` does not look into: types, and functions, which have a scope of their own."""


def _unknown(declaration: Declaration, known: set[str]) -> Iterator[tuple[str, Span, set[str]]]:
    match declaration:
        case syntax.Function():
            yield from _in_body(declaration, (*declaration.params,), declaration.body, known)
        case syntax.Block():
            params = (*declaration.params, *(declaration.inputs or ()))
            methods = {s.name.id for s in declaration.body.statements if isinstance(s, syntax.Function)}
            members = _bound(declaration.body)
            yield from _in_body(declaration, params, declaration.body, known | methods, members)
            for statement in declaration.body.statements:
                if isinstance(statement, syntax.Function):
                    outer = known | methods | members | {p.name.id for p in declaration.params}
                    yield from _in_body(statement, statement.params, statement.body, outer)
        case syntax.Alias() | syntax.Const():
            yield from _names(declaration.value, known)


def _in_body(
    declaration: Any,
    params: tuple[syntax.Parameter, ...],
    body: syntax.Body | None,
    known: set[str],
    bound: set[str] | None = None,
) -> Iterator[tuple[str, Span, set[str]]]:
    scope = set(known) | {p.name.id for p in params}
    for parameter in params:
        scope |= _sizes(parameter.type)
    for type_ in (*(p.type for p in params), getattr(declaration, "result", None)):
        yield from _in_type(type_, scope)
    if body is not None:
        scope |= _bound(body) if bound is None else bound
        for statement in body.statements:
            if not isinstance(statement, syntax.Function):
                yield from _names(statement, scope)
    for parameter in params:
        if parameter.default is not None:
            yield from _names(parameter.default, scope)


def _sizes(type_: Any) -> set[str]:
    """Capital names (and packs) that a type binds."""
    found: set[str] = set()
    for node in syntax.walk(type_):
        if isinstance(node, syntax.DimPack):
            found.add(node.name)
        elif isinstance(node, syntax.Name) and (node.id[:1].isupper() or node.id == "_"):
            found.add(node.id)
    return found


def _bound(body: syntax.Body) -> set[str]:
    """Every name that a body gives a value anywhere."""
    found: set[str] = set()
    for node in syntax.walk(body):
        match node:
            case syntax.Assign():
                found |= {t.id for t in node.targets}
            case syntax.For() | syntax.Comprehension():
                found |= {t.id for t in node.targets}
            case syntax.Const() | syntax.Variable() | syntax.ScanSource() | syntax.Emit():
                found.add(node.name.id)
    return found


def _names(node: Any, scope: set[str]) -> Iterator[tuple[str, Span, set[str]]]:
    """Names in an expression or statement that are not in scope. Types are checked when elaborated."""
    for inner in syntax.walk(node, _CLOSED):
        if isinstance(inner, syntax.Name) and inner.id not in scope and inner.id != "_":
            yield inner.id, inner.span, scope


def _in_type(type_: Any, scope: set[str]) -> Iterator[tuple[str, Span, set[str]]]:
    """Lower-case names in a shape never make a size, so they must be known."""
    if isinstance(type_, syntax.TupleType):
        for field in type_.fields:
            yield from _in_type(field.type, scope)
    elif isinstance(type_, syntax.UnionType):
        for member in type_.members:
            yield from _in_type(member, scope)
    elif isinstance(type_, syntax.NamedType) and type_.name != "list":
        for inner in syntax.walk(type_.shape or ()):
            if isinstance(inner, syntax.Name) and inner.id not in scope and inner.id[:1].islower():
                yield inner.id, inner.span, scope


# ---------------------------------------------------------------- cycles


def _cycles(module: LoadedModule) -> list[Diagnostic]:
    """Declarations, and methods of one net, refer to each other without cycles."""
    graph: dict[str, list[tuple[str, Span]]] = {}
    for name, declaration in module.declarations.items():
        used = [
            n for n in syntax.walk(declaration) if isinstance(n, syntax.Name) and n.id in module.declarations
        ]
        inside = _bound_names(declaration) if used else set()
        graph[name] = [(n.id, n.span) for n in used if n.id not in inside]
    found = _find_cycles(graph)
    for declaration in module.declarations.values():
        if isinstance(declaration, syntax.Block) and declaration.inputs is None:
            methods = {s.name.id: s for s in declaration.body.statements if isinstance(s, syntax.Function)}
            calls_ = {
                name: [
                    (n.id, n.span) for n in syntax.walk(m) if isinstance(n, syntax.Name) and n.id in methods
                ]
                for name, m in methods.items()
            }
            found.extend(_find_cycles(calls_))
    return found


def _bound_names(declaration: Declaration) -> set[str]:
    """Names that a declaration binds itself, so that using them refers to nothing outside."""
    params: tuple[syntax.Parameter, ...] = ()
    if isinstance(declaration, (syntax.Function, syntax.Block)):
        params = declaration.params
    if isinstance(declaration, syntax.Block):
        params = (*params, *(declaration.inputs or ()))
    body = declaration.body if isinstance(declaration, (syntax.Function, syntax.Block)) else None
    found = {p.name.id for p in params} | (_bound(body) if body is not None else set())
    for parameter in params:
        found |= _sizes(parameter.type)
    return found


def _find_cycles(graph: dict[str, list[tuple[str, Span]]]) -> list[Diagnostic]:
    state: dict[str, int] = {}
    found: list[Diagnostic] = []
    for root in graph:
        if root in state:
            continue
        path: list[str] = [root]
        stack = [iter(graph[root])]
        state[root] = 1
        while stack:
            step = next(stack[-1], None)
            if step is None:
                state[path.pop()] = 2
                stack.pop()
                continue
            name, span = step
            if state.get(name) == 1:
                cycle = [*path[path.index(name) :], name]
                found.append(_cycle(cycle, span))
                state[name] = 3
            elif name not in state:
                state[name] = 1
                path.append(name)
                stack.append(iter(graph[name]))
    return found


def _cycle(cycle: list[str], span: Span) -> Diagnostic:
    shown = " -> ".join(cycle)
    return Diagnostic(
        "E0105",
        f"`{cycle[0]}` refers to itself",
        span,
        "the cycle closes here",
        (Note(f"the path is {shown}"),),
        "declarations may not be recursive; repeat with `for`, or with `scan` when the model runs",
    )
