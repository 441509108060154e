"""Cohorts as folders of NIfTI files."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from einops import rearrange
from torch import Tensor

from relaxnet._files import (
    check_links,
    check_targets,
    clear_temporaries,
    naming,
    prepare_folder,
    replacing_all,
    write_text,
)
from relaxnet.io._bids import on_disk, title_of
from relaxnet.io._cohort_files import PARTICIPANTS, TRUTH, SubjectFiles, subject_name
from relaxnet.io._data_set import BIDS_VERSION, DESCRIPTION
from relaxnet.io._protocol import describe_protocol
from relaxnet.io._sidecar import read_object
from relaxnet.io._volumes import COMMON, Volume, write_volumes
from relaxnet.phantom import Subject, Subjects, Tissue
from relaxnet.protocol import Protocol

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
    """Write digital subjects to a folder, images and ground truth, one subject at a time.

    The images of subject 1 are in ``sub-001/anat/sub-001_images.nii.gz``, float32 and in the order of the protocol,
    with times in seconds in the JSON file beside them. ``derivatives/truth/sub-001/anat/`` holds the true maps
    (``_T1rho`` and ``_T2map`` in seconds, ``_S0map``), ``_desc-liver_mask``, the tissues ``_dseg`` and the images
    without noise, ``_desc-clean_images``. ``participants.tsv`` lists the subjects. BIDS has no name for spin-lock
    images, so ``.bidsignore`` excludes the images from validation.

    Parameters
    ----------
    cohort
        Cohort of :func:`relaxnet.phantom.liver_cohort` or :func:`relaxnet.phantom.label_map_cohort`, or a list of
        subjects.
    folder
        Output folder. If it holds a part of the same cohort, left by an interruption, only the missing subjects are
        written.
    overwrite
        Whether an existing cohort of other settings, or an existing list of subjects, may be replaced.
    progress
        Called before the first and after each subject, with the number of written subjects and of all subjects.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        If there is no subject, two have the same number, a contrast has no name in files, or a folder below the output
        folder is a link.
    FileExistsError
        If the folder holds another cohort and ``overwrite`` is false, or a folder ``sub-*`` that this function did not
        write.
    OSError
        If the folder is not writable. A subject is written completely or not at all.

    See Also
    --------
    read_cohort : Reads such a folder.

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
    indices = [*cohort.indices] if isinstance(cohort, Subjects) else [subject.index for subject in cohort]
    names = Counter(subject_name(index) for index in indices)
    if twice := next((name for name, times in names.items() if times > 1), None):
        raise ValueError(f"cohort holds {twice} twice: give each subject its own number.")
    subjects = [SubjectFiles(folder, name) for name in names]
    description = _describe(cohort, indices)
    frame = _frame(folder, description)
    prepare_folder(folder)
    resumed, old = _look_at(folder, description, may_resume=isinstance(cohort, Subjects), overwrite=overwrite)
    check_links(folder, [*frame, *(file for files in (*old, *subjects) for file in (files.images, files.roi))])
    if not resumed:
        to_come = [path for path, text in frame.items() if not _holds(path, text)]  # a kill may have left the others
        check_targets(to_come, inputs=[], overwrite=bool(old) or overwrite)
        _remove(folder, old)
        with replacing_all([*frame]) as temporaries:
            for text, temporary in zip(frame.values(), temporaries, strict=True):
                temporary.write_text(text, encoding="utf-8")
    report = progress or (lambda _done, _total: None)
    for k, files in enumerate(subjects):
        report(k, n)
        if not files.sidecar.exists():
            _write_subject(cohort[k], files)
    report(n, n)
    write_text(folder / PARTICIPANTS, _table(subjects))
    return folder


def _describe(cohort: Sequence[Subject], indices: list[int]) -> dict[str, Any]:
    """Describe the content of a folder; cohorts of the same description are the same."""
    settings: dict[str, Any] = {"indices": indices}
    if isinstance(cohort, Subjects):
        settings |= {f.name: getattr(cohort, f.name) for f in fields(cohort)}
    for name, default in (("corruptions", ()), ("texture", None), ("pixel_mm", None)):
        if settings.get(name, default) == default:
            settings.pop(name, None)  # as in folders written before there were such settings
    if settings.get("snr") == math.inf:
        settings["snr"] = "inf"  # JSON has no infinity
    description = {
        "Name": "Digital subjects with known relaxation times",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "GeneratedBy": COMMON["GeneratedBy"],
        "Simulation": {"n_subjects": len(cohort), **settings},
    }
    as_read: dict[str, Any] = json.loads(json.dumps(description, default=_plain))  # to be compared with a file
    return as_read


def _plain(value: object) -> Any:
    """Convert a setting that JSON does not know."""
    if isinstance(value, Protocol):
        return describe_protocol(value)
    if isinstance(value, range):
        return list(value)
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value, dtype=np.int64).tobytes()).hexdigest()
        return {"shape": list(value.shape), "sha256": digest}
    return repr(value)


def _look_at(
    folder: Path, description: dict[str, Any], *, may_resume: bool, overwrite: bool
) -> tuple[bool, list[SubjectFiles]]:
    """Return whether the folder holds a part of the cohort, and the subjects of a cohort there; change nothing.

    It is an error if something else is named ``sub-*``, or if a cohort that is there may not be replaced.
    """
    resumed, names = False, list[str]()
    if (folder / DESCRIPTION).exists():
        before = read_object(folder / DESCRIPTION)
        if "Simulation" not in before:
            raise FileExistsError(f"{folder}: it holds data that were not simulated: choose another folder.")
        resumed = before == description and may_resume and not overwrite
        if not resumed and not overwrite:
            what = "a cohort of other settings" if may_resume else "a cohort"
            raise FileExistsError(f"{folder}: it holds {what}: choose another folder, or overwrite (--overwrite).")
        with naming(folder / DESCRIPTION, "Simulation is not what write_cohort wrote: "):
            names = [subject_name(int(index)) for index in before["Simulation"]["indices"]]
    there = sorted(path for place in (folder, folder / TRUTH) for path in place.glob("sub-*"))
    if foreign := next((path for path in there if path.name not in names), None):
        raise FileExistsError(f"{foreign}: this was not written as part of a cohort: choose another folder.")
    return resumed, [SubjectFiles(folder, name) for name in names]


def _remove(folder: Path, subjects: Iterable[SubjectFiles]) -> None:
    """Remove a cohort, the list of its subjects first. Other files of the user stay, and folders that hold them."""
    (folder / PARTICIPANTS).unlink(missing_ok=True)
    for files in subjects:
        for file in files.all():
            file.unlink(missing_ok=True)
        for parent in (files.images.parent, files.roi.parent):
            clear_temporaries(parent)
            with suppress(OSError):
                parent.rmdir()
                parent.parent.rmdir()


def _frame(folder: Path, description: dict[str, Any]) -> dict[Path, str]:
    """Return the files that belong to no subject, the description first."""
    columns = {name: {"Description": text} for name, text in _COLUMNS.items()}
    rows = ["index\tname", *(f"{int(tissue)}\t{tissue.name.lower()}" for tissue in Tissue)]
    truth = {**description, "Name": "Ground truth of digital subjects", "DatasetType": "derivative"}
    return {
        folder / DESCRIPTION: _json(description),
        folder / "participants.json": _json(columns),
        folder / TRUTH / DESCRIPTION: _json(truth),
        folder / TRUTH / "dseg.tsv": "\n".join(rows) + "\n",
        **{place / ".bidsignore": "*_images.*\n" for place in (folder, folder / TRUTH)},
    }


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=4) + "\n"


def _table(subjects: Iterable[SubjectFiles]) -> str:
    """Make the table of the subjects from their sidecars."""
    known = [read_object(files.sidecar)["Simulation"] | {"participant_id": files.name} for files in subjects]
    rows = [list(_COLUMNS), *([str(values[column]) for column in _COLUMNS] for values in known)]
    return "".join("\t".join(row) + "\n" for row in rows)


def _write_subject(subject: Subject, files: SubjectFiles) -> None:
    """Write the images and the ground truth of a subject."""
    between, row, column = subject.voxel_mm
    # Pictures have the front up and the patient's right at their left; NIfTI counts to the right, the front, the head.
    affine = np.diag((-column, -row, between, 1.0))
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(subject.roi.shape[::-1]) - 1) / 2)
    acquired = {**describe_protocol(subject.protocol), "MagneticFieldStrength": subject.field_tesla}

    def volume(values: Tensor, description: str, **more: Any) -> Volume:
        grid = rearrange(values.detach().cpu().numpy(), "slice ... row column -> column row slice ...")
        return Volume(grid, {"Description": description, **more, **COMMON})

    volumes = {
        files.images: volume(subject.images, "Magnitude images", Units="arbitrary", **acquired),
        files.clean: volume(subject.clean, "Images without noise", Units="arbitrary", **acquired),
        files.roi: volume(subject.roi.byte(), "Liver parenchyma", Type="ROI"),
        files.labels: volume(subject.labels, "Tissues: see dseg.tsv"),
        files.map("m0"): volume(subject.truth["m0"], "True signal at time 0", Units="arbitrary"),
    }
    for contrast in subject.protocol.contrasts:
        unit, divisor = on_disk(contrast.model.parameter.unit)
        values = subject.truth[contrast.name] / divisor
        volumes[files.map(contrast.name)] = volume(values, f"True {title_of(contrast.name)}", Units=unit)
    volumes[files.images].sidecar["Simulation"] = {
        "number": subject.index,
        "disease": str(subject.disease),
        "field_tesla": subject.field_tesla,
        "sigma": subject.sigma,
        "voxel_mm": list(subject.voxel_mm),
    }
    write_volumes(volumes, affine, space_code=1)
