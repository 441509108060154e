"""Networks in safetensors files: weights, and a description of plain values."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from relaxnet._files import replacing
from relaxnet._version import __version__

FORMAT = 5
_LONGEST = 400  # characters of a message


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
    """
    metadata = {"relaxnet": json.dumps({"format": FORMAT, "relaxnet": __version__, **description})}
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(safetensors.torch.save(weights, metadata=metadata))


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
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is not a file.")
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is damaged, or not a safetensors file: {shorten(str(error), _LONGEST)}") from error
    if "relaxnet" not in metadata:
        raise ValueError(f"{path} is a safetensors file, but not one that relaxnet wrote.")
    with explained(path):
        description: dict[str, Any] = json.loads(metadata["relaxnet"])
        writer, reader, newer = description["relaxnet"], __version__, description["format"] - FORMAT
    if newer > 0:
        raise ValueError(f"{path} was written by relaxnet {writer}, later than this {reader}.")
    if newer < 0:
        raise ValueError(
            f"{path} was written by relaxnet {writer}, and this {reader} does not read it: train it again."
        )
    return description, weights


@contextmanager
def explained(path: str | Path) -> Iterator[None]:
    """Name the file where what it says of itself makes no sense; the files of others make any error.

    Parameters
    ----------
    path
        The file.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    ValueError
        If the block raises, with the error in one line.
    """
    try:
        yield
    except Exception as error:
        said = shorten(f"{type(error).__name__}: {error}", _LONGEST)
        raise ValueError(f"{path} does not describe a network of relaxnet: {said}") from error


def load_into(net: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give a network without memory, made on the device ``"meta"``, its weights.

    Parameters
    ----------
    net
        The network.
    weights
        Its weights by name.

    Raises
    ------
    ValueError
        If there are weights too many or too few, or of another shape.
    """
    needed = {name: tuple(values.shape) for name, values in net.state_dict().items()}
    held = {name: tuple(values.shape) for name, values in weights.items()}
    different = [name for name in {**needed, **held} if needed.get(name) != held.get(name)]
    if different:
        name = different[0]
        raise ValueError(
            f"it does not hold the weights of the network that it describes: {len(different)} differ, as {name}, which "
            f"is {held.get(name, 'missing')} in the file and {needed.get(name, 'missing')} in the network."
        )
    own = net.state_dict()
    kept = {name: torch.empty_like(own[name], device=values.device).copy_(values) for name, values in weights.items()}
    net.load_state_dict(kept, assign=True)  # which has the types and memory formats of the network
