"""Measure how many voxels the fits take per second: ``make bench``, or ``make bench-peers`` with other packages.

All are measured in one run, one after the other, so that their ratios are reliable even on a shared machine; one pass
of ``torch.exp`` over the same samples shows how fast the machine is. Prints a table, writes ``results/fitting.json``
and ``results/fitting.md``, and draws ``results/fitting.png``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import torch
from matplotlib.figure import Figure
from scipy.optimize import OptimizeWarning, curve_fit

import relaxnet as rx
from relaxnet._files import replacing, write_text

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "fitting.json"
PICTURE = HERE / "results" / "fitting.png"

TIMES_MS = (0.0, 10.0, 30.0, 50.0)
N_VOXELS = 1_000_000
NUMBERS_OF_VOXELS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
NUMBERS_OF_TIMES = (3, 4, 6, 8, 16, 32)
SNR = 50
SEED = 0

EXP = "one pass of torch.exp"
BARE = "relaxnet, maps only"
FULL = "relaxnet, with std, r2, rmse and status"
QMRPY = "qmrpy T1Rho"
Action = Callable[[torch.Tensor, tuple[float, ...]], object]


def scipy_loop(signal: torch.Tensor, times_ms: tuple[float, ...], **options: Any) -> object:
    """Fit voxel by voxel, as most tools do."""
    x = np.array(times_ms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)  # a fit of noise has no covariance
        return [
            curve_fit(lambda time, m0, t: m0 * np.exp(-time / t), x, voxel, (voxel[0], 40.0), **options)
            for voxel in signal.double().numpy()
        ]


def exp_once(signal: torch.Tensor, times_ms: tuple[float, ...]) -> object:
    """Evaluate one exponential for each sample, to see how fast the machine is."""
    del times_ms
    return torch.exp(-signal)


SIGMA = 100 / SNR
FAST: dict[str, Action] = {EXP: exp_once, BARE: partial(rx.fit, maps_only=True), FULL: rx.fit}
OTHER_METHODS: dict[str, Action] = {
    "relaxnet, two-point": partial(rx.fit, method="two-point"),
    "relaxnet, log-linear": partial(rx.fit, method="log-linear"),
    "relaxnet, Rician likelihood": partial(rx.fit, method="rician", sigma=SIGMA),
}
LOOPS: dict[str, Action] = {
    "scipy curve_fit": scipy_loop,
    "scipy curve_fit, bounded": partial(scipy_loop, bounds=([0, 1], [1e4, 500])),
}


def simulate(n_voxels: int, times_ms: tuple[float, ...]) -> torch.Tensor:
    """Simulate (voxel, time) with T of 20 to 80 ms."""
    generator = torch.Generator().manual_seed(SEED)
    t = 20 + 60 * torch.rand(n_voxels, generator=generator)
    clean = rx.signals.MonoExponential()(torch.full_like(t, 100.0), t, times_ms)
    return rx.signals.add_noise(clean, sigma=SIGMA, kind="rician", generator=generator)


def rate(action: Action, n_voxels: int, times_ms: tuple[float, ...] = TIMES_MS, *, seconds: float = 2.0) -> float:
    """Measure voxels per second: the best of several runs, as other load on the machine only slows a run down."""
    signal = simulate(n_voxels, times_ms)
    best, begin = float("inf"), time.perf_counter()
    while True:
        start = time.perf_counter()
        action(signal, times_ms)
        end = time.perf_counter()
        best = min(best, end - start)
        if end - begin > seconds:
            return n_voxels / best


def spread(n_times: int) -> tuple[float, ...]:
    """Spread times evenly over the paper's range."""
    return tuple(np.linspace(0, TIMES_MS[-1], n_times).tolist())


def qmrpy_rates(python: str, numbers: list[int]) -> dict[int, float]:
    """Measure qmrpy in an environment of its own, on the same signals."""
    rates = {}
    for n_voxels in numbers:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "signal.npy"
            np.save(path, simulate(n_voxels, TIMES_MS).double().numpy())
            command = [python, str(HERE / "peer_qmrpy.py"), str(path), json.dumps(TIMES_MS)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 (ours)
        rates[n_voxels] = n_voxels / float(answer.splitlines()[-1])
    return rates


def main() -> None:
    """Measure, print, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qmrpy-python", metavar="PYTHON", help="an interpreter that has qmrpy, to measure it, too")
    arguments = parser.parse_args()

    small = [n for n in NUMBERS_OF_VOXELS if n <= 10_000]
    by_voxels: dict[str, dict[int, float]] = {}
    if arguments.qmrpy_python:
        by_voxels[QMRPY] = qmrpy_rates(arguments.qmrpy_python, small)
        say(QMRPY)
    for name, action in LOOPS.items():
        by_voxels[name] = {n: rate(action, n, seconds=0) for n in small}
        say(name)
    for name, action in FAST.items():
        by_voxels[name] = {n: rate(action, n) for n in NUMBERS_OF_VOXELS}
        say(name)
    others = {name: rate(action, N_VOXELS) for name, action in OTHER_METHODS.items()}
    say("other methods")
    by_times = {name: {n: rate(action, N_VOXELS, spread(n)) for n in NUMBERS_OF_TIMES} for name, action in FAST.items()}

    outcome = {
        "command": "make bench-peers" if arguments.qmrpy_python else "make bench",
        "voxels_per_second": {
            name: rates[max(rates)] if max(rates) < N_VOXELS else rates[N_VOXELS] for name, rates in by_voxels.items()
        }
        | others,
        "by_number_of_voxels": by_voxels,
        "by_number_of_times": by_times,
        "times_ms": TIMES_MS,
        "n_voxels": N_VOXELS,
        "snr": SNR,
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
    write_text(RESULTS, json.dumps(_rounded(outcome), indent=2) + "\n")
    text = table(outcome["voxels_per_second"])
    write_text(RESULTS.with_suffix(".md"), text + "\n")
    print(text)
    with replacing(PICTURE) as temporary:
        draw(outcome).savefig(temporary, format="png", dpi=150)
    say(f"written to {RESULTS} and {PICTURE}")


def table(rates: dict[str, float]) -> str:
    """Write rates as a Markdown table, fastest first, and as multiples of qmrpy's or, without it, of the slowest."""
    unit = QMRPY if QMRPY in rates else min(rates, key=rates.__getitem__)
    lines = [f"| a million voxels (ten thousand in loops) | voxels/s | {unit} = 1 |", "| --- | ---: | ---: |"]
    for name, value in sorted(rates.items(), key=lambda item: -item[1]):
        lines.append(f"| {name} | {float(f'{value:.3g}'):,.0f} | {float(f'{value / rates[unit]:.2g}'):,g} |")
    return "\n".join(lines)


def draw(outcome: dict[str, Any]) -> Figure:
    """Draw rates against the number of voxels and of times."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    names = list(outcome["by_number_of_voxels"])
    for axes, key in ((left, "by_number_of_voxels"), (right, "by_number_of_times")):
        for name, rates in outcome[key].items():
            x = [int(n) for n in rates]
            style = {"color": "0.6", "linestyle": ":"} if name == EXP else {"color": f"C{names.index(name)}"}
            axes.loglog(x, list(rates.values()), marker="o", markersize=4, label=name, **style)
        axes.grid(alpha=0.3)
    left.set(xlabel="voxels, of four times each", ylabel="voxels per second")
    right.set(xlabel="times, of one million voxels", xticks=NUMBERS_OF_TIMES, xticklabels=NUMBERS_OF_TIMES)
    right.minorticks_off()
    figure.legend(*left.get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def say(line: str) -> None:
    """Print a line about the progress of the run."""
    print(line, file=sys.stderr)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return round(value) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
