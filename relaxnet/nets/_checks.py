"""What the options of networks can be."""


def require_positive(**numbers: int) -> None:
    """Refuse numbers below 1.

    Parameters
    ----------
    **numbers
        Numbers by the name of the argument.

    Raises
    ------
    ValueError
        If one is below 1.
    """
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name}={number}: at least 1 is needed.")


def require_known(name: str, option: object, *known: object) -> None:
    """Refuse an option that is unknown.

    Parameters
    ----------
    name
        Name of the argument.
    option
        What came.
    *known
        What it can be.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if option not in known:
        raise ValueError(f"{name}={option!r}: it is {' or '.join(map(repr, known))}.")
