"""Training data: subjects of a phantom, arrays, or any data set of images."""

import hashlib
import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from os import PathLike
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from relaxnet.fitting import estimate_sigma, fit
from relaxnet.phantom import Subject
from relaxnet.protocol import Protocol

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """All images of one subject, and what else is known of it."""

    images: Float[Tensor, "slice image *space"]
    """All images of the protocol; NaN where there is none."""
    sigma: float | None
    """Noise level, where it is known."""
    subject: Subject | None
    """The digital subject, where it is one."""
    mask: Bool[Tensor, "slice *space"] | None = None
    """Voxels to learn from; all without a mask."""
    name: str = "subject"
    """How messages call it."""

    def lacks(self, protocol: Protocol) -> tuple[str, ...]:
        """Name the contrasts of which no voxel has all images."""
        finite = torch.isfinite(self.images)
        return tuple(name for name in protocol.names if not finite[:, protocol.images_of(name)].all(1).any())


def gather(
    data: Any, protocol: Protocol | None, *, sigma: Any = None, mask: Sequence[Any] | None = None
) -> tuple[Protocol, list[Case]]:
    """Read all subjects into memory.

    Parameters
    ----------
    data
        Subjects of a phantom, or images: a sequence or data set with one item a subject, (slice, image, ...) or
        (image, ...).
    protocol
        What was acquired; needed unless the subjects, or ``data.protocol``, know.
    sigma
        Noise level of all subjects, or a sequence with one for each.
    mask
        For each subject its voxels to learn from, (slice, ...) or (...), or None.

    Returns
    -------
    tuple
        The protocol, and the subjects.

    Raises
    ------
    ValueError
        If there is no protocol, subjects have another number of images, a subject has no contrast, or a noise level or
        a mask makes no sense.
    TypeError
        If an item is neither a subject nor images, or ``data`` is a path.
    """
    if isinstance(data, str | PathLike):
        raise TypeError(f"data={data!r} is a path: open the folder with relaxnet.io.read_cohort, and pass that.")
    n = len(data)
    names = getattr(data, "names", None) or [f"subject {k}" for k in range(n)]
    masks = mask if mask is not None else [None] * n
    sigmas = [sigma] * n if sigma is None or isinstance(sigma, Real) else sigma
    for argument, given in (("sigma", sigmas), ("mask", masks)):
        if len(given) != n:
            raise ValueError(f"{argument} has {len(given)} entries for {n} subjects: one for each is needed.")
    cases = [_case(data[k], str(names[k]), sigmas[k], masks[k]) for k in range(n)]
    of_subjects = {case.subject.protocol for case in cases if case.subject is not None}
    of_all = getattr(data, "protocol", None)
    if isinstance(of_all, Protocol):
        of_subjects.add(of_all)
    chosen = protocol or next(iter(of_subjects), None)
    if chosen is None:
        raise ValueError("protocol is missing: images alone do not say at which times they were acquired.")
    if of_subjects - {chosen}:
        raise ValueError(f"protocol is {chosen}, but subjects were acquired with {of_subjects - {chosen}}.")
    for case in cases:
        shape = tuple(case.images.shape)
        if case.images.ndim < 4 or shape[1] != chosen.n_images:
            raise ValueError(
                f"{case.name} has images of shape {shape}: (slice, image, height, width) with all {chosen.n_images} "
                f"images of the protocol is needed, NaN for those that were not acquired."
            )
        if case.lacks(chosen) == chosen.names:
            raise ValueError(f"{case.name} has no voxel where all images of a contrast are finite: leave it out.")
    return chosen, cases


def _case(item: Any, name: str, sigma: Any, mask: Any) -> Case:
    if isinstance(item, Subject):
        images, known, subject = item.images, item.sigma, item
    elif isinstance(item, Tensor | np.ndarray):
        images, known, subject = torch.as_tensor(item).float(), None, None
        images = images if images.ndim > 3 else images[None]
    else:
        raise TypeError(f"{name} is a {type(item).__name__}: a phantom's Subject, an array or a tensor is needed.")
    if sigma is not None:
        if not isinstance(sigma, Real) or not 0 < float(sigma) < math.inf:
            raise ValueError(f"sigma={sigma!r}: the noise level of {name} is a positive number.")
        known = float(sigma)
    return Case(images, known, subject, None if mask is None else _mask(mask, images[:, 0], name), name)


def _mask(given: Any, like: Tensor, name: str) -> Tensor:
    mask = torch.as_tensor(given)
    mask = mask if mask.ndim == like.ndim else mask[None]
    if mask.shape != like.shape:
        raise ValueError(f"mask of {name} has shape {tuple(mask.shape)}: its slices have {tuple(like.shape)}.")
    if not ((mask == 0) | (mask == 1)).all() or not mask.any():
        raise ValueError(f"mask of {name} is not of zeros and ones, or has no one: pass a comparison, as labels == 5.")
    return mask == 1


def digest(tensors: Iterable[Tensor]) -> str:
    """Return a text that differs where a type, a shape or a value does.

    Parameters
    ----------
    tensors
        The tensors.

    Returns
    -------
    str
        The text.
    """
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().data)
    return found.hexdigest()[:16]


def same_images(cases: Sequence[Case]) -> list[list[int]]:
    """Group subjects that have the same images, by their numbers.

    Parameters
    ----------
    cases
        The subjects, two or more.

    Returns
    -------
    list of list of int
        A group for each different subject.

    Raises
    ------
    ValueError
        If all have the same images: there is nothing to validate with.

    Warns
    -----
    UserWarning
        If some have the same images.
    """
    groups: dict[str, list[int]] = {}
    for k, case in enumerate(cases):
        groups.setdefault(digest([case.images]), []).append(k)
    copies = next((group for group in groups.values() if len(group) > 1), None)
    if copies:
        told = f"data: {cases[copies[0]].name} and {cases[copies[1]].name} have the same images"
        if len(groups) == 1:
            raise ValueError(
                f"{told}, and so have all: one would validate what was trained with another: give each subject once, "
                f"or validation=0."
            )
        warnings.warn(f"{told}: they are kept together, in training or in validation.", stacklevel=4)
    return list(groups.values())


def noise_level(case: Case, protocol: Protocol) -> float:
    """Return the noise level of a subject; estimate it where it is not known.

    Parameters
    ----------
    case
        The subject.
    protocol
        What was acquired.

    Returns
    -------
    float
        The noise level, in the units of the images.
    """
    if case.sigma is not None:
        return case.sigma
    there = [contrast for contrast in protocol.contrasts if contrast.name not in case.lacks(protocol)]
    contrast = max(there, key=lambda contrast: len(contrast.times_ms))
    images = case.images[:, protocol.images_of(contrast.name)]
    first = images[:, 0]
    # Residuals of noise alone are too small, so air is left out, roughly; not of images that are the same everywhere.
    return estimate_sigma(images, contrast, mask=first >= (1 - 1e-6) * first.nanmean())


def labels_of(case: Case, protocol: Protocol, kind: str) -> tuple[Tensor, Tensor]:
    """Find labels.

    Parameters
    ----------
    case
        The subject.
    protocol
        What was acquired.
    kind
        ``"nlls"`` or ``"truth"``.

    Returns
    -------
    tuple
        Labels in ms, 0 where there is none, and where there is one; both (slice, task, ...).

    Raises
    ------
    ValueError
        If there is no truth.
    """
    if kind == "truth":
        if case.subject is None:
            raise ValueError("loss='supervised-truth' needs subjects of a phantom, whose truth is known.")
        truth = torch.stack([case.subject.truth[name] for name in protocol.names], dim=1)
        return truth.nan_to_num(0.0), torch.isfinite(truth)
    results = [fit(case.images[:, protocol.images_of(c.name)], c, maps_only=True) for c in protocol.contrasts]
    maps = torch.stack([result.maps[name] for result, name in zip(results, protocol.names, strict=True)], dim=1)
    return maps.nan_to_num(0.0), torch.stack([result.ok for result in results], dim=1)


class Slices(Dataset[Batch]):
    """Slices of some subjects, in memory.

    Parameters
    ----------
    cases
        The subjects.
    protocol
        What was acquired.
    labels
        Which labels to find, if any.
    fresh_noise
        Whether to keep the images without their noise, so that new noise can be drawn; for a phantom's subjects.
    needs_sigma
        Whether noise levels that are not known are estimated.

    Raises
    ------
    ValueError
        If something is needed that the subjects do not have.
    """

    def __init__(
        self,
        cases: list[Case],
        protocol: Protocol,
        *,
        labels: str | None = None,
        fresh_noise: bool = False,
        needs_sigma: bool,
    ) -> None:
        self.subjects: list[Batch] = []
        masked = any(case.mask is not None for case in cases)
        for case in cases:
            n = len(case.images)
            sigma = noise_level(case, protocol) if needs_sigma or fresh_noise else 0.0
            columns = {"images": case.images, "sigma": torch.full((n,), sigma)}
            if fresh_noise:
                if case.subject is None:
                    raise ValueError("fresh_noise=True needs subjects of a phantom: others have but one noise.")
                columns["images"] = case.subject.clean
            if labels:
                columns["labels"], columns["labelled"] = labels_of(case, protocol, labels)
            if masked:
                everywhere = torch.ones_like(case.images[:, 0], dtype=torch.bool)
                columns["mask"] = everywhere if case.mask is None else case.mask
            self.subjects.append(columns)
        self.places = [(k, index) for k, case in enumerate(cases) for index in range(len(case.images))]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Batch:
        subject, own = self.places[index]
        return {name: values[own] for name, values in self.subjects[subject].items()} | {"slice": torch.tensor(index)}


_BEYOND = {"images": math.nan, "labels": 0.0, "labelled": False, "mask": False}
"""What lies beyond the edges of a slice, where there is nothing to learn from."""


def collate(slices: Sequence[Batch]) -> Batch:
    """Make a batch of slices. Smaller ones are padded at their far edges.

    Parameters
    ----------
    slices
        Slices, of any sizes.

    Returns
    -------
    dict
        The batch; beyond the edges of a slice, its images are NaN.
    """
    sizes = [one["images"].shape[1:] for one in slices]
    largest = [max(sides) for sides in zip(*sizes, strict=True)]

    def padded(name: str, values: Tensor, size: Sequence[int]) -> Tensor:
        if name not in _BEYOND or list(size) == largest:
            return values
        ends = [end for side, most in zip(size, largest, strict=True) for end in (most - side, 0)]
        return functional.pad(values, ends[::-1], value=_BEYOND[name])

    rows = [
        {name: padded(name, values, size) for name, values in one.items()}
        for one, size in zip(slices, sizes, strict=True)
    ]
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def mix(*numbers: int) -> int:
    """Make one seed of several numbers; Python hashes tuples of integers alike on all machines.

    Parameters
    ----------
    *numbers
        The numbers.

    Returns
    -------
    int
        The seed.
    """
    return hash(numbers) & 0x7FFF_FFFF_FFFF_FFFF
