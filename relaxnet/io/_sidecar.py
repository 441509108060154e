"""Times from the JSON sidecar of a scan."""

import json
from pathlib import Path
from typing import Any

from relaxnet.io._bids import names_of, sidecar_path
from relaxnet.times import parse_times


def read_times(scan: Path | str, contrast: str) -> tuple[float, ...]:
    """Read the times of a scan from the JSON file beside it.

    Parameters
    ----------
    scan
        Path of the scan, ``scan.nii.gz``; the file read is ``scan.json``.
    contrast
        ``"t1rho"`` reads ``SpinLockTime``; ``"t2"`` reads ``EchoTime`` or ``T2PreparationTime``, whichever is an array;
        and so on. It holds one time in seconds for each volume.

    Returns
    -------
    tuple of float
        The times in ms, one for each volume.

    Raises
    ------
    FileNotFoundError
        If there is no sidecar.
    ValueError
        If it is not JSON, lacks the key, holds it twice over, or holds something else than times in seconds.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "scan.json").write_text('{"SpinLockTime": [0, 0.01, 0.03, 0.05]}')
    >>> rx.io.read_times(folder / "scan.nii.gz", "t1rho")
    (0.0, 10.0, 30.0, 50.0)
    """
    path = sidecar_path(Path(scan))
    keys = names_of(contrast).time_keys
    named = " or ".join(keys)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file to take {named} from: give the times.")
    found = {key: value for key, value in read_object(path).items() if key in keys}
    arrays = {key: value for key, value in found.items() if isinstance(value, list)}
    if not found:
        raise ValueError(f"{path}: the key {named} is missing: give the times.")
    if not arrays:
        raise ValueError(f"{path}: {found} is not an array with one time for each volume: give the times.")
    if len(arrays) > 1:
        raise ValueError(f"{path}: {named} are both arrays, so it is unclear which one decays: give the times.")
    key, values = arrays.popitem()
    if any(isinstance(value, (int, float)) and value > 1 for value in values) and contrast != "t1":
        raise ValueError(f"{path}: {key}={values} looks like milliseconds; in files times are seconds, as BIDS asks.")
    return parse_times(values, unit="s", name=f"{path}: {key}")


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds keys and values; ValueErrors name it."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file.")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))  # Windows may leave a byte order mark
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: this is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: this is JSON, but not an object with keys and values.")  # noqa: TRY004
    return content
