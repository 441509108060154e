"""What a file of images holds, whatever its format."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Image:
    """What a file holds, whatever its format."""

    data: NDArray[Any]
    """Voxels, with the axes of the file."""
    affine: NDArray[np.float64]
    space_code: int
    """NIfTI's number of the space that the affine leads to; 0 if it is unknown."""
    times_ms: tuple[float, ...] | None = None
    """Times of the images along the last axis, if the file itself holds them."""
    described: dict[str, Any] = field(default_factory=dict)
    """What the file itself says about them, in the keys of a JSON sidecar."""
