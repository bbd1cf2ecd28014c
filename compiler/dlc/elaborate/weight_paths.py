"""Every parameter and state of a network by its path, with the initial values that `init` rules give it."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Mapping
from functools import lru_cache

from dlc import ir
from dlc.elaborate.failure import fail
from dlc.elaborate.frame import Elaborated, InitRule, Session
from dlc.ir import TensorType
from dlc_grammar.record import replace


def collect_weights(session: Session, roots: list[Elaborated]) -> tuple[ir.WeightSpec, ...]:
    """Every parameter and state by path, with the `init` rules applied. Raises Failed (E0107, E0601)."""
    found: dict[str, ir.WeightSpec] = {}
    memo: dict[str, dict[str, ir.WeightSpec]] = {}
    for root in roots:
        for path, spec in _weights_of(session, root, memo).items():
            if path in found and found[path].at != spec.at:
                raise fail(
                    "E0107",
                    f"`{path}` is declared by two methods",
                    session.span(spec.at),
                    "declared again here",
                    help="choose another label in one of them",
                )
            found.setdefault(path, spec)
    return tuple(found.values())


def _numbers_of(type_: TensorType) -> tuple[int, ...]:
    """The sizes of a weight, which are numbers (E0304 was checked)."""
    return tuple(size for size in type_.sizes if isinstance(size, int))


def _weights_of(
    session: Session, made: Elaborated, memo: dict[str, dict[str, ir.WeightSpec]]
) -> dict[str, ir.WeightSpec]:
    definition = made.definition
    if definition.id in memo:
        return memo[definition.id]
    found: dict[str, ir.WeightSpec] = {}
    for weight in definition.weights:
        found[weight.name] = ir.WeightSpec(
            path=weight.name,
            kind=weight.kind,
            shape=_numbers_of(weight.tensor.type),
            init=weight.init.name,
            init_args=_numbers(weight.init),
            at=weight.at,
        )
    for layer in definition.layers:
        prefix = ".".join((layer.name, *(str(i) for i in layer.index)))
        for callee in layer.definitions:
            for path, spec in _weights_of(session, session.definitions[callee], memo).items():
                full = f"{prefix}.{path}"
                if full not in found:
                    found[full] = replace(spec, path=full)
    for callee in ir.callees(definition.body):
        target = session.definitions[callee]
        if target.definition.kind != "fn" and target.definition.family == definition.family:
            for path, spec in _weights_of(session, target, memo).items():
                found.setdefault(path, spec)
    _apply_init(made.init_rules, found)
    memo[definition.id] = found
    return found


def _numbers(distribution: ir.Distribution) -> dict[str, float]:
    return {name: expr.value for name, expr in distribution.args.items()}


def _apply_init(rules: tuple[InitRule, ...], found: dict[str, ir.WeightSpec]) -> None:
    for rule in rules:
        pattern = glob(rule.pattern)
        matched = [path for path in found if pattern.fullmatch(path)]
        if not matched:
            raise fail(
                "E0601",
                f'pattern "{rule.pattern}" matches no parameter',
                rule.span,
                "in init",
                help=closest_paths(rule.pattern, found),
            )
        for path in matched:
            if found[path].kind == "param":
                numbers = _numbers(rule.distribution)
                found[path] = replace(found[path], init=rule.distribution.name, init_args=numbers)


def closest_paths(pattern: str, found: Mapping[str, object]) -> str:
    """What the weights here are called, for a pattern that matches none."""
    if not found:
        return "there are no parameters here"
    close = difflib.get_close_matches(pattern.replace("*", ""), list(found), n=3, cutoff=0.6)
    return f"paths look like {', '.join(close or list(found)[:3])}"


@lru_cache(maxsize=256)
def glob(pattern: str) -> re.Pattern[str]:
    """A path glob: `*` one segment (or part of it), `**` any number, `{a,b}` either, `{i}` anything."""
    out, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**.", at):
            out, at = out + r"(?:[^.]+\.)*", at + 3
        elif pattern.startswith("**", at):
            out, at = out + ("" if out.endswith(".*") else ".*"), at + 2
        elif pattern[at] == "*":
            out, at = out + "[^.]*", at + 1
        elif pattern[at] == "{" and "}" in pattern[at:]:
            stop = pattern.index("}", at)
            inside = pattern[at + 1 : stop]
            choices = "|".join(
                fnmatch.translate(c)[4:-3] if "*" in c else re.escape(c) for c in inside.split(",")
            )
            out, at = out + (f"(?:{choices})" if "," in inside else "[^.]+"), stop + 1
        else:
            out, at = out + re.escape(pattern[at]), at + 1
    return re.compile(out)
