"""Not in the paper: how well do maps from three real images predict other images of the same series?

Nobody knows the true maps of real tissue, but images that no method has seen can judge. Of the first nine images of a
series, the first, fourth and seventh are the inputs; the second, fifth and eighth are training targets, from which
strengths of denoising are chosen and networks learn; all others are test images.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from relaxnet.experiments._harness.data import data_file
from relaxnet.experiments._harness.experiment import Experiment, Outcomes, Result, Setting
from relaxnet.experiments._harness.format import Table, columns, find, of_entry, table
from relaxnet.experiments._harness.judged import (
    CONTROLS,
    METHODS,
    NETWORKS,
    judge_fit,
    judge_network,
    judge_photographs,
)
from relaxnet.experiments._harness.series import PHOTOGRAPHS, SERIES, Case
from relaxnet.experiments._harness.steps import Step
from relaxnet.metrics import ratio_of_means
from relaxnet.plots import comparison_figure
from relaxnet.plots._figure import MARKERS, PAGE, empty_figure, letter
from relaxnet.training import Preset

_SNR = 20.0  # as in the paper
_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "native": ("noise as acquired", {}),
    "snr-20": (f"noise added to SNR {_SNR:g}", {"snr": _SNR}),
    "slice": ("trained and tuned on other slices", {"other_slice": True}),
    "slice-snr-20": (
        f"trained and tuned on other slices, noise added to SNR {_SNR:g}",
        {"snr": _SNR, "other_slice": True},
    ),
}
"""How methods are judged by a series, with the fields of the case."""
_SHORT = {"native": "as acquired", "snr-20": f"SNR {_SNR:g}"}
_BASE = "nlls"
_PUBLISHED = {"published-nlls": "Published: least squares", "published-cnn": "Published: supervised network"}
_DRAWN = ("nlls", "gaussian", "low-rank", "spatial", "network")
_TRUTH = "Fit of all others"
_TICKS = (0.3, 0.4, 0.5, 0.7, 1, 1.4, 2, 3, 5)


def _absent() -> list[str]:
    return [series.file for series in (*SERIES.values(), PHOTOGRAPHS) if data_file(series.file) is None]


def _cases() -> dict[tuple[str, str], Case]:
    """List the cases by series and kind."""
    there = {name: series for name, series in SERIES.items() if data_file(series.file)}
    several = [name for name, series in there.items() if len(series.read()["signal"]) > 1]
    return {
        (name, kind): Case(series, **fields)
        for kind, (_, fields) in _KINDS.items()
        for name, series in there.items()
        if name in several or "other_slice" not in fields
    }


def _preset(setting: Setting) -> Preset:
    return replace(setting.preset, epochs=setting.scan_steps, steps=1)


def _of_series(setting: Setting) -> dict[str, dict[tuple[str, str], Step]]:
    """Plan each row by each case."""
    preset, rows = _preset(setting), dict[str, dict[tuple[str, str], Step]]()
    for about, case in _cases().items():
        title = ", ".join(about)
        for name in METHODS | CONTROLS:
            step = Step(f"{name}, {title}", judge_fit, {"method": name, "case": case})
            rows.setdefault(name, {})[about] = step
        for name in NETWORKS:
            arguments = {"case": case, "preset": preset, "trained": name == "network"}
            rows.setdefault(name, {})[about] = Step(f"{name}, {title}", judge_network, arguments)
    return rows


def _of_photographs(setting: Setting) -> dict[str, Step]:
    if not _cases() or data_file(PHOTOGRAPHS.file) is None:
        return {}
    case = Case(PHOTOGRAPHS, dealt=(10, 2))
    return {
        name: Step(
            f"{name}, photographs",
            judge_photographs,
            {"method": name, "case": case, "preset": _preset(setting) if name == "network" else None},
        )
        for name in (*METHODS, "network", *_PUBLISHED)
    }


def _steps(setting: Setting) -> list[Step]:
    planned = [step for row in _of_series(setting).values() for step in row.values()]
    return [*planned, *_of_photographs(setting).values()]


def _result(setting: Setting, outcomes: Outcomes) -> Result:
    labels = {name: label for name, (label, _) in (METHODS | CONTROLS).items()} | NETWORKS | _PUBLISHED
    entries: dict[str, list[dict[str, Any]]] = {name: [] for name in labels}
    planned, of_photographs = _of_series(setting), _of_photographs(setting)
    for name, row in planned.items():
        for (series, kind), step in row.items():
            own, base = (outcomes[one.key] for one in (step, planned[_BASE][series, kind]))
            found = ratio_of_means(own["by_block"], base["by_block"])
            entry = {key: own[key] for key in ("mean", "rms", "error_ms", "strength", "by_block")}
            entry["ratio"] = {"to": _BASE, "mean": found.ratio, "ci95": [found.low, found.high]}
            entries[name].append({"series": series, "case": kind, "seeds": 1} | entry)
    for name, step in of_photographs.items():
        own, base = outcomes[step.key], outcomes[of_photographs[_BASE].key]
        ratio = {"to": _BASE, "mean": own["mean"] / base["mean"]}
        entries[name].append({"series": "photographs", "case": "truth", "seeds": 1} | own | {"ratio": ratio})
    native = {name: case for (name, kind), case in _cases().items() if kind == "native"}
    shown, case = next(iter(native.items()))
    reference = np.where(case.voxels[0], case.reference_ms[0], np.nan).round().tolist()
    maps = {name: outcomes[planned[name][shown, "snr-20"].key]["map_ms"] for name in _DRAWN}
    return {
        "subjects": {"series": {name: _facts(case) for name, case in native.items()}, "absent": _absent()},
        "rows": {name: {"label": labels[name], "entries": some} for name, some in entries.items() if some},
        "maps": {"series": shown, "reference": reference} | maps,
    }


def _facts(case: Case) -> dict[str, Any]:
    times = case.times.tolist()
    return {
        "label": case.series.label,
        "slices": len(case.native),
        "shape": list(case.native.shape[2:]),
        "inputs_ms": [times[k] for k in case.inputs],
        "targets_ms": [times[k] for k in case.targets],
        "test_ms": [times[k] for k in case.judges],
        "voxels": int(case.voxels.sum()),
        "sigma": case.native_sigma,
        "snr": case.native_snr,
    }


def _tables(result: Result) -> list[Table]:
    series, rows = result["subjects"]["series"], result["rows"]
    labels = {name: facts["label"] for name, facts in series.items()}
    tables = [_series_table(series.values())]
    for kind, (words, _) in _KINDS.items():
        own = tuple(name for name in series if find(rows[_BASE], series=name, case=kind))
        if own:
            shown = columns({"{series}": _residual}, names=labels, series=own, case=kind)
            shown += columns({"{series}, error of T (ms)": _error}, names=labels, series=own, case=kind)
            note = _NOTE if kind == "native" else "As above."
            tables.append(table(f"Residual of test images, {words}", _rows(rows, kind), shown, note))
    tuned = [row for name, row in rows.items() if name in METHODS and row["entries"][0]["strength"] is not None]
    shown = columns({"{series}, {case}": _strength}, names=labels | _SHORT, series=tuple(series), case=tuple(_SHORT))
    tables.append(table("Strengths that were chosen on the training targets", tuned, shown, _STRENGTHS))
    if photographs := _rows(rows, "truth"):
        shown = columns({"median error (ms)": lambda e: f"{e['mean']:.1f}", "of least squares": _share}, case="truth")
        tables.append(table("Ten echoes of maps that are photographs", photographs, shown, _PHOTOGRAPHS))
    return tables


def _rows(rows: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [row for row in rows.values() if find(row, case=kind)]


_NOTE = (
    "Mean absolute residual over test images and voxels, in units of the noise of the inputs, and in brackets its "
    "ratio to that of least squares of the same inputs with a 95 % interval over squares of 16 x 16 voxels of this one "
    "scan. The amplitude is that of the inputs for all methods. Test images have the noise that they were acquired "
    "with. The error of T is the mean difference from the fit of all images that are not inputs. All methods use the "
    "inputs alone, but for the controls; the last one has seen the test images. The reference of T holds the training "
    "targets, whose own fit therefore comes nearer to it than it should, and so may a network trained with them."
)
_STRENGTHS = (
    "Gaussian: standard deviation in voxels. Non-local means and local low rank: their strength and threshold. 0 does "
    "not denoise. Spatial fit: 0 leaves the noise level to the evidence, 1 gives it."
)
_PHOTOGRAPHS = (
    "All methods use ten images. Strengths are chosen by how well five of them predict the other five; two networks, "
    "each of which receives one five and learns from the other, are averaged. The published network was trained with "
    "labels, on 10 000 series of such photographs; ours learn from this one series. Voxels with an amplitude above "
    "three noise levels."
)


def _series_table(series: Iterable[dict[str, Any]]) -> Table:
    def times(some: list[float]) -> str:
        return ", ".join(f"{time:g}" for time in some)

    header = ("", "slices", "inputs (ms)", "training targets (ms)", "test images", "voxels", "noise", "SNR")
    rows: list[tuple[str, ...]] = [
        (
            str(f["label"]), f"{f['slices']} of {f['shape'][0]} x {f['shape'][1]}", times(f["inputs_ms"]),
            times(f["targets_ms"]), f"{len(f['test_ms'])}", f"{f['voxels']}", f"{f['sigma']:.1f}", f"{f['snr']:.0f}",
        )
        for f in series
    ]  # fmt: skip
    note = "Noise as acquired, estimated without the belief in an exponential decay; SNR of the first input in tissue."
    return Table("Series", header, rows, note)


def _residual(entry: dict[str, Any]) -> str:
    return f"{entry['mean']:.3f} ({of_entry(entry['ratio'])})"


def _error(entry: dict[str, Any]) -> str:
    return f"{entry['error_ms']:.1f}"


def _strength(entry: dict[str, Any]) -> str:
    return f"{entry['strength']:g}"


def _share(entry: dict[str, Any]) -> str:
    return f"{entry['ratio']['mean']:.2f}"


def _figures(result: Result) -> dict[str, Any]:
    return {"real": _dots(result), "real-maps": _maps(result)} if "maps" in result else {}


def _dots(result: Result) -> Any:
    """Draw the ratio of each method to least squares, by series, for native images and with noise."""
    figure = empty_figure((PAGE, 4.2))
    series, rows = result["subjects"]["series"], [row for name, row in result["rows"].items() if name != _BASE]
    axes = figure.subplots(1, len(_SHORT), sharey=True)
    for kind, ax in zip(_SHORT, axes, strict=True):
        for k, ((name, facts), marker) in enumerate(zip(series.items(), MARKERS, strict=False)):
            found = [entry for row in rows[::-1] if (entry := find(row, series=name, case=kind))]
            means = np.array([entry["ratio"]["mean"] for entry in found])
            ends = np.abs(np.array([entry["ratio"]["ci95"] for entry in found]).T - means)
            height = np.arange(len(found)) + 0.15 * ((len(series) - 1) / 2 - k)
            ax.errorbar(means, height, xerr=ends, fmt=marker, label=facts["label"])
        ax.axvline(1, color="0.5", lw=1)
        ax.set(title=_KINDS[kind][0], xscale="log", xlabel="residual / residual of least squares")
        ax.set_yticks(range(len(found)), [row["label"] for row in _rows(result["rows"], kind)[::-1] if row in rows])
        low, high = ax.get_xlim()
        ticks = [tick for tick in _TICKS if low < tick < high]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.grid(axis="y", alpha=0.3)
    letter(axes)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(series))
    return figure


def _maps(result: Result) -> Any:
    found, rows = result["maps"], result["rows"]
    maps = {_TRUTH: np.array(found["reference"], float)}
    maps |= {rows[name]["label"]: np.array(found[name], float) for name in _DRAWN}
    label = result["subjects"]["series"][found["series"]]["label"]
    return comparison_figure({"t2": maps}, truth=_TRUTH, title=f"{label}, three images, {_KINDS['snr-20'][0]}")


def _captions(result: Result) -> dict[str, str]:
    series = result["subjects"]["series"]
    shown = next(iter(series.values()))
    height, width = shown["shape"]
    acquired = ", ".join(f"{facts['label']} {facts['snr']:.0f}" for facts in series.values())
    return {
        "real": "Residual of test images by method, as a part of that of least squares of the same three inputs. "
        "Left of the line is better. Bars are 95 % intervals over squares of 16 x 16 voxels of a scan, by bootstrap. "
        f"SNR as acquired: {acquired}.",
        "real-maps": f"T2 of one real series ({shown['label'].lower()}, {height} x {width} voxels) from three images "
        f"with noise added to an SNR of {_SNR:g}. Below: how far each map is from the fit of all images that are not "
        "inputs. That fit holds the training targets, so the network, which learns from them, comes nearer to it than "
        "it should.",
    }


def _subjects(result: Result) -> str:
    absent = result["subjects"]["absent"]
    text = f"{len(result['subjects']['series'])} real series"
    return f"{text}, without {', '.join(absent)}" if absent else text


REAL = Experiment(__doc__, _steps, _result, _tables, _figures, _captions, _subjects, _absent)
