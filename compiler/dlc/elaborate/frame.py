"""The state of elaboration: a `Session` per network, a `Builder` per definition, a `Frame` per body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from dlc import dims, ir
from dlc.dims import Dim
from dlc.elaborate.failure import Failed, fail
from dlc.ir import Expr, Location, TensorType
from dlc.modules import LoadedModule, Loader
from dlc.size_order import compare
from dlc.values import AnyValue, LayerValue, TensorValue
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic, Note
from dlc_grammar.source import Source, Span

BUDGET = 250_000
"""Elaborated nodes and rounds (E0106); keeps "finite" from meaning forever. The largest known nets need a
twentieth; a hundred thousand take about a second and 200 MB."""


@dataclass
class Elaborated:
    """A memoised definition with what only elaboration needs of it."""

    definition: ir.Definition
    init_rules: tuple[InitRule, ...]
    layers: dict[tuple[str, tuple[int, ...]], LayerValue]
    only_read: tuple[LayerValue, ...] = ()
    """Layers that it reads weights of and does not apply: another method does."""


@dataclass(frozen=True)
class InitRule:
    """`"**.weight" = normal(0.0, 0.02)`."""

    pattern: str
    distribution: ir.Distribution
    span: Span


class Session:
    """Everything that the elaboration of one network shares."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self.diagnostics: list[Diagnostic] = []
        self.definitions: dict[str, Elaborated] = {}
        self.memo: dict[object, Elaborated] = {}
        self.origins: dict[tuple[int, str], int] = {}
        self.kept: list[syntax.Node] = []
        self.nodes = 0
        self.exhausted = False
        self.depth = 0
        self.evaluating: list[syntax.Node] = []
        self.hints: dict[str, str] = {}
        self.constants: dict[int, AnyValue] = {}
        """Values of file constants, by the identity of their declaration."""
        self.calls: list[tuple[str, Span]] = []
        self.rounds = 0
        self.facts: dict[str, int] = {}
        self.bounds: list[Dim] = []
        """Sizes that `require` established to be 0 or more."""
        self.requirements: list[ir.Requirement] = []
        self.reported: set[tuple[str, int, int]] = set()
        self.locations: dict[tuple[int, int, int], Location] = {}
        self.modules: dict[int, LoadedModule] = {}
        self.static_functions: dict[str, ir.StaticFunction | None] = {}
        """The compile-time functions that were called; None for one that has no such form."""
        self.static_names: dict[syntax.Function, str] = {}
        """Their names in the program."""

    def known(self, size: int | Dim) -> int | Dim:
        """A size with the established facts applied (`H % 8 == 0` makes H a multiple of 8)."""
        if isinstance(size, Dim) and self.facts:
            return dims.substitute(size, {v: m * dims.variable(v) for v, m in self.facts.items()})
        return size

    def settled(self, op: str, left: int | Dim, right: int | Dim) -> bool | None:
        """Whether an order of sizes follows from a bound; None if none decides it."""
        if op not in ("<", "<=", ">", ">="):
            return None
        high, low = (left, right) if op[0] == ">" else (right, left)
        slack = high - low - (1 if len(op) == 1 else 0)
        for bound in self.bounds:
            if compare(">=", slack, bound):
                return True
            if compare(">=", -slack - 1, bound):
                return False
        return None

    def origin(self, node: syntax.Node, tag: str = "") -> int:
        """A number that identifies a syntax node (and a role of it) in all elaborations."""
        key = (id(node), tag)
        if key not in self.origins:
            self.kept.append(node)
            self.origins[key] = len(self.origins) + 1
        return self.origins[key]

    def location(self, span: Span) -> Location:
        key = (id(span.source), span.start, span.stop)
        if key not in self.locations:
            line, column = span.source.position(span.start)
            self.locations[key] = Location(
                file=span.source.name, line=line, column=column, start=span.start, stop=span.stop
            )
        return self.locations[key]

    def count(self, span: Span, nodes: int = 1) -> None:
        """Take from the budget. Raises E0106 once, then silently."""
        self.nodes += nodes
        if self.nodes > BUDGET:
            if self.exhausted:
                raise Failed(None)
            self.exhausted = True
            raise fail(
                "E0106",
                f"this net expands to more than {BUDGET:_} nodes",
                span,
                "the budget ran out here",
                help="repeat less, or use `scan` for a loop that runs when the model runs",
            )

    def report(self, diagnostic: Diagnostic | None) -> None:
        if diagnostic is None:
            return
        span = diagnostic.span
        key = (diagnostic.code, id(span.source), span.start) if span else (diagnostic.message, 0, 0)
        if key not in self.reported:
            self.reported.add(key)
            self.diagnostics.append(self._with_call(diagnostic))

    def undecided(self, left: int | Dim, right: int | Dim, span: Span) -> None:
        """Two sizes that had to be equal, and were neither proved so nor refuted (W005)."""
        calls = [at for _, at in reversed(self.calls) if self.is_user(at.source)]
        place = span if self.is_user(span.source) or not calls else calls[0]
        self.report(
            Diagnostic(
                "W005",
                f"{left} and {right} are not known to be equal",
                place,
                "this needs them to be",
                (Note("no sizes were found for which they differ; the proof would have taken too long"),),
                "write both in the same way, or pass one on instead of computing it again",
                severity="warning",
            )
        )

    def _with_call(self, diagnostic: Diagnostic) -> Diagnostic:
        """Sizes are wrong for one use of a block: the note says for which."""
        if not self.calls or not diagnostic.code.startswith("E03"):
            return diagnostic
        name, span = self.calls[-1]
        if (
            not self.is_user(span.source)
            or not diagnostic.span
            or diagnostic.span.source.name.startswith("std/")
        ):
            return diagnostic
        return replace(diagnostic, notes=(*diagnostic.notes, Note(f"in this call of `{name}`", span)))

    def module_of(self, declaration: syntax.Node) -> LoadedModule | None:
        """The file that a declaration stands in."""
        if not self.modules:
            for module in self.loader.modules.values():
                if module is not None:
                    self.modules[id(module.source)] = module
        return self.modules.get(id(declaration.span.source))

    def sources(self) -> list[Source]:
        """Every text that takes part, a text without a path included."""
        found = [module.source for module in self.loader.modules.values() if module is not None]
        return [*found, *(source for source in self.loader.texts if source not in found)]

    def span(self, at: Location) -> Span:
        """The place in the text that a location is."""
        for source in self.sources():
            if source.name == at.file:
                return Span(source, at.start, at.stop)
        raise Failed(None)

    def is_user(self, source: Source) -> bool:
        """Whether the user wrote the text (messages blame the user's line, not the library's)."""
        return not source.name.startswith("std/")


@dataclass
class Builder:
    """One definition in the making."""

    session: Session
    next_id: int = 0
    regions: list[list[ir.Node]] = field(default_factory=lambda: [[]])
    weights: list[ir.WeightDecl] = field(default_factory=list)
    layers: dict[tuple[str, tuple[int, ...]], LayerValue] = field(default_factory=dict)
    init_rules: list[InitRule] = field(default_factory=list)
    weight_values: dict[tuple[str, ...], TensorValue] = field(default_factory=dict)
    layer_order: list[LayerValue] = field(default_factory=list)
    auto_names: dict[str, int] = field(default_factory=dict)
    auto_labels: dict[int, str] = field(default_factory=dict)
    samples: dict[str, int] = field(default_factory=dict)
    """The identity of the syntax node of each `sample`, by name."""
    updated: dict[int, str] = field(default_factory=dict)
    """States that the body has updated, by value number: reading one again is an error."""
    broken: bool = False
    """Something in the body was wrong and was reported; the definition is not usable."""

    def tensor(self, type_: TensorType) -> ir.Tensor:
        self.next_id += 1
        return ir.Tensor(id=self.next_id, type=type_)

    def add(self, node: ir.Node, span: Span) -> None:
        self.session.count(span)
        self.regions[-1].append(node)

    @contextmanager
    def region(self) -> Iterator[list[ir.Node]]:
        """Nodes added inside go to a region of their own."""
        nodes: list[ir.Node] = []
        self.regions.append(nodes)
        try:
            yield nodes
        finally:
            self.regions.pop()


class Returned(Exception):
    """A `return` was executed: the rest of the body does not run."""


@dataclass
class Frame:
    """The names of one body, while it runs."""

    session: Session
    module: LoadedModule
    builder: Builder
    training: bool
    owner: str
    """What the body belongs to, for messages and families: `Linear`."""
    names: dict[str, AnyValue] = field(default_factory=dict)
    fixed: dict[str, str] = field(default_factory=dict)
    """Names that may not be rebound, with their kind (parameter, layer, param, const)."""
    optional: set[str] = field(default_factory=set)
    """Optional tensor inputs that still hold what the caller gave."""
    methods: Mapping[str, syntax.Function] = field(default_factory=dict)
    self_call: SelfCall | None = None
    loops: tuple[int, ...] = ()
    constant: bool = False
    result: tuple[AnyValue, ...] | None = None
    result_span: Span | None = None
    sizes: dict[str, Expr] = field(default_factory=dict)
    statics: dict[str, Expr] = field(default_factory=dict)
    maybe: dict[str, Span] = field(default_factory=dict)
    """Names assigned in one branch of an `if` only; using them is an error."""
    emissions: list[tuple[syntax.Emit, TensorValue]] | None = None
    gone: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Names of a loop or scan that is over, with why they are unknown and what to do."""
    in_scan: bool = False
    requiring: bool = False
    """Inside a `require`: what earlier ones established does not make it superfluous."""

    def location(self, node: syntax.Node) -> Location:
        return self.session.location(node.span)

    def module_of(self, declaration: syntax.Node) -> LoadedModule:
        """The file whose names the defaults of a declaration mean."""
        return self.session.module_of(declaration) or self.module

    def names_in_scope(self) -> list[str]:
        """Everything a lower-case or capital name could mean here, for did-you-mean."""
        prelude = self.session.loader.prelude
        found = [*self.names, *self.methods, *self.module.declarations, *self.module.imported]
        if prelude is not None:
            found.extend(prelude.declarations)
        return found


@dataclass(frozen=True)
class SelfCall:
    """What a method needs to call another method of the same instance."""

    block: object
    statics: Mapping[str, Expr]
    training: bool
