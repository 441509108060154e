"""The relaxation constraint: every image, carried to the time of another, must equal it."""

from collections.abc import Sequence
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from relaxnet.protocol import Protocol


def pairwise_residual(
    images: Float[Tensor, "batch time *space"], t_ms: Float[Tensor, "batch *space"], times_ms: Sequence[float]
) -> Float[Tensor, "batch *space"]:
    r"""Tell how far a map is from explaining the images of one contrast, pair by pair.

    .. math:: \frac{1}{n(n-1)} \sum_{i \ne j} \left| S_i - S_j\, e^{(t_j - t_i)/T} \right|

    Parameters
    ----------
    images
        Images of one contrast, at least two, in the order of the times.
    t_ms
        Relaxation time in ms, positive.
    times_ms
        Times of the images in ms.

    Returns
    -------
    Tensor
        Residual in the units of the images. Where an image is not finite it is NaN, and has a gradient of zero.

    Notes
    -----
    Both members of a pair come from one subtraction: with :math:`q = e^{-|t_j - t_i|/T} \le 1`, the residual that
    predicts the earlier image is that of the later one over q. Its noise grows like 1/q, so where T is uncertain, a
    longer T costs less: noise biases the minimiser upwards.

    References
    ----------
    Huang et al. (2023), eq. (3) to (5).

    Examples
    --------
    >>> images = torch.tensor([[100.0, 36.788]])
    >>> pairwise_residual(images, torch.tensor([50.0]), times_ms=(0, 50)) < 1e-3
    tensor([True])
    """
    usable = torch.isfinite(images).all(1)
    images = torch.where(usable.unsqueeze(1), images, 0)
    total = torch.zeros_like(t_ms)
    order = sorted(range(len(times_ms)), key=times_ms.__getitem__)
    for early, late in combinations(order, 2):
        exponent = (times_ms[late] - times_ms[early]) / t_ms
        forward = (images[:, late] - images[:, early] * torch.exp(-exponent)).abs()
        total = total + forward * (1 + torch.exp(exponent))
    return torch.where(usable, total / (len(order) * (len(order) - 1)), torch.nan)


class PairwiseConstraint(nn.Module):
    """The residual of the paper: all ordered pairs of images of each contrast.

    Parameters
    ----------
    protocol
        What was acquired; each of its contrasts is a task.

    See Also
    --------
    pairwise_residual : The formula.

    References
    ----------
    Huang et al. (2023), eq. (5).

    Examples
    --------
    >>> protocol = rx.protocols.LIVER_T1RHO_T2
    >>> constraint = rx.losses.PairwiseConstraint(protocol)
    >>> constraint(torch.full((1, 2, 8, 8), 40.0), torch.ones(1, 7, 8, 8)).shape
    torch.Size([1, 2, 8, 8])
    """

    def __init__(self, protocol: Protocol) -> None:
        super().__init__()
        self.protocol = protocol

    def forward(
        self, maps_ms: Float[Tensor, "batch task *space"], images: Float[Tensor, "batch image *space"]
    ) -> Float[Tensor, "batch task *space"]:
        """Compare maps with all images of the protocol.

        Parameters
        ----------
        maps_ms
            Relaxation times in ms, positive, one map for each contrast, in the order of the protocol.
        images
            All images of the protocol, in its order.

        Returns
        -------
        Tensor
            Residual of each task in the units of the images: the mean over its ordered pairs.

        Raises
        ------
        ValueError
            If the number of maps or of images is not that of the protocol, or their shapes differ.
        """
        names = self.protocol.names
        if maps_ms.ndim < 2 or maps_ms.shape[1] != len(names):
            raise ValueError(f"maps_ms has shape {tuple(maps_ms.shape)}: axis 1 needs {len(names)} maps, {names}.")
        if images.ndim < 2 or images.shape[1] != self.protocol.n_images:
            raise ValueError(
                f"images has shape {tuple(images.shape)}: axis 1 needs all {self.protocol.n_images} images."
            )
        if (images.shape[0], *images.shape[2:]) != (maps_ms.shape[0], *maps_ms.shape[2:]):
            raise ValueError(
                f"maps_ms {tuple(maps_ms.shape)} and images {tuple(images.shape)} differ in batch or space."
            )
        residuals = [
            pairwise_residual(images[:, self.protocol.images_of(contrast.name)], maps_ms[:, k], contrast.times_ms)
            for k, contrast in enumerate(self.protocol.contrasts)
        ]
        return torch.stack(residuals, dim=1)
