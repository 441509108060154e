"""The backbone."""

from einops import pack
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class UNet(nn.Module):
    """A U-Net for images of any height and width.

    Two convolutions a level, each followed by batch normalisation and a ReLU; max-pooling down, transposed convolutions
    up; skip connections by concatenation. Images whose sides are not multiples of ``2**depth`` are padded by repeating
    their edge, and the result is cropped.

    Parameters
    ----------
    in_channels
        Channels of the input.
    out_channels
        Channels of the output, which has no activation.
    base
        Channels of the first level; they double at each level below.
    depth
        Number of times that the image is halved.

    Raises
    ------
    ValueError
        If one of these is below 1.

    References
    ----------
    Ronneberger, Fischer and Brox, *U-Net: convolutional networks for biomedical image segmentation*, MICCAI 2015. With
    ``base=16`` and ``depth=4`` it has the layers, and the 1.94 million parameters, of the network that Huang et al.
    use.

    Examples
    --------
    >>> net = rx.nets.UNet(in_channels=3, out_channels=2, base=4, depth=3)
    >>> net(torch.zeros(1, 3, 37, 50)).shape
    torch.Size([1, 2, 37, 50])
    """

    def __init__(self, in_channels: int, out_channels: int, *, base: int = 16, depth: int = 4) -> None:
        super().__init__()
        for name, value in {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "base": base,
            "depth": depth,
        }.items():
            if value < 1:
                raise ValueError(f"{name}={value}: at least 1 is needed.")
        self.in_channels = in_channels
        self.depth = depth
        widths = [base * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _convolutions(before, after) for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, kernel_size=2, stride=2) for width in reversed(widths[:-1])
        )
        self.merge = nn.ModuleList(_convolutions(2 * width, width) for width in reversed(widths[:-1]))
        self.head = nn.Conv2d(base, out_channels, kernel_size=1)

    def forward(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch output height width"]:
        """Run the network.

        Parameters
        ----------
        images
            Images of any height and width.

        Returns
        -------
        Tensor
            Features of the same height and width.

        Raises
        ------
        ValueError
            If the number of channels is not ``in_channels``.
        """
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise ValueError(
                f"images has shape {tuple(images.shape)}: (batch, {self.in_channels}, height, width) is needed."
            )
        height, width = images.shape[-2:]
        step = 2**self.depth
        features = functional.pad(images, (0, -width % step, 0, -height % step), mode="replicate")
        skips = []
        for level, convolve in enumerate(self.down):
            features = convolve(features if level == 0 else functional.max_pool2d(features, 2))
            skips.append(features)
        skips.pop()
        for enlarge, convolve in zip(self.up, self.merge, strict=True):
            features = convolve(pack([enlarge(features), skips.pop()], "b * h w")[0])
        output: Tensor = self.head(features)
        return output[..., :height, :width]


def _convolutions(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, after):
        # The bias would be taken away again by the normalisation.
        layers += [
            nn.Conv2d(channels, after, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
