"""Networks from elsewhere as backbones."""

from jaxtyping import Float
from torch import Tensor, nn

from relaxnet.nets._checks import require_positive
from relaxnet.nets._space import crop, pad


def as_backbone(module: nn.Module, in_channels: int, out_channels: int, *, multiple: int = 1) -> "Backbone":
    r"""Wrap a network to be used instead of the U-Net in a :class:`RelaxationNet`.

    Parameters
    ----------
    module
        Network from (batch, in_channels, \*space) to (batch, out_channels, \*space), without an activation at its end:
        from MONAI or segmentation-models, or your own.
    in_channels, out_channels
        Channels of its input and of its output.
    multiple
        The sides of its images must be multiples of this number. Other images are padded by repeating their edge, and
        the result is cropped.

    Returns
    -------
    Backbone
        The wrapped module, which takes images of any size and checks its output.

    Raises
    ------
    ValueError
        If a number is below 1.

    Examples
    --------
    >>> module = torch.nn.Conv2d(3, 2, kernel_size=3, padding=1)
    >>> backbone = rx.nets.as_backbone(module, in_channels=3, out_channels=2, multiple=16)
    >>> net = rx.nets.RelaxationNet(rx.protocols.LIVER_T1RHO_T2, inputs="short", backbone=backbone)
    >>> net(torch.rand(1, 3, 37, 50)).maps_ms.shape
    torch.Size([1, 2, 37, 50])
    """
    require_positive(in_channels=in_channels, out_channels=out_channels, multiple=multiple)
    return Backbone(module, in_channels, out_channels, multiple)


class Backbone(nn.Module):
    """A network wrapped by :func:`as_backbone`."""

    def __init__(self, module: nn.Module, in_channels: int, out_channels: int, multiple: int) -> None:
        super().__init__()
        self.module = module
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.multiple = multiple
        self.name = type(module).__name__

    def forward(self, images: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch output *space"]:
        """Run the module.

        Parameters
        ----------
        images
            Images of any size.

        Returns
        -------
        Tensor
            Features of the same size.

        Raises
        ------
        ValueError
            If the module does not return one tensor of the expected shape.
        """
        padded = pad(images, self.multiple)
        output = self.module(padded)
        needed = (len(padded), self.out_channels, *padded.shape[2:])
        came = tuple(output.shape) if isinstance(output, Tensor) else f"a {type(output).__name__}"
        if came != needed:
            raise ValueError(
                f"The backbone {self.name} was given {tuple(padded.shape)} and returned {came}: {needed} is needed. "
                f"Check that out_channels={self.out_channels} and multiple={self.multiple} are right for it."
            )
        return crop(output, images.shape[2:])


def require_backbone(backbone: nn.Module, n_inputs: int, n_outputs: tuple[int, int, int]) -> Backbone:
    """Check that a backbone is wrapped and has the needed channels.

    Parameters
    ----------
    backbone
        The backbone.
    n_inputs
        Needed input channels.
    n_outputs
        Needed output channels: for relaxation times and the weights of initial estimates, for amplitudes, for scales.

    Returns
    -------
    Backbone
        The backbone.

    Raises
    ------
    ValueError
        If it is not wrapped, or has other channels.
    """
    if not isinstance(backbone, Backbone):
        raise ValueError(f"backbone is a {type(backbone).__name__}: wrap it by relaxnet.nets.as_backbone.")  # noqa: TRY004
    if (backbone.in_channels, backbone.out_channels) != (n_inputs, sum(n_outputs)):
        raise ValueError(
            f"backbone {backbone.name} takes {backbone.in_channels} channels and returns {backbone.out_channels}: "
            f"{n_inputs} and {sum(n_outputs)} are needed ({n_outputs[0]} for relaxation times and the weights of "
            f"initial estimates, {n_outputs[1]} for amplitudes, {n_outputs[2]} for scales)."
        )
    return backbone
