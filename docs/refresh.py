"""Put the tables of committed results into the README; with ``--demo``, run the demo for its figure and table first."""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from relaxnet.experiments import EXPERIMENTS
from relaxnet.experiments._harness.claims import claims_table
from relaxnet.experiments._harness.format import find, of_entry
from relaxnet.workflows._demo import demo

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DEMO = ROOT / "docs" / "demo"
RESULTS = ROOT / "results" / "laptop"


def tables() -> dict[str, str]:
    """Read or write each table of the README."""
    table2, losses = (
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in ("table2", "losses")
    )
    return {
        "demo": (DEMO / "table.md").read_text(encoding="utf-8"),
        "speed": (ROOT / "benchmarks" / "results" / "fitting.md").read_text(encoding="utf-8"),
        "losses": EXPERIMENTS["losses"].load().tables(losses)[0].markdown(),
        "table2": brief(table2),
        "claims": claims_table(table2["claims"]).markdown(),
    }


def brief(table2: dict[str, Any]) -> str:
    """Write the errors of Table II alone, against truth and fit."""
    lines = [
        "| error in the liver (ms) | T1rho, truth | T2, truth | T1rho, fit | T2, fit |",
        "| :--- | ---: | ---: | ---: | ---: |",
    ]
    for row in table2["rows"].values():
        cells = [of_entry(find(row, contrast=c, against=a)) for a in ("truth", "reference") for c in ("t1rho", "t2")]
        lines.append(f"| {' | '.join([row['label'], *cells])} |")
    return "\n".join(lines)


def with_tables(readme: str) -> str:
    """Put each table between its markers."""
    for name, table in tables().items():
        begin, end = f"<!-- {name} table -->\n", f"<!-- /{name} table -->"
        before, _, rest = readme.partition(begin)
        _, _, after = rest.partition(end)
        readme = f"{before}{begin}\n{table.strip()}\n\n{end}{after}"
    return readme


if __name__ == "__main__":
    if "--demo" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            demo(Path(folder), log=lambda line: print(line, file=sys.stderr))
            for name in ("maps.png", "results.json", "table.md"):
                shutil.copy(Path(folder) / name, DEMO / name)
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
