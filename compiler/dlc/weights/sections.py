"""The `load` sections of a file: which networks each one is for.

In: a module. Out: the `Header` of every section, or the sections that are for one network, by name.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlc.api import Module, Net
from dlc.elaborate.failure import Failed, fail
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic, DiagnosticError, Note
from dlc_grammar.source import Span


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


def read_header(section: syntax.Section) -> Header:
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


def read_headers(module: Module) -> tuple[list[Header], list[Diagnostic]]:
    """The maps of a file, and what is wrong with their first lines."""
    found: list[Header] = []
    diagnostics: list[Diagnostic] = []
    seen: dict[tuple[str, str], Span] = {}
    for section in module.sections("load"):
        try:
            head = read_header(section)
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


def sections_for(module: Module, net: Net) -> dict[str, syntax.Section]:
    """The maps of a file that are for a network, by name: that of its preset, or of all presets."""
    found, diagnostics = read_headers(module)
    if diagnostics:
        raise DiagnosticError(diagnostics)
    sections: dict[str, syntax.Section] = {}
    own = set[str]()
    for head in found:
        for subject in head.subjects:
            if not stands_for(module, subject, net):
                continue
            if subject.preset is not None and subject.preset == net.block.preset:
                own.add(head.name)
                sections[head.name] = head.section
            elif subject.preset is None and head.name not in own:
                sections[head.name] = head.section
    return sections


def stands_for(module: Module, subject: Subject, net: Net) -> bool:
    """Whether a name in a file is that network's; the network may have been read for itself."""
    target = module.loaded.find(subject.name)
    if target is None:
        return False
    declared = net.block.declaration
    same_file = target[0].path is not None and target[0].path == net.block.module.path
    return target[1] is declared or (same_file and target[1].name.id == declared.name.id)
