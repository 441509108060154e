"""The front door to all estimators."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Literal

from relaxnet.fitting._log_linear import log_linear
from relaxnet.fitting._nlls import nlls
from relaxnet.fitting._result import ArrayT, FitResult
from relaxnet.fitting._rician import rician
from relaxnet.fitting._two_point import two_point
from relaxnet.fitting._voxels import Times

Method = Literal["nlls", "two-point", "log-linear", "rician"]
METHODS: dict[str, Callable[..., FitResult[Any]]] = {
    "nlls": nlls,
    "two-point": two_point,
    "log-linear": log_linear,
    "rician": rician,
}


def fit(signal: ArrayT, times_ms: Times, *, method: Method = "nlls", **options: Any) -> FitResult[ArrayT]:
    """Fit a relaxation time and an amplitude to every voxel.

    Parameters
    ----------
    signal
        Magnitude images, real, with one axis for the times: (batch, time, ...) by default. One axis is one voxel.
    times_ms
        Times of the images in ms, or a :class:`~relaxnet.Contrast`, whose name the map then has.
    method
        The estimator: ``"nlls"`` for :func:`~relaxnet.fitting.nlls`, ``"two-point"`` for
        :func:`~relaxnet.fitting.two_point`, ``"log-linear"`` for :func:`~relaxnet.fitting.log_linear`, ``"rician"`` for
        :func:`~relaxnet.fitting.rician`.
    **options
        Passed on to the estimator. All take ``mask``, ``bounds``, ``sigma``, ``saturation``, ``unit``, ``dim``,
        ``chunk_size`` and ``maps_only``.

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
        If the signal is not made of real numbers, or an option does not exist.

    Examples
    --------
    An image with its times last, as NIfTI files have them:

    >>> image = 100 * np.exp(-np.array([0, 10, 30, 50]) / np.full((2, 3, 1), 42.0))
    >>> rx.fit(image, (0, 10, 30, 50), dim=-1).maps["t"].round(6)
    array([[42., 42., 42.],
           [42., 42., 42.]])
    """
    if method not in METHODS:
        close = get_close_matches(str(method), METHODS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"method={method!r} is unknown: use one of {tuple(METHODS)}.{hint}")
    return METHODS[method](signal, times_ms, **options)
