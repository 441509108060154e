"""Weightings without uncertainty: controls that a better weighting has to outperform."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from relaxnet._numbers import real, seed_of
from relaxnet.losses._weighting import StoredWeights


class RandomWeighting(StoredWeights):
    """Weigh tasks at random, with new weights in each step.

    The weights are the softmax of normally distributed numbers, times the number of tasks.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    seed
        Seed of the weights.

    Raises
    ------
    ValueError
        If the seed is no whole number from 0 to 2**64 - 1.

    References
    ----------
    Lin et al., *Reasonable effectiveness of random weighting: a litmus test for multi-task learning*, TMLR 2022.

    Examples
    --------
    >>> weighting = rx.losses.RandomWeighting(n_tasks=2)
    >>> weighting(torch.ones(1, 2, 4, 4))  # the weights have a sum of 2
    tensor(2.)
    """

    _step: Tensor

    def __init__(self, n_tasks: int, *, seed: int = 0) -> None:
        super().__init__(n_tasks)
        self._seed = seed_of(seed)
        self._register_state("_step", torch.tensor(0))

    def combine(self, means: Float[Tensor, " task"]) -> Float[Tensor, " task"]:
        """Draw new weights, and multiply the means by them.

        Parameters
        ----------
        means
            Mean residual of each task.

        Returns
        -------
        Tensor
            Weighted mean residual of each task.
        """
        if self.training and self._may_record(needed=True):
            # They depend on seed and step alone: a resumed run and all processes of a distributed one draw the same.
            normal = _normal(self._seed, self._step * len(means) + torch.arange(len(means), device=self._step.device))
            self._weights.copy_(torch.softmax(normal, 0) * len(means))
            self._step += 1
        return super().combine(means)


def _normal(seed: int, counter: Int[Tensor, " number"]) -> Float[Tensor, " number"]:
    """Draw normally distributed numbers that depend on a seed and a counter alone.

    A generator of torch would have to read the counter, for which compiled code stops and a GPU is waited for.
    """

    def mix(bits: Tensor) -> Tensor:  # the last step of MurmurHash3
        bits = ((bits ^ (bits >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
        bits = ((bits ^ (bits >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
        return bits ^ (bits >> 16)

    bits = mix(mix(mix(counter & 0xFFFFFFFF) ^ (seed & 0xFFFFFFFF)) ^ (seed >> 32))
    uniform = ((bits >> 9) + 0.5) / 2**23
    return math.sqrt(2) * torch.erfinv(2 * uniform - 1)


class DynamicWeightAverage(StoredWeights):
    r"""Weigh tasks by how slowly they improved over the last two epochs.

    .. math:: w_k = K \operatorname{softmax}_k\left(\frac{r_k(e - 1)}{r_k(e - 2)} \Big/ \tau\right)

    Call :meth:`step` at the end of each epoch, as :func:`relaxnet.training.train` does. In the first two epochs, the
    weights are 1.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    temperature
        :math:`\tau`: the larger it is, the more similar the weights are.

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

    _total: Tensor
    _last: Tensor
    _steps: Tensor

    def __init__(self, n_tasks: int, *, temperature: float = 2.0) -> None:
        super().__init__(n_tasks)
        self.temperature = real(temperature, "temperature", lambda t: 0 < t < math.inf, "it is positive and finite")
        self._register_state("_total", torch.zeros(n_tasks))
        self._register_state("_last", torch.full((n_tasks,), torch.nan))
        self._register_state("_steps", torch.zeros(n_tasks, dtype=torch.long))

    def combine(self, means: Float[Tensor, " task"]) -> Float[Tensor, " task"]:
        """Multiply the means by the weights, and record them for the weights of the next epoch.

        Parameters
        ----------
        means
            Mean residual of each task.

        Returns
        -------
        Tensor
            Weighted mean residual of each task.
        """
        if self.training and self._may_record(needed=False):
            self._total += means.detach()  # zero without a voxel to use
            self._steps += 1 if self.any_used is None else self.any_used
        return super().combine(means)

    def step(self) -> None:
        """End an epoch: compute the weights of the next one."""
        if not self._steps.any():
            return
        mean = self._total / self._steps
        ratio = mean / self._last
        if torch.isfinite(ratio).all():
            self._weights.copy_(len(mean) * torch.softmax(ratio / self.temperature, 0))
        self._last.copy_(mean)
        self._total.fill_(0)
        self._steps.fill_(0)
