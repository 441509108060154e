"""Put the tables of demo and speed into the README; with ``--demo``, run the demo for its figure and table first."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from relaxnet.workflows import demo

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DEMO = ROOT / "docs" / "demo"
SPEED = ROOT / "benchmarks" / "results" / "fitting.json"
INPUTS = {
    "tissue, T 20-80 ms, SNR 50": "tissue, 4 images",
    "air": "air, 4 images",
    "a whole slice of the digital liver": "a whole slice, 4 images",
}
WAYS = {
    "torch": "least squares, in torch",
    "compiled": "the same, compiled (extra `fast`)",
    "control": "a loop compiled by numba, T and amplitude only",
}


def with_table(text: str, name: str, table: str) -> str:
    """Put a table between its markers.

    Parameters
    ----------
    text
        The text of a page.
    name
        What the markers are called.
    table
        The table.

    Returns
    -------
    str
        The text with the table as it is now.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{table.strip()}\n\n{end}{after}"


def speed() -> str:
    """Write how many million voxels a second are fitted.

    Returns
    -------
    str
        A Markdown table.
    """
    measured = json.loads(SPEED.read_text(encoding="utf-8"))
    rows = {label: [f"{1e3 / measured['inputs'][name][way]:.1f}" for name in INPUTS] for way, label in WAYS.items()}
    loop = f"{1e3 / measured['peers']['scipy curve_fit']['ns']:.3f}"
    rows["a loop over `scipy.optimize.curve_fit`"] = [loop, *[""] * (len(INPUTS) - 1)]
    lines = [
        f"| million voxels a second, one core | {' | '.join(INPUTS.values())} |",
        f"| --- |{' ---: |' * len(INPUTS)}",
    ]
    return "\n".join([*lines, *(f"| {label} | {' | '.join(cells)} |" for label, cells in rows.items())])


def readme() -> str:
    """Return the README with both tables as they are now."""
    table = (DEMO / "table.md").read_text(encoding="utf-8")
    with_demo = with_table(README.read_text(encoding="utf-8"), "demo table", table)
    return with_table(with_demo, "speed table", speed())


if __name__ == "__main__":
    if "--demo" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            demo(folder, log=lambda line: print(line, file=sys.stderr))
            for name in ("maps.png", "results.json", "table.md"):
                shutil.copy(Path(folder) / name, DEMO / name)
    README.write_text(readme(), encoding="utf-8")
