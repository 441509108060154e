"""Several tests at once."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    r"""Adjust p values for their number, so that the chance of any false alarm stays below the level.

    Step-down, for the p values in ascending order:

    .. math:: \tilde p_{(i)} = \max_{j \le i}\, \min\left(1, (m - j + 1)\, p_{(j)}\right)

    Parameters
    ----------
    p_values
        p value of each of the m tests, by its name.

    Returns
    -------
    dict
        Adjusted p value of each test, by its name, in the order given.

    Raises
    ------
    ValueError
        If a p value is not between 0 and 1.

    Notes
    -----
    It holds however the tests depend on each other.

    References
    ----------
    Holm, *A simple sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 6:65 (1979).

    Examples
    --------
    >>> rx.metrics.holm({"two-point": 0.01, "single-task": 0.25, "fixed weights": 0.125})
    {'two-point': 0.03, 'single-task': 0.25, 'fixed weights': 0.25}
    """
    if wrong := {name: p for name, p in p_values.items() if not 0 <= p <= 1}:
        raise ValueError(f"p_values holds {wrong}: probabilities between 0 and 1 are needed.")
    adjusted = dict.fromkeys(p_values, 1.0)
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * float(p_values[name])))
        adjusted[name] = largest
    return adjusted
