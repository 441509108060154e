"""Correction of p values for multiple tests."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    r"""Adjust p values for multiple tests by the method of Holm, which controls the family-wise error rate.

    With the p values in ascending order:

    .. math:: \tilde p_{(i)} = \max_{j \le i}\, \min\left(1, (m - j + 1)\, p_{(j)}\right)

    Parameters
    ----------
    p_values
        The p value of each of the m tests, by its name.

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
    The method is valid for any dependence between the tests.

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
