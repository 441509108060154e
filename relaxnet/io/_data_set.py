"""Places in a BIDS data set, and the files that make a folder one."""

import json
import re
from pathlib import Path

from relaxnet._files import prepare_folder, write_text
from relaxnet._version import __version__

BIDS_VERSION = "1.10.0"
GENERATED_BY = [{"Name": "relaxnet", "Version": __version__}]

DESCRIPTION = "dataset_description.json"
"""File that describes a data set; that of a cohort lists its subjects, and is there before any of them."""

_NAME = re.compile(r"sub-[0-9A-Za-z+]+(_[a-z]+-[0-9A-Za-z+]+)*_[0-9A-Za-z]+")
_KEPT = ("sub", "ses", "task", "acq", "ce", "rec", "run", "chunk", "space")  # of images that became one map
_DATATYPES = ("anat", "dwi")
_IGNORED = ("figures", "logs", "*_rois.*", "*.html", "*.dcm", "*_run.json")  # what BIDS has no names for


def placed(name: str, folder: Path, *, beside: bool, datatype: str) -> Path:
    """Return where maps of a scan go, and what their names begin with.

    Of a BIDS name, the suffix goes, and with it what tells images of one series apart. Folders of subject, session and
    datatype are made, as far as ``folder`` does not end in them, but not ``beside`` the scan.

    Examples
    --------
    >>> placed("sub-01_ses-a_echo-1_MESE", Path("out/sub-01"), beside=False, datatype="anat").as_posix()
    'out/sub-01/ses-a/anat/sub-01_ses-a'
    >>> placed("scan", Path("out"), beside=False, datatype="anat").as_posix()
    'out/scan'
    """
    if not _NAME.fullmatch(name):
        return folder / name
    start = "_".join(entity for entity in name.split("_")[:-1] if entity.partition("-")[0] in _KEPT)
    if beside:
        return folder / start
    way, parts = (*_of_subject(start), datatype), folder.absolute().parts
    there = next(k for k in range(len(way), -1, -1) if parts[len(parts) - k :] == way[:k])
    return folder.joinpath(*way[there:], start)


def root_of(path: Path) -> Path | None:
    """Return the data set in which a file has its place; None if it has none.

    Examples
    --------
    >>> root_of(Path("out/sub-01/anat/sub-01_T2map.nii.gz")).name, root_of(Path("out/sub-01_T2map.nii.gz"))
    ('out', None)
    """
    way, parts = _of_subject(path.name), path.absolute().parent.parts
    if not way or parts[-1] not in _DATATYPES or parts[-1 - len(way) : -1] != way:
        return None
    return path.absolute().parents[len(way) + 1]


def name_in_data_set(path: Path) -> str:
    """Return the name of a file from its data set on, or without any folder: these may be named after a patient."""
    root = root_of(path)
    return path.absolute().relative_to(root).as_posix() if root else path.name


def describe_derivative(root: Path) -> None:
    """Make a folder a BIDS derivative: its description if it has none, and what is to be ignored in it."""
    prepare_folder(root)
    if not (root / DESCRIPTION).exists():
        content = {
            "Name": "Relaxation-time maps",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": GENERATED_BY,
        }
        write_text(root / DESCRIPTION, json.dumps(content, indent=4) + "\n")
    ignored = root / ".bidsignore"
    lines = ignored.read_text(encoding="utf-8").splitlines() if ignored.is_file() else []
    if missing := [line for line in _IGNORED if line not in lines]:
        write_text(ignored, "\n".join([*lines, *missing]) + "\n")


def _of_subject(name: str) -> tuple[str, ...]:
    """Return the folders of a subject and its session from a name."""
    entities = name.split("_")
    if not re.fullmatch(r"sub-[0-9A-Za-z+]+", entities[0]):
        return ()
    return tuple(entity for entity in entities if entity.startswith(("sub-", "ses-")))
