"""A report as data, and as HTML."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relaxnet.errors import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK = "#010203"  # a colour that no figure uses: it becomes that of the text around, light or dark
_INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
_STYLE = {
    **dict.fromkeys(_INKED, _INK),
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "relaxnet",
    "font.family": "sans-serif",
    "font.sans-serif": ["Arial", "DejaVu Sans"],
}
_SVG_DPI = 150


@dataclass(frozen=True)
class Picture:
    """A figure of a report."""

    draw: "Callable[[], Figure]"
    """What makes it, once the colours are set."""
    caption: str
    """What it shows; read aloud in its place, too."""
    wide: bool = False
    """Whether it takes the whole width."""


@dataclass(frozen=True)
class Table:
    """A table of a report."""

    header: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a report under a heading."""

    title: str
    text: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Page:
    """A report."""

    title: str
    lead: str
    sections: tuple[Section, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()


def render(page: Page) -> str:
    """Make the HTML of a report; whatever comes from outside is escaped."""
    jinja2 = require("jinja2", extra="report")
    template = files(__package__).joinpath("page.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"cell": cell, "is_number": _is_number}
    counter = count()
    environment.globals["svg"] = lambda picture: svg(picture, f"f{next(counter)}")
    html: str = environment.from_string(template).render(page=page)
    return html


def report_path(picture: Path, of: str | None = None) -> Path:
    """Return the path of a report beside a picture; ``of`` says of what it is where that is not a single map.

    A MissingExtraError says what reports need if it is not there, before anything is computed.

    Examples
    --------
    >>> report_path(Path("out/scan_T1rho.png")).name, report_path(Path("out/scan_T1rho.png"), "joint").name
    ('scan_T1rho.html', 'scan_joint.html')
    """
    require("jinja2", extra="report")
    return picture.with_name(f"{picture.stem.rpartition('_')[0]}_{of}.html" if of else f"{picture.stem}.html")


def write_report(make: Callable[[], Page], path: Path) -> None:
    """Write the report that a function makes; it is made when its file is written, the last of all."""
    path.write_text(render(make()), encoding="utf-8")


def cell(value: Any) -> str:
    """Write a value in a table; what is missing is a dash."""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}" if np.isfinite(value) else "–"
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def svg(picture: Picture, prefix: str) -> str:
    """Draw a picture as SVG to be put into HTML, with ids of its own and in the colour of the text."""
    stream = io.StringIO()
    with require("matplotlib", extra="plot").rc_context(_STYLE):
        picture.draw().savefig(stream, format="svg", dpi=_SVG_DPI, metadata={"Date": None})
    svg = re.sub(r"<metadata>.*?</metadata>", "", stream.getvalue(), flags=re.DOTALL)
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r'(?<=\sid=")', f"{prefix}-", svg)
    svg = re.sub(r'(?<=url\(#)|(?<=href="#)', f"{prefix}-", svg)
    svg = re.sub(r'(<image\b[^>]*?) id="[^"]*"', r"\1", svg)  # it follows from the content, which may be there twice
    width, height = (float(found) for found in re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2])
    svg = re.sub(r'(?:width|height)="[\d.]+pt" ?', "", svg, count=2)
    return svg.replace("<svg ", f'<svg role="img" style="aspect-ratio: {width:g} / {height:g}" ', 1)


def provenance_section(made: Mapping[str, Any]) -> Section:
    """Make the section that says how a result came about, from its record."""
    rows = [
        ("outcome", made["Outcome"]),
        ("date", made["Date"]),
        ("duration", f"{made['DurationSeconds']:.1f} s"),
        ("versions", ", ".join(f"{name} {number}" for name, number in made["Versions"].items())),
        ("command", made["CommandLine"]),
        *((name, ", ".join(file["Name"] for file in files)) for name, files in made["Inputs"].items()),
        *((name, _plain(value)) for name, value in made["Settings"].items()),
    ]
    return Section("How it was made", tables=(Table((), [row for row in rows if row[1] is not None]),))


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_plain(held)}" for key, held in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
