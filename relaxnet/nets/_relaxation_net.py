"""The network that answers in milliseconds."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from relaxnet.nets._unet import UNet
from relaxnet.protocol import Protocol

START_MS = 40.0


class RelaxationOutput(NamedTuple):
    """What a :class:`RelaxationNet` returns."""

    maps_ms: Float[Tensor, "batch task height width"]
    """Relaxation times in ms, one map for each contrast of the protocol."""


class RelaxationNet(nn.Module):
    r"""A U-Net from a few images to one relaxation-time map for each contrast.

    **Normalisation.** All images of a subject are divided by one number, their common root mean square. The ratio of
    two images, which holds T, is untouched, and maps do not change when the images are multiplied by a constant.
    Nothing has to be undone at the output, because T does not depend on the scale.

    **Head.** With the network's output z and the bounds [a, b],

    .. math:: \log T = \log a + \operatorname{sigmoid}(z + z_0) \log(b / a),

    where :math:`z_0` makes z = 0 a T of 40 ms, a plausible value to start from. Every T lies within the
    bounds, whatever the weights.

    Parameters
    ----------
    protocol
        What was acquired.
    inputs
        Which images the network sees: a key of :attr:`Protocol.input_sets`, or channel numbers.
    base, depth
        Size of the :class:`UNet`.
    bounds_ms
        Shortest and longest relaxation time that the network can answer with.

    Raises
    ------
    ValueError
        If ``inputs`` is not in the protocol, or the bounds make no sense.

    Examples
    --------
    >>> net = rx.nets.RelaxationNet(rx.protocols.LIVER_T1RHO_T2, inputs="short", base=4, depth=2)
    >>> net.input_channels
    (0, 1, 4)
    >>> images = torch.rand(1, 7, 32, 40)
    >>> net(images[:, net.input_channels]).maps_ms.shape
    torch.Size([1, 2, 32, 40])
    """

    def __init__(
        self,
        protocol: Protocol,
        inputs: str | Sequence[int],
        *,
        base: int = 16,
        depth: int = 4,
        bounds_ms: tuple[float, float] = (5.0, 400.0),
    ) -> None:
        super().__init__()
        low, high = bounds_ms
        if not 0 < low < high < math.inf:
            raise ValueError(
                f"bounds_ms={bounds_ms}: give the shortest and the longest T, with 0 < shortest < longest."
            )
        self.protocol = protocol
        self.input_channels = protocol.channels(inputs)
        self.bounds_ms = (float(low), float(high))
        self.backbone = UNet(len(self.input_channels), len(protocol.names), base=base, depth=depth)
        self._size = {"base": base, "depth": depth}
        # Where 40 ms lies outside the bounds or close to one, start away from them: the sigmoid is flat there.
        fraction = min(max(math.log(START_MS / low) / math.log(high / low), 0.1), 0.9)
        self._shift = math.log(fraction / (1 - fraction))

    def scale(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch 1 1 1"]:
        """Tell the number that each subject's images are divided by.

        Parameters
        ----------
        images
            The images that the network sees.

        Returns
        -------
        Tensor
            Their root mean square over channels and voxels; 1 where all of them are zero.
        """
        rms = images.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        return torch.where(rms > 0, rms, 1)

    def forward(self, images: Float[Tensor, "batch channel height width"]) -> RelaxationOutput:
        """Map the relaxation times.

        Parameters
        ----------
        images
            The images of :attr:`input_channels`, in that order, in any unit.

        Returns
        -------
        RelaxationOutput
            Maps in ms, in the order of the contrasts.

        Raises
        ------
        ValueError
            If the number of images is another.
        """
        if images.ndim != 4 or images.shape[1] != len(self.input_channels):
            raise ValueError(
                f"images has shape {tuple(images.shape)}: (batch, {len(self.input_channels)}, height, width) is needed,"
                f" images[:, {self.input_channels}] of the protocol."
            )
        low, high = self.bounds_ms
        fraction = torch.sigmoid(self.backbone(images / self.scale(images)) + self._shift)
        return RelaxationOutput(maps_ms=low * torch.exp(fraction * math.log(high / low)))

    @property
    def config(self) -> dict[str, Any]:
        """All that is needed to make this network again, but for its weights, in plain values."""
        return {
            "protocol": self.protocol.to_dict(),
            "inputs": list(self.input_channels),
            "bounds_ms": list(self.bounds_ms),
            **self._size,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RelaxationNet":
        """Make the network that :attr:`config` described, with fresh weights.

        Parameters
        ----------
        config
            What :attr:`config` returned.

        Returns
        -------
        RelaxationNet
            The network.
        """
        options = dict(config)
        protocol = Protocol.from_dict(options.pop("protocol"))
        return cls(protocol, options.pop("inputs"), bounds_ms=tuple(options.pop("bounds_ms")), **options)
