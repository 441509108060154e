"""Where a trained network is: a file, a folder, an installed package, or a repository of the Hugging Face Hub."""

import re
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

from relaxnet.errors import how_to_add, require

NETWORK = "network.safetensors"
"""Name of a trained network in the folder of its run."""
_PRETRAINED = "model.safetensors"  # as the hub calls it
_GROUP = "relaxnet.weights"


def network_file(where: str | Path) -> Path:
    """Find the file of a trained network, and download it if need be.

    Parameters
    ----------
    where
        A file; the folder of a training, or one that :meth:`relaxnet.training.Trained.save_pretrained` wrote; if there
        is no such path, the name of an installed network, or ``"name/repository"`` of the Hugging Face Hub.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileNotFoundError
        If there is none; the message names the installed networks.
    OSError
        If the hub cannot be reached, or has no such network.
    """
    path = Path(where)
    if path.is_file():
        return path
    if path.is_dir():
        held = [path / name for name in (NETWORK, _PRETRAINED) if (path / name).is_file()]
        if not held:
            raise FileNotFoundError(f"{where}: the folder holds neither {NETWORK} nor {_PRETRAINED}.")
        return held[0]
    packages = {entry.name: entry.module for entry in entry_points(group=_GROUP)}
    if str(where) in packages:
        return Path(str(files(packages[str(where)]) / f"{where}.safetensors"))
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(where)) and not path.parent.exists():
        return _of_hub(path.as_posix())
    known = ", ".join(sorted(packages)) or f"none; for liver-any, {how_to_add('relaxnet-weights')}"
    raise FileNotFoundError(
        f"{where}: there is no such file or folder, and it is no name/repository of a network, nor an installed one "
        f"({known})."
    )


def find_pretrained(where: str | Path, *, revision: str | None = None, token: str | None = None) -> Path:
    """Return the file of a network on the hub, or in a folder; see :meth:`Trained.from_pretrained`."""
    require("huggingface_hub", extra="hub")
    hub = import_module("relaxnet.training._hub").ToHub
    return Path(hub.from_pretrained(where, revision=revision, token=token).path)


def _of_hub(where: str) -> Path:
    try:
        return find_pretrained(where)
    except OSError as error:  # of the network, or of the hub
        told = " ".join(str(error).split())
        raise OSError(f"{where}: no network is there, or the Hugging Face Hub cannot be reached: {told}") from error
