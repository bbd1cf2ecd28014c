"""Keeps the values that instrumented statements compute, in execution order.

In: calls from instrumented code (see `dlc.parity.instrument`), each with the number of its
statement and the value of its expression. Out: the value that the code goes on with. What happens
to a value is the framework's affair: its runner sets `keep`, for example to remember the tensor and
ask for its gradient, or to add a zero with respect to which it differentiates.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

Keep: TypeAlias = Callable[[int, Any], Any]


class Recorder:
    """`recorder(site, value)` passes every tensor in `value` through `keep(site, tensor)`.

    Tuples are kept element by element; numbers, lists, NumPy tables and whatever else is no tensor
    pass through. A tuple within a tuple is the state that a function returns beside its result, and
    is left alone, unless it stands first.
    """

    def __init__(self, keep: Keep | None = None) -> None:
        self.keep = keep
        self._paused = 0

    def __call__(self, site: int, value: Any) -> Any:
        if self.keep is None or self._paused:
            return value
        if not isinstance(value, tuple):
            return self._one(site, value)
        items = [
            self(site, item) if position == 0 and isinstance(item, tuple) else self._one(site, item)
            for position, item in enumerate(value)
        ]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return getattr(type(value), "_make", tuple)(items)

    def _one(self, site: int, value: Any) -> Any:
        assert self.keep is not None
        return self.keep(site, value) if is_tensor(value) else value

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is kept inside: for the bodies of nested functions, which a framework may
        trace."""
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1

    def quiet(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with recording paused while it runs."""

        @functools.wraps(function)
        def run(*arguments: Any, **options: Any) -> Any:
            with self.paused():
                return function(*arguments, **options)

        return run


def is_tensor(value: Any) -> bool:
    """Anything with a shape and a dtype that is not a NumPy table."""
    return (
        hasattr(value, "shape")
        and hasattr(value, "dtype")
        and not isinstance(value, (np.ndarray, np.generic))
    )
