"""Files and what they declare: paths in, `LoadedModule`s and diagnostics out.

`std/core.dl` is always in scope; other files are found by `from .name import` (relative to the file) or
`from std.name import`. Declarations form a DAG: cyclic imports and recursion are errors here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from dlc import ir
from dlc_grammar import syntax
from dlc_grammar.diagnostics import Diagnostic, Note
from dlc_grammar.files import load_source as read_source
from dlc_grammar.library import parse_library
from dlc_grammar.parse import parse
from dlc_grammar.source import Source, Span

STD = Path(__file__).parent / "std"
Declaration = syntax.Block | syntax.Alias | syntax.Function | syntax.Const


@dataclass(eq=False)
class LoadedModule:
    """A parsed file with its declarations by name, its own and the imported ones."""

    path: Path | None
    source: Source
    tree: syntax.Module
    user: bool
    """Whether the user wrote it (the blame of a message stops here)."""
    declarations: dict[str, Declaration] = field(default_factory=dict)
    imported: dict[str, tuple[LoadedModule, str]] = field(default_factory=dict)
    presets: dict[str, dict[str, syntax.Section]] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    """Names that are declared twice (reported): using them is silent."""
    partial: bool = False
    """Whether a part of the file could not be parsed (reported): what is missing may be in it."""

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def is_std(self) -> bool:
        return self.path is not None and self.path.parent == STD

    def find(self, name: str) -> tuple[LoadedModule, Declaration] | None:
        """The declaration a name stands for in this file, following imports."""
        if name in self.declarations:
            return self, self.declarations[name]
        if name in self.imported:
            module, original = self.imported[name]
            return module.find(original)
        return None


@cache
def library_with(name: str) -> str | None:
    """The library that declares a name and has to be imported for it: `std.attention`."""
    declaration = re.compile(rf"^(?:block|fn|const) {re.escape(name)}\b", re.MULTILINE)
    for path in sorted(STD.glob("*.dl")):
        if path.stem != "core" and declaration.search(path.read_text(encoding="utf-8")):
            return f"std.{path.stem}"
    return None


def unknown_name_help(name: str, close: str) -> str:
    """What to do about a name that is not known. `close`: a name in scope that it may be meant for."""
    library = library_with(name)
    return f"write above: from {library} import {name}" if library else close or "define it, or import it"


def suggest(name: str, candidates: Iterable[str]) -> str:
    """`did you mean ...?`, or nothing."""
    everything = sorted({c for c in candidates if c != name})
    alike = [c for c in everything if c[:1].isupper() == name[:1].isupper()]
    close = difflib.get_close_matches(name, alike, n=1, cutoff=0.65)
    close = close or difflib.get_close_matches(name, everything, n=1, cutoff=0.8)
    return f"did you mean `{close[0]}`?" if close else ""


def plural(number: int, word: str) -> str:
    """`1 result`, `2 results`."""
    return f"{number} {word}" + ("" if number == 1 else "s")


def listed(names: Iterable[str], limit: int = 8) -> str:
    """Names for a message: the first ones, and how many there are."""
    found = list(names)
    rest = f", ... ({len(found)} in all)" if len(found) > limit else ""
    return ", ".join(found[:limit]) + rest


class Loader:
    """Reads files once, with the files that they import."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.modules: dict[Path, LoadedModule | None] = {}
        self.loading: list[Path] = []
        self.root: Path | None = None
        self.programs: dict[object, ir.Program] = {}
        """Networks that were elaborated without findings, by declaration and parameters."""
        self.texts: list[Source] = []
        """Texts that were given without a path."""
        self.prelude = self._load_std("core")

    def _load_std(self, name: str) -> LoadedModule | None:
        path = STD / f"{name}.dl"
        return self.load(path, label=f"std/{name}.dl", user=False) if path.is_file() else None

    def load(self, path: Path, *, label: str | None = None, user: bool = True) -> LoadedModule | None:
        """The module in a file, None where it cannot be read or parsed (diagnostics say why)."""
        key = path.resolve()
        if key in self.modules:
            return self.modules[key]
        source = read_source(path, label or str(path))
        if isinstance(source, Diagnostic):
            self.diagnostics.append(source)
            self.modules[key] = None
            return None
        return self.load_source(source, key, user=user)

    def load_source(self, source: Source, path: Path | None, *, user: bool = True) -> LoadedModule | None:
        """The module in a text; relative imports are looked up beside `path`."""
        if self.root is None and user:
            self.root = (path.parent if path else Path.cwd()).resolve()
        tree, diagnostics = parse(source) if user else parse_library(source)
        self.diagnostics.extend(diagnostics)
        if tree is None:
            if path:
                self.modules[path] = None
            return None
        module = LoadedModule(path, source, tree, user)
        module.partial = any(d.severity == "error" for d in diagnostics)
        if path is None:
            self.texts.append(source)
        if path:
            self.loading.append(path)
        self._declare(module)
        if path:
            self.loading.pop()
            self.modules[path] = module
        return module

    def _declare(self, module: LoadedModule) -> None:
        for item in module.tree.items:
            match item:
                case syntax.Import():
                    self._import(module, item)
                case syntax.Block() | syntax.Alias() | syntax.Function() | syntax.Const():
                    self._add(module, item)
        for item in module.tree.items:
            if isinstance(item, syntax.Section) and item.name.id == "preset":
                self._preset(module, item)

    def _add(self, module: LoadedModule, item: Declaration) -> None:
        name = item.name.id
        if isinstance(item, (syntax.Block, syntax.Alias)) and not name[:1].isupper():
            self._report(
                "E0108",
                f"a {item.kind} has a capitalised name",
                item.name.span,
                "lower case is for values and functions",
                help=f"write `{item.kind} {_capital(name)}`",
            )
        if isinstance(item, syntax.Function) and name[:1].isupper():
            self._report(
                "E0108",
                "a function has a lower-case name",
                item.name.span,
                "capitals are for blocks",
                help=f"write `fn {_lower(name)}`",
            )
        if isinstance(item, syntax.Const) and name[:1].isupper():
            self._report(
                "E0108",
                "a value has a lower-case name",
                item.name.span,
                "capitals are for blocks and sizes",
                help=f"write `const {name.lower()}`",
            )
        if isinstance(item, syntax.Function) and item.body is None and module.user:
            self._report(
                "E0116",
                f"function `{name}` has no body",
                item.span,
                "only the standard library declares primitives",
                help="add a body: `{ return ... }`",
            )
        previous = module.declarations.get(name)
        if name in module.imported:
            self._report(
                "E0102",
                f"`{name}` is imported and declared",
                item.name.span,
                "declared here too",
                help=f"rename this one, or import the other one as: `{name} as other`",
            )
            module.doubtful.add(name)
            return
        if previous is not None:
            self._report(
                "E0102",
                f"`{name}` is declared twice",
                item.name.span,
                "declared again here",
                notes=(Note("first declared here", previous.name.span),),
                help="rename one of the two",
            )
            module.doubtful.add(name)
            return
        module.declarations[name] = item

    def _preset(self, module: LoadedModule, section: syntax.Section) -> None:
        path = section.args[0] if len(section.args) == 1 else None
        if not isinstance(path, tuple) or len(path) != 2:
            self._report(
                "E0603",
                "a preset is named `Net.name`",
                section.name.span,
                "in this preset",
                help="write for example: preset Model.large { dim = 1024 }",
            )
            return
        net, name = path
        target = module.find(net.id)
        if target is not None and not isinstance(target[1], (syntax.Block, syntax.Alias)):
            self._report(
                "E0603",
                f"`{net.id}` is not a net",
                net.span,
                "a preset holds parameters of a net",
                help="write for example: preset Model.large { dim = 1024 }",
            )
            return
        if target is None and net.id in module.imported:
            return
        if target is None:
            names = [n for n, d in module.declarations.items() if isinstance(d, syntax.Block)]
            self._report(
                "E0101",
                f"unknown name `{net.id}`",
                net.span,
                "not found in this file",
                help=suggest(net.id, names) or "name a net of this file",
            )
            return
        known = module.presets.setdefault(net.id, {})
        if name.id in known:
            self._report(
                "E0102",
                f"preset `{net.id}.{name.id}` is declared twice",
                name.span,
                "declared again here",
                help="rename one of the two",
                notes=(Note("first declared here", known[name.id].name.span),),
            )
            return
        known[name.id] = section

    def _import(self, module: LoadedModule, item: syntax.Import) -> None:
        target = self._imported_module(module, item)
        for name in item.names:
            local = (name.alias or name.name).id
            if target is None:
                module.imported.setdefault(local, (_BROKEN, ""))
                continue
            if target.find(name.name.id) is None and target.partial:
                module.imported.setdefault(local, (_BROKEN, ""))
                continue
            if target.find(name.name.id) is None:
                self._report(
                    "E0104",
                    f"`{'.'.join(item.path)}` does not declare `{name.name.id}`",
                    name.name.span,
                    "not found there",
                    help=suggest(name.name.id, target.declarations)
                    or f"it declares {listed(target.declarations) or 'nothing'}",
                )
                module.imported.setdefault(local, (_BROKEN, ""))
                continue
            if local in module.imported:
                self._report(
                    "E0102",
                    f"`{local}` is imported twice",
                    (name.alias or name.name).span,
                    "imported again here",
                    help=f"remove one, or rename it: `{name.name.id} as other`",
                )
                continue
            module.imported[local] = (target, name.name.id)

    def _imported_module(self, module: LoadedModule, item: syntax.Import) -> LoadedModule | None:
        shown = "." * item.dots + ".".join(item.path)
        if item.dots == 0:
            if item.path[0] != "std":
                self._report(
                    "E0103",
                    f"there is no library `{item.path[0]}`",
                    item.path_span,
                    "imported here",
                    help=f"write `from .{'.'.join(item.path)} import` for a file beside this one",
                )
                return None
            found = self._load_std("/".join(item.path[1:])) if len(item.path) == 2 else None
            if found is None:
                names = ", ".join(f"std.{p.stem}" for p in sorted(STD.glob("*.dl")))
                self._report(
                    "E0103",
                    f"there is no library `{shown}`",
                    item.path_span,
                    "imported here",
                    help=f"the standard library has {names}",
                )
            return found
        return self._relative(module, item, shown)

    def _relative(self, module: LoadedModule, item: syntax.Import, shown: str) -> LoadedModule | None:
        folder = module.path.parent if module.path else Path.cwd()
        for _ in range(item.dots - 1):
            folder = folder.parent
        path = (folder / "/".join(item.path)).with_suffix(".dl").resolve()
        root = self.root or folder
        if not path.is_relative_to(root.parent):
            self._report(
                "E0117",
                f"`{shown}` is outside the project",
                item.path_span,
                "imported here",
                help="move the file beside this one",
            )
            return None
        if path in self.loading:
            cycle = " -> ".join(p.stem for p in [*self.loading[self.loading.index(path) :], path])
            self._report(
                "E0105",
                "these files import each other",
                item.path_span,
                f"the cycle is {cycle}",
                help="move what both need into a third file",
            )
            return None
        if not path.is_file():
            self._report(
                "E0103",
                f"cannot find the file of `{shown}`",
                item.path_span,
                "imported here",
                notes=(Note(f"looked for {'/'.join(item.path)}.dl in {_shown_folder(module, item.dots)}"),),
                help=_other_file(path, shown),
            )
            return None
        return self.load(path, label=_label(module, path), user=True)

    def _report(
        self, code: str, message: str, span: Span, label: str, *, notes: tuple[Note, ...] = (), help: str = ""
    ) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, label, notes, help))


def _label(module: LoadedModule, path: Path) -> str:
    base = module.path.parent if module.path else Path.cwd()
    folder = Path(module.source.name).parent
    try:
        return str(folder / path.relative_to(base))
    except ValueError:
        return path.name


def _shown_folder(module: LoadedModule, dots: int) -> str:
    return "/".join([str(Path(module.source.name).parent), *[".."] * (dots - 1)])


def _other_file(path: Path, shown: str) -> str:
    """What to write instead of an import whose file does not exist."""
    folder = path.with_suffix("")
    if folder.is_dir():
        inside = sorted(p.stem for p in folder.glob("*.dl"))
        return f"this is a folder; name a file in it: {shown}.{inside[0] if inside else 'file'}"
    names = sorted(p.stem for p in path.parent.glob("*.dl")) if path.parent.is_dir() else []
    return suggest(path.stem, names) or (f"there are {listed(names)}" if names else "check the name")


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


_BROKEN = LoadedModule(None, Source("", ""), syntax.Module(Source("", ""), (), (), ""), False)


def is_broken(module: LoadedModule) -> bool:
    """Whether an import of this name already failed, and was reported."""
    return module is _BROKEN
