"""The statement layout: what `ruff format` would print, and nothing else."""

from __future__ import annotations

import ast
import random
import subprocess
import sys

import pytest

from dlc.emit.layout import layout
from dlc.emit.printer import FileWriter

WRITTEN = {
    "x = (a + b) * c": "x = (a + b) * c",
    "x = (a * (b)) + (c)": "x = a * b + c",
    "x = a - (b - c)": "x = a - (b - c)",
    "x = (a ** b) ** c": "x = (a**b) ** c",
    "x = -(a ** 2)": "x = -(a**2)",
    "x = y[a+1:, 2]": "x = y[a + 1 :, 2]",
    "x = y[1:, ::2]": "x = y[1:, ::2]",
    "x = 0.00001": "x = 1e-5",
    "x = f('a')": 'x = f("a")',
    "x = (1,)": "x = (1,)",
    "a, b = c": "a, b = c",
    "x: tuple[int, ...] = (1, 2)": "x: tuple[int, ...] = (1, 2)",
    "for (i, a), b in zip(x, y):": "for (i, a), b in zip(x, y):",
}


@pytest.mark.parametrize(("given", "wanted"), WRITTEN.items())
def test_short_statements(given: str, wanted: str) -> None:
    assert layout(given) == wanted


def test_arguments_first_share_a_line() -> None:
    names = ", ".join(f"argument_{n}" for n in range(6))
    assert layout(f"result = function_name({names})") == f"result = function_name(\n    {names}\n)"


def test_arguments_then_stand_alone() -> None:
    names = [f"argument_number_{n}" for n in range(6)]
    wanted = "".join(f"    {name},\n" for name in names)
    assert layout(f"result = f({', '.join(names)})") == f"result = f(\n{wanted})"


def test_comment_without_room_goes_above() -> None:
    writer = FileWriter()
    writer.statement(f"x = {'y' * 70}", comment="[batch, heads, time]")
    writer.statement("x = y", comment="[batch]")
    assert writer.text() == f"# [batch, heads, time]\nx = {'y' * 70}\nx = y  # [batch]\n"


def test_the_brackets_of_a_negated_element_break() -> None:
    text = layout(f"each = -take({'x' * 40}, {'y' * 40})[..., 0]")
    assert text == f"each = -take(\n    {'x' * 40}, {'y' * 40}\n)[..., 0]"


def test_a_function_in_a_block_stands_alone() -> None:
    writer = FileWriter()
    with writer.block("if x"), writer.definition("step", [], "None"):
        writer.statement("return y")
    assert writer.text() == "if x:\n\n    def step() -> None:\n        return y\n"


# ---------------------------------------------------------------- random statements against ruff

NAMES = ("x", "heads", "self.attention", "config.layers", "probabilities", "head_dim")
FUNCTIONS = ("F.gelu", "self.norm", "torch.cat", "F.scaled_dot_product_attention")
OPERATORS = ("+", "-", "*", "/", "@", "//", "<")


def expression(rng: random.Random, depth: int) -> str:
    choice = rng.random() if depth else 0.0
    if choice < 0.2:
        return rng.choice((*NAMES, "0.5", "2"))
    if choice < 0.55:
        return f"{rng.choice(FUNCTIONS)}({arguments(rng, depth)})"
    if choice < 0.7:
        return f"{rng.choice(NAMES)}.reshape({arguments(rng, depth - 1)})"
    if choice < 0.9:
        left, right = (expression(rng, depth - 1) for _ in range(2))
        return f"({left}) {rng.choice(OPERATORS)} ({right})"
    if choice < 0.95:
        return f"{rng.choice(NAMES)}[{expression(rng, depth - 1)}]"
    return f"[{expression(rng, depth - 1)}, {expression(rng, depth - 1)}]"


def arguments(rng: random.Random, depth: int) -> str:
    items = [expression(rng, max(depth - 1, 0)) for _ in range(rng.randint(1, 3))]
    items += [f"{name}={expression(rng, 0)}" for name in ("dim", "scale") if rng.random() < 0.3]
    return ", ".join(items)


@pytest.mark.parametrize("seed", range(3))
def test_random_statements_as_ruff_prints_them(seed: int) -> None:
    rng = random.Random(seed)
    statements = [
        statement
        for _ in range(150)
        if len(statement := f"{rng.choice(('x = ', 'return '))}{expression(rng, 3)}") < 240
    ]
    printed = [layout(statement, 4) for statement in statements]
    for statement, text in zip(statements, printed, strict=True):
        assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(statement))
    source = "\n\n\n".join(f"def f{n}():\n    {text}" for n, text in enumerate(printed)) + "\n"
    ruff = [sys.executable, "-m", "ruff", "format", "--isolated", "-"]
    result = subprocess.run(ruff, input=source, capture_output=True, text=True, check=True)
    functions = zip(source.split("\n\n\n"), result.stdout.split("\n\n\n"), strict=True)
    different = [ours for ours, theirs in functions if ours.strip() != theirs.strip()]
    assert len(different) <= len(printed) // 50, "\n".join(different)
