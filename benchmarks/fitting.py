"""Measure what the fits cost a voxel: ``make bench``, or ``make bench-peers`` with other packages, too.

All is measured in one run on one thread. What counts is the time of the processor, a median, so that another program on
the machine hardly matters. Yardsticks are a copy of the samples and one pass of ``torch.exp`` over them, both into
memory that is there, and a control is the loop over voxels that anybody writes with numba. Four images of tissue are
also fitted by other methods and packages, and T is compared with that of least squares in double precision. Some
inputs are fitted on two threads, too, by the processor and by the clock, and in a new process for the memory that this
takes. Prints tables, writes ``results/fitting.json`` and ``results/fitting.md``, and draws ``results/fitting.png``.
"""

import argparse
import ctypes
import json
import multiprocessing
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from fitting_tables import draw, table
from scipy.optimize import OptimizeWarning, curve_fit

import relaxnet as rx
from relaxnet._files import replacing, write_text
from relaxnet.fitting._core import fused

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "fitting.json"
PICTURE = HERE / "results" / "fitting.png"
DATA = Path(os.environ.get("RELAXNET_TEST_DATA", HERE.parents[1] / "shared" / "data"))

TIMES_MS = (0.0, 10.0, 30.0, 50.0)
N_VOXELS = 100_000
N_SLOW = 2_000  # of what takes a millisecond each
N_LARGE = 1_000_000  # so many that what does not grow with them hardly counts in their memory
SEED = 0
TISSUE = "tissue, T 20-80 ms, SNR 50"
SLICE = "a whole slice of"
CLOSER = (TISSUE, "air", f"{SLICE} the digital liver")
"""What is fitted on two threads, and for the memory that this takes."""
IMPLEMENTATIONS = {"torch": np.inf, "compiled": 0}
"""From how many voxels on the compiled fit is used."""
PEERS = {"qmrpy": N_SLOW, "tedana": N_SLOW, **dict.fromkeys(("torchimize", "optimistix", "mrpro"), N_VOXELS)}
"""Other packages, measured by ``peer_NAME.py``, and how many voxels each is given."""
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
REAL = {
    "santini_brain_se": "a brain, 6 echoes",
    "nist_site3_ge_plate5": "a phantom of vials, 8 echoes",
    "qmrlab_brain_mese_small": "a brain, 30 echoes",
}

Row = dict[str, float]
Input = tuple[torch.Tensor, tuple[float, ...], dict[str, Any]]


def train(n: int) -> tuple[float, ...]:
    """Return the times of a train of echoes, 10 ms apart."""
    return tuple(10.0 * k for k in range(1, n + 1))


def tissue(n_voxels: int, times_ms: tuple[float, ...], snr: float) -> torch.Tensor:
    """Simulate (voxel, time) with T of 20 to 80 ms and Rician noise."""
    generator = torch.Generator().manual_seed(SEED)
    t = 20 + 60 * torch.rand(n_voxels, generator=generator)
    clean = rx.signals.MonoExponential()(torch.full_like(t, 100.0), t, times_ms)
    return rx.signals.add_noise(clean, sigma=100 / snr, kind="rician", generator=generator)


def inputs() -> dict[str, Input]:
    """Make what is fitted: tissue, and what else there is in images."""
    generator = torch.Generator().manual_seed(SEED)
    usual = tissue(N_VOXELS, TIMES_MS, 50)
    made: dict[str, Input] = {TISSUE: (usual, TIMES_MS, {})}
    made |= {f"the same, SNR {snr}": (tissue(N_VOXELS, TIMES_MS, snr), TIMES_MS, {}) for snr in (20, 10, 5, 3)}
    made["air"] = torch.randn(N_VOXELS, 4, 2, generator=generator).norm(dim=-1), TIMES_MS, {}
    made["zeros"] = torch.zeros(N_VOXELS, 4), TIMES_MS, {}
    made["constants"] = torch.full((N_VOXELS, 4), 7.0), TIMES_MS, {}
    made["tissue, a noise level by sample"] = (
        usual,
        TIMES_MS,
        {"sigma": 1 + torch.rand(usual.shape, generator=generator)},
    )
    mask = torch.rand(20 * N_VOXELS, generator=generator) < 0.05
    made["tissue, a mask of 5 %, by voxel of it"] = usual.repeat(20, 1), TIMES_MS, {"mask": mask}
    made |= {f"tissue, {n} echoes": (tissue(N_VOXELS, train(n), 50), train(n), {}) for n in (8, 16, 32)}
    subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, snr=20)[0]
    series = rx.protocols.LIVER_T1RHO_T2.images_of("t1rho")
    phantom = torch.as_tensor(subject.images)[:, list(series)].movedim(1, -1).reshape(-1, len(series))
    made[f"{SLICE} the digital liver"] = phantom.float().contiguous(), TIMES_MS, {}
    for name, what in REAL.items():
        if (DATA / f"{name}.npz").exists():
            with np.load(DATA / f"{name}.npz") as data:
                images, times = torch.from_numpy(data["signal"].astype(np.float32)), tuple(data["times_ms"].tolist())
            made[f"{SLICE} {what}"] = images.reshape(-1, len(times)), times, {}
    return made


def cost(
    action: Callable[[], object], n: int, *, repeat: int = 5, clock: Callable[[], float] = time.process_time
) -> float:
    """Measure nanoseconds of the processor a voxel: the median of several runs after a first one."""
    action()
    spent = []
    for _ in range(repeat):
        start = clock()
        action()
        spent.append(clock() - start)
    return statistics.median(spent) / n * 1e9


def with_implementation(
    name: str, signal: torch.Tensor, times_ms: tuple[float, ...] | rx.Protocol, **options: Any
) -> rx.FitResult:
    """Fit by one of the implementations; all images of a protocol jointly."""
    with patch.object(fused, "LEAST_VOXELS", IMPLEMENTATIONS[name]):
        if isinstance(times_ms, rx.Protocol):
            return rx.fit_joint(signal, times_ms, **options)
        return rx.fit(signal, times_ms, **options)


def implementations() -> list[str]:
    """Return those that can be measured here."""
    return list(IMPLEMENTATIONS) if find_spec("numba") else ["torch"]


def costs_of(name: str, signal: torch.Tensor, times_ms: tuple[float, ...], options: dict[str, Any]) -> dict[str, float]:
    """Measure all implementations for an input, the control where it can fit it, and tissue in place of a slice."""
    n = int(options["mask"].sum()) if "mask" in options else len(signal)
    found = {
        how: cost(lambda how=how: with_implementation(how, signal, times_ms, **options), n) for how in implementations()
    }
    if name.startswith(SLICE):
        instead = tissue(n, times_ms, 50)
        found["tissue instead"] = cost(lambda: with_implementation(implementations()[-1], instead, times_ms), n)
    if find_spec("numba") and not options:
        from scalar_loop import fit  # noqa: PLC0415 (it is compiled where it is imported)

        found["control"] = cost(lambda: fit(signal.numpy(), np.array(times_ms)), n)
    return found


def threads_of(signal: torch.Tensor, times_ms: tuple[float, ...]) -> dict[str, dict[str, float]]:
    """Measure nanoseconds a voxel of all implementations on one and two threads, by the processor and by the clock."""
    found: dict[str, dict[str, float]] = {}
    for name in implementations():
        found[name] = {}
        for kind, clock in (("processor", time.process_time), ("clock", time.perf_counter)):
            for n in (1, 2):
                torch.set_num_threads(n)
                ns = cost(lambda name=name: with_implementation(name, signal, times_ms), len(signal), clock=clock)
                found[name][f"{kind}, threads: {n}"] = ns
    torch.set_num_threads(1)
    return found


def memory_of(signal: torch.Tensor, times_ms: tuple[float, ...]) -> dict[str, float]:
    """Measure the bytes a voxel that a fit takes above its input, by all implementations."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return {name: pool.apply(peak_bytes, (name, signal.numpy(), times_ms)) for name in implementations()}


def peak_bytes(name: str, signal: np.ndarray, times_ms: tuple[float, ...]) -> float:
    """Fit many voxels in a process of its own, and return the bytes a voxel at the peak: maps and working memory."""
    torch.set_num_threads(1)
    voxels = torch.from_numpy(np.resize(signal, (N_LARGE, len(times_ms))))
    with_implementation(name, voxels[:N_SLOW], times_ms)  # loads what stays
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    before = _memory("VmRSS")
    result = with_implementation(name, voxels, times_ms)
    peak = _memory("VmHWM")
    del result  # until now, its maps count
    return (peak - before) / N_LARGE


def _memory(what: str) -> int:
    """Return a number of bytes that Linux keeps of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) * 1024


def judged(t: Any, reference: torch.Tensor) -> Row:
    """Compare T with that of the global optimum in double precision, NaN where that one did not converge."""
    t, reference = torch.as_tensor(t), reference[: len(t)]
    inside = reference.isfinite()
    error = (t.double() / reference - 1).abs()[inside]
    found = error[error.isfinite()]
    median, most = torch.quantile(found, torch.tensor([0.5, 0.999], dtype=found.dtype)).tolist()
    return {"voxels": len(error), "failed": len(error) - len(found), "median": median, "most": most}


def row(fit: Callable[[], Any], reference: torch.Tensor, *, repeat: int = 3) -> Row:
    """Measure a fit that returns T: its cost a voxel, and how far T is from the optimum."""
    t = fit()
    return {"ns": cost(fit, len(t), repeat=repeat), **judged(t, reference)}


def optimum(result: rx.FitResult, name: str = "t") -> torch.Tensor:
    """Return T where a fit converged, and NaN elsewhere."""
    return torch.where(result.status == rx.FitStatus.CONVERGED, result.maps[name], torch.nan)


def scipy_loop(signal: np.ndarray, **options: Any) -> list[float]:
    """Fit T voxel by voxel, as most tools do, NaN where the search fails."""
    x, found = np.array(TIMES_MS), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)  # a fit of noise has no covariance
        for v in signal:
            try:
                best, _ = curve_fit(lambda t, m0, t1: m0 * np.exp(-t / t1), x, v, (v[0], 40.0), **options)
            except RuntimeError:  # too many steps
                best = (np.nan, np.nan)
            found.append(best[1])
    return found


def relaxnet_rows(usual: torch.Tensor, reference: torch.Tensor) -> dict[str, Row]:
    """Measure the methods of this package."""
    methods: dict[str, dict[str, Any]] = {
        "nlls": {},
        "with an offset": {"model": rx.signals.MonoExponentialWithOffset()},
        "rician": {"method": "rician", "sigma": 2.0},
    }
    found = {
        f"{name}, {how}": row(
            lambda how=how, options=options: with_implementation(how, usual, TIMES_MS, **options).maps["t"], reference
        )
        for name, options in methods.items()
        for how in implementations()
    }
    for name in ("two-point", "log-linear"):
        found[name] = row(lambda name=name: rx.fit(usual, TIMES_MS, method=name).maps["t"], reference)
    protocol, n = rx.protocols.LIVER_T1RHO_T2, N_VOXELS // 5
    joint = rx.signals.add_noise(
        torch.cat([tissue(n, TIMES_MS, 1e6), tissue(n, protocol.contrasts[1].times_ms[1:], 1e6)], 1),
        sigma=2.0,
        generator=torch.Generator().manual_seed(SEED),
    )
    best = optimum(rx.fit_joint(joint.double(), protocol), "t1rho")
    for how in implementations():
        found[f"fit_joint, 7 images, {how}"] = row(
            lambda how=how: with_implementation(how, joint, protocol).maps["t1rho"], best
        )
    return found


def peer_rows(
    usual: torch.Tensor, reference: torch.Tensor, pythons: dict[str, str]
) -> tuple[dict[str, Row], dict[str, str]]:
    """Measure other packages, and tell the versions of those that have an environment of their own."""
    few, versions = usual[:N_SLOW].double().numpy(), {}
    bounds = ([0, 1], [1e4, 500])
    found = {
        "scipy curve_fit": row(lambda: scipy_loop(few), reference),
        "scipy curve_fit, bounded": row(lambda: scipy_loop(few, bounds=bounds), reference, repeat=1),
    }
    if find_spec("numba"):
        from scalar_loop import fit  # noqa: PLC0415 (it is compiled where it is imported)

        found["scalar loop in numba"] = row(lambda: fit(usual.numpy(), np.array(TIMES_MS))[1], reference)
    for name, python in pythons.items():
        with tempfile.TemporaryDirectory() as folder:
            given, answer = Path(folder) / "given.npz", Path(folder) / "found.npz"
            np.savez(given, signal=usual[: PEERS[name]].numpy(), times_ms=np.array(TIMES_MS))
            command = [python, HERE / f"peer_{name}.py", given, answer]
            printed = subprocess.run(  # noqa: S603 (ours)
                command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD
            ).stdout
            told = json.loads(printed.splitlines()[-1])
            versions[name] = told["version"]
            with np.load(answer) as maps:
                for fitted, seconds in told["seconds"].items():
                    ns = seconds / PEERS[name] * 1e9
                    found[fitted] = {"ns": ns, **judged(maps[fitted], reference)}
        print(name, versions[name], file=sys.stderr, flush=True)
    return found, versions


def others(usual: torch.Tensor, pythons: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Measure yardsticks, methods, small inputs and other packages."""
    buffer = torch.empty_like(usual)
    small = {"one voxel": usual[:1], "64 × 64 voxels": usual[:4096]}
    reference = optimum(rx.fit(usual.double(), TIMES_MS))
    peers, versions = peer_rows(usual, reference, pythons)
    return {
        "versions": {name: _version(name) for name in ("torch", "numpy", "scipy", "numba", "llvmlite")} | versions,
        "yardsticks": {
            "a copy of the samples": {"ns": cost(lambda: buffer.copy_(usual), N_VOXELS, repeat=50)},
            "one pass of exp": {"ns": cost(lambda: torch.exp(usual / -100, out=buffer), N_VOXELS, repeat=50)},
        },
        "methods": relaxnet_rows(usual, reference),
        "peers": peers,
        "small": {name: cost(lambda x=x: rx.fit(x, TIMES_MS), 1, repeat=50) for name, x in small.items()},
    }


def main() -> None:
    """Measure, print, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help=f"an interpreter that has {' or '.join(PEERS)}",
    )
    pythons = dict(given.split("=", 1) for given in parser.parse_args().peer)
    if unknown := pythons.keys() - PEERS.keys():
        parser.error(f"--peer is NAME=PYTHON with one of {', '.join(PEERS)}, not {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    made = inputs()
    outcome: dict[str, Any] = {
        "command": "make bench-peers" if pythons else "make bench",
        "unit": "nanoseconds of a processor core a voxel; of small inputs, each",
        "n_voxels": N_VOXELS,
        "dtype": "float32",
        "seed": SEED,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        **others(made[TISSUE][0], pythons),
        "inputs": {},
    }
    for name, given in made.items():
        outcome["inputs"][name] = costs_of(name, *given)
        print(name, outcome["inputs"][name], file=sys.stderr, flush=True)
    outcome["threads"] = {name: threads_of(*made[name][:2]) for name in CLOSER}
    outcome["bytes a voxel"] = {name: memory_of(*made[name][:2]) for name in CLOSER}
    outcome = _rounded(outcome)
    write_text(RESULTS, json.dumps(outcome, indent=2) + "\n")
    text = table(outcome)
    write_text(RESULTS.with_suffix(".md"), text + "\n")
    print(text)
    with replacing(PICTURE) as temporary:
        draw(outcome["inputs"]).savefig(temporary, format="png", dpi=150)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
