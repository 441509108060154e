"""Networks in safetensors files: weights, and a description of plain values."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from relaxnet._files import replacing
from relaxnet._version import __version__
from relaxnet.errors import require

FORMAT = 5


def write(path: str | Path, description: dict[str, Any], weights: dict[str, Tensor]) -> None:
    """Write weights and their description to a safetensors file, in one step.

    Parameters
    ----------
    path
        The file.
    description
        Plain values.
    weights
        Tensors by name.

    Raises
    ------
    MissingExtraError
        If safetensors is not installed.
    """
    safetensors = require("safetensors.torch", extra="train")
    metadata = {"relaxnet": json.dumps({"format": FORMAT, "relaxnet": __version__, **description})}
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(safetensors.save(weights, metadata=metadata))


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what :func:`write` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    tuple
        Description and weights.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, is not one of relaxnet's, or was written by another version.
    MissingExtraError
        If safetensors is not installed.
    """
    safetensors = require("safetensors", extra="train")
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is not a file.")
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is damaged, or not a safetensors file: {error}") from error
    if "relaxnet" not in metadata:
        raise ValueError(f"{path} is a safetensors file, but not one that relaxnet wrote.")
    description: dict[str, Any] = json.loads(metadata["relaxnet"])
    writer, reader = description["relaxnet"], __version__
    if description["format"] > FORMAT:
        raise ValueError(f"{path} was written by relaxnet {writer}, later than this {reader}.")
    if description["format"] < FORMAT:
        raise ValueError(
            f"{path} was written by relaxnet {writer}, and this {reader} does not read it: train it again."
        )
    return description, weights
