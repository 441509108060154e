"""Augmentation: random rotations, translations and reflections, fresh noise, and other relaxation rates."""

import math
from collections.abc import Sequence

import torch
from einops import pack, rearrange, unpack
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from relaxnet.nets._input_mask import own_images
from relaxnet.nets._space import over_space
from relaxnet.protocol import Protocol
from relaxnet.signals import ExponentialDecay
from relaxnet.training._presets import Preset

_SLOWEST = 0.04  # of the typical rate: undoing a shift must not make a rate negative; for 40 ms, the longest T is 1 s
Batch = dict[str, Tensor]


class Augmentation:
    """Random changes of a batch.

    Parameters
    ----------
    preset
        Kinds and sizes of the changes.
    protocol
        The acquisition protocol.

    Raises
    ------
    ValueError
        If rates are to be shifted, and a signal model has no rate, or contrasts share an image that a shift changes.
    """

    def __init__(self, preset: Preset, protocol: Protocol) -> None:
        self.preset = preset
        self.protocol = protocol
        if preset.rate_shift:
            rates_of(protocol)
            if protocol.shared_first:
                protocol.require_common_amplitude()

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Rotate, translate and flip slices, together with their labels; then add noise.

        Noise comes last, because an interpolation would smooth it.

        Parameters
        ----------
        batch
            All images of some slices, with their labels and noise levels.
        generator
            Random number generator on the CPU.

        Returns
        -------
        dict
            The augmented batch.
        """
        preset = self.preset
        maps: Batch = {name: batch[name] for name in ("images", "labels", "labelled", "mask") if name in batch}
        known = torch.isfinite(batch["images"])
        if not known.all():  # an interpolation would spread what is missing
            maps |= {"images": torch.where(known, batch["images"], 0), "known": known}
        stack, shapes = pack([of.to(maps["images"]) for of in maps.values()], "batch * height width")
        degrees, shift = preset.max_degrees, preset.max_shift
        if degrees or shift:
            stack = random_affine(stack, max_degrees=degrees, max_shift=shift, generator=generator)
        if preset.flips:
            stack = random_flip(stack, generator=generator)
        batch = batch | dict(zip(maps, unpack(stack, shapes, "batch * height width"), strict=True))
        if "known" in batch:
            batch["images"] = torch.where(batch.pop("known") > 0.99, batch["images"], torch.nan)
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
            Random number generator on the CPU.

        Returns
        -------
        Tensor
            Increase of the rate of each contrast of each slice; zeros if the preset shifts no rates.
        """
        drawn = 2 * torch.rand(n, len(self.protocol.names), generator=generator) - 1
        return self.preset.rate_shift * rates_of(self.protocol) * drawn if self.preset.rate_shift else 0 * drawn


def rates_of(protocol: Protocol) -> Float[Tensor, " task"]:
    """Compute the typical relaxation rate of each contrast.

    Parameters
    ----------
    protocol
        The acquisition protocol.

    Returns
    -------
    Tensor
        Rates, in 1/ms for a mono-exponential decay in time.

    Raises
    ------
    ValueError
        If a signal model has no rate, because it is not an exponential decay.
    """
    rates = []
    for contrast in protocol.contrasts:
        model = contrast.model
        if not isinstance(model, ExponentialDecay):
            raise ValueError(  # noqa: TRY004 (the model is valid, but does not go with the preset)
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
    """Rotate and translate the images of each slice, all of them in the same way.

    Parameters
    ----------
    images
        All images of each slice.
    max_degrees
        Largest rotation in either direction.
    max_shift
        Largest translation in either direction, as a fraction of the image.
    generator
        Random number generator on the CPU.

    Returns
    -------
    Tensor
        Images of the same shape, interpolated bilinearly and reflected at the borders.
    """
    n, _, height, width = images.shape
    angle, down, right = (torch.rand(3, n, generator=generator) * 2 - 1).to(images)
    angle = angle * math.radians(max_degrees)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # In the coordinates of affine_grid both sides have length 2: rotations need the aspect ratio, shifts a factor of 2.
    aspect = width / height
    rows = (cos, -sin / aspect, 2 * max_shift * right, sin * aspect, cos, 2 * max_shift * down)
    matrix = rearrange(torch.stack(rows), "(row column) batch -> batch row column", row=2)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def random_flip(
    images: Float[Tensor, "batch image height width"], *, generator: torch.Generator
) -> Float[Tensor, "batch image height width"]:
    """Mirror half of the slices left to right, and half of them top to bottom.

    Parameters
    ----------
    images
        All images of each slice.
    generator
        Random number generator on the CPU.

    Returns
    -------
    Tensor
        Images of the same shape.
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

    This holds for every exponential decay; u is its coordinate, for most models the time. No labels are needed. The
    noise of an image is multiplied by the same factor.

    Parameters
    ----------
    images
        Images of each slice.
    shifts
        Increase of the rate of each contrast.
    protocol
        The acquisition protocol.
    channels
        Channels of the images in a stack.

    Returns
    -------
    Tensor
        Images of the same shape. An image that contrasts share does not depend on their rates and does not change.

    Raises
    ------
    ValueError
        If a signal model has no rate.
    """
    rates_of(protocol)
    exponent = torch.zeros(images.shape[:2], dtype=images.dtype, device=images.device)
    for task, contrast in enumerate(protocol.contrasts):
        own, times = own_images(contrast, protocol, channels)
        u = contrast.model.coordinate(images.new_tensor(times))  # type: ignore[attr-defined]
        exponent[:, own] = -rearrange(shifts[:, task], "batch -> batch 1") * u  # autocast would lower an einsum
    return images * over_space(torch.exp(exponent), images.ndim - 2)


def undo_rate_shift(
    maps_ms: Float[Tensor, "batch task *space"], shifts: Float[Tensor, "batch task"], protocol: Protocol
) -> Float[Tensor, "batch task *space"]:
    """Undo :func:`shift_rates` in predicted maps.

    Parameters
    ----------
    maps_ms
        Relaxation times predicted from the changed images, in ms.
    shifts
        Argument of :func:`shift_rates`.
    protocol
        The acquisition protocol.

    Returns
    -------
    Tensor
        Relaxation times of the original images in ms. They are limited where hardly any rate is left, to 1 s for a
        typical T of 40 ms.
    """
    found = []
    for task, (contrast, typical) in enumerate(zip(protocol.contrasts, rates_of(protocol).tolist(), strict=True)):
        model = contrast.model
        assert isinstance(model, ExponentialDecay)  # noqa: S101 (rates_of has checked it)
        shift = over_space(shifts[:, task], maps_ms.ndim - 2)
        found.append(model.from_rate((model.rate(maps_ms[:, task]) - shift).clamp(min=_SLOWEST * typical)))
    return torch.stack(found, dim=1)
