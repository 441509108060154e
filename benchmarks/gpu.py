"""Measure the fits, a training step and a prediction on a GPU, after its tests: ``make bench-gpu``.

Takes less than eight minutes on a GPU. Without one, it runs at a tiny size on the processor, to show that it works.
Prints a table; on a GPU, or with ``--out``, it writes a file, too.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import networks
import torch

import relaxnet as rx
from relaxnet._files import write_text
from relaxnet.fitting._core import fused

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "gpu.json"
TESTS = ("tests/fitting/test_fused.py", "tests/test_devices.py")
CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
TIMES_MS = (0.0, 10.0, 30.0, 50.0)
N_VOXELS = 2**26 if CUDA else 2**12
SHAPE, BATCH = ((256, 256), 4) if CUDA else ((32, 32), 1)
REPEATS = 5
SEED = 0
BYTES_OF_RESULTS = 7 * 4 + 1 + 2  # of a voxel: seven maps, status and number of samples
BYTES_OF_MAPS = 2 * 4 + 1 + 2


@contextmanager
def plain_torch():
    """Fit without a compiled kernel."""
    least, fused.LEAST_VOXELS = fused.LEAST_VOXELS, math.inf
    try:
        yield
    finally:
        fused.LEAST_VOXELS = least


def seconds_of(action: Callable[[], object]) -> float:
    """Return the shortest time of some runs, after one that compiles what needs to be."""
    action()
    found = []
    for _ in range(REPEATS):
        wait()
        begin = time.perf_counter()
        action()
        wait()
        found.append(time.perf_counter() - begin)
    return min(found)


def wait() -> None:
    """Wait for the device."""
    if CUDA:
        torch.cuda.synchronize()


def tissue(n: int, snr: float) -> torch.Tensor:
    """Simulate voxels of tissue, T 20 to 80 ms; with an SNR of 0, air."""
    generator = torch.Generator(DEVICE).manual_seed(SEED)
    t = 20 + 60 * torch.rand(n, generator=generator, device=DEVICE)
    clean = torch.exp(-torch.tensor(TIMES_MS, device=DEVICE)[:, None] / t) * (snr > 0)
    noise = torch.randn(2, *clean.shape, generator=generator, device=DEVICE) / (snr or 20)
    return torch.hypot(clean + noise[0], noise[1])


def measure_fits() -> dict[str, dict[str, float]]:
    """Measure voxels per second, and the part of the memory bandwidth that reading and writing them once takes."""
    block = torch.empty(len(TIMES_MS) * N_VOXELS, device=DEVICE)
    into = torch.empty_like(block)
    bandwidth = 2 * block.numel() * 4 / seconds_of(lambda: into.copy_(block))
    rows = {"memory copy": {"bytes_per_second": bandwidth}}
    del block, into

    def note(name: str, signal: object, n: int, n_bytes: int, **options: object) -> None:
        per_second = n / seconds_of(lambda: rx.fit(signal, TIMES_MS, dim=0, **options))
        share = per_second * (4 * len(TIMES_MS) + n_bytes) / bandwidth
        rows[name] = {"voxels_per_second": per_second, "part_of_bandwidth": share}

    for snr, kind in ((50, "tissue"), (5, "tissue, SNR 5"), (0, "air")):
        signal = tissue(N_VOXELS, snr)
        note(kind, signal, N_VOXELS, BYTES_OF_RESULTS)
        note(f"{kind}, maps only", signal, N_VOXELS, BYTES_OF_MAPS, maps_only=True)
        with plain_torch():
            few = signal[:, : N_VOXELS // 16].contiguous()
            note(f"{kind}, plain torch", few, few.shape[1], BYTES_OF_RESULTS)
    host = tissue(N_VOXELS, 50).cpu()
    moved = seconds_of(lambda: rx.fit(host.to(DEVICE), TIMES_MS, dim=0).numpy())
    rows["tissue, moved from host memory and back"] = {"voxels_per_second": N_VOXELS / moved}
    brought = seconds_of(lambda: rx.fit(host, TIMES_MS, dim=0, device=DEVICE))
    rows["tissue, brought over from host memory in blocks"] = {"voxels_per_second": N_VOXELS / brought}
    return rows


def test() -> str:
    """Run the tests of the kernel where there is one to test; return their last line."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", *TESTS]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(run.stdout[-2000:])
    return run.stdout.strip().splitlines()[-1]


def main() -> None:
    """Test, measure, and write down what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS if CUDA else None, help="file of the results")
    parser.add_argument("--no-tests", action="store_true", help="measure only")
    arguments = parser.parse_args()
    outcome = {
        "device": torch.cuda.get_device_name() if CUDA else f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("relaxnet", "torch", "numpy")},
        "command": f"python benchmarks/gpu.py{' --no-tests' * arguments.no_tests}",
        "n_voxels": N_VOXELS,
        "times_ms": TIMES_MS,
        "shape": [BATCH, *SHAPE],
        "tests": None if arguments.no_tests else test(),
        "fits": measure_fits(),
        "networks": {"a batch": networks.measure(DEVICE, SHAPE, BATCH, seconds_of)},
    }
    for name, row in (outcome["fits"] | outcome["networks"]).items():
        print(f"{name:40s}", ", ".join(f"{key} {value:.3g}" for key, value in row.items()))
    if arguments.out:
        write_text(arguments.out, json.dumps(outcome, indent=1) + "\n")


if __name__ == "__main__":
    main()
