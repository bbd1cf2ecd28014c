"""The `load` section of a file: which tensor of another library holds which of ours.

In: a section and a network. Out: a `NameMap`, with one `Entry` for each tensor of theirs; or diagnostics.
Everything that does not depend on a checkpoint is decided here, so `dlc check` knows it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from dlc import ir, statics
from dlc.api import Module, Net
from dlc.elaborate.expressions import static
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame, Session
from dlc.elaborate.program import closest_paths, glob, resolve_net, scratch_frame
from dlc.modules import listed, suggest
from dlc.trouble import stop
from dlc.weights import layout as layouts
from dlc.weights.layout import Layout, LayoutError, Leaf, Subscript
from dlc.weights.names import Hole, Scope, Template, Value, bad_name, captures, fill, match, read_template
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic, DiagnosticError, Note
from dlc_grammar.source import Span

Kind: TypeAlias = Literal["one", "tied", "sum"]
GROUPS: dict[str, Kind] = {"tied": "tied", "sum": "sum"}
LISTS = ("ignore", "missing")
MODELS = ("model", "frozen")
TRAINING = ("strict",)
"""What a `load` section inside of `train` may also hold."""
MOST_ENTRIES = 200_000
COUNTED = 1 << 20
"""Tensors up to this size are checked element by element while reading the map."""


@dataclass(frozen=True)
class Pattern:
    """One text of `ignore` or `missing`."""

    text: str
    span: Span | None
    regex: re.Pattern[str]

    @staticmethod
    def of(text: str, span: Span | None = None) -> Pattern:
        return Pattern(text, span, glob(text))


@dataclass(frozen=True, eq=False)
class Rule:
    """`"theirs" = ours` as it is written."""

    kind: Kind
    theirs: Template
    ours: syntax.Expr


@dataclass(frozen=True, eq=False)
class Entry:
    """One tensor of theirs. `names`: its spellings, the first is what export writes."""

    names: tuple[str, ...]
    layout: Layout
    rule: Rule

    @property
    def kind(self) -> Kind:
        return self.rule.kind

    @property
    def paths(self) -> tuple[str, ...]:
        return layouts.paths(self.layout)


@dataclass(frozen=True, eq=False)
class NameMap:
    """How a library stores the weights of one network.

    `entries`: each tensor of theirs that is one, or a part or a joint, of ours. `tied`: copies, which must be
    equal and are never written. `sums`: tensors whose sum is ours; all but the first are written as zeros.
    """

    name: str
    net: str
    weights: Mapping[str, ir.WeightSpec]
    entries: tuple[Entry, ...]
    tied: tuple[Entry, ...]
    sums: tuple[tuple[Entry, ...], ...]
    ignore: tuple[Pattern, ...]
    """Theirs that no rule needs to name."""
    missing: tuple[Pattern, ...]
    """Ours that they may lack."""
    dropped: tuple[Pattern, ...] = ()
    """Theirs that are left out even where a rule names them."""

    def is_ignored(self, name: str) -> bool:
        return any(pattern.regex.fullmatch(name) for pattern in self.ignore)

    def is_dropped(self, name: str) -> bool:
        return any(pattern.regex.fullmatch(name) for pattern in self.dropped)

    def may_be_missing(self, path: str) -> bool:
        return any(pattern.regex.fullmatch(path) for pattern in self.missing)

    @property
    def written(self) -> Iterator[Entry]:
        """Every tensor that is theirs to store, ties excepted."""
        yield from self.entries
        for group in self.sums:
            yield from group


# ---------------------------------------------------------------- sections of a file


@dataclass(frozen=True)
class Subject:
    """`GPT2`, which is the network with all its presets, or `GPT2.tiny`."""

    name: str
    preset: str | None
    span: Span

    @property
    def label(self) -> str:
        return self.name if self.preset is None else f"{self.name}.{self.preset}"


@dataclass(frozen=True)
class Header:
    """`load GPT2 from "huggingface"`: the networks and the name of the layout."""

    subjects: tuple[Subject, ...]
    name: str
    section: syntax.Section


def header(section: syntax.Section) -> Header:
    """What a section is about. Raises Failed (E0614)."""
    *words, last = section.args or (None,)
    names = [word for word in words if isinstance(word, tuple) and len(word) <= 2]
    if (
        not isinstance(last, syntax.Literal_)
        or len(names) < len(words)
        or len(names) < 2
        or [part.id for part in names[-1]] != ["from"]
    ):
        raise fail(
            "E0614",
            "a load section names a network and where its weights come from",
            section.name.span,
            "in this section",
            help='write: load Model from "huggingface" { "their.name" = "our.name" }',
        )
    subjects = tuple(
        Subject(name[0].id, name[1].id if len(name) > 1 else None, name[0].span.to(name[-1].span))
        for name in names[:-1]
    )
    return Header(subjects, str(last.value), section)


def headers(module: Module) -> tuple[list[Header], list[Diagnostic]]:
    """The maps of a file, and what is wrong with their first lines."""
    found: list[Header] = []
    diagnostics: list[Diagnostic] = []
    seen: dict[tuple[str, str], Span] = {}
    for section in module.sections("load"):
        try:
            head = header(section)
        except Failed as failed:
            diagnostics += [failed.diagnostic] if failed.diagnostic else []
            continue
        found.append(head)
        for subject in head.subjects:
            key = (subject.label, head.name)
            if key in seen:
                text = f"`{subject.label}` has two maps called `{head.name}`"
                note = Note("and here", seen[key])
                help = "join them, or give one another name"
                diagnostics.append(Diagnostic("E0102", text, subject.span, "again", (note,), help))
            seen[key] = subject.span
    return found, diagnostics


def map_names(module: Module, net: Net) -> dict[str, syntax.Section]:
    """The maps of a file that are for a network, by name: that of its preset, or of all presets."""
    found, diagnostics = headers(module)
    if diagnostics:
        raise DiagnosticError(diagnostics)
    known: dict[str, syntax.Section] = {}
    own = set[str]()
    for head in found:
        for subject in head.subjects:
            if not stands_for(module, subject, net):
                continue
            if subject.preset is not None and subject.preset == net.block.preset:
                own.add(head.name)
                known[head.name] = head.section
            elif subject.preset is None and head.name not in own:
                known[head.name] = head.section
    return known


def stands_for(module: Module, subject: Subject, net: Net) -> bool:
    """Whether a name in a file is that network's; the network may have been read for itself."""
    target = module.loaded.find(subject.name)
    if target is None:
        return False
    declared = net.block.declaration
    same_file = target[0].path is not None and target[0].path == net.block.module.path
    return target[1] is declared or (same_file and target[1].name.id == declared.name.id)


def find_map(net: Net, name: str | None = None, module: Module | None = None) -> NameMap:
    """The map called `name` for a network, from its own file or another. Raises DiagnosticError."""
    module = module or net.module
    known = map_names(module, net)
    label = net.block.declaration.name.id
    file = module.loaded.name
    if not known:
        help = f'write in {file}: load {label} from "huggingface" {{ "their.name" = "our.name" }}'
        raise stop("E0816", f"{file} has no map of names for `{net.label}`", help)
    if name is None and len(known) > 1:
        raise stop(
            "E0816", f"{file} has {len(known)} maps for `{net.label}`", f"give --map {' or '.join(known)}"
        )
    if name is None:
        (name,) = known
    if name not in known:
        help = suggest(name, known) or f"there are {', '.join(known)}"
        raise stop("E0816", f"{file} has no map `{name}` for `{net.label}`", help)
    reader = Reader(net, module, read_rules(known[name]))
    made = reader.read()
    errors = [d for d in (*reader.rules.diagnostics, *reader.diagnostics) if d.severity == "error"]
    if errors:
        raise DiagnosticError(errors)
    return made


def check_maps(module: Module) -> tuple[Diagnostic, ...]:
    """What is wrong with the maps of a file, for `dlc check`."""
    heads, found = headers(module)
    for head in heads:
        rules = read_rules(head.section)
        found += rules.diagnostics
        nets: list[Net] = []
        for subject in head.subjects:
            known = nets_called(module, subject.name)
            meant = [net for net in known if subject.preset in (None, net.block.preset)]
            if not meant:
                found.append(unknown_subject(module, subject, known))
            nets += [net for net in meant if map_names_quietly(module, net).get(head.name) is head.section]
        found += check_rules(rules, [(net, module) for net in nets])
    for item in module.items(syntax.Train):
        assert isinstance(item, syntax.Train)
        found += check_training(module, item)
    return tuple(found)


def check_training(module: Module, train: syntax.Train) -> list[Diagnostic]:
    """What is wrong with the `load` sections of a `train` section: they are about its models."""
    loads = [item for item in train.items if isinstance(item, syntax.Section) and item.name.id == "load"]
    models: dict[str, syntax.Expr] = {}
    for item in train.items if loads else ():
        if isinstance(item, syntax.Setting) and item.kind is not None and item.kind.id in MODELS:
            models[item.name.id if isinstance(item.name, syntax.Ident) else ""] = item.value
    found: list[Diagnostic] = []
    for section in loads:
        rules = read_rules(section, TRAINING)
        try:
            nets = [model_of(module, subject, models) for subject in header(section).subjects]
        except Failed as failed:
            found += [failed.diagnostic] if failed.diagnostic else []
            continue
        found += rules.diagnostics
        if rules.rules:
            found += check_rules(rules, [(net, module) for net in nets])
    return found


def model_of(module: Module, subject: Subject, models: Mapping[str, syntax.Expr]) -> Net:
    """The network that a name stands for in a `train` section. Raises Failed."""
    if subject.label not in models:
        hint = suggest(subject.label, models) or f"the models are {', '.join(models) or 'none'}"
        raise fail(
            "E0101", f"unknown model `{subject.label}`", subject.span, "not found in this section", help=hint
        )
    return Net(module, resolve_net(Session(module.loader), module.loaded, models[subject.label]))


def map_names_quietly(module: Module, net: Net) -> dict[str, syntax.Section]:
    try:
        return map_names(module, net)
    except DiagnosticError:
        return {}


def unknown_subject(module: Module, subject: Subject, known: list[Net]) -> Diagnostic:
    if known:
        presets = [net.block.preset for net in known if net.block.preset]
        hint = suggest(subject.preset or "", presets) or f"its presets are {', '.join(presets) or 'none'}"
        text = f"`{subject.name}` has no preset `{subject.preset}`"
        return Diagnostic("E0225", text, subject.span, "not found", (), hint)
    hint = suggest(subject.name, module.nets) or f"the nets are {', '.join(module.nets) or 'none'}"
    text = f"unknown name `{subject.name}`"
    return Diagnostic("E0101", text, subject.span, "not found in this file", (), hint)


def check_rules(rules: Rules, nets: list[tuple[Net, Module]]) -> list[Diagnostic]:
    """What is wrong with rules for these networks; a rule must select something in one of them."""
    found: list[Diagnostic] = []
    used: set[object] = set()
    some: Mapping[str, ir.WeightSpec] = {}
    for net, module in nets:
        program, errors = net.elaborated
        if program is None or any(d.severity == "error" for d in errors):
            return []  # reported where the network is checked
        some = some or net.params
        reader = Reader(net, module, rules)
        reader.read()
        used |= reader.used
        found += reader.diagnostics
    for text, span, key in rules.selectors if nets else ():
        if key not in used:
            help = closest_paths(re.sub(r"\{.*?\}", "", text), some)
            found.append(
                Diagnostic("E0601", f'pattern "{text}" matches no parameter', span, "in load", (), help)
            )
    unique = {(d.code, d.span.start if d.span else 0): d for d in reversed(found)}
    return list(reversed(unique.values()))


def nets_called(module: Module, name: str) -> list[Net]:
    """A network with its presets, declared in the file or imported."""
    if name in module.nets:
        return [net for label, net in module.nets.items() if label.partition(".")[0] == name]
    imported = module.loaded.imported.get(name)
    if imported is None:
        return []
    from dlc.api import nets_of

    other = nets_of(Session(module.loader), imported[0])
    return [net for label, net in other.nets.items() if label.partition(".")[0] == imported[1]]


# ---------------------------------------------------------------- rules as written


@dataclass(frozen=True)
class Rules:
    """A section, read as far as no network is needed."""

    section: syntax.Section
    name: str
    rules: tuple[Rule, ...]
    templates: Mapping[int, Template]
    """The names of ours, by the identity of their text's node."""
    ignore: tuple[Pattern, ...]
    missing: tuple[Pattern, ...]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def selectors(self) -> Iterator[tuple[str, Span, object]]:
        """Everything that must select a weight of ours: text, place, and what marks it as used."""
        for rule in self.rules:
            literal = next(iter(_literals(rule.ours)), None)
            if literal is not None:
                yield str(literal.value), literal.span, rule
        for pattern in self.missing:
            assert pattern.span is not None
            yield pattern.text, pattern.span, pattern


def read_rules(section: syntax.Section, more: tuple[str, ...] = ()) -> Rules:
    """A section's rules and lists; what is wrong with one is reported, and the rest is read.

    `more`: settings that are allowed and mean nothing here.
    """
    rules: list[Rule] = []
    templates: dict[int, Template] = {}
    lists: dict[str, tuple[Pattern, ...]] = {}
    diagnostics: list[Diagnostic] = []

    def attempt(action: Callable[[], None]) -> None:
        try:
            action()
        except Failed as failed:
            if failed.diagnostic is not None:
                diagnostics.append(failed.diagnostic)

    def rule(kind: Kind, item: syntax.Setting) -> None:
        assert isinstance(item.name, syntax.Literal_)
        theirs = read_template(item.name, theirs=True)
        literals = list(_literals(item.value))
        if not literals:
            raise bad_layout(
                item.value.span, "no weight of ours is named here", 'write for example "h.weight"'
            )
        for literal in literals:
            templates[id(literal)] = read_template(literal, theirs=False)
        rules.append(Rule(kind, theirs, item.value))

    def one(item: syntax.Setting | syntax.Section, kind: Kind) -> None:
        if isinstance(item, syntax.Section):
            if item.name.id not in GROUPS or kind != "one":
                raise unknown(item.name.id, item.name.span)
            for inner in item.items:
                attempt(lambda inner=inner: one(inner, GROUPS[item.name.id]))  # type: ignore[misc]
        elif isinstance(item.name, syntax.Literal_):
            rule(kind, item)
        elif item.name.id in LISTS and item.kind is None and kind == "one":
            lists[item.name.id] = lists.get(item.name.id, ()) + texts(item.value)
        elif item.name.id in more:
            return
        else:
            raise unknown(item.name.id, item.name.span)

    for item in section.items:
        attempt(lambda item=item: one(item, "one"))  # type: ignore[misc]
    last = section.args[-1] if section.args else None
    name = str(last.value) if isinstance(last, syntax.Literal_) else ""
    return Rules(
        section,
        name,
        tuple(rules),
        templates,
        lists.get("ignore", ()),
        lists.get("missing", ()),
        tuple(diagnostics),
    )


def texts(value: syntax.Expr) -> tuple[Pattern, ...]:
    """`["fc.*"]` as patterns."""
    items = value.items if isinstance(value, (syntax.List_, syntax.Tuple_)) else (value,)
    for item in items:
        if not isinstance(item, syntax.Literal_) or not isinstance(item.value, str):
            raise fail("E0605", "this is not a list of patterns", item.span, "in load", help='write ["fc.*"]')
    return tuple(
        Pattern.of(str(item.value), item.span) for item in items if isinstance(item, syntax.Literal_)
    )


def unknown(name: str, span: Span) -> Failed:
    known = (*LISTS, *GROUPS)
    hint = suggest(name, known) or f'there are {", ".join(known)}, and rules: "their.name" = "our.name"'
    return fail("E0602", f"a load section has no setting `{name}`", span, "not known here", help=hint)


def _literals(node: syntax.Expr | syntax.Spread) -> Iterator[syntax.Literal_]:
    """The texts that are names of ours, in order: not the pattern of a `rearrange`."""
    match node:
        case syntax.Literal_() if isinstance(node.value, str):
            yield node
        case syntax.Call():
            for argument in _operands(node.args):
                yield from _literals(argument)
        case syntax.Pipe():
            yield from _literals(node.value)
        case syntax.Index():
            yield from _literals(node.value)
        case syntax.List_() | syntax.Tuple_():
            for item in node.items:
                yield from _literals(item)
        case syntax.Comprehension():
            yield from _literals(node.element)


def _operands(args: tuple[syntax.Expr | syntax.Spread, ...]) -> tuple[syntax.Expr | syntax.Spread, ...]:
    """What a layout function is applied to: its first argument."""
    return args[:1]


def bad_layout(span: Span, message: str, help: str = "") -> Failed:
    text = help or ("tensors are moved by transpose, reshape, rearrange, concat, stack and subscripts")
    return fail("E0612", message, span, "in this layout", help=text)


# ---------------------------------------------------------------- one network


@dataclass
class Reader:
    """Applies rules to one network."""

    net: Net
    module: Module
    rules: Rules
    diagnostics: list[Diagnostic] = field(default_factory=list)
    used: set[object] = field(default_factory=set)
    known: dict[object, Value] = field(default_factory=dict)
    """What expressions in names give, by their text and captures."""

    def __post_init__(self) -> None:
        self.weights = {spec.path: spec for spec in self.net.program.weights}
        self.frame = self._frame()
        self.base = dict(self.frame.names)
        self.count = 0

    def _frame(self) -> Frame:
        """File constants and the network's parameters are in scope."""
        frame = scratch_frame(Session(self.module.loader), self.module.loaded)
        frame.names.update(self.net.block.filled)
        frame.names.update(self.net.program.parameters)
        return frame

    def read(self) -> NameMap:
        """The map; what is wrong is in `diagnostics`."""
        entries: list[Entry] = []
        for rule in self.rules.rules:
            try:
                found = list(self.entries(rule))
            except Failed as failed:
                self.diagnostics += [failed.diagnostic] if failed.diagnostic else []
                self.used.add(rule)
                continue
            if found:
                self.used.add(rule)
            entries += found
        for pattern in self.rules.missing:
            if any(pattern.regex.fullmatch(path) for path in self.weights):
                self.used.add(pattern)
        made = self.assemble(entries)
        if not self.diagnostics and not self.rules.diagnostics:
            self.check_names(made)
            self.check_cover(made)
        return made

    def assemble(self, entries: list[Entry]) -> NameMap:
        groups: dict[str, list[Entry]] = {}
        for entry in entries:
            if entry.kind == "sum":
                groups.setdefault(repr(entry.layout), []).append(entry)
        return NameMap(
            name=self.rules.name,
            net=self.net.label,
            weights=self.weights,
            entries=tuple(e for e in entries if e.kind == "one"),
            tied=tuple(e for e in entries if e.kind == "tied"),
            sums=tuple(tuple(group) for group in groups.values()),
            ignore=self.rules.ignore,
            missing=self.rules.missing,
        )

    # ------------------------------------------------------------ entries of a rule

    def entries(self, rule: Rule) -> Iterator[Entry]:
        """One for each binding of the captures."""
        for scope in self.bindings(rule):
            names = fill(rule.theirs, scope, self.evaluate)
            self.count += 1
            if self.count > MOST_ENTRIES:
                raise bad_layout(rule.theirs.span, f"the map has more than {MOST_ENTRIES:,} tensors")
            yield Entry(names, self.build(rule.ours, scope), rule)

    def bindings(self, rule: Rule) -> list[dict[str, Value]]:
        """The captures of a rule: its names of ours are matched from left to right."""
        found: list[dict[str, Value]] = [{}]
        for number, (template, local) in enumerate(self.occurrences(rule.ours, {})):
            extended: list[dict[str, Value]] = []
            for scope in found:
                known = {**scope, **local}
                matches = list(match(template, known, self.weights, self.evaluate))
                if not matches and number and not captures(template, known):
                    raise self.not_there(template, known)
                extended += [{**scope, **more} for _, more in matches]
            found = extended
        for index in _indices(rule.ours):
            found = [more for scope in found for more in self.subscript_bindings(index, scope)]
        return found

    def not_there(self, template: Template, scope: Scope) -> Failed:
        (path,) = fill(template, scope, self.evaluate)
        return fail(
            "E0601",
            f"`{self.net.label}` has no weight `{path}`",
            template.span,
            "in load",
            help=closest_paths(path, self.weights),
        )

    def occurrences(
        self, node: syntax.Expr | syntax.Spread, local: dict[str, Value]
    ) -> Iterator[tuple[Template, dict[str, Value]]]:
        """Every name of ours in an expression, with the loop variables around it."""
        match node:
            case syntax.Comprehension():
                for inner in self.rounds(node, local):
                    yield from self.occurrences(node.element, {**local, **inner})
            case syntax.Literal_():
                if id(node) in self.rules.templates:
                    yield self.rules.templates[id(node)], local
            case syntax.Call():
                for argument in _operands(node.args):
                    yield from self.occurrences(argument, local)
            case syntax.Pipe() | syntax.Index():
                yield from self.occurrences(node.value, local)
            case syntax.List_() | syntax.Tuple_():
                for item in node.items:
                    yield from self.occurrences(item, local)

    def rounds(self, node: syntax.Comprehension, local: Scope) -> Iterator[dict[str, Value]]:
        """The loop variables of a comprehension, round by round."""
        values = self.value(node.iterable, local)
        if not isinstance(values, tuple):
            raise bad_layout(node.iterable.span, "this is not a list", "write for example range(4)")
        for value in values:
            parts = value if isinstance(value, tuple) and len(node.targets) > 1 else (value,)
            if len(parts) != len(node.targets):
                raise bad_layout(node.iterable.span, f"each item has {len(parts)} parts")
            inner = {target.id: part for target, part in zip(node.targets, parts, strict=True)}
            if node.condition is None or self.value(node.condition, {**local, **inner}):
                yield inner

    def subscript_bindings(self, node: syntax.Index, scope: dict[str, Value]) -> Iterator[dict[str, Value]]:
        """A subscript that is a new name runs over its axis."""
        free = [
            (axis, subscript.id)
            for axis, subscript in enumerate(node.subscripts)
            if isinstance(subscript, syntax.Name) and not self.is_known(subscript.id, scope)
        ]
        if not free:
            yield scope
            return
        shape = self.build(node.value, scope).shape
        found = [scope]
        for axis, name in free:
            if axis >= len(shape) or any(isinstance(s, syntax.Ellipsis_) for s in node.subscripts[:axis]):
                raise bad_layout(node.span, f"`{name}` is not the subscript of an axis of {list(shape)}")
            found = [{**each, name: number} for each in found for number in range(shape[axis])]
        yield from found

    def is_known(self, name: str, scope: Scope) -> bool:
        return name in scope or name in self.base or self.module.loaded.find(name) is not None

    # ------------------------------------------------------------ expressions

    def value(self, node: syntax.Expr, scope: Scope) -> Any:
        """A compile-time value, with captures in scope."""
        if isinstance(node, syntax.Literal_):
            return node.value
        if isinstance(node, syntax.Name) and node.id in scope:
            return scope[node.id]
        self.frame.names = {**self.base, **{name: statics.const(value) for name, value in scope.items()}}
        return static(self.frame, node, "a layout").value

    def evaluate(self, hole: Hole, scope: Scope) -> Value:
        """What is in a hole of a name; the same in every rule that says the same of the same captures."""
        if hole.node is None:
            return self.compute(hole, scope)
        key = (hole.text, *((name, scope[name]) for name in hole.mentions if name in scope))
        if key not in self.known:
            self.known[key] = self.compute(hole, scope)
        return self.known[key]

    def compute(self, hole: Hole, scope: Scope) -> Value:
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

    def numbers(self, node: syntax.Expr, scope: Scope) -> list[int]:
        found = self.value(node, scope)
        items = found if isinstance(found, tuple) else (found,)
        if not all(isinstance(n, int) and not isinstance(n, bool) for n in items):
            raise bad_layout(node.span, "these are not whole numbers", "write for example [0, 2, 1]")
        return list(items)

    def build(self, node: syntax.Expr | syntax.Spread, scope: Scope) -> Layout:
        """The layout that an expression says. Raises Failed (E0612)."""
        try:
            return self.layout(node, scope)
        except LayoutError as error:
            raise bad_layout(node.span, str(error), "`dlc view` shows the shapes of our weights") from None

    def layout(self, node: syntax.Expr | syntax.Spread, scope: Scope) -> Layout:
        match node:
            case syntax.Literal_() if id(node) in self.rules.templates:
                (path,) = fill(self.rules.templates[id(node)], scope, self.evaluate)
                if path not in self.weights:
                    raise self.not_there(self.rules.templates[id(node)], scope)
                return Leaf(path, self.weights[path].shape)
            case syntax.Index():
                of = self.build(node.value, scope)
                return layouts.part(of, self.subscripts(node, len(of.shape), scope))
            case syntax.Pipe() if node.label is None:
                stage = node.stage
                call = stage if isinstance(stage, syntax.Call) else syntax.Call(node.span, stage, (), ())
                return self.call(
                    syntax.Call(node.span, call.function, (node.value, *call.args), call.keywords), scope
                )
            case syntax.Call():
                return self.call(node, scope)
        raise bad_layout(node.span, "this is not a layout of our weights")

    def subscripts(self, node: syntax.Index, rank: int, scope: Scope) -> list[Subscript]:
        found: list[Subscript] = []
        for subscript in node.subscripts:
            match subscript:
                case syntax.Ellipsis_():
                    found += [slice(None)] * (rank - len(node.subscripts) + 1)
                case syntax.Slice():
                    parts = (subscript.start, subscript.stop, subscript.step)
                    ends = [None if part is None else self.numbers(part, scope)[0] for part in parts]
                    if ends[2] is not None and ends[2] < 1:
                        raise bad_layout(node.span, "a slice goes forward")
                    found.append(slice(*ends))
                case _:
                    found.append(self.numbers(subscript, scope)[0])
        return found

    def call(self, node: syntax.Call, scope: Scope) -> Layout:
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
        return self.apply(name, node, given, scope)

    def apply(self, name: str, node: syntax.Call, given: dict[str, syntax.Expr], scope: Scope) -> Layout:
        def needed(key: str) -> syntax.Expr:
            if key not in given:
                raise bad_layout(node.span, f"`{name}` needs `{key}`", f"add {key}=...")
            return given[key]

        if name in ("concat", "stack"):
            parts = self.several(node.args[0], scope)
            if name == "concat":
                return layouts.concat(parts, self.numbers(needed("axis"), scope)[0])
            return layouts.stack(parts, self.numbers(given["axis"], scope)[0] if "axis" in given else 0)
        of = self.build(node.args[0], scope)
        if name == "transpose":
            return layouts.transpose(of, self.numbers(given["axes"], scope) if "axes" in given else None)
        if name == "reshape":
            return layouts.reshape(of, self.numbers(needed("shape"), scope))
        pattern = self.value(needed("pattern"), scope)
        sizes = {key: self.numbers(value, scope)[0] for key, value in given.items() if key != "pattern"}
        return layouts.rearrange(of, str(pattern), sizes)

    def several(self, node: syntax.Expr | syntax.Spread, scope: Scope) -> list[Layout]:
        """The items of a list, written out or made by a comprehension."""
        found: list[Layout] = []
        match node:
            case syntax.List_():
                found = [self.build(item, scope) for item in node.items]
            case syntax.Comprehension():
                found = [self.build(node.element, {**scope, **inner}) for inner in self.rounds(node, scope)]
        if not found:
            raise bad_layout(node.span, "this is not a list of our weights", 'write ["q.weight", "k.weight"]')
        return found

    # ------------------------------------------------------------ the whole map

    def check_names(self, made: NameMap) -> None:
        """Two tensors of theirs have two names."""
        seen: dict[str, Entry] = {}
        for entry in (*made.written, *made.tied):
            for name in entry.names:
                if name in seen:
                    self.one_name(entry, seen[name], name)
                    return
                seen[name] = entry

    def one_name(self, entry: Entry, first: Entry, name: str) -> None:
        """Two tensors of theirs have the name `name`."""
        span = entry.rule.theirs.span
        if first.rule is entry.rule:
            both = " and ".join(f"`{each.paths[0]}`" for each in (first, entry))
            text = f"{both} have one name, `{name}`"
            help = "use every capture of the right side on the left"
            found = Diagnostic("E0611", text, span, "in this rule", (), help)
        else:
            text = f"two rules of `{self.rules.name}` are about their `{name}`"
            note = Note("and here", first.rule.theirs.span)
            found = Diagnostic("E0611", text, span, "named again", (note,), "remove one of the two")
        self.diagnostics.append(found)

    def check_cover(self, made: NameMap) -> None:
        """Every weight of ours is given once."""
        given: dict[str, int] = dict.fromkeys(self.weights, 0)
        source: dict[str, Entry] = {}
        for entry in (*made.entries, *(group[0] for group in made.sums)):
            for path, size in layouts.volumes(entry.layout).items():
                given[path] += size
                if given[path] > math.prod(self.weights[path].shape):
                    self.twice(entry, source.get(path, entry), path)
                    return
                source[path] = entry
        lost = [
            path
            for path, spec in self.weights.items()
            if given[path] < math.prod(spec.shape) and not (made.may_be_missing(path) and not given[path])
        ]
        if lost:
            path = lost[0]
            part = "only a part of" if given[path] else "nothing of"
            help = f'add "their.name" = "{path}", or missing = ["{path}"] where they do not have it'
            text = f"the map `{made.name}` gives {part} `{path}` of `{self.net.label}`"
            notes = (Note(f"the same holds for {listed(lost[1:])}"),) if lost[1:] else ()
            span = self.rules.section.name.span
            self.diagnostics.append(Diagnostic("E0610", text, span, "in this section", notes, help))
        self.check_overlap(made)

    def twice(self, entry: Entry, first: Entry, path: str) -> None:
        text = f"two rules of `{self.rules.name}` give `{path}`"
        notes = (Note("and here", first.rule.theirs.span),) if first.rule is not entry.rule else ()
        help = "give each weight once; a copy of theirs belongs into tied { }"
        span = entry.rule.theirs.span
        self.diagnostics.append(Diagnostic("E0611", text, span, "given again", notes, help))

    def check_overlap(self, made: NameMap) -> None:
        """Small tensors that are given in parts are looked at element by element."""
        if self.diagnostics:
            return
        for path, parts in in_parts(made).items():
            if math.prod(self.weights[path].shape) <= COUNTED and not given_once(made, path, parts):
                self.twice(parts[-1], parts[0], path)
                return


SIGNATURES = {
    "transpose": ("axes",),
    "reshape": ("shape",),
    "rearrange": ("pattern",),
    "concat": ("axis",),
    "stack": ("axis",),
}
"""The arguments after the first."""


def _indices(node: syntax.Expr | syntax.Spread) -> Iterator[syntax.Index]:
    """The subscripts of an expression, outside of comprehensions; inner ones first."""
    match node:
        case syntax.Index():
            yield from _indices(node.value)
            yield node
        case syntax.Call():
            for argument in _operands(node.args):
                yield from _indices(argument)
        case syntax.Pipe():
            yield from _indices(node.value)
        case syntax.List_():
            for item in node.items:
                yield from _indices(item)


def in_parts(made: NameMap) -> dict[str, list[Entry]]:
    """The tensors of ours that are given in several pieces, with the entries that give them."""
    found: dict[str, list[Entry]] = {}
    for entry in (*made.entries, *(group[0] for group in made.sums)):
        for path, size in layouts.volumes(entry.layout).items():
            if size < math.prod(made.weights[path].shape):
                found.setdefault(path, []).append(entry)
    return found


def given_once(made: NameMap, path: str, parts: Iterable[Entry]) -> bool:
    """Whether entries give every element of a tensor exactly once."""
    import numpy as np

    counts = {path: np.zeros(made.weights[path].shape, np.uint8)}
    one = np.ones((), np.uint8)
    for entry in parts:
        entry.layout.scatter(np.broadcast_to(one, entry.layout.shape), counts, add=True)
    return bool((counts[path] == 1).all())
