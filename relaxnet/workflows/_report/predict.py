"""The report of a prediction by a network."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from relaxnet._contrasts import label
from relaxnet.fitting import FitResult, FitStatus
from relaxnet.io import Scan
from relaxnet.protocol import Contrast, Protocol
from relaxnet.workflows._report.fit import Fitted, decay_section, map_section, overview_section
from relaxnet.workflows._report.page import Page, provenance_section

_ERROR = "standard deviation"


def predicted_page(
    scan: Scan, maps: Mapping[str, NDArray[Any]], protocol: Protocol, *, made: Callable[[str], dict[str, Any]]
) -> Page:
    """Make the report of maps (x, y, z) that a network predicted of a scan; ``made`` says how they came about."""
    fitted = [Fitted(one.name, one.times_ms, one.model, _channels(scan, protocol, one)) for one in protocol.contrasts]
    known = {one.name: _as_result(one, maps, scan.data[..., one.channels]) for one in fitted}
    size = " × ".join(map(str, scan.data.shape[:3]))
    n = int(np.logical_and.reduce([np.isfinite(maps[name]) for name in protocol.names]).sum())
    outcome = f"{n} of {scan.data[..., 0].size} voxels have a value"
    return Page(
        f"{' and '.join(map(label, protocol.names))} of {scan.path.name}",
        f"predicted by a network from images of {size} voxels",
        (
            overview_section(known, f"{outcome}.", _ERROR),
            *(map_section(result, scan.affine, name, _ERROR) for name, result in known.items()),
            *(decay_section(known[one.name], scan.data[..., one.channels], one) for one in fitted if one.channels),
            provenance_section(made(outcome)),
        ),
    )


def _channels(scan: Scan, protocol: Protocol, contrast: Contrast) -> list[int]:
    """Return the images of a contrast in a scan; none if it holds the input images alone."""
    return list(protocol.images_of(contrast.name)) if scan.data.shape[3] == protocol.n_images else []


def _as_result(contrast: Fitted, maps: Mapping[str, NDArray[Any]], images: NDArray[Any]) -> FitResult[NDArray[Any]]:
    """Take a predicted map for a fitted one, with the amplitude that goes best with the images."""
    values = maps[contrast.name]
    nothing = np.full(values.shape, np.nan)
    std = maps.get(f"{contrast.name}_std", nothing)
    t = torch.from_numpy(np.asarray(values, dtype=float))[..., None]
    m0 = nothing
    if images.shape[-1]:
        basis = contrast.model.unfolded.basis(t, torch.tensor(contrast.times, dtype=t.dtype)).abs().numpy()
        m0 = (images * basis).sum(-1) / (basis**2).sum(-1)
    certain = np.zeros(values.shape)  # the band of a curve is that of T alone
    status = np.where(np.isfinite(values), FitStatus.CONVERGED, FitStatus.TOO_FEW_SAMPLES).astype(np.uint8)
    return FitResult(
        maps={contrast.name: values, "m0": m0},
        std={contrast.name: std, "m0": certain},
        covariances={("m0", contrast.name): certain},
        rmse=nothing,
        r2=nothing,
        n_used=status,
        status=status,
        units={contrast.name: contrast.model.parameter.unit, "m0": "signal"},
    )
