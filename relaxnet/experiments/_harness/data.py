"""Files that are no part of the package: the project's test data."""

import os
from pathlib import Path


def data_file(name: str) -> Path | None:
    """Find a file of the project's test data.

    Parameters
    ----------
    name
        Name of the file.

    Returns
    -------
    Path or None
        The file; ``None`` where the folder that ``RELAXNET_TEST_DATA`` names, or ``../shared/data``, has none.
    """
    path = Path(os.environ.get("RELAXNET_TEST_DATA", "../shared/data")) / name
    return path.resolve() if path.exists() else None
