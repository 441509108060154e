"""Methods that map real series, and steps that judge their maps."""

import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from relaxnet.experiments._harness.denoisers import DENOISERS
from relaxnet.experiments._harness.series import Case, Images, Map, predict
from relaxnet.fitting import fit, fit_spatial
from relaxnet.nets import RelaxationNet
from relaxnet.training import Preset, train

_BLOCK = 16  # voxels along the side of the squares that are resampled for an interval: neighbours err together
_SIGNAL = 3  # noise levels that the first image has at least where photographs are judged

Strength = float | None
Mapper = Callable[[Case, list[int]], tuple[Map, Strength]]
"""Maps the slices of a case that judge from some of their images; and says how strong it denoised."""


def fit_map(case: Case, images: Images, some: list[int], slices: slice, method: str = "nlls") -> Map:
    """Fit images voxel by voxel.

    Parameters
    ----------
    case
        The case.
    images
        The images.
    some
        Their numbers.
    slices
        Their slices.
    method
        Name of the estimator.

    Returns
    -------
    Tensor
        T in ms, within the bounds of the series; the largest one for what does not decay.
    """
    low, high = case.series.bounds_ms
    options: dict[str, Any] = {"mask": case.tissue[slices], "bounds": (low, high), "sigma": case.sigma}
    found = fit(images, case.times[some], method=method, **options).maps["t"]
    return found.nan_to_num(high).clamp(low, high)


def _by_fit(case: Case, some: list[int], *, method: str) -> tuple[Map, Strength]:
    return fit_map(case, case.images[case.test, some], some, case.test, method), None


def _one_value(case: Case, some: list[int]) -> tuple[Map, Strength]:
    found, _ = _by_fit(case, some, method="nlls")
    return torch.full_like(found, float(found[case.tissue[case.test]].median())), None


def _by_images(case: Case, _: list[int], *, numbers: Callable[[Case], list[int]]) -> tuple[Map, Strength]:
    return _by_fit(case, numbers(case), method="nlls")


Smooth = Callable[[Case, Images, list[int], slice, float], Map]


def _tuned(case: Case, some: list[int], *, smooth: Smooth, strengths: tuple[float, ...]) -> tuple[Map, Strength]:
    """Map with the strength under which maps of the inputs predict the images to learn from best."""
    learn, voxels = case.learn, case.voxels[case.learn]

    def residual(strength: float) -> float:
        t = smooth(case, case.images[learn, case.inputs], case.inputs, learn, strength)
        left = case.images[learn, case.targets] - predict(case, t, case.targets, learn)
        return float(left.abs().mean(1)[voxels].mean())

    strength = min(strengths, key=residual)
    return smooth(case, case.images[case.test, some], some, case.test, strength), strength


def _denoise_then_fit(
    case: Case, images: Images, some: list[int], slices: slice, strength: float, *, denoiser: str
) -> Map:
    images = DENOISERS[denoiser].denoise(images, case.sigma, strength) if strength else images
    return fit_map(case, images, some, slices)


def _spatially(case: Case, images: Images, some: list[int], slices: slice, strength: float) -> Map:
    low, high = case.series.bounds_ms
    sigma = case.sigma if strength else None
    (contrast,) = case.protocol(some).contrasts
    found = fit_spatial(images, contrast, mask=case.tissue[slices], bounds=(low, high), sigma=sigma)
    return found.maps["t2"].nan_to_num(high).clamp(low, high)


def _denoiser(name: str, *strengths: float) -> Mapper:
    return partial(_tuned, smooth=partial(_denoise_then_fit, denoiser=name), strengths=(0.0, *strengths))


METHODS: dict[str, tuple[str, Mapper]] = {
    "two-point": ("Two-point, first and last input", partial(_by_fit, method="two-point")),
    "log-linear": ("Log-linear", partial(_by_fit, method="log-linear")),
    "nlls": ("Least squares", partial(_by_fit, method="nlls")),
    "rician": ("Rician likelihood", partial(_by_fit, method="rician")),
    "gaussian": ("Gaussian, then least squares", _denoiser("gaussian", 0.5, 0.7, 1.0, 1.4, 2.0)),
    "non-local-means": ("Non-local means, then least squares", _denoiser("denoise", 0.4, 0.7, 1.0, 1.5, 2.2)),
    "low-rank": ("Local low rank, then least squares", _denoiser("low-rank", 0.7, 1.0, 1.3, 1.7, 2.2)),
    "spatial": ("Spatial fit", partial(_tuned, smooth=_spatially, strengths=(0.0, 1.0))),
}
"""Methods that need no training, by name: their label, and how they map. A strength of 0 does not denoise; of the
spatial fit, 0 leaves the noise level to the evidence, and 1 gives it."""

CONTROLS: dict[str, tuple[str, Mapper]] = {
    "one-value": ("Control: one value for all voxels", _one_value),
    "twice": (
        "Control: least squares, inputs and training targets",
        partial(_by_images, numbers=lambda case: sorted(case.inputs + case.targets)),
    ),
    "targets": ("Control: least squares, training targets", partial(_by_images, numbers=lambda case: case.targets)),
    "everything": (
        "Control: least squares, all images as acquired",
        lambda case, _: (case.everything_ms.clamp(*case.series.bounds_ms)[case.test], None),
    ),
}
"""What maps are measured by: methods that need more images, or know nothing of a voxel."""

NETWORKS = {"untrained": "Network before training", "network": "Network"}
"""Labels of the networks."""


def judge_fit(*, method: str, case: Case) -> dict[str, Any]:
    """Judge a method that needs no training.

    Parameters
    ----------
    method
        A name of :data:`METHODS` or :data:`CONTROLS`.
    case
        What it is judged by.

    Returns
    -------
    dict
        See :func:`judge`.
    """
    start = time.perf_counter()
    t, strength = (METHODS | CONTROLS)[method][1](case, case.inputs)
    return judge(case, t) | {"strength": strength, "seconds": round(time.perf_counter() - start)}


def judge_network(*, case: Case, preset: Preset, trained: bool) -> dict[str, Any]:
    """Judge a network that has learnt from the inputs and the images to learn from, without labels.

    Parameters
    ----------
    case
        What it is judged by.
    preset
        Its size and training.
    trained
        Whether to train it; before, it smooths its initial estimates.

    Returns
    -------
    dict
        See :func:`judge`.
    """
    start = time.perf_counter()
    t = network_map(case, case.inputs, preset, trained=trained)
    return judge(case, t) | {"strength": None, "seconds": round(time.perf_counter() - start)}


def network_map(case: Case, inputs: list[int], preset: Preset, *, trained: bool = True) -> Map:
    """Map by a network.

    Parameters
    ----------
    case
        The case.
    inputs
        Numbers of the images that the network receives; it learns from the others that are no judges.
    preset
        Its size and training.
    trained
        Whether to train it.

    Returns
    -------
    Tensor
        T in ms of the slices that judge.
    """
    seen = sorted(case.inputs + case.targets)
    protocol, own = case.protocol(seen), [seen.index(k) for k in inputs]
    bounds = case.series.bounds_ms
    if trained:
        options: dict[str, Any] = {"sigma": case.sigma, "mask": [case.tissue[case.learn]], "bounds_ms": bounds}
        options |= {"preset": preset, "validation": 0.0, "progress": False}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "no standard deviations|preset: .* too few")  # both are meant
            net = train([case.images[case.learn, seen]], protocol, inputs=own, **options).net
    else:
        shape: dict[str, Any] = {"base": preset.base, "depth": preset.depth, "bounds_ms": bounds}
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = RelaxationNet(protocol, own, initial_estimates=preset.initial_estimates, **shape).eval()
    found: Map = net.predict(case.images[case.test, inputs])["t2"]
    return found.clamp(*bounds)


def judge(case: Case, t_ms: Map) -> dict[str, Any]:
    """Judge a map by the images that no method has seen.

    Parameters
    ----------
    case
        The case.
    t_ms
        The map of the slices that judge.

    Returns
    -------
    dict
        Over voxels and test images the mean absolute residual, ``mean``, and its root mean square, ``rms``, in units of
        the noise of the inputs; ``error_ms``, the mean absolute difference from the fit of all images that are no
        inputs; ``by_block``, sums of the residual over squares of the image; and the ``map_ms`` of the first slice.
    """
    voxels = case.voxels[case.test]
    left = (case.native[case.test, case.judges] - predict(case, t_ms, case.judges, case.test)) / case.sigma
    absolute = torch.where(voxels, left.abs().mean(1), 0)
    return {
        "mean": float(absolute[voxels].mean()),
        "rms": float(left.square().mean(1)[voxels].mean().sqrt()),
        "error_ms": float((t_ms - case.reference_ms[case.test])[voxels].abs().mean()),
        "by_block": [float(absolute[block].sum()) for block in _blocks(voxels.numpy())],
        "map_ms": t_ms[0].round().int().tolist(),
    }


def judge_photographs(*, method: str, case: Case, preset: Preset | None) -> dict[str, Any]:
    """Judge a map from all images of the simulated series by the truth.

    Parameters
    ----------
    method
        A name of :data:`METHODS`, ``"network"``, or ``"published-cnn"`` or ``"published-nlls"`` for maps of the file.
    case
        The series. Strengths are chosen on half of its images; each half is the input of a network, whose rates are
        averaged.
    preset
        Size of the network and its training; ``None`` for other methods.

    Returns
    -------
    dict
        ``mean``, the median absolute error in ms, and the ``strength``.
    """
    everything = list(range(len(case.times)))
    strength: Strength = None
    if preset is not None:
        rates = [1 / network_map(case, half, preset) for half in (case.inputs, case.targets)]
        t = 2 / sum(rates)
    elif method in METHODS:
        t, strength = METHODS[method][1](case, everything)
    else:
        t = torch.from_numpy(case.file[f"ref_{method.removeprefix('published-')}_t2_ms"][None])
    truth, m0 = (torch.from_numpy(case.file[f"ref_true_{name}"][None]) for name in ("t2_ms", "s0"))
    error = (t - truth)[m0 > _SIGNAL * case.native_sigma].abs()
    return {"mean": float(error.median()), "strength": strength}


def _blocks(voxels: Any) -> Iterator[Any]:
    """Cut images into squares, and list the voxels of each that holds any."""
    shape = voxels.shape
    row, column = (np.arange(n) // _BLOCK for n in shape[1:])
    number = row[:, None] * (shape[2] // _BLOCK + 1) + column[None]
    for plane in range(len(voxels)):
        for block in np.unique(number[voxels[plane]]):
            inside = np.zeros(shape, bool)
            inside[plane] = voxels[plane] & (number == block)
            yield torch.from_numpy(inside)
