"""Training losses: how predicted maps are compared with images or labels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from relaxnet.losses._names import Distance, Pairs, require_option

if TYPE_CHECKING:
    from relaxnet.losses import Weighting
    from relaxnet.nets import RelaxationNet
    from relaxnet.training._comparison import Comparison
else:
    Weighting = RelaxationNet = Comparison = Any  # they need torch, which is not imported to list the losses

Kind = Literal["pairwise", "reconstruction", "supervised"]
Labels = Literal["nlls", "truth"]
_PAIRS = {"all": "all ordered pairs", "forward": "pairs, the later from the earlier", "orthogonal": "orthogonal pairs"}


@dataclass(frozen=True)
class Loss:
    """A comparison of predicted maps with images or labels.

    For a custom loss, derive a subclass that overrides :meth:`comparison`.

    Raises
    ------
    ValueError
        If an option is unknown.
    """

    kind: Kind
    """``"pairwise"`` compares images with one another, ``"reconstruction"`` images with those predicted by maps and
    amplitude, ``"supervised"`` maps with labels."""
    held_out: bool = False
    """Whether only held-out images are used, which are no inputs of the network."""
    pairs: Pairs = "orthogonal"
    """For ``"pairwise"``: see :func:`~relaxnet.losses.pairwise_residual`."""
    distance: Distance = "l1"
    """For ``"reconstruction"``: see :class:`~relaxnet.losses.Reconstruction`."""
    remove_bias: bool = False
    """For ``"pairwise"``: whether :func:`~relaxnet.signals.remove_rician_bias` is applied to the images first."""
    labels: Labels = "nlls"
    """For ``"supervised"``: the maps of a fit of all images, or the ground truth of a digital phantom."""

    def __post_init__(self) -> None:
        for name, known in (("kind", Kind), ("pairs", Pairs), ("distance", Distance), ("labels", Labels)):
            require_option(name, getattr(self, name), known)

    @property
    def summary(self) -> str:
        """The comparison, in one sentence."""
        images = "held-out images" if self.held_out else "images"
        if self.kind == "supervised":
            return f"Maps, with {'those of a fit of all images' if self.labels == 'nlls' else 'the truth of a phantom'}"
        if self.kind == "reconstruction":
            return f"{images.capitalize()}, with those that maps predict ({self.distance})"
        return f"{images.capitalize()}, in {_PAIRS[self.pairs]}{' without Rician bias' if self.remove_bias else ''}"

    @property
    def needs_sigma(self) -> bool:
        """Whether it needs the noise level of the images."""
        if self.kind == "pairwise":
            return self.remove_bias
        return self.kind == "reconstruction" and self.distance.startswith("rician")

    def comparison(self, net: RelaxationNet, weighting: Weighting | None = None) -> Comparison:
        """Make the module that computes residuals.

        Parameters
        ----------
        net
            The network, for its protocol and inputs.
        weighting
            The weighting, for the kind of residuals that it needs; by default absolute residuals.

        Returns
        -------
        Comparison
            A module from the outputs of the network and the images to residuals.

        Raises
        ------
        ValueError
            If too few images are held out, or the weighting does not go with the loss.
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
"""The losses by name. ``paper`` is that of Huang et al. (2023), all ordered pairs of all images. ``supervised-truth``
is for digital phantoms only. Supervised losses are differences in ms, so tissues of long T dominate them."""
