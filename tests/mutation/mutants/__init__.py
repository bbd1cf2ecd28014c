"""Every planted bug, by topic."""

from mutation.mutants import (
    activation,
    attention,
    boxes,
    convolution,
    graph,
    loss,
    normalisation,
    recurrent,
    sequence,
)
from mutation.mutants.table import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *convolution.MUTANTS,
    *normalisation.MUTANTS,
    *activation.MUTANTS,
    *attention.MUTANTS,
    *recurrent.MUTANTS,
    *loss.MUTANTS,
    *graph.MUTANTS,
    *sequence.MUTANTS,
    *boxes.MUTANTS,
)

__all__ = ["MUTANTS", "Mutant"]
