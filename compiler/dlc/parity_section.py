"""The `parity { }` section of a file: syntax in, `ParitySettings` or diagnostics out.

Keys: `net`, `targets`, `devices`, `seeds`, `dtypes`; groups: `sizes`, `inputs`, `check forward`,
`check gradient`, `check steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from dlc import dims, ir, statics
from dlc.api import Module, Net
from dlc.elaborate import distributions
from dlc.elaborate.dispatch import evaluate
from dlc.elaborate.failure import Failed, fail
from dlc.elaborate.frame import Frame, Session
from dlc.elaborate.program import scratch_frame
from dlc.modules import suggest
from dlc.parity.cases import Check, DType, ParitySettings
from dlc.parity.tolerance import Tolerance
from dlc.selecting import covered, net_label, parity_sections
from dlc.sizes import size_variables
from dlc.values import STATIC, DistributionValue
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic
from dlc_grammar.source import Span

DTYPES: dict[str, DType] = {"f32": "float32", "f64": "float64"}
NOT_COMPARED = ("bf16", "f16")
DEVICES = {"cpu": "cpu", "gpu": "cuda", "cuda": "cuda"}
SETTINGS = ("net", "targets", "devices", "seeds", "dtypes")
SECTIONS = ("sizes", "inputs", "check")
CHECKS = ("forward", "gradient", "steps")


def input_names(program: ir.Program) -> tuple[str, ...]:
    ids = [method.eval for method in program.methods]
    return tuple(dict.fromkeys(item.name for name in ids for item in program.definitions[name].inputs))


def read_section(section: syntax.Section, net: Net) -> tuple[ParitySettings, tuple[Diagnostic, ...]]:
    """What a section says about a network; all that is wrong with it is in the diagnostics."""
    reader = Reader(net, Session(net.module.loader))
    reader.read(section)
    return reader.settings, tuple(reader.diagnostics)


@dataclass
class Reader:
    """Reads one section; a wrong key or value is reported, and the rest is read."""

    net: Net
    session: Session
    settings: ParitySettings = field(default_factory=ParitySettings)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def frame(self) -> Frame:
        """File constants, the network's parameters and its sizes are in scope."""
        frame = scratch_frame(self.session, self.net.module.loaded)
        frame.names.update(self.net.program.parameters)
        for name in size_variables(self.net.program):
            frame.names[name] = statics.ref(name, dims.variable(name))
        return frame

    def put(self, **changes: Any) -> None:
        self.settings = replace(self.settings, **changes)

    def attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Failed as failed:
            if failed.diagnostic is not None:
                self.diagnostics.append(failed.diagnostic)

    def read(self, section: syntax.Section) -> None:
        self.put(at=self.session.location(section.span))
        for item in section.items:
            self.attempt(lambda item=item: self.item(item))  # type: ignore[misc]

    def item(self, item: syntax.Setting | syntax.Section) -> None:
        name = item.name.id if isinstance(item.name, syntax.Ident) else item.name.span.text
        if isinstance(item, syntax.Section):
            self.group(name, item)
            return
        match name:
            case "net":
                self.net_name(item.value)
            case "targets":
                self.put(targets=tuple(self.words(item.value)))
            case "devices":
                self.put(
                    devices=tuple(self.chosen(word, DEVICES, "device") for word in self.named(item.value))
                )
            case "seeds":
                self.put(seeds=self.numbers(item.value, least=0))
            case "dtypes":
                self.dtypes(item.value)
            case _:
                raise unknown(name, item.name.span, SETTINGS, SECTIONS)

    def group(self, name: str, section: syntax.Section) -> None:
        match name:
            case "sizes":
                self.sizes(section)
            case "inputs":
                self.inputs(section)
            case "check":
                self.check(section)
            case _:
                raise unknown(name, section.name.span, SECTIONS, SETTINGS)

    # ------------------------------------------------------------ settings

    def net_name(self, value: syntax.Expr) -> None:
        label = net_label(value)
        if label is None:
            raise wrong(
                value.span, "this is not the name of a network", "write for example: net = Model.tiny"
            )
        found = self.net.module.find(label)
        if isinstance(found, Diagnostic):
            raise Failed(replace(found, span=value.span, label="not found in this file"))
        self.put(net=label)

    def dtypes(self, value: syntax.Expr) -> None:
        found: list[DType] = []
        for word, span in self.named(value):
            if word in NOT_COMPARED:
                self.note(span, f"`{word}` is kept but not compared yet")
            else:
                found.append(self.chosen((word, span), DTYPES, "dtype"))
        if found:
            self.put(dtypes=tuple(dict.fromkeys(found)))

    def sizes(self, section: syntax.Section) -> None:
        known = size_variables(self.net.program)
        found: dict[str, tuple[int, ...]] = {}

        def one(name: str, setting: syntax.Setting) -> None:
            if name not in known:
                raise unknown(name, setting.name.span, tuple(sorted(known)), what="size", of=self.net.label)
            found[name] = self.numbers(setting.value, least=1)

        self.entries(section, one)
        self.put(sizes=found)

    def inputs(self, section: syntax.Section) -> None:
        names = input_names(self.net.program)
        found: dict[str, ir.Distribution] = {}

        def one(name: str, setting: syntax.Setting) -> None:
            if name not in names:
                raise unknown(name, setting.name.span, names, what="input", of=self.net.label)
            value = evaluate(self.frame, setting.value)
            if not isinstance(value, DistributionValue):
                known = ", ".join(list(distributions.DISTRIBUTIONS)[:6])
                raise wrong(
                    setting.value.span, "an input is drawn from a distribution", f"there are {known}, ..."
                )
            found[name] = ir.Distribution(name=value.name, args=value.args)

        self.entries(section, one)
        self.put(inputs=found)

    def check(self, section: syntax.Section) -> None:
        kind = section.args[0] if len(section.args) == 1 else None
        if not isinstance(kind, tuple) or len(kind) != 1 or kind[0].id not in CHECKS:
            span = section.name.span if not isinstance(kind, tuple) else kind[0].span
            shown = kind[0].id if isinstance(kind, tuple) else ""
            raise unknown(shown or "check", span, tuple(CHECKS), what="check")
        count, tolerances = 1, dict[DType, Tolerance]()

        def one(name: str, setting: syntax.Setting) -> None:
            nonlocal count
            if name == "count" and kind[0].id == "steps":
                (count,) = self.numbers(setting.value, least=1)
            elif name in DTYPES:
                tolerances[DTYPES[name]] = self.tolerance(setting.value)
            elif name in NOT_COMPARED:
                self.note(setting.name.span, f"`{name}` is kept but not compared yet")
            else:
                raise unknown(name, setting.name.span, ("count", *DTYPES, *NOT_COMPARED))

        self.entries(section, one)
        if kind[0].id == "steps":
            self.note(section.name.span, "`check steps` is kept but not run yet")
        made = Check(kind[0].id, tolerances, count, self.session.location(section.span))
        self.put(checks=(*self.settings.checks, made))

    def entries(self, section: syntax.Section, one: Callable[[str, syntax.Setting], None]) -> None:
        """Every `key = value` of a group."""
        for item in section.items:
            self.attempt(lambda item=item: self.entry(item, one))  # type: ignore[misc]

    def entry(
        self, item: syntax.Setting | syntax.Section, one: Callable[[str, syntax.Setting], None]
    ) -> None:
        if not isinstance(item, syntax.Setting) or not isinstance(item.name, syntax.Ident):
            raise wrong(item.span, "here are only settings", "write key = value")
        one(item.name.id, item)

    # ------------------------------------------------------------ values

    def named(self, value: syntax.Expr) -> list[tuple[str, Span]]:
        """`[cpu, gpu]` or `cpu`, as words with their places."""
        items = value.items if isinstance(value, (syntax.List_, syntax.Tuple_)) else (value,)
        found = []
        for item in items:
            if isinstance(item, syntax.Name):
                found.append((item.id, item.span))
            elif isinstance(item, syntax.Literal_) and isinstance(item.value, str):
                found.append((item.value, item.span))
            else:
                raise wrong(item.span, "this is not a name", "write a list of names: [torch, jax]")
        return found

    def words(self, value: syntax.Expr) -> Iterable[str]:
        """Targets: they must be installed."""
        from dlc.backend import ALIASES, backend_names

        installed = backend_names()
        for word, span in self.named(value):
            name = ALIASES.get(word, word)
            if name not in installed:
                raise unknown(word, span, installed, what="target")
            yield name

    def chosen(self, word: tuple[str, Span], table: dict[str, Any], what: str) -> Any:
        if word[0] not in table:
            raise unknown(*word, tuple(table), what=what)
        return table[word[0]]

    def numbers(self, value: syntax.Expr, least: int) -> tuple[int, ...]:
        """A whole number, or a list of them."""
        found = evaluate(self.frame, value)
        items = found.value if isinstance(found, STATIC) else None
        items = items if isinstance(items, tuple) else (items,)
        good = items and all(isinstance(n, int) and not isinstance(n, bool) and n >= least for n in items)
        if not good:
            raise wrong(
                value.span, f"this is not a list of whole numbers from {least} on", "write for example [1, 7]"
            )
        return tuple(int(n) for n in items)

    def tolerance(self, value: syntax.Expr) -> Tolerance:
        """`tol(rtol=1e-5, atol=1e-6)`."""
        usage = "write tol(rtol=1e-5, atol=1e-6)"
        if not isinstance(value, syntax.Call) or not isinstance(value.function, syntax.Name):
            raise wrong(value.span, "this is not a tolerance", usage)
        if value.function.id != "tol" or value.args:
            raise wrong(value.span, "this is not a tolerance", usage)
        parts = {"rtol": 0.0, "atol": 0.0}
        for keyword in value.keywords:
            if keyword.name.id not in parts:
                raise unknown(keyword.name.id, keyword.name.span, tuple(parts))
            found = evaluate(self.frame, keyword.value)
            number = found.value if isinstance(found, STATIC) else None
            if not isinstance(number, (int, float)) or isinstance(number, bool) or number < 0:
                raise wrong(keyword.value.span, "this is not a number from 0 on", usage)
            parts[keyword.name.id] = float(number)
        return Tolerance(**parts)

    def note(self, span: Span, message: str) -> None:
        self.diagnostics.append(Diagnostic("W020", message, span, "in parity", severity="warning"))


def check_sections(module: Module, only: str | None = None) -> tuple[Diagnostic, ...]:
    """What is wrong with the `parity` sections of a file (`only`: of one network), for `dlc check`."""
    found = [
        d
        for s in parity_sections(module)
        for net, _ in covered(module, s)[:1]
        if only is None or only == net.label
        for d in read_section(s, net)[1]
    ]
    return tuple(d for d in found if d.severity == "error")


def fitting(settings: ParitySettings, net: Net, named: str | None) -> ParitySettings:
    """The settings without what another network of the file means."""
    known = size_variables(net.program)
    sizes = {name: values for name, values in settings.sizes.items() if name in known}
    return replace(settings, sizes=sizes) if named is not None else settings


def unknown(
    name: str,
    span: Span,
    known: tuple[str, ...],
    more: tuple[str, ...] = (),
    what: str = "setting",
    of: str = "parity",
) -> Failed:
    """E0602, with the nearest name."""
    hint = suggest(name, (*known, *more)) or f"there are {', '.join((*known, *more)) or 'none'}"
    owner = f"`{of}`" if of != "parity" else "a parity section"
    return fail("E0602", f"{owner} has no {what} `{name}`", span, "not known here", help=hint)


def wrong(span: Span, message: str, help: str) -> Failed:
    return fail("E0605", message, span, "in parity", help=help)
