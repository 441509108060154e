"""The front door to all estimators."""

from functools import partial
from typing import Any, Literal

from relaxnet._choices import pick
from relaxnet._images import PLAIN, Dim, opens_images
from relaxnet.fitting import METHODS
from relaxnet.fitting._core.arguments import Device, Times
from relaxnet.fitting._core.bounds import Bounds
from relaxnet.fitting._fit_lazily import fit_lazily
from relaxnet.fitting._like import result_like
from relaxnet.fitting._result import ArrayT, FitResult, LazyArray
from relaxnet.signals import SignalModel
from relaxnet.times import TimeUnit

_OWNERS = {"pair": "two-point", "weights": "log-linear"}


@opens_images(result_like)
def fit(
    signal: ArrayT,
    times_ms: Times,
    *,
    method: str = "nlls",
    pair: tuple[int, int] | None = None,
    weights: Literal["signal", "default"] | None = "default",
    model: SignalModel | None = None,
    mask: Any = None,
    bounds: Bounds | None = None,
    sigma: Any = None,
    saturation: float | None = None,
    unit: TimeUnit = "ms",
    dim: Dim = 1,
    chunk_size: int | None = None,
    maps_only: bool = False,
    device: Device = None,
) -> FitResult[ArrayT]:
    """Fit a relaxation time and an amplitude to every voxel.

    Parameters
    ----------
    signal
        Magnitude images, real, with one axis for the times: (batch, time, ...) by default. One axis is one voxel. The
        maps of a dask array are dask arrays, which are computed block by block, together. The maps of an xarray data
        array are data arrays; an image of nibabel, (x, y, z, time), is remembered for ``to_nifti``.
    times_ms
        Times of the images in ms, or a :class:`~relaxnet.Contrast`, whose model is fitted and whose name the map has.
    method
        The estimator, one of :data:`~relaxnet.fitting.METHODS`: ``"nlls"``, ``"two-point"``, ...
    pair
        Of ``"two-point"`` alone: the positions of the two images, by default the first and the last.
    weights
        Of ``"log-linear"`` alone: ``"signal"``, its default, or None for a line without weights.
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
        The time axis of ``signal``: a number, or the name of a dimension of a data array. That of an image of nibabel
        is the last one by default.
    chunk_size
        Voxels fitted at once; by default as many as fit the cache of a processor, or fill an accelerator.
    maps_only
        Leave out standard errors and goodness of fit, for about twice the speed.
    device
        Where to compute, such as ``"cuda"``: by default where the signal is. Maps are where the signal is in any case.
        A signal of another memory is brought over block by block, while the block before it is fitted, so it may be
        larger than the memory of the device.

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
    options: dict[str, Any] = {} if pair is None else {"pair": pair}
    options |= {} if weights == "default" else {"weights": weights}
    for name in options:
        if method != _OWNERS[name]:
            raise TypeError(f"method={method!r} takes no argument {name!r}: it belongs to {_OWNERS[name]!r}.")
    options |= {"model": model, "mask": mask, "bounds": bounds, "sigma": sigma, "saturation": saturation}
    options |= {"unit": unit, "dim": dim, "chunk_size": chunk_size, "maps_only": maps_only, "device": device}
    if not isinstance(signal, PLAIN) and isinstance(signal, LazyArray):
        estimator = partial(fit_lazily, estimator)
    result: FitResult[ArrayT] = estimator(signal, times_ms, **options)
    return result
