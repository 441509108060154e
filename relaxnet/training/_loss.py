"""Training losses: what predicted maps are compared with."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from relaxnet.losses._names import Distance, Pairs

if TYPE_CHECKING:
    from relaxnet.losses import Weighting
    from relaxnet.nets import RelaxationNet
    from relaxnet.training._comparison import Comparison
else:
    Weighting = RelaxationNet = Comparison = Any  # they need torch, which commands list losses without

Kind = Literal["pairwise", "reconstruction", "supervised"]
Labels = Literal["nlls", "truth"]
_PAIRS = {"all": "all ordered pairs", "forward": "pairs, the later from the earlier", "orthogonal": "orthogonal pairs"}


@dataclass(frozen=True)
class Loss:
    """What predicted maps are compared with, and how.

    A loss of your own is a subclass that overrides :meth:`comparison`.

    Raises
    ------
    ValueError
        If an option is unknown.
    """

    kind: Kind
    """``"pairwise"``: the images with one another; ``"reconstruction"``: the images with those that the maps predict,
    the amplitude being predicted, too; ``"supervised"``: the maps with labels."""
    held_out: bool = False
    """Whether only images are used that are no inputs of the network."""
    pairs: Pairs = "orthogonal"
    """Of ``"pairwise"``: see :func:`~relaxnet.losses.pairwise_residual`."""
    distance: Distance = "l1"
    """Of ``"reconstruction"``: see :class:`~relaxnet.losses.Reconstruction`."""
    remove_bias: bool = False
    """Of ``"pairwise"``: whether :func:`~relaxnet.signals.remove_rician_bias` is applied to the images first."""
    labels: Labels = "nlls"
    """Of ``"supervised"``: the maps of a fit of all images, or the truth that a phantom knows."""

    def __post_init__(self) -> None:
        for name, kinds in (("kind", Kind), ("pairs", Pairs), ("distance", Distance), ("labels", Labels)):
            if getattr(self, name) not in get_args(kinds):
                raise ValueError(f"{name}={getattr(self, name)!r} is unknown: use one of {get_args(kinds)}.")

    @property
    def summary(self) -> str:
        """What is compared, in one sentence."""
        images = "held-out images" if self.held_out else "images"
        if self.kind == "supervised":
            return f"Maps, with {'those of a fit of all images' if self.labels == 'nlls' else 'the truth of a phantom'}"
        if self.kind == "reconstruction":
            return f"{images.capitalize()}, with those that maps predict ({self.distance})"
        return f"{images.capitalize()}, in {_PAIRS[self.pairs]}{' without Rician bias' if self.remove_bias else ''}"

    @property
    def needs_sigma(self) -> bool:
        """Whether it has to know the noise level of the images."""
        if self.kind == "pairwise":
            return self.remove_bias
        return self.kind == "reconstruction" and self.distance.startswith("rician")

    def comparison(self, net: RelaxationNet, weighting: Weighting | None = None) -> Comparison:
        """Make the module that compares.

        Parameters
        ----------
        net
            The network, for its protocol and inputs.
        weighting
            The weighting, for what it needs; absolute residuals by default.

        Returns
        -------
        Comparison
            A module that is called with the outputs of the network and the images, and returns residuals.

        Raises
        ------
        ValueError
            If too few images are held out, or the weighting needs what the loss has not.
        """
        from relaxnet.training._comparison import Comparison  # noqa: PLC0415 (it needs torch)

        return Comparison(self, net, weighting)


LOSSES = {
    "paper": Loss("pairwise", pairs="all"),
    "orthogonal": Loss("pairwise", remove_bias=True),
    "held-out-orthogonal": Loss("pairwise", held_out=True, remove_bias=True),
    "reconstruction": Loss("reconstruction"),
    "held-out-reconstruction": Loss("reconstruction", held_out=True, distance="rician-mean"),
    "supervised-nlls": Loss("supervised"),
    "supervised-truth": Loss("supervised", labels="truth"),
}
"""The losses by name: ``paper`` is that of Huang et al. (2023), all ordered pairs of all images; ``supervised-truth``
is for phantoms alone. Supervised losses compare in ms, so tissues of long T outweigh others."""
