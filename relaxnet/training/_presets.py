"""Presets: the size of a network and the settings of its training."""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from operator import index
from typing import Any, Literal

from relaxnet.losses._names import require_option

Schedule = Literal["constant", "cosine"]

_RULES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("base depth epochs steps batch_size patience", lambda n: index(n) >= 1, "a whole number of at least 1 is needed."),
    ("learning_rate weighting_rate", lambda rate: 0 < rate < math.inf, "a rate is a positive number."),
    ("averaging", lambda part: 0 <= part < 1, "it lies in [0, 1)."),
    ("rate_shift", lambda part: 0 <= part < math.inf, "give a part of the typical rate, 0 or more."),
    ("clip", lambda norm: norm is None or norm > 0, "a norm is positive; None does not shorten any."),
    ("weight_decay max_degrees max_shift", lambda size: 0 <= size < math.inf, "give a number, 0 or more."),
)
"""Names of fields, the condition on their values, and the message if it is not met."""


ONLY_RUNS = "only shows that everything runs: its maps mean nothing"


@dataclass(frozen=True, repr=False)
class Preset:
    """Size of a network and settings of its training; by default those of Huang et al. (2023).

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    shape: tuple[int, int] = (256, 256)
    """Height and width of the images that the preset is meant for; others work as well."""
    base: int = 16
    """Channels of the first level of the U-Net."""
    depth: int = 4
    """Levels of the U-Net below the first."""
    epochs: int = 300
    """Largest number of epochs, passes over the training slices."""
    steps: int = 1
    """Smallest number of steps in an epoch: where the slices are too few for it, an epoch passes over them more than
    once. So a training of few slices takes as many steps as it needs to learn."""
    batch_size: int = 4
    """Slices in a step."""
    learning_rate: float = 5e-4
    """Learning rate of Adam for the network."""
    weighting_rate: float = 5e-4
    """Learning rate of Adam for the parameters of the weighting."""
    weight_decay: float = 1e-4
    """L2 penalty of Adam, on the network alone."""
    schedule: Schedule = "constant"
    """Course of the learning rates over the epochs."""
    patience: int = 50
    """Training stops after this number of epochs in which the validation residual did not improve."""
    max_degrees: float = 5.0
    """Augmentation: largest rotation in either direction; angles are uniformly distributed."""
    max_shift: float = 0.03
    """Augmentation: largest translation in either direction, as a fraction of the image; uniformly distributed."""
    flips: bool = False
    """Augmentation: mirror half of the slices left to right, and half of them top to bottom."""
    rate_shift: float = 0.0
    """Augmentation: largest change of the relaxation rate of each contrast in either direction, as a fraction of the
    typical rate of its signal model; uniformly distributed. For a decay with a typical rate of 25/s, 0.24 is 6/s. The
    input images are multiplied by the decay that makes the difference, so all signal models must be decays."""
    fresh_noise: bool = False
    """Augmentation: draw new noise for digital subjects in each step, as if each were scanned many times."""
    initial_estimates: tuple[float | Literal["low-rank"], ...] = ()
    """Option of the network: see :class:`~relaxnet.nets.RelaxationNet`."""
    averaging: float = 0.0
    """Fraction that the running average of the weights keeps in each step; the average is the trained network. 0 for no
    averaging."""
    clip: float | None = None
    """Largest norm of the gradient, to which larger ones are scaled."""

    def __post_init__(self) -> None:
        require_option("schedule", self.schedule, Schedule)
        for names, holds, rule in _RULES:
            for name in names.split():
                value = getattr(self, name)
                with suppress(TypeError):  # as of text, for which the condition has no meaning
                    if holds(value):
                        continue
                raise ValueError(f"{name}={value!r}: {rule}")

    @property
    def summary(self) -> str:
        """Its size, in one sentence."""
        size = f"U-Net of {self.base} channels and {self.depth + 1} levels"
        told = f"{size} for images of {self.shape[0]} x {self.shape[1]}, {self.epochs} epochs at most"
        return f"{told}; {ONLY_RUNS}" if self.only_runs else told

    @property
    def only_runs(self) -> bool:
        """Whether it is ``"smoke"``, which is too short to learn anything."""
        return self == PRESETS["smoke"]

    def __repr__(self) -> str:
        own = ((f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default)
        told = f"Preset({', '.join(f'{name}={value!r}' for name, value in own)})"
        return f"{told}  # {ONLY_RUNS}" if self.only_runs else told


PRESETS = {
    "smoke": Preset(
        shape=(32, 32),
        base=4,
        depth=2,
        epochs=2,
        learning_rate=2e-3,
        weighting_rate=5e-2,
        patience=2,
        max_degrees=0.0,
        max_shift=0.0,
    ),
    "laptop": Preset(
        shape=(96, 96),
        epochs=80,
        steps=13,
        batch_size=6,
        learning_rate=4e-3,
        weighting_rate=5e-2,
        schedule="cosine",
        patience=30,
        max_degrees=10.0,
        max_shift=0.05,
        flips=True,
        rate_shift=0.24,
        initial_estimates=(0.0, 1.5, 3.0, 6.0, "low-rank"),
        averaging=0.99,
    ),
    "paper": Preset(steps=20),
}
"""The presets by name: ``smoke`` takes seconds and only shows that everything runs, ``laptop`` takes minutes on a CPU,
``paper`` is that of Huang et al. (2023): 256x256, batches of 4, 300 epochs, Adam at 5e-4 with a weight decay of 1e-4.
The paper does not state the patience and the size of rotations and translations. With few slices, an epoch of
``laptop`` and ``paper`` passes over them more than once, as :attr:`Preset.steps` says."""
