"""Maximum a posteriori of all voxels at once, with a prior that neighbours are alike."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from relaxnet._images import Dim, opens_images
from relaxnet._messages import brief
from relaxnet.fitting._core.bounds import Bounds
from relaxnet.fitting._core.quality import goodness
from relaxnet.fitting._core.samples import Samples
from relaxnet.fitting._core.voxels import Voxels
from relaxnet.fitting._joint import joint_voxels
from relaxnet.fitting._like import result_like
from relaxnet.fitting._result import ArrayT, to_numpy
from relaxnet.fitting._spatial.edges import Edges, loosen_between_labels, loosen_by_images, within
from relaxnet.fitting._spatial.evidence import best_prior, linearised_tiles
from relaxnet.fitting._spatial.gauss_newton import Data, most_probable, normal_equations
from relaxnet.fitting._spatial.grid import plan_grid
from relaxnet.fitting._spatial.posterior import Posterior
from relaxnet.fitting._spatial.prepare import Prepared, prepare
from relaxnet.fitting._spatial.prior import Field
from relaxnet.fitting._spatial.result import SpatialFit, SpatialPrior
from relaxnet.fitting._status import FitStatus
from relaxnet.protocol import Contrast, Protocol

_PRECISION = {"m0": 50.0, "offset": 50.0}  # of differences between neighbours, before any evidence
_OTHER_PRECISION = 300.0
_ROUNDS = 2  # of maps and evidence
_STEPS, _LAST_STEPS = 4, 16
_COARSE = 0.3  # tolerance of all searches but the last
_SEED = 0
_WIDTH = 0.55  # a difference of images with little noise, by this part of its noise before, loosens a tie by e^-1/2


@opens_images(result_like)
def fit_spatial(
    images: ArrayT,
    protocol: Protocol | Contrast,
    *,
    mask: Any = None,
    labels: Any = None,
    spacing: Sequence[float] | None = None,
    prior: SpatialPrior | None = None,
    bounds: Bounds | Mapping[str, Bounds] | None = None,
    sigma: Any = None,
    saturation: float | None = None,
    dim: Dim = 1,
    draws: int = 32,
) -> SpatialFit[ArrayT]:
    r"""Fit all contrasts of a protocol to all voxels at once, knowing that neighbours are alike.

    The maps maximise the posterior

    .. math:: -\sum_k \frac{(S_k - m_0\, b(T, t_k))^2}{2 \sigma^2} - \tfrac12 (x - \mu)^T Q\, (x - \mu)

    of the logarithms x of the amplitude and of each T. Q is the precision of a Gauss-Markov random field, whose
    strength for each map is that under which the images are most probable (empirical Bayes): no truth and no training
    is needed.
    Ties between neighbours are loosened where the images differ. The documentation derives it.

    Parameters
    ----------
    images
        All images of the protocol, with one axis for them: (batch, image, ...) by default. Bring them to one scale.
    protocol
        What was acquired: a protocol as for :func:`relaxnet.fit_joint`, or a contrast.
    mask
        Voxels to fit: binary, of the shape of the images without their axis ``dim``. Leave out air.
    labels
        A whole number for each voxel; ties between different ones are cut.
    spacing
        Distance between voxels along each axis of the maps, such as (7, 1.5, 1.5) for a volume of thick slices,
        infinite where voxels are no neighbours. By default, neighbours are those along the axes after ``dim``, or along
        all axes where ``dim`` is the first or the last one, at the same distance.
    prior
        The hyperparameters, such as ``result.prior`` of another fit with voxels of the same size. By default they come
        from the evidence of these images: of a subject or of a cohort, whatever is in the batch.
    bounds
        Smallest and largest T, those of the models by default: for all contrasts, or by the name of each.
    sigma
        Standard deviation of the noise: one number, one an image, or one a sample (of the shape of ``images``). By
        default it is estimated from differences between neighbours, and then by the evidence.
    saturation
        Samples at or above this value are not used.
    dim
        The axis of ``images`` along which they follow one another.
    draws
        Number of draws of the posterior, from which the standard errors come: their own relative error is at most
        :math:`1/\sqrt{2n}`.

    Returns
    -------
    SpatialFit
        A :class:`FitResult` whose maps are ``"m0"`` and one for each contrast, and whose standard errors are those of
        the posterior; with the mean of any region and its error, :meth:`SpatialFit.roi_mean`, and the
        :class:`SpatialPrior`.

    Raises
    ------
    ValueError
        If the contrasts have no common first image, if the noise level is neither given nor to be found, or if
        arguments do not fit together or make no sense.
    TypeError
        If the images are not made of real numbers.

    See Also
    --------
    relaxnet.fit_joint : Each voxel by itself.

    Notes
    -----
    A voxel that could not be fitted by itself, for lack of samples, takes no part: it is NaN, and has no ties.

    References
    ----------
    Rue and Held, *Gaussian Markov Random Fields* (2005). MacKay, *Bayesian interpolation*, Neural Comput 4:415 (1992).

    Examples
    --------
    >>> subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(32, 32), snr=20)[0]
    >>> maps = {}
    >>> for fit in (rx.fit_joint, rx.fit_spatial):
    ...     maps[fit.__name__] = fit(subject.images, subject.protocol, mask=subject.labels > 0).maps["t2"]
    >>> error = {name: (map_ - subject.truth["t2"])[subject.roi].abs().mean() for name, map_ in maps.items()}
    >>> bool(error["fit_spatial"] < 0.8 * error["fit_joint"])
    True
    """
    if isinstance(protocol, Contrast):
        protocol = Protocol((protocol,))
    if not draws >= 2:
        raise ValueError(f"draws={draws!r}: two or more are needed, such as 32.")
    voxels = joint_voxels(images, protocol, mask=mask, sigma=sigma, saturation=saturation, dim=dim)
    grid = plan_grid(voxels.space, cast("int", dim) % voxels.signal.ndim, voxels.signal.ndim, spacing)
    with torch.inference_mode(mode=False), torch.no_grad():
        prepared = prepare(voxels, grid, bounds)
        regions = None if labels is None else prepared.grid.enter(_as_labels(labels, voxels))
        if prior is None and (prepared.data.root > 0).any():
            prepared, field = _learn(prepared, regions)
        else:
            edges = _ties(prepared, regions)
            field = _usual(prepared.data, edges) if prior is None else _as_field(prior, prepared.data, edges)
        return _result(voxels, images, prepared, field, draws)


def _as_labels(labels: Any, voxels: Voxels) -> Tensor:
    array = to_numpy(labels)
    if array.shape != voxels.shape:
        raise ValueError(f"labels has shape {array.shape}, the maps {voxels.shape}: both must agree.")
    return torch.from_numpy(np.ascontiguousarray(array, np.int64)).to(voxels.times.device).view(voxels.space)


def _as_field(prior: SpatialPrior, data: Data, edges: Edges) -> Field:
    precision, n = np.asarray(prior.precision, np.float64), len(data.mean)
    if precision.shape != (n,) or not ((precision > 0) & np.isfinite(precision)).all():
        raise ValueError(
            f"prior={brief(prior)}: give a positive precision for each of the {n} maps {data.design.names}."
        )
    return Field(torch.from_numpy(precision).to(data.mean), edges)


def _usual(data: Data, edges: Edges) -> Field:
    return Field(data.mean.new_tensor([_PRECISION.get(name, _OTHER_PRECISION) for name in data.design.names]), edges)


def _ties(prepared: Prepared, labels: Tensor | None) -> Edges:
    """Tie neighbours, less where images differ, and not where labels do."""
    data = prepared.data
    edges = tuple(weight.to(data.root) for weight in within(prepared.inside, prepared.grid.spacing))
    edges = loosen_by_images(edges, prepared.guide, data.noise(), _WIDTH)
    return edges if labels is None else loosen_between_labels(edges, labels)


def _learn(prepared: Prepared, labels: Tensor | None) -> tuple[Prepared, Field]:
    """Search the prior with most evidence; maps, prior and noise follow one another."""
    field = _usual(prepared.data, _ties(prepared, labels))
    for _ in range(_ROUNDS):
        x, _ = most_probable(prepared.data, field, prepared.start, steps=_STEPS, tolerance=_COARSE)
        tiles = linearised_tiles(prepared.data, x, field.edges)
        precision, change = best_prior(tiles, field.precision, fit_noise=prepared.sigma is not None)
        prepared = prepared.with_noise(change)._replace(start=x)
        field = Field(precision.to(x), _ties(prepared, labels))
    return prepared, field


def _result(voxels: Voxels, like: ArrayT, prepared: Prepared, field: Field, draws: int) -> SpatialFit[ArrayT]:
    data, grid = prepared.data, prepared.grid
    x, settled = most_probable(data, field, prepared.start, steps=_LAST_STEPS)
    design, names = data.design, data.design.names
    square, _, residual = normal_equations(data, x)
    values = data.to_values(x)
    slopes = data.slopes(values)
    posterior = Posterior(square, field)
    covariance = posterior.covariance(draws, _SEED) * slopes[:, None] * slopes[None]
    # The status of the voxels that take part: at a bound, or not settled.
    at_bound = ((x <= data.grid(data.low)) | (x >= data.grid(data.high))).any(0)
    ends = torch.where(at_bound, FitStatus.AT_BOUND, FitStatus.CONVERGED)
    ends = torch.where(settled & torch.isfinite(values).all(0), ends, FitStatus.NOT_CONVERGED)
    status = prepared.status.clone()
    taking = status == FitStatus.CONVERGED
    status = torch.where(taking, grid.leave(ends, FitStatus.MASKED).reshape(-1), status).to(torch.uint8)
    holds, sure = status <= FitStatus.AT_BOUND, status == FitStatus.CONVERGED

    def out(tensor: Tensor, where: Tensor | None = None) -> ArrayT:
        flat = tensor if where is None else torch.where(where, grid.leave(tensor, torch.nan).reshape(-1), torch.nan)
        shaped = flat.reshape(voxels.shape)
        shaped = shaped if where is None else shaped.to(voxels.output_dtype)
        return cast("ArrayT", shaped if isinstance(like, Tensor) else shaped.cpu().numpy())

    used = (data.root > 0).flatten(1)
    raw = torch.where(used, residual.flatten(1) / data.root.flatten(1), 0)
    n_used = used.sum(0)
    judged = Samples(data.samples.flatten(1), used.to(raw), used, n_used, None)
    rmse, r2 = (row.view(x.shape[1:]) for row in goodness(judged, raw))
    pairs = combinations(range(len(names)), 2)
    return SpatialFit(
        maps={name: out(values[k], holds) for k, name in enumerate(names)},
        std={name: out(covariance[k, k].sqrt(), sure) for k, name in enumerate(names)},
        covariances={(names[a], names[b]): out(covariance[a, b], sure) for a, b in pairs},
        rmse=out(rmse, holds),
        r2=out(r2, holds),
        n_used=out(prepared.n_used),
        status=out(status),
        units=design.units,
        prior=SpatialPrior(field.precision.double().cpu().numpy()),
        sigma=prepared.sigma,
        posterior=posterior,
        slopes=slopes,
        grid=grid,
    )
