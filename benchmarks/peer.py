"""What the scripts of other packages share: ``peer_NAME.py IN.npz OUT.npz``, called in an environment of its own.

The first file holds ``signal`` (voxel, time) and ``times_ms``; T of each fit is written into the other, NaN where a
package says that it failed. The last line that is printed tells the version and the seconds of the processor.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

START_MS = 40.0
"""Where T of an iterative fit starts, if it has to be told; the amplitude is that of the first image."""

Fit = Callable[[np.ndarray, np.ndarray], np.ndarray]


def measure(package: str, fits: dict[str, Fit]) -> None:
    """Run each fit of signals and times once to warm up and to keep its T, and three times for the median."""
    source, target = sys.argv[1:]
    with np.load(source) as data:
        given = data["signal"], data["times_ms"]
    found, seconds = {}, {}
    for name, fit in fits.items():
        found[name], spent = fit(*given), []
        for _ in range(3):
            start = time.process_time()
            fit(*given)
            spent.append(time.process_time() - start)
        seconds[name] = statistics.median(spent)
    np.savez(target, **found)
    print(json.dumps({"version": version(package), "seconds": seconds}))
