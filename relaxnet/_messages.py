"""Words for messages: short ones, whatever came, which no terminal takes for an order."""


def brief(value: object, longest: int = 200) -> str:
    """Return a text, or anything else as Python writes it, without its middle where it is long.

    Parameters
    ----------
    value
        The value.
    longest
        Letters that may be returned, beside the number of those left out.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> brief([0.01] * 1_000_000, longest=20)
    '[0.01, 0.0 ... 5999980 letters ... .01, 0.01]'
    """
    text = value if isinstance(value, str) else repr(value)
    n, half = len(text), longest // 2
    return text if n <= longest else f"{text[:half]} ... {n - 2 * half} letters ... {text[n - half :]}"


def printable(text: str) -> str:
    r"""Return a text with whatever moves a cursor, rings a bell or turns the reading direction as its number.

    Parameters
    ----------
    text
        The text, such as the name of a file.

    Returns
    -------
    str
        The text for a terminal.

    Examples
    --------
    >>> print(printable("\x1b[2JMüller\n.nii"))
    \x1b[2JMüller\n.nii
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
