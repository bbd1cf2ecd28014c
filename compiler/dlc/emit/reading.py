"""Operands and nodes of a merged method as run-time expressions (`plan.Code`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dlc.emit.analysis import Analysis
from dlc.emit.arguments import Source
from dlc.emit.callees import Registry
from dlc.emit.calling import write_call
from dlc.emit.expressions import OPERATOR_OF
from dlc.emit.forms import same
from dlc.emit.merge import Block, CannotMerge, Step, Strand
from dlc.emit.operands import ABSENT, Operands, Slot, Token, item_operands, static_token
from dlc.emit.plan import (
    AssignStatic,
    Code,
    ListItem,
    Number,
    Primitive,
    Variable,
    WeightRead,
)
from dlc.emit.terms import Terms
from dlc.emit.trace import Misread, Read, ReadItem, ReadList, Write
from dlc.emit.writer import Draft, Place, Writer
from dlc.ir import (
    Apply,
    Call,
    Const,
    Definition,
    Distribution,
    Expr,
    Static,
    TensorType,
    Use,
    Value,
    Weight,
)
from dlc.ir import Item as ItemNode
from dlc_grammar.record import replace

INFIX = frozenset((*OPERATOR_OF, "negative", "logical_not"))

FORMS = frozenset(("axes", "descending", "equation", "keep", "mode", "pattern"))
"""Attributes whose value decides how code is written: code for several values is not one line."""


def equal_parts(sizes: Sequence[Value]) -> bool:
    """Whether every elaboration splits into equally many parts, all of one size: `chunk(2)` says none."""
    lists = [parts for parts in sizes if isinstance(parts, tuple)]
    alike = all(same(part, parts[0]) for parts in lists for part in parts[1:])
    return alike and len(lists) == len(sizes) and len({len(parts) for parts in lists}) == 1


def decides_form(op: str, attribute: str) -> bool:
    return attribute in FORMS or (attribute == "axis" and op == "prod")


@dataclass(slots=True)
class Reader:
    """Builds expressions for the method that `writer` writes."""

    writer: Writer
    registry: Registry
    attributes: dict[str, str]
    own: frozenset[str]
    methods: dict[str, tuple[Source, ...]]
    types: dict[tuple[int, ...], TensorType] = field(default_factory=dict)

    @property
    def block(self) -> Block:
        return self.writer.block

    @property
    def terms(self) -> Terms:
        return self.writer.terms

    @property
    def analysis(self) -> Analysis:
        return self.writer.analysis

    # ------------------------------------------------------------ operands

    def read(self, operands: Operands, draft: Draft) -> Code | None:
        """The code of one operand; None where it is absent in all strands."""
        strands = self.block.strands
        resolved = [self.analysis.resolve(s, o) for s, o in zip(strands, operands, strict=True)]
        present = [(s, o) for s, o in zip(strands, resolved, strict=True) if o is not None]
        if not present:
            return None
        if all(isinstance(o, Static) for _, o in present):
            exprs = [o.expr for _, o in present if isinstance(o, Static)]
            return Number(expr=self.terms.express(exprs, [s for s, _ in present]))
        if all(isinstance(o, Weight) for _, o in present):
            return self._weight([o for _, o in present if isinstance(o, Weight)], present[0][0].definition)
        return self._variable(operands, draft)

    def _variable(self, operands: Operands, draft: Draft) -> Code:
        writer = self.writer
        slot = self.analysis.common(self.block.strands, operands)
        if slot is not None and slot in writer.pending:
            held = writer.pending.pop(slot)
            draft.absorb(held)
            return held.value
        named = self.analysis.read_name(self.block.strands, operands)
        if slot is not None and slot in writer.protected and slot in writer.home:
            by_name = named is not None and writer.holds.get(writer.local(named)) == {slot}
            place = Place(writer.local(named)) if named is not None and by_name else writer.home[slot]
            return self._note(place, operands, draft, slot)
        if named is not None:
            self._initialise(named, operands)
            return self._note(self._place(named), operands, draft, slot)
        if slot is not None and slot in writer.lists:
            return self._collected_item(slot, operands, draft)
        if slot is not None and slot in writer.home:
            place = writer.home[slot]
            if place.place is not None or writer.holds.get(place.name) == {slot}:
                return self._note(place, operands, draft, slot)
            raise Misread(place.name, slot)
        raise CannotMerge("an operand is made in different places")

    def _collected_item(self, slot: Slot, operands: Operands, draft: Draft) -> Code:
        """The value that a finished loop collected in one round."""
        strands = self.block.strands
        rounds = [self.analysis.round_of(s, o) for s, o in zip(strands, operands, strict=True)]
        known = [(r[1], s) for r, s in zip(rounds, strands, strict=True) if r is not None]
        name = self.writer.lists[slot]
        position = self.terms.express([Const(value=i) for i, _ in known], [s for _, s in known], "position")
        places = [r[1] if r is not None else None for r in rounds]
        draft.events.append(ReadItem(name, places, self.writer.tokens(operands)))
        draft.variables.add(name)
        return ListItem(name=name, position=position)

    def _place(self, name: str) -> Place:
        if name in self.writer.renamed:
            return Place(self.writer.renamed[name])
        base, _, field = name.partition(".")
        base = self.writer.local(base)
        if not field:
            return Place(base)
        record = self.writer.records.get(base)
        if record is None or field not in record:
            return Place(self.writer.local(name.replace(".", "_")))
        return Place(base, None if field.isdigit() else field, record[field])

    def _note(self, place: Place, operands: Operands, draft: Draft, slot: object) -> Code:
        """A read of a variable, remembered for the check."""
        tokens = self.writer.tokens(operands)
        given = {
            k for s in self.block.strands[:1] for k in [i.name for i in s.definition.inputs if i.optional]
        }
        if place.name in {self.writer.local(name) for name in given}:
            absent = [operand is None for operand in operands]
            tokens = [ABSENT if gone else token for gone, token in zip(absent, tokens, strict=True)]
        draft.events.append(Read(place.name, tokens, place.place, slot))  # type: ignore[arg-type]
        draft.variables.add(place.name)
        return replace(place.code, type=self._known_type(operands))

    def _known_type(self, operands: Operands) -> TensorType | None:
        """The type of a value that a node of the body makes."""
        types, strands = [], []
        for strand, operand in zip(self.block.strands, operands, strict=True):
            value = self.analysis.resolve(strand, operand)
            known = self.analysis.types[strand.definition.id]
            if isinstance(value, Use) and value.id in known:
                types.append(known[value.id])
                strands.append(strand)
        return self.type(types, strands) if types else None

    def _initialise(self, name: str, operands: Operands) -> None:
        """A variable that is a plain number in the first round: `balance = 0.0` before the loop.

        In nested loops it is set before the outermost one in whose first rounds alone it is a number.
        """
        static = [
            (strand, operand)
            for strand, operand in zip(self.block.strands, operands, strict=True)
            if isinstance(operand, Static)
        ]
        if not static:
            return
        level = max(
            (n + 1 for strand, _ in static for n, (_, number) in enumerate(strand.chain) if number), default=0
        )
        if level >= len(self.writer.loops):
            raise CannotMerge(f"`{name}` is a number in some elaborations only")
        opened, local = self.writer.loops[level], self.writer.local(name)
        strands = [strand.ancestor(level) for strand, _ in static]
        exprs = [operand.expr for _, operand in static]
        frames, self.terms.frames = self.terms.frames, self.terms.frames[:level]
        value = self.terms.express(exprs, strands, name)
        self.terms.frames = frames
        first = opened.loop.first
        opened.initials[local] = AssignStatic(target=local, value=value, origin=first.origin, at=first.at)
        tokens = {
            id(strand.ancestor(level + 1)): static_token(operand.expr.value) for strand, operand in static
        }
        rounds = opened.loop.body.strands
        starts = [tokens.get(id(rounds[each[0]])) if each else None for each in opened.loop.children]
        opened.initial_events.append(Write(local, starts))

    # ------------------------------------------------------------ weights

    def _weight(self, operands: list[Weight], definition: Definition) -> WeightRead:
        if len({operand.path for operand in operands}) > 1:
            raise CannotMerge("a weight of different layers")
        *layers, name = operands[0].path
        unit, owner = None, definition
        position = 0
        while position < len(layers):
            index = 0
            while position + 1 + index < len(layers) and layers[position + 1 + index].isdigit():
                index += 1
            numbers = tuple(int(i) for i in layers[position + 1 : position + 1 + index])
            found = [k for k in owner.layers if k.name == layers[position] and k.index == numbers]
            if not found:
                raise CannotMerge(f"there is no layer {layers[position]}")
            unit = self.registry.layer(found[:1]).name
            owner = self.registry.definitions[found[0].definitions[0]]
            position += 1 + index
        kind = next((w.kind for w in owner.weights if w.name == name), "param")
        path = tuple(self.attributes.get(layer, layer) for layer in layers)
        return WeightRead(layer=path, name=self.attributes.get(name, name), unit=unit, state=kind == "state")

    # ------------------------------------------------------------ nodes

    def node(self, step: Step) -> Draft:
        """The expression of a primitive, a call, or an item of a list."""
        draft = Draft()
        match step.first:
            case Apply():
                code = self._apply(step, draft)
            case Call():
                code = write_call(self, step, draft)
            case ItemNode():
                code = self._item(step, draft)
            case _:
                raise AssertionError(step.first)
        return draft.done(code, step.first)

    def arguments(self, step: Step, draft: Draft) -> list[Code]:
        codes: list[Code] = []
        for operands in item_operands(step):
            code = self.read(operands, draft)
            if code is None:
                raise CannotMerge("a missing operand")
            codes.append(code)
        return codes

    def _apply(self, step: Step, draft: Draft) -> Code:
        nodes, strands = self.nodes(step)
        first = nodes[0]
        assert isinstance(first, Apply)
        listed = self.analysis.list_name(self.block, step)
        whole = self.writer.local(listed) if listed is not None else self.collected(step)
        if whole is not None:
            draft.variables.add(whole)
            draft.events.append(ReadList(whole, self.contents(step)))
            args: list[Code] = [Variable(name=whole)]
        else:
            if len({len(n.inputs) for n in nodes if isinstance(n, Apply)}) > 1:
                raise CannotMerge(f"{first.at}: different numbers of operands")
            args = self.arguments(step, draft)
        if len({(n.op, frozenset(n.attrs), n.constant) for n in nodes if isinstance(n, Apply)}) > 1:
            raise CannotMerge(f"{first.at}: different attributes")
        attrs: dict[str, Expr] = {}
        for name in first.attrs:
            exprs = [n.attrs[name] for n in nodes if isinstance(n, Apply)]
            if decides_form(first.op, name):
                if not all(same(expr.value, exprs[0].value) for expr in exprs[1:]):
                    raise CannotMerge(f"{first.at}: `{name}` differs")
                attrs[name] = Const(value=exprs[0].value)
            elif first.op == "split" and equal_parts([expr.value for expr in exprs]):
                attrs[name] = self.terms.plain(exprs, strands, name)  # only their number is printed
            else:
                attrs[name] = self.terms.express(exprs, strands, name)
        if first.op not in INFIX:
            draft.depth += 1
        result = self.type([n.outputs[0].type for n in nodes if isinstance(n, Apply)], strands)
        return Primitive(
            op=first.op,
            args=tuple(args),
            attrs=attrs,
            constant=first.constant,
            type=result if len(first.outputs) == 1 else None,
        )

    def contents(self, step: Step) -> list[tuple[Token, ...] | None]:
        """The values of all operands of a step, strand by strand."""
        found: list[tuple[Token, ...] | None] = []
        for strand, node in zip(self.block.strands, step.nodes, strict=True):
            operands = node.inputs if isinstance(node, Apply) else getattr(node, "items", None)
            items = None if operands is None else tuple(self.analysis.token(strand, o) for o in operands)
            found.append(items)
        return found

    def collected(self, step: Step) -> str | None:
        """The list of a loop's values, if the operands of a step are all of these values in order."""
        slots = set()
        for strand, node in zip(self.block.strands, step.nodes, strict=True):
            operands = node.inputs if isinstance(node, Apply) else getattr(node, "items", ())
            for place, operand in enumerate(operands):
                found = self.analysis.round_of(strand, operand)
                if found is None or found[1] != place:
                    return None
                slots.add(found[0])
        if len(slots) != 1 or (isinstance(step.first, Apply) and step.first.op not in ("concat", "stack")):
            return None
        return self.writer.lists.get(slots.pop())

    def _item(self, step: Step, draft: Draft) -> Code:
        nodes, strands = self.nodes(step)
        first = nodes[0]
        assert isinstance(first, ItemNode)
        name = self.writer.local(first.name)
        position = self.terms.express(
            [n.position for n in nodes if isinstance(n, ItemNode)], strands, "position"
        )
        draft.variables.add(name)
        positions = [n.position.value if isinstance(n, ItemNode) else None for n in step.nodes]
        values = [n.value if isinstance(n, ItemNode) else None for n in step.nodes]
        draft.events.append(ReadItem(name, positions, self.writer.tokens(values)))
        result = self.type([n.output.type for n in nodes if isinstance(n, ItemNode)], strands)
        return ListItem(name=name, position=position, type=result)

    def nodes(self, step: Step) -> tuple[list[object], list[Strand]]:
        pairs = [(n, s) for n, s in zip(step.nodes, self.block.strands, strict=True) if n is not None]
        return [n for n, _ in pairs], [s for _, s in pairs]

    def type(self, types: Sequence[TensorType], strands: Sequence[Strand]) -> TensorType | None:
        """A value's type in the unit's terms; sizes without an expression are unknown (None)."""
        key = (*(id(shape) for shape in (t.shape for t in types)), *(id(s) for s in strands))
        known = self.types.get(key)
        if known is not None and known.dtype == types[0].dtype:
            return known
        if len({(t.dtype, t.rank) for t in types}) > 1:
            return None
        columns = zip(*(t.shape for t in types), strict=True)
        shape = tuple(self.terms.describe(list(column), strands) for column in columns)
        made = TensorType(dtype=types[0].dtype, shape=shape)
        self.types[key] = made
        return made

    # ------------------------------------------------------------ draws

    def distribution(self, found: Sequence[Distribution], strands: Sequence[Strand]) -> Distribution:
        """A distribution in the unit's terms."""
        first = found[0]
        if len({(d.name, frozenset(d.args)) for d in found}) > 1:
            raise CannotMerge("different distributions")
        args = {k: self.terms.express([d.args[k] for d in found], strands, k) for k in first.args}
        return Distribution(name=first.name, args=args)
