"""Fig. 3 of the paper: how much does the weighting of the two contrasts matter, and does learning it help?"""

from typing import Any

from relaxnet.experiments._harness.experiment import (
    AGAINST,
    CONTRASTS,
    Experiment,
    Outcomes,
    Result,
    Setting,
    digital_subjects,
)
from relaxnet.experiments._harness.figures import INTERVALS, curve, panels
from relaxnet.experiments._harness.format import Table, columns, find, of_entry, table
from relaxnet.experiments._harness.report import summarise
from relaxnet.experiments._harness.rows import ROWS, Row, Rows, as_paper, plan_rows, steps_of
from relaxnet.experiments._harness.weights import weightings


def _rows(setting: Setting) -> Rows:
    weights = weightings(setting).items()
    rows = {f"fixed-{w:g}": Row(f"{w:g} T1rho + {1 - w:g} T2", (as_paper(chosen),)) for w, chosen in weights}
    return plan_rows(rows | {name: ROWS[name] for name in ("homou", "profiled", "truth")}, {None: setting.folds()})


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    rows = summarise(_rows(setting), outcomes)
    for weight in setting.weights:
        rows[f"fixed-{weight:g}"]["weight"] = weight
    return {"rows": rows}


def _tables(result: Result) -> list[Table]:
    shown = columns({"{contrast} against {against} (ms)": of_entry}, against=AGAINST, contrast=CONTRASTS)
    return [table("Fixed weights and learnt ones", result["rows"].values(), shown)]


def _figures(result: Result) -> dict[str, Any]:
    figure, axes = panels(4.8)
    rows = result["rows"]
    fixed_rows = [row for row in rows.values() if "weight" in row]
    weights = [row["weight"] for row in fixed_rows]
    ends = (min(weights), max(weights))
    for contrast, ax in axes.items():
        for against, colour, marker in zip(AGAINST, ("C0", "C1"), "os", strict=True):
            about = {"contrast": contrast, "against": against}
            found = [find(row, **about) for row in fixed_rows]
            curve(ax, weights, found, f"{marker}-", color=colour, label=f"fixed weights, against {against}")
            learnt = find(rows["homou"], **about)
            curve(ax, ends, [learnt, learnt], "--", color=colour, label=f"learnt weights, against {against}")
        noise_floor = find(rows["truth"], contrast=contrast, against="reference")
        curve(ax, ends, [noise_floor] * 2, ":", band=False, color="0.4", label="noise floor of the reference")
    axes["t2"].set_xlabel("weight of T1rho; that of T2 is 1 minus it")
    figure.legend(*axes["t1rho"].get_legend_handles_labels(), loc="outside lower center")
    return {"fig3": figure}


def _captions(result: Result) -> dict[str, str]:
    return {
        "fig3": "Error of (a) T1rho and (b) T2 by the weight of T1rho in the loss, beside that with learnt weights. "
        f"{INTERVALS} Dotted: the error of the truth itself against the four-image fit; a map with a smaller one has "
        f"reproduced noise of that fit. {digital_subjects(result)}."
    }


FIG3 = Experiment(__doc__, lambda setting: steps_of(_rows(setting)), _result, _tables, _figures, _captions)
