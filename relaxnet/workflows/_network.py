"""Where a trained network is: a file, the folder of its training, or a repository of the Hugging Face Hub."""

import re
from pathlib import Path

from relaxnet.training._trained import find_pretrained

NETWORK = "network.safetensors"
"""Name of a trained network in the folder of its run."""


def network_file(run: str | Path) -> Path:
    """Find the file of a trained network, and download it if need be.

    Parameters
    ----------
    run
        A file; the folder of a training, or one that :meth:`relaxnet.training.Trained.save_pretrained` wrote; or
        ``"name/repository"`` of the Hugging Face Hub, if there is no such path.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    OSError
        If the hub cannot be reached, or has no such network.
    """
    path = Path(run)
    if path.is_file():
        return path
    if path.is_dir():
        return path / NETWORK if (path / NETWORK).exists() or not any(path.glob("*.safetensors")) else _pretrained(path)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(run)) and not path.parent.exists():
        return _pretrained(path)
    raise FileNotFoundError(f"{run}: there is no such file or folder, and it is no name/repository of a network.")


def _pretrained(where: Path) -> Path:
    try:
        return find_pretrained(where.as_posix())
    except OSError as error:  # of the network, or of the hub
        told = " ".join(str(error).split())
        raise OSError(f"{where}: no network is there, or the Hugging Face Hub cannot be reached: {told}") from error
