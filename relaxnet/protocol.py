"""What was acquired: contrasts with their signal models and times, and the subsets of images that a network receives.

A :class:`Contrast` is a series of images of one slice with one preparation at several times, and the model of its
signal. A :class:`Protocol` is one contrast or more, acquired together; it says which channel of a stack holds what.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from relaxnet import signals
from relaxnet._display import Displayed, Section
from relaxnet.signals import MonoExponential, SignalModel, describe_model, require_model, restore_model
from relaxnet.times import CheckedTimes, parse_times, show

__all__ = ["Contrast", "Protocol"]


@dataclass(frozen=True)
class Contrast(Displayed):
    """One series of images of the same slice, with one preparation at several times, and the model of its signal.

    Parameters
    ----------
    name
        Name of what the series measures, the key of its maps in results: ``"t1rho"``, ``"t2"``.
    times_ms
        Spin-lock, echo or preparation times in ms, two or more, rising; of a model of another axis, its values in their
        unit: flip angles in degrees, b-values in s/mm².
    model
        The signal model, which everything that takes a contrast obeys: a mono-exponential decay by default.

    Raises
    ------
    ValueError
        If the times look like another unit, do not rise, repeat, or are negative, or if the name is empty.
    TypeError
        If the model is not one, or the name is not text.

    Examples
    --------
    >>> rx.Contrast("t1rho", times_ms=(0, 10, 30, 50))
    Contrast(name='t1rho', times_ms=(0.0, 10.0, 30.0, 50.0), model=MonoExponential())
    >>> rx.Contrast("t1", times_ms=(50, 200, 600, 1500, 4000), model=rx.signals.InversionRecovery()).model
    InversionRecovery(efficiency=None, tr_ms=None, magnitude=True)
    """

    name: str
    times_ms: tuple[float, ...]
    model: SignalModel = field(default_factory=MonoExponential)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"Contrast name={self.name!r} is a {type(self.name).__name__}: give text, such as 't1rho'.")
        if not self.name.isidentifier():
            raise ValueError(f"Contrast name={self.name!r} becomes the key of results: use letters, digits and '_'.")
        if self.name in ("m0", "offset"):
            raise ValueError(f"Contrast name={self.name!r} is taken: results hold the amplitude under it.")
        require_model(self.model, f"Contrast {self.name!r}: model")
        times = parse_times(self.times_ms, name=f"Contrast {self.name!r}: times_ms", axis=self.model.axis)
        steps = [later - earlier for earlier, later in itertools.pairwise(times)]
        if 0 in steps:
            raise ValueError(
                f"Contrast {self.name!r}: times_ms={show(times)} repeat a time. Average the repeated images first, "
                f"or pass all of them with plain times to relaxnet.fit."
            )
        if min(steps) < 0:
            raise ValueError(
                f"Contrast {self.name!r}: times_ms={show(times)} do not rise. Sort images and times together: "
                f"order = numpy.argsort(times)."
            )
        object.__setattr__(self, "times_ms", times)

    def _sections(self) -> list[Section]:
        return Protocol((self,))._sections()  # noqa: SLF001 (the table of both)

    def at(self, images: Sequence[int]) -> "Contrast":
        """Keep some of the images.

        Parameters
        ----------
        images
            Their positions, two or more, rising.

        Returns
        -------
        Contrast
            The same contrast with fewer times.

        Examples
        --------
        >>> rx.Contrast("t2", (0, 18.2, 34.6, 51.0)).at([0, 3]).times_ms
        (0.0, 51.0)
        """
        return replace(self, times_ms=CheckedTimes(self.times_ms[k] for k in images))

    @classmethod
    def from_seconds(cls, name: str, times_s: Iterable[float], model: SignalModel | None = None) -> "Contrast":
        """Make a contrast from times in seconds, as BIDS keeps them.

        Parameters
        ----------
        name
            Name of what the series measures.
        times_s
            Times in seconds.
        model
            The signal model; a mono-exponential decay by default.

        Returns
        -------
        Contrast
            The contrast, with its times in ms.

        Examples
        --------
        >>> rx.Contrast.from_seconds("t2", (0, 0.02)).times_ms
        (0.0, 20.0)
        """
        model = MonoExponential() if model is None else model
        return cls(name, parse_times(times_s, unit="s", name=f"Contrast {name!r}: times_s", axis=model.axis), model)


@dataclass(frozen=True)
class Protocol(Displayed):
    """The contrasts that were acquired together, and the order of their images in a stack.

    A stack of images holds those of the first contrast, then those of the second, and so on. With ``shared_first``,
    the contrasts begin with one and the same image; it is channel 0 and is not repeated.

    Parameters
    ----------
    contrasts
        One contrast or more, of different names.
    shared_first
        Whether the first image is common to all contrasts.

    Raises
    ------
    ValueError
        If there is no contrast, if two have one name, or if a shared first image would have two times.

    Examples
    --------
    >>> t1rho = rx.Contrast("t1rho", times_ms=(0, 10, 30, 50))
    >>> t2 = rx.Contrast("t2", times_ms=(0, 18.2, 34.6, 51.0))
    >>> protocol = rx.Protocol((t1rho, t2), shared_first=True)
    >>> protocol.n_images
    7
    >>> protocol.images_of("t2")
    (0, 4, 5, 6)
    >>> protocol.input_sets
    {'short': (0, 1, 4), 'middle': (0, 2, 5), 'long': (0, 3, 6)}
    """

    contrasts: tuple[Contrast, ...]
    shared_first: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.contrasts, Contrast):
            raise TypeError(f"contrasts={self.contrasts!r} is one contrast: pass a tuple, ({self.contrasts.name},).")
        contrasts = tuple(self.contrasts)
        for contrast in contrasts:
            if not isinstance(contrast, Contrast):
                raise TypeError(f"contrasts holds {contrast!r}, a {type(contrast).__name__}: pass relaxnet.Contrast.")
        if not contrasts:
            raise ValueError("contrasts is empty: a protocol needs one contrast or more.")
        names = [contrast.name for contrast in contrasts]
        if len(set(names)) < len(names):
            raise ValueError(f"contrasts have the names {names}: each contrast needs a name of its own.")
        firsts = {contrast.name: contrast.times_ms[0] for contrast in contrasts}
        if self.shared_first and len(set(firsts.values())) > 1:
            raise ValueError(
                f"shared_first=True, but the contrasts start at different times, {firsts} ms: "
                f"one image cannot have two times. Pass shared_first=False, or correct the times."
            )
        object.__setattr__(self, "contrasts", contrasts)

    def _sections(self) -> list[Section]:
        title = f"{self.n_images} images{', the first one common' if self.shared_first else ''}"
        rows = [(c.name, show(c.times_ms), c.model.axis.unit, self.images_of(c.name), c.model) for c in self.contrasts]
        return [Section(title, rows, ("times", "unit", "images", "signal model"))]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the contrasts, in order; the tasks of a network."""
        return tuple(contrast.name for contrast in self.contrasts)

    @property
    def n_images(self) -> int:
        """Number of images in a stack."""
        total = sum(len(contrast.times_ms) for contrast in self.contrasts)
        return total - (len(self.contrasts) - 1) * self.shared_first

    def images_of(self, name: str) -> tuple[int, ...]:
        """List the channels of a stack that hold a contrast.

        Parameters
        ----------
        name
            Name of the contrast.

        Returns
        -------
        tuple of int
            Channel numbers, in the order of the contrast's times.

        Raises
        ------
        ValueError
            If the protocol has no contrast of that name.
        """
        if name not in self.names:
            raise ValueError(f"name={name!r} is no contrast of this protocol: it has {self.names}.")
        k = self.names.index(name)
        start = sum(len(contrast.times_ms) - self.shared_first for contrast in self.contrasts[:k])
        channels = tuple(range(start, start + len(self.contrasts[k].times_ms)))
        return (0, *channels[1:]) if self.shared_first else channels

    @property
    def input_sets(self) -> dict[str, tuple[int, ...]]:
        """Subsets of channels that a network can be given: the first image(s), and one later image of each contrast.

        The later images advance together, from the earliest (``"short"``) to the latest (``"long"``). Where contrasts
        differ in length, the longer ones are sampled evenly.
        """
        later = [self.images_of(name)[1:] for name in self.names]
        first = sorted({self.images_of(name)[0] for name in self.names})
        n_sets = min(len(channels) for channels in later)
        between = ["middle"] if n_sets == 3 else [f"middle{k}" for k in range(1, n_sets - 1)]
        labels = ["short", *between, "long"][:n_sets]
        sets = {}
        for k, label in enumerate(labels):
            position = k / max(n_sets - 1, 1)
            picked = [channels[math.floor(position * (len(channels) - 1) + 0.5)] for channels in later]
            sets[label] = tuple(sorted({*first, *picked}))
        return sets

    def channels(self, inputs: str | Iterable[int]) -> tuple[int, ...]:
        """Turn the name of an input set, or channel numbers, into channel numbers.

        Parameters
        ----------
        inputs
            A key of :attr:`input_sets`, or the numbers of the wanted channels.

        Returns
        -------
        tuple of int
            Channel numbers.

        Raises
        ------
        ValueError
            If the set is unknown, or a channel is repeated or not in the protocol.
        """
        if isinstance(inputs, str):
            if inputs not in self.input_sets:
                raise ValueError(f"inputs={inputs!r} is no input set of this protocol: it has {self.input_sets}.")
            return self.input_sets[inputs]
        channels = tuple(int(channel) for channel in inputs)
        if not channels or len(set(channels)) < len(channels) or not set(channels) <= set(range(self.n_images)):
            raise ValueError(
                f"inputs={channels}: give different channel numbers from 0 to {self.n_images - 1}, "
                f"or one of {tuple(self.input_sets)}."
            )
        return channels

    def require_common_amplitude(self) -> None:
        """Refuse contrasts that do not share an amplitude: they have no common image that is independent of T.

        Raises
        ------
        ValueError
            If there is more than one contrast, and their images do not begin with one that no T changes, or a model
            adds a constant.
        """
        if len(self.contrasts) == 1:
            return
        for contrast in self.contrasts:
            if contrast.model.has_offset:
                raise ValueError(
                    f"protocol: contrast {contrast.name!r} has the model {contrast.model!r}, which adds a constant to "
                    f"an amplitude that the contrasts would share. Fit each contrast with relaxnet.fit, or use "
                    f"{contrast.model.without_offset}."
                )
        constants = {c.model.constant_at(c.times_ms[0]) for c in self.contrasts}
        if not self.shared_first or len(constants) > 1 or not constants - {None, 0.0}:
            firsts = {c.name: c.times_ms[0] for c in self.contrasts}
            raise ValueError(
                f"protocol: contrasts share an amplitude only with a common first image at 0 ms, or where else no T "
                f"changes it; these have shared_first={self.shared_first} and start at {firsts}. Fit each with "
                f"relaxnet.fit."
            )

    def counted_from_first(self) -> "Protocol":
        """Count the times of mono-exponential decays from a common first image that was acquired after 0.

        The amplitude is then the signal of that image: the one at time 0 is another one for each contrast.

        Returns
        -------
        Protocol
            One with a first image at 0; the same where the first is not common, or a model is another.

        Examples
        --------
        >>> both = rx.Contrast("t1rho", (1, 10, 30, 60)), rx.Contrast("t2", (1, 13, 26, 51))
        >>> [c.times_ms for c in rx.Protocol(both, shared_first=True).counted_from_first().contrasts]
        [(0.0, 9.0, 29.0, 59.0), (0.0, 12.0, 25.0, 50.0)]
        """
        if not self.shared_first or any(c.model != MonoExponential() for c in self.contrasts):
            return self
        counted = (replace(c, times_ms=CheckedTimes(t - c.times_ms[0] for t in c.times_ms)) for c in self.contrasts)
        return replace(self, contrasts=tuple(counted))

    @property
    def signed_images(self) -> tuple[int, ...]:
        """Channels whose images hold the sign of the signal; the others are magnitudes."""
        return tuple(k for c in self.contrasts if c.model.signed for k in self.images_of(c.name))

    def add_noise(
        self,
        images: Float[Tensor, "batch image *space"],
        sigma: float | Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "batch image *space"]:
        """Add the noise that the images of the protocol have: Rician, and Gaussian where they hold a sign.

        Parameters
        ----------
        images
            All images without noise.
        sigma
            Standard deviation of the noise: a number, or a tensor that broadcasts against the images.
        generator
            Source of random numbers, on the device of the images.

        Returns
        -------
        Tensor
            Noisy images.
        """
        noisy = signals.add_noise(images, sigma, kind="rician", generator=generator)
        if signed := list(self.signed_images):
            real = signals.add_noise(images, sigma, kind="gaussian", generator=generator)
            noisy[:, signed] = real[:, signed]
        return noisy

    def to_dict(self) -> dict[str, Any]:
        """Describe the protocol in plain values, to be kept as JSON beside weights and results.

        Returns
        -------
        dict
            A dictionary that :meth:`from_dict` takes. Models are described by their class and their settings.
        """
        return {
            "contrasts": [
                {"name": c.name, "times_ms": list(c.times_ms), "model": describe_model(c.model)} for c in self.contrasts
            ],
            "shared_first": self.shared_first,
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any], models: Mapping[str, SignalModel] | None = None) -> "Protocol":
        """Make the protocol that :meth:`to_dict` described.

        Parameters
        ----------
        description
            A dictionary made by :meth:`to_dict`.
        models
            Signal models of your own by the name of their contrast. Those of relaxnet are made anew.

        Returns
        -------
        Protocol
            The protocol.

        Raises
        ------
        ValueError
            If a model of your own is missing or is another one, or ``models`` names no contrast.
        """
        given = dict(models or {})
        told = [(c["name"], CheckedTimes(c["times_ms"]), c["model"]) for c in description["contrasts"]]
        contrasts = tuple(Contrast(n, t, restore_model(n, model, given.pop(n, None))) for n, t, model in told)
        if given:
            names = tuple(contrast.name for contrast in contrasts)
            raise ValueError(f"models has {tuple(given)}: the contrasts are {names}.")
        return cls(contrasts, shared_first=description["shared_first"])
