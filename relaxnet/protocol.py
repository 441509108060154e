"""What was acquired: contrasts, the times of their images, and the subsets of images that a network sees.

A :class:`Contrast` is a series of images of one slice with one preparation at several times. A :class:`Protocol` is
one contrast or more, acquired together; it says which channel of a stack of images holds what. Everything else in
relaxnet takes its times from here.
"""

import itertools
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from relaxnet._errors import DtypeError

__all__ = ["Contrast", "Protocol", "TimeUnit", "parse_times"]

TimeUnit = Literal["ms", "s"]


def parse_times(
    times: object, *, unit: TimeUnit = "ms", name: str = "times_ms", to_fit: bool = True
) -> tuple[float, ...]:
    """Turn times of any numeric kind into a tuple of milliseconds, refusing what cannot be meant.

    Parameters
    ----------
    times
        Times, finite and not negative: a list, tuple, array or tensor on any device; or a :class:`Contrast`.
    unit
        Their unit; a contrast's are in ms. Times in ``"ms"`` that are all below 1 are refused, because they look like
        seconds.
    name
        What messages call the argument.
    to_fit
        Whether a decay shall be seen between the times, for which two different ones are needed.

    Returns
    -------
    tuple of float
        The times in ms, in the order given.

    Raises
    ------
    ValueError
        If a time is negative or not finite, if they look like seconds, or if there are not enough to fit.
    TypeError
        If they are not real numbers.

    Warns
    -----
    UserWarning
        If a time is above 10 s, which looks like microseconds.

    Examples
    --------
    >>> parse_times([0, 10, 30, 50])
    (0.0, 10.0, 30.0, 50.0)
    >>> parse_times([0, 0.01], unit="s")
    (0.0, 10.0)
    """
    if unit not in ("ms", "s"):
        raise ValueError(f"unit={unit!r} is not a unit of {name}: use 'ms' or 's'.")
    if isinstance(times, Contrast):
        return times.times_ms
    array = _to_array(times, name)
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} axes, shape {array.shape}: pass one time for each image.")
    if to_fit and array.size < 2:
        raise ValueError(f"{name} holds {array.size} time(s): a relaxation time needs images at 2 times or more.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}={_show(array)} holds a time that is not finite.")
    if (array < 0).any():
        raise ValueError(f"{name}={_show(array)} holds a negative time: times count from the end of the preparation.")
    if to_fit and (array == array[0]).all():
        raise ValueError(f"{name}={_show(array)} are all equal: no decay can be seen between them.")
    if unit == "s":
        array = array * 1e3
    elif 0 < array.max(initial=0) < 1:
        raise ValueError(
            f"{name}={_show(array)} look like seconds; relaxnet works in milliseconds. "
            f"Multiply by 1000, pass unit='s', or use Contrast.from_seconds."
        )
    if array.max(initial=0) > 1e4:
        warnings.warn(
            f"{name} reach from {array.min():g} to {array.max():g} ms, above 10 s: are they microseconds?", stacklevel=3
        )
    return tuple(float(t) for t in array)


def _to_array(times: object, name: str) -> NDArray[np.float64]:
    if hasattr(times, "detach"):  # a tensor, without importing torch
        times = times.detach().cpu()
    if isinstance(times, (str, bytes)):
        raise DtypeError(f"{name}={times!r} is text: pass numbers, such as (0, 10, 30, 50).")
    if isinstance(times, Iterable) and not hasattr(times, "__array__"):
        times = list(times)
    try:
        array = np.asarray(times)
    except ValueError as error:
        raise DtypeError(f"{name}={times!r} is ragged: pass one number for each image.") from error
    if array.dtype.kind not in "iuf":
        raise DtypeError(f"{name} holds {array.dtype} values, {times!r}: pass real numbers, such as (0, 10, 30, 50).")
    return array.astype(np.float64)


def _show(times: Iterable[float]) -> str:
    return "(" + ", ".join(f"{t:g}" for t in times) + ")"


@dataclass(frozen=True)
class Contrast:
    """One series of images of the same slice, with one preparation at several times.

    Parameters
    ----------
    name
        Name of the relaxation time that the series measures, as it shall stand in results: ``"t1rho"``, ``"t2"``.
    times_ms
        Spin-lock, echo or preparation times in ms, two or more, rising.

    Raises
    ------
    ValueError
        If the times look like seconds, do not rise, repeat, or are negative, or if the name is empty.

    Examples
    --------
    >>> Contrast("t1rho", times_ms=(0, 10, 30, 50))
    Contrast(name='t1rho', times_ms=(0.0, 10.0, 30.0, 50.0))
    """

    name: str
    times_ms: tuple[float, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"Contrast name={self.name!r} is a {type(self.name).__name__}: give text, such as 't1rho'.")
        if not self.name.isidentifier():
            raise ValueError(f"Contrast name={self.name!r} becomes the key of results: use letters, digits and '_'.")
        if self.name in ("m0", "offset"):
            raise ValueError(f"Contrast name={self.name!r} is taken: results hold the amplitude under it.")
        times = parse_times(self.times_ms, name=f"Contrast {self.name!r}: times_ms")
        steps = [later - earlier for earlier, later in itertools.pairwise(times)]
        if 0 in steps:
            raise ValueError(
                f"Contrast {self.name!r}: times_ms={_show(times)} repeat a time. Average the repeated images first, "
                f"or pass all of them with plain times to relaxnet.fit."
            )
        if min(steps) < 0:
            raise ValueError(
                f"Contrast {self.name!r}: times_ms={_show(times)} do not rise. Sort images and times together: "
                f"order = numpy.argsort(times)."
            )
        object.__setattr__(self, "times_ms", times)

    @classmethod
    def from_seconds(cls, name: str, times_s: Iterable[float]) -> "Contrast":
        """Make a contrast from times in seconds, as BIDS keeps them.

        Parameters
        ----------
        name
            Name of the relaxation time.
        times_s
            Times in seconds.

        Returns
        -------
        Contrast
            The contrast, with its times in ms.

        Examples
        --------
        >>> Contrast.from_seconds("t2", (0, 0.02)).times_ms
        (0.0, 20.0)
        """
        return cls(name, parse_times(times_s, unit="s", name=f"Contrast {name!r}: times_s"))


@dataclass(frozen=True)
class Protocol:
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
    >>> t1rho = Contrast("t1rho", times_ms=(0, 10, 30, 50))
    >>> t2 = Contrast("t2", times_ms=(0, 18.2, 34.6, 51.0))
    >>> protocol = Protocol((t1rho, t2), shared_first=True)
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
        """Tell which channels of a stack hold a contrast.

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
        start = 0
        for contrast in self.contrasts:
            n = len(contrast.times_ms)
            channels = tuple(range(start, start + n))
            if contrast.name == name:
                break
            start += n - self.shared_first
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

    def to_dict(self) -> dict[str, Any]:
        """Describe the protocol in plain values, to be kept as JSON beside weights and results.

        Returns
        -------
        dict
            A dictionary that :meth:`from_dict` takes.
        """
        return {
            "contrasts": [{"name": c.name, "times_ms": list(c.times_ms)} for c in self.contrasts],
            "shared_first": self.shared_first,
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> "Protocol":
        """Make the protocol that :meth:`to_dict` described.

        Parameters
        ----------
        description
            A dictionary made by :meth:`to_dict`.

        Returns
        -------
        Protocol
            The protocol.
        """
        contrasts = tuple(Contrast(c["name"], tuple(c["times_ms"])) for c in description["contrasts"])
        return cls(contrasts, shared_first=description["shared_first"])
