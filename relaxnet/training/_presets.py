"""Presets: the size of a network and the length of its training."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

Schedule = Literal["constant", "cosine"]


@dataclass(frozen=True)
class Preset:
    """Size of a network and settings of its training.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    shape: tuple[int, int]
    """Height and width of the images that the preset is meant for; others work as well."""
    base: int
    """Channels of the first level of the U-Net."""
    depth: int
    """Levels of the U-Net below the first."""
    epochs: int
    """Passes over the training slices, at most."""
    batch_size: int
    """Slices in a step."""
    learning_rate: float
    """Of Adam, for the network."""
    weighting_rate: float
    """Of Adam, for what the weighting learns."""
    weight_decay: float
    """L2 penalty of Adam, on the network alone."""
    schedule: Schedule
    """How the learning rates change over the epochs."""
    patience: int
    """Stop after this many epochs in which the validation residual did not improve."""
    max_degrees: float
    """Augmentation: rotation, uniformly up to this angle either way."""
    max_shift: float
    """Augmentation: translation, uniformly up to this fraction of the image either way."""
    flips: bool = False
    """Augmentation: mirror half of the slices left to right, and half of them top to bottom."""
    rate_shift: float = 0.0
    """Augmentation: change of the relaxation rate of each contrast of a slice, uniformly up to this part of the typical
    rate of its signal model either way (0.24 is 6/s, as that of a decay is 25/s), by multiplying the input images with
    the decay that makes the difference. Signal models that are no decays have no rates, and refuse it."""
    fresh_noise: bool = False
    """Augmentation: draw the noise of simulated subjects anew in each step, as if each were scanned many times."""
    initial_estimates: tuple[float, ...] = ()
    """Of the network: see :class:`~relaxnet.nets.RelaxationNet`."""
    averaging: float = 0.0
    """Part of the running average of the weights that is kept in each step; the average is what is used. 0 for none."""
    clip: float | None = None
    """Largest norm of the gradient; a larger one is shortened."""

    def __post_init__(self) -> None:
        for name in ("base", "depth", "epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: at least 1 is needed.")
        if self.schedule not in get_args(Schedule):
            raise ValueError(f"schedule={self.schedule!r} is unknown: use one of {get_args(Schedule)}.")
        for name in ("learning_rate", "weighting_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)}: a rate is positive.")
        if not 0 <= self.averaging < 1:
            raise ValueError(f"averaging={self.averaging}: it lies in [0, 1).")
        if not 0 <= self.rate_shift < math.inf:
            raise ValueError(f"rate_shift={self.rate_shift}: give a part of the typical rate, 0 or more.")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip={self.clip}: a norm is positive; None does not shorten any.")
        for name in ("weight_decay", "max_degrees", "max_shift"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)}: it must not be negative.")

    @property
    def summary(self) -> str:
        """Its size, in one sentence."""
        size = f"U-Net of {self.base} channels and {self.depth + 1} levels"
        return f"{size} for images of {self.shape[0]} x {self.shape[1]}, {self.epochs} epochs at most"


PRESETS = {
    "smoke": Preset(
        shape=(32, 32),
        base=4,
        depth=2,
        epochs=2,
        batch_size=4,
        learning_rate=2e-3,
        weighting_rate=5e-2,
        weight_decay=1e-4,
        schedule="constant",
        patience=2,
        max_degrees=0.0,
        max_shift=0.0,
    ),
    "laptop": Preset(
        shape=(96, 96),
        base=16,
        depth=4,
        epochs=80,
        batch_size=6,
        learning_rate=4e-3,
        weighting_rate=5e-2,
        weight_decay=1e-4,
        schedule="cosine",
        patience=30,
        max_degrees=10.0,
        max_shift=0.05,
        flips=True,
        rate_shift=0.24,
        initial_estimates=(0.0, 1.5, 3.0, 6.0),
        averaging=0.99,
    ),
    "paper": Preset(
        shape=(256, 256),
        base=16,
        depth=4,
        epochs=300,
        batch_size=4,
        learning_rate=5e-4,
        weighting_rate=5e-4,
        weight_decay=1e-4,
        schedule="constant",
        patience=50,
        max_degrees=5.0,
        max_shift=0.03,
    ),
}
"""The presets by name: ``smoke`` only shows that everything runs, in seconds, ``laptop`` takes minutes on a processor,
``paper`` is that of Huang et al. (2023): 256x256, batches of 4, 300 epochs, Adam at 5e-4 with a weight decay of 1e-4
(patience and the size of rotations and translations are not given there)."""
