"""Put the tables of committed results into the README; with ``--demo``, run the demo for its figure and table first."""

import shutil
import sys
import tempfile
from pathlib import Path

from relaxnet._demo import run

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results"
TABLES = {
    "demo": ROOT / "docs" / "demo" / "table.md",
    "speed": RESULTS / "fitting.md",
    "losses": RESULTS / "losses.md",
}


def with_tables(readme: str) -> str:
    """Put each table between its markers."""
    for name, path in TABLES.items():
        begin, end = f"<!-- {name} table -->\n", f"<!-- /{name} table -->"
        before, _, rest = readme.partition(begin)
        _, _, after = rest.partition(end)
        readme = f"{before}{begin}\n{path.read_text(encoding='utf-8').strip()}\n\n{end}{after}"
    return readme


if __name__ == "__main__":
    if "--demo" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder), say=lambda line: print(line, file=sys.stderr))
            for name in ("maps.png", "results.json", "table.md"):
                shutil.copy(Path(folder) / name, TABLES["demo"].with_name(name))
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
