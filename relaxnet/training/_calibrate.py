"""Calibration of standard deviations: nine of ten voxels lie within the central 90 % interval."""

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.denoise._noise_level import root_mean_square
from relaxnet.fitting import FitStatus, fit
from relaxnet.metrics import calibration_factor
from relaxnet.nets import RelaxationNet
from relaxnet.protocol import Protocol
from relaxnet.training._data import Case, noise_level
from relaxnet.training._spread import (
    ANY,
    Maps,
    Spread,
    errors_in_ms,
    input_sets,
    name_of,
    noise_of_inputs,
    shown_images,
)

LEVEL = 0.9
_SURE = 0.2  # of T: references with a larger standard error are not used
_LOUDER = 2.0  # times the noise, at which the growth of the errors with noise is measured

MapsAndStds = Callable[[Tensor, Any], tuple[Maps, Maps]]
"""Function from images and their input set to maps and their standard deviations in ms."""


class Compared(NamedTuple):
    """Predictions and references at the voxels of one subject that have a reference, all in ms."""

    t: Float[Tensor, " voxel"]
    std: Float[Tensor, " voxel"]
    reference: Float[Tensor, " voxel"]
    reference_std: Float[Tensor, " voxel"]


def calibrate(net: RelaxationNet, cases: list[Case]) -> Spread:
    """Calibrate the standard deviations of a network, separately for each contrast.

    For digital subjects, errors are measured against the ground truth in the region of interest; for others, against a
    fit of the held-out images, whose standard error is taken into account. A network of any subset has a factor for
    each input set. The growth of the factors with noise is measured with added noise, which doubles the noise level.

    Parameters
    ----------
    net
        The network.
    cases
        Subjects whose reference was not used in the training.

    Returns
    -------
    Spread
        Factors and their growth, for contrasts that have a reference.

    Warns
    -----
    UserWarning
        If a contrast cannot be calibrated, or there are no subjects.
    """
    if not cases:
        told = "no standard deviations: no subject was set aside to calibrate them with (validation=0)."
        warnings.warn(told, stacklevel=3)
        return Spread()
    images = [case.images for case in cases]
    usual = _usual_noise(net, images)

    def predict(some: Tensor, inputs: Any) -> tuple[Maps, Maps]:
        maps = net.predict(some, inputs=inputs, scales=True)
        return maps, errors_in_ms(net, some, maps, inputs, usual_noise=usual)[0]

    known = _factors(predict, net, cases, images)
    # A magnitude image with complex noise added is distributed as that of a noisier scan, for any phase.
    generator = torch.Generator().manual_seed(0)
    added = [noise_level(case, net.protocol) * math.sqrt(_LOUDER**2 - 1) for case in cases]
    louder = [net.protocol.add_noise(one, sigma, generator=generator) for one, sigma in zip(images, added, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the same warnings were given above
        noisy = _factors(predict, net, cases, louder)
    more = math.log(max(_usual_noise(net, louder) / usual, 1.0)) if usual > 0 else 0.0

    def growth(name: str, inputs: str, factor: float) -> float:
        with_noise = noisy.get(name, {}).get(inputs, factor)
        return max(math.log(with_noise / factor) / more, 0.0) if more > 0 else 0.0

    grown = {
        name: {inputs: growth(name, inputs, factor) for inputs, factor in by_set.items()}
        for name, by_set in known.items()
    }
    return Spread(usual, known, grown)


def factors(predict: MapsAndStds, net: RelaxationNet, cases: list[Case]) -> dict[str, float]:
    """Compute the factors that calibrate any standard deviations, over all input sets together.

    Parameters
    ----------
    predict
        Function that returns maps and their standard deviations.
    net
        A network, for the protocol and the input sets.
    cases
        As for :func:`calibrate`.

    Returns
    -------
    dict
        Factors by the name of the contrast, for contrasts that have a reference.

    Warns
    -----
    UserWarning
        If a contrast cannot be calibrated.
    """
    known = _factors(predict, net, cases, [case.images for case in cases])
    return {name: by_set[ANY] for name, by_set in known.items()}


def _factors(
    predict: MapsAndStds, net: RelaxationNet, cases: list[Case], images: list[Tensor]
) -> dict[str, dict[str, float]]:
    """Compute factors by contrast and input set, and those over all input sets."""
    known: dict[str, dict[str, float]] = {}
    for name, by_set in _compare(predict, net, cases, images).items():
        if not by_set:
            warnings.warn(f"no standard deviations for {name}: fewer than two images are held out.", stacklevel=4)
            continue
        everything = {ANY: [part for parts in by_set.values() for part in parts]}
        for inputs, parts in (by_set | everything).items():
            t, std, reference, its_std = (torch.cat(column) for column in zip(*parts, strict=True))
            if not len(t):
                problem = f"the held-out images determine no voxel to {_SURE:.0%}"
                warnings.warn(f"no standard deviations for {name}{_of(inputs)}: {problem}.", stacklevel=4)
                continue
            try:
                known.setdefault(name, {})[inputs] = calibration_factor(
                    t, std, reference, level=LEVEL, kind="gaussian", reference_std_ms=its_std if its_std.any() else None
                )
            except ValueError as error:
                problem = f"they cannot be calibrated: {error}"
                warnings.warn(f"no standard deviations for {name}{_of(inputs)}, {problem}", stacklevel=4)
    return {name: by_set for name, by_set in known.items() if ANY in by_set}


def _of(inputs: str) -> str:
    return "" if inputs == ANY else f" from the input set {inputs!r}"


def _compare(
    predict: MapsAndStds, net: RelaxationNet, cases: list[Case], images: list[Tensor]
) -> dict[str, dict[str, list[Compared]]]:
    """Predict maps from all input sets, and pair them with references, by contrast and input set."""
    found: dict[str, dict[str, list[Compared]]] = {name: {} for name in net.protocol.names}
    for case, some in zip(cases, images, strict=True):
        for inputs in input_sets(net):
            maps, stds = predict(some, inputs)
            channels = net.protocol.channels(inputs) if inputs else net.input_channels
            for name, reference, its_std, there in _references(case, net.protocol, channels):
                where = there & torch.isfinite(maps[name]) & (torch.tensor(True) if case.mask is None else case.mask)
                own = Compared(maps[name][where], stds[name][where], reference[where], its_std[where])
                found[name].setdefault(name_of(net, inputs), []).append(own)
    return found


def _usual_noise(net: RelaxationNet, images: list[Tensor]) -> float:
    """Return the median noise level over all slices and input sets, as a fraction of their root mean square."""
    shown = [shown_images(net, some, inputs) for some in images for inputs in input_sets(net)]
    fractions = [noise_of_inputs(own, mask) / root_mean_square(own) for own, mask in shown]
    return float(torch.cat(fractions).median())


def _references(
    case: Case, protocol: Protocol, inputs: tuple[int, ...]
) -> Iterator[tuple[str, Tensor, Tensor, Bool[Tensor, "slice *space"]]]:
    """Yield for each contrast the reference, its standard error, and the voxels to compare."""
    if case.subject is not None:
        for name in protocol.names:
            truth = case.subject.truth[name]
            yield name, truth, torch.zeros_like(truth), case.subject.roi
        return
    for contrast in protocol.contrasts:
        channels = protocol.images_of(contrast.name)
        held_out = [k for k, channel in enumerate(channels) if channel not in inputs]
        if len(held_out) > 1:
            images = case.images[:, [channels[k] for k in held_out]]
            result = fit(images, contrast.at(held_out), sigma=noise_level(case, protocol))
            t, std = result.maps[contrast.name], result.std[contrast.name]
            yield contrast.name, t, std, (result.status == FitStatus.CONVERGED) & (std < _SURE * t)
