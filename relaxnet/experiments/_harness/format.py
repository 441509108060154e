"""Tables of a result: what they are, and how numbers are written in them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

NAMES = {"t1rho": "T1rho", "t2": "T2", "truth": "the truth", "reference": "the four-image fit"}
"""Names in tables of contrasts, and of what maps are compared with."""
Row = Mapping[str, Any]
"""A row of a result, with its ``entries``."""
Show = Callable[[dict[str, Any]], str]
"""Writes an entry as text."""
_LABEL = {"label": ""}


@dataclass(frozen=True)
class Table:
    """A table to read."""

    title: str
    """Title of the table."""
    header: tuple[str, ...]
    """Names of the columns."""
    rows: list[tuple[str, ...]]
    """Text of the cells."""
    note: str = ""
    """Note below the table."""

    def markdown(self) -> str:
        """Write it as Markdown, without its title.

        Returns
        -------
        str
            The table, and its note.
        """
        lines = [self.header, [":---", *["---:"] * (len(self.header) - 1)], *self.rows]
        text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return f"{text}\n\n{self.note}" if self.note else text

    def latex(self) -> str:
        """Write it as LaTeX, for the package ``booktabs``.

        Returns
        -------
        str
            The table, with title and note.
        """
        note = [f"\\par\\footnotesize {_escaped(self.note)}"] if self.note else []
        return "\n".join([
            r"\begin{table}",
            f"\\caption{{{_escaped(self.title)}}}",
            f"\\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}",
            r"\toprule",
            _row(self.header),
            r"\midrule",
            *map(_row, self.rows),
            r"\bottomrule",
            r"\end{tabular}",
            *note,
            r"\end{table}",
        ])  # fmt: skip


def figure_latex(name: str, caption: str) -> str:
    """Write a figure as LaTeX, for the package ``graphicx``.

    Parameters
    ----------
    name
        Name of its file, without the suffix: LaTeX takes the format that is there.
    caption
        What it shows.

    Returns
    -------
    str
        The figure with its caption.
    """
    lines = (r"\begin{figure}", f"\\includegraphics{{{name}}}", f"\\caption{{{_escaped(caption)}}}", r"\end{figure}")
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(_escaped(cell) for cell in cells) + r" \\"


def _escaped(text: str) -> str:
    for sign in "&%_#":
        text = text.replace(sign, f"\\{sign}")
    return text


@dataclass(frozen=True)
class Column:
    """A column of a table of a result."""

    title: str
    """Title of the column."""
    show: Show
    """Writes the entry of a row."""
    wanted: Mapping[str, Any]
    """Keys and values by which :func:`find` finds the entry."""


def columns(shows: Mapping[str, Show], *, names: Mapping[str, str] | None = None, **wanted: Any) -> list[Column]:
    """Make columns for all combinations of some values.

    Parameters
    ----------
    shows
        Functions that format an entry, by the title of the column, in which ``{contrast}`` stands for the name of the
        contrast.
    names
        Names of values in titles, beside :data:`NAMES`.
    **wanted
        By the key of an entry, such as ``contrast``, one value or a tuple of values.

    Returns
    -------
    list of Column
        The columns; the last of the values changes first.
    """
    known = NAMES | dict(names or {})
    values = [value if isinstance(value, tuple) else (value,) for value in wanted.values()]
    return [
        Column(title.format(**{key: known.get(value, value) for key, value in about.items()}), show, about)
        for about in (dict(zip(wanted, chosen, strict=True)) for chosen in product(*values))
        for title, show in shows.items()
    ]


def table(
    title: str, rows: Iterable[Row], columns: Sequence[Column], note: str = "", *, labels: Mapping[str, str] = _LABEL
) -> Table:
    """Make a table of rows of a result.

    Parameters
    ----------
    title
        Title of the table.
    rows
        The rows, with their ``entries``.
    columns
        The columns. A row without the entry has an empty cell.
    note
        Note below the table.
    labels
        Which texts of a row stand before its entries, and the titles of these columns; by default its ``label``.

    Returns
    -------
    Table
        The table.
    """
    cells = [(*(row[key] for key in labels), *(_cell(row, column) for column in columns)) for row in rows]
    return Table(title, (*labels.values(), *(column.title for column in columns)), cells, note)


def _cell(row: Row, column: Column) -> str:
    entry = find(row, **column.wanted)
    return "" if entry is None else column.show(entry)


def find(row: Row, **wanted: Any) -> dict[str, Any] | None:
    """Find the entry of a row that is about something.

    Parameters
    ----------
    row
        A row of a result.
    **wanted
        Keys and values of the entry.

    Returns
    -------
    dict
        The first such entry; ``None`` without one.
    """
    return next((e for e in row["entries"] if all(e.get(key) == value for key, value in wanted.items())), None)


def of_entry(entry: Mapping[str, Any] | None, digits: int = 2, sign: str = "") -> str:
    """Write a mean with its interval.

    Parameters
    ----------
    entry
        What has a ``mean`` and a ``ci95``.
    digits
        Digits behind the point.
    sign
        ``"+"`` to write signs.

    Returns
    -------
    str
        ``"3.28 [3.10, 3.47]"``; empty without an entry.
    """
    if entry is None:
        return ""
    mean, low, high = (f"{number:{sign}.{digits}f}" for number in (entry["mean"], *entry["ci95"]))
    return f"{mean} [{low}, {high}]"


def of_difference(entry: Mapping[str, Any]) -> str:
    """Write how an entry differs from that of another row.

    Parameters
    ----------
    entry
        The entry.

    Returns
    -------
    str
        ``"-0.17 [-0.25, -0.09], p 0.004"``; empty for that row itself.
    """
    if "difference" not in entry:
        return ""
    difference = entry["difference"]
    p = "p < 0.001" if difference["p"] < 0.001 else f"p {difference['p']:.3f}"
    return f"{of_entry(difference, sign='+')}, {p}"


def of_ratio(entry: Mapping[str, Any]) -> str:
    """Write the ratio of an entry to that of another row.

    Parameters
    ----------
    entry
        The entry.

    Returns
    -------
    str
        ``"0.76 [0.70, 0.84]"``; ``"1"`` for that row itself.
    """
    return of_entry(entry["ratio"]) if "ratio" in entry else "1"


def of_number(key: str, spec: str) -> Show:
    """Make a function that writes a number of an entry.

    Parameters
    ----------
    key
        Key of the number.
    spec
        Format of the number, such as ``".2f"``.

    Returns
    -------
    Callable
        Writes it; empty where the entry has none.
    """
    return lambda entry: "" if entry.get(key) is None else format(entry[key], spec)
