r"""How good a fit can get: Fisher information, the Cramér-Rao bound, and the times that make it smallest.

No unbiased estimate of a relaxation time has a smaller standard deviation than the Cramér-Rao bound, whatever the
method. The bound follows from the model's derivatives, the times and the noise alone, so protocols can be compared,
and chosen, before anything is measured:

- :func:`fisher` and :func:`crlb` for one contrast, :func:`fisher_joint` and :func:`crlb_joint` for several with a
  common first image, as maps;
- :func:`optimal_times`: when to acquire images for a range of T, and :func:`relative_precision`: how good that is.
"""

from relaxnet.information._best_times import optimal_times, relative_precision
from relaxnet.information._bounds import crlb, crlb_joint, fisher, fisher_joint

__all__ = ["crlb", "crlb_joint", "fisher", "fisher_joint", "optimal_times", "relative_precision"]
