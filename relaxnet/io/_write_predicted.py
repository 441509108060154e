"""The maps of a network as NIfTI files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from relaxnet.io._bids import map_paths, on_disk, title_of
from relaxnet.io._pictures import from_slices
from relaxnet.io._read import Scan
from relaxnet.io._volumes import More, Volume, origin, write_maps_of_scan
from relaxnet.protocol import Protocol

_STD = "_std"


def predicted_paths(names: tuple[str, ...], scan: Path, folder: Path) -> dict[str, Path]:
    """Return the paths of the files that :func:`write_predicted` writes; each has a JSON sidecar.

    Parameters
    ----------
    names
        Names of the maps: ``"t1rho"``, ``"t2"``, ``"t1rho_std"``, ``"t2_std"``, ``"m0"``.
    scan
        Path of the scan.
    folder
        Output folder.

    Returns
    -------
    dict
        Paths by name.

    Examples
    --------
    >>> paths = rx.io.predicted_paths(("t2", "t2_std"), Path("scan.nii"), Path("out"))
    >>> [path.name for path in paths.values()]
    ['scan_T2map.nii.gz', 'scan_desc-std_T2map.nii.gz']
    """
    paths = {}
    for name in names:
        contrast = names[0] if name == "m0" else name.removesuffix(_STD)  # all contrasts share the amplitude
        key = "std" if name.endswith(_STD) else name
        paths[name] = map_paths(scan, folder, contrast)[key]
    return paths


def write_predicted(
    maps_ms: Mapping[str, Float[Tensor, "slice row column"]],
    scan: Scan,
    folder: Path | str,
    *,
    protocol: Protocol,
    algorithm: str,
    command: str | None = None,
    more: More | None = None,
    fill: float | None = None,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Write the maps that a network predicted from a scan, on the grid of the scan, with relaxation times in seconds.

    Parameters
    ----------
    maps_ms
        Result of ``trained.predict(rx.io.as_slices(scan))``.
    scan
        The scan. It gives the maps their names, their affine and their space.
    folder
        Output folder; it is made if it does not exist.
    protocol
        Protocol of the network, for the units.
    algorithm
        Description of the network, for the sidecars.
    command
        Command line of the prediction, for the sidecars.
    more
        More files to be written with the maps, all or none: by path, what writes one to the path that it is given.
    fill
        Value of the maps in place of NaN; by default they hold NaN.
    overwrite
        Whether existing files may be replaced. A file is never left half written.

    Returns
    -------
    dict
        Paths of the maps, with the keys of :func:`predicted_paths`.

    Raises
    ------
    FileExistsError
        If a file exists and ``overwrite`` is false.
    OSError
        If the folder is not writable. Existing files are not changed then.
    """
    units = {contrast.name: contrast.model.parameter.unit for contrast in protocol.contrasts}
    volumes = {}
    for name, values in maps_ms.items():
        contrast = name.removesuffix(_STD)
        unit, divisor = on_disk(units.get(contrast, "arbitrary"))
        about = "Signal at time 0" if name == "m0" else title_of(contrast)
        about = f"Standard deviation of the {about}" if name.endswith(_STD) else about
        grid = from_slices(values, scan).astype(np.float32) / np.float32(divisor)
        volumes[name] = Volume(grid, {"Description": about, "Units": unit})
    paths = predicted_paths(tuple(maps_ms), scan.path, Path(folder))
    source = origin(algorithm, command)
    return write_maps_of_scan(volumes, paths, scan, source, more=more, fill=fill, overwrite=overwrite)
