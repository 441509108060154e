"""Run the demo, and put its figure, table and numbers here and into the README. Called by ``make readme``."""

import shutil
import sys
import tempfile
from pathlib import Path

from relaxnet._demo import run

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
BEGIN, END = "<!-- demo table -->\n", "<!-- /demo table -->"


def splice(readme: str, table: str) -> str:
    """Put a table between the markers of the README."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n\n{END}{after}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Path(folder), say=lambda line: print(line, file=sys.stderr))
        for name in ("maps.png", "results.json", "table.md"):
            shutil.copy(Path(folder) / name, HERE / name)
    README.write_text(splice(README.read_text(encoding="utf-8"), outcome.table), encoding="utf-8")
