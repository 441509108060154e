"""Reading a folder of subjects, one at a time."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxnet.io._bids import on_disk
from relaxnet.io._cohort_files import DESCRIPTION, PARTICIPANTS, SubjectFiles
from relaxnet.io._pictures import as_pictures, as_slices
from relaxnet.io._protocol import read_protocol
from relaxnet.io._read import Scan, read_mask, read_nifti, read_volume
from relaxnet.io._sidecar import read_object
from relaxnet.phantom import Disease, Subject
from relaxnet.protocol import Protocol
from relaxnet.signals import SignalModel

if TYPE_CHECKING:
    _Items = Sequence[Subject | Tensor]
else:
    _Items = Sequence  # whoever checks types at run time would read a subject to look into a Sequence[Subject]


@dataclass(frozen=True)
class FolderCohort(_Items):
    """Subjects that are read from disk when they are asked for; none is kept.

    Index it, slice it into smaller cohorts, or iterate over it. Made by :func:`read_cohort`.
    """

    folder: Path
    """Where the subjects are."""
    names: tuple[str, ...]
    """Names of the subjects, ``"sub-001"``."""
    protocol: Protocol
    """What was acquired, the same for all of them."""
    models: Mapping[str, SignalModel] = field(default_factory=dict)
    """Signal models of your own by the name of their contrast."""

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


def read_cohort(folder: Path | str, *, models: Mapping[str, SignalModel] | None = None) -> FolderCohort:
    """Open a folder of subjects; each is read when it is asked for.

    Parameters
    ----------
    folder
        What :func:`write_cohort` wrote, or real patients in the same layout: ``sub-01/anat/sub-01_images.nii.gz`` with
        all images of the protocol, and beside it ``sub-01_images.json`` with ``Contrasts`` (names in the order of their
        images), the times of each in seconds (``SpinLockTime``; ``EchoTime`` or ``T2PreparationTime``) and
        ``SharedFirst``. Subjects are those of ``participants.tsv``, or all folders ``sub-*``.
    models
        Signal models of your own by the name of their contrast.

    Returns
    -------
    FolderCohort
        A sequence. Its items are subjects, as they were written; of patients, whose truth nobody knows, images
        (slice, image, height, width) turned the way of :func:`as_pictures`.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or a file of a subject is missing (also later, when it is asked for).
    ValueError
        If there are no subjects, writing was interrupted, or a file is not what it should be (also later). Messages
        name the file.

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
    return FolderCohort(folder, names, protocol, dict(models or {}))


def _names(folder: Path) -> tuple[str, ...]:
    table = folder / PARTICIPANTS
    if table.exists():
        try:
            rows = [row.split("\t") for row in table.read_text(encoding="utf-8-sig").splitlines() if row]
        except UnicodeDecodeError as error:
            raise ValueError(f"{table}: this is not text: {error}.") from error
        if not rows or rows[0][0] != "participant_id":
            raise ValueError(f"{table}: its first column must be participant_id.")
        names = tuple(row[0] for row in rows[1:])
        if len(set(names)) < len(names):
            raise ValueError(f"{table}: a subject is listed twice.")
    else:
        description = folder / DESCRIPTION
        if description.exists() and "Simulation" in read_object(description):
            raise ValueError(f"{folder}: its writing was interrupted: write it again, and it goes on where it stopped.")
        names = tuple(sorted(path.name for path in folder.glob("sub-*") if path.is_dir()))
    return tuple(SubjectFiles(folder, name).name for name in names)


def _read_subject(files: SubjectFiles, protocol: Protocol, models: Mapping[str, SignalModel]) -> Subject | Tensor:
    content = read_object(files.sidecar)
    own = read_protocol(files.sidecar, models)
    if own != protocol:
        raise ValueError(f"{files.sidecar}: the protocol is {own}, that of the first subject {protocol}.")
    scan = read_nifti(files.images)
    images = as_slices(scan)
    if images.shape[1] != protocol.n_images:
        raise ValueError(f"{files.images}: it has {images.shape[1]} images, the protocol has {protocol.n_images}.")
    if "Simulation" not in content:
        return images

    def read(path: Path) -> Tensor:
        return _pictures(read_volume(path, like=scan, name="volume"), scan)

    clean = as_slices(read_nifti(files.clean))
    if clean.shape != images.shape:
        raise ValueError(f"{files.clean}: its shape differs from that of {files.images}.")
    truth = {
        contrast.name: read(files.map(contrast.name)) * on_disk(contrast.model.parameter.unit)[1]
        for contrast in protocol.contrasts
    }
    known = content["Simulation"]
    try:
        index, sigma, disease = int(known["number"]), float(known["sigma"]), Disease(known["disease"])
        field_tesla = float(known["field_tesla"])
        between, row, column = (float(mm) for mm in known["voxel_mm"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{files.sidecar}: Simulation is not what write_cohort wrote: {error!r}.") from error
    return Subject(
        index=index,
        protocol=protocol,
        images=images,
        clean=clean,
        truth={**truth, "m0": read(files.map("m0"))},
        roi=_pictures(read_mask(files.roi, like=scan), scan),
        labels=read(files.labels).to(torch.uint8),
        sigma=sigma,
        disease=disease,
        field_tesla=field_tesla,
        voxel_mm=(between, row, column),
    )


def _pictures(values: NDArray[Any], scan: Scan) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(as_pictures(values, scan.affine)))
