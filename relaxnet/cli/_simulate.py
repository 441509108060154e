"""``relaxnet simulate``: its options, and what it prints."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relaxnet.cli._common import Answer
from relaxnet.cli._console import listed, say
from relaxnet.cli._progress import progress
from relaxnet.cli._values import check_positive, numbers, speaking_of

if TYPE_CHECKING:
    from relaxnet.phantom import LabelMapCohort, Subjects, Texture


TABLES = {"totalseg-mr": "TOTALSEGMENTATOR_MR", "totalseg-ct": "TOTALSEGMENTATOR_CT"}
"""Tissue tables that have a name."""


def simulate(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the cohort goes.")],
    subjects: Annotated[int, typer.Option(min=1, help="How many digital subjects.")] = 51,
    slices: Annotated[int | None, typer.Option(min=1, help="Slices of each. [default: 3, or those of LABELS]")] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="HxW", help="Height and width of a slice, each 32 or more. [default: 256x256, or that of LABELS]"
        ),
    ] = None,
    snr: Annotated[float, typer.Option(help="Signal of the liver over the noise; inf for no noise.")] = 20.0,
    field: Annotated[float, typer.Option(help="Field strength in T: 1.5 or 3.")] = 3.0,
    texture: Annotated[
        str | None,
        typer.Option(
            metavar="SD,MM",
            help="Texture as in real tissue, with small vessels and lesions: relative standard deviation in the liver "
            "and length, such as 0.06,5. [default: a smooth one]",
        ),
    ] = None,
    pixel_mm: Annotated[
        float | None,
        typer.Option(help="Side of a pixel; slices are crops around the liver where HxW is less than all of the body."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")] = 0,
    labels: Annotated[
        Path | None, typer.Option(metavar="LABELS", help="NIfTI label map of an abdomen, the anatomy of all subjects.")
    ] = None,
    tissues: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Its tissues: totalseg-mr, totalseg-ct, or a file of label TAB tissue."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier cohort.")] = False,
) -> Answer:
    """Simulate digital livers with known T1rho and T2, as NIfTI files in the manner of BIDS.

    Run it again to resume it. Images are in sub-001/anat, the truth in derivatives/truth.
    """
    if not snr > 0:
        raise typer.BadParameter(f"{snr:g} is not a positive number.", param_hint="--snr")
    if field not in (1.5, 3.0):
        raise typer.BadParameter(f"{field:g}: the tissues are known at 1.5 and 3 T.", param_hint="--field")
    if (labels is None) != (tissues is None):
        raise typer.BadParameter(
            "they go together: a label map, and what its labels are.", param_hint="--labels, --tissues"
        )
    if labels is not None and (slices, shape, pixel_mm) != (None, None, None):
        raise typer.BadParameter("the label map has them.", param_hint="--slices, --shape, --pixel-mm")
    height, width = _shape(shape or "256x256")
    check_positive(pixel_mm=pixel_mm)
    variation = None if texture is None else _texture(texture)
    from relaxnet.io import write_cohort  # noqa: PLC0415 (it needs torch, which takes seconds)
    from relaxnet.phantom import liver_cohort  # noqa: PLC0415

    cohort: Subjects
    if labels is not None and tissues is not None:
        cohort = _of_labels(
            labels, tissues, n_subjects=subjects, snr=snr, seed=seed, field_tesla=field, texture=variation
        )
        n_slices, height, width = cohort.labels.shape
    else:
        n_slices = slices or 3
        with speaking_of(pixel_mm="--pixel-mm"):
            cohort = liver_cohort(
                subjects,
                n_slices,
                (height, width),
                snr,
                seed,
                field_tesla=field,
                texture=variation,
                pixel_mm=pixel_mm,
            )
    how = f"{n_slices} slices of {height} x {width}, SNR {snr:g}, {field:g} T, seed {seed}"
    if variation is not None:
        how += f", texture {variation.sd:g} of {variation.length_mm:g} mm"
    say(f"{out}: {subjects} digital subjects, {how}{'' if labels is None else f', the anatomy of {labels}'}")
    with progress("simulating") as tell:
        write_cohort(cohort, out, overwrite=overwrite, progress=tell)
    table = out / "participants.tsv"
    return Answer(f"{subjects} subjects\n{listed([table])}", {"subjects": subjects, "files": [str(table)]})


def _texture(text: str) -> "Texture":
    from relaxnet.phantom import Texture  # noqa: PLC0415

    values = numbers(text, "--texture")
    if len(values) != 2:
        raise typer.BadParameter(f"{text!r} is not SD,MM, such as 0.06,5.", param_hint="--texture")
    try:
        return Texture(*values)
    except ValueError as error:
        raise typer.BadParameter(str(error).removeprefix("texture: "), param_hint="--texture") from error


def _of_labels(path: Path, tissues: str, **options: Any) -> "LabelMapCohort":
    """Make a cohort of a label map on disk; messages name the file."""
    from relaxnet import phantom  # noqa: PLC0415
    from relaxnet.io import read_label_map, read_tissue_table  # noqa: PLC0415

    named = TABLES.get(tissues)
    table = getattr(phantom, named) if named else read_tissue_table(tissues)
    labels, voxel_mm = read_label_map(path)
    try:
        return phantom.label_map_cohort(labels, voxel_mm, table, **options)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _shape(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    try:
        height, width = (int(part) for part in (parts * 2 if len(parts) == 1 else parts))
    except ValueError as error:
        problem = f"{text!r} is not a height and a width, such as 256x256."
        raise typer.BadParameter(problem, param_hint="--shape") from error
    if min(height, width) < 32:
        raise typer.BadParameter(f"{text!r}: height and width must be 32 or more.", param_hint="--shape")
    return height, width
