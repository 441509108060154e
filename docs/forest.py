"""Forest plots of the big tables: each row with its interval, so that one can see what a column of numbers says."""

import json
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from relaxnet.plots import STYLE

RESULTS = Path(__file__).parents[1] / "results"
TABLES = {name: f"laptop-smooth/{name}" for name in ("table2", "losses", "ablation")} | {"texture": "laptop/table2"}
"""The results by the name of their picture."""
LABELS = {"t1rho": "T1rho", "t2": "T2"}


def write(folder: Path) -> None:
    """Draw all of them.

    Parameters
    ----------
    folder
        Where the pictures go.
    """
    for name, result in TABLES.items():
        text = (RESULTS / f"{result}.json").read_text(encoding="utf-8")
        with rc_context(STYLE):
            draw(json.loads(text)).savefig(folder / f"forest-{name}.svg")


def draw(result: dict[str, Any]) -> Figure:
    """Draw the error of each row against the truth, with its 95 % interval over subjects.

    Parameters
    ----------
    result
        The result of an experiment.

    Returns
    -------
    Figure
        One panel for each contrast.
    """
    rows = {name: row for name, row in result["rows"].items() if name != "truth" and _entry(row, "t1rho")}
    figure = Figure(figsize=(180 / 25.4, 0.6 + 0.18 * len(rows)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, sign, (contrast, label) in zip(panels, "ab", LABELS.items(), strict=True):
        for height, row in enumerate(rows.values()):
            entry = _entry(row, contrast)
            low, high = entry["ci95"]
            panel.plot((low, high), (height, height), "C0", linewidth=1.5)
            panel.plot(entry["mean"], height, "o", color="C0")
        reference = _entry(result["rows"].get("nlls-4", {"entries": []}), contrast)
        if reference:
            panel.axvline(reference["mean"], color="0.6", linestyle=":")
        panel.set_title(f"({sign}) {label}")
        panel.set_xlabel("mean absolute error (ms)")
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
        panel.grid(axis="y", color="0.92")
    panels[0].set_yticks(range(len(rows)), [row["label"] for row in rows.values()])
    panels[0].invert_yaxis()
    return figure


def _entry(row: dict[str, Any], contrast: str) -> dict[str, Any] | None:
    """Find the error of a row over all its inputs."""
    for entry in row["entries"]:
        over_all = entry["inputs"] in ("mean of input sets", "all images")
        if over_all and entry["contrast"] == contrast and entry["against"] == "truth":
            return dict(entry)
    return None
