"""Writing a cohort as a folder of NIfTI files."""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from relaxnet._files import prepare_folder, write_text
from relaxnet.io._bids import on_disk, title_of
from relaxnet.io._cohort_files import DESCRIPTION, PARTICIPANTS, TRUTH, SubjectFiles
from relaxnet.io._protocol import describe_protocol
from relaxnet.io._sidecar import read_object
from relaxnet.io._volumes import GENERATED_BY, Volume, write_volumes
from relaxnet.phantom import Subject, Subjects, Tissue
from relaxnet.protocol import Protocol

_BIDS_VERSION = "1.10.0"
_COLUMNS = {
    "participant_id": "Name of the subject",
    "number": "Number of the subject in the cohort, from 0",
    "disease": "Diffuse disease of the liver",
    "field_tesla": "Field strength in T",
    "sigma": "Standard deviation of the noise in each part of the complex images, in their units",
}


def write_cohort(
    cohort: Sequence[Subject],
    folder: Path | str,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write digital subjects to a folder, images and truth, one subject at a time.

    Subject 1 has its images in ``sub-001/anat/sub-001_images.nii.gz``, all of the protocol in its order, float32, with
    times in seconds in the JSON file beside them; and under ``derivatives/truth/sub-001/anat/`` the true maps
    (``_T1rho`` and ``_T2map`` in seconds, ``_S0map``), ``_desc-liver_mask``, the tissues ``_dseg`` and the images
    without their noise, ``_desc-clean_images``. ``participants.tsv`` lists the subjects. BIDS has no name for
    spin-lock images, so its validator is told to overlook them.

    Parameters
    ----------
    cohort
        What :func:`relaxnet.phantom.liver_cohort` or :func:`relaxnet.phantom.label_map_cohort` makes, or a list of
        subjects.
    folder
        Where it goes. If it holds a part of the same cohort, written before an interruption, the subjects that are
        there are left as they are, and the rest is added.
    overwrite
        Whether a cohort of other settings, or a list of subjects, that is there may be replaced.
    progress
        Is called before the first and after each subject, with how many are there and how many there will be.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        If there is no subject, two have one number, or files have no name for a contrast.
    FileExistsError
        If the folder holds something else, and ``overwrite`` is false; or data that this function did not write.
    OSError
        If the folder cannot be written to. A subject is there as a whole or not at all.

    See Also
    --------
    read_cohort : Reads it again.

    Examples
    --------
    >>> import tempfile
    >>> cohort = rx.phantom.liver_cohort(n_subjects=2, slices=1, shape=(32, 32))
    >>> folder = rx.io.write_cohort(cohort, tempfile.mkdtemp())
    >>> rx.io.read_cohort(folder)[1]
    <Subject sub-002: ...>
    """
    folder, n = Path(folder), len(cohort)
    if n == 0:
        raise ValueError("cohort holds no subject.")
    description = _describe(cohort)
    prepare_folder(folder)
    done = _resume(folder, description, may_resume=isinstance(cohort, Subjects), overwrite=overwrite)
    if not done:
        _write_frame(folder, description)
    names: list[str] = []
    for k in range(n):
        if progress is not None:
            progress(k, n)
        name = _name(cohort.indices[k]) if isinstance(cohort, Subjects) else cohort[k].name
        if name in names:
            raise ValueError(f"cohort holds {name} twice: give each subject a number of its own.")
        names.append(name)
        files = SubjectFiles(folder, name)
        if not files.sidecar.exists():
            _write_subject(cohort[k], files)
    if progress is not None:
        progress(n, n)
    write_text(folder / PARTICIPANTS, _table([SubjectFiles(folder, name) for name in names]))
    return folder


def _name(index: int) -> str:
    return f"sub-{index + 1:03d}"


def _describe(cohort: Sequence[Subject]) -> dict[str, Any]:
    """Say what is in a folder; cohorts of the same description are the same."""
    settings = {f.name: getattr(cohort, f.name) for f in fields(cohort)} if isinstance(cohort, Subjects) else {}
    if settings.get("corruptions") == ():
        del settings["corruptions"]  # as in folders from before there were any
    description = {
        "Name": "Digital subjects with known relaxation times",
        "BIDSVersion": _BIDS_VERSION,
        "DatasetType": "raw",
        "GeneratedBy": GENERATED_BY,
        "Simulation": {"n_subjects": len(cohort), **_plain(settings)},
    }
    kept: dict[str, Any] = json.loads(json.dumps(description))  # as it will be when it is read
    return kept


def _plain(value: Any) -> Any:
    """Convert settings to what JSON can hold."""
    if isinstance(value, Protocol):
        return describe_protocol(value)
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value, dtype=np.int64).tobytes()).hexdigest()
        return {"shape": list(value.shape), "sha256": digest}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else repr(value)


def _resume(folder: Path, description: dict[str, Any], *, may_resume: bool, overwrite: bool) -> bool:
    """Return whether a part of the cohort is there already; clear away another one, or refuse to."""
    if not (folder / DESCRIPTION).exists():
        foreign = next(folder.glob("sub-*"), None)
        if foreign is not None:
            raise FileExistsError(f"{foreign}: this was not written as part of a cohort: choose another folder.")
        return False
    before = read_object(folder / DESCRIPTION)
    if "Simulation" not in before:
        raise FileExistsError(f"{folder}: it holds data that were not simulated: choose another folder.")
    if before == description and may_resume and not overwrite:
        return True
    if not overwrite:
        what = "a cohort of other settings" if may_resume else "a cohort"
        raise FileExistsError(f"{folder}: it holds {what}: choose another folder, or overwrite (--overwrite).")
    (folder / PARTICIPANTS).unlink(missing_ok=True)
    for path in folder.glob("sub-*"):
        files = SubjectFiles(folder, path.name)
        for file in files.all():
            file.unlink(missing_ok=True)
        for parent in (files.images.parent, files.roi.parent):
            with suppress(OSError):  # where something of the user's lies there, it stays
                parent.rmdir()
                parent.parent.rmdir()
    return False


def _write_frame(folder: Path, description: dict[str, Any]) -> None:
    """Write what is not of a subject."""
    for place in (folder, folder / TRUTH):
        write_text(place / ".bidsignore", "*_images.*\n")
    columns = {name: {"Description": text} for name, text in _COLUMNS.items()}
    write_text(folder / "participants.json", _json(columns))
    rows = ["index\tname", *(f"{int(tissue)}\t{tissue.name.lower()}" for tissue in Tissue)]
    write_text(folder / TRUTH / "dseg.tsv", "\n".join(rows) + "\n")
    truth = {**description, "Name": "The truth behind digital subjects", "DatasetType": "derivative"}
    write_text(folder / TRUTH / DESCRIPTION, _json(truth))
    write_text(folder / DESCRIPTION, _json(description))


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=4) + "\n"


def _table(subjects: list[SubjectFiles]) -> str:
    rows = ["\t".join(_COLUMNS)]
    for files in subjects:
        known = read_object(files.sidecar)["Simulation"]
        rows.append("\t".join([files.name, *(str(known[column]) for column in list(_COLUMNS)[1:])]))
    return "\n".join(rows) + "\n"


def _write_subject(subject: Subject, files: SubjectFiles) -> None:
    between, row, column = subject.voxel_mm
    # Pictures have the front up and the patient's right at their left; NIfTI counts to the right, the front, the head.
    affine = np.diag((-column, -row, between, 1.0))
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(subject.roi.shape[::-1]) - 1) / 2)
    common = {"SkullStripped": False, "GeneratedBy": GENERATED_BY}
    acquired = {**describe_protocol(subject.protocol), "MagneticFieldStrength": subject.field_tesla}
    known = {
        "number": subject.index,
        "disease": str(subject.disease),
        "field_tesla": subject.field_tesla,
        "sigma": subject.sigma,
        "voxel_mm": list(subject.voxel_mm),
    }
    images = {"Description": "Magnitude images", "Units": "arbitrary", **acquired, **common, "Simulation": known}
    volumes = {
        files.images: Volume(_grid(subject.images), images),
        files.clean: Volume(
            _grid(subject.clean), {"Description": "Images without noise", "Units": "arbitrary", **acquired, **common}
        ),
        files.roi: Volume(
            _grid(subject.roi).astype(np.uint8), {"Description": "Liver parenchyma", "Type": "ROI", **common}
        ),
        files.labels: Volume(_grid(subject.labels), {"Description": "Tissues: see dseg.tsv", **common}),
    }
    m0 = {"Description": "True signal at time 0", "Units": "arbitrary", **common}
    volumes[files.map("m0")] = Volume(_grid(subject.truth["m0"]), m0)
    for contrast in subject.protocol.contrasts:
        unit, divisor = on_disk(contrast.model.parameter.unit)
        about = {"Description": f"True {title_of(contrast.name)}", "Units": unit, **common}
        values = _grid(subject.truth[contrast.name]) / np.float32(divisor)
        volumes[files.map(contrast.name)] = Volume(values, about)
    write_volumes(volumes, affine, space_code=1)


def _grid(values: Tensor) -> NDArray[Any]:
    """Convert (slice, row, column) to (x, y, z), and (slice, image, row, column) into (x, y, z, image)."""
    array = values.detach().cpu().numpy()
    return array.transpose(2, 1, 0) if array.ndim == 3 else array.transpose(3, 2, 0, 1)
