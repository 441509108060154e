"""Cohorts from folders, one subject at a time."""

import operator
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxnet._display import Displayed, Section
from relaxnet._files import naming
from relaxnet._messages import brief
from relaxnet.io._bids import on_disk
from relaxnet.io._cohort_files import PARTICIPANTS, SubjectFiles
from relaxnet.io._data_set import DESCRIPTION
from relaxnet.io._pictures import as_pictures, as_slices
from relaxnet.io._protocol import read_protocol
from relaxnet.io._read import Scan, read_nifti
from relaxnet.io._read_mask import on_grid, read_mask
from relaxnet.io._sidecar import read_object, read_table
from relaxnet.phantom import Disease, Subject
from relaxnet.protocol import Protocol
from relaxnet.signals import SignalModel

if TYPE_CHECKING:
    _Items = Sequence[Subject | Tensor]
else:
    _Items = Sequence  # a run-time type checker would read a subject to look into a Sequence[Subject]


@dataclass(frozen=True, repr=False)
class FolderCohort(Displayed, _Items):
    """Subjects that are read from disk on access; none is kept in memory.

    Index it, slice it into smaller cohorts, or iterate over it. Made by :func:`read_cohort`.
    """

    folder: Path
    """Folder of the subjects."""
    names: tuple[str, ...]
    """Names of the subjects, ``"sub-001"``."""
    protocol: Protocol
    """Protocol of the images, the same for all subjects."""
    models: Mapping[str, SignalModel] = field(default_factory=dict)
    """Your own signal models by the name of their contrast."""

    def __repr__(self) -> str:
        return f"<FolderCohort of {len(self)} subjects in {self.folder}: {', '.join(self.protocol.names)}>"

    def _sections(self) -> list[Section]:
        facts = [("contrasts", ", ".join(self.protocol.names)), ("subjects", brief(", ".join(self.names)))]
        return [Section(f"{len(self)} subjects in {self.folder}", facts)]

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, key: SupportsIndex) -> Subject | Tensor: ...

    @overload
    def __getitem__(self, key: slice) -> "FolderCohort": ...

    def __getitem__(self, key: SupportsIndex | slice) -> "Subject | Tensor | FolderCohort":
        if isinstance(key, slice):
            return replace(self, names=self.names[key])
        index = operator.index(key)
        if not -len(self) <= index < len(self):
            raise IndexError(f"subject {index} is not in this cohort of {len(self)}.")
        return _read_subject(SubjectFiles(self.folder, self.names[index]), self.protocol, self.models)

    def masks(self) -> list[Tensor | None]:
        """Read the voxels of each subject to learn from, for :func:`relaxnet.training.train`.

        Returns
        -------
        list
            For each subject its mask (slice, height, width) from ``sub-01/anat/sub-01_mask.nii.gz``, on the grid of its
            images; None where there is no such file.

        Raises
        ------
        ValueError
            If a mask is on another grid, or is not one. The message names the file.
        """
        return [_read_own_mask(SubjectFiles(self.folder, name)) for name in self.names]


def read_cohort(folder: Path | str, *, models: Mapping[str, SignalModel] | None = None) -> FolderCohort:
    """Open a folder of subjects, which are read on access.

    Parameters
    ----------
    folder
        Folder written by :func:`write_cohort`, or scans of patients in the same layout:
        ``sub-01/anat/sub-01_images.nii.gz`` with all images of the protocol, and beside it ``sub-01_images.json`` with
        ``Contrasts`` (names in the order of their images), the times of each in seconds (``SpinLockTime``; ``EchoTime``
        or ``T2PreparationTime``) and ``SharedFirst``. The subjects are listed in ``participants.tsv``; without it, all
        folders ``sub-*`` are subjects.
    models
        Your own signal models by the name of their contrast.

    Returns
    -------
    FolderCohort
        A sequence of the subjects as they were written. For patients, who have no ground truth, the items are images
        (slice, image, height, width) in the orientation of :func:`as_pictures`. A patient may lack a contrast, whose
        images are NaN: the protocol is that of the subject with the most contrasts.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or a file of a subject is missing (also later, on access).
    ValueError
        If there are no subjects, writing was interrupted, or a file is invalid (also later, on access). Messages name
        the file.

    Examples
    --------
    >>> import tempfile
    >>> written = rx.phantom.liver_cohort(n_subjects=3, slices=1, shape=(32, 32))
    >>> cohort = rx.io.read_cohort(rx.io.write_cohort(written, tempfile.mkdtemp()))
    >>> len(cohort), cohort.protocol == written.protocol
    (3, True)
    >>> torch.equal(cohort[2].images, written[2].images)
    True
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder.")
    names = _names(folder)
    if not names:
        raise ValueError(f"{folder}: it holds no subject: a folder sub-01 is needed for each.")
    protocol = read_protocol(SubjectFiles(folder, names[0]).sidecar, models)
    for name in names[1:]:
        with suppress(OSError, ValueError):  # which is told when the subject is read
            own = read_protocol(SubjectFiles(folder, name).sidecar, models)
            protocol = own if len(own.names) > len(protocol.names) else protocol
    return FolderCohort(folder, names, protocol, dict(models or {}))


def _names(folder: Path) -> tuple[str, ...]:
    """Return the names of the subjects in a folder."""
    table = folder / PARTICIPANTS
    if table.exists():
        header, *names = [cells[0] for _, cells in read_table(table)] or [""]
        if header != "participant_id":
            raise ValueError(f"{table}: its first column must be participant_id.")
        if len(set(names)) < len(names):
            raise ValueError(f"{table}: a subject is listed twice.")
    else:
        description = folder / DESCRIPTION
        if description.exists() and "Simulation" in read_object(description):
            raise ValueError(f"{folder}: its writing was interrupted: write it again, and it goes on where it stopped.")
        names = sorted(path.name for path in folder.glob("sub-*") if path.is_dir())
    return tuple(SubjectFiles(folder, name).name for name in names)


def _read_subject(files: SubjectFiles, protocol: Protocol, models: Mapping[str, SignalModel]) -> Subject | Tensor:
    """Read a simulated subject, or the images of a patient."""
    content = read_object(files.sidecar)
    own = read_protocol(files.sidecar, models)
    part = "Simulation" not in content and _is_part(own, protocol)
    if own != protocol and not part:
        problem = f"the protocol is {brief(own)}, that of the cohort {brief(protocol)}"
        raise ValueError(f"{files.sidecar}: {problem}.")
    scan = read_nifti(files.images)
    images = as_slices(scan)
    if images.shape[1] != own.n_images:
        raise ValueError(f"{files.images}: it has {images.shape[1]} images, the protocol has {own.n_images}.")
    if part:
        return _among_all(images, own, protocol)
    if "Simulation" not in content:
        return images

    def read(path: Path) -> Tensor:
        return _pictures(on_grid(path, like=scan, name="volume"), scan)

    clean = as_slices(read_nifti(files.clean))
    if clean.shape != images.shape:
        raise ValueError(f"{files.clean}: its shape differs from that of {files.images}.")
    truth = {c.name: read(files.map(c.name)) * on_disk(c.model.parameter.unit)[1] for c in protocol.contrasts}
    truth["m0"] = read(files.map("m0"))
    roi, labels = _pictures(read_mask(files.roi, like=scan), scan), read(files.labels).to(torch.uint8)
    known = content["Simulation"]
    with naming(files.sidecar, "Simulation is not what write_cohort wrote: "):
        between, row, column = (float(mm) for mm in known["voxel_mm"])
        return Subject(
            index=int(known["number"]),
            protocol=protocol,
            images=images,
            clean=clean,
            truth=truth,
            roi=roi,
            labels=labels,
            sigma=float(known["sigma"]),
            disease=Disease(known["disease"]),
            field_tesla=float(known["field_tesla"]),
            voxel_mm=(between, row, column),
        )


def _is_part(own: Protocol, protocol: Protocol) -> bool:
    """Return whether a subject was acquired with some of the contrasts of a protocol."""
    alike = len(own.names) == 1 or own.shared_first == protocol.shared_first
    fewer = len(own.names) < len(protocol.names)
    return alike and fewer and all(contrast in protocol.contrasts for contrast in own.contrasts)


def _among_all(images: Tensor, own: Protocol, protocol: Protocol) -> Tensor:
    """Put the images of some contrasts in their places among all images of a protocol; others are NaN."""
    everything = images.new_full((len(images), protocol.n_images, *images.shape[2:]), torch.nan)
    for name in own.names:
        everything[:, protocol.images_of(name)] = images[:, own.images_of(name)]
    return everything


def _read_own_mask(files: SubjectFiles) -> Tensor | None:
    if not files.mask.exists():
        return None
    scan = read_nifti(files.images)
    return _pictures(read_mask(files.mask, like=scan), scan)


def _pictures(volume: NDArray[Any], scan: Scan) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(as_pictures(volume, scan.affine)))
