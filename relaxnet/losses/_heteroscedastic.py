"""Laplace scales for each voxel, predicted by the network."""

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from relaxnet._messages import brief
from relaxnet._numbers import real
from relaxnet.losses._precision import at_least_single
from relaxnet.losses._weighting import Weighting, softly_bounded


class HeteroscedasticLaplace(Weighting):
    r"""Weigh each voxel by a Laplace scale that the network predicts, :math:`\overline{r/\sigma + \log 2\sigma}`.

    Parameters
    ----------
    beta
        The term of each voxel is multiplied by :math:`\sigma^\beta`, without gradient. At 0, voxels with a large scale
        contribute little gradient, so a network may neglect difficult voxels; at 1, the maps are trained as with the
        plain residual; 0.5 is a compromise.
    faithful
        Whether the maps are trained with the plain residual alone, and the scales with a residual without gradient. The
        maps are then as accurate as without scales, if the gradient of the scales does not reach the encoder of the
        network (``uncertainty="faithful"`` of :class:`~relaxnet.nets.RelaxationNet`).
    n_tasks
        Number of tasks; by default that of the first residual.

    Raises
    ------
    ValueError
        If ``beta`` is not between 0 and 1, or given together with ``faithful``.

    References
    ----------
    Huang et al. (2023), eq. (2), "HETEU"; Seitzer et al., *On the pitfalls of heteroscedastic uncertainty estimation
    with probabilistic neural networks*, ICLR 2022, for ``beta``; Stirn et al., *Faithful heteroscedastic regression
    with neural networks*, AISTATS 2023, for ``faithful``.

    Examples
    --------
    >>> residual, log_scale = torch.ones(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    >>> rx.losses.HeteroscedasticLaplace()(residual, log_scale)  # 2 * (1 + log 2)
    tensor(3.3863)
    """

    needs = "scales"
    _weights: Tensor

    def __init__(self, *, beta: float = 0.0, faithful: bool = False, n_tasks: int | None = None) -> None:
        super().__init__(n_tasks)
        self.beta = real(beta, "beta", lambda b: 0 <= b <= 1, "it lies between 0 and 1")
        if not isinstance(faithful, bool):
            raise ValueError(f"faithful={brief(repr(faithful))}: it is True or False.")  # noqa: TRY004 (as every argument)
        if beta and faithful:
            raise ValueError(f"beta={beta} and faithful=True: choose one of them.")
        self.faithful = faithful
        self.uncertainty = "faithful" if faithful else "heteroscedastic"
        self._register_state("_weights", torch.ones(n_tasks or 1))

    @property
    def weights(self) -> Float[Tensor, " task"]:
        """Mean inverse scale of each task in the last batch, without gradient."""
        return self._weights

    def forward(
        self,
        residual: Float[Tensor, "batch task *space"],
        log_scale: Float[Tensor, "batch task *space"],
        *,
        mask: Shaped[Tensor, "batch *masked"] | None = None,
    ) -> Float[Tensor, ""]:
        """Compute the loss.

        Parameters
        ----------
        residual
            Residual of each task.
        log_scale
            Natural logarithm of the scales, which are in the units of the residual.
        mask
            Voxels to use, (batch, ...), or those of each task, (batch, task, ...): bool, or zeros and ones; by default
            all.

        Returns
        -------
        Tensor
            The sum over the tasks of the mean over the batch and the voxels to use; zero without any such voxel.

        Raises
        ------
        ValueError
            If shapes do not fit, the mask is not binary, or the residual or the scale of a voxel to use is not finite.
        """
        if log_scale.shape != residual.shape:
            raise ValueError(f"log_scale has shape {tuple(log_scale.shape)}, the residual {tuple(residual.shape)}.")
        used = self._used(residual, mask)
        residual, log_scale = at_least_single(residual), at_least_single(log_scale)
        if used is not None:  # outside the mask it may be NaN, and torch.where below would not stop a NaN gradient
            log_scale = torch.where(used, log_scale, 0)
        bounded = softly_bounded(log_scale)
        weight = torch.exp(-bounded)
        weighed = residual.detach() if self.faithful else residual
        loss = weighed * weight + bounded + math.log(2)
        if self.beta:
            loss = loss * torch.exp(self.beta * bounded.detach())
        if self.faithful:
            loss = loss + residual
        means, any_used = self._mean(loss, mask, residual)
        if self._may_record(needed=False):
            with torch.no_grad():
                total, count = self._sum(weight, used)
                self._weights.copy_(torch.where(any_used, total / count, self._weights))
        return torch.where(any_used, means, 0).sum()
