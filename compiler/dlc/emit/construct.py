"""What a unit's constructor makes: parameters, states and layers, with the loops and `if`s of the text.

In: all definitions of the unit. Out: `plan.Construction`. A layer stands where the text creates it, which its
location tells: inside the `For` and `Branch` nodes whose text contains it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from dlc.emit.callees import Registry, native_arguments, unit_arguments
from dlc.emit.forks import negated
from dlc.emit.frames import Frame, Sides
from dlc.emit.merge import CannotMerge, Strand
from dlc.emit.plan import (
    Construction,
    MakeAbsent,
    MakeConditional,
    MakeLayer,
    MakeLoop,
    MakeWeight,
)
from dlc.emit.rounds import walked_names
from dlc.emit.starts import Starts
from dlc.emit.terms import Terms
from dlc.ir import (
    Branch,
    Const,
    Distribution,
    For,
    Layer,
    Location,
    Node,
    Operation,
    Ref,
    Region,
    Round,
    WeightDecl,
)

Declared: TypeAlias = Layer | WeightDecl
Entry: TypeAlias = tuple[tuple[int, int, str], Declared | For | Branch, list[Declared]]


@dataclass(slots=True)
class Place:
    """A strand of a constructor: a body, and what is declared in it."""

    strand: Strand
    region: Region
    declared: list[Declared]


@dataclass(slots=True)
class Constructor:
    """Builds the construction of one unit. `instances` says which definitions are methods of the same
    instance; `attributes` gives the attribute of every label."""

    registry: Registry
    terms: Terms
    instances: dict[str, int]
    attributes: dict[str, str]
    starts: Starts
    loops: int = 0
    numbers: dict[int, int] = field(default_factory=dict)

    def build(self, strands: Sequence[Strand]) -> tuple[Construction, ...]:
        """The statements for strands that are whole definitions."""
        places = []
        for strand in strands:
            definition = strand.definition
            places.append(Place(strand, definition.body, [*definition.weights, *definition.layers]))
        return self._walk(places)

    def _walk(self, places: list[Place]) -> tuple[Construction, ...]:
        groups: dict[tuple[str, object], list[tuple[Place, Entry]]] = {}
        order: dict[tuple[str, object], tuple[int, int, str]] = {}
        for place in places:
            for entry in self._entries(place):
                key = _group_key(entry[1])
                groups.setdefault(key, []).append((place, entry))
                order.setdefault(key, entry[0])
        for place in places:
            self._untaken(place, groups)
        made: list[Construction] = []
        for key in sorted(groups, key=lambda k: order[k]):
            made += self._group(groups[key], places)
        return tuple(made)

    def _untaken(self, place: Place, groups: dict[tuple[str, object], list[tuple[Place, Entry]]]) -> None:
        """Loops and `if`s that make something elsewhere and nothing here belong to their group, too."""
        for node in place.region:
            if isinstance(node, For | Branch):
                group = groups.get(_group_key(node))
                if group and all(other is not place for other, _ in group):
                    group.append((place, (_start(node.at, ""), node, [])))

    # ------------------------------------------------------------ where things are declared

    def _entries(self, place: Place) -> list[Entry]:
        """What is declared directly in a body, and the loops and `if`s that contain more."""
        depth = len(place.strand.chain)
        groups = [node for node in place.region if isinstance(node, For | Branch)]
        inside: dict[int, list[Declared]] = {}
        entries: list[Entry] = []
        loose: dict[str, list[Layer]] = {}
        for declared in place.declared:
            holder = next((i for i, node in enumerate(groups) if _contains(node, declared, depth)), None)
            if holder is not None:
                inside.setdefault(holder, []).append(declared)
            elif isinstance(declared, Layer) and len(declared.index) > depth:
                loose.setdefault(declared.name, []).append(declared)
            else:
                entries.append((_start(declared.at, declared.name), declared, []))
        for i, found in inside.items():
            entries.append((_start(groups[i].at, ""), groups[i], found))
        for name, layers in loose.items():
            entries.append((_start(layers[0].at, name), _plain_loop(layers, depth), list(layers)))
        return entries

    # ------------------------------------------------------------ groups

    def _group(self, group: list[tuple[Place, Entry]], places: list[Place]) -> Iterable[Construction]:
        match group[0][1][1]:
            case Layer():
                return self._where_present(group, places, lambda: self._layer(group))
            case WeightDecl():
                return self._where_present(group, places, lambda: self._weight(group))
            case For():
                return self._loop(group)
            case Branch():
                return self._branch(group)
        raise AssertionError(group)

    def _where_present(
        self, group: list[tuple[Place, Entry]], places: list[Place], make: Callable[[], Construction]
    ) -> Iterable[Construction]:
        """An instance has a layer if one of its methods has it; the others left by an earlier `return`."""
        have = {self._instance(place.strand) for place, _ in group}
        if all(self._instance(place.strand) in have for place in places):
            return (make(),)
        for node in places[0].region:
            if not isinstance(node, Branch):
                continue
            taken = {i: side for place in places for i, side in self._side(place, node.origin)}
            if len(taken) < len({self._instance(place.strand) for place in places}):
                continue
            for side in (True, False):
                if {i for i, found in taken.items() if found == side} == have:
                    return (self._only_where(node.origin, side, places, make),)
        raise CannotMerge("a layer that some instances do not have")

    def _side(self, place: Place, origin: int) -> list[tuple[tuple[int, tuple[int, ...]], bool]]:
        """The side that an instance took at an `if`."""
        return [
            (self._instance(place.strand), node.taken)
            for node in place.region
            if isinstance(node, Branch) and node.origin == origin
        ]

    def _only_where(
        self, origin: int, side: bool, places: list[Place], make: Callable[[], Construction]
    ) -> MakeConditional:
        pairs = [
            (node, place.strand)
            for place in places
            for node in place.region
            if isinstance(node, Branch) and node.origin == origin
        ]
        strands = [strand for _, strand in pairs]
        name = _condition_name(pairs[0][0])
        condition = self.terms.express([node.condition for node, _ in pairs], strands, name)
        made = make()
        absent = (MakeAbsent(name=made.name),) if self.terms.frames and isinstance(made, MakeLayer) else ()
        return MakeConditional(
            condition=condition if side else negated(condition), body=(made,), orelse=absent
        )

    def _instance(self, strand: Strand) -> tuple[int, tuple[int, ...]]:
        return self.instances[strand.definition.id], tuple(number for _, number in strand.chain)

    def _layer(self, group: list[tuple[Place, Entry]]) -> MakeLayer:
        layers = [entry[1] for _, entry in group if isinstance(entry[1], Layer)]
        strands = [place.strand for place, _ in group]
        callee = self.registry.layer(layers)
        self.terms.context = layers[0].name
        if callee.built is None:
            arguments = native_arguments(self.registry, layers, strands, self.terms, sizes=True)
        else:
            arguments = unit_arguments(self.registry, callee.built.sources, layers, strands, self.terms)
        return MakeLayer(
            name=self.attributes[layers[0].name],
            unit=callee.name,
            native=callee.native,
            arguments=arguments,
            at=layers[0].at,
            inits=self._starts(layers, strands) if callee.native else {},
        )

    def _starts(self, layers: list[Layer], strands: list[Strand]) -> dict[str, Distribution]:
        """What the weights of a native layer are drawn from, where all its instances agree."""
        definitions = self.registry.definitions
        names = [weight.name for key in layers[0].definitions for weight in definitions[key].weights]
        found = {}
        for name in dict.fromkeys(names):
            places = [
                (strand.definition.id, (layer.name, *map(str, layer.index), name))
                for layer, strand in zip(layers, strands, strict=True)
            ]
            agreed = self.starts.agreed(places) or self._same_kind(name, places, strands)
            if agreed is not None:
                found[name] = agreed
        return found

    def _same_kind(
        self, name: str, places: list[tuple[str, tuple[str, ...]]], strands: list[Strand]
    ) -> Distribution | None:
        """A distribution whose numbers differ between instances, and are arguments of the unit."""
        each = [self.starts.agreed([place]) for place in places]
        if None in each or self.terms.frames:
            return None
        known = [distribution for distribution in each if distribution is not None]
        if len({(d.name, *d.args) for d in known}) > 1:
            return None
        return self._numbers(name, known, strands)

    def _numbers(self, name: str, found: list[Distribution], strands: list[Strand]) -> Distribution:
        """One distribution for several of a kind: `bias_value` where biases start with other numbers."""
        args = {
            key: self.terms.start([d.args[key] for d in found], strands, f"{name}_{key}")
            for key in found[0].args
        }
        return Distribution(name=found[0].name, args=args)

    def _weight(self, group: list[tuple[Place, Entry]]) -> MakeWeight:
        weights = [entry[1] for _, entry in group if isinstance(entry[1], WeightDecl)]
        strands = [place.strand for place, _ in group]
        first = weights[0]
        if len({w.tensor.type.rank for w in weights}) > 1:
            raise CannotMerge(f"{first.name} has different ranks")
        columns = zip(*(w.tensor.type.shape for w in weights), strict=True)
        shape = tuple(self.terms.express(list(column), strands, "size") for column in columns)
        return MakeWeight(
            name=self.attributes[first.name],
            state=first.kind == "state",
            shape=shape,
            init=self._start(weights, strands),
            at=first.at,
        )

    def _start(self, weights: list[WeightDecl], strands: list[Strand]) -> Distribution:
        """What the weight is drawn from: as its block says, unless an `init` says otherwise for every
        instance."""
        places = [(s.definition.id, (w.name,)) for w, s in zip(weights, strands, strict=True)]
        agreed = self.starts.agreed(places)
        if agreed is None or all(_same_numbers(weight.init, agreed) for weight in weights):
            return self._initial(weights[0].name, [weight.init for weight in weights], strands)
        return agreed

    def _initial(self, name: str, found: list[Distribution], strands: list[Strand]) -> Distribution:
        """What the block itself says; the first distribution where instances have other kinds of them."""
        first = found[0]
        if len({(d.name, *d.args) for d in found}) == 1:
            return self._numbers(name, found, strands)
        args = {key: Const(value=expr.value) for key, expr in first.args.items()}
        return Distribution(name=first.name, args=args)

    # ------------------------------------------------------------ loops

    def _loop(self, group: list[tuple[Place, Entry]]) -> Iterable[Construction]:
        loops = [entry[1] for _, entry in group if isinstance(entry[1], For)]
        strands = [place.strand for place, _ in group]
        first = loops[0]
        number = self.numbers.setdefault(first.origin, len(self.numbers) + 1)
        iterable = self.terms.express([n.iterable for n in loops], strands, "items")
        frame = Frame(number, walked_names(loops), {}, iterable)
        rounds: list[Place] = []
        for (place, entry), loop in zip(group, loops, strict=True):
            strand = place.strand
            frame.rounds[strand.definition.id, strand.chain] = len(loop.rounds)
            depth = len(strand.chain)
            by_round: dict[int, list[Declared]] = {}
            for declared in entry[2]:
                by_round.setdefault(declared.index[depth] if isinstance(declared, Layer) else 0, []).append(
                    declared
                )
            for i, step in enumerate(loop.rounds):
                inner = strand.round(number, i, step)
                rounds.append(Place(inner, step.body, by_round.get(i, [])))
        self.terms.frames.append(frame)
        body = self._walk(rounds)
        self.terms.close(frame)
        if not body:
            return ()
        used = frame.used | frame.used_static
        return (
            MakeLoop(
                targets=frame.targets,
                unused=frozenset(frame.targets) - used,
                iterable=iterable,
                columns=tuple(column for column in frame.columns if column.name in used),
                lists=tuple(_lists(body)),
                body=body,
                rounds=len(first.rounds),
            ),
        )

    # ------------------------------------------------------------ if

    def _branch(self, group: list[tuple[Place, Entry]]) -> Iterable[Construction]:
        branches = [entry[1] for _, entry in group if isinstance(entry[1], Branch)]
        present = {id(place) for place, _ in group}
        raise_if = len(present) != len(group)
        assert not raise_if
        sides: dict[bool, list[Place]] = {True: [], False: []}
        taken: dict[tuple[int, tuple[int, ...]], set[bool]] = {}
        for (place, entry), node in zip(group, branches, strict=True):
            sides[node.taken].append(Place(place.strand, node.body, entry[2]))
            taken.setdefault(self._instance(place.strand), set()).add(node.taken)
        if not sides[True] or not sides[False]:
            return self._walk(sides[True] or sides[False])
        if any(len(found) > 1 for found in taken.values()):
            return (*self._walk(sides[True]), *self._walk(sides[False]))
        strands = [place.strand for place, _ in group]
        condition = self.terms.express([n.condition for n in branches], strands, _condition_name(branches[0]))
        sides_of = {s: n.taken for s, n in zip(strands, branches, strict=True)}
        self.terms.forks.append(Sides(condition, sides_of))
        then, orelse = self._walk(sides[True]), self._walk(sides[False])
        if self.terms.frames:
            names, others = _lists(then), _lists(orelse)
            then += tuple(MakeAbsent(name=name) for name in others if name not in names)
            orelse += tuple(MakeAbsent(name=name) for name in names if name not in others)
        if not then:
            return (MakeConditional(condition=negated(condition), body=orelse),) if orelse else ()
        return (MakeConditional(condition=condition, body=then, orelse=orelse),)


def _same_numbers(a: Distribution, b: Distribution) -> bool:
    """Whether two weights start alike, however that is written."""
    values = [{name: expr.value for name, expr in each.args.items()} for each in (a, b)]
    return a.name == b.name and values[0] == values[1]


def _condition_name(branch: Branch) -> str:
    """The argument for a condition that a constructor cannot see: `has_memory`."""
    match branch.condition:
        case Ref(scope="given", name=name) | Operation(args=(Ref(scope="given", name=name),)):
            return f"has_{name}"
    return "enabled"


def _group_key(node: Declared | For | Branch) -> tuple[str, object]:
    match node:
        case Layer() | WeightDecl():
            return ("declared", node.name)
        case _:
            return (node.kind, node.origin)


def _start(at: Location, name: str) -> tuple[int, int, str]:
    return (at.start, at.stop, name)


def _contains(node: Node, declared: Declared, depth: int) -> bool:
    """Whether a layer is created in the text of a loop or an `if`."""
    inside = (
        node.at.file == declared.at.file
        and node.at.start <= declared.at.start
        and declared.at.stop <= node.at.stop
    )
    if not inside or not isinstance(node, For):
        return inside
    return isinstance(declared, Layer) and len(declared.index) > depth


def _plain_loop(layers: list[Layer], depth: int) -> For:
    """A loop for layers whose own loop is not in this body."""
    count = 1 + max(layer.index[depth] for layer in layers)
    first = layers[0]
    iterable = Operation(op="range", args=(Const(value=count),), value=tuple(range(count)))
    rounds = tuple(Round(variables={}, body=()) for _ in range(count))
    return For(origin=-first.origin, at=first.at, targets=("_",), iterable=iterable, rounds=rounds)


def _lists(body: Iterable[Construction]) -> list[str]:
    """The names that get an element when this runs."""
    names: dict[str, None] = {}
    for statement in body:
        match statement:
            case MakeLayer(name=name) | MakeAbsent(name=name):
                names[name] = None
            case MakeLoop(lists=lists):
                names.update(dict.fromkeys(lists))
            case MakeConditional(body=inner, orelse=orelse):
                names.update(dict.fromkeys((*_lists(inner), *_lists(orelse))))
    return list(names)
