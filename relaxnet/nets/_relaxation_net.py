"""Networks that predict relaxation times, in ms."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from relaxnet._images import ImagesT, as_given, to_tensor
from relaxnet._masks import complete, images_with_values
from relaxnet.nets._backbone import Backbone, require_backbone
from relaxnet.nets._checks import check_bounds, require_decay, require_known, require_positive, require_same
from relaxnet.nets._heads import blend, bounded_time, laplace_log_scale, positive_amplitude
from relaxnet.nets._initial_estimates import Smoothing, check_smoothings, initial_estimates
from relaxnet.nets._input_mask import Inputs, input_mask
from relaxnet.nets._precision import without_autocast
from relaxnet.nets._scale import subject_scale
from relaxnet.nets._slots import first_images, slots
from relaxnet.nets._space import axes, over_space
from relaxnet.nets._unet import UNet
from relaxnet.protocol import Protocol
from relaxnet.signals import SignalModel


class RelaxationOutput(NamedTuple):
    """Output of a :class:`RelaxationNet`."""

    maps_ms: Float[Tensor, "batch task *space"]
    """One map for each contrast: relaxation times in ms, or another parameter of its signal model."""
    valid: Bool[Tensor, "batch *space"]
    """Voxels where all input images are finite, and not all of them zero."""
    log_scale: Float[Tensor, "batch task *space"] | None = None
    """Natural logarithm of a Laplace scale for each contrast, in the units of the images; None without
    ``uncertainty``."""
    m0: Float[Tensor, "batch 1 *space"] | None = None
    """Amplitude at time zero, positive, in the units of the images; None without ``amplitude``."""


class RelaxationNet(nn.Module):
    r"""A network that predicts one relaxation-time map for each contrast from a few images.

    **Normalisation.** All images of a subject are divided by one number s, their common root mean square. This keeps
    the ratios of images, from which T follows, and maps do not change if the images are multiplied by a constant.
    Values that are not finite are set to zero first, so that neighbouring voxels are not affected.

    **Heads.** With the outputs z of the U-Net and the bounds [a, b] of a contrast,

    .. math::
        \log T &= \log a + \operatorname{sigmoid}(z_T + z_0) \log(b / a), \\
        M_0 &= s \operatorname{softplus}(z_M + \log(e - 1)), \\
        \log \sigma &= 10 \tanh(z_\sigma / 10) + \log s + c,

    where :math:`z_0` is such that z = 0 gives a typical T, 40 ms for a decay. T always lies within the bounds. The
    amplitude and the scales start near s, in the units of the images. In a training, the constant c is set so that the
    scales of each contrast start at its mean residual.

    **Any subset.** With ``inputs="any"``, one network serves every input set. It takes all images of the protocol, and
    each call selects the inputs among them. The channels of the U-Net are the first images, and for each contrast the
    mean of the later input images and their mean time. Other images have no influence, and may be NaN.

    **Initial estimates.** To compute a relaxation time from images, a network must learn to divide and to take
    logarithms. Initial estimates replace this: they are fits of the input images after Gaussian smoothing, or after
    local low rank (:func:`relaxnet.denoise.low_rank`). Narrow Gaussians keep detail, wide ones reduce noise, and low
    rank does both. The estimates are additional input channels, and the network predicts a voxel-wise weighted mean of
    them plus a correction. With estimates :math:`T_k` and additional outputs :math:`z_k`,
    the number :math:`z_0` above becomes

    .. math:: z_0 = \operatorname{logit} \sum_k w_k \frac{\log T_k - \log a}{\log b - \log a}, \qquad
        w = \operatorname{softmax}(z_1, z_2, \dots),

    and likewise for the amplitude, from the amplitudes of the same fits. An untrained network with initial estimates
    predicts their mean.

    Parameters
    ----------
    protocol
        The acquisition protocol.
    inputs
        The input images: a key of :attr:`Protocol.input_sets`, channel numbers, or ``"any"``.
    base, depth, norm, up
        Options of the :class:`UNet`, which do not apply to another ``backbone``.
    dims
        2 for images (batch, channel, height, width), 3 for volumes (batch, channel, depth, height, width).
    bounds_ms
        Smallest and largest relaxation time that the network can predict: for all contrasts, or by name. By default
        those of the signal models, (5, 400) ms for decays.
    uncertainty
        ``"heteroscedastic"`` adds a second decoder for the logarithm of a Laplace scale for each voxel; ``"faithful"``
        does the same, but the gradient of the scales does not reach the encoder, see
        :class:`~relaxnet.losses.HeteroscedasticLaplace`.
    amplitude
        Whether the network also predicts the amplitude at time zero.
    initial_estimates
        Standard deviations in voxels of the Gaussians of the initial estimates, 0 for no smoothing; and ``"low-rank"``,
        whose noise level is estimated from the inputs. By default there are no initial estimates.
    backbone
        Another network to be used instead of the U-Net, wrapped by :func:`as_backbone`.

    Raises
    ------
    ValueError
        If ``inputs`` is not in the protocol or shows no decay, the bounds are invalid, an option is unknown, or the
        backbone does not have the needed channels.

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

    first_log_scale: Tensor

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
        initial_estimates: Sequence[Smoothing] = (),
        backbone: nn.Module | None = None,
    ) -> None:
        super().__init__()
        require_known("dims", dims, 2, 3)
        require_known("uncertainty", uncertainty, "heteroscedastic", "faithful", None)
        self.protocol = protocol
        self.any_subset = isinstance(inputs, str) and inputs == "any"
        self.input_channels = tuple(range(protocol.n_images)) if self.any_subset else protocol.channels(inputs)
        require_decay(protocol, self.input_channels)
        self.dims = dims
        self.bounds_ms = check_bounds(bounds_ms, protocol)
        self.uncertainty = uncertainty
        self.amplitude = amplitude
        self.initial_estimates = check_smoothings(initial_estimates)
        self._unet_options: dict[str, Any] = {"base": base, "depth": depth, "norm": norm, "up": up}
        n_tasks, n_estimates = len(protocol.names), len(self.initial_estimates)
        n_images = len(first_images(protocol)) + 2 * n_tasks if self.any_subset else len(self.input_channels)
        n_inputs = n_images + n_tasks * n_estimates
        each = 1 + n_estimates  # a correction, and the weight of each estimate
        self._n_outputs = (n_tasks * each, each * amplitude, n_tasks if uncertainty else 0)
        if uncertainty:
            self.register_buffer("first_log_scale", torch.zeros(n_tasks))
        if backbone is None:
            means = self._n_outputs[0] + self._n_outputs[1]
            decoders = (means, n_tasks) if uncertainty else means
            detached = (1,) if uncertainty == "faithful" else ()
            self.backbone: nn.Module = UNet(n_inputs, decoders, dims=dims, detached=detached, **self._unet_options)
            if self.initial_estimates:  # without a correction at first, the network predicts their mean
                self.backbone.zero_head(0)
        else:
            self.backbone = require_backbone(backbone, n_inputs, self._n_outputs)

    def scale(
        self, images: Float[Tensor, "batch channel *space"], inputs: Inputs = None
    ) -> Float[Tensor, "batch 1 *_"]:
        """Compute the number that the images of each subject are divided by.

        Parameters
        ----------
        images
            The images of ``input_channels``, in that order.
        inputs
            As for the network itself.

        Returns
        -------
        Tensor
            The root mean square over the finite values of all input images; 1 where they are zero.
        """
        return subject_scale(*self._shown(images, self._mask(images, inputs)))

    def forward(self, images: Float[Tensor, "batch channel *space"], inputs: Inputs = None) -> RelaxationOutput:
        """Predict the relaxation times.

        Parameters
        ----------
        images
            The images of ``input_channels``, in that order, in any unit.
        inputs
            The input images among them, for a network of any subset: a key of :attr:`Protocol.input_sets`, channel
            numbers, a sequence with one of these for each sample, or a mask (batch, channel). By default all images.

        Returns
        -------
        RelaxationOutput
            Maps in the order of the contrasts; scales and amplitude if the network predicts them.

        Raises
        ------
        ValueError
            If the number of images does not fit, or ``inputs`` is not in the protocol, or is given to a network of
            fixed inputs.
        """
        mask = self._mask(images, inputs)
        with without_autocast(images.device):  # half precision has too few digits for logarithms of ratios
            shown, counted = self._shown(images, mask)
            scale = subject_scale(shown, counted)
            own, bounds = shown / scale, tuple(self.bounds_ms.values())
            # An image without values is no input.
            channels = slots(self.protocol, own, images_with_values(counted)) if self.any_subset else own
            times: Tensor | None = None
            amplitudes: Tensor | None = None
            if self.initial_estimates:
                given = self.protocol, self.input_channels, own, counted, bounds, self.initial_estimates
                found, amplitudes = initial_estimates(*given, amplitude=self.amplitude)
                channels = torch.cat([channels, *found], dim=1)
                times = torch.unflatten(channels[:, -len(found) :], 1, (-1, len(bounds)))  # of each estimate and task
        outputs = self.backbone(channels.to(self._dtype_of_weights(images)))
        if not isinstance(outputs, Tensor):
            outputs = torch.cat(outputs, dim=1)
        # The backbone may have lowered the precision.
        z_times, z_amplitude, z_scale = torch.split(outputs.to(scale.dtype), list(self._n_outputs), dim=1)
        typical = [contrast.model.parameter.typical for contrast in self.protocol.contrasts]
        return RelaxationOutput(
            maps_ms=bounded_time(*blend(z_times, times), bounds, typical),
            valid=complete(counted, mask).bool() & (shown.abs().amax(dim=1) > 0),
            log_scale=laplace_log_scale(z_scale, scale, self.first_log_scale) if self.uncertainty else None,
            m0=positive_amplitude(*blend(z_amplitude, amplitudes), scale) if self.amplitude else None,
        )

    def predict(
        self,
        images: ImagesT,
        *,
        protocol: Protocol | None = None,
        inputs: Inputs = None,
        scales: bool = False,
        batch_size: int = 8,
    ) -> dict[str, ImagesT]:
        r"""Predict the relaxation times of many slices, in batches, without gradients.

        Parameters
        ----------
        images
            All images of the protocol, or only the input images, (slice, image, \*space): a tensor, or a NumPy array.
        protocol
            Protocol of the images, to check that it is the one of the network. By default it is not checked.
        inputs
            The input images, for a network of any subset. A sequence or a mask has one entry for each slice.
        scales
            Whether to return predicted scales, too, as ``"<name>_scale"``, in the units of the images.
        batch_size
            Slices in a batch.

        Returns
        -------
        dict
            Maps in ms (slice, \*space) by the name of the contrast, and ``"m0"`` if the network predicts it; arrays if
            the images are one. A voxel is NaN if one of its inputs is not finite; its neighbours are not affected.

        Raises
        ------
        TypeError
            If the images are not real numbers.
        ValueError
            If the number of images does not fit, the images are on another device, or the protocol is another one.
        """
        if protocol is not None:
            require_same(protocol, self.protocol)
        require_positive(batch_size=batch_size)
        n_all, n_own = self.protocol.n_images, len(self.input_channels)
        given, weight = to_tensor(images), next(self.parameters())
        if given.ndim != self.dims + 2 or given.shape[1] not in (n_all, n_own):
            raise ValueError(
                f"images has shape {tuple(given.shape)}: (slice, image, {axes(self.dims)}) is needed, with all "
                f"{n_all} images of the protocol, or the {n_own} input images."
            )
        if given.device != weight.device:
            raise ValueError(
                f"images are on {given.device}, the network is on {weight.device}: bring them to one device."
            )
        own = given[:, self.input_channels] if given.shape[1] == n_all else given
        parts = []
        with torch.no_grad(), _evaluating(self):
            mask = self._mask(own, inputs)
            for part, of_part in zip(torch.split(own, batch_size), torch.split(mask, batch_size), strict=True):
                batch = part.to(torch.promote_types(weight.dtype, torch.float32))
                output = self(batch, of_part if self.any_subset else None)
                scale = torch.exp(output.log_scale) if scales and output.log_scale is not None else None
                maps = torch.cat([m for m in (output.maps_ms, output.m0, scale) if m is not None], dim=1)
                finite = complete(batch.abs() < torch.inf, of_part).bool().unsqueeze(1)
                parts.append(torch.where(finite, maps, torch.nan))
        of_scales = [f"{name}_scale" for name in self.protocol.names if scales and self.uncertainty]
        names = [*self.protocol.names, *["m0"] * self.amplitude, *of_scales]
        return as_given(dict(zip(names, torch.cat(parts).unbind(1), strict=True)), images)

    @property
    def config(self) -> dict[str, Any]:
        """Arguments from which :meth:`from_config` makes this network again, as plain values.

        A wrapped backbone is described by the name of its class.
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
            **self._unet_options,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], backbone: nn.Module | None = None, models: Mapping[str, SignalModel] | None = None
    ) -> "RelaxationNet":
        """Make a network from its configuration, with new weights.

        Parameters
        ----------
        config
            Value of :attr:`config`.
        backbone
            The backbone, wrapped by :func:`as_backbone`, if it is not the U-Net.
        models
            Custom signal models by the name of their contrast.

        Returns
        -------
        RelaxationNet
            The network.

        Raises
        ------
        ValueError
            If the configuration describes another backbone, or a custom signal model is missing.
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
        """Check the images, and return the mask of inputs."""
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

    def _shown(self, images: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Set values to zero that are not finite or no inputs; return the images and a mask of the other values.

        They are in single precision or better: squares and ratios of half precision overflow and vanish.
        """
        images = images.to(torch.promote_types(images.dtype, torch.float32))
        inputs = over_space(mask, self.dims).to(images.dtype)
        counted = images.abs() < torch.inf * inputs  # faster than isfinite; nothing is below NaN, which others get
        return images.nan_to_num(0, 0, 0) * inputs, counted

    def _dtype_of_weights(self, images: Tensor) -> torch.dtype:
        return next(self.backbone.parameters(), images).dtype


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode; afterwards, each module returns to its previous mode."""
    training = [module for module in net.modules() if module.training]
    net.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
