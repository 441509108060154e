"""The compiled fit of mono-exponential decays, for large images: on processors by numba, on GPUs by Triton."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
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


class FusedDecay(ABC):
    """Least squares for voxels of any kind: zeros, noise, missing samples and weights of their own included.

    Parameters
    ----------
    kernel
        The module that holds the kernel.
    design
        A mono-exponential decay, in single precision, at different times.
    bounds
        Smallest and largest T.
    saturation
        Samples at or above this value are not used.
    """

    def __init__(self, kernel: Any, design: Design, bounds: Bounds, saturation: float | None) -> None:
        self.kernel, self.bounds = kernel, bounds
        self.saturation = math.inf if saturation is None else saturation
        # By NumPy: in a forked process, the threads of torch may be waited for in vain.
        self.time = design.time[:, 0].cpu().numpy().astype(np.float64)
        low, high = bounds
        t = np.geomspace(low, high, max(6, int(math.log(high / low) / design.model.log_step) + 2))
        self.rates = 1 / t
        self.basis = np.exp(-self.time / t[:, None])
        self.floor = 1e-9 * (self.basis**2).sum(1)

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
        status, n_used = (samples.new_empty(n, dtype=dtype) for dtype in (torch.uint8, torch.int16))
        known = (samples.new_zeros(1) if noise is None else noise).expand(n)
        self.run(samples, weight.expand_as(samples), known, (table, status, n_used))
        return table, status, n_used

    @abstractmethod
    def run(self, samples: Tensor, weight: Tensor, noise: Tensor, results: tuple[Tensor, Tensor, Tensor]) -> None:
        """Fit all voxels, and fill in their table, status and number of samples."""


class DecayOnProcessor(FusedDecay):
    """By numba."""

    def run(self, samples: Tensor, weight: Tensor, noise: Tensor, results: tuple[Tensor, Tensor, Tensor]) -> None:
        """Fit all voxels, and fill in their table, status and number of samples."""
        constants = [self.time, self.basis, self.floor, self.rates, np.array(self.bounds)]
        constants = [constant.astype(np.float32) for constant in constants]
        constants.insert(1, np.argsort(-self.time).astype(np.uint64))
        signals = (rows.numpy() for rows in (samples, weight, noise))
        self.kernel.fit_decays(*signals, *constants, np.float32(self.saturation), *(rows.numpy() for rows in results))


class DecayOnGpu(FusedDecay):
    """By Triton."""

    def run(self, samples: Tensor, weight: Tensor, noise: Tensor, results: tuple[Tensor, Tensor, Tensor]) -> None:
        """Fit all voxels, and fill in their table, status and number of samples."""
        constants = [torch.from_numpy(constant).to(samples) for constant in (self.time, self.rates, self.floor)]
        self.kernel.fit_decays(samples, weight, noise, constants, self.bounds, self.saturation, results)


_KINDS: dict[str, tuple[Callable[..., FusedDecay], str, str]] = {
    "cpu": (DecayOnProcessor, "numba", "decay_kernel"),
    "cuda": (DecayOnGpu, "triton", "decay_triton"),
}
"""By the type of the device: the fit, the package that compiles its kernel, and the module of that."""


def fused_decay(design: Design, bounds: Bounds, saturation: float | None, n_voxels: int) -> FusedDecay | None:
    """Prepare the compiled fit, if it can fit this, and it pays."""
    time = design.time
    suits = type(design.model) is MonoExponential and time.dtype == torch.float32 and time.device.type in _KINDS
    if not suits or n_voxels < LEAST_VOXELS or len({*time[:, 0].tolist()}) < len(time):
        return None
    kind, package, module = _KINDS[time.device.type]
    kernel = _load(package, module)
    return None if kernel is None else kind(kernel, design, bounds, saturation)


@lru_cache(maxsize=2)
def _load(package: str, module: str) -> Any:
    """Load a kernel, or compile it if this machine has not done so yet; None without the package."""
    if find_spec(package) is None:
        return None
    _log.info("loading the compiled fit; the first time on a machine, it is compiled within half a minute")
    try:
        return import_module(f"relaxnet.fitting._core.{module}")
    except ImportError as error:  # of another version of NumPy, for instance
        _log.warning("%s cannot be loaded, so fits run without it: %s", package, error)
        return None
