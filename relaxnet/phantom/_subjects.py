"""Sequences of subjects that are simulated on access."""

import operator
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import TYPE_CHECKING, SupportsIndex, TypeVar, overload

import numpy as np

from relaxnet._display import Displayed, Section
from relaxnet.phantom._subject import Subject
from relaxnet.protocol import Protocol

if TYPE_CHECKING:
    _Subjects = Sequence[Subject]
else:
    _Subjects = Sequence  # a run-time type checker would simulate a subject to look into a Sequence[Subject]

SubjectsT = TypeVar("SubjectsT", bound="Subjects")


@dataclass(frozen=True, eq=False, repr=False)
class Subjects(Displayed, _Subjects):
    """A cohort that stores no subject: each one is simulated on access, from the settings in the fields."""

    indices: range
    """Numbers of the subjects. The seed and its number determine a subject."""

    @abstractmethod
    def simulate(self, index: int) -> Subject:
        """Simulate a subject.

        Parameters
        ----------
        index
            Number of the subject.

        Returns
        -------
        Subject
            The subject.
        """

    def _sections(self) -> list[Section]:
        return [Section(f"{type(self).__name__} of {len(self)} digital subjects", self._settings())]

    def _settings(self) -> list[tuple[str, str]]:
        """List the settings that differ from their defaults, in words."""
        own = ((f, getattr(self, f.name)) for f in fields(self) if f.name != "indices")
        return [(f.name, _words(value)) for f, value in own if f.default is MISSING or value != f.default]

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {value}" for name, value in self._settings())
        return f"<{type(self).__name__} of {len(self)} subjects: {told}>"

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, key: SupportsIndex) -> Subject: ...

    @overload
    def __getitem__(self: SubjectsT, key: slice) -> SubjectsT: ...

    def __getitem__(  # noqa: PYI019 (a run-time type checker cannot resolve Self)
        self: SubjectsT, key: SupportsIndex | slice
    ) -> Subject | SubjectsT:
        if isinstance(key, slice):
            return replace(self, indices=self.indices[key])
        index = operator.index(key)
        if not -len(self) <= index < len(self):
            raise IndexError(f"subject {index} is not in this cohort of {len(self)}.")
        return self.simulate(self.indices[index])


def _words(value: object) -> str:
    if isinstance(value, Protocol):
        return "/".join(value.names)
    if isinstance(value, Mapping):
        return f"of {len(value)}"
    sizes = value.shape if isinstance(value, np.ndarray) else value
    return " x ".join(map(str, sizes)) if isinstance(sizes, tuple) else str(sizes)
