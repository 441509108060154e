"""Not in the paper: how do errors depend on the noise and on the number of images?

How near do they come to the Cramér-Rao bound? Networks are trained with the noise that they are tested with.
"""

import math
from dataclasses import replace
from itertools import product
from operator import itemgetter
from typing import Any

from relaxnet.experiments._harness.experiment import (
    CONTRASTS,
    Experiment,
    Fold,
    Outcomes,
    Result,
    Setting,
    digital_subjects,
)
from relaxnet.experiments._harness.figures import INTERVALS, curve, panels
from relaxnet.experiments._harness.fits import JOINT, with_images
from relaxnet.experiments._harness.format import NAMES, Table, columns, find, of_entry, table
from relaxnet.experiments._harness.report import gather, summarise, with_interval
from relaxnet.experiments._harness.rows import ROWS, Plan, Planned, Row, Rows, plan_rows, steps_of
from relaxnet.experiments._harness.steps import Step
from relaxnet.information import crlb_joint
from relaxnet.metrics import bootstrap_mean
from relaxnet.protocols import LIVER_T1RHO_T2

_NAMES = ("homou", "held-out-orthogonal", "nlls-4")
_STYLES = {
    "homou": ("s-", "C1"),
    "held-out-orthogonal": ("o-", "C0"),
    "nlls-4": ("D--", "0.5"),
    f"joint-{min(JOINT)}": ("^-", "C2"),
    f"bound-{min(JOINT)}": (":", "C2"),
    f"joint-{max(JOINT)}": ("v-", "C3"),
    f"bound-{max(JOINT)}": (":", "C3"),
}
"""Marker, line and colour of what is drawn. A fit and its bound share a colour."""
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
_MEAN_ABS = math.sqrt(2 / math.pi)
"""Mean absolute value of a normal deviate, in standard deviations."""


def _rows(setting: Setting) -> Rows:
    """Plan networks and fits; networks are trained with the noise that they are tested with."""
    rows = {name: ROWS[name] for name in _NAMES}
    rows |= {name: replace(row, label=f"{row.label}, 3 images") for name, row in rows.items() if row.recipes}
    rows |= {f"joint-{n}": Row(f"Joint least squares, {n} images") for n in JOINT}
    return plan_rows(rows, {snr: setting.folds(snr=snr) for snr in setting.snrs})


def _bounds(setting: Setting) -> Rows:
    def plan(n: int, snr: float) -> Plan:
        folds = setting.folds(snr=snr)
        return [[[Step(f"bound of {n} images, {k}", compute_bound, {"n_images": n, "fold": k})] for k in folds]]

    labels = {n: f"Cramér-Rao bound, {n} images" for n in JOINT}
    return {f"bound-{n}": Planned(label, {snr: plan(n, snr) for snr in setting.snrs}) for n, label in labels.items()}


def compute_bound(*, n_images: int, fold: Fold) -> dict[str, list[float]]:
    """Compute the mean absolute error of unbiased estimates that attain the Cramér-Rao bound.

    Parameters
    ----------
    n_images
        Number of acquired images, a key of :data:`JOINT`.
    fold
        Of whom.

    Returns
    -------
    dict
        The error for each subject in ms, by contrast.
    """
    bound: dict[str, list[float]] = {name: [] for name in CONTRASTS}
    for subject in fold.test():
        protocol = with_images(subject, JOINT[n_images]).protocol
        truth = {name: values[subject.roi] for name, values in subject.truth.items()}
        std = crlb_joint(protocol, truth["m0"], {name: truth[name] for name in CONTRASTS}, subject.sigma)
        for name in CONTRASTS:
            bound[name].append(_MEAN_ABS * float(std[name].mean()))
    return bound


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    rows = summarise(_rows(setting), outcomes, by="snr")
    for name, row in _bounds(setting).items():
        rows[name] = {"label": row.label, "entries": []}
        for (snr, plan), contrast in product(row.cases.items(), CONTRASTS):
            errors = gather(plan, outcomes, contrast, itemgetter(contrast))
            about = {"snr": snr, "contrast": contrast, "against": "truth", "seeds": 1}
            rows[name]["entries"].append(about | with_interval(bootstrap_mean(errors)))
    return {"rows": rows, "snrs": setting.snrs}


def _images_of_each() -> str:
    """List how many of the images each contrast has."""
    found = []
    for n, channels in JOINT.items():
        own = {name: len(set(channels) & set(LIVER_T1RHO_T2.images_of(name))) for name in CONTRASTS}
        found.append(f"{n} images are {' and '.join(f'{k} of {NAMES[name]}' for name, k in own.items())}")
    return ", ".join(found)


def _tables(result: Result) -> list[Table]:
    note = (
        "Mean over subjects with its 95 % interval. The bound is that of unbiased estimates from single voxels; a "
        "network uses neighbouring voxels, too, and may be better. Both contrasts share the first image: "
        f"{_images_of_each()}."
    )
    title, snrs = "Error of {} against the truth (ms)", tuple(result["snrs"])
    shown = {c: columns({"SNR {snr:g}": of_entry}, contrast=c, against="truth", snr=snrs) for c in CONTRASTS}
    return [table(title.format(NAMES[c]), result["rows"].values(), own, note) for c, own in shown.items()]


def _figures(result: Result) -> dict[str, Any]:
    figure, axes = panels(6.2, sharey=True)
    snrs, rows = result["snrs"], result["rows"]
    for contrast, ax in axes.items():
        for name, (style, colour) in _STYLES.items():
            found = [find(rows[name], contrast=contrast, against="truth", snr=snr) for snr in snrs]
            curve(ax, snrs, found, style, band=style != ":", color=colour, label=rows[name]["label"])
        ax.set(xscale="log", yscale="log")
        ax.set_xticks(snrs, [f"{snr:g}" for snr in snrs])
        low, high = ax.get_ylim()
        ticks = [tick for tick in _TICKS if low < tick < high]
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    axes["t2"].set_xlabel("signal-to-noise ratio of the first image")
    figure.legend(*axes["t1rho"].get_legend_handles_labels(), loc="outside lower center")
    return {"snr": figure}


def _captions(result: Result) -> dict[str, str]:
    few, all_ = min(JOINT), max(JOINT)
    return {
        "snr": "Error of (a) T1rho and (b) T2 by the signal-to-noise ratio, of networks and of fits of "
        f"{few} and {all_} images, beside the Cramér-Rao bound. {INTERVALS} Networks may lie below the bound, which "
        "holds for unbiased estimates from single voxels: they use neighbours and know how livers usually are, so they "
        f"are biased where tissue is not as usual. {digital_subjects(result)}."
    }


SNR = Experiment(
    __doc__, lambda setting: steps_of(_rows(setting), _bounds(setting)), _result, _tables, _figures, _captions
)
