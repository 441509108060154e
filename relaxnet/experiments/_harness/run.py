"""Running an experiment, and writing down what came out."""

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from relaxnet._choices import pick
from relaxnet.errors import look_for
from relaxnet.experiments import EXPERIMENTS, SETTINGS
from relaxnet.experiments._harness.experiment import Experiment, Result, Setting
from relaxnet.experiments._harness.render import read_result, rounded, write_result
from relaxnet.experiments._harness.report import correct
from relaxnet.experiments._harness.rows import require_network
from relaxnet.experiments._harness.steps import run_steps, workers
from relaxnet.training._presets import ONLY_RUNS

_NEEDED = ("lightning", "matplotlib", "skimage")
"""What experiments import, some of it hours after they began."""

_CACHE = ".cache"
"""Folder of the outcomes of steps, beside those of the results."""


def run(
    names: str | Iterable[str],
    *,
    preset: str = "laptop",
    seeds: int = 3,
    networks: Sequence[str] = (),
    out: str | Path = "results",
    jobs: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Run experiments, and write their results.

    What has been computed is kept in ``out/.cache``: an interrupted run is resumed, experiments share the networks that
    they have in common, and where a row has changed, that row alone is computed again. Rows of Table II that an earlier
    run has written, with the same subjects and the same training, stay in the table; with ``networks``, fits and
    controls among them are not computed again.

    Parameters
    ----------
    names
        One name of :data:`EXPERIMENTS`, or several.
    preset
        Size: a name of :data:`SETTINGS`.
    seeds
        Number of trainings of the most important networks; others are trained once.
    networks
        Networks of Table II to train beside its baseline, names of its rows such as ``"homou"``; by default those of
        the preset.
    out
        Folder; results are written to ``out/<preset>``: ``<name>.json`` with what tables need, and the whole result
        with the errors of single subjects, compressed, ``<name>.json.gz``.
    jobs
        Number of steps to compute at a time; by default one a core, or one where there is a GPU.
    say
        Called with lines of text that report the progress.

    Returns
    -------
    dict
        Whole results by name.

    Raises
    ------
    ValueError
        If an experiment, the preset or a network is unknown, or there is no seed.
    FileNotFoundError
        If the experiment needs real images, and none are there. Among several, it is left out.
    MissingExtraError
        If a library of the extra ``experiments`` is not installed.
    """
    chosen = {name: pick("experiment", name, EXPERIMENTS) for name in ([names] if isinstance(names, str) else names)}
    experiments = {name: choice.load() for name, choice in chosen.items()}
    if seeds < 1:
        raise ValueError(f"seeds={seeds}: at least one is needed.")
    for package in _NEEDED:
        look_for(package, extra="experiments")
    setting: Setting = replace(pick("preset", preset, SETTINGS).load(), seeds=seeds)
    if networks:
        setting = replace(setting, networks=tuple(require_network(name) for name in networks))
    folder, results = Path(out), {}
    if setting.preset.only_runs:
        say(f"preset {preset!r}: {ONLY_RUNS}")
    with workers(jobs) as pool:
        for name, experiment in experiments.items():
            say(f"{name}: {chosen[name].summary}")
            earlier = _earlier(experiment, folder / preset, name, setting, say)
            own = replace(setting, known=tuple(earlier["rows"])) if networks and earlier else setting
            steps, absent = experiment.steps(own), ", ".join(experiment.absent())
            if absent:
                say(f"{name}: without {absent}, not in the folder that RELAXNET_TEST_DATA names")
            if not steps and len(experiments) > 1:
                continue  # the others do without
            if not steps:
                raise FileNotFoundError(
                    f"{name} has no data: at least one of {absent} is needed in ../shared/data, or in the folder that "
                    f"RELAXNET_TEST_DATA names."
                )
            outcomes = run_steps(steps, folder / _CACHE, pool, say=say)
            seconds = sum(outcomes[step.key].get("seconds", 0) for step in steps)
            result = _description(name, setting, seconds) | experiment.result(own, outcomes)
            if earlier and experiment.joined:
                joined = experiment.joined(result, earlier)
                result = joined | _origins(earlier, joined["rows"].keys() - result["rows"].keys())
            correct(result)
            results[name] = result
            write_result(folder / preset, name, results[name])
    return results


def _command(name: str, setting: Setting) -> str:
    chosen = setting.networks if setting.networks != SETTINGS[setting.name].load().networks else ()
    options = [f"--networks {network}" for network in chosen]
    return " ".join([f"relaxnet experiment {name} --preset {setting.name} --seeds {setting.seeds}", *options])


def _description(name: str, setting: Setting, seconds: float) -> dict[str, Any]:
    return {
        "experiment": name,
        "command": _command(name, setting),
        "preset": setting.name,
        "seeds": setting.seeds,
        **_conditions(setting),
        "versions": {name: version(name) for name in ("relaxnet", "torch", "numpy")}
        | {"python": platform.python_version()},
        "machine": _machine(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds),
    }


def _conditions(setting: Setting) -> dict[str, Any]:
    """Describe the subjects and the training, which rows of one table have in common."""
    subjects = {
        "n": setting.n_subjects, "slices": setting.slices, "shape": setting.preset.shape, "snr": setting.snr,
        "seed": setting.seed, "folds": setting.n_folds, "pixel_mm": setting.pixel_mm,
        "texture": setting.texture and asdict(setting.texture),
    }  # fmt: skip
    return {"subjects": subjects, "training": asdict(setting.preset)}


def _earlier(
    experiment: Experiment, folder: Path, name: str, setting: Setting, say: Callable[[str], None]
) -> Result | None:
    """Read what an earlier run has written, if its rows can stand beside those of this one."""
    if experiment.joined is None or not (folder / f"{name}.json.gz").exists():
        return None
    try:
        found = read_result(folder, name, details=True)
    except ValueError as error:
        say(f"{name}: no row is kept: {error}")
        return None
    same = rounded(_conditions(setting))
    return found if same == {key: found.get(key) for key in same} else None


def _origins(earlier: Result, kept: set[str]) -> Result:
    """Tell which runs the rows come from that are kept."""
    before = earlier.get("earlier", [])
    last = {key: earlier[key] for key in ("command", "versions", "machine", "time", "seconds")}
    runs = [*before, last | {"rows": kept.difference(*(run["rows"] for run in before))}]
    found = [run | {"rows": rows} for run in runs if (rows := sorted(kept.intersection(run["rows"])))]
    return {"earlier": found} if found else {}


def _machine() -> str:
    cores = f"{platform.machine()}, {os.cpu_count()} cores"
    return f"{cores}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else cores
