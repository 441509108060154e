"""What an experiment is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relaxnet.experiments._harness.setting import Setting
from relaxnet.experiments._harness.steps import Step

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = Any  # of an extra

Outcomes = Mapping[str, Any]
Result = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A table to read."""

    title: str
    """What it shows."""
    header: tuple[str, ...]
    """Names of the columns."""
    rows: list[tuple[str, ...]]
    """Text of the cells."""
    note: str = ""
    """What to keep in mind."""

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
        rows = [_row(self.header), r"\midrule", *map(_row, self.rows)]
        note = [f"\\par\\footnotesize {_escaped(self.note)}"] if self.note else []
        return "\n".join([
            r"\begin{table}",
            f"\\caption{{{_escaped(self.title)}}}",
            f"\\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}",
            r"\toprule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            *note,
            r"\end{table}",
        ])  # fmt: skip


def _row(cells: Sequence[str]) -> str:
    return " & ".join(_escaped(cell) for cell in cells) + r" \\"


def _escaped(text: str) -> str:
    for sign in "&%_#":
        text = text.replace(sign, f"\\{sign}")
    return text


@dataclass(frozen=True)
class Experiment:
    """A question, what is computed to answer it, and how the answer is shown."""

    title: str
    """What it is."""
    question: str
    """What it asks."""
    steps: Callable[[Setting, int], list[Step]]
    """Plans it, for a size and a number of seeds."""
    result: Callable[[Setting, int, Outcomes], Result]
    """Sums outcomes up: ``rows`` by name, which hold a ``label`` and ``entries``, and what else there is."""
    tables: Callable[[Result], list[Table]]
    """Writes a result as tables."""
    figures: Callable[[Result, Path], dict[str, Figure]] = lambda *_: {}
    """Draws a result, as figures by name; what is too large for a result is in the folder of the outcomes."""
