"""Running an experiment, and writing down what came out."""

import json
import os
import platform
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from relaxnet._choices import pick
from relaxnet._files import write_text
from relaxnet.experiments import EXPERIMENTS
from relaxnet.experiments._harness.setting import SETTINGS, Setting
from relaxnet.experiments._harness.steps import run_steps, workers

CACHE = ".cache"
"""Folder of what steps have computed, beside those of the results."""


def run(
    names: str | Iterable[str],
    *,
    preset: str = "laptop",
    seeds: int = 3,
    out: str | Path = "results",
    jobs: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Run experiments, and write their results.

    What has been computed is kept in ``out/.cache``: a run that was interrupted goes on, experiments share the networks
    that they have in common, and a changed row alone is computed again.

    Parameters
    ----------
    names
        One name of :data:`EXPERIMENTS`, or several.
    preset
        Size: ``"smoke"``, ``"laptop"`` or ``"paper"``.
    seeds
        How many seeds the most important rows are trained with; others with one.
    out
        Folder; results are ``out/<preset>/<name>.json``.
    jobs
        How many steps to compute at a time; by default one a core, or one where there is a GPU.
    say
        Is told what is going on, a line at a time.

    Returns
    -------
    dict
        Results by name.

    Raises
    ------
    ValueError
        If an experiment or the preset is unknown, or there is no seed.
    MissingExtraError
        If a library of the extra ``experiments`` is not installed.
    """
    chosen = [names] if isinstance(names, str) else list(names)
    experiments = {name: pick("experiment", name, EXPERIMENTS).load() for name in chosen}
    if seeds < 1:
        raise ValueError(f"seeds={seeds}: at least one is needed.")
    setting, folder, results = pick("preset", preset, SETTINGS), Path(out), {}
    with workers(jobs) as pool:
        for name in chosen:
            experiment = experiments[name]
            say(f"{name}: {experiment.title}")
            steps = experiment.steps(setting, seeds)
            outcomes = run_steps(steps, folder / CACHE, pool, say=say)
            seconds = sum(_seconds(outcomes[step.key]) for step in steps)
            results[name] = _description(name, setting, seeds, seconds) | experiment.result(setting, seeds, outcomes)
            write_text(folder / preset / f"{name}.json", json.dumps(_rounded(results[name]), indent=1) + "\n")
    return results


def _description(name: str, setting: Setting, seeds: int, seconds: float) -> dict[str, Any]:
    return {
        "experiment": name,
        "command": f"relaxnet experiment {name} --preset {setting.name} --seeds {seeds}",
        "preset": setting.name,
        "seeds": seeds,
        "patients": {
            "n": setting.n_subjects, "slices": setting.slices, "shape": setting.shape, "snr": setting.snr,
            "seed": setting.seed, "folds": setting.n_folds,
        },
        "versions": {name: version(name) for name in ("relaxnet", "torch", "numpy")}
        | {"python": platform.python_version()},
        "machine": _machine(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds),
    }  # fmt: skip


def _machine() -> str:
    cores = f"{platform.machine()}, {os.cpu_count()} cores"
    return f"{cores}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else cores


def _seconds(outcome: Any) -> float:
    return outcome.get("seconds", 0.0) if isinstance(outcome, dict) else 0.0


def _rounded(value: Any) -> Any:
    """Keep as many digits as mean something."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
