"""Measure what a scan costs: ``make bench-costs``.

Each step runs in a process of its own, once in small to load what it needs, then in full. Seconds are those of the
processor, so another program on the machine hardly matters; memory is the largest resident set, libraries included.
Writes ``results/costs.md`` and ``results/costs.json``, from which ``docs/costs.md`` reckons.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

import relaxnet as rx
from relaxnet._files import write_text

RESULTS = Path(__file__).parent / "results"
SHAPE, SMALL = (256, 256, 3), (32, 32, 1)  # the paper's: three slices
TIMES_MS = (0.0, 10.0, 30.0, 50.0)
COMMANDS = {"command": (SHAPE, TIMES_MS), "volume": ((256, 256, 30), (0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0))}
"""Shape and times of the scans that are fitted by the command line."""
STEPS = {
    "nlls": "`fit`, `nlls`, 4 images",
    "air": "the same, of noise alone",
    "rician": "`fit`, `rician`, 4 images",
    "joint": "`fit_joint`, 7 images",
    "command": "`relaxnet fit`, 4 images: start, read, `nlls`, write maps and picture",
    "volume": "the same, 7 images of 256 × 256 × 30 voxels, of which 63 % are air",
    "nibabel": "nibabel alone: read the images of that volume, and write its maps",
    "spatial": "`fit_spatial` of one digital slice of 256 × 256 voxels, 30,000 of them tissue, 3 images",
    "given": "the same, with a given prior",
    "predict": "`predict`, 3 images to 2 maps",
}
OF_PAPER = rx.protocols.LIVER_T1RHO_T2
OF_ALL = (0, 10, 30, 50, 18.2, 34.6, 51)
PRIOR = rx.fitting.SpatialPrior(np.array([100.0, 300.0, 300.0]))


def run(step: str, shape: tuple[int, ...]) -> None:
    """Do one step for a scan of tissue everywhere, or of air."""
    rng = np.random.default_rng(0)
    times = np.array(TIMES_MS if step in ("nlls", "air", "rician") else OF_ALL, dtype=np.float32)
    clean = (0 if step == "air" else 1000) * np.exp(
        -times[:, None, None, None] / rng.uniform(30, 60, shape).astype(np.float32)
    )
    images = np.hypot(clean + rng.normal(0, 20, clean.shape), rng.normal(0, 20, clean.shape)).astype(np.float32)
    if step == "joint":
        rx.fit_joint(images, OF_PAPER, dim=0)
    elif step == "predict":
        net = rx.nets.RelaxationNet(OF_PAPER, "short")
        net.predict(torch.from_numpy(images).movedim(-1, 0)[:, list(net.input_channels)])
    else:
        rician = {"method": "rician", "sigma": 20.0} if step == "rician" else {}
        rx.fit(images, TIMES_MS, dim=0, **rician)


def run_spatial(step: str, shape: tuple[int, ...]) -> None:
    """Fit a slice of a digital subject with texture, and find the prior or take a given one."""
    protocol = rx.Protocol((rx.Contrast("t1rho", (0, 30)), rx.Contrast("t2", (0, 34.6))), shared_first=True)
    (subject,) = rx.phantom.liver_cohort(1, 1, shape[:2], protocol=protocol, pixel_mm=384 / shape[0], texture=(0.06, 5))
    prior = PRIOR if step == "given" else None
    rx.fit_spatial(subject.images, protocol, mask=subject.labels > 0, sigma=subject.sigma, prior=prior)


def write_scan(step: str, path: Path) -> None:
    """Write a scan of tissue everywhere, or of an oval of it in air."""
    shape, times = COMMANDS[step]
    rng = np.random.default_rng(0)
    x, y = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    inside = np.hypot(x / 0.8, y / 0.6) < 1 if step == "volume" else np.ones_like(x)
    signal = 1000 * inside[..., None, None] * np.exp(-np.array(times) / rng.uniform(30, 60, (*shape, 1)))
    images = np.hypot(signal + rng.normal(0, 20, signal.shape), rng.normal(0, 20, signal.shape))
    nib.save(nib.Nifti1Image(images.astype(np.float32), np.eye(4)), path)


def run_command(step: str, scan: Path) -> None:
    """Fit a scan as a user of the command line does."""
    times = ",".join(map(str, COMMANDS[step][1]))
    start = [sys.executable, "-c", "from relaxnet.cli import main; main()"]
    command = [*start, "fit", "t1rho", str(scan), "--tsl-ms", times, "--out", str(scan.parent)]
    subprocess.run(command, check=True, capture_output=True)


def run_nibabel(scan: Path) -> None:
    """Read a scan and write its maps, which have been fitted before, as a program around nibabel would."""
    program = """
import sys, nibabel as nib, numpy as np
scan, *maps = sys.argv[1:]
np.asanyarray(nib.load(scan).dataobj)
for path in maps:
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine), path)
"""
    maps = [str(path) for path in scan.parent.glob("*.nii.gz") if path != scan]
    subprocess.run([sys.executable, "-c", program, str(scan), *maps], check=True)


def measure(step: str) -> dict[str, float]:
    """Measure one step in this process, or a command in its own."""
    torch.set_num_threads(1)  # threads that wait for one another on a busy machine take processor time, too
    apart = step in COMMANDS or step == "nibabel"
    work = run_spatial if step in ("spatial", "given") else run
    whose = resource.RUSAGE_CHILDREN if apart else resource.RUSAGE_SELF
    with tempfile.TemporaryDirectory() as folder:
        scan, kind = Path(folder) / "scan.nii.gz", "volume" if step == "nibabel" else step
        if apart:
            write_scan(kind, scan)
        else:
            work(step, SMALL)
        if step == "nibabel":
            run_command(kind, scan)
        before = resource.getrusage(whose)
        if step == "nibabel":
            run_nibabel(scan)
        elif apart:
            run_command(step, scan)
        else:
            work(step, SHAPE)
        after = resource.getrusage(whose)
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_mb": round(after.ru_maxrss * unit / 1e6),
    }


def tables(found: dict[str, Any]) -> str:
    """Write what was measured, and what follows for many subjects of one scan each."""
    lines = ["| a scan of 256 × 256 × 3 voxels | processor, s | memory, MB |", "| :--- | ---: | ---: |"]
    lines += [f"| {STEPS[step]} | {of['cpu_s']:g} | {of['peak_mb']} |" for step, of in found.items()]
    versions = f"relaxnet {rx.__version__}, torch {torch.__version__}, numpy {np.__version__}"
    machine = f"Python {platform.python_version()}; {platform.system()}, {platform.machine()}, {os.cpu_count()} cores"
    lines += ["", f"`python benchmarks/costs.py`; {versions}; {machine}, shared."]
    lines[-1:-1] = [
        "| subjects, reckoned | one core, h | node of 32 cores, h | ten such nodes, h |",
        "| :--- | ---: | ---: | ---: |",
    ]
    for n in (10_000, 100_000):
        hours = n * found["command"]["cpu_s"] / 3600
        lines[-1:-1] = [
            f"| {n:,} × {found['command']['cpu_s']:g} s | {hours:.0f} | {hours / 32:.1f} | {hours / 320:.2f} |"
        ]
    lines.insert(-1, "")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure each step in a process of its own, and write the table."""
    found: dict[str, Any] = {}
    for step in STEPS:
        command = [sys.executable, __file__, step]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        found[step] = json.loads(answer.stdout)
        print(step, found[step], file=sys.stderr, flush=True)
    write_text(RESULTS / "costs.json", json.dumps(found, indent=2) + "\n")
    write_text(RESULTS / "costs.md", tables(found))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
