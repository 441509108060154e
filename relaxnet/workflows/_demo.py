"""A demonstration: from images to maps, by fits and by a network, with a figure and a table of errors.

``relaxnet demo`` runs it. All images except those of the brain are simulated, so their true maps are known.
"""

import json
import os
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from relaxnet._choices import pick
from relaxnet._contrasts import label
from relaxnet._files import check_targets, prepare_folder, replacing, write_text
from relaxnet._version import __version__
from relaxnet.errors import require
from relaxnet.fitting import fit
from relaxnet.io import map_paths
from relaxnet.metrics import rmae
from relaxnet.phantom import Cohort, Subject, liver_cohort
from relaxnet.plots import comparison_figure
from relaxnet.training import PRESETS, Trained, train
from relaxnet.workflows._drawing import Log, map_targets, picture_paths, silence
from relaxnet.workflows._fit_scan import fit_scan
from relaxnet.workflows._outcome import Outcome

N_SUBJECTS = {"smoke": 4, "laptop": 12}
N_TEST = {"smoke": 1, "laptop": 3}
SLICES = {"smoke": 1, "laptop": 3}
SNR = 20
INPUTS = "middle"

TRUTH = "truth"
REFERENCE = "least squares, 7 images"
TWO_POINT = "two-point, 3 images"
NETWORK = "network, 3 images"

Maps = dict[str, dict[str, torch.Tensor]]
"""Maps in ms by contrast and method."""


def demo(
    out: str | Path,
    *,
    preset: str = "laptop",
    seed: int = 0,
    overwrite: bool = False,
    log: Log = silence,
    progress: bool = True,
) -> Outcome:
    """Simulate a cohort, fit it, train a network without labels, and compare all of them with the truth.

    Parameters
    ----------
    out
        Folder to write to.
    preset
        ``"smoke"`` (seconds) or ``"laptop"`` (minutes on two cores).
    seed
        Of the cohort and of the training.
    overwrite
        Whether files of an earlier demo may be replaced.
    log
        Called with lines of text that report the progress.
    progress
        Whether to show the progress of the training on standard error.

    Returns
    -------
    Outcome
        Its text is a table of errors, in Markdown.

    Raises
    ------
    ValueError
        If there is no such preset.
    OSError
        If the folder cannot be written to, or holds an earlier demo and ``overwrite`` is false.
    """
    pick("preset", preset, N_SUBJECTS)
    names = ("maps.png", "table.md", "results.json", "network.safetensors", "brain.nii.gz", "brain.json")
    files = [Path(out) / name for name in names]
    later = map_paths(files[4], Path(out), "t2")
    check_targets([*files, *map_targets(later, picture_paths(later, ("t2",)))], inputs=[], overwrite=overwrite)
    prepare_folder(Path(out))
    maps_png, table_md, results_json, network_file, brain_nii, brain_json = files
    started = time.perf_counter()

    shape = PRESETS[preset].shape
    log(f"1/5  simulating {N_SUBJECTS[preset]} digital subjects, {shape[0]}x{shape[1]}, SNR {SNR} ...")
    cohort = liver_cohort(n_subjects=N_SUBJECTS[preset], slices=SLICES[preset], shape=shape, snr=SNR, seed=seed)
    n_train = len(cohort) - N_TEST[preset]

    log(f"2/5  training a network on {n_train} of them, without labels ...")
    brief = replace(PRESETS[preset], steps=1)  # minutes rather than the best maps
    trained = train(cohort[:n_train], preset=brief, inputs=INPUTS, seed=seed, progress=progress)
    trained.save(network_file)

    log(f"3/5  fitting and mapping the other {N_TEST[preset]} ...")
    subjects = list(cohort[n_train:])
    maps = [map_all(subject, cohort, trained) for subject in subjects]

    log("4/5  comparing with the truth, and with the fit of all images ...")
    rows = compare(subjects, maps)
    results = {
        "rows": rows,
        "preset": preset,
        "seed": seed,
        "subjects": [subject.name for subject in subjects],
        "seconds": round(time.perf_counter() - started, 1),
        "versions": {
            "relaxnet": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    table = render(rows)
    write_text(results_json, json.dumps(results, indent=2) + "\n")
    write_text(table_md, table + "\n")
    with replacing(maps_png) as temporary:
        _figure(subjects[0], maps[0]).savefig(temporary, format="png")
    made = {"maps": maps_png, "table": table_md, "results": results_json, "network": network_file}

    brain = real_brain()
    if brain is None:
        log("5/5  no real images found: set RELAXNET_TEST_DATA to the folder of the test data to fit some")
    else:
        log("5/5  fitting a real brain, as `relaxnet fit t2` does ...")
        _write_scan(*brain, brain_nii, brain_json)
        outcome = fit_scan(brain_nii, "t2", overwrite=overwrite, log=log)
        made |= {"brain_picture": outcome.files["picture"], "brain_t2": outcome.files["t2"], "brain": brain_nii}
    return Outcome(table, made, results)


def map_all(subject: Subject, cohort: Cohort, trained: Trained) -> Maps:
    """Map one subject by all methods.

    Parameters
    ----------
    subject
        The subject.
    cohort
        The cohort it is from, for its protocol.
    trained
        The network.

    Returns
    -------
    Maps
        Maps (slice, height, width) by contrast and method.
    """
    protocol, network = cohort.protocol, trained.predict(subject.images)
    inputs = trained.net.input_channels
    maps: Maps = {}
    for contrast in protocol.contrasts:
        channels = protocol.images_of(contrast.name)
        images = subject.images[:, channels]
        first, second = (k for k, channel in enumerate(channels) if channel in inputs)
        maps[contrast.name] = {
            TRUTH: subject.truth[contrast.name],
            REFERENCE: fit(images, contrast).maps[contrast.name],
            TWO_POINT: fit(images, contrast, method="two-point", pair=(first, second)).maps[contrast.name],
            NETWORK: network[contrast.name],
        }
    return maps


def compare(subjects: list[Subject], maps: list[Maps]) -> list[dict[str, Any]]:
    """Compute the ROI mean absolute error of each method, against the truth and against the fit of all images.

    Parameters
    ----------
    subjects
        The subjects.
    maps
        Maps of each of them.

    Returns
    -------
    list of dict
        A row a method and contrast: errors in ms, one a subject. Voxels that a method failed in are left out and
        counted.
    """
    rows: list[dict[str, Any]] = []
    for contrast in maps[0]:
        for method in (TWO_POINT, NETWORK, REFERENCE):
            row: dict[str, Any] = {"method": method, "contrast": contrast, "failed_voxels": 0, "roi_voxels": 0}
            for against in (TRUTH, REFERENCE):
                errors = []
                for subject, own in zip(subjects, maps, strict=True):
                    good = subject.roi & torch.isfinite(own[contrast][method]) & torch.isfinite(own[contrast][against])
                    errors.append(round(rmae(own[contrast][method], own[contrast][against], good), 4))
                    if against == TRUTH:
                        row["failed_voxels"] += int(subject.roi.sum() - good.sum())
                        row["roi_voxels"] += int(subject.roi.sum())
                if method != against:
                    row[f"rmae_ms_against_{'truth' if against == TRUTH else 'reference'}"] = errors
            rows.append(row)
    return rows


def render(rows: list[dict[str, Any]]) -> str:
    """Write rows of :func:`compare` as a Markdown table.

    Parameters
    ----------
    rows
        The rows.

    Returns
    -------
    str
        A table with a row for each method, and a column for each contrast and reference; means over the subjects in ms.
    """
    contrasts = list(dict.fromkeys(row["contrast"] for row in rows))
    columns = [(contrast, against) for contrast in contrasts for against in ("truth", "reference")]
    titles = [f"{label(contrast)} against {against}" for contrast, against in columns]
    lines = ["| ROI mean absolute error (ms) | " + " | ".join(titles) + " |", "| --- |" + " ---: |" * len(columns)]
    for method in dict.fromkeys(row["method"] for row in rows):
        cells = []
        for contrast, against in columns:
            row = next(row for row in rows if row["method"] == method and row["contrast"] == contrast)
            errors = row.get(f"rmae_ms_against_{against}")
            cells.append("" if errors is None else f"{np.mean(errors):.2f}")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def real_brain() -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Read the real images that the tests use: spin-echo images of a brain.

    Returns
    -------
    tuple
        Images (row, column, echo) and their times in ms, or None if the file does not exist.
    """
    path = Path(os.environ.get("RELAXNET_TEST_DATA", "../shared/data")) / "santini_brain_se.npz"
    if not path.is_file():
        return None
    with np.load(path) as data:
        return data["signal"], data["times_ms"]


def _write_scan(signal: NDArray[Any], times_ms: NDArray[Any], path: Path, sidecar: Path) -> None:
    """Save images (row, column, echo) as a scanner's converter would: NIfTI, with the times in seconds beside it."""
    nibabel = require("nibabel", extra="io")
    affine = np.diag((-1.0, -1.0, 1.0, 1.0))  # columns run to the patient's left, rows to the back; mm are not known
    image = nibabel.Nifti1Image(signal.transpose(1, 0, 2)[:, :, None], affine)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    with replacing(path) as temporary:
        image.to_filename(temporary)
    write_text(sidecar, json.dumps({"EchoTime": [float(t) / 1000 for t in times_ms]}, indent=4) + "\n")


def _figure(subject: Subject, maps: Maps) -> Any:
    middle = len(subject.images) // 2
    shown = {
        contrast: {method: values[middle].numpy() for method, values in methods.items()}
        for contrast, methods in maps.items()
    }
    height, width = subject.roi[middle].shape
    title = f"A subject that the network was not trained with: {height} x {width} voxels, SNR {SNR}"
    return comparison_figure(shown, truth=TRUTH, roi=subject.roi[middle].numpy(), title=title, range_ms=(20, 70))
