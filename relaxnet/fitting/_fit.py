"""The front door to all estimators."""

import inspect
from functools import partial
from typing import Any

from relaxnet._choices import pick
from relaxnet.fitting import METHODS
from relaxnet.fitting._core.arguments import Times
from relaxnet.fitting._core.bounds import Bounds
from relaxnet.fitting._fit_lazily import fit_lazily
from relaxnet.fitting._result import ArrayT, FitResult, LazyArray
from relaxnet.signals import SignalModel
from relaxnet.times import TimeUnit


def fit(
    signal: ArrayT,
    times_ms: Times,
    *,
    method: str = "nlls",
    model: SignalModel | None = None,
    mask: Any = None,
    bounds: Bounds | None = None,
    sigma: Any = None,
    saturation: float | None = None,
    unit: TimeUnit = "ms",
    dim: int = 1,
    chunk_size: int | None = None,
    maps_only: bool = False,
    **options: Any,
) -> FitResult[ArrayT]:
    """Fit a relaxation time and an amplitude to every voxel.

    Parameters
    ----------
    signal
        Magnitude images, real, with one axis for the times: (batch, time, ...) by default. One axis is one voxel. The
        maps of a dask array are dask arrays, which are computed block by block, together.
    times_ms
        Times of the images in ms, or a :class:`~relaxnet.Contrast`, whose model is fitted and whose name the map has.
    method
        The estimator, one of :data:`~relaxnet.fitting.METHODS`: ``"nlls"``, ``"two-point"``, ...
    model
        The signal model, with plain times; a mono-exponential decay by default.
    mask
        Voxels to fit: binary, of the shape of the signal without its time axis.
    bounds
        Smallest and largest T, those of the model by default: (1, 5000) in ms, from a tenth of the last time where that
        is below 10 ms.
    sigma
        Standard deviation of the noise: one number, one a time, or one a sample (of the shape of the signal).
    saturation
        Samples at or above this value are not used.
    unit
        Unit of ``times_ms``, ``"ms"`` or ``"s"``; maps are in ms whatever it is.
    dim
        The time axis of ``signal``.
    chunk_size
        Voxels fitted at once; by default as many as fit the cache of a processor, or fill an accelerator.
    maps_only
        Leave out standard errors and goodness of fit, for about twice the speed.
    **options
        What one estimator alone takes: ``pair`` of :func:`~relaxnet.fitting.two_point`, ``weights`` of
        :func:`~relaxnet.fitting.log_linear`.

    Returns
    -------
    FitResult
        Maps, standard errors, goodness of fit and status of every voxel: NumPy arrays if the signal is one, tensors on
        its device otherwise.

    Raises
    ------
    ValueError
        If an argument makes no sense; the message says which, and what is needed.
    TypeError
        If the signal is not made of real numbers, or the method does not take an option.

    Examples
    --------
    An image with its times last, as NIfTI files have them:

    >>> image = 100 * np.exp(-np.array([0, 10, 30, 50]) / np.full((2, 3, 1), 42.0))
    >>> rx.fit(image, (0, 10, 30, 50), dim=-1).maps["t"].round(6)
    array([[42., 42., 42.],
           [42., 42., 42.]])
    """
    estimator = pick("method", method, METHODS).load()
    known = tuple(inspect.signature(estimator).parameters)[2:]
    for name in options:
        if name not in known:
            owners = [other for other, choice in METHODS.items() if name in inspect.signature(choice.load()).parameters]
            takes = f"it belongs to {' and '.join(map(repr, owners))}" if owners else f"it takes {', '.join(known)}"
            raise TypeError(f"method={method!r} takes no argument {name!r}: {takes}.")
    options |= {"model": model, "mask": mask, "bounds": bounds, "sigma": sigma, "saturation": saturation}
    options |= {"unit": unit, "dim": dim, "chunk_size": chunk_size, "maps_only": maps_only}
    if isinstance(signal, LazyArray):
        estimator = partial(fit_lazily, estimator)
    result: FitResult[ArrayT] = estimator(signal, times_ms, **options)
    return result
