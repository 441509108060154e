"""Supervised loss, for data with labels."""

from jaxtyping import Float, Shaped
from torch import Tensor

from relaxnet.losses._fixed import FixedWeights
from relaxnet.losses._precision import at_least_single


def supervised(
    maps_ms: Float[Tensor, "batch task *space"],
    reference_ms: Float[Tensor, "batch task *space"],
    *,
    mask: Shaped[Tensor, "batch *masked"] | None = None,
) -> Float[Tensor, ""]:
    r"""Compute the mean absolute difference of maps from labels, :math:`\sum_k \overline{|T_k - T_k^{ref}|}`.

    Labels are the maps of a reference fit, as in the paper, or the ground truth of a digital phantom. If the labels
    were fitted to images that include the input images, a network also learns to reproduce the noise of the labels.

    Parameters
    ----------
    maps_ms
        Relaxation times in ms, one map for each contrast.
    reference_ms
        Labels in ms, of the same shape.
    mask
        Voxels to use, (batch, ...), or those of each contrast, (batch, task, ...): bool, or zeros and ones; by default
        all.

    Returns
    -------
    Tensor
        Sum over the contrasts of the mean absolute difference over the batch and the voxels to use, in ms.

    Raises
    ------
    ValueError
        If shapes differ, or a voxel to use is not finite. A fit leaves NaN where it failed: pass ``mask=result.ok``.

    See Also
    --------
    HomoscedasticLaplace : Weighs the residual ``(maps_ms - reference_ms).abs()`` with learnt scales.

    References
    ----------
    Huang et al. (2023), "SL".

    Examples
    --------
    >>> maps = torch.full((1, 2, 4, 4), 40.0)
    >>> rx.losses.supervised(maps, maps + torch.tensor([1.0, -2.0]).reshape(1, 2, 1, 1))
    tensor(3.)
    """
    if maps_ms.shape != reference_ms.shape:
        raise ValueError(f"maps_ms has shape {tuple(maps_ms.shape)}, reference_ms {tuple(reference_ms.shape)}.")
    difference = at_least_single(maps_ms) - at_least_single(reference_ms)
    loss: Tensor = FixedWeights((1.0,) * maps_ms.shape[1])(difference.abs(), mask=mask)
    return loss
