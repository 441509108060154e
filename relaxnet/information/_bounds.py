"""Fisher information and the Cramér-Rao bound."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, get_args

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from relaxnet.protocol import Contrast, Protocol
from relaxnet.signals import Noise, SignalModel
from relaxnet.signals._precision import in_double
from relaxnet.times import parse_times

Values = float | NDArray[Any] | Tensor
"""A number, or a map: an array or a tensor."""

_NODES = 256  # of the quadrature; at 64 the bound is the same to 1e-9
_REACH = 12.0  # standard deviations from the amplitude, beyond which there is no probability to speak of


def fisher(
    model: SignalModel,
    m0: Values,
    t: Values,
    times_ms: Contrast | Sequence[float] | NDArray[Any] | Tensor,
    sigma: Values | Sequence[float],
    *,
    noise: Noise = "gaussian",
) -> Any:
    r"""Compute the Fisher information of amplitude and relaxation time.

    .. math:: F = \sum_k \frac{\rho(A_k/\sigma_k)}{\sigma_k^2}\, \nabla A_k\, \nabla A_k^T,
       \qquad A_k = m_0\, b(T, t_k)

    with :math:`\rho = 1` for Gaussian noise. For Rician noise it falls from 1 to 0 as the signal sinks into the noise,

    .. math:: \rho(a) = \int_0^\infty x^2 \left(\frac{I_1(ax)}{I_0(ax)}\right)^2 p(x; a)\, dx - a^2,

    where p is the Rice density of unit noise; it is integrated by Gauss-Legendre quadrature.

    Parameters
    ----------
    model
        The signal model.
    m0
        Amplitude: a number or a map.
    t
        Relaxation time in ms: a number or a map.
    times_ms
        Times of the images in ms, or a :class:`~relaxnet.Contrast`.
    sigma
        Standard deviation of the noise: one number, or one a time.
    noise
        ``"gaussian"``, or ``"rician"`` for magnitudes.

    Returns
    -------
    numpy.ndarray or Tensor
        Information (parameter, parameter, ...) on amplitude, T and, if the model has one, the offset: a tensor if
        ``m0`` or ``t`` is one, in double precision, on their device if it has that, else on the processor.

    Raises
    ------
    ValueError
        If the times make no sense, ``sigma`` is not positive or does not match them, or the noise is unknown.

    Examples
    --------
    >>> rx.information.fisher(rx.signals.MonoExponential(), 100.0, 45.0, (0, 10, 30, 50), sigma=5.0).shape
    (2, 2)
    """
    if isinstance(times_ms, Contrast) and times_ms.model != model:
        raise ValueError(f"model={model!r}, but times_ms is the contrast {times_ms.name!r} of {times_ms.model!r}.")
    time = torch.tensor(parse_times(times_ms, to_fit=False, axis=model.axis), dtype=torch.float64)
    amplitude, relaxation = _broadcast(m0, t)
    time = rearrange(time.to(amplitude.device), f"time -> time{' 1' * amplitude.ndim}")
    # The sign of a signal whose magnitude the images hold has no influence on the information.
    form = model.unfolded
    basis, slope, _ = form.basis_with_derivatives(relaxation.expand(len(time), *relaxation.shape), time)
    columns = [basis, amplitude * slope / relaxation]
    if model.has_offset:
        columns.append(torch.ones_like(basis))
    prediction = amplitude * basis if form is model else (amplitude * basis).abs()
    information = information_of(columns, prediction, _noise_of_each(sigma, time), noise)
    return _like(information, m0, t)


def crlb(
    model: SignalModel,
    m0: Values,
    t: Values,
    times_ms: Contrast | Sequence[float] | NDArray[Any] | Tensor,
    sigma: Values | Sequence[float],
    *,
    noise: Noise = "gaussian",
) -> dict[str, Any]:
    r"""Compute the smallest standard deviation that an unbiased estimate can have.

    It is the square root of the diagonal of the inverse of :func:`fisher`.

    Parameters
    ----------
    model
        The signal model.
    m0
        Amplitude: a number or a map.
    t
        Relaxation time in ms: a number or a map.
    times_ms
        Times of the images in ms, or a :class:`~relaxnet.Contrast`.
    sigma
        Standard deviation of the noise: one number, or one a time.
    noise
        ``"gaussian"``, or ``"rician"`` for magnitudes.

    Returns
    -------
    dict
        Standard deviation of ``"m0"`` in signal units, of ``"t"`` in ms and, if the model has one, of the ``"offset"``;
        infinite where the images do not determine it.

    Raises
    ------
    ValueError
        If the times make no sense, ``sigma`` is not positive or does not match them, or the noise is unknown.

    Examples
    --------
    The paper's spin-lock times, at a signal-to-noise ratio of 20:

    >>> bound = rx.information.crlb(rx.signals.MonoExponential(), 100.0, 45.0, (0, 10, 30, 50), sigma=5.0)
    >>> round(float(bound["t"]), 2)
    5.2
    """
    names = ("m0", "t", *(("offset",) if model.has_offset else ()))
    information = fisher(model, m0, t, times_ms, sigma, noise=noise)
    return _bounds(information, names, m0, t)


def fisher_joint(
    protocol: Protocol,
    m0: Values,
    t_ms: Mapping[str, Values],
    sigma: Values | Sequence[float],
    *,
    inputs: str | Sequence[int] | None = None,
    noise: Noise = "gaussian",
) -> Any:
    """Compute the Fisher information of an amplitude that contrasts share, and of their relaxation times.

    Parameters
    ----------
    protocol
        The acquisition protocol. Its contrasts begin with a common image that none of their T changes, or are a single
        one.
    m0
        Amplitude: a number or a map.
    t_ms
        Relaxation time of each contrast in ms, by its name: numbers or maps.
    sigma
        Standard deviation of the noise: one number, or one for each of the images used.
    inputs
        Which images are used: the name of an input set of the protocol, or channel numbers; by default all.
    noise
        ``"gaussian"``, or ``"rician"`` for magnitudes.

    Returns
    -------
    numpy.ndarray or Tensor
        Information (parameter, parameter, ...) on the amplitude and on each T, as of :func:`fisher`.

    Raises
    ------
    ValueError
        If the contrasts have no common first image, a model adds a constant, a relaxation time is missing, ``sigma`` is
        not positive or does not match the images, or the noise is unknown.

    Examples
    --------
    >>> rx.information.fisher_joint(rx.protocols.LIVER_T1RHO_T2, 100.0, {"t1rho": 45.0, "t2": 34.0}, sigma=5.0).shape
    (3, 3)
    """
    names = protocol.names
    protocol = protocol.counted_from_first()
    protocol.require_common_amplitude()
    if protocol.contrasts[0].model.has_offset:
        raise ValueError(f"protocol: {protocol.contrasts[0].model!r} adds a constant: use relaxnet.information.crlb.")
    if set(t_ms) != set(names):
        raise ValueError(f"t_ms has {tuple(t_ms)}: the relaxation times of {names} are needed.")
    amplitude, *relaxation = _broadcast(m0, *(t_ms[name] for name in names))
    rows: dict[int, tuple[Tensor, list[Tensor]]] = {}
    zero = torch.zeros_like(amplitude)
    for k, contrast in enumerate(protocol.contrasts):
        for channel, time in zip(protocol.images_of(contrast.name), contrast.times_ms, strict=True):
            at = torch.full_like(amplitude, time)
            basis, slope, _ = contrast.model.basis_with_derivatives(relaxation[k], at)
            by_t = [amplitude * slope / relaxation[k] if j == k else zero for j in range(len(names))]
            rows[channel] = (amplitude * basis, [basis, *by_t])
    used = range(protocol.n_images) if inputs is None else protocol.channels(inputs)
    predictions = torch.stack([rows[channel][0] for channel in used])
    columns = [torch.stack([rows[channel][1][p] for channel in used]) for p in range(len(names) + 1)]
    information = information_of(columns, predictions, _noise_of_each(sigma, predictions), noise)
    return _like(information, m0, *t_ms.values())


def crlb_joint(
    protocol: Protocol,
    m0: Values,
    t_ms: Mapping[str, Values],
    sigma: Values | Sequence[float],
    *,
    inputs: str | Sequence[int] | None = None,
    noise: Noise = "gaussian",
) -> dict[str, Any]:
    """Compute the bound for contrasts that share one amplitude.

    Parameters
    ----------
    protocol
        The acquisition protocol. Its contrasts begin with a common image that none of their T changes, or are a single
        one.
    m0
        Amplitude: a number or a map.
    t_ms
        Relaxation time of each contrast in ms, by its name: numbers or maps.
    sigma
        Standard deviation of the noise: one number, or one for each of the images used.
    inputs
        Which images are used: the name of an input set of the protocol, or channel numbers; by default all.
    noise
        ``"gaussian"``, or ``"rician"`` for magnitudes.

    Returns
    -------
    dict
        Standard deviation of ``"m0"`` in signal units, and of each contrast in ms; infinite where the images do not
        determine it.

    Raises
    ------
    ValueError
        If the contrasts have no common first image, a model adds a constant, a relaxation time is missing, ``sigma`` is
        not positive or does not match the images, or the noise is unknown.

    Examples
    --------
    From all seven images of the paper, and from three:

    >>> protocol = rx.protocols.LIVER_T1RHO_T2
    >>> t_ms = {"t1rho": 45.0, "t2": 34.0}
    >>> for inputs in (None, "middle"):
    ...     bound = rx.information.crlb_joint(protocol, 100.0, t_ms, sigma=5.0, inputs=inputs)
    ...     print(round(float(bound["t1rho"]), 2), round(float(bound["t2"]), 2))
    5.15 3.31
    7.39 4.91
    """
    information = fisher_joint(protocol, m0, t_ms, sigma, inputs=inputs, noise=noise)
    return _bounds(information, ("m0", *protocol.names), m0, *t_ms.values())


def _to_tensor(values: Values | Sequence[float]) -> Float[Tensor, "*space"]:
    return in_double(values.detach() if isinstance(values, Tensor) else torch.from_numpy(np.array(values, dtype=float)))


def _broadcast(*values: Values) -> list[Tensor]:
    tensors = [_to_tensor(value) for value in values]
    shape = np.broadcast_shapes(*(tuple(tensor.shape) for tensor in tensors))
    # Numbers and arrays have no device of their own, nor has a tensor of one number.
    devices = {t.device for t, value in zip(tensors, values, strict=True) if isinstance(value, Tensor) and t.ndim}
    if len(devices) > 1:
        raise ValueError(f"maps are on {' and '.join(sorted(map(str, devices)))}: bring them to one device.")
    device = devices.pop() if devices else next((v.device for v in values if isinstance(v, Tensor)), tensors[0].device)
    return [tensor.to(device).expand(shape) for tensor in tensors]


def _like(tensor: Tensor, *kinds: Values) -> Any:
    return (
        tensor if any(isinstance(kind, Tensor) for kind in kinds) else tensor.numpy()[()]
    )  # a number, not an array without axes


def _noise_of_each(sigma: Values | Sequence[float], images: Tensor) -> Tensor:
    noise = _to_tensor(sigma)
    if noise.ndim > 1 or (noise.ndim == 1 and len(noise) != len(images)):
        raise ValueError(
            f"sigma has shape {tuple(noise.shape)}: pass one number, or one for each of {len(images)} images."
        )
    if not (torch.isfinite(noise) & (noise > 0)).all():
        raise ValueError(f"sigma={sigma!r}: a noise level is positive and finite.")
    return noise.to(images.device).reshape(-1, *(1,) * (images.ndim - 1))


def information_of(
    columns: list[Float[Tensor, "time *space"]],
    amplitudes: Float[Tensor, "time *space"],
    sigma: Tensor,
    noise: Noise,
) -> Float[Tensor, "parameter parameter *space"]:
    if noise not in get_args(Noise):
        raise ValueError(f"noise={noise!r} is no kind of noise: use one of {get_args(Noise)}.")
    weight = 1 / sigma**2
    if noise == "rician":
        weight = weight * _rician_factor(amplitudes.abs() / sigma)
    entries = {(a, b): (weight * columns[a] * columns[b]).sum(0) for a, b in product(range(len(columns)), repeat=2)}
    rows = [torch.stack([entries[a, b] for b in range(len(columns))]) for a in range(len(columns))]
    return torch.stack(rows)


def _rician_factor(snr: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Compute the information that a magnitude holds on its amplitude, relative to that of a Gaussian sample."""
    nodes, weights = (torch.from_numpy(part).to(snr.device) for part in np.polynomial.legendre.leggauss(_NODES))
    a = snr.flatten()[:, None]
    start, end = (a - _REACH).clamp(min=0), a + _REACH
    x = start + (end - start) * (nodes + 1) / 2
    z = a * x
    scaled = torch.special.i0e(z)
    density = x * torch.exp(-((x - a) ** 2) / 2) * scaled
    ratio = torch.special.i1e(z) / scaled
    # In this form nothing cancels: the score of a sample is x I1/I0 - a.
    score = x * ratio - a
    factor: Tensor = ((end - start) / 2 * weights * density * score**2).sum(1)
    return factor.reshape(snr.shape)


def invert(information: Float[Tensor, "parameter parameter *space"]) -> Float[Tensor, "parameter parameter *space"]:
    """Invert a matrix for each voxel, scaled to a unit diagonal first; infinite where it is singular."""
    matrices = information.movedim((0, 1), (-2, -1))
    scale = torch.sqrt(torch.diagonal(matrices, dim1=-2, dim2=-1))
    scaled = matrices / (scale[..., :, None] * scale[..., None, :])
    usable = torch.isfinite(scaled).all(-1).all(-1) & (torch.linalg.det(scaled.nan_to_num(0.0, 0.0, 0.0)) > 1e-13)
    unit = torch.eye(scaled.shape[-1], dtype=scaled.dtype, device=scaled.device)
    inverse: Tensor = torch.linalg.inv(torch.where(usable[..., None, None], scaled, unit))
    inverse = inverse / (scale[..., :, None] * scale[..., None, :])
    return torch.where(usable[..., None, None], inverse, torch.inf).movedim((-2, -1), (0, 1))


def _bounds(information: Any, names: tuple[str, ...], *kinds: Values) -> dict[str, Any]:
    tensor = information if isinstance(information, Tensor) else torch.from_numpy(np.asarray(information))
    inverse = invert(tensor)
    return {name: _like(torch.sqrt(inverse[k, k]), *kinds) for k, name in enumerate(names)}
