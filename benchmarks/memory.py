"""Measure the memory that the fit of a large memory-mapped scan takes: ``make bench-memory``.

The scan is a file of 3 GB, with tissue and air. Pages of the file do not count, as the system takes them back when it
needs them; what counts is memory of the process, sampled while it fits, above that of the maps. Writes
``results/memory.json``.
"""

import json
import os
import platform
import re
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import relaxnet as rx
from relaxnet._files import write_text

RESULTS = Path(__file__).parent / "results" / "memory.json"
TIMES_MS = (0.0, 10.0, 30.0, 50.0)
SHAPE = (732, 4, 512, 512)  # slice, time, row, column: 3 GB in single precision
MB = 1e6


def memory_mb() -> float:
    """Return the memory of this process, without pages of files."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024 / MB


def write_scan(path: Path) -> None:
    """Write decays of 45 ms with noise, a third of the voxels air."""
    rng = np.random.default_rng(0)
    decay = 1000 * np.exp(-np.array(TIMES_MS) / 45)[:, None, None] * (np.arange(512) % 3 > 0)
    scan = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=SHAPE)
    for part in scan:
        part[:] = np.hypot(decay + rng.normal(0, 20, part.shape), rng.normal(0, 20, part.shape))


def measure(path: Path) -> dict[str, Any]:
    """Fit the scan, and sample the memory meanwhile."""
    scan = np.load(path, mmap_mode="r")
    rx.fit(scan[:1], TIMES_MS)  # what is loaded and allocated once
    before, peak, done = memory_mb(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, memory_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.perf_counter()
    result = rx.fit(scan, TIMES_MS)
    seconds = time.perf_counter() - begin
    done.set()
    watcher.join()
    arrays = [*result.maps.values(), *result.std.values(), *result.covariances.values(), result.rmse, result.r2]
    maps = sum(array.nbytes for array in (*arrays, result.n_used, result.status)) / MB
    return {
        "scan_mb": round(path.stat().st_size / MB),
        "maps_mb": round(maps),
        "peak_above_maps_mb": round(peak - before - maps),
        "seconds": round(seconds, 1),
        "versions": {"relaxnet": rx.__version__, "torch": torch.__version__, "numpy": np.__version__},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_scan(Path(folder) / "scan.npy")
        found = measure(Path(folder) / "scan.npy")
    write_text(RESULTS, json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
