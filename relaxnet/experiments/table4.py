"""Table IV of the paper: how long a slice takes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from relaxnet.experiments._harness.experiment import Experiment, Outcomes, Result, Table
from relaxnet.experiments._harness.setting import SETTINGS, Setting
from relaxnet.experiments._harness.steps import Step
from relaxnet.fitting import fit, fit_joint
from relaxnet.nets import RelaxationNet
from relaxnet.phantom import Tissue, liver_cohort
from relaxnet.training import Spread, Trained

_LABELS = {
    "two-point": "Two-point fit, 3 images",
    "nlls-4": "Least squares, 4 images each",
    "nlls-4-std": "Least squares, 4 images each, with error maps and status",
    "nlls-4-body": "Least squares, 4 images each, the body alone",
    "nlls-4-liver": "Least squares, 4 images each, the liver alone",
    "joint-7": "Joint least squares, 7 images",
    "joint-7-body": "Joint least squares, 7 images, the body alone",
    "network": "Network, 3 images",
    "network-std": "Network, 3 images, with error maps",
}
_REPEATS = 15


def _steps(setting: Setting, seeds: int) -> list[Step]:
    del seeds
    sizes = {"setting": setting.name, "shape": [32, 32] if setting.name == "smoke" else [256, 256]}
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    return [Step(f"time on {device}", measure, sizes | {"device": device}, alone=True) for device in devices]


def measure(path: Path, *, setting: str, shape: list[int], device: str) -> dict[str, list[float]]:
    """Measure how long one slice takes, both maps of it.

    Parameters
    ----------
    path
        Not used; nothing but times are kept.
    setting, shape, device
        Size of the experiments, of the slice, and where.

    Returns
    -------
    dict
        Seconds of each repeat, by method.
    """
    del path
    where = SETTINGS[setting]
    subject = liver_cohort(1, slices=1, shape=(shape[0], shape[1]), snr=where.snr, seed=where.seed)[0]
    images, protocol = subject.images.to(device), subject.protocol
    preset = where.preset
    # How long a network takes does not depend on what it has learnt.
    net = RelaxationNet(
        protocol, "middle", base=preset.base, depth=preset.depth, initial_estimates=preset.initial_estimates
    )
    net = net.to(device).eval()
    ones = {name: {"any": 1.0} for name in protocol.names}
    trained = Trained(net, calibration=Spread(usual_noise=0.05, factors=ones, growth=ones))
    liver = subject.roi.to(device)
    body = (subject.labels != Tissue.AIR).to(device)  # in air a fit searches longest, and finds nothing
    stacks = [(c, images[:, protocol.images_of(c.name)].contiguous()) for c in protocol.contrasts]
    methods: dict[str, Callable[[], Any]] = {
        "two-point": lambda: [
            fit(own[:, [0, 2]], [c.times_ms[0], c.times_ms[2]], method="two-point", maps_only=True) for c, own in stacks
        ],
        "nlls-4": lambda: [fit(own, c, maps_only=True) for c, own in stacks],
        "nlls-4-std": lambda: [fit(own, c) for c, own in stacks],
        "nlls-4-body": lambda: [fit(own, c, mask=body, maps_only=True) for c, own in stacks],
        "nlls-4-liver": lambda: [fit(own, c, mask=liver, maps_only=True) for c, own in stacks],
        "joint-7": lambda: fit_joint(images, protocol),
        "joint-7-body": lambda: fit_joint(images, protocol, mask=body),
        "network": lambda: net.predict(images),
        "network-std": lambda: trained.predict(images),
    }
    found: dict[str, list[float]] = {name: [] for name in methods}
    for repeat in range(_REPEATS + 2):  # in turns, so that a slow moment of the machine meets all of them
        for name, method in methods.items():
            _wait(device)
            start = time.perf_counter()
            method()
            _wait(device)
            if repeat > 1:
                found[name].append(time.perf_counter() - start)
    return found


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _result(setting: Setting, seeds: int, outcomes: Outcomes) -> Result:
    rows: dict[str, Any] = {name: {"label": label, "entries": []} for name, label in _LABELS.items()}
    for step in _steps(setting, seeds):
        device = step.arguments["device"]
        for name, seconds in outcomes[step.key].items():
            low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75))
            rows[name]["entries"].append(
                {
                    "device": device,
                    "mean": float(np.mean(seconds)),
                    "median": middle,
                    "quartiles": [low, high],
                    "seeds": 1,
                }
            )
    return {"rows": rows, "shape": _steps(setting, seeds)[0].arguments["shape"]}


def _tables(result: Result) -> list[Table]:
    devices = [entry["device"] for entry in result["rows"]["network"]["entries"]]
    networks = {entry["device"]: entry["median"] for entry in result["rows"]["network"]["entries"]}
    rows = []
    for row in result["rows"].values():
        cells = []
        for entry in row["entries"]:
            cells += [f"{1e3 * entry['median']:.1f}", f"{entry['median'] / networks[entry['device']]:.2f}"]
        rows.append((row["label"], *cells))
    header = ("", *(text.format(device) for device in devices for text in ("{} (ms)", "{}, of the network's")))
    height, width = result["shape"]
    note = (
        "Median of repeats taken in turns, with all cores. The machine and its load decide the times, less so the "
        "ratios."
    )
    for device, own in networks.items():
        faster = [row["label"] for row in result["rows"].values() if _median(row, device) < own]
        note += f" Faster than the network on the {device}: {'; '.join(faster) or 'none'}."
    return [Table(f"Time for both maps of a slice of {height} x {width}", header, rows, note)]


def _median(row: Result, device: str) -> float:
    return next(float(entry["median"]) for entry in row["entries"] if entry["device"] == device)


TABLE4 = Experiment(
    title="How long a slice takes",
    question="Table IV of the paper: is a network faster than a fit? All methods are timed in one run on one machine.",
    steps=_steps,
    result=_result,
    tables=_tables,
)
