"""Patients whose anatomy is not the phantom's own: that of a real abdomen, segmented."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from relaxnet.experiments._harness.setting import Setting
from relaxnet.phantom import TOTALSEGMENTATOR_CT, Subject, label_map_subject

_FILE = "totalseg_abdomen_ct_labels.npz"
_FIELD_OF_VIEW_MM = 384.0  # width of the phantom's pictures
_FINE = 2  # labels along the side of a voxel


def label_maps() -> Path | None:
    """Find the label map, which is among the project's test data.

    Returns
    -------
    Path or None
        The file; ``None`` where the folder that ``RELAXNET_TEST_DATA`` names, or ``../shared/data``, has none.
    """
    path = Path(os.environ.get("RELAXNET_TEST_DATA", "../shared/data")) / _FILE
    return path.resolve() if path.exists() else None


def label_map_patients(setting: Setting, path: Path, fold: int) -> list[Subject]:
    """Paint a label map with the tissues of the patients that a fold tests.

    Parameters
    ----------
    setting
        Size of the experiments.
    path
        What :func:`label_maps` found.
    fold
        Who is tested.

    Returns
    -------
    list of Subject
        Patients who share an anatomy, in voxels about as large as the phantom's.
    """
    with np.load(path) as kept:
        labels, zoom_mm = kept["labels"], [float(length) for length in kept["zoom_mm"]]
    step = max(round(_FIELD_OF_VIEW_MM / max(setting.shape) / _FINE / zoom_mm[0]), 1)
    n = labels.shape[2]
    chosen = [n // 2 + 3 * (k - setting.slices // 2) for k in range(setting.slices)]
    some = np.ascontiguousarray(labels[::step, ::step, chosen].transpose(2, 0, 1)).astype(np.int16)
    return [
        label_map_subject(
            some,
            (3 * zoom_mm[2], step * zoom_mm[0], step * zoom_mm[1]),
            TOTALSEGMENTATOR_CT,
            snr=setting.snr,
            seed=setting.seed,
            index=index,
            partial_volume=True,
        )
        for index in range(fold, setting.n_subjects, setting.n_folds)
    ]


def patients(setting: Setting, fold: int, changes: dict[str, Any]) -> list[Subject]:
    """Take the patients that a fold tests.

    Parameters
    ----------
    setting
        Size of the experiments.
    fold
        Who is tested.
    changes
        What is different of them: arguments of :meth:`Setting.cohort`, or ``"anatomy"`` for that of the label map.

    Returns
    -------
    list of Subject
        The patients.

    Raises
    ------
    FileNotFoundError
        If the label map is not there.
    """
    if "anatomy" not in changes:
        return list(setting.test(fold, **changes))
    path = label_maps()
    if path is None:
        raise FileNotFoundError(f"{_FILE} is not in the folder that RELAXNET_TEST_DATA names, nor in ../shared/data.")
    return label_map_patients(setting, path, fold)
