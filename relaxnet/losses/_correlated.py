"""One scale matrix for all tasks."""

import math
from typing import Literal, get_args

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from relaxnet.losses._learnt_scales import LearntScales, Start
from relaxnet.losses._weighting import softly_bounded

Distribution = Literal["laplace", "gaussian"]


class CorrelatedLaplace(LearntScales):
    r"""Weigh tasks by a full scale matrix, which also learns how their residuals correlate.

    With the signed residuals x of all K tasks in a voxel, and the scale matrix :math:`\Sigma = L L^T`,

    .. math:: \lVert L^{-1} x \rVert + \log \det L + \log \frac{2 \pi^{K/2}\, \Gamma(K)}{\Gamma(K/2)}

    is the mean over voxels of the negative log-likelihood of the elliptical Laplace distribution. With one task it is
    that of :class:`HomoscedasticLaplace`. What is learnt is the lower triangle of :math:`L^{-1}`; nothing is inverted.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    distribution
        ``"laplace"``, or ``"gaussian"``:
        :math:`\frac12 \lVert L^{-1} x \rVert^2 + \log \det L + \frac{K}{2} \log 2\pi`.
    init
        Scale of each task at the beginning, as for :class:`HomoscedasticLaplace`.

    Raises
    ------
    ValueError
        If the distribution is unknown, or ``init`` is not positive, or not one scale a task.

    Notes
    -----
    Without correlation, the elliptical distribution is not a product of one-dimensional ones: a voxel that is far off
    in one task may be so in the other.

    References
    ----------
    The correlated uncertainty that Huang et al. (2023) leave to future work. Gómez, Gómez-Villegas and Marín, *A
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
        if distribution not in get_args(Distribution):
            raise ValueError(f"distribution={distribution!r} is unknown: use one of {get_args(Distribution)}.")
        self.distribution = distribution
        self.coupling = nn.Parameter(torch.zeros(n_tasks * (n_tasks - 1) // 2))

    @property
    def covariance(self) -> Float[Tensor, "task task"]:
        """The scale matrix at present, without gradient."""
        inverse = self._inverse_factor(self.log_scale.detach(), self.coupling.detach())
        factor = torch.linalg.inv(inverse)
        covariance: Tensor = factor @ factor.T
        return covariance

    @property
    def correlation(self) -> Float[Tensor, "task task"]:
        """The scale matrix at present, divided by the scales, without gradient."""
        return self.covariance / torch.outer(self.scales, self.scales)

    @property
    def scales(self) -> Float[Tensor, " task"]:
        """Scale of each task at present, without gradient."""
        return torch.sqrt(torch.diagonal(self.covariance))

    @property
    def weights(self) -> Float[Tensor, " task"]:
        """Inverse of the scale of each task at present, without gradient."""
        return 1 / self.scales

    def reset(self) -> None:
        """Go back to the scales of the beginning, without correlation."""
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
        r"""Weigh the tasks.

        Parameters
        ----------
        signed
            Signed residual of each task, such as :meth:`PairwiseConstraint.signed` gives.
        log_scale
            In the place of the learnt one, for each voxel: :math:`-\log` of the diagonal of :math:`L^{-1}`.
        coupling
            Together with it: row by row, what is below the diagonal of :math:`L^{-1}`, in units of the diagonal of its
            column.
        mask
            Voxels to use: bool, or zeros and ones; by default all. Where ``signed`` has an axis of pairs after the
            tasks, the mask may lack it.

        Returns
        -------
        Tensor
            The mean over the batch and the voxels used; zero without any.

        Raises
        ------
        ValueError
            If shapes do not fit, the mask is not binary, or a residual to use is not finite.
        """
        n_tasks = len(self.log_scale)
        if mask is not None and mask.ndim == signed.ndim - 2:
            mask = repeat(mask, "batch ... -> batch pair ...", pair=signed.shape[2])
        used = self._used(signed, mask)
        if (log_scale is None) != (coupling is None):
            raise ValueError("log_scale and coupling: pass both, or none.")
        if log_scale is None and self._waits_for_data:
            self._begin(self._mean(signed.detach().abs(), mask)[0])
        to_maps = f"task -> 1 task{' 1' * (signed.ndim - 2)}"
        scale = softly_bounded(rearrange(self.log_scale, to_maps) if log_scale is None else log_scale)
        couple = rearrange(self.coupling, to_maps) if coupling is None else coupling
        if used is not None:
            signed = torch.where(rearrange(used, "batch ... -> batch 1 ..."), signed, 0)
        x = signed * torch.exp(-scale)
        rows, k = [], 0
        for i in range(n_tasks):
            row = x[:, i]
            for j in range(i):
                row = row + couple[:, k] * x[:, j]
                k += 1
            rows.append(row)
        z = torch.stack(rows, dim=1)
        if self.distribution == "laplace":
            loss = torch.linalg.vector_norm(z, dim=1)
            constant = math.log(2) + n_tasks / 2 * math.log(math.pi) + math.lgamma(n_tasks) - math.lgamma(n_tasks / 2)
        else:
            loss = z.square().sum(1) / 2
            constant = n_tasks / 2 * math.log(2 * math.pi)
        loss = loss + scale.sum(1)
        mean, any_used = self._mean_of_voxels(loss, signed, mask)
        return torch.where(any_used, mean + constant, 0)

    def _mean_of_voxels(self, loss: Tensor, signed: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        means, any_used = self._mean(loss.unsqueeze(1).expand_as(signed), mask, signed)
        return means[0], any_used

    def _inverse_factor(self, log_scale: Tensor, coupling: Tensor) -> Tensor:
        n = len(log_scale)
        unit = torch.eye(n, dtype=log_scale.dtype, device=log_scale.device)
        rows, columns = torch.tril_indices(n, n, offset=-1)
        unit[rows, columns] = coupling
        return unit * torch.exp(-softly_bounded(log_scale))
