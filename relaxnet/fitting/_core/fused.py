"""The compiled fit of mono-exponential decays, for large images on processors where the package numba is installed."""

import logging
import math
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from relaxnet.fitting._core.bounds import Bounds
from relaxnet.fitting._core.design import Design
from relaxnet.signals import MonoExponential

LEAST_VOXELS = 16_384  # fewer do not pay for loading the compiler

_log = logging.getLogger(__name__)


class FusedDecay:
    """Least squares for voxels of any kind: zeros, noise, missing samples and weights of their own included.

    Parameters
    ----------
    design
        A mono-exponential decay, in single precision, at different times.
    bounds
        Smallest and largest T.
    saturation
        Samples at or above this value are not used.
    """

    def __init__(self, design: Design, bounds: Bounds, saturation: float | None) -> None:
        self.kernel: Any = _load()
        # By NumPy: in a forked process, the threads of torch may be waited for in vain.
        time = design.time[:, 0].numpy().astype(np.float64)
        low, high = bounds
        t = np.geomspace(low, high, max(6, int(math.log(high / low) / design.model.log_step) + 2))
        basis = np.exp(-time / t[:, None])
        constants = (time, np.argsort(-time), basis, 1e-9 * (basis**2).sum(1), 1 / t, np.array(bounds))
        self.constants = [constant.astype(np.float32) for constant in constants]
        self.constants[1] = constants[1].astype(np.uint64)
        self.saturation = np.float32(np.inf if saturation is None else saturation)

    def __call__(
        self,
        samples: Float[Tensor, "time voxel"],
        weight: Float[Tensor, "#time #voxel"],
        noise: Float[Tensor, " #voxel"] | None,
        *,
        maps_only: bool,
    ) -> tuple[Float[Tensor, "row voxel"], Integer[Tensor, " voxel"], Integer[Tensor, " voxel"]]:
        """Return the rows of the estimate, also those of :func:`quality` if asked for, status and number of samples."""
        n = samples.shape[1]
        table = samples.new_empty(2 if maps_only else 7, n)
        status, n_used = torch.empty(n, dtype=torch.uint8), torch.empty(n, dtype=torch.int16)
        known = samples.new_zeros(1) if noise is None else noise
        self.kernel.fit_decays(
            samples.numpy(),
            weight.expand_as(samples).numpy(),
            known.expand(n).numpy(),
            *self.constants,
            self.saturation,
            *(rows.numpy() for rows in (table, status, n_used)),
        )
        return table, status, n_used


def fused_decay(design: Design, bounds: Bounds, saturation: float | None, n_voxels: int) -> FusedDecay | None:
    """Prepare the compiled fit, if it can fit this, and it pays."""
    time = design.time
    suits = type(design.model) is MonoExponential and time.dtype == torch.float32 and time.device.type == "cpu"
    if not suits or n_voxels < LEAST_VOXELS or len({*time[:, 0].tolist()}) < len(time) or _load() is None:
        return None
    return FusedDecay(design, bounds, saturation)


@lru_cache(maxsize=1)
def _load() -> Any:
    """Load the kernel, or compile it if this machine has not done so yet; None without numba."""
    if find_spec("numba") is None:
        return None
    _log.info("loading the compiled fit; the first time on a machine, it is compiled within half a minute")
    try:
        return import_module("relaxnet.fitting._core.decay_kernel")
    except ImportError as error:  # of another version of NumPy, for instance
        _log.warning("numba cannot be loaded, so fits run without it: %s", error)
        return None
