"""Tables of maps: errors by input set, and how far maps show the structure of a liver, which one number would not."""

from collections.abc import Iterable

from relaxnet.experiments._harness.experiment import CONTRASTS
from relaxnet.experiments._harness.format import NAMES, Row, Table, columns, find, of_entry, of_number, table
from relaxnet.experiments._harness.report import MEAN_OF_SETS

_SETS = ("short", "middle", "long")
NOTE = "Mean absolute error in the liver over three input sets, with bootstrap 95 % intervals over subjects."
"""Note below a table of errors."""


def by_set_table(rows: Iterable[Row]) -> Table:
    """Write the error against the truth from each input set.

    Parameters
    ----------
    rows
        Rows of a result; those that have no input sets are left out.

    Returns
    -------
    Table
        The table.
    """
    shown = columns({"{contrast}, {inputs}": of_entry}, contrast=CONTRASTS, against="truth", inputs=_SETS)
    of_sets = [row for row in rows if find(row, inputs=MEAN_OF_SETS)]
    return table("Error against the truth by input set (ms)", of_sets, shown)


def structure_tables(rows: Iterable[Row]) -> list[Table]:
    """Write how far maps show structure, against the truth.

    Parameters
    ----------
    rows
        Rows of a result; those without the numbers are left out.

    Returns
    -------
    list of Table
        A table for each contrast.
    """
    shows = {
        "R2": of_number("r2", ".2f"),
        "correlation": of_number("correlation", ".2f"),
        "error of the mean (ms)": of_number("mean_error", ".2f"),
        "bias of lesions": of_number("lesion_bias", "+.1%"),
        "edge width (mm)": of_number("edge_width", ".1f"),
        "missing": of_number("missing", ".1%"),
    }
    note = (
        "R2 and correlation with the truth over the voxels of a liver, after the mean of each map is taken off: one "
        "number for the whole liver has an R2 of 0. Error of the mean over the liver. Bias of the mean of tumours of 2 "
        "to 6 mm in radius. Edge width: over which an edge rises from 10 to 90 %, beyond that of a voxel; 2.56 times "
        "the standard deviation of the Gaussian, of up to 8 mm, that makes the true map near tumours most like the "
        "map, whatever its contrast. Missing: voxels without a value in the map or in the four-image fit. They are "
        "left out of all errors, so a row with many of them is judged by easier voxels."
    )
    measured = [row for row in rows if any("r2" in entry for entry in row["entries"])]
    return [
        table(f"Structure within the liver: {NAMES[c]}", measured, columns(shows, contrast=c, against="truth"), note)
        for c in (CONTRASTS if measured else ())
    ]
