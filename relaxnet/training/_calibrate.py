"""Calibration: factors with which nine of ten voxels lie within the central 90 % interval."""

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from relaxnet.fitting import FitStatus, fit
from relaxnet.metrics import calibration_factor
from relaxnet.nets import RelaxationNet
from relaxnet.training._data import Case, noise_level
from relaxnet.training._noise import root_mean_square
from relaxnet.training._spread import ANY, Maps, Spread, errors_in_ms, name_of, noise_of_inputs, shown_images

LEVEL = 0.9
_SURE = 0.2  # a reference whose standard error is a larger part of its T calibrates nothing
_LOUDER = 2.0  # how much more noise is tried, to measure by how much more the network errs

MapsAndStds = Callable[[Tensor, Any], tuple[Maps, Maps]]
"""Makes maps and their standard deviations in ms, of images and their input set."""


class Compared(NamedTuple):
    """Predicted values beside references, of the voxels of one subject that have a reference."""

    t: Float[Tensor, " voxel"]
    std: Float[Tensor, " voxel"]
    reference: Float[Tensor, " voxel"]
    reference_std: Float[Tensor, " voxel"]


Comparisons = dict[str, dict[str, list[Compared]]]
"""By contrast and input set, one entry a subject."""


def calibrate(net: RelaxationNet, cases: list[Case]) -> Spread:
    """Find, for each contrast, the factor with which nine of ten voxels lie within the central 90 % interval.

    Where the subjects are a phantom's, errors are those against the truth, in its region of interest. Otherwise they
    are those against a fit of the held-out images, whose own standard error is taken into account. A network for any
    input set has factors for each, as its errors are not in proportion to what an unbiased estimate could reach. By how
    much the factors grow with noise is measured by adding as much as doubles it.

    Parameters
    ----------
    net
        The network.
    cases
        Subjects whose reference it was not trained with.

    Returns
    -------
    Spread
        Factors and their growth; of a contrast without a reference, none.

    Warns
    -----
    UserWarning
        If a contrast cannot be calibrated.
    """
    if not cases:
        return Spread()
    images = [case.images for case in cases]
    usual = _usual_noise(net, images)

    def predict(some: Tensor, inputs: Any) -> tuple[Maps, Maps]:
        maps = net.predict(some, inputs=inputs, scales=True)
        return maps, errors_in_ms(net, some, maps, inputs, usual_noise=usual)[0]

    known = _factors(_compare(predict, net, cases, images))
    # A magnitude with complex noise added is what a noisier scan would have shown, whatever its phase was.
    generator = torch.Generator().manual_seed(0)
    added = [noise_level(case, net.protocol) * math.sqrt(_LOUDER**2 - 1) for case in cases]
    louder = [net.protocol.add_noise(one, sigma, generator=generator) for one, sigma in zip(images, added, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what could not be calibrated has been said
        noisy = _factors(_compare(predict, net, cases, louder))
    more = math.log(max(_usual_noise(net, louder) / usual, 1.0)) if usual > 0 else 0.0

    def growth(name: str, inputs: str, factor: float) -> float:
        if more <= 0 or inputs not in noisy.get(name, {}):
            return 0.0
        return max(math.log(noisy[name][inputs] / factor) / more, 0.0)

    grown = {
        name: {inputs: growth(name, inputs, factor) for inputs, factor in by_set.items()}
        for name, by_set in known.items()
    }
    return Spread(usual, known, grown)


def factors(predict: MapsAndStds, net: RelaxationNet, cases: list[Case]) -> dict[str, float]:
    """Find the factors of standard deviations, however these are made, over all input sets.

    Parameters
    ----------
    predict
        Makes maps and their standard deviations.
    net
        For the protocol and the input sets.
    cases
        As for :func:`calibrate`.

    Returns
    -------
    dict
        Factors by the name of the contrast; of a contrast without a reference, none.

    Warns
    -----
    UserWarning
        If a contrast cannot be calibrated.
    """
    compared = _compare(predict, net, cases, [case.images for case in cases])
    return {name: by_set[ANY] for name, by_set in _factors(compared).items()}


def _compare(predict: MapsAndStds, net: RelaxationNet, cases: list[Case], images: list[Tensor]) -> Comparisons:
    """Map images of subjects from all input sets, and find what to compare the maps with."""
    protocol = net.protocol
    found: Comparisons = {name: {} for name in protocol.names}
    for case, some in zip(cases, images, strict=True):
        for inputs in _sets(net):
            maps, stds = predict(some, inputs)
            channels = protocol.channels(inputs) if inputs else net.input_channels
            for name, reference, its_std, where in _references(case, net, channels):
                own = Compared(maps[name][where], stds[name][where], reference[where], its_std[where])
                found[name].setdefault(name_of(net, inputs), []).append(own)
    return found


def _factors(compared: Comparisons) -> dict[str, dict[str, float]]:
    """Find factors by contrast and input set, and those over all input sets."""
    known: dict[str, dict[str, float]] = {}
    for name, by_set in compared.items():
        if not by_set:
            warnings.warn(f"no standard deviations for {name}: fewer than two images are held out.", stacklevel=4)
            continue
        everything = {ANY: [part for parts in by_set.values() for part in parts]}
        for inputs, parts in (by_set | everything).items():
            t, std, reference, its_std = (torch.cat(column) for column in zip(*parts, strict=True))
            try:
                known.setdefault(name, {})[inputs] = calibration_factor(
                    t, std, reference, level=LEVEL, kind="gaussian", reference_std_ms=its_std if its_std.any() else None
                )
            except ValueError as error:
                warnings.warn(f"no standard deviations for {name}, they cannot be calibrated: {error}", stacklevel=4)
    return {name: by_set for name, by_set in known.items() if ANY in by_set}


def _sets(net: RelaxationNet) -> list[Any]:
    return list(net.protocol.input_sets) if net.any_subset else [None]


def _usual_noise(net: RelaxationNet, images: list[Tensor]) -> float:
    fractions = []
    for some in images:
        for inputs in _sets(net):
            shown, mask = shown_images(net, some, inputs)
            fractions.append(noise_of_inputs(shown, mask) / root_mean_square(shown))
    return float(torch.cat(fractions).median())


def _references(
    case: Case, net: RelaxationNet, inputs: tuple[int, ...]
) -> Iterator[tuple[str, Tensor, Tensor, Bool[Tensor, "slice *space"]]]:
    """Find for each contrast what to compare with, its standard error, and where."""
    protocol = net.protocol
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
