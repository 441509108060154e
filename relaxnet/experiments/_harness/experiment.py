"""Experiments, what their settings hold, and the folds of their subjects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from relaxnet.experiments._harness.abdomen import abdomen_cohort
from relaxnet.experiments._harness.format import Table
from relaxnet.experiments._harness.steps import Step
from relaxnet.phantom import Subject, Subjects, Texture, liver_cohort
from relaxnet.training import Preset

CONTRASTS = ("t1rho", "t2")
"""Names of the relaxation times."""
AGAINST = ("truth", "reference")
"""Yardsticks of maps: the true maps, and the reference fit of four images."""
Outcomes = Mapping[str, Any]
"""Outcomes of steps by their keys."""
Result = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """The digital subjects of the experiments, and how networks are trained with them."""

    name: str
    """Name of the setting."""
    preset: Preset
    """Shape of the slices, size of the networks and training."""
    zero_shot_epochs: int
    """Epochs of a network that is trained with a single subject."""
    weights: tuple[float, ...]
    """Fixed weights of T1rho to try; that of T2 is 1 minus it."""
    scan_steps: int = 100
    """Steps of a network that is trained with a single real scan: twice as many lower its residual by 0 to 6 %."""
    small_steps: int = 500
    """Steps of a small network that is trained with a single subject."""
    snrs: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0, 100.0)
    """Signal-to-noise ratios to try."""
    n_subjects: int = 51
    """Number of subjects."""
    slices: int = 3
    """Slices of each subject."""
    n_folds: int = 3
    """Parts of the cohort; each is tested by networks that were trained with the others."""
    snr: float = 20.0
    """Signal-to-noise ratio of the liver in the first image."""
    seed: int = 2023
    """Seed of the cohort. The defaults of networks and training were chosen on cohorts of other seeds."""
    texture: Texture | None = None
    """Texture of the tissues; None for a smooth one."""
    pixel_mm: float | None = None
    """Side of a pixel; None for the field of view, which slices are a crop of otherwise."""
    seeds: int = 3
    """How many times the most important networks are trained; others are trained once."""
    networks: tuple[str, ...] = ()
    """Networks of Table II to train beside its baseline; all if there is none."""
    known: tuple[str, ...] = ()
    """Rows of an earlier result that are kept as they are: fits and controls are not computed again."""
    floor_voxels: int = 10
    """Voxels of each subject for which the Bayes floor is computed."""
    timed_shape: tuple[int, int] = (256, 256)
    """Shape of the slice on which methods are timed."""

    @property
    def subjects(self) -> dict[str, Any]:
        """Arguments of the cohort."""
        own = {name: getattr(self, name) for name in ("n_subjects", "slices", "snr", "seed", "texture", "pixel_mm")}
        return own | {"shape": self.preset.shape}

    def cohort(self, *, anatomy: str = "phantom", **changes: Any) -> Subjects:
        """Make the subjects.

        Parameters
        ----------
        anatomy
            ``"phantom"``, or ``"abdomen"`` for the label map of a real one.
        **changes
            Arguments of :func:`~relaxnet.phantom.liver_cohort` that differ, such as another noise for the same
            subjects.

        Returns
        -------
        Subjects
            The cohort.
        """
        make = abdomen_cohort if anatomy == "abdomen" else liver_cohort
        return make(**self.subjects | changes)

    def folds(self, **changes: Any) -> list["Fold"]:
        """List the folds.

        Parameters
        ----------
        **changes
            Arguments of :meth:`cohort` that differ.

        Returns
        -------
        list of Fold
            The folds. Those whose subjects do not differ after all are those of no changes.
        """
        real = {name: value for name, value in changes.items() if value != getattr(self, name, None)}
        return [Fold(self, index, real) for index in range(self.n_folds)]


@dataclass(frozen=True)
class Fold:
    """A part of the cohort, which is tested by networks that were trained with the other parts."""

    setting: Setting
    """Whose cohort it is."""
    index: int
    """Number of the fold, from 0."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Arguments of :meth:`Setting.cohort` that differ."""

    @property
    def content(self) -> dict[str, Any]:
        """All that decides which subjects these are."""
        subjects = self.setting.subjects | self.changes
        return {"subjects": subjects, "n_folds": self.setting.n_folds, "index": self.index}

    def __str__(self) -> str:
        changes = "".join(f", {name} {value}" for name, value in self.changes.items())
        return f"fold {self.index + 1}{changes}"

    def test(self) -> list[Subject]:
        """Simulate the subjects of the fold.

        Returns
        -------
        list of Subject
            Every ``n_folds``-th subject of the cohort.
        """
        return self._subjects(lambda k: k % self.setting.n_folds == self.index)

    def training(self, **changes: Any) -> list[Subject]:
        """Simulate the subjects to train with.

        Parameters
        ----------
        **changes
            Further arguments of :meth:`Setting.cohort` that differ.

        Returns
        -------
        list of Subject
            The subjects of all other folds.
        """
        return self._subjects(lambda k: k % self.setting.n_folds != self.index, **changes)

    def _subjects(self, wanted: Callable[[int], bool], **changes: Any) -> list[Subject]:
        """Simulate the subjects whose numbers are wanted, but for those that have been for a step before."""
        changes = self.changes | changes
        cohort = self.setting.cohort(**changes)
        decides = self.setting.subjects | changes | {"n_subjects": None}  # a subject is the same in a larger cohort
        known, numbers = _simulated(repr(sorted(decides.items()))), list(filter(wanted, range(len(cohort))))
        known.update((k, cohort[k]) for k in numbers if k not in known)
        return [known[k] for k in numbers]


@lru_cache(maxsize=2)  # one to test with, and another to train with
def _simulated(cohort: str) -> dict[int, Subject]:  # noqa: ARG001 (it is the key)
    """Hold the subjects of a cohort that have been simulated, by number."""
    return {}


def digital_subjects(result: Result) -> str:
    """Say whose images a result is about.

    Parameters
    ----------
    result
        The result.

    Returns
    -------
    str
        The digital subjects, in a few words.
    """
    subjects = result["subjects"]
    height, width = subjects["shape"]
    pixel, texture = subjects.get("pixel_mm"), subjects.get("texture")
    pixels = f" pixels of {pixel:g} mm" if pixel else ""
    tissue = f"texture of {texture['sd']:.0%} and {texture['length_mm']:g} mm" if texture else "smooth tissue"
    return (
        f"{subjects['n']} digital subjects, {subjects['slices']} slice(s) of {height} x {width}{pixels}, {tissue}, SNR "
        f"{subjects['snr']:g} unless another is given, {subjects['folds']} folds"
    )


@dataclass(frozen=True)
class Experiment:
    """A question, what is computed to answer it, and how the answer is shown."""

    question: str
    """The question; the documentation of its module."""
    steps: Callable[[Setting], list[Step]]
    """Plan what is computed."""
    result: Callable[[Setting, Outcomes], Result]
    """Summarise the outcomes of the steps: ``rows`` by name, each with a ``label`` and ``entries``, and what else there
    is."""
    tables: Callable[[Result], list[Table]]
    """Write a result as tables; without its details, which are in the compressed file."""
    figures: Callable[[Result], dict[str, Any]] = lambda _: {}
    """Draw a whole result as figures of matplotlib, by name."""
    captions: Callable[[Result], dict[str, str]] = lambda _: {}
    """Say what each figure shows, by its name. The first sentence stands in for the figure where it cannot be seen."""
    subjects: Callable[[Result], str] = digital_subjects
    """Say whose images the result is about."""
    absent: Callable[[], list[str]] = list
    """List files of the project's test data that are not there, so that what needs them is left out."""
    joined: Callable[[Result, Result], Result] | None = None
    """Add to a whole result the rows that only an earlier one has, where an experiment can be run in parts."""
