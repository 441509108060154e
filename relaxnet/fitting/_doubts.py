"""Input that cannot be meant: what signals and statuses say when all of a fit is wrong."""

from typing import Any

import numpy as np

from relaxnet.fitting._result import FitResult, to_numpy
from relaxnet.fitting._status import FitStatus

_NEGATIVE = 0.05  # of the energy of all samples; noise around 0 in the air has less
_BAD = 0.5  # of the signal of all fitted voxels

_CAUSES = {
    FitStatus.AT_BOUND: "ended at a bound of T: are the times, their unit and the time axis right?",
    FitStatus.TOO_FEW_SAMPLES: "have too few usable samples: is the data complete?",
    FitStatus.NO_DECAY: "rise instead of decaying: are the times and their order right?",
    FitStatus.NO_SIGNAL: "have no signal",
    FitStatus.NOT_CONVERGED: "did not converge",
}


def doubts(signal: Any, result: FitResult[Any], *, dim: int = -1, signed: bool = False) -> list[str]:
    """Tell whether a fit looks as if something other than its signal had been meant.

    Voxels count by their signal, so that air hardly matters, however much of it there is.

    Parameters
    ----------
    signal
        The fitted images.
    result
        The fit.
    dim
        Axis of the images.
    signed
        Whether the signal may be negative, as of an inversion recovery with polarity.

    Returns
    -------
    list of str
        A line for each doubt: many negative samples (phase images, integers that wrapped around), no or few voxels that
        converged. Empty for a usual fit.

    Examples
    --------
    >>> phase = np.random.default_rng(0).uniform(-3, 3, (100, 4))
    >>> lines = rx.fitting.doubts(phase, rx.fit(phase, (10, 20, 30, 40)))
    >>> lines[0]
    '46 % of the samples are negative, as of no magnitude image: is this a phase image, or did integers wrap around?'
    """
    status = to_numpy(result.status)
    fitted = status != FitStatus.MASKED
    weight, energy, negative, below = np.zeros(status.shape), 0.0, 0.0, 0
    images = np.moveaxis(to_numpy(signal), dim, 0)
    for image in images:  # one at a time, to save memory
        values = np.where(fitted & np.isfinite(image), image, 0).astype(np.float64)
        weight += abs(values)
        energy += float((values**2).sum())
        negative += float((values[values < 0] ** 2).sum())
        below += int((values < 0).sum())
    total = float(weight.sum())
    if not fitted.any():
        return []  # of an empty mask, the fit itself has warned
    if total == 0:
        return ["no voxel has a signal: all samples are zero or not finite."]
    lines = []
    share = 100 * below / (len(images) * fitted.sum())
    if negative > _NEGATIVE * energy and not signed:
        lines.append(
            f"{share:.0f} % of the samples are negative, as of no magnitude image: is this a phase image, or "
            f"did integers wrap around?"
        )
    shares = {member: float(weight[status == member].sum()) / total for member in FitStatus}
    if shares[FitStatus.CONVERGED] < 1 - _BAD:
        worst = max(_CAUSES, key=shares.__getitem__)
        converged, counts = int((status == FitStatus.CONVERGED).sum()), int((status == worst).sum())
        few = f"only {converged}" if converged else "none"
        lines.append(f"{few} of {int(fitted.sum())} voxels converged; {counts} {_CAUSES[worst]}")
    return lines
