"""How large the experiments are."""

from dataclasses import dataclass, replace
from typing import Any

from relaxnet.phantom import Cohort, Subject, liver_cohort
from relaxnet.training import PRESETS, Preset


@dataclass(frozen=True)
class Setting:
    """The digital patients of the experiments, and how networks are trained on them."""

    name: str
    """What it is called."""
    n_subjects: int
    """Patients."""
    slices: int
    """Slices of each."""
    shape: tuple[int, int]
    """Height and width of a slice."""
    n_folds: int
    """Parts of the cohort, each of which is tested by networks that learnt from the others."""
    preset: Preset
    """Size and training of the networks."""
    zero_shot_epochs: int
    """Passes over the slices of a patient by a network of its own."""
    weights: tuple[float, ...]
    """Fixed weights of T1rho to try; T2 has the rest of 1."""
    snrs: tuple[float, ...]
    """Signal-to-noise ratios to try."""
    snr: float = 20.0
    """Signal-to-noise ratio of the liver in the first image."""
    seed: int = 2023
    """Of the cohort; the defaults of networks and training were chosen on others."""

    def cohort(self, **changes: Any) -> Cohort:
        """Make the patients.

        Parameters
        ----------
        **changes
            Other arguments of :func:`~relaxnet.phantom.liver_cohort`, such as another noise for the same patients.

        Returns
        -------
        Cohort
            All of them.
        """
        options: dict[str, Any] = {
            "n_subjects": self.n_subjects,
            "slices": self.slices,
            "shape": self.shape,
            "snr": self.snr,
            "seed": self.seed,
        } | changes
        return liver_cohort(**options)

    def test(self, fold: int, **changes: Any) -> Cohort:
        """Take the patients that a fold tests.

        Parameters
        ----------
        fold
            Number of the fold.
        **changes
            As for :meth:`cohort`.

        Returns
        -------
        Cohort
            Every ``n_folds``-th patient.
        """
        return self.cohort(**changes)[fold :: self.n_folds]

    def learn(self, fold: int, **changes: Any) -> list[Subject]:
        """Take the patients that the networks of a fold learn from.

        Parameters
        ----------
        fold
            Number of the fold.
        **changes
            As for :meth:`cohort`.

        Returns
        -------
        list of Subject
            All that the fold does not test.
        """
        cohort = self.cohort(**changes)
        return [cohort[k] for k in range(len(cohort)) if k % self.n_folds != fold]


_OURS = {name: getattr(PRESETS["laptop"], name) for name in ("initial_estimates", "rate_shift", "flips")}
"""What our rows have, whatever the size, and those of the paper do not."""

SETTINGS = {
    "smoke": Setting(
        "smoke",
        n_subjects=6,
        slices=1,
        shape=(32, 32),
        n_folds=2,
        preset=PRESETS["smoke"],
        zero_shot_epochs=1,
        weights=(0.25, 0.75),
        snrs=(10.0, 20.0),
    ),
    "laptop": Setting(
        "laptop",
        n_subjects=51,
        slices=3,
        shape=(64, 64),
        n_folds=3,
        preset=replace(PRESETS["laptop"], shape=(64, 64), epochs=40),
        zero_shot_epochs=150,
        weights=(0.05, 0.15, 0.25, 0.35, 0.5, 0.65, 0.75, 0.85, 0.95),
        snrs=(5.0, 10.0, 20.0, 40.0, 100.0),
    ),
    "paper": Setting(
        "paper",
        n_subjects=51,
        slices=3,
        shape=(256, 256),
        n_folds=3,
        preset=replace(PRESETS["paper"], **_OURS),
        zero_shot_epochs=300,
        weights=tuple(k / 20 for k in range(1, 20)),
        snrs=(5.0, 10.0, 20.0, 40.0, 100.0),
    ),
}
"""``smoke`` shows within minutes that all of it runs, ``laptop`` takes hours on two cores, ``paper`` is for a GPU: the
size and the training of Huang et al. (2023)."""
