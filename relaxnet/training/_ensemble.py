"""Deep ensembles: networks that differ in their seed, whose spread estimates uncertainty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from relaxnet._display import Displayed, Section
from relaxnet._images import ImagesT, as_given, to_tensor
from relaxnet.protocol import Protocol
from relaxnet.signals import SignalModel
from relaxnet.training import _storage
from relaxnet.training._calibrate import factors
from relaxnet.training._data import gather
from relaxnet.training._trained import Trained


@dataclass(frozen=True, repr=False)
class Ensemble(Displayed):
    r"""Networks that were trained alike with different seeds, a deep ensemble.

    Its map is the mean of theirs, :math:`\bar T`. Its variance is the mean of theirs, and what they differ by:

    .. math:: \sigma^2 = c^2 \left(\frac{1}{n} \sum_k \sigma_k^2 + \frac{1}{n-1} \sum_k (T_k - \bar T)^2\right),

    where the factor *c* is 1 until :meth:`calibrated` finds it.

    Parameters
    ----------
    members
        Two trained networks or more, for the same protocol and input.
    calibration
        For each contrast the factor *c*.

    Raises
    ------
    ValueError
        If there are fewer than two, or they were made for different images.

    References
    ----------
    Lakshminarayanan et al., *Simple and scalable predictive uncertainty estimation using deep ensembles*, NeurIPS
    (2017).

    Examples
    --------
    >>> cohort = rx.phantom.liver_cohort(n_subjects=3, slices=1, shape=(32, 32), snr=20, seed=0)
    >>> members = [rx.training.train(cohort, preset="smoke", seed=k, progress=False) for k in range(2)]
    >>> ensemble = rx.training.Ensemble(members).calibrated(cohort)
    >>> sorted(ensemble.predict(cohort[0].images))
    ['t1rho', 't1rho_std', 't2', 't2_std']
    """

    members: Sequence[Trained]
    calibration: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", tuple(self.members))
        if len(self.members) < 2:
            raise ValueError(f"members has {len(self.members)} network(s): two or more are needed.")
        first, *others = (member.net for member in self.members)
        for k, net in enumerate(others, 1):
            if (net.protocol, net.input_channels) != (first.protocol, first.input_channels):
                raise ValueError(
                    f"members[{k}] has the inputs {net.input_channels} of {net.protocol}, members[0] "
                    f"{first.input_channels} of {first.protocol}: they must be the same."
                )

    def __repr__(self) -> str:
        return f"<Ensemble of {len(self.members)}, each {self.members[0]!r}>"

    def _sections(self) -> list[Section]:
        factors = [(name, f"{factor:.3g}") for name, factor in self.calibration.items()]
        return [Section(repr(self).strip("<>"), factors, ("factor of its standard deviations",))]

    def predict(self, images: ImagesT, *, protocol: Protocol | None = None, inputs: Any = None) -> dict[str, ImagesT]:
        """Map the relaxation times of a volume by all networks.

        Parameters
        ----------
        images, protocol, inputs
            As for :meth:`Trained.predict`.

        Returns
        -------
        dict
            Maps in ms, and their standard deviations in ms as ``"<name>_std"`` where all members have them.

        Raises
        ------
        ValueError
            As by :meth:`Trained.predict`.
        """
        outputs = [member.predict(to_tensor(images), protocol=protocol, inputs=inputs) for member in self.members]
        maps = {}
        for name in self.members[0].net.protocol.names:
            times = torch.stack([output[name] for output in outputs])
            maps[name] = times.mean(0)
            if all(f"{name}_std" in output for output in outputs):
                own = torch.stack([output[f"{name}_std"] for output in outputs]).square().mean(0)
                maps[f"{name}_std"] = self.calibration.get(name, 1.0) * torch.sqrt(own + times.var(0))
        return as_given(maps, images)

    def calibrated(self, data: Any, *, protocol: Protocol | None = None) -> "Ensemble":
        """Find the factors with which nine of ten voxels lie within the central 90 % interval.

        Parameters
        ----------
        data
            Subjects, as for :func:`train`: a phantom's, unless their truth was a label, or others that none of the
            networks was trained with.
        protocol
            What was acquired, where ``data`` does not say.

        Returns
        -------
        Ensemble
            The same networks with other factors.

        Raises
        ------
        ValueError
            If ``data`` is not what is needed, or a network has no standard deviations.

        Warns
        -----
        UserWarning
            If a contrast cannot be calibrated.
        """
        net = self.members[0].net
        for k, member in enumerate(self.members):
            if set(member.calibration.factors) != set(net.protocol.names):
                raise ValueError(f"members[{k}] has standard deviations of {tuple(member.calibration.factors)} alone.")
        _, cases = gather(data, net.protocol if protocol is None else protocol)
        plain = replace(self, calibration={})

        def predict(images: Tensor, inputs: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
            maps = plain.predict(images, inputs=inputs)
            return maps, {name: maps[f"{name}_std"] for name in net.protocol.names}

        return replace(self, calibration=factors(predict, net, cases))

    def save(self, path: str | Path) -> None:
        """Write all networks to one safetensors file.

        Parameters
        ----------
        path
            The file. It is replaced in one step if it exists.
        """
        packed = [member.packed() for member in self.members]
        weights = {f"{k}/{name}": tensor for k, (_, own) in enumerate(packed) for name, tensor in own.items()}
        _storage.write(
            path, {"members": [description for description, _ in packed], "calibration": self.calibration}, weights
        )

    @staticmethod
    def load(path: str | Path, *, models: Mapping[str, SignalModel] | None = None) -> "Ensemble":
        """Load networks that :meth:`save` wrote.

        Parameters
        ----------
        path
            The file.
        models
            Signal models of your own by the name of their contrast.

        Returns
        -------
        Ensemble
            The networks, on the processor.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is damaged, is not an ensemble of relaxnet's, or was written by another version.
        """
        description, weights = _storage.read(path)
        if "members" not in description:
            raise ValueError(f"{path} holds a single network, not an ensemble: load it by relaxnet.load.")

        def of_member(k: int) -> dict[str, Tensor]:
            return {name.removeprefix(f"{k}/"): w for name, w in weights.items() if name.startswith(f"{k}/")}

        with _storage.explained(path):
            packed = list(enumerate(description["members"]))
            calibration = {str(name): float(factor) for name, factor in description["calibration"].items()}
        members = [Trained.unpacked(own, of_member(k), path, models) for k, own in packed]
        with _storage.explained(path):
            return Ensemble(members, calibration)
