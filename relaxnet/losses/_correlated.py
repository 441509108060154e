"""One scale matrix for all tasks."""

import math
from typing import Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from relaxnet.losses._learnt_scales import LearntScales, Start
from relaxnet.losses._names import require_option
from relaxnet.losses._precision import at_least_single
from relaxnet.losses._weighting import softly_bounded

Distribution = Literal["laplace", "gaussian"]


class CorrelatedLaplace(LearntScales):
    r"""Weigh tasks by a full scale matrix, which includes the correlation of their residuals.

    For the signed residuals x of all K tasks in a voxel and the scale matrix :math:`\Sigma = L L^T`, the loss is the
    mean over voxels of

    .. math:: \lVert L^{-1} x \rVert + \log \det L + \log \frac{2 \pi^{K/2}\, \Gamma(K)}{\Gamma(K/2)},

    the negative log-likelihood of the elliptical Laplace distribution. With a single task it equals
    :class:`HomoscedasticLaplace`. The learnt parameters are the lower triangle of :math:`L^{-1}`, so no matrix is
    inverted in training.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    distribution
        ``"laplace"``, or ``"gaussian"``:
        :math:`\frac12 \lVert L^{-1} x \rVert^2 + \log \det L + \frac{K}{2} \log 2\pi`.
    init
        Initial scale of each task, as for :class:`HomoscedasticLaplace`.

    Raises
    ------
    ValueError
        If the distribution is unknown, or ``init`` is not positive, or not one scale for each task.

    Notes
    -----
    Even without correlation, the elliptical distribution is no product of one-dimensional ones: a large residual in one
    task makes large residuals in the other tasks of that voxel more likely.

    References
    ----------
    Huang et al. (2023) name correlated uncertainty as future work. Gómez, Gómez-Villegas and Marín, *A
    multivariate generalization of the power exponential family of distributions*, Commun Stat Theory Methods 27:589
    (1998), for the elliptical Laplace distribution.

    Examples
    --------
    >>> weighting = rx.losses.CorrelatedLaplace(n_tasks=2)
    >>> weighting(torch.zeros(1, 2, 4, 4))  # log 2 pi
    tensor(1.8379, grad_fn=<WhereBackward0>)
    >>> weighting.correlation
    tensor([[1., 0.],
            [0., 1.]])
    """

    needs = "signed"

    def __init__(self, n_tasks: int, *, distribution: Distribution = "laplace", init: Start = 1.0) -> None:
        super().__init__(n_tasks, init)
        require_option("distribution", distribution, Distribution)
        self.distribution = distribution
        self.coupling = nn.Parameter(torch.zeros(n_tasks * (n_tasks - 1) // 2))

    @property
    def covariance(self) -> Float[Tensor, "task task"]:
        """The present scale matrix, without gradient."""
        n = len(self.log_scale)
        unit = torch.eye(n).to(self.log_scale)
        unit[tuple(torch.tril_indices(n, n, offset=-1))] = self.coupling.detach()
        factor = torch.linalg.inv(unit * torch.exp(-softly_bounded(self.log_scale.detach())))
        covariance: Tensor = factor @ factor.T
        return covariance

    @property
    def correlation(self) -> Float[Tensor, "task task"]:
        """The present scale matrix divided by the scales, without gradient."""
        return self.covariance / torch.outer(self.scales, self.scales)

    @property
    def scales(self) -> Float[Tensor, " task"]:
        """Present scale of each task, without gradient."""
        return torch.sqrt(torch.diagonal(self.covariance))

    @property
    def weights(self) -> Float[Tensor, " task"]:
        """Inverse of the present scale of each task, without gradient."""
        return 1 / self.scales

    def reset(self) -> None:
        """Set all scales back to their initial values, without correlation."""
        super().reset()
        nn.init.zeros_(self.coupling)

    def forward(
        self,
        signed: Float[Tensor, "batch task *space"],
        log_scale: Float[Tensor, "batch task *space"] | None = None,
        coupling: Float[Tensor, "batch couple *space"] | None = None,
        *,
        mask: Shaped[Tensor, "batch *masked"] | None = None,
    ) -> Float[Tensor, ""]:
        r"""Compute the loss.

        Parameters
        ----------
        signed
            Signed residual of each task, for example from :meth:`PairwiseConstraint.signed`.
        log_scale
            Maps that replace the learnt scales: :math:`-\log` of the diagonal of :math:`L^{-1}`.
        coupling
            Maps of the elements of :math:`L^{-1}` below the diagonal, row by row, each divided by the diagonal element
            of its column. Needed together with ``log_scale``.
        mask
            Voxels to use: bool, or zeros and ones; by default all. If ``signed`` has an axis of pairs after the tasks,
            the mask may be without it. With a mask of the shape of ``signed``, a voxel is used where all tasks are.

        Returns
        -------
        Tensor
            The mean over the batch and the voxels to use; zero without any such voxel.

        Raises
        ------
        ValueError
            If shapes do not fit, the mask is not binary, or a residual to use is not finite.
        """
        n_tasks = len(self.log_scale)
        if mask is not None and mask.ndim == signed.ndim - 2:
            mask = repeat(mask, "batch ... -> batch pair ...", pair=signed.shape[2])
        used = self._used(signed, mask)
        signed = at_least_single(signed)
        if (log_scale is None) != (coupling is None):
            raise ValueError("log_scale and coupling: pass both, or none.")
        if log_scale is None or coupling is None:
            total, count = self._sum(signed.detach().abs(), used)
            self._initialise(total / count.clamp(min=1))
            to_maps = f"task -> 1 task{' 1' * (signed.ndim - 2)}"
            log_scale, coupling = rearrange(self.log_scale, to_maps), rearrange(self.coupling, to_maps)
        scale, coupling = softly_bounded(at_least_single(log_scale)), at_least_single(coupling)
        if used is not None:
            signed = torch.where(used, signed, 0)
        x = signed * torch.exp(-scale)
        rows, columns = torch.tril_indices(n_tasks, n_tasks, offset=-1, device=x.device)
        z = x.index_add(1, rows, coupling * x[:, columns])  # the product with the unit triangle of L^-1
        if self.distribution == "laplace":
            square = z.square().sum(1)
            zero = square == 0  # where the root has no second derivative
            loss = torch.where(zero, 0, torch.where(zero, 1, square).sqrt())
            constant = math.log(2) + n_tasks / 2 * math.log(math.pi) + math.lgamma(n_tasks) - math.lgamma(n_tasks / 2)
        else:
            loss = z.square().sum(1) / 2
            constant = n_tasks / 2 * math.log(2 * math.pi)
        loss = loss + scale.sum(1)
        # One loss for all tasks of a voxel, repeated for the mean over voxels, which has one entry for each task.
        means, any_used = self._mean(repeat(loss, "batch ... -> batch task ...", task=n_tasks), mask, signed)
        return torch.where(any_used[0], means[0] + constant, 0)

    def _used(self, residual: Tensor, mask: Tensor | None) -> Tensor | None:
        used = super()._used(residual, mask)
        return None if used is None else used.all(1, keepdim=True)
