"""The pairwise constraint: each image, propagated to the time of another, must equal that image."""

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from typing import Any, cast

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from relaxnet.losses._held_out import HeldOutFrom
from relaxnet.losses._names import Pairs, require_option
from relaxnet.losses._precision import at_least_single
from relaxnet.losses._residual import Residual, basis_of
from relaxnet.protocol import Protocol
from relaxnet.signals import ExponentialDecay, MonoExponential, SignalModel

_NULL = 1e-3  # of the largest basis value: smaller ones are too close to zero to divide by
_BLOCK = 2**16  # voxels whose buffers fit the cache of a processor


def pairwise_residual(
    images: Float[Tensor, "batch time *space"],
    t_ms: Float[Tensor, "batch *space"],
    times_ms: Sequence[float],
    *,
    pairs: Pairs = "all",
    model: SignalModel | None = None,
) -> Float[Tensor, "batch *space"]:
    r"""Compute the residual of the pairs of images of one contrast.

    For images i and j at times :math:`t_i < t_j`, let :math:`q = b(T, t_j) / b(T, t_i)`, which is
    :math:`e^{-(t_j - t_i)/T}` for a mono-exponential decay. The residual is the mean over pairs of

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
        Times of the images in ms, or values of another axis of the model.
    pairs
        ``"all"`` ordered pairs, as in the paper; ``"forward"``, later images from earlier ones; ``"orthogonal"``, the
        distance of the point :math:`(S_i, S_j)` from the line :math:`S_j = q S_i`.
    model
        The signal model, without an offset; a mono-exponential decay by default.

    Returns
    -------
    Tensor
        Residual in the units of the images. Where an image is not finite, it is NaN, with a gradient of zero.

    Raises
    ------
    ValueError
        If ``pairs`` is unknown.

    Notes
    -----
    For noise of standard deviation s, the standard deviation of :math:`S_j - q S_i` is :math:`s \sqrt{1 + q^2}`, which
    grows with T: the residual of ``"forward"`` is smallest at a T that is too short. Predicting backwards divides by q,
    which makes the T of ``"all"`` too long. At a signal-to-noise ratio of 10, the minimum of ``"all"`` is 2 to 3 ms too
    long, that of ``"forward"`` 1 ms too short. The noise of ``"orthogonal"`` does not depend on T, so it has no bias.

    For exponential decays, residual and gradient are computed in one pass over the pairs, which stores only the
    gradient and needs less memory than the images. Further derivatives, forward mode and ``torch.compile`` take the
    formula as it stands. Where the basis of another model crosses zero, as in an inversion recovery, an image cannot
    predict another one: pairs that would divide by less than a thousandth of the largest basis value count as 0, with a
    gradient of 0.

    References
    ----------
    Huang et al. (2023), eq. (3) to (5), for ``"all"``.

    Examples
    --------
    >>> images = torch.tensor([[100.0, 36.788]])
    >>> pairwise_residual(images, torch.tensor([50.0]), times_ms=(0, 50)) < 1e-3
    tensor([True])
    """
    require_option("pairs", pairs, Pairs)
    model = MonoExponential() if model is None else model
    images, t_ms = at_least_single(images), at_least_single(t_ms)
    if not isinstance(model, ExponentialDecay) or torch.compiler.is_compiling():
        return _written_out(images, t_ms, tuple(times_ms), pairs, model)
    wanted = tuple(torch.is_grad_enabled() and values.requires_grad for values in (images, t_ms))
    residual: Tensor = _Fused.apply(images, t_ms, tuple(times_ms), pairs, model, wanted)[0]  # type: ignore[no-untyped-call]
    return residual


def _written_out(images: Tensor, t_ms: Tensor, times_ms: tuple[float, ...], pairs: Pairs, model: SignalModel) -> Tensor:
    return signed_pairs(images, t_ms, times_ms, pairs=pairs, model=model).abs().mean(1)


class _Fused(torch.autograd.Function):
    """The residual of an exponential decay. Its gradient is computed in the forward pass, from the same buffers.

    It has no derivative of its own: where one is asked for, the formula is differentiated as it stands.
    """

    @staticmethod
    def forward(
        images: Tensor,
        t_ms: Tensor,
        times_ms: tuple[float, ...],
        pairs: Pairs,
        model: ExponentialDecay,
        wanted: tuple[bool, bool],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the residual, and its derivatives by the images and by T, empty where they are not wanted."""
        coordinates = model.coordinate(torch.tensor(times_ms, dtype=torch.float64)).tolist()
        samples, t = images.reshape(*images.shape[:2], -1), t_ms.reshape(len(t_ms), -1)
        total = torch.zeros_like(t)
        slopes, slope = (torch.zeros_like(of) if yes else None for of, yes in zip((samples, t), wanted, strict=True))
        block = _BLOCK if t.device.type == "cpu" else t.shape[1]
        buffers = t.new_empty(6, min(block, t.shape[1]))
        for k in range(len(t)):
            for start in range(0, t.shape[1], block):
                part = (k, ..., slice(start, start + block))
                by_part = (None if derivative is None else derivative[part] for derivative in (slope, slopes))
                _add_pairs(samples[part], t[part], coordinates, pairs, model, buffers, total[part], *by_part)
        unusable = ~torch.isfinite(samples).all(1)
        total.masked_fill_(unusable, torch.nan)
        by_images, by_t = images.new_empty(0), t.new_empty(0)
        if slopes is not None:
            by_images = slopes.masked_fill_(rearrange(unusable, "batch voxel -> batch 1 voxel"), 0).reshape(
                images.shape
            )
        if slope is not None:
            by_t = slope.masked_fill_(unusable, 0).reshape(t_ms.shape)
        return total.reshape(t_ms.shape), by_images, by_t

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        images, t_ms, *ctx.others, ctx.wanted = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(images, t_ms, *output[1:])
        ctx.save_for_forward(images, t_ms)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        images, t_ms, by_images, by_t = ctx.saved_tensors
        if gradient is None:
            return (None,) * 6
        if torch.is_grad_enabled():  # its own derivative will be asked for
            by_images, by_t = _slopes(ctx, images, t_ms, gradient)
        else:
            by_images = by_images * rearrange(gradient, "batch ... -> batch 1 ...") if ctx.wanted[0] else None
            by_t = by_t * gradient if ctx.wanted[1] else None
        return by_images, by_t, None, None, None, None

    @staticmethod
    def jvp(ctx: Any, by_images: Tensor | None, by_t: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        images, t_ms = ctx.saved_tensors
        # The residual of a voxel depends on that voxel alone.
        of_images, of_t = _slopes(ctx, images, t_ms, torch.ones_like(t_ms))
        parts = [] if by_images is None else [(of_images * by_images).sum(1)]
        parts += [] if by_t is None else [of_t * by_t]
        return torch.stack(parts).sum(0), None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], images: Tensor, t_ms: Tensor, *others: Any
    ) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        """Take the axis of the map into the batch."""
        n = info.batch_size
        stacked = (
            values.expand(n, *values.shape) if dim is None else values.movedim(dim, 0)
            for values, dim in zip((images, t_ms), in_dims[:2], strict=True)
        )
        found = _Fused.apply(*(values.flatten(0, 1) for values in stacked), *others)  # type: ignore[no-untyped-call]
        return tuple(f.unflatten(0, (n, -1)) if f.numel() else f for f in found), tuple(
            0 if f.numel() else None for f in found
        )


def _slopes(ctx: Any, images: Tensor, t_ms: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Pull a gradient back to images and T through the formula as it stands."""
    _, pull_back, *_ = torch.func.vjp(lambda *values: _written_out(*values, *ctx.others), images, t_ms)
    return cast("tuple[Tensor, Tensor]", pull_back(gradient))


def _add_pairs(
    images: Float[Tensor, "time voxel"],
    t_ms: Float[Tensor, " voxel"],
    coordinates: list[float],
    pairs: Pairs,
    model: ExponentialDecay,
    buffers: Float[Tensor, "6 _"],
    total: Float[Tensor, " voxel"],
    slope: Float[Tensor, " voxel"] | None,
    slopes: Float[Tensor, "time voxel"] | None,
) -> None:
    """Write the mean over all pairs to ``total``, and its derivatives by T and by the images to the slopes.

    All operations are in place in ``buffers``, which is faster than to allocate memory for each pair.
    """
    rate, q, error, sign, carried, factor = buffers[:, : len(t_ms)]
    rate.copy_(model.rate(t_ms))
    order = sorted(range(len(coordinates)), key=coordinates.__getitem__)
    for early, late in combinations(order, 2):
        gap = coordinates[late] - coordinates[early]
        torch.mul(rate, -gap, out=q).exp_()
        torch.mul(q, images[early], out=carried)
        torch.sub(images[late], carried, out=error)
        torch.sign(error, out=sign)
        # The residual is w |error|: w is 1 for "forward", 1 / sqrt(1 + q^2) for "orthogonal", and 1 + 1 / q for "all",
        # which sums both directions. The derivative of w * error by log q is -w * pull; sign becomes w * sign(error).
        pull = carried
        if pairs != "forward":
            factor = torch.mul(q, q, out=factor) if pairs == "orthogonal" else torch.reciprocal(q, out=factor)
            pull.add_(error).addcdiv_(error, factor.add_(1), value=-1)
            sign *= factor.rsqrt_() if pairs == "orthogonal" else factor
        total.addcmul_(error, sign)
        if slope is not None:
            slope.addcmul_(pull, sign, value=-gap)
        if slopes is not None:
            slopes[late] += sign
            slopes[early] -= sign.mul_(q)
    share = (1 if pairs == "all" else 2) / (len(order) * (len(order) - 1))
    total *= share
    if slope is not None:
        # With log q = -gap R and R = T^-p, d log q / dT = gap p R / T.
        slope *= rate.div_(t_ms).mul_(model.power * share)
    if slopes is not None:
        slopes *= share


class PairwiseConstraint(Residual):
    """Residual between pairs of images of each contrast.

    Parameters
    ----------
    protocol
        The acquisition protocol; each contrast is a task.
    pairs
        ``"all"`` ordered pairs, as in the paper; ``"forward"``; or ``"orthogonal"``, which noise does not bias: see
        :func:`pairwise_residual`.
    held_out_from
        The inputs of the network, which the residual does not use: the name of an input set or channel numbers; a
        sequence with one of these for each sample of a batch; None to use all images. The noise of held-out images is
        independent of that of the inputs, so a network cannot lower the residual by reproducing noise.

    Raises
    ------
    ValueError
        If ``pairs`` is unknown, ``held_out_from`` is no input set or leaves fewer than two images of a contrast, or a
        model adds a constant.

    See Also
    --------
    pairwise_residual : The formula.
    relaxnet.signals.remove_rician_bias : Correction of magnitude images near the noise level, to be applied before.

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
        require_option("pairs", pairs, Pairs)
        super().__init__(protocol, held_out_from)
        self.pairs = pairs

    def forward(
        self,
        maps_ms: Float[Tensor, "batch task *space"],
        images: Float[Tensor, "batch image *space"],
        *,
        held_out_from: HeldOutFrom = None,
    ) -> Float[Tensor, "batch task *space"]:
        """Compute the residual of each task.

        Parameters
        ----------
        maps_ms
            Relaxation times in ms, positive, one map for each contrast, in the order of the protocol.
        images
            All images of the protocol, in its order.
        held_out_from
            Replaces that of the constructor for this batch.

        Returns
        -------
        Tensor
            Residual of each task in the units of the images: the mean over its pairs. NaN where an image is not finite.

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
        """Compute the residual of each pair of each task with its sign, for :class:`CorrelatedLaplace`.

        Parameters
        ----------
        maps_ms, images, held_out_from
            As for a call.

        Returns
        -------
        Tensor
            Signed residual of each pair. Its mean absolute value over the pairs is the result of a call. NaN where an
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
    """Compute the signed residual of each pair, for any signal model.

    Parameters
    ----------
    images, t_ms, times_ms, pairs, model
        As for :func:`pairwise_residual`.

    Returns
    -------
    Tensor
        Signed residuals; NaN where an image is not finite.
    """
    usable = rearrange(torch.isfinite(images).all(1), "batch ... -> batch 1 ...")
    images = torch.where(usable, images, 0)
    basis = basis_of(model, t_ms, times_ms)
    least = _NULL * basis.detach().abs().amax(1)
    decay = model if isinstance(model, ExponentialDecay) else None

    def propagate(image: int, to: int) -> tuple[Tensor, Tensor | None]:
        """Return the ratio of basis values from one image to another, and where the first one is too small."""
        if decay is not None:  # one exponential of the time difference: it neither divides nor underflows early
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
