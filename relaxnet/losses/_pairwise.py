"""The pairwise constraint: every image, propagated to the time of another, must equal it."""

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from typing import Any, get_args

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from relaxnet.losses._held_out import HeldOutFrom
from relaxnet.losses._names import Pairs
from relaxnet.losses._residual import Residual, basis_of
from relaxnet.protocol import Protocol
from relaxnet.signals import ExponentialDecay, MonoExponential, SignalModel

_NULL = 1e-3  # of the largest basis: what is smaller cannot be divided by
_BLOCK = 2**16  # voxels whose working space fits the cache of a processor


def pairwise_residual(
    images: Float[Tensor, "batch time *space"],
    t_ms: Float[Tensor, "batch *space"],
    times_ms: Sequence[float],
    *,
    pairs: Pairs = "all",
    model: SignalModel | None = None,
) -> Float[Tensor, "batch *space"]:
    r"""Compute how far a map is from explaining the images of one contrast, pair by pair.

    For images i and j at times :math:`t_i < t_j` let :math:`q = b(T, t_j) / b(T, t_i)`, which for a mono-exponential
    decay is :math:`e^{-(t_j - t_i)/T}`. The residual is the mean over pairs of

    .. math:: |S_j - q S_i| \text{ and } |S_i - S_j / q|, \qquad |S_j - q S_i|, \qquad
       \frac{|S_j - q S_i|}{\sqrt{1 + q^2}}

    for ``"all"``, ``"forward"`` and ``"orthogonal"``.

    Parameters
    ----------
    images
        Images of one contrast, at least two, in the order of the times.
    t_ms
        Relaxation time in ms, positive.
    times_ms
        Times of the images in ms, or what else the axis of the model is.
    pairs
        ``"all"`` ordered pairs, as in the paper; ``"forward"``, later images from earlier ones; ``"orthogonal"``, the
        distance of the point :math:`(S_i, S_j)` from the line :math:`S_j = q S_i`.
    model
        The signal model, without an offset; a mono-exponential decay by default.

    Returns
    -------
    Tensor
        Residual in the units of the images. Where an image is not finite it is NaN, and has a gradient of zero.

    Raises
    ------
    ValueError
        If ``pairs`` is unknown.

    Notes
    -----
    Noise of standard deviation s gives :math:`S_j - q S_i` one of :math:`s \sqrt{1 + q^2}`, which grows with T: without
    compensation a T that is too short costs less. Predicting backwards divides by q: there a T that is too long costs
    less. At a signal-to-noise ratio of 10 the minimiser of ``"all"`` is 2 to 3 ms too long, that of ``"forward"`` 1 ms
    too short. The noise of ``"orthogonal"`` does not depend on T, so it has no bias.

    Of exponential decays, residual and gradient come from one pass over the pairs, which keeps nothing but the
    gradient; the memory taken is below that of the images. It is differentiable once. Where the basis of another model
    crosses zero, as in an inversion recovery, an image predicts nothing: pairs that would divide by less than a
    thousandth of the largest basis count as 0, with a gradient of 0.

    References
    ----------
    Huang et al. (2023), eq. (3) to (5), for ``"all"``.

    Examples
    --------
    >>> images = torch.tensor([[100.0, 36.788]])
    >>> pairwise_residual(images, torch.tensor([50.0]), times_ms=(0, 50)) < 1e-3
    tensor([True])
    """
    if pairs not in get_args(Pairs):
        raise ValueError(f"pairs={pairs!r} is unknown: use one of {get_args(Pairs)}.")
    model = MonoExponential() if model is None else model
    if not isinstance(model, ExponentialDecay):
        return signed_pairs(images, t_ms, times_ms, pairs=pairs, model=model).abs().mean(1)
    residual: Tensor = _Fused.apply(images, t_ms, tuple(times_ms), pairs, model)  # type: ignore[no-untyped-call]
    return residual


class _Fused(torch.autograd.Function):
    """The residual and its gradient, which is known by the time the residual is."""

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, t_ms: Tensor, times_ms: tuple[float, ...], pairs: Pairs, model: ExponentialDecay
    ) -> Tensor:
        coordinates = model.coordinate(torch.tensor(times_ms, dtype=torch.float64)).tolist()
        by_images, by_t = ctx.needs_input_grad[:2]
        usable = torch.isfinite(images).all(1)
        invalid = not bool(usable.all())
        if invalid:
            images = torch.where(usable.unsqueeze(1), images, 0)
        samples, t = images.reshape(*images.shape[:2], -1), t_ms.reshape(len(t_ms), -1)
        total = torch.zeros_like(t)
        slope = torch.zeros_like(t) if by_t else None
        slopes = torch.zeros_like(samples) if by_images else None
        block = _BLOCK if t.device.type == "cpu" else t.shape[1]
        space = t.new_empty(6, min(block, t.shape[1]))
        for k in range(len(t)):
            for start in range(0, t.shape[1], block):
                part = slice(start, start + block)
                _add_pairs(
                    samples[k, :, part],
                    t[k, part],
                    coordinates,
                    pairs,
                    model,
                    space[:, : t[k, part].numel()],
                    total[k, part],
                    None if slope is None else slope[k, part],
                    None if slopes is None else slopes[k, :, part],
                )
        ctx.save_for_backward(
            None if slopes is None else slopes.reshape(images.shape),
            None if slope is None else slope.reshape(t_ms.shape),
        )
        residual = total.reshape(t_ms.shape)
        return torch.where(usable, residual, torch.nan) if invalid else residual

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        slopes, slope = ctx.saved_tensors
        return (
            None if slopes is None else slopes * rearrange(gradient, "batch ... -> batch 1 ..."),
            None if slope is None else slope * gradient,
            None,
            None,
            None,
        )


def _add_pairs(
    images: Float[Tensor, "time voxel"],
    t_ms: Float[Tensor, " voxel"],
    coordinates: list[float],
    pairs: Pairs,
    model: ExponentialDecay,
    space: Float[Tensor, "6 voxel"],
    total: Float[Tensor, " voxel"],
    slope: Float[Tensor, " voxel"] | None,
    slopes: Float[Tensor, "time voxel"] | None,
) -> None:
    """Add the mean over all pairs, and its derivatives, to what is given; in ``space``, as fresh memory costs more."""
    rate, q, error, sign, carried, factor = space
    rate.copy_(model.rate(t_ms))
    order = sorted(range(len(coordinates)), key=coordinates.__getitem__)
    for early, late in combinations(order, 2):
        gap = coordinates[late] - coordinates[early]
        torch.mul(rate, -gap, out=q).exp_()
        torch.mul(q, images[early], out=carried)
        torch.sub(images[late], carried, out=error)
        torch.sign(error, out=sign)
        # The residual is factor * |error|. Of factor * error, the derivative by log q is -factor * pull.
        if pairs == "forward":
            pull = carried
        elif pairs == "orthogonal":
            torch.mul(q, q, out=factor).add_(1)
            pull = carried.add_(error).addcdiv_(error, factor, value=-1)
            sign *= factor.rsqrt_()
        else:
            torch.reciprocal(q, out=factor).add_(1)
            pull = carried.add_(error).addcdiv_(error, factor, value=-1)
            sign *= factor
        total.addcmul_(error, sign)
        if slope is not None:
            slope.addcmul_(pull, sign, value=-gap)
        if slopes is not None:
            slopes[late] += sign
            slopes[early] -= sign.mul_(q)
    share = (1 if pairs == "all" else 2) / (len(order) * (len(order) - 1))
    total *= share
    if slope is not None:
        slope *= rate.div_(t_ms).mul_(model.power * share)  # log q = -gap R with R = T^-p: d log q / dT = gap p R / T
    if slopes is not None:
        slopes *= share


class PairwiseConstraint(Residual):
    """The residual of pairs of images of each contrast.

    Parameters
    ----------
    protocol
        What was acquired; each of its contrasts is a task.
    pairs
        ``"all"`` ordered pairs, as in the paper; ``"forward"``; or ``"orthogonal"``, which noise does not bias: see
        :func:`pairwise_residual`.
    held_out_from
        The inputs of the network, which are then not used: the name of an input set or channel numbers; a sequence with
        one such for each sample of a batch; None to use all images. The noise of held-out images is independent of that
        of the inputs, so a network cannot lower the residual by reproducing noise.

    Raises
    ------
    ValueError
        If ``pairs`` is unknown, or ``held_out_from`` is no input set or leaves fewer than two images of a contrast, or
        a model adds a constant.

    See Also
    --------
    pairwise_residual : The formula.
    relaxnet.signals.remove_rician_bias : What to do with magnitudes near the noise before.

    References
    ----------
    Huang et al. (2023), eq. (5).

    Examples
    --------
    >>> protocol = rx.protocols.LIVER_T1RHO_T2
    >>> constraint = rx.losses.PairwiseConstraint(protocol, pairs="orthogonal", held_out_from="short")
    >>> constraint(torch.full((1, 2, 8, 8), 40.0), torch.ones(1, 7, 8, 8)).shape
    torch.Size([1, 2, 8, 8])
    """

    at_least = 2

    def __init__(self, protocol: Protocol, *, pairs: Pairs = "all", held_out_from: HeldOutFrom = None) -> None:
        if pairs not in get_args(Pairs):
            raise ValueError(f"pairs={pairs!r} is unknown: use one of {get_args(Pairs)}.")
        super().__init__(protocol, held_out_from)
        self.pairs = pairs

    def forward(
        self,
        maps_ms: Float[Tensor, "batch task *space"],
        images: Float[Tensor, "batch image *space"],
        *,
        held_out_from: HeldOutFrom = None,
    ) -> Float[Tensor, "batch task *space"]:
        """Compare maps with the images of the protocol.

        Parameters
        ----------
        maps_ms
            Relaxation times in ms, positive, one map for each contrast, in the order of the protocol.
        images
            All images of the protocol, in its order.
        held_out_from
            In the place of the constructor's, for this batch.

        Returns
        -------
        Tensor
            Residual of each task in the units of the images: the mean over its pairs.

        Raises
        ------
        ValueError
            If the number of maps or of images is not that of the protocol, or their shapes differ.
        """
        return self.compare(maps_ms, images, held_out_from, partial(pairwise_residual, pairs=self.pairs))

    def signed(
        self,
        maps_ms: Float[Tensor, "batch task *space"],
        images: Float[Tensor, "batch image *space"],
        *,
        held_out_from: HeldOutFrom = None,
    ) -> Float[Tensor, "batch task pair *space"]:
        """Compare maps with the images of the protocol, and keep signs and pairs, for :class:`CorrelatedLaplace`.

        Parameters
        ----------
        maps_ms, images, held_out_from
            As above.

        Returns
        -------
        Tensor
            Residual of each pair of each task, whose mean absolute value over the pairs is that of a call; NaN where an
            image is not finite.

        Raises
        ------
        ValueError
            If the number of maps or of images is not that of the protocol, their shapes differ, or the contrasts have
            different numbers of images.
        """
        counts = {len(contrast.times_ms) for contrast in self.protocol.contrasts}
        if len(counts) > 1:
            raise ValueError(f"protocol has contrasts of {sorted(counts)} images: their pairs do not match.")
        return self.compare(maps_ms, images, held_out_from, partial(signed_pairs, pairs=self.pairs))


def signed_pairs(
    images: Float[Tensor, "batch time *space"],
    t_ms: Float[Tensor, "batch *space"],
    times_ms: Sequence[float],
    *,
    pairs: Pairs,
    model: SignalModel,
) -> Float[Tensor, "batch pair *space"]:
    """Compute the residual of each pair with its sign, for any model, by automatic differentiation.

    Parameters
    ----------
    images, t_ms, times_ms, pairs, model
        As for :func:`pairwise_residual`.

    Returns
    -------
    Tensor
        Residuals; NaN where an image is not finite.
    """
    usable = rearrange(torch.isfinite(images).all(1), "batch ... -> batch 1 ...")
    images = torch.where(usable, images, 0)
    basis = basis_of(model, t_ms, times_ms)
    least = _NULL * basis.detach().abs().amax(1)
    decay = model if isinstance(model, ExponentialDecay) else None

    def propagate(image: int, to: int) -> tuple[Tensor, Tensor | None]:
        """Return the ratio that propagates one image to the time of another, and where there is none."""
        if decay is not None:  # which neither underflows nor divides
            start, end = decay.coordinate(t_ms.new_tensor((times_ms[image], times_ms[to])))
            return torch.exp((start - end) * decay.rate(t_ms)), None
        null = basis[:, image].detach().abs() <= least
        return basis[:, to] / torch.where(null, 1, basis[:, image]), null

    residuals = []
    for early, late in combinations(sorted(range(len(times_ms)), key=times_ms.__getitem__), 2):
        if pairs == "orthogonal" and decay is None:
            first, second = basis[:, early], basis[:, late]
            length = (first.square() + second.square()).clamp(min=torch.finfo(first.dtype).tiny).sqrt()
            residuals.append((images[:, late] * first - images[:, early] * second) / length)
            continue
        for image, to in ((early, late), (late, early))[: 2 if pairs == "all" else 1]:
            q, null = propagate(image, to)
            error = images[:, to] - q * images[:, image]
            error = error * torch.rsqrt(1 + q * q) if pairs == "orthogonal" else error
            residuals.append(error if null is None else torch.where(null, 0, error))
    return torch.where(usable, torch.stack(residuals, dim=1), torch.nan)
