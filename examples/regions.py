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
# # A region: its mean curve, and a table of all regions
#
# Many studies report one number for an organ. There are two ways to it: fit the mean
# curve of the region, or average the map of the region. With little noise they agree;
# with much, the mean curve is the better one, as noise is averaged before the fit.

# %%
# %matplotlib inline
import pandas as pd

import relaxnet as rx

protocol = rx.protocols.LIVER_T1RHO_T2
t1rho = protocol.contrasts[0]
subject = rx.phantom.liver_cohort(1, 1, (128, 128), snr=12, seed=6, pixel_mm=2)[0]
images = subject.images[:, protocol.images_of("t1rho")].movedim(1, -1).numpy()
result = rx.fit(images, t1rho, dim=-1)
images.shape

# %% [markdown]
# ## The mean curve
#
# One axis is one voxel, so a curve is fitted as it is.

# %%
liver = subject.roi.numpy()
curve = images[liver].mean(axis=0)
of_curve = rx.fit(curve, t1rho, dim=0)
print(f"truth              {subject.truth['t1rho'].numpy()[liver].mean():.2f} ms")
print(f"mean curve         {of_curve.maps['t1rho']:.2f} ms")
print(f"mean of the map    {result.maps['t1rho'][liver].mean():.2f} ms")

# %% [markdown]
# ## All regions
#
# `regions` takes a whole number for each voxel. It summarises the voxels that
# converged, and counts those that did not. On the command line, `--labels seg.nii.gz`
# writes this table beside the maps.

# %%
names = {int(tissue): tissue.name.lower() for tissue in rx.phantom.Tissue}
table = pd.DataFrame(result.regions(subject.labels.numpy(), names=names))
table = table[(table["map"] == "t1rho") & (table["n_converged"] > 50)]
columns = ["name", "n_converged", "n_failed", "mean", "sd", "median", "iqr"]
table[columns].round(1)

# %% [markdown]
# ## A mean with its error
#
# The standard error of a mean over a region needs the covariance of its voxels. The
# spatial fit has it:

# %%
spatial = rx.fit_spatial(subject.images, protocol, mask=subject.labels > 0)
mean = spatial.roi_mean(subject.roi)["t1rho"]
print(f"{mean.value:.2f} ± {mean.std:.2f} ms")

# %% Mean curves of four organs with their fits
curves = {}
for tissue in ("LIVER", "SPLEEN", "MUSCLE", "KIDNEY_CORTEX"):
    inside = subject.labels.numpy() == int(rx.phantom.Tissue[tissue])
    if inside.any():
        curves[tissue.lower().replace("_", " ")] = images[inside].mean(axis=0)
stacked = pd.DataFrame(curves).T.to_numpy()
rx.plots.decay_figure(
    rx.fit(stacked, t1rho, dim=-1),
    stacked,
    t1rho,
    voxels=[(k,) for k in range(len(curves))],
    name="t1rho",
    titles=list(curves),
)
