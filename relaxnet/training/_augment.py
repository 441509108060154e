"""Augmentation: random rotations, translations and reflections, fresh noise, and other relaxation rates."""

import math
from collections.abc import Sequence

import torch
from einops import pack, rearrange, unpack
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from relaxnet.protocol import Protocol
from relaxnet.signals import ExponentialDecay
from relaxnet.training._presets import Preset

_SLOWEST = 0.04  # of the typical rate, which for a decay of 40 ms leaves 1 s; a shift must not make a rate negative
Batch = dict[str, Tensor]


class Augmentation:
    """What a preset changes about a batch at random.

    Parameters
    ----------
    preset
        By how much.
    protocol
        What was acquired.

    Raises
    ------
    ValueError
        If rates are to be shifted, and a signal model has none, or contrasts share an image that a shift would change.
    """

    def __init__(self, preset: Preset, protocol: Protocol) -> None:
        self.preset = preset
        self.protocol = protocol
        if preset.rate_shift:
            rates_of(protocol)
            if protocol.shared_first:
                protocol.require_common_amplitude()

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Rotate, shift and flip the slices, all that belongs to one alike; add noise last, which must stay white.

        Parameters
        ----------
        batch
            All images of some slices, and what belongs to them.
        generator
            Source of random numbers on the processor.

        Returns
        -------
        dict
            The changed batch.
        """
        preset = self.preset
        maps = {name: batch[name] for name in ("images", "labels", "labelled") if name in batch}
        stack, shapes = pack([of.to(maps["images"]) for of in maps.values()], "batch * height width")
        if preset.max_degrees or preset.max_shift:
            stack = random_affine(
                stack, max_degrees=preset.max_degrees, max_shift=preset.max_shift, generator=generator
            )
        if preset.flips:
            stack = random_flip(stack, generator=generator)
        batch = batch | dict(zip(maps, unpack(stack, shapes, "batch * height width"), strict=True))
        if preset.fresh_noise:
            images = batch["images"]
            source = torch.Generator(images.device).manual_seed(int(torch.randint(2**62, (), generator=generator)))
            sigma = rearrange(batch["sigma"], "batch -> batch 1 1 1")
            batch["images"] = self.protocol.add_noise(images, sigma, generator=source)
        return batch

    def rate_shifts(self, n: int, generator: torch.Generator) -> Float[Tensor, "batch task"]:
        """Draw changes of the relaxation rates.

        Parameters
        ----------
        n
            Number of slices.
        generator
            Source of random numbers on the processor.

        Returns
        -------
        Tensor
            By how much the rate of each contrast of each slice grows; zeros if the preset shifts none.
        """
        drawn = 2 * torch.rand(n, len(self.protocol.names), generator=generator) - 1
        return self.preset.rate_shift * rates_of(self.protocol) * drawn if self.preset.rate_shift else 0 * drawn


def rates_of(protocol: Protocol) -> Float[Tensor, " task"]:
    """Compute the typical relaxation rate of each contrast.

    Parameters
    ----------
    protocol
        What was acquired.

    Returns
    -------
    Tensor
        Rates, in 1/ms where the model is a decay in time.

    Raises
    ------
    ValueError
        If a signal model has no rates, because it is not an exponential decay.
    """
    rates = []
    for contrast in protocol.contrasts:
        model = contrast.model
        if not isinstance(model, ExponentialDecay):
            raise ValueError(  # noqa: TRY004 (it is a model, but not of the right kind)
                f"rate_shift: contrast {contrast.name!r} has the model {model!r}, whose images cannot be changed to "
                f"those of another rate. Use a preset without, dataclasses.replace(preset, rate_shift=0)."
            )
        rates.append(model.rate(torch.tensor(model.parameter.typical)))
    return torch.stack(rates)


def random_affine(
    images: Float[Tensor, "batch image height width"],
    *,
    max_degrees: float,
    max_shift: float,
    generator: torch.Generator,
) -> Float[Tensor, "batch image height width"]:
    """Rotate and translate each subject's images, all of them alike.

    Parameters
    ----------
    images
        Images; those of one subject must stay aligned.
    max_degrees
        Largest rotation either way.
    max_shift
        Largest translation either way, as a fraction of the image.
    generator
        Source of random numbers on the processor.

    Returns
    -------
    Tensor
        Images of the same shape, interpolated bilinearly; what comes in from outside mirrors the border.
    """
    n, _, height, width = images.shape
    angle, down, right = (torch.rand(3, n, generator=generator) * 2 - 1).to(images)
    angle = angle * math.radians(max_degrees)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # In the coordinates of affine_grid both sides have length 2, so a rotation of pixels needs the aspect ratio.
    aspect = width / height
    rows = (cos, -sin / aspect, 2 * max_shift * right, sin * aspect, cos, 2 * max_shift * down)
    matrix = rearrange(torch.stack(rows), "(row column) batch -> batch row column", row=2)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def random_flip(
    images: Float[Tensor, "batch image height width"], *, generator: torch.Generator
) -> Float[Tensor, "batch image height width"]:
    """Mirror half of the subjects left to right, and half of them top to bottom.

    Parameters
    ----------
    images
        Images; those of one subject must stay aligned.
    generator
        Source of random numbers on the processor.

    Returns
    -------
    Tensor
        Images of the same shape, not interpolated.
    """
    for axis in (-1, -2):
        chosen = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
        images = torch.where(rearrange(chosen, "batch -> batch 1 1 1"), images.flip(axis), images)
    return images


def shift_rates(
    images: Float[Tensor, "batch image *space"],
    shifts: Float[Tensor, "batch task"],
    protocol: Protocol,
    channels: Sequence[int],
) -> Float[Tensor, "batch image *space"]:
    r"""Change images to those of tissue with larger relaxation rates.

    .. math:: S_k e^{-\delta u_k} = M_0 e^{-(R + \delta) u_k}

    This holds for any exponential decay, where u is its coordinate, the time for most, so no label is needed. The noise
    of an image changes with it.

    Parameters
    ----------
    images
        Images.
    shifts
        By how much, for each contrast.
    protocol
        What was acquired.
    channels
        Which channels of a stack the images are.

    Returns
    -------
    Tensor
        Images of the same shape. An image that contrasts share depends on none of their rates and stays as it is.

    Raises
    ------
    ValueError
        If a signal model has no rates.
    """
    rates_of(protocol)
    exponent = torch.zeros(images.shape[:2], dtype=images.dtype, device=images.device)
    for task, contrast in enumerate(protocol.contrasts):
        coordinates = contrast.model.coordinate(images.new_tensor(contrast.times_ms))  # type: ignore[attr-defined]
        for channel, u in zip(protocol.images_of(contrast.name), coordinates, strict=True):
            if channel in channels:
                exponent[:, channels.index(channel)] = -shifts[:, task] * u
    return images * rearrange(torch.exp(exponent), f"batch image -> batch image{' 1' * (images.ndim - 2)}")


def undo_rate_shift(
    maps_ms: Float[Tensor, "batch task *space"], shifts: Float[Tensor, "batch task"], protocol: Protocol
) -> Float[Tensor, "batch task *space"]:
    """Undo :func:`shift_rates` in maps.

    Parameters
    ----------
    maps_ms
        Relaxation times of the changed images.
    shifts
        What was given to :func:`shift_rates`.
    protocol
        What was acquired.

    Returns
    -------
    Tensor
        Relaxation times of the images as they were; where hardly a rate is left, the longest, 1 s for a decay.
    """
    found = []
    for task, (contrast, typical) in enumerate(zip(protocol.contrasts, rates_of(protocol).tolist(), strict=True)):
        model = contrast.model
        assert isinstance(model, ExponentialDecay)  # noqa: S101 (rates_of has refused others)
        shift = rearrange(shifts[:, task], f"batch -> batch{' 1' * (maps_ms.ndim - 2)}")
        found.append(model.from_rate((model.rate(maps_ms[:, task]) - shift).clamp(min=_SLOWEST * typical)))
    return torch.stack(found, dim=1)
