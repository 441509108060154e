"""Showing the maps of a folder in the browser."""

from pathlib import Path

from relaxnet.errors import require
from relaxnet.workflows._viewer.maps import open_folder
from relaxnet.workflows._viewer.server import Server


def serve_maps(folder: str | Path, *, scan: str | Path | None = None, port: int = 0) -> Server:
    """Make a server of the maps of a folder for the browser of this machine.

    Parameters
    ----------
    folder
        Folder that a fit or a prediction wrote to.
    scan
        The scan, for the samples of a clicked voxel; by default a file of the name that the maps tell, in or beside the
        folder.
    port
        Port of the server; 0 for any that is free.

    Returns
    -------
    Server
        A :class:`http.server.HTTPServer` of the standard library, bound to 127.0.0.1, whose ``address`` is that of the
        page. It answers while its ``serve_forever`` runs.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no such scan.
    ValueError
        If the folder holds no maps.
    OSError
        If the port is taken.
    MissingExtraError
        If matplotlib or the package ``relaxnet-viewer`` is not installed.
    """
    require("matplotlib", extra="plot")
    return Server(open_folder(Path(folder), Path(scan) if scan else None), port)
