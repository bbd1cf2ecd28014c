"""A tolerance that a spec asks for. (Apart from the comparison, so that reading a spec needs no NumPy.)"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tolerance:
    """`tol(rtol=1e-5, atol=1e-6)`: `max|a - b| <= atol + rtol * max|b|`.

    A spec may ask for it, and it then holds beside the gates that always hold.
    """

    rtol: float
    atol: float
