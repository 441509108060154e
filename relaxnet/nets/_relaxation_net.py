"""Networks that predict relaxation times, in ms."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from relaxnet.nets._backbone import Backbone, require_backbone
from relaxnet.nets._checks import check_bounds, require_known, require_positive, require_same
from relaxnet.nets._heads import blend, bounded_time, laplace_log_scale, positive_amplitude
from relaxnet.nets._initial_estimates import initial_estimate
from relaxnet.nets._input_mask import Inputs, input_mask
from relaxnet.nets._scale import subject_scale
from relaxnet.nets._slots import slots
from relaxnet.nets._space import axes
from relaxnet.nets._unet import UNet
from relaxnet.protocol import Protocol
from relaxnet.signals import SignalModel


class RelaxationOutput(NamedTuple):
    """What a :class:`RelaxationNet` returns."""

    maps_ms: Float[Tensor, "batch task *space"]
    """Relaxation times in ms, or what else the signal model of a contrast has, one map for each contrast."""
    valid: Bool[Tensor, "batch *space"]
    """Where all input images are finite, and not all of them zero."""
    log_scale: Float[Tensor, "batch task *space"] | None = None
    """Natural logarithm of a Laplace scale for each contrast, which is in the units of the images; None without
    ``uncertainty``."""
    m0: Float[Tensor, "batch 1 *space"] | None = None
    """Amplitude at time zero, above zero, in the units of the images; None without ``amplitude``."""


class RelaxationNet(nn.Module):
    r"""A network from a few images to one relaxation-time map for each contrast.

    **Normalisation.** All images of a subject are divided by one number s, their common root mean square. The ratio of
    two images, which holds T, is untouched, and maps do not change when the images are multiplied by a constant.
    Values that are not finite become zero before anything else, so that their neighbours are not lost.

    **Heads.** With the outputs z of the U-Net and the bounds [a, b] of a contrast,

    .. math::
        \log T &= \log a + \operatorname{sigmoid}(z_T + z_0) \log(b / a), \\
        M_0 &= s \operatorname{softplus}(z_M + \log(e - 1)), \\
        \log \sigma &= 10 \tanh(z_\sigma / 10) + \log s + c,

    where :math:`z_0` makes z = 0 a typical T, 40 ms for a decay. Every T lies within the bounds, whatever the weights.
    The other two start near s, and carry the units of the images; a training lets the scales of each contrast start at
    what its residuals are at first, by the constant c.

    **Any subset.** With ``inputs="any"``, one network serves every input set. It takes all images of the protocol, and
    each call says which of them are its inputs. Its channels are the first images, and for each contrast the mean of
    the later input images, and their mean time. Other images have no influence, and may be NaN.

    **Initial estimates.** To compute a relaxation time from images, a network has to learn to divide and to take
    logarithms. Initial estimates save it that: fits of the input images, smoothed by a Gaussian. Narrow ones keep the
    detail, wide ones have less noise. They are further channels, and what the output starts from: the network blends
    them in each voxel, and adds a correction. With estimates :math:`T_k` and further outputs :math:`z_k`, the number
    :math:`z_0` above becomes

    .. math:: z_0 = \operatorname{logit} \sum_k w_k \frac{\log T_k - \log a}{\log b - \log a}, \qquad
        w = \operatorname{softmax}(z_1, z_2, \dots),

    and likewise that of the amplitude, from the amplitudes of the same fits. Untrained, a network with initial
    estimates outputs their mean.

    Parameters
    ----------
    protocol
        What was acquired.
    inputs
        The input images: a key of :attr:`Protocol.input_sets`, channel numbers, or ``"any"``.
    base, depth, norm, up
        Options of the :class:`UNet`. A ``backbone`` made elsewhere has its own.
    dims
        2 for images (batch, channel, height, width), 3 for volumes (batch, channel, depth, height, width).
    bounds_ms
        Smallest and largest relaxation time that the network can output: for all contrasts, or by the name of each;
        those of the signal models by default, (5, 400) ms for decays.
    uncertainty
        ``"heteroscedastic"`` adds a second decoder for the logarithm of a Laplace scale for each voxel; ``"faithful"``
        does so, too, but keeps the gradient of the scales from the encoder, see
        :class:`~relaxnet.losses.HeteroscedasticLaplace`.
    amplitude
        Whether the network outputs the amplitude at time zero, too.
    initial_estimates
        Standard deviations in voxels of the Gaussians of the initial estimates, 0 for no smoothing; none by default.
    backbone
        A network made elsewhere, wrapped by :func:`as_backbone`, in place of the U-Net.

    Raises
    ------
    ValueError
        If ``inputs`` is not in the protocol, the bounds make no sense, an option is unknown, or the backbone has other
        channels than are needed.

    Examples
    --------
    >>> net = rx.nets.RelaxationNet(rx.protocols.LIVER_T1RHO_T2, inputs="short", base=4, depth=2)
    >>> net.input_channels
    (0, 1, 4)
    >>> images = torch.rand(1, 7, 32, 40)
    >>> net(images[:, net.input_channels]).maps_ms.shape
    torch.Size([1, 2, 32, 40])

    One network for every input set:

    >>> net = rx.nets.RelaxationNet(rx.protocols.LIVER_T1RHO_T2, inputs="any", base=4, depth=2)
    >>> net(images, inputs="long").maps_ms.shape
    torch.Size([1, 2, 32, 40])
    """

    def __init__(
        self,
        protocol: Protocol,
        inputs: str | Sequence[int],
        *,
        base: int = 16,
        depth: int = 4,
        dims: Literal[2, 3] = 2,
        norm: Literal["batch", "group"] = "batch",
        up: Literal["transposed", "bilinear"] = "transposed",
        bounds_ms: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
        uncertainty: Literal["heteroscedastic", "faithful"] | None = None,
        amplitude: bool = False,
        initial_estimates: Sequence[float] = (),
        backbone: nn.Module | None = None,
    ) -> None:
        super().__init__()
        require_known("dims", dims, 2, 3)
        require_known("uncertainty", uncertainty, "heteroscedastic", "faithful", None)
        if not all(0 <= width < math.inf for width in initial_estimates):
            raise ValueError(f"initial_estimates={initial_estimates}: a width is a number of voxels, 0 or more.")
        self.protocol = protocol
        self.any_subset = isinstance(inputs, str) and inputs == "any"
        self.input_channels = tuple(range(protocol.n_images)) if self.any_subset else protocol.channels(inputs)
        self.dims = dims
        self.bounds_ms = check_bounds(bounds_ms, protocol)
        self.uncertainty = uncertainty
        self.amplitude = amplitude
        self.initial_estimates = tuple(float(width) for width in initial_estimates)
        self._size = {"base": base, "depth": depth, "norm": norm, "up": up}
        n_tasks = len(protocol.names)
        n_firsts = len({protocol.images_of(name)[0] for name in protocol.names})
        n_inputs = n_firsts + 2 * n_tasks if self.any_subset else len(self.input_channels)
        n_inputs += n_tasks * len(self.initial_estimates)
        each = 1 + len(self.initial_estimates)  # a number, and the weights of what it corrects
        self._n_outputs = (n_tasks * each, each * amplitude, n_tasks if uncertainty else 0)
        if uncertainty:
            self.register_buffer("first_log_scale", torch.zeros(n_tasks))
            self.first_log_scale: Tensor
        if backbone is None:
            means = self._n_outputs[0] + self._n_outputs[1]
            decoders = (means, n_tasks) if uncertainty else means
            detached = (1,) if uncertainty == "faithful" else ()
            self.backbone: nn.Module = UNet(
                n_inputs, decoders, base=base, depth=depth, dims=dims, norm=norm, up=up, detached=detached
            )
            if self.initial_estimates:  # which are a better start than chance
                self.backbone.zero_head(0)
        else:
            self.backbone = require_backbone(backbone, n_inputs, self._n_outputs)

    def scale(
        self, images: Float[Tensor, "batch channel *space"], inputs: Inputs = None
    ) -> Float[Tensor, "batch 1 *_"]:
        """Compute the number that each subject's images are divided by.

        Parameters
        ----------
        images
            The images of :attr:`input_channels`, in that order.
        inputs
            As for the network itself.

        Returns
        -------
        Tensor
            The root mean square over the finite values of all input images; 1 where they are zero.
        """
        return subject_scale(*self._look(images, self._mask(images, inputs)))

    def forward(self, images: Float[Tensor, "batch channel *space"], inputs: Inputs = None) -> RelaxationOutput:
        """Map the relaxation times.

        Parameters
        ----------
        images
            The images of :attr:`input_channels`, in that order, in any unit.
        inputs
            Which of them are inputs, if the network was made for any subset: a key of :attr:`Protocol.input_sets`,
            channel numbers, a sequence with one of these for each sample, or a mask (batch, channel). By default all.

        Returns
        -------
        RelaxationOutput
            Maps in ms, in the order of the contrasts, and what else the network was made to output.

        Raises
        ------
        ValueError
            If the number of images is another, or ``inputs`` is not in the protocol or given to a network of fixed
            inputs.
        """
        mask = self._mask(images, inputs)
        shown, counted = self._look(images, mask)
        scale = subject_scale(shown, counted)
        complete = (counted | ~self._on_voxels(mask)).all(dim=1)
        # A voxel of which an image is lost gives no estimate, nor does it pull at those of its neighbours.
        whole = torch.where(rearrange(complete, "batch ... -> batch 1 ..."), shown / scale, 0)
        bounds = tuple(self.bounds_ms.values())
        estimates = [
            initial_estimate(self.protocol, self.input_channels, whole, mask, bounds, width)
            for width in self.initial_estimates
        ]
        times, amplitudes = [t for t, _ in estimates], [amplitude for _, amplitude in estimates]
        own = slots(self.protocol, shown / scale, mask) if self.any_subset else shown / scale
        outputs = self.backbone(torch.cat([own, *times], dim=1))
        if not isinstance(outputs, Tensor):
            outputs = torch.cat(outputs, dim=1)
        # Back from the lower precision that autocast may have used.
        z_times, z_amplitude, z_scale = torch.split(outputs.to(scale.dtype), list(self._n_outputs), dim=1)
        typical = [contrast.model.parameter.typical for contrast in self.protocol.contrasts]
        return RelaxationOutput(
            maps_ms=bounded_time(*blend(z_times, times), bounds, typical),
            valid=complete & (shown != 0).any(dim=1),
            log_scale=laplace_log_scale(z_scale, scale, self.first_log_scale) if self.uncertainty else None,
            m0=positive_amplitude(*blend(z_amplitude, amplitudes), scale) if self.amplitude else None,
        )

    def predict(
        self,
        images: Shaped[Tensor, "slice image *space"],
        *,
        protocol: Protocol | None = None,
        inputs: Inputs = None,
        scales: bool = False,
        batch_size: int = 8,
    ) -> dict[str, Float[Tensor, "slice *space"]]:
        r"""Map the relaxation times of many slices, a few at a time, without gradients.

        Parameters
        ----------
        images
            All images of the protocol, of which the network picks its own, or its own alone. On the network's device.
        protocol
            What the images were acquired with, to make sure that it is what the network was trained for.
        inputs
            The input images, if the network was made for any subset. A sequence or mask has one row a slice.
        scales
            Whether to return the scales that the network predicts, too, as ``"<name>_scale"``, in the units of the
            images; none if it predicts none.
        batch_size
            Slices at a time.

        Returns
        -------
        dict
            Maps in ms (slice, \*space) by the name of the contrast, and ``"m0"`` if the network outputs it. A
            voxel of which an image is not finite is NaN; its neighbours are not lost.

        Raises
        ------
        ValueError
            If the number of images is neither of the two, the images are on another device, or the protocol is another.
        """
        if protocol is not None:
            require_same(protocol, self.protocol)
        require_positive(batch_size=batch_size)
        n_all, n_own = self.protocol.n_images, len(self.input_channels)
        if images.ndim != self.dims + 2 or images.shape[1] not in (n_all, n_own):
            raise ValueError(
                f"images has shape {tuple(images.shape)}: (slice, image, {axes(self.dims)}) is needed, with all "
                f"{n_all} images of the protocol, or the {n_own} input images."
            )
        weight = next(self.parameters())
        if images.device != weight.device:
            raise ValueError(
                f"images are on {images.device}, the network is on {weight.device}: bring them to one device."
            )
        own = images[:, self.input_channels] if images.shape[1] == n_all else images
        parts = []
        with torch.no_grad(), _evaluating(self):
            mask = self._mask(own, inputs)
            for some, of_some in zip(torch.split(own, batch_size), torch.split(mask, batch_size), strict=True):
                part = some.to(weight.dtype)
                output = self(part, of_some if self.any_subset else None)
                found = [output.maps_ms] if output.m0 is None else [output.maps_ms, output.m0]
                if scales and output.log_scale is not None:
                    found.append(torch.exp(output.log_scale))
                finite = (torch.isfinite(part) | ~self._on_voxels(of_some)).all(dim=1, keepdim=True)
                parts.append(torch.where(finite, torch.cat(found, dim=1), torch.nan))
        maps = torch.cat(parts)
        names = self.protocol.names + ("m0",) * self.amplitude
        if scales and self.uncertainty:
            names += tuple(f"{name}_scale" for name in self.protocol.names)
        return {name: maps[:, k] for k, name in enumerate(names)}

    @property
    def config(self) -> dict[str, Any]:
        """All that is needed to make this network again, but for its weights, in plain values.

        A backbone made elsewhere is described by the name of its class.
        """
        return {
            "protocol": self.protocol.to_dict(),
            "inputs": "any" if self.any_subset else list(self.input_channels),
            "bounds_ms": {name: list(bounds) for name, bounds in self.bounds_ms.items()},
            "dims": self.dims,
            "uncertainty": self.uncertainty,
            "amplitude": self.amplitude,
            "initial_estimates": list(self.initial_estimates),
            "backbone": self.backbone.name if isinstance(self.backbone, Backbone) else None,
            **self._size,
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        backbone: nn.Module | None = None,
        models: Mapping[str, SignalModel] | None = None,
    ) -> "RelaxationNet":
        """Make the network that :attr:`config` described, with fresh weights.

        Parameters
        ----------
        config
            What :attr:`config` returned.
        backbone
            The backbone, if it was made elsewhere, wrapped by :func:`as_backbone`.
        models
            Signal models of your own by the name of their contrast.

        Returns
        -------
        RelaxationNet
            The network.

        Raises
        ------
        ValueError
            If the configuration describes another backbone, or a signal model that is not given.
        """
        options = dict(config)
        protocol = Protocol.from_dict(options.pop("protocol"), models)
        needed = options.pop("backbone", None)
        came = backbone.name if isinstance(backbone, Backbone) else None
        if came != needed:
            raise ValueError(
                f"backbone={came}: the configuration describes a network around "
                + (f"{needed}; make it, wrap it by as_backbone, and pass it." if needed else "relaxnet's own UNet.")
            )
        return cls(protocol, options.pop("inputs"), backbone=backbone, **options)

    def _mask(self, images: Tensor, inputs: Inputs) -> Bool[Tensor, "batch channel"]:
        """Check the images, and find which of them are inputs."""
        channels = len(self.input_channels)
        if images.ndim != self.dims + 2 or images.shape[1] != channels:
            raise ValueError(
                f"images has shape {tuple(images.shape)}: (batch, {channels}, {axes(self.dims)}) is needed,"
                f" images[:, {self.input_channels}] of the protocol."
            )
        if self.any_subset:
            return input_mask(self.protocol, inputs, len(images)).to(images.device)
        if inputs is not None:
            raise ValueError(
                f"inputs={inputs!r}: those of this network are always {self.input_channels}; leave it out, or make a "
                f"network with inputs='any'."
            )
        return torch.ones(images.shape[:2], dtype=torch.bool, device=images.device)

    def _on_voxels(self, mask: Bool[Tensor, "batch channel"]) -> Bool[Tensor, "batch channel *ones"]:
        return rearrange(mask, f"batch channel -> batch channel{' 1' * self.dims}")

    def _look(self, images: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Replace what is no input, or not finite, by zero; and return what is left."""
        counted = torch.isfinite(images) & self._on_voxels(mask)
        return torch.where(counted, images, 0), counted


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode for a while; then each part of it goes back to the mode it had."""
    training = [module for module in net.modules() if module.training]
    net.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
