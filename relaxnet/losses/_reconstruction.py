"""The reconstruction loss: images against those that the maps predict."""

from typing import get_args

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from relaxnet.losses._held_out import HeldOutFrom
from relaxnet.losses._names import Distance
from relaxnet.losses._residual import Residual, basis_of
from relaxnet.protocol import Protocol
from relaxnet.signals import SignalModel, rician_mean


class Reconstruction(Residual):
    r"""The distance of images from those that maps predict, :math:`|S_k - m_0\, b(T, t_k)|`.

    Parameters
    ----------
    protocol
        What was acquired; each of its contrasts is a task.
    held_out_from
        The inputs of the network, which are then not used: the name of an input set or channel numbers; a sequence with
        one such for each sample of a batch; None to use all images.
    distance
        What is averaged over the images of a contrast: with the prediction :math:`A_k = m_0\, b(T, t_k)` and the noise
        level :math:`\sigma`,

        - ``"l1"``: :math:`|S_k - A_k|`;
        - ``"l2"``: :math:`(S_k - A_k)^2`;
        - ``"rician-mean"``: :math:`|S_k - E[S; A_k, \sigma]|`, see :func:`~relaxnet.signals.rician_mean`;
        - ``"rician-likelihood"``: :math:`(S_k - A_k)^2 / 2\sigma^2 - \log(e^{-z} I_0(z))` with
          :math:`z = S_k A_k/\sigma^2`, the negative log-likelihood but for a constant.

    Raises
    ------
    ValueError
        If ``distance`` is unknown, ``held_out_from`` is no input set or leaves no image of a contrast, or a model adds
        a constant.

    Examples
    --------
    >>> protocol = rx.protocols.LIVER_T1RHO_T2
    >>> reconstruction = rx.losses.Reconstruction(protocol, held_out_from="middle")
    >>> reconstruction(torch.full((1, 2, 8, 8), 40.0), torch.ones(1, 7, 8, 8), m0=torch.ones(1, 1, 8, 8)).shape
    torch.Size([1, 2, 8, 8])
    """

    at_least = 1

    def __init__(
        self,
        protocol: Protocol,
        *,
        held_out_from: HeldOutFrom = None,
        distance: Distance = "l1",
    ) -> None:
        if distance not in get_args(Distance):
            raise ValueError(f"distance={distance!r} is unknown: use one of {get_args(Distance)}.")
        super().__init__(protocol, held_out_from)
        self.distance = distance

    def forward(
        self,
        maps_ms: Float[Tensor, "batch task *space"],
        images: Float[Tensor, "batch image *space"],
        *,
        m0: Float[Tensor, "batch *task_space"] | None = None,
        sigma: float | Tensor | None = None,
        held_out_from: HeldOutFrom = None,
    ) -> Float[Tensor, "batch task *space"]:
        """Compare the images with those that the maps predict.

        Parameters
        ----------
        maps_ms
            Relaxation times in ms, positive, one map for each contrast, in the order of the protocol.
        images
            All images of the protocol, in its order.
        m0
            Amplitude in the units of the images: one map, (batch, ...) or (batch, 1, ...), or one a task. Without it,
            each task's is that which fits its used images best, in the sense of least squares; it needs two images.
        sigma
            Standard deviation of the noise, for the Rician distances: a number, or one a sample.
        held_out_from
            In the place of the constructor's, for this batch.

        Returns
        -------
        Tensor
            Residual of each task: the mean over its used images.

        Raises
        ------
        ValueError
            If the number of maps or of images is not that of the protocol, shapes differ, ``sigma`` is missing, or
            ``m0`` is and cannot be told from the single image of a contrast that is used.
        """
        tasks = maps_ms.shape
        amplitude = None
        if m0 is not None:
            amplitude = m0.unsqueeze(1) if m0.shape == (tasks[0], *tasks[2:]) else m0
            if amplitude.ndim != len(tasks) or amplitude.shape[1] not in (1, tasks[1]):
                raise ValueError(f"m0 has shape {tuple(m0.shape)}: (batch, 1 or {tasks[1]}, *space) is needed.")
            amplitude = amplitude.expand(tasks)
        noise = None
        if self.distance.startswith("rician"):
            if sigma is None:
                raise ValueError(f"sigma is missing: distance={self.distance!r} needs the noise level of the images.")
            level = torch.as_tensor(sigma, dtype=images.dtype, device=images.device)
            noise = level.reshape(-1, *(1,) * (len(tasks) - 1)).expand(tasks[0], tasks[1], *(1,) * (len(tasks) - 2))
        return self.compare(maps_ms, images, held_out_from, self._of_contrast, m0=amplitude, sigma=noise)

    def _of_contrast(
        self,
        images: Float[Tensor, "batch time *space"],
        t_ms: Float[Tensor, "batch *space"],
        times_ms: list[float],
        *,
        model: SignalModel,
        m0: Float[Tensor, "batch *space"] | None,
        sigma: Float[Tensor, "batch *ones"] | None,
    ) -> Float[Tensor, "batch *space"]:
        usable = torch.isfinite(images).all(1)
        images = torch.where(rearrange(usable, "batch ... -> batch 1 ..."), images, 0)
        basis = basis_of(model, t_ms, times_ms)
        if m0 is None:
            if len(times_ms) < 2:
                raise ValueError("m0 is missing: of a single held-out image of a contrast it cannot be computed.")
            square = (basis * basis).sum(1).clamp(min=torch.finfo(basis.dtype).tiny)
            m0 = (images * basis).sum(1) / square
        predicted = rearrange(m0, "batch ... -> batch 1 ...") * basis
        return torch.where(usable, self._distance(images, predicted, sigma).mean(1), torch.nan)

    def _distance(self, images: Tensor, predicted: Tensor, sigma: Tensor | None) -> Tensor:
        if self.distance == "l2":
            return (images - predicted).square()
        if sigma is None:
            return (images - predicted).abs()
        noise = rearrange(sigma, "batch ... -> batch 1 ...")
        if self.distance == "rician-mean":
            return (images - rician_mean(predicted, noise)).abs()
        z = images * predicted / noise.square()
        return ((images - predicted) / noise).square() / 2 - torch.log(torch.special.i0e(z))
