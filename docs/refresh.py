"""Put the table of the demo into the README; with ``--demo``, run the demo for its figure and table first."""

import shutil
import sys
import tempfile
from pathlib import Path

from relaxnet.workflows import demo

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DEMO = ROOT / "docs" / "demo"


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


def readme() -> str:
    """Return the README with the table of the demo as it is now."""
    table = (DEMO / "table.md").read_text(encoding="utf-8")
    return with_table(README.read_text(encoding="utf-8"), "demo table", table)


if __name__ == "__main__":
    if "--demo" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            demo(folder, log=lambda line: print(line, file=sys.stderr))
            for name in ("maps.png", "results.json", "table.md"):
                shutil.copy(Path(folder) / name, DEMO / name)
    README.write_text(readme(), encoding="utf-8")
