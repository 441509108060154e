"""Objects that show themselves: as a table of text, and as one of HTML in a notebook."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple


class Section(NamedTuple):
    """A table with a title."""

    title: str
    rows: Sequence[Sequence[object]]
    """Cells; the first one of a row says what the others are."""
    head: Sequence[str] = ()
    """Titles of the columns after the first."""


class Displayed:
    """Base class of what has a summary."""

    __slots__ = ()

    @abstractmethod
    def _sections(self) -> Iterable[Section]:
        """Say what there is to know, in tables."""

    def summary(self) -> str:
        """Summarise what this is in a short table.

        Returns
        -------
        str
            Lines of text; a notebook shows the same as a table.
        """
        return "\n".join(_text(section) for section in self._sections())

    def _repr_html_(self) -> str:
        return "".join(_html(section) for section in self._sections())


def _text(section: Section) -> str:
    rows = [("", *section.head)] * bool(section.head) + [tuple(map(str, row)) for row in section.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join([section.title, *(f"  {line}" for line in lines)])


def _html(section: Section) -> str:
    def row(kind: str, cells: Iterable[object]) -> str:
        first, *others = (escape(str(cell)) for cell in cells)
        return f"<tr><th>{first}</th>{''.join(f'<{kind}>{cell}</{kind}>' for cell in others)}</tr>"

    head = row("th", ("", *section.head)) if section.head else ""
    body = "".join(row("td", cells) for cells in section.rows)
    return f"<table><caption>{escape(section.title)}</caption>{head}{body}</table>"
