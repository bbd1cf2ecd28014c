"""What is printed when dlc itself fails: one line that says what and where, never a traceback."""

from __future__ import annotations

import traceback
from pathlib import Path

from dlc import __version__
from dlc_grammar.diagnostics import Diagnostic, printable, render

SHOWN = 200


def describe_bug(error: BaseException) -> str:
    """The text for an exception that should not have happened."""
    message = printable(" ".join(str(error).split()))
    if len(message) > SHOWN:
        message = message[:SHOWN] + "..."
    summary = f"{type(error).__name__}: {message}" if message else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "dlc" in Path(frame.filename).parent.as_posix()] or frames
    if own:
        path = Path(own[-1].filename)
        summary += f" ({path.parent.name}/{path.name}:{own[-1].lineno})"
    return render(
        Diagnostic(
            "E0900",
            f"internal error: {summary}",
            help=f"this is a bug in dlc {__version__}; please report it. DLC_DEBUG=1 shows the traceback",
        )
    )
