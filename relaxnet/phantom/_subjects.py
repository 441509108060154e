"""Sequences of subjects that are simulated on access."""

import operator
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, SupportsIndex, TypeVar, overload

from relaxnet.phantom._subject import Subject

if TYPE_CHECKING:
    _Subjects = Sequence[Subject]
else:
    _Subjects = Sequence  # a run-time type checker would simulate a subject to look into a Sequence[Subject]

SubjectsT = TypeVar("SubjectsT", bound="Subjects")


@dataclass(frozen=True, eq=False)
class Subjects(_Subjects):
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
