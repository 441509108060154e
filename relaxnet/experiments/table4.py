"""Table IV of the paper: is a network faster than a fit?

All methods are timed in one run on one machine.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from relaxnet.experiments._harness.experiment import Experiment, Outcomes, Result, Setting
from relaxnet.experiments._harness.format import Table, columns, table
from relaxnet.experiments._harness.steps import Step
from relaxnet.fitting import fit, fit_joint
from relaxnet.nets import RelaxationNet
from relaxnet.phantom import Tissue, liver_cohort
from relaxnet.training import Spread, Trained

_REPEATS = 15
_WARM_UP = 2  # repeats


def _steps(setting: Setting) -> list[Step]:
    size = {
        "subject": {
            "snr": setting.snr,
            "seed": setting.seed,
            "shape": setting.timed_shape,
        },
        "network": {name: getattr(setting.preset, name) for name in ("base", "depth", "initial_estimates")},
    }
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    return [Step(f"time on {device}", time_methods, size | {"device": device}, alone=True) for device in devices]


def time_methods(*, subject: dict[str, Any], network: dict[str, Any], device: str) -> dict[str, Any]:
    """Measure how long both maps of one slice take.

    Parameters
    ----------
    subject
        Arguments of the cohort of the subject.
    network
        Size of the network.
    device
        The device to compute on.

    Returns
    -------
    dict
        For each method its ``label``, and the seconds of each repeat as ``times``.
    """
    imaged = liver_cohort(n_subjects=1, slices=1, **subject)[0]
    images, protocol = imaged.images.to(device), imaged.protocol
    # How long a network takes does not depend on its training.
    net = RelaxationNet(protocol, "middle", **network).to(device).eval()
    ones = {name: {"any": 1.0} for name in protocol.names}
    trained = Trained(net, calibration=Spread(usual_noise=0.05, factors=ones, growth=ones))
    liver = imaged.roi.to(device)
    body = (imaged.labels != Tissue.AIR).to(device)  # in air a fit searches longest, and finds nothing
    series = [(images[:, protocol.images_of(c.name)].contiguous(), c) for c in protocol.contrasts]
    pairs = [(own[:, [0, 2]], c.at([0, 2])) for own, c in series]
    four, seven = "Least squares, 4 images each", "Joint least squares, 7 images"

    def nlls(**options: Any) -> list[Any]:
        return [fit(own, contrast, **options) for own, contrast in series]

    methods: dict[str, tuple[str, Callable[[], Any]]] = {
        "two-point": (
            "Two-point fit, 3 images", lambda: [fit(*pair, method="two-point", maps_only=True) for pair in pairs]
        ),
        "nlls-4": (four, lambda: nlls(maps_only=True)),
        "nlls-4-std": (f"{four}, with error maps and status", nlls),
        "nlls-4-body": (f"{four}, body only", lambda: nlls(mask=body, maps_only=True)),
        "nlls-4-liver": (f"{four}, liver only", lambda: nlls(mask=liver, maps_only=True)),
        "joint-7": (seven, lambda: fit_joint(images, protocol)),
        "joint-7-body": (f"{seven}, body only", lambda: fit_joint(images, protocol, mask=body)),
        "network": ("Network, 3 images", lambda: net.predict(images)),
        "network-std": ("Network, 3 images, with error maps", lambda: trained.predict(images)),
    }  # fmt: skip
    # In turns, so that a slow moment of the machine meets all of them.
    rounds = [{name: _seconds(of, device) for name, (_, of) in methods.items()} for _ in range(_WARM_UP + _REPEATS)]
    times = {name: [of[name] for of in rounds[_WARM_UP:]] for name in methods}
    return {name: {"label": label, "times": times[name]} for name, (label, _) in methods.items()}


def _seconds(method: Callable[[], Any], device: str) -> float:
    wait: Callable[[], None] = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    method()
    wait()
    return time.perf_counter() - start


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    steps, rows = _steps(setting), dict[str, Any]()
    for step in steps:
        for name, timed in outcomes[step.key].items():
            low, middle, high = np.quantile(timed["times"], (0.25, 0.5, 0.75))
            about = {"device": step.arguments["device"], "mean": float(np.mean(timed["times"])), "seeds": 1}
            entry = about | {"median": middle, "quartiles": [low, high]}
            rows.setdefault(name, {"label": timed["label"], "entries": []})["entries"].append(entry)
    return {"rows": rows, "shape": steps[0].arguments["subject"]["shape"]}


def _tables(result: Result) -> list[Table]:
    rows = result["rows"].values()
    networks = {entry["device"]: entry["median"] for entry in result["rows"]["network"]["entries"]}
    shown = {
        "{device} (ms)": lambda entry: f"{1e3 * entry['median']:.1f}",
        "{device}, ratio to network": lambda entry: f"{entry['median'] / networks[entry['device']]:.2f}",
    }
    note = (
        "Median of repeats taken in turns, with all cores. The times depend on the machine and its load, the ratios "
        "less so."
    )
    for device, own in networks.items():
        faster = [
            row["label"] for row in rows if any(e["device"] == device and e["median"] < own for e in row["entries"])
        ]
        note += f" Faster than the network on the {device}: {'; '.join(faster) or 'none'}."
    height, width = result["shape"]
    title = f"Time for both maps of a slice of {height} x {width}"
    return [table(title, rows, columns(shown, device=tuple(networks)), note)]


TABLE4 = Experiment(__doc__, _steps, _result, _tables)
