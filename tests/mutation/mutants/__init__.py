"""Every planted bug, by topic."""

from mutation.mutants import activation, attention, convolution, loss, normalisation, recurrent
from mutation.mutants.table import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *convolution.MUTANTS,
    *normalisation.MUTANTS,
    *activation.MUTANTS,
    *attention.MUTANTS,
    *recurrent.MUTANTS,
    *loss.MUTANTS,
)

__all__ = ["MUTANTS", "Mutant"]
