"""Put the table of errors into the article, ``paper/paper.md``: ``python docs/joss.py``."""

import json
from pathlib import Path

from refresh import with_table

ROOT = Path(__file__).parents[1]
ARTICLE = ROOT / "paper" / "paper.md"
ROWS = {
    "two-point": ("Two-point fit", 3),
    "nlls-4": ("Least squares, the reference", 7),
    "low-rank-then-fit-7": ("Local low rank, then joint fit", 7),
    "homou": ("Network, trained as in the paper", 3),
    "held-out-orthogonal": ("Network, default", 3),
    "spatial-3": ("Spatial fit", 3),
    "spatial-7": ("Spatial fit", 7),
    "floor-3": ("Bayes floor", 3),
    "floor-7": ("Bayes floor", 7),
}


def table() -> str:
    """Write the errors of some methods against the truth.

    Returns
    -------
    str
        A Markdown table.
    """
    rows = json.loads((ROOT / "results" / "laptop" / "table2.json").read_text(encoding="utf-8"))["rows"]
    lines = ["| method | images | T1rho (ms) | T2 (ms) |", "| :--- | ---: | ---: | ---: |"]
    for name, (label, images) in ROWS.items():
        entries = [entry for entry in rows[name]["entries"] if entry["against"] == "truth"]
        errors = {e["contrast"]: e["mean"] for e in entries if e["inputs"] in ("mean of input sets", "all images")}
        lines.append(f"| {label} | {images} | {errors['t1rho']:.2f} | {errors['t2']:.2f} |")
    return "\n".join(lines)


def article() -> str:
    """Return the article with the table as it is now."""
    return with_table(ARTICLE.read_text(encoding="utf-8"), "table", table())


if __name__ == "__main__":
    ARTICLE.write_text(article(), encoding="utf-8")
