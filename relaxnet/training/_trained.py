"""A trained network, which predicts maps, and is saved and loaded."""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from relaxnet._display import Displayed, Section
from relaxnet._images import ImagesT, as_given, to_tensor
from relaxnet.errors import require
from relaxnet.nets import RelaxationNet
from relaxnet.protocol import Protocol
from relaxnet.signals import SignalModel
from relaxnet.training import _storage
from relaxnet.training._average import EACH, average
from relaxnet.training._find import find_pretrained, network_file
from relaxnet.training._input_sets import channels_of
from relaxnet.training._spread import Spread, input_sets


@dataclass(frozen=True, repr=False)
class Trained(Displayed):
    """A trained network, with the history of its training."""

    net: RelaxationNet
    """The network, with the weights of its best epoch."""
    history: list[dict[str, float]] = field(default_factory=list)
    """For each epoch the validation residual, in all and by contrast, and the scales of the weighting."""
    calibration: Spread = field(default_factory=Spread)
    """How standard deviations follow from the noise of the images."""

    def __repr__(self) -> str:
        title, facts = self._sections()[0][:2]
        return f"<Trained: {title}, {facts[-2][1]}; print(trained.summary()) tells more>"

    def _sections(self) -> list[Section]:
        net, n = self.net, sum(weights.numel() for weights in self.net.parameters())
        taken = len(net.input_channels)
        inputs = f"any of {taken} images" if net.any_subset else f"{taken} of {net.protocol.n_images} images"
        bounds = {c.name: (*net.bounds_ms[c.name], c.model.parameter.unit) for c in net.protocol.contrasts}
        best = min((epoch["val_residual"] for epoch in self.history if "val_residual" in epoch), default=None)
        calibrated = self.calibration.factors
        facts = [
            ("inputs", inputs if net.any_subset else f"images {', '.join(map(str, net.input_channels))}"),
            *((f"range of {name}", f"{low:g} to {high:g} {unit}") for name, (low, high, unit) in bounds.items()),
            ("standard deviations", f"calibrated for {', '.join(calibrated)}" if calibrated else "none"),
            ("validation residual", "none" if best is None else f"{best:.4g}"),
            ("training", f"{len(self.history)} epochs"),
            ("network", f"{type(net.backbone).__name__} of {n} weights"),
        ]
        return [Section(f"{', '.join(net.protocol.names)} from {inputs}", facts)]

    def predict(self, images: ImagesT, *, protocol: Protocol | None = None, inputs: Any = None) -> dict[str, ImagesT]:
        """Map the relaxation times of a volume, slice by slice.

        Parameters
        ----------
        images
            All images of the protocol, of which the network picks its own, or the input images alone: (slice, image,
            height, width), a tensor on the network's device, a NumPy array, or an xarray data array; or an image of
            nibabel, (x, y, z, image).
        protocol
            What the images were acquired with, to make sure that it is what the network was trained for.
        inputs
            The input images, for a network of any input set: the name of one, or channel numbers. ``"each"`` predicts
            from each input set of the protocol and averages the rates, which has smaller errors than one of them: this
            takes all images. A voxel that lacks an image is averaged over the input sets that do without.

        Returns
        -------
        dict
            Maps in ms (slice, height, width) by the name of the contrast, and, where there were subjects to calibrate
            them with, their standard deviations in ms as ``"<name>_std"``, for errors that are about normally
            distributed. They are arrays if the images are one, also on the grid of an image of nibabel, and data arrays
            if they are one. A voxel of which an input is not finite is NaN; the
            network takes a zero in its place, so that its neighbours are not lost.

        Raises
        ------
        ValueError
            If the number of images is neither of the two, the images are on another device, or ``inputs`` is not for
            this network.

        Notes
        -----
        A standard deviation is the scale of the signal's errors, which the network predicts or the noise of the images
        gives, propagated to ms through the derivative of the signal model, times one factor a contrast and input set,
        with which nine of ten voxels lay within 1.645 standard deviations; with more noise than that of the training,
        the factor grows as it did when noise was added. Of patients, these are voxels of validation subjects; of a
        phantom, voxels of the liver of all subjects whose truth was no label. They say little of other tissues.
        """
        tensor = self._all_images(to_tensor(images), inputs)
        if isinstance(inputs, str) and inputs == EACH:
            if not self.net.any_subset:
                raise ValueError(
                    f"inputs={EACH!r}: this network has one input set, {self.net.input_channels}; leave it out, or "
                    f"train one with inputs='any'."
                )
            parts = [self.predict(tensor, protocol=protocol, inputs=own) for own in input_sets(self.net)]
            return as_given(average(parts, self.net.protocol), images)
        maps = self.net.predict(tensor, protocol=protocol, inputs=inputs, scales=True)
        found = {name: maps[name] for name in maps if not name.endswith("_scale")}
        if self.calibration.factors:
            stds = self.calibration.std_ms(self.net, tensor, maps, inputs)
            found |= {f"{name}_std": std for name, std in stds.items()}
        return as_given(found, images)

    def _all_images(self, images: Tensor, inputs: Any) -> Tensor:
        """Put the input images of a network of any input set, given alone, where they belong among all images."""
        n, channels = self.net.protocol.n_images, channels_of(self.net, inputs)
        if not self.net.any_subset or images.ndim < 2 or images.shape[1] != len(channels) < n:
            return images
        floating = images if images.is_floating_point() else images.float()
        stack = floating.new_full((len(images), n, *images.shape[2:]), torch.nan)
        stack[:, channels] = floating
        return stack

    def save(self, path: str | Path, *, half: bool = False) -> None:
        """Write the network to a safetensors file, with all that is needed to load it again.

        Parameters
        ----------
        path
            The file. It is replaced in one step if it exists.
        half
            Whether to store the weights in half precision, in a file of half the size, as for publishing a network.
            They are loaded as the network had them; its maps change in the fourth digit.

        Raises
        ------
        ValueError
            If a weight is too large for half precision.
        """
        description, weights = self.packed()
        if half:
            finite = all(bool(torch.isfinite(values).all()) for values in weights.values())
            weights = {name: v.half() if v.is_floating_point() else v for name, v in weights.items()}
            if finite and not all(bool(torch.isfinite(values).all()) for values in weights.values()):
                raise ValueError("half=True: a weight is larger than half precision can hold; save it without.")
        _storage.write(path, description, weights)

    def packed(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Take the network apart.

        Returns
        -------
        tuple
            A description of plain values, and the weights by name.
        """
        description = {"net": self.net.config, "history": self.history, "calibration": asdict(self.calibration)}
        return description, {name: tensor.contiguous() for name, tensor in self.net.state_dict().items()}

    @staticmethod
    def unpacked(
        description: dict[str, Any],
        weights: dict[str, Tensor],
        path: str | Path,
        models: Mapping[str, SignalModel] | None = None,
    ) -> "Trained":
        """Put together what :meth:`packed` took apart.

        Parameters
        ----------
        description, weights
            What :meth:`packed` returned.
        path
            Where it came from, for the message.
        models
            Signal models of your own by the name of their contrast.

        Returns
        -------
        Trained
            The network.

        Raises
        ------
        ValueError
            If the description makes no sense, the weights are not those of the network, or a signal model of your own
            is missing.

        Warns
        -----
        UserWarning
            If weights are not finite.
        """
        with _storage.explained(path):
            if description["net"].get("depth", 0) > len(weights):  # each level has weights
                raise ValueError(f"it does not hold the weights of {description['net']['depth']} levels.")
            with torch.device("meta"):  # nothing takes memory before its size has been compared with the file
                net = RelaxationNet.from_config(description["net"], models=models)
            if net.config != description["net"]:
                raise ValueError(f"it says {description['net']}, which makes {net.config}.")
            _storage.load_into(net, weights)
            history = [{str(name): float(value) for name, value in epoch.items()} for epoch in description["history"]]
            calibration = Spread(**description["calibration"])
            calibration.require_names(net.protocol.names)
        lost = sum(not bool(torch.isfinite(values).all()) for values in weights.values())
        if lost:
            warnings.warn(f"{path}: {lost} of {len(weights)} weights are not finite: its maps are NaN.", stacklevel=3)
        return Trained(net.eval(), history, calibration)

    def save_pretrained(
        self, folder: str | Path, *, training_data: str | None = None, scanner: str | None = None
    ) -> None:
        """Write the network to a folder as the Hugging Face Hub wants it, with a model card.

        Parameters
        ----------
        folder
            The folder; it is made if need be. A card that is there is not replaced.
        training_data, scanner
            What the card shall say of the training data, and of field strength and spin-lock frequency.

        Raises
        ------
        MissingExtraError
            If huggingface_hub is not installed.
        """
        hub = _hub()
        card = hub.describe(self.net, training_data=training_data, scanner=scanner)
        hub.ToHub(self.save, self.net.config).save_pretrained(folder, model_card_kwargs=card)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        training_data: str | None = None,
        scanner: str | None = None,
    ) -> str:
        """Publish the network, with a model card, on the Hugging Face Hub.

        Parameters
        ----------
        repo_id
            Where: ``"name/repository"``.
        private
            Whether a new repository is private.
        token
            Token to log in with; by default that of ``hf auth login``.
        training_data, scanner
            What the card shall say, as for :meth:`save_pretrained`.

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
        card = {**hub.describe(self.net, training_data=training_data, scanner=scanner), "repo_id": repo_id}
        files = hub.ToHub(self.save, self.net.config)
        return str(files.push_to_hub(repo_id, private=private, token=token, model_card_kwargs=card))

    @staticmethod
    def from_pretrained(
        where: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        models: Mapping[str, SignalModel] | None = None,
    ) -> "Trained":
        """Load a network from the Hugging Face Hub, or from a folder of :meth:`save_pretrained`.

        Parameters
        ----------
        where
            ``"name/repository"``, or the folder.
        revision
            Branch, tag or commit.
        token
            Token to log in with, for private repositories.
        models
            Signal models of your own by the name of their contrast.

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
        return load(find_pretrained(where, revision=revision, token=token), models=models)


def _hub() -> Any:
    require("huggingface_hub", extra="hub")
    return import_module("relaxnet.training._hub")


def load(path: str | Path, *, models: Mapping[str, SignalModel] | None = None) -> Trained:
    """Load a trained network.

    Nothing in its file is executed: it holds numbers and JSON.

    Parameters
    ----------
    path
        A file that :meth:`Trained.save` wrote; the folder of a training, or of :meth:`Trained.save_pretrained`; the
        name of an installed network, such as ``"liver-any"`` of the package ``relaxnet-weights``; or
        ``"name/repository"`` of the Hugging Face Hub.
    models
        Signal models of your own by the name of their contrast, such as ``{"t1": MyModel()}``. Those of relaxnet are
        made anew from what the file says.

    Returns
    -------
    Trained
        The trained network, on the processor.

    Raises
    ------
    FileNotFoundError
        If there is no such file, folder or name; the message says which names there are.
    ValueError
        If the file is damaged, is not one of relaxnet's, or was written by another version; or if a contrast has a
        signal model of its own that is not given.
    MissingExtraError
        If huggingface_hub is needed, and not installed.
    """
    file = network_file(path)
    description, weights = _storage.read(file)
    if "members" in description:
        raise ValueError(f"{file} holds an ensemble: load it by relaxnet.training.Ensemble.load.")
    return Trained.unpacked(description, weights, file, models)
