"""The reconstruction loss: the distance of images from those predicted by the maps."""

from collections.abc import Sequence

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from relaxnet.losses._held_out import HeldOutFrom
from relaxnet.losses._names import Distance, require_option
from relaxnet.losses._residual import Residual, basis_of
from relaxnet.protocol import Protocol
from relaxnet.signals import SignalModel, rician_mean


class Reconstruction(Residual):
    r"""Residual between images and those predicted by the maps, :math:`|S_k - m_0\, b(T, t_k)|`.

    Parameters
    ----------
    protocol
        The acquisition protocol; each contrast is a task.
    held_out_from
        The inputs of the network, which the residual does not use: the name of an input set or channel numbers; a
        sequence with one of these for each sample of a batch; None to use all images.
    distance
        Distance that is averaged over the images of a contrast. With the predicted image
        :math:`A_k = m_0\, b(T, t_k)` and the noise level :math:`\sigma`, it is

        - ``"l1"``: :math:`|S_k - A_k|`;
        - ``"l2"``: :math:`(S_k - A_k)^2`;
        - ``"rician-mean"``: :math:`|S_k - E[S; A_k, \sigma]|`, see :func:`~relaxnet.signals.rician_mean`;
        - ``"rician-likelihood"``: :math:`(S_k - A_k)^2 / 2\sigma^2 - \log(e^{-z} I_0(z))` with
          :math:`z = S_k A_k/\sigma^2`, the negative log-likelihood up to a constant.

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

    def __init__(self, protocol: Protocol, *, held_out_from: HeldOutFrom = None, distance: Distance = "l1") -> None:
        require_option("distance", distance, Distance)
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
        """Compute the residual of each task.

        Parameters
        ----------
        maps_ms
            Relaxation times in ms, positive, one map for each contrast, in the order of the protocol.
        images
            All images of the protocol, in its order.
        m0
            Amplitude in the units of the images: one map, (batch, ...) or (batch, 1, ...), or one for each task. By
            default it is projected: for each task, the least-squares amplitude of its used images, two or more.
        sigma
            Standard deviation of the noise, for the Rician distances: one number, or one for each sample.
        held_out_from
            Replaces that of the constructor for this batch.

        Returns
        -------
        Tensor
            Residual of each task: the mean distance over its used images. NaN where one of them is not finite.

        Raises
        ------
        ValueError
            If the number of maps or of images is not that of the protocol, shapes differ, ``sigma`` is missing, or
            ``m0`` is missing and a contrast has a single used image.
        """
        n_samples, n_tasks, *space = maps_ms.shape
        if m0 is not None:
            amplitude = rearrange(m0, "batch ... -> batch 1 ...") if m0.shape == (n_samples, *space) else m0
            if amplitude.ndim != maps_ms.ndim or amplitude.shape[1] not in (1, n_tasks):
                raise ValueError(f"m0 has shape {tuple(m0.shape)}: (batch, 1 or {n_tasks}, *space) is needed.")
            m0 = amplitude.expand_as(maps_ms)
        noise = None
        if self.distance.startswith("rician"):
            if sigma is None:
                raise ValueError(f"sigma is missing: distance={self.distance!r} needs the noise level of the images.")
            level = torch.as_tensor(sigma, dtype=images.dtype, device=images.device).flatten().expand(n_samples)
            noise = repeat(level, f"batch -> batch task{' 1' * len(space)}", task=n_tasks)
        return self.compare(maps_ms, images, held_out_from, self._of_contrast, m0=m0, sigma=noise)

    def _of_contrast(
        self,
        images: Float[Tensor, "batch time *space"],
        t_ms: Float[Tensor, "batch *space"],
        times_ms: Sequence[float],
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
