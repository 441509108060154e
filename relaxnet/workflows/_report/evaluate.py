"""Reports of evaluations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._contrasts import label
from relaxnet.io import as_pictures
from relaxnet.metrics import coverage, ence
from relaxnet.plots import bland_altman_figure, calibration_figure, map_figure
from relaxnet.workflows._report.page import Page, Picture, Section, Table, provenance_section

_NAMES = {
    "n_missing": "missing",
    "loa_low": "lower limit",
    "loa_high": "upper limit",
    "rmae": "mean absolute",
    "icc": "ICC",
}
_MEASURES = (
    "Bias is the mean of map minus reference, sd the standard deviation of these differences, and the limits of "
    "agreement are bias ± 1.96 sd. Only voxels that both maps have are compared; missing ones are counted."
)


@dataclass(frozen=True, eq=False)
class Compared:
    """A map and what it is compared with."""

    values: NDArray[Any]
    reference: NDArray[Any]
    where: NDArray[np.bool_]
    """The voxels to compare."""
    unit: str
    std: NDArray[Any] | None = None
    """Standard deviation of the differences, where it is known."""

    @staticmethod
    def pooled(parts: Sequence["Compared"]) -> "Compared":
        """Put the voxels of several together."""
        values, reference = (np.concatenate([getattr(p, of)[p.where] for p in parts]) for of in ("values", "reference"))
        known = [None if part.std is None else part.std[part.where] for part in parts]
        stds = [std for std in known if std is not None]
        std = np.concatenate(stds) if len(stds) == len(parts) else None
        return Compared(values, reference, np.ones(values.shape, dtype=bool), parts[0].unit, std)


def maps_page(
    name: str,
    reference: str,
    affine: NDArray[np.float64],
    compared: Compared,
    rows: Sequence[Mapping[str, Any]],
    *,
    made: Callable[[str], dict[str, Any]],
) -> Page:
    """Make the report of a map (x, y, z) and its reference."""
    inside = np.where(compared.where, compared.values, np.nan), np.where(compared.where, compared.reference, np.nan)
    both = {
        "map": compared.values,
        "reference": compared.reference,
        "absolute difference": np.abs(inside[0] - inside[1]),
    }
    pictures = tuple(
        Picture(
            partial(map_figure, as_pictures(values, affine), name=what, unit=compared.unit, title=""),
            f"{what.capitalize()} in {compared.unit}.",
            wide=True,
        )
        for what, values in both.items()
    )
    plot = partial(bland_altman_figure, *inside, name="value", unit=compared.unit)
    outcome = f"{rows[-1]['n']} voxels compared"
    return Page(
        f"{name} against {reference}",
        f"{outcome}, in {compared.unit}",
        (
            Section("Agreement", (_MEASURES,), (_table(rows),), (_bland_altman(plot, ""),)),
            Section("Maps", pictures=pictures),
            provenance_section(made(outcome)),
        ),
    )


def network_page(
    pooled: Mapping[str, Compared],
    rows: Sequence[Mapping[str, Any]],
    against: str,
    *,
    made: Callable[[str], dict[str, Any]],
) -> Page:
    """Make the report of a network on a cohort; rows are those of each subject, then those of all."""
    subjects = len({row["subject"] for row in rows}) - 1
    compared_with = {
        "truth": "their known truth",
        "fit": "a fit of all their images, which has errors of its own",
    }
    plots = tuple(
        _bland_altman(partial(bland_altman_figure, one.values, one.reference, name=name, unit=one.unit), label(name))
        for name, one in pooled.items()
    )
    whole, each = list(rows[-len(pooled) :]), list(rows[: -len(pooled)])
    outcome = f"{subjects} subjects, compared with {compared_with[against]}"
    return Page(
        "Evaluation of a network",
        outcome,
        (
            Section("Agreement", (_MEASURES,), (_table(whole),), plots),
            _calibration(pooled, against),
            Section("Subjects", tables=(_table(each),)),
            provenance_section(made(outcome)),
        ),
    )


def _calibration(pooled: Mapping[str, Compared], against: str) -> Section:
    title, errors, stds, rows = "Standard deviations", {}, {}, []
    for name, one in pooled.items():
        if one.std is not None:
            known = np.isfinite(one.values) & np.isfinite(one.reference) & np.isfinite(one.std)
            errors[name], stds[name] = (one.values - one.reference)[known], one.std[known]
            inside = coverage(one.values, one.std, one.reference, known, levels=(0.5, 0.9, 0.95), kind="gaussian")
            shares = [f"{100 * share:.1f} %" for share in inside.values()]
            rows.append((label(name), *shares, ence(one.values, one.std, one.reference, known)))
    if not errors:
        return Section(title, ("This network has no standard deviations.",))
    text = "Where they are right, the points lie on the diagonal, and intervals hold as many voxels as they say."
    if against == "fit":
        text += " The standard error of the fit is included, as differences hold its errors, too."
    header = ("map", "in 50 %", "in 90 %", "in 95 %", "relative error (ENCE)")
    picture = Picture(partial(calibration_figure, errors, stds), "Errors over predicted standard deviations, in bins.")
    return Section(title, (text,), (Table(header, rows),), (picture,))


def _bland_altman(draw: Callable[[], Any], of: str) -> Picture:
    return Picture(draw, f"Bland-Altman plot{f' of {of}' if of else ''}: differences over means, bias and limits.")


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    return Table(tuple(_NAMES.get(key, key) for key in rows[0]), [list(row.values()) for row in rows])
