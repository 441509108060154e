"""A trained network: it maps, it is saved, it is loaded again."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

import relaxnet
from relaxnet._errors import require
from relaxnet._files import replacing
from relaxnet.nets import RelaxationNet
from relaxnet.protocol import Protocol

FORMAT = 2


@dataclass(frozen=True)
class Trained:
    """A network that has learnt, with the record of how it went."""

    net: RelaxationNet
    """The network, with the weights of its best epoch."""
    history: list[dict[str, float]] = field(default_factory=list, repr=False)
    """For each epoch the validation residual, in all and by contrast, and the scales of the weighting."""

    def predict(
        self, images: Float[Tensor, "slice image *space"], *, protocol: Protocol | None = None, seen: Any = None
    ) -> dict[str, Tensor]:
        """Map the relaxation times of a volume, slice by slice.

        Parameters
        ----------
        images
            All images of the protocol, of which the network picks its own, or its own alone. On the network's device.
        protocol
            What the images were acquired with, to make sure that it is what the network has learnt.
        seen
            Which images it may see, for a network of any input set: the name of one, or channel numbers.

        Returns
        -------
        dict
            Maps in ms (slice, height, width) by the name of the contrast. A voxel of which an input is not finite is
            NaN; the network takes a zero in its place, so that its neighbours are not lost.

        Raises
        ------
        ValueError
            If the number of images is neither of the two, or the images are on another device.
        """
        return self.net.predict(images, protocol=protocol, seen=seen)

    def save(self, path: str | Path) -> None:
        """Write the network to a safetensors file, with all that is needed to load it again.

        Parameters
        ----------
        path
            The file. It is replaced in one step if it exists.

        Raises
        ------
        MissingExtraError
            If safetensors is not installed.
        """
        safetensors = require("safetensors.torch", extra="train")
        description = {
            "format": FORMAT,
            "relaxnet": relaxnet.__version__,
            "net": self.net.config,
            "history": self.history,
        }
        weights = {name: tensor.contiguous() for name, tensor in self.net.state_dict().items()}
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(safetensors.save(weights, metadata={"relaxnet": json.dumps(description)}))


def load(path: str | Path) -> Trained:
    """Load a network that :meth:`Trained.save` wrote.

    Nothing in the file is executed: it holds numbers and JSON.

    Parameters
    ----------
    path
        A safetensors file.

    Returns
    -------
    Trained
        The trained network, on the processor.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, is not one of relaxnet's, or was written by a later version.
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
    if description["format"] > FORMAT:
        raise ValueError(
            f"{path} was written by relaxnet {description['relaxnet']}, later than this {relaxnet.__version__}."
        )
    net = RelaxationNet.from_config(description["net"])
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path} does not hold the weights of the network that it describes: {error}") from error
    net.eval()
    return Trained(net, description["history"])
