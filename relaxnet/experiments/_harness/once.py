"""What is computed once for each subject, however many methods map it."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

from relaxnet.phantom import Subject

T = TypeVar("T")


def once_a_subject(function: Callable[[Subject], T]) -> Callable[[Subject], T]:
    """Keep what a function returns for a subject as long as there is the subject.

    Parameters
    ----------
    function
        The function.

    Returns
    -------
    Callable
        The same, which computes nothing twice.
    """
    known = WeakKeyDictionary[Subject, T]()

    @wraps(function)
    def kept(subject: Subject) -> T:
        if subject not in known:
            known[subject] = function(subject)
        return known[subject]

    return kept
