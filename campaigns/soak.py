"""Fit, predict, read, write and train in one process for a long time, and see whether anything grows.

After a warm-up of a third of the time, the resident set stays within 10 %, and the number of open files and of threads
stays what it was.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from common import say, table, write

import relaxnet as rx

ALLOWED = 0.1  # growth of the resident set
HEADER = ("minutes", "rounds", "resident set, MiB", "open files", "threads of Python", "threads of the system")
TINY = rx.training.Preset(shape=(32, 32), epochs=2, base=4, depth=2)


def measure(begin: float, rounds: int) -> tuple[float, int, int, int, int, int]:
    """Measure what must not grow, in the order of the header."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    own = Path("/proc/self")
    return (
        round((time.monotonic() - begin) / 60, 1),
        rounds,
        round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20),
        sum(1 for _ in (own / "fd").iterdir()),
        threading.active_count(),
        sum(1 for _ in (own / "task").iterdir()),
    )


def once(folder: Path, seed: int) -> None:
    """Do a little of everything."""
    cohort = rx.phantom.liver_cohort(3, 1, (32, 32), seed=seed)
    rx.io.write_cohort(cohort, folder / "cohort", overwrite=True)
    subjects = rx.io.read_cohort(folder / "cohort")
    scan = folder / "cohort" / "sub-001" / "anat" / "sub-001_images.nii.gz"
    rx.workflows.fit_joint_scan(scan, out=folder / "maps", overwrite=True)
    signal = np.random.default_rng(seed).uniform(1, 100, (100_000, 4)).astype(np.float32)
    for method in ("nlls", "two-point", "log-linear"):
        rx.fit(signal, (0, 10, 30, 50), method=method)
    rx.fit(signal[:5000], (0, 10, 30, 50), method="rician", sigma=5.0)
    trained = rx.training.train(subjects, preset=TINY, progress=False, seed=seed)
    trained.save(folder / "network.safetensors")
    rx.workflows.predict_scan(folder / "network.safetensors", scan, out=folder / "predicted", overwrite=True)


def main() -> None:
    """Work, measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long to go on (default: 10)")
    end_s = parser.parse_args().minutes * 60
    begin, rounds, rows = time.monotonic(), 0, []
    with tempfile.TemporaryDirectory() as folder:
        while (now := time.monotonic() - begin) < end_s:
            once(Path(folder), rounds)
            rounds += 1
            if now >= end_s * (len(rows) + 1) / 10:  # nine rows and the last
                rows.append(measure(begin, rounds))
                say(str(rows[-1]))
    rows.append(measure(begin, rounds))
    warm, last = next(row for row in rows if row[0] * 60 >= end_s / 3), rows[-1]
    grown = [name for name, a, b in zip(HEADER[3:], warm[3:], last[3:], strict=True) if b > a]
    grown += [HEADER[2]] if last[2] > warm[2] * (1 + ALLOWED) else []
    verdict = f"Has grown after the warm-up: {', '.join(grown) or 'nothing'}.\n"
    write("soak", f"{table(HEADER, rows)}\n{verdict}")
    sys.exit(bool(grown))


if __name__ == "__main__":
    main()
