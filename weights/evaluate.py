"""Measure what the network of this package is worth: ``python weights/evaluate.py controls``, then ``network RUN``.

RUN is the folder of the training, which holds the network in single precision. Subjects are others than those of the
training. The numbers go into ``results.json``, and as tables into the model card, ``README.md``.
"""

import argparse
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from train import NETWORK

import relaxnet as rx
from relaxnet.experiments._harness.denoisers import DENOISERS
from relaxnet.experiments._harness.fits import ALL, METHODS, spatial
from relaxnet.experiments._harness.settings import LAPTOP
from relaxnet.phantom import Breathing, Gain, SpinLockError, Subject, Subjects, Texture
from relaxnet.training import Trained

RESULTS, CARD = (Path(__file__).parent / name for name in ("results.json", "README.md"))
MARKS = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
N_SUBJECTS, N_TUNING, N_FLOOR_VOXELS = 16, 6, 10
CONTRASTS, INPUTS = ("t1rho", "t2"), "middle"
SETS = {
    "liver-any, 3 images": INPUTS,
    "liver-any, 5 images": (0, 1, 3, 4, 6),
    "liver-any, 7 images": None,
}
CASES: dict[str, dict[str, Any]] = {
    "as above": {},
    "SNR 5, lower than in training": {"snr": 5.0},
    "SNR 10": {"snr": 10.0},
    "SNR 40": {"snr": 40.0},
    "1.5 T": {"field_tesla": 1.5},
    "smooth tissue, in no training subject": {"texture": None},
    "texture of 12 %": {"texture": Texture(0.12)},
    "whole slices, 144 x 192": {"shape": (144, 192)},
    "pixels of 4 mm, larger than in training": {"pixel_mm": 4.0},
    "breathing of up to 4 mm, more than in training": {"corruptions": [Breathing((4.0, 1.0))]},
    "T2-weighted images 5 % brighter, in no training subject": {"corruptions": [Gain({"t2": 1.05})]},
    "spin lock 100 Hz off resonance, in no training subject": {"corruptions": [SpinLockError(b0_hz=100)]},
}
Method = Callable[[Subject], Any]
Row = dict[str, dict[str, list[float]]]


def cohort(**changes: Any) -> Subjects:
    """Make the subjects, which are those of the experiments, or some that differ from them."""
    return LAPTOP.cohort(n_subjects=N_SUBJECTS, **changes)


def row_of(method: Method, subjects: Iterable[Subject]) -> Row:
    """Measure the mean absolute error in the liver, and the part of it that the 90 % interval holds.

    Parameters
    ----------
    method
        Maps a subject.
    subjects
        The subjects.

    Returns
    -------
    dict
        By contrast the ``error`` of each subject in ms, and what is ``held`` where there are standard deviations.
    """
    row: Row = {name: {"error": [], "held": []} for name in CONTRASTS}
    for subject in subjects:
        maps = method(subject)
        for name in CONTRASTS:
            where = subject.roi & torch.isfinite(maps[name])
            difference = (maps[name] - subject.truth[name])[where].abs()
            row[name]["error"].append(round(float(difference.mean()), 3))
            if f"{name}_std" in maps:
                held = difference <= rx.metrics.interval_factor(0.9, "gaussian") * maps[f"{name}_std"][where]
                row[name]["held"].append(round(float(held.float().mean()), 3))
    return row


def least_squares(subject: Subject) -> Any:
    """Fit each contrast to all of its images."""
    return METHODS["nlls-4"](subject, ALL)


def smoothed(width: float, subject: Subject) -> Any:
    """Smooth three images, and map them by the two-point formula."""
    channels = list(subject.protocol.channels(INPUTS))
    return METHODS["two-point"](DENOISERS["gaussian"](subject, channels, width), INPUTS)


def spatially(inputs: str, subject: Subject) -> dict[str, Any]:
    """Fit with a spatial prior."""
    result = spatial(subject, inputs)
    return {**result.maps, **{f"{name}_std": std for name, std in result.std.items()}}


def controls() -> dict[str, Any]:
    """Measure what needs no network: controls, and the least error that is possible."""
    subjects = list(cohort())
    tuning = list(LAPTOP.cohort(n_subjects=N_TUNING, seed=7))

    def error_of(width: float) -> float:
        row = row_of(partial(smoothed, width), tuning)
        return float(np.mean([row[name]["error"] for name in CONTRASTS]))

    width = min(DENOISERS["gaussian"].strengths, key=error_of)
    methods: dict[str, Method] = {
        "least squares, 4 images each": least_squares,
        "one number for each liver, 3 images": lambda subject: METHODS["one-value"](subject, INPUTS),
        f"Gaussian of {width:g} pixels, then fit, 3 images": partial(smoothed, width),
        "spatial fit, 3 images": partial(spatially, INPUTS),
        "spatial fit, 7 images": partial(spatially, ALL),
    }
    rows = {label: row_of(method, subjects) for label, method in methods.items()}
    for label, inputs in (("least error possible, 3 images", INPUTS), ("least error possible, 7 images", None)):
        floor = partial(rx.phantom.bayes_floor, texture=LAPTOP.texture, inputs=inputs, n_voxels=N_FLOOR_VOXELS)
        floors = [floor(subject) for subject in subjects]
        rows[label] = {name: {"error": [round(own[name], 3) for own in floors], "held": []} for name in CONTRASTS}
    cases = {case: row_of(least_squares, cohort(**changes)) for case, changes in CASES.items()}
    return {"controls": rows, "cases of least squares": cases}


def network(run: Path) -> dict[str, Any]:
    """Measure the network."""
    trained, single = rx.load(NETWORK), rx.load(run)

    def mapped(by: Trained, inputs: Any, subject: Subject) -> dict[str, Any]:
        return by.predict(subject.images, inputs=inputs)

    subjects = list(cohort())
    rows = {label: row_of(partial(mapped, trained, inputs), subjects) for label, inputs in SETS.items()}
    ours = partial(mapped, trained, INPUTS)
    cases = {case: row_of(ours, cohort(**changes)) for case, changes in CASES.items()}
    changed = [(ours(s)[name] - mapped(single, INPUTS, s)[name])[s.roi] for s in subjects for name in CONTRASTS]
    largest = max(float(difference.abs().max()) for difference in changed)
    return {"networks": rows, "cases of the network": cases, "largest change by half precision": round(largest, 4)}


def tables(results: dict[str, Any]) -> str:
    """Write the results as tables of Markdown."""

    def cell(values: list[float]) -> str:
        interval = rx.metrics.bootstrap_mean(values)
        return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"

    def held(row: Row) -> str:
        parts = [f"{np.mean(row[name]['held']):.0%}" if row[name]["held"] else "" for name in CONTRASTS]
        return " / ".join(parts) if all(parts) else ""

    lines = ["| | T1rho, error in ms | T2, error in ms | within the 90 % interval |", "| --- | ---: | ---: | ---: |"]
    for label, row in {**results["controls"], **results["networks"]}.items():
        lines.append(f"| {label} | {cell(row['t1rho']['error'])} | {cell(row['t2']['error'])} | {held(row)} |")
    lines += ["", "| 3 images | T1rho in ms, network / least squares of 4 | T2 in ms | within the 90 % interval |"]
    lines += ["| --- | ---: | ---: | ---: |"]
    for case, row in results["cases of the network"].items():
        fit = results["cases of least squares"][case]
        pairs = [f"{np.mean(row[c]['error']):.2f} / {np.mean(fit[c]['error']):.2f}" for c in CONTRASTS]
        lines.append(f"| {case} | {pairs[0]} | {pairs[1]} | {held(row)} |")
    change = results["largest change by half precision"]
    lines += ["", f"Half precision changes no voxel of these livers by more than {change:.2g} ms."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure a part, and write results and model card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("controls", help="what needs no network")
    parts.add_parser("network", help="the network").add_argument("run", type=Path, help="folder of the training")
    chosen = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results |= controls() if chosen.part == "controls" else network(chosen.run)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if {"controls", "networks"} <= results.keys():
        card = CARD.read_text(encoding="utf-8")
        before, after = card.partition(MARKS[0])[0], card.partition(MARKS[1])[2]
        CARD.write_text(before + MARKS[0] + "\n" + tables(results) + "\n" + MARKS[1] + after, encoding="utf-8")


if __name__ == "__main__":
    main()
