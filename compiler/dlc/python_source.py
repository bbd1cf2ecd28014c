"""Python text to Python's own syntax tree, from any thread."""

from __future__ import annotations

import ast
from threading import Lock

ONE_AT_A_TIME = Lock()
"""Held while a tree is made. Whoever else makes one in a program with threads takes it, too."""


def parse_python(text: str) -> ast.Module:
    """`ast.parse`, one thread at a time. Raises SyntaxError.

    CPython 3.11 counts the depth of the tree that it makes in one place for all threads, and raises
    SystemError ("AST constructor recursion depth mismatch") when two threads make trees at once; targets
    are emitted in parallel (https://github.com/python/cpython/issues/106905).
    """
    with ONE_AT_A_TIME:
        return ast.parse(text)
