"""The relaxometry series of a BIDS data set."""

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relaxnet._contrasts import KNOWN_CONTRASTS
from relaxnet._messages import brief
from relaxnet.io._bids import is_nifti, stem
from relaxnet.io._inherit import read_sidecars

JOINT = "joint"
"""In the place of a contrast: a series of T1rho and T2 with a common first image."""

RAW_SUFFIXES = {s.raw: name for name, known in KNOWN_CONTRASTS.items() for s in known.series if s.raw}
"""Contrasts by the BIDS suffix of their images."""

_VARYING = re.compile(r"_(echo|inv|flip)-\d+(?=_)")
_NO_MAGNITUDE = re.compile(r"_part-(phase|real|imag)_")
_LABEL = re.compile(r"[0-9A-Za-z+]+")


@dataclass(frozen=True)
class FoundSeries:
    """The files of one series of a data set."""

    subject: str
    """Label of the subject, without ``sub-``."""
    session: str | None
    """Label of the session, without ``ses-``; None if the data set has none."""
    contrast: str
    """Name of its contrast, or ``"joint"``."""
    files: tuple[Path, ...]
    """One file, or one a time."""

    @property
    def name(self) -> str:
        """Its name, without what its files differ in."""
        return _VARYING.sub("", stem(self.files[0]))


def find_series(
    data_set: Path | str, *, subjects: Collection[str] | None = None, sessions: Collection[str] | None = None
) -> list[FoundSeries]:
    """Find the relaxometry series of a BIDS data set: what its suffixes or its JSON files name as such.

    The suffixes are MESE (T2), MEGRE (T2*), IRT1 and VFA (T1). BIDS has none for T1rho and for prepared T2: such a
    series is any image of ``anat`` whose JSON file has several ``SpinLockTime`` or ``T2PreparationTime``, or
    ``Contrasts``, the two of a joint fit. Phases and other parts that are no magnitudes are left out, and so are maps.

    Parameters
    ----------
    data_set
        Folder of the data set.
    subjects, sessions
        Labels to look at, with or without ``sub-`` and ``ses-``; by default all.

    Returns
    -------
    list of FoundSeries
        By subject, session and name.

    Raises
    ------
    FileNotFoundError
        If the folder is missing, or holds no subject, or not one that was asked for.
    ValueError
        If a JSON file is none.
    """
    root = Path(data_set)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: there is no such folder.")
    folders = _chosen(root, "sub", subjects)
    if not folders:
        raise FileNotFoundError(f"{root}: it holds no subjects (folders sub-...), so it is no BIDS data set.")
    found = []
    for folder in folders:
        for session in _chosen(folder, "ses", sessions) or ([folder] if sessions is None else []):
            found += _of_folder(session / "anat", folder.name[4:], None if session == folder else session.name[4:])
    return found


def _chosen(folder: Path, entity: str, labels: Collection[str] | None) -> list[Path]:
    """List the folders of an entity, such as ``sub-01``; of subjects, all that were asked for must be there."""
    there = sorted(path for path in folder.glob(f"{entity}-*") if path.is_dir() and _LABEL.fullmatch(path.name[4:]))
    if labels is None:
        return there
    wanted = {label.removeprefix(f"{entity}-") for label in labels}
    chosen = [path for path in there if path.name[4:] in wanted]
    missing = sorted(wanted - {path.name[4:] for path in chosen})
    if missing and entity == "sub":
        raise FileNotFoundError(f"{folder}: there is no {entity}-{brief(missing[0])} among its {len(there)} subjects.")
    return chosen


def _of_folder(folder: Path, subject: str, session: str | None) -> list[FoundSeries]:
    groups = defaultdict(list)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_nifti(path) and path.name.startswith(f"sub-{subject}_") and not _NO_MAGNITUDE.search(path.name):
            groups[_VARYING.sub("", stem(path))].append(path)
    series = []
    for files in groups.values():
        contrast = RAW_SUFFIXES.get(stem(files[0]).split("_")[-1]) or _described(files)
        if contrast:
            series.append(FoundSeries(subject, session, contrast, tuple(files)))
    return series


def _described(files: list[Path]) -> str | None:
    """Return what the JSON files say that a series is, if it is one."""
    try:
        content, _ = read_sidecars(files[0])
    except FileNotFoundError:
        return None
    if {"Sources", "EstimationAlgorithm"} & {*content} or content.get("Units") in ("s", "ms"):
        return None  # a map, or another image that was made from images
    contrasts = content.get("Contrasts")
    if isinstance(contrasts, list):
        if len(contrasts) == 1 and contrasts[0] in KNOWN_CONTRASTS:
            return str(contrasts[0])
        return JOINT if sorted(map(str, contrasts)) == ["t1rho", "t2"] else None
    for key, contrast in (("SpinLockTime", "t1rho"), ("T2PreparationTime", "t2")):
        if (len(files) > 1 and key in content) or _is_series(content.get(key)):
            return contrast
    return None


def _is_series(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1
