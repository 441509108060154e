"""Measure optimistix: Levenberg-Marquardt under ``vmap``, compiled by jax for the processor."""

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from peer import START_MS, measure

PRECISIONS = {"float32": 1e-5, "float64": 1e-8}
"""Tolerances: each is about the square root of what the numbers resolve, or better."""


def residuals(parameters: jax.Array, given: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Compare a decay with the samples of a voxel."""
    voxel, times_ms = given
    return parameters[0] * jnp.exp(-times_ms / parameters[1]) - voxel


@jax.jit
def fit_all(signal: jax.Array, times_ms: jax.Array) -> jax.Array:
    """Fit voxels at once."""
    tolerance = PRECISIONS[signal.dtype.name]
    solver = optimistix.LevenbergMarquardt(rtol=tolerance, atol=tolerance)

    def fit_one(voxel: jax.Array) -> jax.Array:
        start = jnp.stack([voxel[0], jnp.full_like(voxel[0], START_MS)])
        found = optimistix.least_squares(residuals, solver, start, args=(voxel, times_ms), throw=False)
        return jnp.where(found.result == optimistix.RESULTS.successful, found.value[1], jnp.nan)

    return jax.vmap(fit_one)(signal)


def fit(signal: np.ndarray, times_ms: np.ndarray, dtype: str) -> np.ndarray:
    """Fit in a precision."""
    with jax.enable_x64(dtype == "float64"):
        return np.asarray(fit_all(jnp.asarray(signal, dtype), jnp.asarray(times_ms, dtype)))


measure(
    "optimistix",
    {f"optimistix, vmap, {dtype}": lambda *given, dtype=dtype: fit(*given, dtype) for dtype in PRECISIONS},
)
