# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Can I trust this fit?
#
# Every voxel says how its fit ended, how sure it is, and how well the curve describes
# it. This page reads a map that has something of everything in it: air, a place that
# moved during one image, and a signal that is nearly gone.

# %%
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

import relaxnet as rx

t1rho = rx.Contrast("t1rho", times_ms=(0, 10, 30, 50))
protocol = rx.Protocol((t1rho,))
cohort = rx.phantom.liver_cohort(
    1, 1, (96, 128), snr=25, seed=3, protocol=protocol, pixel_mm=3
)
images = cohort[0].images[0].numpy()
row, column = (int(k) for k in cohort[0].roi[0].nonzero().float().mean(0))
moved = slice(row - 6, row + 2), slice(column - 4, column + 4)
images[1][moved] *= 1.4  # something brighter was there, in one image
images[:, 60:70, 60:70] *= 0.05  # almost no signal
noise = rx.fitting.estimate_sigma(images, t1rho, dim=0)
result = rx.fit(images, t1rho, dim=0, sigma=noise)
print(result.summary())

# %% [markdown]
# ## Status
#
# Only `CONVERGED` and `AT_BOUND` voxels hold numbers; the rest are NaN and say why.

# %%
for status in rx.FitStatus:
    count = int((result.status == status).sum())
    print(f"{status.name:<16}{count:>6}  {status.meaning}")

# %% [markdown]
# ## Standard error and goodness of fit
#
# The standard error says how far noise may have moved the value, if the curve is the
# right one. R² and the residual say whether it is: where one image is brighter, the fit
# converges to a value like any other, and only the residual tells.

# %%
places = {"liver": cohort[0].roi[0].numpy(), "moved": moved}
for name, place in places.items():
    value, error, residual = (
        np.nanmedian(values[place])
        for values in (result.maps["t1rho"], result.std["t1rho"], result.rmse)
    )
    times_noise = residual / noise
    print(f"{name:<8} {value:.1f} ± {error:.1f} ms, residual {times_noise:.1f} x noise")

# %% [markdown]
# ## Bounds
#
# A voxel at a bound of T has no optimum inside. Its value is the bound, not a
# measurement. `result.ok` leaves it out:

# %%
print(int(result.ok.sum()), "of", result.ok.size, "voxels converged")

# %% [markdown]
# ## The input as a whole
#
# `doubts` tells when the scan does not look like what was meant. The command prints
# these lines as warnings, and with `--strict` it stops.

# %%
phase = np.random.default_rng(0).uniform(-3, 3, images.shape)
for line in rx.fitting.doubts(phase, rx.fit(phase, t1rho, dim=0), dim=0):
    print("-", line)

# %% T1rho, its standard error, the residual in units of the noise, and the status
figure, axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained")
panels = {
    "T1rho (ms)": (result.maps["t1rho"], 0, 120),
    "standard error (ms)": (result.std["t1rho"], 0, 20),
    "residual / noise": (result.rmse / noise, 0, 4),
    "status": (result.status, -0.5, max(rx.FitStatus) + 0.5),
}
for axis, (title, (values, low, high)) in zip(axes.flat, panels.items(), strict=True):
    axis.set(title=title, xticks=[], yticks=[], facecolor="0.8")
    colours = ListedColormap(plt.colormaps["tab10"].colors[: len(rx.FitStatus)])
    colours = colours if title == "status" else "viridis"
    image = axis.imshow(values, colours, vmin=low, vmax=high)
    bar = figure.colorbar(image, ax=axis)
    if title == "status":
        bar.set_ticks(
            [int(s) for s in rx.FitStatus], labels=[s.name for s in rx.FitStatus]
        )
