"""How many voxels a second the fits take on this machine: ``make bench``.

All are measured in one run, one after the other, so their ratios mean something even where the machine is shared; one
pass of ``torch.exp`` over the same samples stands for the machine. Prints a table and writes ``results/fitting.json``.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy
import scipy.optimize
import torch

import relaxnet as rx
from relaxnet._files import write_text

TIMES_MS = (0.0, 10.0, 30.0, 50.0)
N_VOXELS = 1_000_000
N_SCIPY = 2_000
REPEATS = 5
SEED = 0
RESULTS = Path(__file__).parent / "results" / "fitting.json"


def main() -> None:
    """Measure, print and write."""
    generator = torch.Generator().manual_seed(SEED)
    t = 20 + 60 * torch.rand(N_VOXELS, generator=generator)
    clean = rx.signals.MonoExponential()(torch.full_like(t, 100.0), t, TIMES_MS)
    signal = rx.signals.add_noise(clean, sigma=2.0, generator=generator)
    few = signal[:N_SCIPY].double().numpy()

    rates = {
        "one pass of torch.exp": N_VOXELS / best_time(lambda: torch.exp(-signal)),
        "rx.fit, nlls": N_VOXELS / best_time(lambda: rx.fit(signal, TIMES_MS)),
        "rx.fit, two-point": N_VOXELS / best_time(lambda: rx.fit(signal, TIMES_MS, method="two-point")),
        "scipy curve_fit, one voxel after another": N_SCIPY / best_time(lambda: scipy_loop(few), repeats=1),
    }
    slowest = min(rates.values())
    for name, rate in rates.items():
        print(f"{name:<42}{rate:>14,.0f} voxels/s{rate / slowest:>12,.0f} x")
    outcome = {
        "command": "make bench",
        "voxels_per_second": {name: round(rate) for name, rate in rates.items()},
        "times_ms": TIMES_MS,
        "dtype": "float32",
        "seed": SEED,
        "versions": {
            "relaxnet": rx.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "python": platform.python_version(),
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
    }
    write_text(RESULTS, json.dumps(outcome, indent=2) + "\n")
    print(f"written to {RESULTS}", file=sys.stderr)


def best_time(action: Callable[[], object], repeats: int = REPEATS) -> float:
    """Time an action a few times and take the best: what slows a run down is not the action."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def scipy_loop(signal: np.ndarray) -> None:
    """Fit voxel by voxel, as most tools do."""
    x = np.array(TIMES_MS)
    for voxel in signal:
        scipy.optimize.curve_fit(lambda time, m0, t: m0 * np.exp(-time / t), x, voxel, p0=(voxel[0], 40.0))


if __name__ == "__main__":
    main()
