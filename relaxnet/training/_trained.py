"""A trained network: it maps, it is saved, it is loaded again."""

import json
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

import relaxnet
from relaxnet._errors import require
from relaxnet._files import replacing
from relaxnet.nets import RelaxationNet
from relaxnet.protocol import Protocol
from relaxnet.training._uncertainty import Spread

FORMAT = 4


@dataclass(frozen=True)
class Trained:
    """A network that has learnt, with the record of how it went."""

    net: RelaxationNet
    """The network, with the weights of its best epoch."""
    history: list[dict[str, float]] = field(default_factory=list, repr=False)
    """For each epoch the validation residual, in all and by contrast, and the scales of the weighting."""
    calibration: Spread = field(default_factory=Spread, repr=False)
    """How standard deviations follow from the noise of the images."""

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
            Maps in ms (slice, height, width) by the name of the contrast, and, where there were subjects to calibrate
            them with, their standard deviations in ms as ``"<name>_std"``, for errors that are about normally
            distributed. A voxel of which an input is not finite is NaN; the network takes a zero in its place, so that
            its neighbours are not lost.

        Raises
        ------
        ValueError
            If the number of images is neither of the two, or the images are on another device.

        Notes
        -----
        A standard deviation is the scale of the signal's errors, which the network predicts or the noise of the images
        tells, carried to ms through the derivative of the decay, times one factor a contrast and input set, with which
        nine of ten voxels lay within 1.645 standard deviations; with more noise than the network knows, the factor
        grows as it did when noise was added. Of patients, these are voxels of held-out subjects; of a phantom, voxels
        of the liver of all subjects whose truth was not learnt from. They say little of other tissues.
        """
        maps = self.net.predict(images, protocol=protocol, seen=seen, scales=True)
        answer = {name: maps[name] for name in maps if not name.endswith("_scale")}
        if self.calibration.factors:
            stds = self.calibration.std_ms(self.net, images, maps, seen)
            answer |= {f"{name}_std": std for name, std in stds.items()}
        return answer

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
        write(path, *pack(self))

    def save_pretrained(self, folder: str | Path, **card: str) -> None:
        """Write the network to a folder as the Hugging Face Hub wants it, with a model card.

        Parameters
        ----------
        folder
            The folder; it is made if need be. A card that is there is not replaced.
        **card
            What the card shall say of ``training_data`` and ``scanner``.

        Raises
        ------
        MissingExtraError
            If huggingface_hub is not installed.
        """
        hub = _hub()
        hub.HubTrained(self).save_pretrained(folder, model_card_kwargs={**hub.describe(self), **card})

    def push_to_hub(self, repo_id: str, *, private: bool | None = None, token: str | None = None, **card: str) -> str:
        """Publish the network, with a model card, on the Hugging Face Hub.

        Parameters
        ----------
        repo_id
            Where: ``"name/repository"``.
        private
            Whether a new repository is private.
        token
            Token to log in with; by default that of ``hf auth login``.
        **card
            What the card shall say of ``training_data`` and ``scanner``.

        Returns
        -------
        str
            Address of the commit.

        Raises
        ------
        MissingExtraError
            If huggingface_hub is not installed.
        """
        hub = _hub()
        description = {**hub.describe(self), "repo_id": repo_id, **card}
        return str(
            hub.HubTrained(self).push_to_hub(repo_id, private=private, token=token, model_card_kwargs=description)
        )

    @staticmethod
    def from_pretrained(where: str | Path, *, revision: str | None = None, token: str | None = None) -> "Trained":
        """Load a network from the Hugging Face Hub, or from a folder of :meth:`save_pretrained`.

        Parameters
        ----------
        where
            ``"name/repository"``, or the folder.
        revision
            Branch, tag or commit.
        token
            Token to log in with, for private repositories.

        Returns
        -------
        Trained
            The trained network, on the processor.

        Raises
        ------
        ValueError
            If what is there is not a network of relaxnet.
        MissingExtraError
            If huggingface_hub is not installed.
        """
        found: Trained = _hub().HubTrained.from_pretrained(where, revision=revision, token=token).trained
        return found


def _hub() -> Any:
    require("huggingface_hub", extra="hub")
    return import_module("relaxnet.training._hub")


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
        If the file is damaged, is not one of relaxnet's, or was written by another version.
    MissingExtraError
        If safetensors is not installed.
    """
    description, weights = read(path)
    if "members" in description:
        raise ValueError(f"{path} holds an ensemble: load it by relaxnet.training.Ensemble.load.")
    return unpack(description, weights, path)


def pack(trained: Trained) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Take a trained network apart.

    Parameters
    ----------
    trained
        The network.

    Returns
    -------
    tuple
        A description of plain values, and the weights by name.
    """
    description = {
        "net": trained.net.config,
        "history": trained.history,
        "calibration": asdict(trained.calibration),
    }
    return description, {name: tensor.contiguous() for name, tensor in trained.net.state_dict().items()}


def unpack(description: dict[str, Any], weights: dict[str, Tensor], path: str | Path) -> Trained:
    """Put together what :func:`pack` took apart.

    Parameters
    ----------
    description, weights
        What :func:`pack` returned.
    path
        Where it came from, for the message.

    Returns
    -------
    Trained
        The network.

    Raises
    ------
    ValueError
        If the weights are not those of the network.
    """
    net = RelaxationNet.from_config(description["net"])
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path} does not hold the weights of the network that it describes: {error}") from error
    net.eval()
    return Trained(net, description["history"], Spread(**description["calibration"]))


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
    metadata = {"relaxnet": json.dumps({"format": FORMAT, "relaxnet": relaxnet.__version__, **description})}
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
    writer, reader = description["relaxnet"], relaxnet.__version__
    if description["format"] > FORMAT:
        raise ValueError(f"{path} was written by relaxnet {writer}, later than this {reader}.")
    if description["format"] < FORMAT:
        raise ValueError(
            f"{path} was written by relaxnet {writer}, and this {reader} does not read it: train it again."
        )
    return description, weights
