"""Places in a BIDS data set, and the files that make a folder one."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

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


def name_in_data_set(path: Path, derivative: Path | None, links: Mapping[str, str]) -> str:
    """Return how a derivative names a file that it was made from: without folders that may be named after a patient.

    In a BIDS data set that is linked, this is a URI, ``bids:raw:sub-01/anat/sub-01_T2w.nii.gz``, or ``bids::...`` in
    the data set of the derivative itself; else its path in the data set, or its name alone.
    """
    root = root_of(path)
    if root is None:
        return path.name
    name = path.absolute().relative_to(root).as_posix()
    if derivative is None or not (root / DESCRIPTION).is_file():
        return name
    if root == derivative:
        return f"bids::{name}"
    target = _link(derivative, root)
    return next((f"bids:{link}:{name}" for link, to in links.items() if to == target), name)


def dataset_links(derivative: Path, files: Iterable[Path]) -> dict[str, str]:
    """Return the links of a derivative to other data sets by their names, with those to the data sets of files.

    The description of another program keeps the links that it has.
    """
    held = _description(derivative)
    links = dict(held.get("DatasetLinks") or {}) if held else {}
    if held is None or _is_ours(held):
        for root in dict.fromkeys(filter(None, map(root_of, files))):
            linked = root != derivative and (root / DESCRIPTION).is_file()
            if linked and (target := _link(derivative, root)) not in links.values():
                names = (f"raw{k}" if k > 1 else "raw" for k in count(1))
                links[next(name for name in names if name not in links)] = target
    return links


def _link(derivative: Path, data_set: Path) -> str:
    """Return the URI of a data set from a derivative on: both can be moved together."""
    try:
        return quote(Path(os.path.relpath(data_set, derivative)).as_posix())
    except ValueError:  # on Windows, there is no way from one drive to another
        return data_set.as_uri()


def describe_derivative(root: Path, links: Mapping[str, str] | None = None) -> None:
    """Make a folder a BIDS derivative: its description if it has none, and what is to be ignored in it."""
    prepare_folder(root)
    content = _description(root)
    if content is None:
        content = {
            "Name": "Relaxation-time maps",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": GENERATED_BY,
        }
    elif not _is_ours(content) or not links or content.get("DatasetLinks") == links:
        content = {}  # it stays as it is
    if content:
        content |= {"DatasetLinks": dict(links)} if links else {}
        write_text(root / DESCRIPTION, json.dumps(content, indent=4) + "\n")
    ignored = root / ".bidsignore"
    lines = ignored.read_text(encoding="utf-8").splitlines() if ignored.is_file() else []
    if missing := [line for line in _IGNORED if line not in lines]:
        write_text(ignored, "\n".join([*lines, *missing]) + "\n")


def _description(root: Path) -> dict[str, Any] | None:
    """Read the description of a data set: None if it has none, nothing if it is broken."""
    path = root / DESCRIPTION
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}  # it is not ours to repair
    return content if isinstance(content, dict) else {}


def _is_ours(description: Mapping[str, Any]) -> bool:
    made = description.get("GeneratedBy")
    return isinstance(made, list) and any(isinstance(by, dict) and by.get("Name") == "relaxnet" for by in made)


def _of_subject(name: str) -> tuple[str, ...]:
    """Return the folders of a subject and its session from a name."""
    entities = name.split("_")
    if not re.fullmatch(r"sub-[0-9A-Za-z+]+", entities[0]):
        return ()
    return tuple(entity for entity in entities if entity.startswith(("sub-", "ses-")))
