"""Weightings without uncertainty, the controls that a better one has to beat."""

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet.losses._weighting import TaskWeighting


class RandomWeighting(TaskWeighting):
    """Weigh tasks at random, anew in each step: normal numbers through a softmax, times the number of tasks.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    seed
        Of the weights.

    References
    ----------
    Lin et al., *Reasonable effectiveness of random weighting: a litmus test for multi-task learning*, TMLR 2022.

    Examples
    --------
    >>> weighting = rx.losses.RandomWeighting(n_tasks=2)
    >>> weighting(torch.ones(1, 2, 4, 4))  # the weights have a sum of 2
    tensor(2.)
    """

    def __init__(self, n_tasks: int, *, seed: int = 0) -> None:
        super().__init__(n_tasks)
        self._seed = seed
        self._remember("_weights", 1.0)
        self.register_buffer("_step", torch.tensor(0))
        self._weights: Tensor
        self._step: Tensor

    @property
    def weights(self) -> Float[Tensor, " task"]:
        """The weights of the last step, 1 before the first."""
        return self._weights

    def reset(self) -> None:
        """Begin again with the first weights."""
        self._weights.fill_(1)
        self._step.fill_(0)

    def combine(self, means: Float[Tensor, " task"]) -> Float[Tensor, " task"]:
        """Multiply by new weights.

        Parameters
        ----------
        means
            Mean residual of each task.

        Returns
        -------
        Tensor
            Weighted mean residual of each task.
        """
        if self.training:
            # Of the seed and the step alone, so that a resumed run, and each process, has the same ones.
            generator = torch.Generator().manual_seed(hash((self._seed, int(self._step))) & 0x7FFF_FFFF)
            drawn = torch.softmax(torch.randn(len(means), generator=generator), 0) * len(means)
            self._weights.copy_(drawn)
            self._step += 1
        return self._weights.to(means.dtype) * means


class DynamicWeightAverage(TaskWeighting):
    r"""Weigh tasks by how slowly they improved over the last two epochs.

    .. math:: w_k = K \operatorname{softmax}_k\left(\frac{r_k(e - 1)}{r_k(e - 2)} \Big/ \tau\right)

    Call :meth:`step` at the end of each epoch, as :func:`relaxnet.training.train` does.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    temperature
        :math:`\tau`; the larger, the more alike the weights.

    Raises
    ------
    ValueError
        If the temperature is not positive.

    References
    ----------
    Liu, Johns and Davison, *End-to-end multi-task learning with attention*, CVPR 2019.

    Examples
    --------
    >>> weighting = rx.losses.DynamicWeightAverage(n_tasks=2)
    >>> for means in ((1.0, 1.0), (0.5, 1.0)):  # the second task does not improve
    ...     _ = weighting(torch.tensor([means]))
    ...     weighting.step()
    >>> weighting.weights
    tensor([0.8756, 1.1244])
    """

    def __init__(self, n_tasks: int, *, temperature: float = 2.0) -> None:
        super().__init__(n_tasks)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: it is positive.")
        self.temperature = temperature
        for name in ("_weights", "_total", "_last"):
            self._remember(name, 1.0)
        self.register_buffer("_steps", torch.tensor(0))
        self._weights: Tensor
        self._total: Tensor
        self._last: Tensor
        self._steps: Tensor
        self.reset()

    @property
    def weights(self) -> Float[Tensor, " task"]:
        """The weights of this epoch; 1 in the first two."""
        return self._weights

    def reset(self) -> None:
        """Forget all epochs."""
        self._weights.fill_(1)
        self._total.fill_(0)
        self._last.fill_(torch.nan)
        self._steps.fill_(0)

    def combine(self, means: Float[Tensor, " task"]) -> Float[Tensor, " task"]:
        """Multiply by the weights, and record the residuals for the next ones.

        Parameters
        ----------
        means
            Mean residual of each task.

        Returns
        -------
        Tensor
            Weighted mean residual of each task.
        """
        if self.training:
            self._total += means.detach()
            self._steps += 1
        return self._weights.to(means.dtype) * means

    def step(self) -> None:
        """End an epoch: compute the weights of the next one."""
        if not self._steps:
            return
        mean = self._total / self._steps
        ratio = mean / self._last
        if torch.isfinite(ratio).all():
            self._weights.copy_(len(mean) * torch.softmax(ratio / self.temperature, 0))
        self._last.copy_(mean)
        self._total.fill_(0)
        self._steps.fill_(0)
