"""dlc: write a network once in a `.dl` file, get PyTorch, JAX and Keras code that provably agrees."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dlc.api import check_text, load

__all__ = ["__version__", "check_text", "load"]


def __getattr__(name: str) -> Any:
    """`dlc.load` and the rest of the API, imported when first used (start-up stays fast)."""
    if name in ("load", "check", "check_text", "Net", "Module"):
        from dlc import api

        return getattr(api, name)
    raise AttributeError(f"module 'dlc' has no attribute {name!r}")
