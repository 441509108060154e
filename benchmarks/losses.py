"""Which loss teaches a network best, judged by the truth: ``make bench-losses``, an hour on two cores.

Each loss of :data:`relaxnet.training.LOSSES` trains one network a seed, from three images, on 34 of 51 digital livers,
whose noise is drawn once, as a patient's is. When to stop is decided without the truth. The other 17 are mapped, and
the error in the liver is told against the truth, and against the four-image fit, which is what studies of patients have
to make do with. An interrupted run goes on where it stopped. Writes ``results/losses.json`` and ``.md``.
"""

import json
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

import relaxnet as rx
from relaxnet._files import write_text
from relaxnet.training import LOSSES, PRESETS, Preset

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "losses.json"
CACHE = HERE / ".cache"

SHAPE, SLICES, SNR = (64, 64), 3, 20
N_SUBJECTS, N_LEARN = 51, 34
SEEDS = (0, 1, 2)
OTHER_SNRS = (10, 40)
INPUTS = "middle"
REFERENCE = "least squares, 4 images each"
ROWS = {
    "paper": "all ordered pairs, all images (the paper)",
    "supervised-nlls": "supervised on fits",
    "supervised-truth": "supervised on the truth",
    "orthogonal": "orthogonal pairs, all images",
    "reconstruction": "reconstruction, all images",
    "unseen-orthogonal": "orthogonal pairs, unseen images",
    "unseen-reconstruction": "reconstruction, unseen images",
    "fresh": "orthogonal pairs, unseen images, fresh noise",
}


def preset() -> Preset:
    """Take the laptop preset, somewhat shorter."""
    return replace(PRESETS["laptop"], epochs=60)


def cohort(snr: float = SNR) -> rx.phantom.Cohort:
    """Make all subjects; the same ones at any noise."""
    return rx.phantom.liver_cohort(N_SUBJECTS, slices=SLICES, shape=SHAPE, snr=snr, seed=0)


def errors(maps: list[dict[str, torch.Tensor]], against: list[dict[str, torch.Tensor]]) -> dict[str, list[float]]:
    """Compute the error of each subject in the liver, in ms, by contrast."""
    subjects = list(cohort()[N_LEARN:])
    found: dict[str, list[float]] = {}
    for name in subjects[0].protocol.names:
        found[name] = []
        for subject, own, other in zip(subjects, maps, against, strict=True):
            good = subject.roi & torch.isfinite(own[name]) & torch.isfinite(other[name])
            found[name].append(round(rx.metrics.rmae(own[name], other[name], good), 4))
    return found


def references() -> list[dict[str, torch.Tensor]]:
    """Fit each contrast of each test subject to its four images."""
    return [
        {c.name: rx.fit(s.images[:, s.protocol.images_of(c.name)], c).maps[c.name] for c in s.protocol.contrasts}
        for s in cohort()[N_LEARN:]
    ]


def train_one(row: str, seed: int) -> dict[str, Any]:
    """Train one network, and tell how it does on the test subjects."""
    torch.set_num_threads(1)
    subjects, test = cohort(), list(cohort()[N_LEARN:])
    truth, fits = [s.truth for s in test], references()
    watched: list[tuple[float, float]] = []

    def watch(epoch: int, net: rx.nets.RelaxationNet, entry: dict[str, float]) -> None:
        if epoch % 5 == 4:
            found = errors([net.predict(s.images) for s in test], truth)
            watched.append((entry["val_residual"], float(np.mean([np.mean(v) for v in found.values()]))))

    start = time.perf_counter()
    trained = rx.training.train(
        subjects[:N_LEARN],
        loss="unseen-orthogonal" if row == "fresh" else row,
        fresh_noise=row == "fresh",
        inputs=INPUTS,
        preset=preset(),
        seed=seed,
        progress=False,
        each_epoch=watch,
    )
    trained.save(CACHE / f"{row}-{seed}.safetensors")
    maps = [trained.predict(s.images) for s in test]
    return {
        "truth": errors(maps, truth),
        "reference": errors(maps, fits),
        "coverage_90": {str(snr): coverage(trained, snr) for snr in (SNR, *OTHER_SNRS)},
        "best_epoch": int(np.argmin([entry["val_residual"] for entry in trained.history])),
        "epochs": len(trained.history),
        "watched": watched,
        "seconds": round(time.perf_counter() - start),
    }


def coverage(trained: rx.training.Trained, snr: float) -> dict[str, float]:
    """Tell which part of the voxels of unseen livers lies within the central 90 % interval: the mean over subjects."""
    found: dict[str, list[float]] = {}
    for subject in cohort(snr)[N_LEARN:]:
        maps = trained.predict(subject.images)
        for name in trained.calibration:
            t, std, truth = maps[name], maps[f"{name}_std"], subject.truth[name]
            inside = rx.metrics.coverage(t, std, truth, subject.roi, levels=(0.9,), kind="gaussian")
            found.setdefault(name, []).append(inside[0.9])
    return {name: round(float(np.mean(values)), 4) for name, values in found.items()}


def run_all(jobs: int) -> dict[str, dict[str, Any]]:
    """Train what has not been trained yet."""
    CACHE.mkdir(exist_ok=True)
    wanted = {f"{row}-{seed}": (row, seed) for seed in SEEDS for row in ROWS}
    missing = {key: pair for key, pair in wanted.items() if not (CACHE / f"{key}.json").exists()}
    begin = time.perf_counter()
    with ProcessPoolExecutor(jobs) as pool:
        futures = {pool.submit(train_one, *pair): key for key, pair in missing.items()}
        for done, future in enumerate(as_completed(futures), start=1):
            outcome = future.result()
            write_text(CACHE / f"{futures[future]}.json", json.dumps(outcome))
            left = (time.perf_counter() - begin) / done * (len(missing) - done) / 60
            print(f"{futures[future]}: {outcome['seconds']} s; about {left:.0f} min left", file=sys.stderr)
    return {key: json.loads((CACHE / f"{key}.json").read_text()) for key in wanted}


def table(rows: list[dict[str, Any]]) -> str:
    """Write the rows in Markdown: means over seeds and subjects, and how much seeds differ."""
    lines = [
        "| error in the liver (ms) | T1rho against truth | T2 against truth | T1rho against fit | T2 against fit |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        cells = []
        for against in ("truth", "reference"):
            for contrast in ("t1rho", "t2"):
                means = [float(np.mean(seed[contrast])) for seed in row.get(against, [])]
                spread = f" ± {np.std(means, ddof=1):.2f}" if len(means) > 1 else ""
                cells.append(f"{np.mean(means):.2f}{spread}" if means else "")
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Train, print and write."""
    outcomes = run_all(jobs=os.cpu_count() or 1)
    fits = errors(references(), [s.truth for s in cohort()[N_LEARN:]])
    rows: list[dict[str, Any]] = [{"key": "nlls-4", "name": REFERENCE, "truth": [fits]}]
    for key, name in ROWS.items():
        seeds = [outcomes[f"{key}-{seed}"] for seed in SEEDS]
        names = ("truth", "reference", "coverage_90", "best_epoch", "epochs", "seconds")
        rows.append({"key": key, "name": name} | {what: [seed[what] for seed in seeds] for what in names})
    within = [spearmanr(*zip(*outcome["watched"], strict=True))[0] for outcome in outcomes.values()]
    pairs = [
        pair for key, outcome in outcomes.items() if not key.startswith("supervised") for pair in outcome["watched"]
    ]
    ends = [outcome["watched"][-1] for outcome in outcomes.values()]
    text = table(rows)
    results = {
        "command": "make bench-losses",
        "rows": rows,
        "rank_correlation_of_watched_residual_and_error": {
            "within_runs": round(float(np.mean(within)), 3),
            "over_all_epochs_and_runs": round(float(spearmanr(*zip(*pairs, strict=True))[0]), 3),
            "over_last_epochs": round(float(spearmanr(*zip(*ends, strict=True))[0]), 3),
        },
        "subjects": {"all": N_SUBJECTS, "learnt_from": N_LEARN, "slices": SLICES, "shape": SHAPE, "snr": SNR},
        "inputs": INPUTS,
        "seeds": SEEDS,
        "preset": asdict(preset()),
        "losses": {key: asdict(LOSSES[key]) for key in ROWS if key in LOSSES},
        "versions": {"relaxnet": rx.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }  # fmt: skip
    write_text(RESULTS, json.dumps(results, indent=1) + "\n")
    write_text(RESULTS.with_suffix(".md"), text + "\n")
    print(text)


if __name__ == "__main__":
    main()
