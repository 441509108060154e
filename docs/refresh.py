"""Put the table of the demo into the README; with ``--demo``, run the demo for its figure and table first."""

import shutil
import sys
import tempfile
from pathlib import Path

from relaxnet.workflows import demo

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DEMO = ROOT / "docs" / "demo"


def with_tables(readme: str) -> str:
    """Put the table between its markers.

    Parameters
    ----------
    readme
        The text of the README.

    Returns
    -------
    str
        The same with the table as it is now.
    """
    begin, end = "<!-- demo table -->\n", "<!-- /demo table -->"
    before, _, rest = readme.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{(DEMO / 'table.md').read_text(encoding='utf-8').strip()}\n\n{end}{after}"


if __name__ == "__main__":
    if "--demo" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            demo(folder, log=lambda line: print(line, file=sys.stderr))
            for name in ("maps.png", "results.json", "table.md"):
                shutil.copy(Path(folder) / name, DEMO / name)
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
