"""Which JSON files describe a scan: the one beside it, and, in BIDS data sets, less specific ones of its folders."""

from itertools import groupby
from pathlib import Path
from typing import Any

from relaxnet.io._bids import sidecar_path, stem
from relaxnet.io._formats import name_of
from relaxnet.io._sidecar import read_object


def sidecars_of(scan: Path) -> list[Path]:
    """List the JSON files that describe a scan, the least specific first.

    A file of a BIDS data set inherits from files of its own folder and those above, up to the data set, whose name has
    the same suffix and no entity that the name of the scan lacks: ``sub-01_echo-1_MESE.nii.gz`` inherits from
    ``MESE.json`` and ``sub-01_MESE.json``. Values of files that come later in the list count.
    """
    found = []
    *entities, suffix = stem(scan).split("_")
    if entities and all("-" in entity for entity in entities):
        for folder in _folders(scan.parent):
            levels = [(path.stem.split("_"), path) for path in sorted(folder.glob("*.json"))]
            fitting = [(len(n), path) for n, path in levels if n[-1] == suffix and {*n[:-1]} <= {*entities}]
            found += [path for _, path in sorted(fitting)]
    own = sidecar_path(scan)
    return [path for path in found if path != own] + ([own] if own.is_file() else [])


def read_sidecars(scan: Path) -> tuple[dict[str, Any], Path]:
    """Read what describes a scan: all keys, and the most specific file, to be named in messages.

    Raises
    ------
    FileNotFoundError
        If no file describes the scan.
    ValueError
        If a file is no JSON object, or two that are equally specific contradict each other.
    """
    found = sidecars_of(scan)
    if not found:
        raise FileNotFoundError(f"{sidecar_path(scan)}: there is no such file, nor one that it could inherit from.")
    content: dict[str, Any] = {}
    for _, paths in groupby(found, lambda path: (path.parent, path.stem.count("_"))):
        level: dict[str, Any] = {}
        for path in paths:
            new = read_object(path)
            if differing := [key for key in level.keys() & new.keys() if level[key] != new[key]]:
                raise ValueError(f"{path}: its {differing[0]} contradicts another sidecar of {scan.name} beside it.")
            level |= new
        content |= level
    return content, found[-1]


def describe_file(file: Path, own: dict[str, Any]) -> tuple[dict[str, Any], Path]:
    """Return what is known of a file of images, and the file to be named in messages.

    This is what its own headers say, and what the JSON files say that describe it, which counts where both speak.

    Raises
    ------
    FileNotFoundError
        If neither says anything.
    ValueError
        As for :func:`read_sidecars`.
    """
    try:
        content, path = read_sidecars(name_of(file))
    except FileNotFoundError:
        if not own:
            raise
        return own, file
    return own | content, path


def _folders(own: Path) -> list[Path]:
    """List the folders from that of the data set down to a file's own one, which is alone outside of a data set."""
    way, above = [own], own.absolute()
    while above != above.parent:
        if (above / "dataset_description.json").is_file():
            return way[::-1]
        way.append(above.parent)
        if above.name.startswith("sub-"):
            return way[::-1]
        above = above.parent
    return [own]
