"""Fig. 2 of the paper: the maps themselves."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relaxnet.experiments._harness.experiment import Experiment, Outcomes, Result, Table
from relaxnet.experiments._harness.fits import METHODS
from relaxnet.experiments._harness.format import NAMES
from relaxnet.experiments._harness.report import AGAINST
from relaxnet.experiments._harness.rows import plan
from relaxnet.experiments._harness.score import CONTRASTS, reference_maps, score
from relaxnet.experiments._harness.setting import SETTINGS, Setting
from relaxnet.experiments._harness.steps import Step
from relaxnet.plots import comparison_figure
from relaxnet.training import load

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = Any  # of an extra

_NETWORKS = ("sl", "homou", "held-out-orthogonal")
_LABELS = {
    "truth": "Truth",
    "nlls-4": "Least squares, 4 images",
    "two-point": "Two-point fit",
    "sl": "Supervised (SL)",
    "homou": "Baseline + HOMOU",
    "held-out-orthogonal": "Unseen images",
}


def _steps(setting: Setting, seeds: int) -> list[Step]:
    del seeds
    networks = [plan(setting, name, 1)[0][0][0] for name in _NETWORKS]
    return [Step("maps of one patient", draw, {"setting": setting.name}, needs=tuple(networks))]


def draw(path: Path, *networks: Path, setting: str) -> dict[str, Any]:
    """Map a patient by all methods from all input sets, and keep the maps.

    Parameters
    ----------
    path
        Where to keep them, without a suffix.
    *networks
        Where the networks are.
    setting
        Size of the experiments.

    Returns
    -------
    dict
        ``scores`` by method and input set, and the name of the file of the ``maps``.
    """
    subject = SETTINGS[setting].test(0)[0]
    middle = subject.images.shape[0] // 2
    kept: dict[str, NDArray[Any]] = {"roi": subject.roi[middle].numpy()}
    scores: dict[str, Any] = {}
    trained = dict(zip(_NETWORKS, (load(network.with_suffix(".safetensors")) for network in networks), strict=True))
    for inputs in subject.protocol.input_sets:
        found = {
            "truth": subject.truth,
            "nlls-4": reference_maps(subject),
            "two-point": METHODS["two-point"][0](subject, inputs),
        }
        found |= {name: one.net.predict(subject.images, inputs=inputs) for name, one in trained.items()}
        for name, maps in found.items():
            own = {contrast: maps[contrast] for contrast in CONTRASTS}
            scores.setdefault(name, {})[inputs] = score([(subject, own)])
            kept |= {f"{name}/{inputs}/{contrast}": own[contrast][middle].numpy() for contrast in CONTRASTS}
    file = path.with_suffix(".npz")
    np.savez_compressed(file, **kept)  # type: ignore[arg-type]
    return {"scores": scores, "subject": subject.name, "maps": file.name}


def _result(setting: Setting, seeds: int, outcomes: Outcomes) -> Result:
    (step,) = _steps(setting, seeds)
    outcome = outcomes[step.key]
    rows: dict[str, Any] = {}
    for name, sets in outcome["scores"].items():
        row = rows.setdefault(name, {"label": _LABELS[name], "entries": []})
        for inputs, scores in sets.items():
            for contrast in CONTRASTS:
                for against in AGAINST:
                    (error,) = scores[contrast][f"{against}_error"]
                    row["entries"].append({
                        "contrast": contrast, "against": against, "inputs": inputs, "mean": error, "ci95": None,
                        "seeds": 1,
                    })  # fmt: skip
    return {"rows": rows, "subject": outcome["subject"], "maps": Path(outcome["maps"]).name}


def _tables(result: Result) -> list[Table]:
    rows = []
    for row in result["rows"].values():
        cells = {(e["contrast"], e["inputs"]): f"{e['mean']:.2f}" for e in row["entries"] if e["against"] == "truth"}
        rows.append((row["label"], *cells.values()))
    header = ("", *(f"{NAMES[contrast]}, {inputs}" for contrast, inputs in _keys(result)))
    return [Table(f"Error of the maps of {result['subject']} against the truth (ms)", header, rows)]


def _keys(result: Result) -> list[tuple[str, str]]:
    entries = result["rows"]["truth"]["entries"]
    return [(entry["contrast"], entry["inputs"]) for entry in entries if entry["against"] == "truth"]


def _figures(result: Result, cache: Path) -> dict[str, Figure]:
    if not (cache / result["maps"]).exists():  # too large to be kept beside the results
        return {}
    with np.load(cache / result["maps"]) as kept:
        return {
            f"fig2-{inputs}": comparison_figure(
                {
                    contrast: {
                        row["label"]: kept[f"{name}/{inputs}/{contrast}"] for name, row in result["rows"].items()
                    }
                    for contrast in CONTRASTS
                },
                truth=_LABELS["truth"],
                roi=kept["roi"],
                title=f"{result['subject']}, input set {inputs!r}",
            )
            for inputs in dict.fromkeys(entry["inputs"] for entry in result["rows"]["truth"]["entries"])
        }


FIG2 = Experiment(
    title="The maps of one patient",
    question="Fig. 2 of the paper: what do maps and their errors look like, from each of the three input sets?",
    steps=_steps,
    result=_result,
    tables=_tables,
    figures=_figures,
)
