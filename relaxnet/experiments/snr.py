"""Ours: how errors depend on noise and on the number of images, and how near they come to what is possible."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relaxnet.errors import require
from relaxnet.experiments._harness.experiment import Experiment, Outcomes, Result, Table
from relaxnet.experiments._harness.fits import ALL, fitting
from relaxnet.experiments._harness.format import NAMES, find, of_entry
from relaxnet.experiments._harness.networks import learning, trial
from relaxnet.experiments._harness.report import Plan, entries
from relaxnet.experiments._harness.rows import ROWS, plan
from relaxnet.experiments._harness.score import CONTRASTS, score
from relaxnet.experiments._harness.setting import SETTINGS, Setting
from relaxnet.experiments._harness.steps import Step
from relaxnet.fitting import fit_joint
from relaxnet.information import crlb_joint
from relaxnet.metrics import bootstrap_mean
from relaxnet.phantom import Subject
from relaxnet.protocol import Contrast, Protocol
from relaxnet.protocols import LIVER_T1RHO_T2

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = Any  # of an extra

_NETWORKS = ("homou", "held-out-orthogonal")
_CHANNELS = {3: (0, 2, 5), 4: (0, 2, 4, 6), 5: (0, 1, 3, 4, 6), 6: (0, 1, 2, 3, 4, 6), 7: (0, 1, 2, 3, 4, 5, 6)}
"""Which images a joint fit of so many uses. The first is of both contrasts: 3 are 2 of each, which is the least."""
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
_MEAN_ABS = math.sqrt(2 / math.pi)
"""Mean absolute value of a normal deviate, in standard deviations."""


def fit_some(path: Path, *, setting: str, fold: int, channels: list[int], snr: float) -> dict[str, Any]:
    """Fit all relaxation times to some of the images; and tell how well it could be done.

    Parameters
    ----------
    path
        Not used; nothing but scores are kept.
    setting, fold, snr
        Whose images.
    channels
        Which of them.

    Returns
    -------
    dict
        ``scores``, and ``bound``: for each contrast and patient the mean absolute error of an unbiased estimate that
        attains the Cramér-Rao bound.
    """
    del path
    scored, bound = [], dict[str, list[float]]()
    for subject in SETTINGS[setting].test(fold, snr=snr):
        some = _subset(subject, channels)
        scored.append((subject, {name: fit_joint(some.images, some.protocol).maps[name] for name in CONTRASTS}))
        truth = {name: values[subject.roi] for name, values in some.truth.items()}
        smallest = crlb_joint(some.protocol, truth["m0"], {name: truth[name] for name in CONTRASTS}, subject.sigma)
        for name in CONTRASTS:
            bound.setdefault(name, []).append(_MEAN_ABS * float(smallest[name].mean()))
    return {"scores": {ALL: score(scored)}, "bound": bound}


def _subset(subject: Subject, channels: list[int]) -> Subject:
    """Keep some of the images of a patient, the shared one among them."""
    protocol = subject.protocol
    contrasts = []
    for contrast in protocol.contrasts:
        own = protocol.images_of(contrast.name)
        times = [t for t, channel in zip(contrast.times_ms, own, strict=True) if channel in channels]
        contrasts.append(Contrast(contrast.name, tuple(times)))
    return replace(subject, protocol=Protocol(tuple(contrasts), shared_first=True), images=subject.images[:, channels])


def _networks(setting: Setting, name: str, snr: float) -> Plan:
    if snr == setting.snr:  # the network of Table II, which need not be trained again
        return plan(setting, name, 1)
    (recipe,) = ROWS[name].recipes
    title, noisy = f"{name}, SNR {snr:g}", {"snr": snr}
    own = replace(recipe, subjects=noisy)
    return [
        [
            [trial(f"{title}, tried", learning(setting, title, own, fold=fold), fold=fold, subjects=noisy)]
            for fold in range(setting.n_folds)
        ]
    ]


def _reference(setting: Setting, snr: float) -> Plan:
    noisy = {} if snr == setting.snr else {"snr": snr}
    return [[[fitting(setting, "nlls-4", fold=fold, subjects=noisy)] for fold in range(setting.n_folds)]]


def _fits(setting: Setting, n_images: int, snr: float) -> Plan:
    arguments = {"setting": setting.name, "channels": list(_CHANNELS[n_images]), "snr": snr}
    return [
        [
            [Step(f"{n_images} images, SNR {snr:g}, fold {k + 1}", fit_some, arguments | {"fold": k})]
            for k in range(setting.n_folds)
        ]
    ]


def _plans(setting: Setting) -> dict[str, tuple[str, dict[float, Plan]]]:
    networks = {
        name: (f"{ROWS[name].label}, 3 images", {snr: _networks(setting, name, snr) for snr in setting.snrs})
        for name in _NETWORKS
    }
    fits = {
        f"joint-{n}": (f"Joint least squares, {n} images", {snr: _fits(setting, n, snr) for snr in setting.snrs})
        for n in _CHANNELS
    }
    reference = {"nlls-4": (ROWS["nlls-4"].label, {snr: _reference(setting, snr) for snr in setting.snrs})}
    return networks | reference | fits


def _steps(setting: Setting, seeds: int) -> list[Step]:
    del seeds
    return [step for _, plans in _plans(setting).values() for planned in plans.values() for (step,) in planned[0]]


def _result(setting: Setting, seeds: int, outcomes: Outcomes) -> Result:
    del seeds
    rows: dict[str, Any] = {}
    for name, (label, plans) in _plans(setting).items():
        rows[name] = {"label": label, "entries": []}
        for snr, planned in plans.items():
            found = entries(outcomes, planned, by_set=False)
            rows[name]["entries"] += [{"snr": snr} | entry for entry in found]
    for n in _CHANNELS:
        rows[f"bound-{n}"] = {"label": f"Cramér-Rao bound, {n} images", "entries": []}
        for snr in setting.snrs:
            for name in CONTRASTS:
                folds = [outcomes[step.key]["bound"][name] for (step,) in _fits(setting, n, snr)[0]]
                interval = bootstrap_mean(np.concatenate(folds))
                rows[f"bound-{n}"]["entries"].append({
                    "snr": snr, "contrast": name, "against": "truth", "mean": interval.mean,
                    "ci95": [interval.low, interval.high], "seeds": 1,
                })  # fmt: skip
    return {"rows": rows, "snrs": setting.snrs}


def _shares() -> str:
    """Tell how many images of each contrast there are among so many."""
    found = []
    for n, channels in _CHANNELS.items():
        own = {name: len(set(channels) & set(LIVER_T1RHO_T2.images_of(name))) for name in CONTRASTS}
        found.append(f"{n} are {' and '.join(f'{k} of {NAMES[name]}' for name, k in own.items())}")
    return ", ".join(found)


def _tables(result: Result) -> list[Table]:
    header = ("", *(f"SNR {snr:g}" for snr in result["snrs"]))
    note = (
        "Mean over patients with its 95 % interval. The bound is that of unbiased estimates from single voxels; a "
        f"network, which looks at neighbours, may pass it. As the first image is of both contrasts, {_shares()}."
    )
    return [
        Table(
            f"Error of {NAMES[contrast]} against the truth (ms)",
            header,
            [
                (
                    row["label"],
                    *(of_entry(find(row, contrast=contrast, against="truth", snr=s)) for s in result["snrs"]),
                )
                for row in result["rows"].values()
            ],
            note,
        )
        for contrast in CONTRASTS
    ]


def _figures(result: Result, cache: Path) -> dict[str, Figure]:
    del cache
    colormaps = require("matplotlib", extra="plot").colormaps
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(10, 4.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    # A fit and its bound share a colour, the darker the more images.
    colours = {str(n): colormaps["viridis_r"](0.15 + 0.2 * k) for k, n in enumerate(_CHANNELS)}
    colours |= {"homou": "C1", "held-out-orthogonal": "C3", "nlls-4": "0.5"}
    for ax, contrast in zip(axes, CONTRASTS, strict=True):
        for name, row in result["rows"].items():
            found = [find(row, contrast=contrast, against="truth", snr=snr) or {} for snr in result["snrs"]]
            bound = name.startswith("bound")
            colour = colours[name.removeprefix("bound-").removeprefix("joint-")]
            means = [entry["mean"] for entry in found]
            ax.plot(result["snrs"], means, ":" if bound else "o-", color=colour, label=row["label"])
            if not bound:
                ends = zip(*(entry["ci95"] for entry in found), strict=True)
                ax.fill_between(result["snrs"], *ends, color=colour, alpha=0.15, linewidth=0)
        ax.set(xscale="log", yscale="log", title=NAMES[contrast], xlabel="signal-to-noise ratio of the first image")
        ax.set_xticks(result["snrs"], [f"{snr:g}" for snr in result["snrs"]])
        low, high = ax.get_ylim()
        ticks = [tick for tick in _TICKS if low < tick < high]
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    axes[0].set(ylabel="mean absolute error in the liver (ms)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize="small")
    return {"snr": figure}


SNR = Experiment(
    title="How good it can get",
    question=(
        "Not in the paper: how do errors depend on the noise and on the number of images, and how near do they come to "
        "the Cramér-Rao bound? Networks are trained at the noise that they are tested at."
    ),
    steps=_steps,
    result=_result,
    tables=_tables,
    figures=_figures,
)
