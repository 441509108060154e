"""Training data: subjects of a phantom, arrays, or any data set of images."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from relaxnet.fitting import estimate_sigma, fit
from relaxnet.phantom import Subject
from relaxnet.protocol import Protocol

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """All images of one subject, and what else is known of it."""

    images: Float[Tensor, "slice image *space"]
    """All images of the protocol."""
    sigma: float | None
    """Noise level, where it is known."""
    subject: Subject | None
    """The digital subject, where it is one."""


def gather(data: Any, protocol: Protocol | None) -> tuple[Protocol, list[Case]]:
    """Read all subjects into memory.

    Parameters
    ----------
    data
        Subjects of a phantom, or images: a sequence or data set with one item a subject, (slice, image, ...) or
        (image, ...).
    protocol
        What was acquired; needed unless the subjects, or ``data.protocol``, know.

    Returns
    -------
    tuple
        The protocol, and the subjects.

    Raises
    ------
    ValueError
        If there is no protocol, subjects have another number of images or shape, or images are not finite.
    TypeError
        If an item is neither a subject nor images, or ``data`` is a path.
    """
    if isinstance(data, str | PathLike):
        raise TypeError(f"data={data!r} is a path: open the folder with relaxnet.io.read_cohort, and pass that.")
    cases = [_case(data[k], k) for k in range(len(data))]
    of_subjects = {case.subject.protocol for case in cases if case.subject is not None}
    of_all = getattr(data, "protocol", None)
    if isinstance(of_all, Protocol):
        of_subjects.add(of_all)
    chosen = protocol or next(iter(of_subjects), None)
    if chosen is None:
        raise ValueError("protocol is missing: images alone do not say at which times they were acquired.")
    if of_subjects - {chosen}:
        raise ValueError(f"protocol is {chosen}, but subjects were acquired with {of_subjects - {chosen}}.")
    for k, case in enumerate(cases):
        shape = tuple(case.images.shape)
        if case.images.ndim < 4 or shape[1] != chosen.n_images:
            raise ValueError(
                f"subject {k} has images of shape {shape}: (slice, image, height, width) with all {chosen.n_images} "
                f"images of the protocol is needed."
            )
        if shape[2:] != tuple(cases[0].images.shape[2:]):
            raise ValueError(
                f"subject {k} has slices of {shape[2:]}, subject 0 of {tuple(cases[0].images.shape[2:])}: bring them to"
                f" one size."
            )
        if not torch.isfinite(case.images).all():
            raise ValueError(f"subject {k} has images that are not finite: replace or leave out what is NaN.")
    return chosen, cases


def _case(item: Any, k: int) -> Case:
    if isinstance(item, Subject):
        return Case(item.images, item.sigma, item)
    if not isinstance(item, Tensor | np.ndarray):
        raise TypeError(f"subject {k} is a {type(item).__name__}: a phantom's Subject, an array or a tensor is needed.")
    images = torch.as_tensor(item).float()
    return Case(images if images.ndim > 3 else images[None], None, None)


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


def require_different(cases: Sequence[Case]) -> None:
    """Check that no subject is given twice: it would validate what it was trained with.

    Parameters
    ----------
    cases
        The subjects.

    Raises
    ------
    ValueError
        If two have the same images.
    """
    first: dict[str, int] = {}
    for k, case in enumerate(cases):
        same = first.setdefault(digest([case.images]), k)
        if same != k:
            raise ValueError(
                f"data: subjects {same} and {k} have the same images, and one might validate what was trained with the "
                f"other: give each subject once, or validation=0."
            )


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
    contrast = max(protocol.contrasts, key=lambda contrast: len(contrast.times_ms))
    images = case.images[:, protocol.images_of(contrast.name)]
    # Residuals of noise alone are too small, so air is left out, roughly.
    return estimate_sigma(images, contrast, mask=images[:, 0] > images[:, 0].mean())


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
        Labels in ms, (slice, task, ...), 0 where there is none; and where there is one, (slice, ...).

    Raises
    ------
    ValueError
        If there is no truth.
    """
    if kind == "truth":
        if case.subject is None:
            raise ValueError("loss='supervised-truth' needs subjects of a phantom, whose truth is known.")
        truth = torch.stack([case.subject.truth[name] for name in protocol.names], dim=1)
        known = torch.isfinite(truth).all(1)
        return truth.nan_to_num(0.0), known
    results = [fit(case.images[:, protocol.images_of(c.name)], c, maps_only=True) for c in protocol.contrasts]
    maps = torch.stack([result.maps[name] for result, name in zip(results, protocol.names, strict=True)], dim=1)
    return maps.nan_to_num(0.0), torch.stack([result.ok for result in results]).all(0)


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
        columns: dict[str, list[Tensor]] = {}
        for case in cases:
            n = len(case.images)
            sigma = noise_level(case, protocol) if needs_sigma or fresh_noise else 0.0
            images = case.images
            if fresh_noise:
                if case.subject is None:
                    raise ValueError("fresh_noise=True needs subjects of a phantom: others have but one noise.")
                images = case.subject.clean
            columns.setdefault("images", []).append(images)
            columns.setdefault("sigma", []).append(torch.full((n,), sigma))
            if labels:
                maps, known = labels_of(case, protocol, labels)
                columns.setdefault("labels", []).append(maps)
                columns.setdefault("labelled", []).append(known)
        self.columns = {name: torch.cat(parts) for name, parts in columns.items()}
        self.columns["slice"] = torch.arange(len(self.columns["images"]))

    def __len__(self) -> int:
        return len(self.columns["slice"])

    def __getitem__(self, index: int) -> Batch:
        return {name: values[index] for name, values in self.columns.items()}


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
