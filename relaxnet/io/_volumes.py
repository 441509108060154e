"""Writing volumes as NIfTI files, each with a JSON sidecar that says what it is."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from relaxnet._files import replacing
from relaxnet._version import __version__
from relaxnet.errors import require
from relaxnet.io._bids import sidecar_path
from relaxnet.io._header import AFFINE_TOLERANCE

GENERATED_BY = [{"Name": "relaxnet", "Version": __version__}]
"""Who made a file, as BIDS has it."""

_ALIGNED = 2  # NIfTI's number for a space that is agreed on, but not the scanner's


class Volume(NamedTuple):
    """One file to be written, and its sidecar."""

    values: NDArray[Any]
    """Voxels, (x, y, z) or (x, y, z, image), in the type in which they are stored."""
    sidecar: dict[str, Any]
    """What is said about them."""


def write_volumes(volumes: Mapping[Path, Volume], affine: NDArray[np.float64], space_code: int) -> None:
    """Write volumes of one grid: all of them, or, if that fails, none.

    Parameters
    ----------
    volumes
        What to write, by path. Existing files are replaced. The sidecar of the first volume comes last, so where it
        is, all are, even if the machine stopped on the way.
    affine
        From voxel numbers to mm, (4, 4).
    space_code
        The space that the affine leads to, as NIfTI numbers them; 0 if unknown.
    """
    with ExitStack() as stack:  # files move to their places only when the last one has been written
        for path, volume in volumes.items():
            text = stack.enter_context(replacing(sidecar_path(path)))
            text.write_text(json.dumps(volume.sidecar, indent=4) + "\n", encoding="utf-8")
            nifti_image(volume.values, affine, space_code).to_filename(stack.enter_context(replacing(path)))


def nifti_image(values: NDArray[Any], affine: NDArray[np.float64], space_code: int) -> Any:
    """Put values on a grid, under a header that owes no other file anything.

    A header carried over from an integer scan would turn NaN into 0 and seconds into steps.
    """
    nibabel = require("nibabel", extra="io")
    kind = nibabel.Nifti1Image if max(values.shape) < 2**15 else nibabel.Nifti2Image
    image = kind(values, affine)
    code = space_code or _ALIGNED
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    if not np.allclose(image.get_qform(), affine, rtol=0, atol=AFFINE_TOLERANCE):
        image.set_qform(None, 0)  # a quaternion cannot hold this affine's shears
    image.header.set_xyzt_units("mm", "sec")
    return image
