"""Measure what the fits cost a voxel: ``make bench``, or ``make bench-peers`` with another package, too.

All is measured in one run on one thread. What counts is the time of the processor, a median, so that another program on
the machine hardly matters. Yardsticks are a copy of the samples and one pass of ``torch.exp`` over them, both into
memory that is there, and a control is the loop over voxels that anybody writes with numba. Prints a table, writes
``results/fitting.json`` and ``results/fitting.md``, and draws ``results/fitting.png``.
"""

import argparse
import json
import os
import platform
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

import numpy as np
import torch
from matplotlib.figure import Figure
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
N_SLOW = 500  # of what takes a millisecond each
SEED = 0
TISSUE = "tissue, T 20-80 ms, SNR 50"
IMPLEMENTATIONS = {"torch": np.inf, "compiled": 0}
"""From how many voxels on the compiled fit is used."""
REAL = {
    "santini_brain_se": "a brain, 6 echoes",
    "nist_site3_ge_plate5": "a phantom of vials, 8 echoes",
    "qmrlab_brain_mese_small": "a brain, 30 echoes",
}

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
    made["a whole slice of the digital liver"] = phantom.float().contiguous(), TIMES_MS, {}
    for name, what in REAL.items():
        if (DATA / f"{name}.npz").exists():
            with np.load(DATA / f"{name}.npz") as data:
                images, times = torch.from_numpy(data["signal"].astype(np.float32)), tuple(data["times_ms"].tolist())
            made[f"a whole slice of {what}"] = images.reshape(-1, len(times)), times, {}
    return made


def cost(action: Callable[[], object], n: int, *, repeat: int = 5) -> float:
    """Measure nanoseconds of the processor a voxel: the median of several runs after a first one."""
    action()
    spent = []
    for _ in range(repeat):
        start = time.process_time()
        action()
        spent.append(time.process_time() - start)
    return statistics.median(spent) / n * 1e9


def with_implementation(name: str, signal: torch.Tensor, times_ms: tuple[float, ...], **options: Any) -> object:
    """Fit by one of the implementations."""
    fused.LEAST_VOXELS = IMPLEMENTATIONS[name]
    return rx.fit(signal, times_ms, **options)


def implementations() -> list[str]:
    """Return those that can be measured here."""
    return list(IMPLEMENTATIONS) if find_spec("numba") else ["torch"]


def rician_cost(name: str, signal: torch.Tensor) -> float:
    """Measure one of the implementations of the Rician method."""
    options = {"method": "rician", "sigma": 2.0}
    return cost(lambda: with_implementation(name, signal, TIMES_MS, **options), len(signal), repeat=3)


def costs_of(signal: torch.Tensor, times_ms: tuple[float, ...], options: dict[str, Any]) -> dict[str, float]:
    """Measure all implementations for an input, and the control where it can fit it."""
    n = int(options["mask"].sum()) if "mask" in options else len(signal)
    found = {
        name: cost(lambda name=name: with_implementation(name, signal, times_ms, **options), n)
        for name in implementations()
    }
    if find_spec("numba") and not options:
        from scalar_loop import fit  # noqa: PLC0415 (it is compiled where it is imported)

        found["control"] = cost(lambda: fit(signal.numpy(), np.array(times_ms)), n)
    return found


def scipy_loop(signal: np.ndarray, **options: Any) -> object:
    """Fit voxel by voxel, as most tools do."""
    x = np.array(TIMES_MS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)  # a fit of noise has no covariance
        return [curve_fit(lambda t, m0, t1: m0 * np.exp(-t / t1), x, v, (v[0], 40.0), **options) for v in signal]


def qmrpy_cost(python: str, signal: np.ndarray) -> float:
    """Measure qmrpy in an environment of its own, on the same signal."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "signal.npy", signal)
        command = [python, str(HERE / "peer_qmrpy.py"), str(Path(folder) / "signal.npy"), json.dumps(TIMES_MS)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 (ours)
    return float(answer.splitlines()[-1]) / len(signal) * 1e9


def others(usual: torch.Tensor, qmrpy: str | None) -> dict[str, dict[str, float]]:
    """Measure yardsticks, other methods, small inputs and other packages."""
    buffer, few = torch.empty_like(usual), usual[:N_SLOW].double().numpy()
    small = {"one voxel": usual[:1], "64 × 64 voxels": usual[:4096]}
    protocol = rx.protocols.LIVER_T1RHO_T2
    n_joint = N_VOXELS // 5
    joint = rx.signals.add_noise(
        torch.cat([tissue(n_joint, TIMES_MS, 1e6), tissue(n_joint, protocol.contrasts[1].times_ms[1:], 1e6)], 1),
        sigma=2.0,
        generator=torch.Generator().manual_seed(SEED),
    )
    peers = {
        "scipy curve_fit": lambda: scipy_loop(few),
        "scipy curve_fit, bounded": lambda: scipy_loop(few, bounds=([0, 1], [1e4, 500])),
    }
    found = {
        "yardsticks": {
            "a copy of the samples": cost(lambda: buffer.copy_(usual), N_VOXELS, repeat=50),
            "one pass of exp": cost(lambda: torch.exp(usual / -100, out=buffer), N_VOXELS, repeat=50),
        },
        "methods": {
            "two-point": cost(lambda: rx.fit(usual, TIMES_MS, method="two-point"), N_VOXELS),
            "log-linear": cost(lambda: rx.fit(usual, TIMES_MS, method="log-linear"), N_VOXELS),
            **{f"rician, {how}": rician_cost(how, usual[:n_joint]) for how in implementations()},
            "fit_joint, 7 images": cost(lambda: rx.fit_joint(joint, protocol), n_joint, repeat=3),
        },
        "small": {name: cost(lambda x=x: rx.fit(x, TIMES_MS), 1, repeat=50) for name, x in small.items()},
        "peers": {name: cost(action, N_SLOW, repeat=1) for name, action in peers.items()},
    }
    if qmrpy:
        found["peers"]["qmrpy T1Rho"] = qmrpy_cost(qmrpy, few)
    return found


def main() -> None:
    """Measure, print, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qmrpy-python", metavar="PYTHON", help="an interpreter that has qmrpy, to measure it, too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    made = inputs()
    outcome: dict[str, Any] = {
        "command": "make bench-peers" if arguments.qmrpy_python else "make bench",
        "unit": "nanoseconds of a processor core a voxel; of small inputs, each",
        "n_voxels": N_VOXELS,
        "dtype": "float32",
        "seed": SEED,
        "versions": {name: _version(name) for name in ("torch", "numpy", "scipy", "numba", "llvmlite")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        **others(made[TISSUE][0], arguments.qmrpy_python),
        "inputs": {},
    }
    for name, given in made.items():
        outcome["inputs"][name] = costs_of(*given)
        print(name, outcome["inputs"][name], file=sys.stderr, flush=True)
    outcome = _rounded(outcome)
    write_text(RESULTS, json.dumps(outcome, indent=2) + "\n")
    text = table(outcome)
    write_text(RESULTS.with_suffix(".md"), text + "\n")
    print(text)
    with replacing(PICTURE) as temporary:
        draw(outcome["inputs"]).savefig(temporary, format="png", dpi=150)


def table(outcome: dict[str, Any]) -> str:
    """Write what was measured as Markdown tables."""
    columns = {"torch": "torch", "compiled": "compiled (`fast`)", "control": "scalar loop in numba, maps only"}
    lines = [f"| ns a voxel | {' | '.join(columns.values())} |", "| :--- | ---: | ---: | ---: |"]
    for name, found in outcome["inputs"].items():
        lines.append(f"| {name} | {' | '.join(_number(found.get(column)) for column in columns)} |")
    lines += ["", "| four images of tissue | ns a voxel |", "| :--- | ---: |"]
    for part in ("yardsticks", "methods", "peers"):
        lines += [f"| {name} | {_number(value)} |" for name, value in outcome[part].items()]
    lines += [f"| {name}, all of it | {_number(value)} |" for name, value in outcome["small"].items()]
    return "\n".join(lines)


def draw(found: dict[str, dict[str, float]]) -> Figure:
    """Draw what each input costs by each implementation."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    names = list(found)
    for mark, (column, label) in zip(
        "osx", (("torch", "torch"), ("compiled", "compiled"), ("control", "scalar loop in numba")), strict=True
    ):
        places = [k for k, name in enumerate(names) if column in found[name]]
        axes.semilogx([found[names[k]][column] for k in places], places, mark, label=label)
    axes.set(yticks=range(len(names)), yticklabels=names, xlabel="ns of a processor core a voxel")
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _number(value: float | None) -> str:
    return "" if value is None else f"{float(f'{value:.2g}'):,.{0 if value >= 10 else 1}f}"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
