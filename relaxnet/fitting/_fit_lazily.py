"""Fits of dask arrays: planned at once, computed block by block when a map is asked for."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from relaxnet.errors import require
from relaxnet.fitting._core.arguments import check_dim
from relaxnet.fitting._result import FitResult, LazyArray
from relaxnet.fitting._status import FitStatus


def fit_lazily(
    estimator: Callable[..., FitResult[NDArray[Any]]],
    signal: LazyArray,
    times_ms: Any,
    *,
    mask: Any,
    sigma: Any,
    dim: int,
    **options: Any,
) -> FitResult[LazyArray]:
    """Plan the fit of a dask array.

    Parameters
    ----------
    estimator
        The estimator.
    signal
        The images. Their time axis becomes one chunk; the chunks of the other axes are those of the maps.
    times_ms, mask, sigma, dim, **options
        Arguments of the estimator. A mask, and noise levels of all samples, may be dask arrays, too.

    Returns
    -------
    FitResult
        Maps as dask arrays. They share their computations, so compute or store them together.

    Raises
    ------
    ValueError
        If arguments do not fit together.
    """
    dask = require("dask.array", extra="dask")
    axis = check_dim(signal.shape, len(getattr(times_ms, "times_ms", times_ms)), dim)
    images = dask.moveaxis(signal, axis, 0).rechunk({0: -1})
    beside = {}  # what each block gets its part of
    if mask is not None:
        beside["mask"] = _beside(mask, "mask", images.shape[1:]).rechunk(images.chunks[1:])
    if np.ndim(sigma) > 1:
        beside["sigma"] = dask.moveaxis(_beside(sigma, "sigma", signal.shape), axis, 0).rechunk(images.chunks)
        sigma = None
    # The fit of no voxels checks the other arguments, and says which maps there are.
    nothing = np.empty((len(images), *[0] * (images.ndim - 1)), images.dtype)
    plan = estimator(nothing, times_ms, sigma=sigma, dim=0, **options)
    n_rows, dtype = len(_arrays(plan)), plan.rmse.dtype

    def fit_block(samples: NDArray[Any], *parts: NDArray[Any]) -> NDArray[Any]:
        given = {"sigma": sigma} | dict(zip(beside, parts, strict=True))
        if not given.get("mask", np.True_).any():
            rows = np.full((n_rows, *samples.shape[1:]), np.nan, dtype)
            rows[-2], rows[-1] = 0, FitStatus.MASKED  # number of samples and status
            return rows
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # dask works on several blocks at a time
        try:
            result = estimator(samples, times_ms, dim=0, **given, **options)
        finally:
            torch.set_num_threads(threads)
        return np.stack(_arrays(result), dtype=dtype, casting="unsafe")

    rows = dask.map_blocks(fit_block, images, *beside.values(), chunks=((n_rows,), *images.chunks[1:]), dtype=dtype)
    lazy = iter([row.astype(array.dtype) for row, array in zip(rows, _arrays(plan), strict=True)])
    return FitResult(
        maps={name: next(lazy) for name in plan.maps},
        std={name: next(lazy) for name in plan.std},
        covariances={pair: next(lazy) for pair in plan.covariances},
        rmse=next(lazy),
        r2=next(lazy),
        n_used=next(lazy),
        status=next(lazy),
        units=plan.units,
    )


def _beside(given: Any, name: str, shape: tuple[int, ...]) -> Any:
    array = require("dask.array", extra="dask").asarray(given)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, {shape} is needed.")
    return array


def _arrays(result: FitResult[NDArray[Any]]) -> list[NDArray[Any]]:
    of_parameters = (*result.maps.values(), *result.std.values(), *result.covariances.values())
    return [*of_parameters, result.rmse, result.r2, result.n_used, result.status]
